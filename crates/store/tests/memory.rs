//! Memory stays bounded while documents are loaded and searched. Alone in its process, so that the figure is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![cfg(target_os = "linux")]

mod common;

use common::{Fixture, index_op, peak_mb};
use serde_json::{Value, json};
use tributary_store::{Query, SearchRequest};

const DOCUMENTS: u64 = 20_000;
/// Leaves room below 200 MB for the rest of a process that syncs.
const MOST_MB: u64 = 150;

/// About 1 KB, with many different words.
fn document(number: u64) -> Value {
    let words: Vec<String> =
        (0..110).map(|at| format!("w{:x}", (number * 7_919 + at * 104_729) % 60_000)).collect();
    json!({
        "id": format!("doc-{number}"), "title": format!("document number {number}"), "body": words.join(" "),
        "size": number * 13, "owner": format!("owner{}", number % 500), "updated": "2024-05-01T10:00:00Z",
    })
}

#[tokio::test]
async fn loading_and_searching_many_documents_takes_little_memory() {
    let fixture = Fixture::with_index("i", json!({}));
    for batch in 0..DOCUMENTS / 500 {
        let range = batch * 500..(batch + 1) * 500;
        let ops = range.map(|number| index_op("i", &format!("doc-{number}"), &document(number))).collect();
        assert!(fixture.store.write(ops).await.iter().all(Result::is_ok));
    }
    let loaded = peak_mb();
    fixture.refresh("i").await;
    assert_eq!(fixture.store.count(&["i".to_owned()], &Query::match_all()).await.unwrap(), DOCUMENTS);
    let mut after = None;
    let mut seen = 0;
    loop {
        let mut request = SearchRequest::parse(&json!({"size": 1000, "sort": ["size"]})).unwrap();
        request.indices = vec!["i".to_owned()];
        request.search_after = after;
        let hits = fixture.store.search(request).await.unwrap().hits;
        let Some(last) = hits.last() else { break };
        after = last.sort.clone();
        seen += hits.len() as u64;
    }
    assert_eq!(seen, DOCUMENTS);
    let aggs = json!({"o": {"terms": {"field": "owner.keyword", "size": 500}, "aggs": {"s": {"sum": {"field": "size"}}}}});
    let body = json!({"size": 0, "query": {"match": {"body": "w1 w2 w3"}}, "aggs": aggs});
    fixture.search("i", body).await.unwrap();
    println!("peak after loading {loaded} MB, after searching {} MB", peak_mb());
    assert!(peak_mb() < MOST_MB, "the peak was {} MB", peak_mb());
}
