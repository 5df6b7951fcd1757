//! What this source does beyond the laws, on a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../world/mod.rs"]
mod world;

mod faults;
mod incremental;
mod tls;
mod types;

use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde_json::{Map, Value};
use tributary_connector_mysql::Mysql;
use tributary_sdk::{Context, Cursor, Error, Event};
use tributary_testkit::{Item, Listing, connect, list};

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

/// What an incremental listing told.
#[derive(Debug, Default)]
struct Told {
    upserts: BTreeMap<String, Map<String, Value>>,
    deletes: Vec<String>,
    cursor: Option<Cursor>,
    failure: Option<Error>,
}

/// Lists what changed since a cursor.
async fn since(config: &Map<String, Value>, cursor: Option<Cursor>) -> Told {
    let source = connect::<Mysql>(config).await;
    let cx = Context { cursor, ..Context::default() };
    let mut told = Told::default();
    let mut events = source.incremental().unwrap().changes(&cx);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Upsert(document)) => {
                drop(told.upserts.insert(document.id.into_string(), document.fields));
            }
            Ok(Event::Delete(id)) => told.deletes.push(id.into_string()),
            Ok(Event::Checkpoint(cursor)) => told.cursor = Some(cursor),
            Ok(Event::Skipped { error, .. } | Event::Incomplete(error)) | Err(error) => {
                told.failure = Some(error);
            }
        }
    }
    told
}

/// The cursor that a full listing leaves behind.
async fn cursor_of_a_full_listing(config: &Map<String, Value>) -> Cursor {
    let listing = all(config).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    listing.checkpoints.last().unwrap().1.clone()
}
