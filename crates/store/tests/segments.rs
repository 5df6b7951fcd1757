//! Files of a search index: those that are not needed any more go, and those that somebody still reads do not matter.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Fixture, index_op};
use serde_json::json;
use tributary_store::{Action, Query, SearchRequest, WriteOp};

const INDEX: &str = "docs";
const ROUNDS: usize = 60;
const DOCUMENTS: usize = 20;
/// Files of one segment.
const SEGMENT_FILES: usize = 10;
/// Segments that the merge policy lets be, and then some.
const MOST_SEGMENTS: usize = 16;

/// The folder of the only index.
fn folder(fixture: &Fixture) -> PathBuf {
    let mut folders = fs::read_dir(fixture.dir.path().join("search")).unwrap();
    let only = folders.next().unwrap().unwrap().path();
    assert!(folders.next().is_none());
    only
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

async fn count(fixture: &Fixture) -> u64 {
    fixture.refresh(INDEX).await;
    fixture.store.count(&[INDEX.to_owned()], &Query::match_all()).await.unwrap()
}

async fn seen_by(fixture: &Fixture, pit: &str) -> u64 {
    let mut request = SearchRequest::parse(&json!({"size": 100, "track_total_hits": true})).unwrap();
    request.pit = Some(pit.to_owned());
    let answer = fixture.store.search(request).await.unwrap();
    assert!(answer.hits.iter().all(|hit| hit.source.is_some()), "documents are read");
    answer.hits.len() as u64
}

#[tokio::test]
async fn files_of_old_segments_go_and_a_point_in_time_goes_on_without_them() {
    let fixture = Fixture::with_index(INDEX, json!({"properties": {"round": {"type": "long"}}}));
    let mut pit = None;
    let mut ever = BTreeSet::new();
    for round in 0..ROUNDS {
        // The same documents again and again, so that every commit leaves deleted ones in older segments.
        let ops = (0..DOCUMENTS)
            .map(|n| index_op(INDEX, &format!("{n}"), &json!({"round": round, "text": "river"})));
        for written in fixture.store.write(ops.collect()).await {
            written.unwrap();
        }
        assert_eq!(count(&fixture).await, DOCUMENTS as u64);
        ever.extend(files(&folder(&fixture)));
        if round == 5 {
            pit = Some(fixture.store.open_pit(&[INDEX.to_owned()], 600_000).await.unwrap());
        }
    }
    let now = files(&folder(&fixture));
    assert!(now.len() < MOST_SEGMENTS * SEGMENT_FILES, "{} files: {now:?}", now.len());
    assert!(ever.len() > 2 * now.len(), "{} files were there, {} are", ever.len(), now.len());
    assert_eq!(seen_by(&fixture, &pit.unwrap()).await, DOCUMENTS as u64);
    fixture.store.close();
    let left = files(&folder(&fixture));
    assert!(left.len() < MOST_SEGMENTS * SEGMENT_FILES, "{} files: {left:?}", left.len());
}

#[tokio::test]
async fn what_a_killed_process_left_is_in_nobody_s_way() {
    let mut fixture = Fixture::with_index(INDEX, json!({}));
    fixture.fill(INDEX, &vec![json!({"text": "river"}); 50]).await;
    assert_eq!(count(&fixture).await, 50);
    fixture.store.close();
    let metas = folder(&fixture).join("meta.json");
    let before = fs::read(&metas).unwrap();

    fixture.reopen();
    fixture.write(WriteOp::new(INDEX, Some("7".to_owned()), Action::Delete)).await.unwrap();
    assert_eq!(count(&fixture).await, 49);
    fixture.store.close();
    let after = files(&folder(&fixture));
    assert!(after.iter().any(|name| name.ends_with(".del")), "{after:?}");
    // As if the process had been killed when all was written but the list of what is valid.
    fs::write(&metas, before).unwrap();

    fixture.reopen();
    assert_eq!(count(&fixture).await, 49);
    fixture.put(INDEX, "51", json!({"text": "river"})).await.unwrap();
    assert_eq!(count(&fixture).await, 50);
    fixture.store.close();
}

#[tokio::test]
async fn an_index_that_had_nothing_to_commit_is_opened_again_and_not_built_anew() {
    let mut fixture = Fixture::with_index(INDEX, json!({}));
    assert_eq!(count(&fixture).await, 0);
    fixture.store.close();
    // Building anew removes the folder with everything in it.
    let mark = folder(&fixture).join("mark");
    fs::write(&mark, "").unwrap();

    fixture.reopen();
    assert_eq!(count(&fixture).await, 0);
    fixture.put(INDEX, "1", json!({"text": "river"})).await.unwrap();
    assert_eq!(count(&fixture).await, 1);
    assert!(mark.exists(), "the empty search index was thrown away");
    fixture.store.close();
}
