//! What this source does beyond the laws, on a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../world/mod.rs"]
mod world;

mod faults;
mod incremental;
mod selection;
mod tls;
mod types;

use serde_json::{Map, Value};
use tributary_connector_mysql::Mysql;
use tributary_sdk::Cursor;
use tributary_testkit::{Changes, Item, Listing, connect, list};

/// Lists everything.
async fn all(config: &Map<String, Value>) -> Listing {
    list(&connect::<Mysql>(config).await).await
}

/// The only document of a listing.
fn only(listing: &Listing) -> &Item {
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    assert_eq!(listing.items.len(), 1, "{:?}", listing.ids);
    listing.items.values().next().unwrap()
}

/// Lists what changed since a cursor.
async fn since(config: &Map<String, Value>, cursor: Option<Cursor>) -> Changes {
    Changes::since(&connect::<Mysql>(config).await, cursor).await
}

/// The cursor that a full listing leaves behind.
async fn cursor_of_a_full_listing(config: &Map<String, Value>) -> Cursor {
    tributary_testkit::cursor_of_a_full_listing(&connect::<Mysql>(config).await).await
}
