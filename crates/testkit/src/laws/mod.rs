//! The laws that every source keeps.

mod changes;
mod configuration;
mod faults;
mod listings;
mod resume;

pub use changes::{a_changed_item_differs, a_removed_item_vanishes, an_added_item_appears};
pub use configuration::{
    every_field_has_a_label_and_its_place, secrets_are_never_shown, the_declared_values_can_be_read,
    the_example_connects,
};
pub use faults::{
    a_failing_part_never_ends_the_stream_cleanly, a_listing_of_a_source_that_is_away_never_ends_cleanly,
    a_source_that_goes_away_midway_never_ends_the_stream_cleanly, a_source_that_is_away_is_told_with_a_hint,
    an_unreadable_item_is_skipped_with_its_reason, dropping_the_stream_stops_the_work,
};
pub use listings::{
    a_listing_finds_every_item_once, documents_leave_the_engines_fields_alone, every_content_can_be_fetched,
    two_listings_of_an_unchanged_source_are_equal,
};
pub use resume::a_resumable_source_goes_on_from_every_checkpoint;

use std::collections::BTreeSet;

use tributary_sdk::Source;

use crate::{Listing, list};

/// A listing that must end cleanly.
async fn clean(source: &Source) -> Listing {
    let listing = list(source).await;
    let wrong: Vec<String> = listing.errors().map(tributary_sdk::Error::report).collect();
    assert!(wrong.is_empty(), "the listing should find everything, but: {}", wrong.join("; "));
    listing
}

fn ids(listing: &Listing) -> BTreeSet<String> {
    listing.ids.iter().cloned().collect()
}
