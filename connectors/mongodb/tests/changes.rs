//! Incremental syncs, against a fake of a replica set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod fake;

use fake::Fake;
use futures::StreamExt as _;
use serde_json::json;
use tributary_connector_mongodb::Mongodb;
use tributary_sdk::{Context, Cursor, ErrorKind, Event, Result, Source};
use tributary_testkit::{connect, list};

/// The events of an incremental listing, as texts, and where the next one goes on.
async fn changes(source: &Source, cursor: Option<Cursor>) -> Result<(Vec<String>, Cursor)> {
    let cx = Context { cursor, ..Context::default() };
    let mut events = source.incremental().unwrap().changes(&cx);
    let (mut told, mut last) = (Vec::new(), None);
    while let Some(event) = events.next().await {
        match event? {
            Event::Upsert(document) => {
                told.push(format!("{} {}", document.id, document.fields["name"].as_str().unwrap()));
                last = None;
            }
            Event::Delete(id) => {
                told.push(format!("{id} gone"));
                last = None;
            }
            Event::Checkpoint(cursor) => last = Some(cursor),
            other => panic!("{other:?}"),
        }
    }
    Ok((told, last.expect("the last event is where the next sync goes on")))
}

/// Where a full sync leaves off.
async fn full(source: &Source) -> Cursor {
    let listing = list(source).await;
    assert!(
        listing.is_clean(),
        "{:?}",
        listing.errors().map(tributary_sdk::Error::report).collect::<Vec<_>>()
    );
    listing.checkpoints.last().unwrap().1.clone()
}

#[tokio::test]
async fn inserts_updates_and_deletes_come_without_a_full_read() {
    let fake = Fake::start().await;
    for id in 1..=5 {
        fake.put(id, "first");
    }
    let source = connect::<Mongodb>(&fake.config()).await;
    let cursor = full(&source).await;
    let (told, cursor) = changes(&source, Some(cursor)).await.unwrap();
    assert!(told.is_empty(), "{told:?}");
    fake.put(2, "second");
    fake.remove(3);
    fake.put(9, "new");
    for n in 0..20 {
        fake.put(1, &format!("version {n}"));
    }
    let (told, cursor) = changes(&source, Some(cursor)).await.unwrap();
    assert_eq!(told[..3], ["2 second", "3 gone", "9 new"]);
    assert_eq!(told.len(), 23);
    assert_eq!(told[22], "1 version 19");
    // Stored and read again, by another process.
    let stored: Cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
    fake.remove(1);
    let later = connect::<Mongodb>(&fake.config()).await;
    assert_eq!(changes(&later, Some(stored)).await.unwrap().0, ["1 gone"]);
}

#[tokio::test]
async fn what_changes_while_a_full_sync_reads_is_told_by_the_next_incremental_one() {
    let fake = Fake::start().await;
    fake.put(1, "first");
    // Right after the position was taken, before the collection is read.
    fake.surprise(2, "meanwhile");
    let source = connect::<Mongodb>(&fake.config()).await;
    let cursor = full(&source).await;
    assert_eq!(changes(&source, Some(cursor)).await.unwrap().0, ["2 meanwhile"]);
}

#[tokio::test]
async fn what_changes_during_an_incremental_sync_is_for_the_next_one() {
    let fake = Fake::start().await;
    let source = connect::<Mongodb>(&fake.config()).await;
    let cursor = full(&source).await;
    fake.put(1, "first");
    fake.surprise(2, "meanwhile");
    let (told, cursor) = changes(&source, Some(cursor)).await.unwrap();
    assert_eq!(told, ["1 first"], "a busy collection must not keep a sync from ending");
    assert_eq!(changes(&source, Some(cursor)).await.unwrap().0, ["2 meanwhile"], "and nothing is lost");
}

#[tokio::test]
async fn a_document_that_was_removed_after_its_change_is_only_told_to_be_gone() {
    let fake = Fake::start().await;
    let source = connect::<Mongodb>(&fake.config()).await;
    let cursor = full(&source).await;
    fake.put(1, "first");
    fake.remove(1);
    assert_eq!(changes(&source, Some(cursor)).await.unwrap().0, ["1 gone"]);
}

#[tokio::test]
async fn a_position_that_is_gone_is_told_so() {
    let fake = Fake::start().await;
    fake.put(1, "first");
    let source = connect::<Mongodb>(&fake.config()).await;
    let gone = async |cursor: Option<Cursor>| {
        let error = changes(&source, cursor).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PositionGone, "{}", error.report());
        error.report()
    };
    assert!(gone(None).await.contains("no full sync"));
    let cursor = full(&source).await;
    for kind in ["drop", "rename", "invalidate"] {
        fake.happen(kind);
        assert!(gone(Some(cursor.clone())).await.contains("dropped or renamed"), "{kind}");
    }
    fake.forget();
    assert!(gone(Some(cursor.clone())).await.contains("does not know the position"));
    let mut other = fake.config();
    other.insert("datetime_conversion".to_owned(), json!("DATETIME_MS"));
    let other = connect::<Mongodb>(&other).await;
    let error = changes(&other, Some(cursor)).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::PositionGone,
        "a configuration that makes other documents starts over"
    );
}

#[tokio::test]
async fn a_deployment_without_change_streams_has_full_syncs_all_the_same() {
    let fake = Fake::start().await;
    fake.without_streams();
    fake.put(1, "first");
    let source = connect::<Mongodb>(&fake.config()).await;
    let cursor = full(&source).await;
    let error = changes(&source, Some(cursor)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PositionGone);
    assert!(error.report().contains("no change streams"), "{}", error.report());
}
