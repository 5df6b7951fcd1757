//! Conformance laws, fake worlds and faults for testing sources.
//!
//! A source's own tests describe its [`World`] (a folder, a server, a fake of a remote API) and call [`conformance!`],
//! which makes one test of every law in [`laws`].

#![allow(clippy::expect_used, clippy::panic, reason = "a broken law fails the test")]

mod authority;
mod changes;
mod database;
pub mod laws;
mod listing;
mod proxy;
mod world;

use std::time::Duration;

pub use authority::{Authority, Certificate};
pub use changes::{Changes, cursor_of_a_full_listing};
pub use database::DatabaseServer;
pub use listing::{Item, Listing, connect, list, list_from, schema, try_connect};
pub use proxy::{Fault, Proxy};
pub use world::World;

/// The longest a law may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Makes one test of every law:
///
/// ```ignore
/// mod world;
/// tributary_testkit::conformance!(connector = github::GitHub, world = world::GitHubWorld);
/// ```
///
/// The file `example.json` beside the source's `Cargo.toml` is part of what is tested.
#[macro_export]
macro_rules! conformance {
    (connector = $connector:ty, world = $world:ty $(,)?) => {
        $crate::conformance!(@laws $connector, $world, [
            every_field_has_a_label_and_its_place,
            the_declared_values_can_be_read,
            a_listing_finds_every_item_once,
            two_listings_of_an_unchanged_source_are_equal,
            an_added_item_appears,
            a_changed_item_differs,
            a_removed_item_vanishes,
            documents_leave_the_engines_fields_alone,
            every_content_can_be_fetched,
            an_unreadable_item_is_skipped_with_its_reason,
            a_failing_part_never_ends_the_stream_cleanly,
            a_source_that_goes_away_midway_never_ends_the_stream_cleanly,
            a_source_that_is_away_is_told_with_a_hint,
            a_listing_of_a_source_that_is_away_never_ends_cleanly,
            secrets_are_never_shown,
            a_resumable_source_goes_on_from_every_checkpoint,
        ]);

        #[test]
        fn dropping_the_stream_stops_the_work() {
            <$world as $crate::World>::prepare();
            $crate::laws::dropping_the_stream_stops_the_work::<$connector, $world>();
        }

        #[test]
        fn the_example_connects() {
            let example = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/example.json"));
            <$world as $crate::World>::prepare();
            $crate::run($crate::laws::the_example_connects::<$connector, $world>(example));
        }
    };
    (@laws $connector:ty, $world:ty, [$($law:ident),* $(,)?]) => {
        $(
            #[test]
            fn $law() {
                <$world as $crate::World>::prepare();
                $crate::run($crate::laws::$law::<$connector, $world>());
            }
        )*
    };
}

/// Runs one law on a runtime of its own.
///
/// # Panics
/// When the law is broken, or takes too long.
pub fn run(law: impl Future<Output = ()>) {
    let limited = async { tokio::time::timeout(LIMIT, law).await.expect("the law took too long") };
    runtime().block_on(limited);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime can be made")
}
