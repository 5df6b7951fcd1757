//! Points in time over documents that others replace and delete: each stays as it was, and nothing stays behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::Fixture;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tributary_store::{Action, SearchRequest, WriteOp};

type Documents = BTreeMap<String, Value>;

/// All documents that a point in time holds.
async fn held(fixture: &Fixture, pit: &str) -> Documents {
    let mut request = SearchRequest::parse(&json!({"size": 1000})).unwrap();
    request.pit = Some(pit.to_owned());
    let hits = fixture.store.search(request).await.unwrap().hits;
    let source = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap();
    hits.into_iter().map(|hit| (hit.id, source(&hit.source.unwrap()))).collect()
}

/// All documents as a scan gives them; none comes twice.
fn scanned(fixture: &Fixture, index: &str) -> Documents {
    let (mut documents, mut from) = (Documents::new(), None);
    loop {
        let page = fixture.store.scan(index, from, 7).unwrap();
        for doc in page.docs {
            let before = documents.insert(doc.id.clone(), serde_json::from_slice(&doc.source).unwrap());
            assert_eq!(before, None, "{} came twice", doc.id);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return documents,
        }
    }
}

#[tokio::test]
async fn every_point_in_time_stays_as_it_was_whatever_is_written() {
    for seed in 0..6 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut fixture = Fixture::with_index("i", json!({}));
        let mut documents = Documents::new();
        let mut open: Vec<(String, Documents)> = Vec::new();
        for step in 0..400 {
            let id = format!("d{}", random.random_range(0..12));
            match random.random_range(0..20) {
                0 => {
                    fixture.refresh("i").await;
                    let pit = fixture.store.open_pit(&["i".to_owned()], 600_000).await.unwrap();
                    open.push((pit, documents.clone()));
                }
                1 if !open.is_empty() => {
                    let at = random.random_range(0..open.len());
                    assert!(fixture.store.close_pit(&open.swap_remove(at).0));
                }
                2 if random.random_bool(0.1) => {
                    open.clear();
                    fixture.reopen();
                }
                3..6 => {
                    let deleted = fixture.write(WriteOp::new("i", Some(id.clone()), Action::Delete)).await;
                    assert!(deleted.is_ok());
                    documents.remove(&id);
                }
                _ => {
                    let source = json!({"step": step});
                    fixture.put("i", &id, source.clone()).await.unwrap();
                    documents.insert(id, source);
                }
            }
            if step % 20 == 0 {
                assert_eq!(scanned(&fixture, "i"), documents, "seed {seed}, step {step}");
            }
            for (pit, was) in &open {
                assert_eq!(&held(&fixture, pit).await, was, "seed {seed}, step {step}");
            }
        }
        // The search index is made anew from what is stored, of which nothing must come back.
        drop(open);
        fixture.store.close();
        std::fs::remove_dir_all(fixture.dir.path().join("search")).unwrap();
        fixture.reopen();
        fixture.refresh("i").await;
        let pit = fixture.store.open_pit(&["i".to_owned()], 60_000).await.unwrap();
        assert_eq!(held(&fixture, &pit).await, documents, "seed {seed}");
    }
}
