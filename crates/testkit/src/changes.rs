use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde_json::{Map, Value};
use tributary_sdk::{Context, Cursor, Error, Event, Source};

use crate::list;

/// What an incremental listing told.
#[derive(Debug, Default)]
pub struct Changes {
    /// Fields of the documents that are new or changed, by id.
    pub upserts: BTreeMap<String, Map<String, Value>>,
    /// Ids of what is gone, in their order.
    pub deletes: Vec<String>,
    /// Where the next one goes on.
    pub cursor: Option<Cursor>,
    /// What went wrong last.
    pub failure: Option<Error>,
}

impl Changes {
    /// Lists what changed since a cursor.
    ///
    /// # Panics
    /// When the source has no incremental syncs.
    pub async fn since(source: &Source, cursor: Option<Cursor>) -> Self {
        let cx = Context { cursor, ..Context::default() };
        let mut told = Self::default();
        let mut events = source.incremental().expect("it has incremental syncs").changes(&cx);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Upsert(document)) => {
                    drop(told.upserts.insert(document.id.into_string(), document.fields.into_map()));
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
}

/// The cursor that a full listing leaves behind.
///
/// # Panics
/// When the listing is not complete, or leaves none.
pub async fn cursor_of_a_full_listing(source: &Source) -> Cursor {
    let listing = list(source).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    listing.checkpoints.last().expect("the last event is a checkpoint").1.clone()
}
