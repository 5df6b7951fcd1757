//! Queries find and score as Elasticsearch's do. The fixture holds queries with what a real Elasticsearch 9.4 found.
#![allow(clippy::unwrap_used)]

mod common;

use common::Fixture;
use serde_json::{Value, json};

fn recorded() -> Value {
    serde_json::from_str(include_str!("elasticsearch/queries.json")).unwrap()
}

fn found(response: &tributary_store::SearchResponse) -> Vec<(String, f64)> {
    response.hits.iter().map(|hit| (hit.id.clone(), f64::from(hit.score.unwrap()))).collect()
}

fn same_hits(wanted: &[(String, f64)], found: &[(String, f64)]) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(b.abs());
    wanted.len() == found.len() && wanted.iter().zip(found).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}

/// What is wrong with the answer to one recorded query.
async fn compare(fixture: &Fixture, search: &Value) -> Option<String> {
    let body = json!({"query": search["query"], "size": 100, "sort": ["_doc"], "track_scores": true});
    let problem = match (search.get("hits"), fixture.search("q", body).await) {
        (Some(hits), Ok(response)) => {
            let pair = |hit: &Value| (hit[0].as_str().unwrap().to_owned(), hit[1].as_f64().unwrap());
            let wanted: Vec<_> = hits.as_array().unwrap().iter().map(pair).collect();
            let found = found(&response);
            if same_hits(&wanted, &found) {
                None
            } else {
                Some(format!("wanted {wanted:?}, found {found:?}"))
            }
        }
        (Some(_), Err(error)) => Some(format!("refused: {error}")),
        (None, Ok(response)) => Some(format!("not refused, found {:?}", found(&response))),
        (None, Err(error)) => {
            let wanted = json!([search["status"], search["type"], search["reason"]]);
            let found = json!([error.status(), error.es_type(), error.reason()]);
            if wanted == found { None } else { Some(format!("wanted {wanted}, found {found}")) }
        }
    };
    problem.map(|problem| format!("{}: {problem}", search["query"]))
}

#[tokio::test]
async fn every_query_finds_what_elasticsearch_finds() {
    let recorded = recorded();
    let fixture = Fixture::with_index("q", recorded["mappings"].clone());
    fixture.fill("q", recorded["documents"].as_array().unwrap()).await;
    let mut problems = Vec::new();
    for search in recorded["searches"].as_array().unwrap() {
        problems.extend(compare(&fixture, search).await);
    }
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn a_count_is_the_number_of_hits() {
    let recorded = recorded();
    let fixture = Fixture::with_index("q", recorded["mappings"].clone());
    fixture.fill("q", recorded["documents"].as_array().unwrap()).await;
    for search in recorded["searches"].as_array().unwrap() {
        let Ok(query) = tributary_store::Query::parse(&search["query"]) else { continue };
        let Ok(count) = fixture.store.count(&["q".to_owned()], &query).await else { continue };
        let hits = fixture.ids("q", search["query"].clone()).await;
        assert_eq!(count, hits.len() as u64, "{}", search["query"]);
    }
}

#[tokio::test]
async fn a_range_beside_all_values_finds_nothing() {
    let properties = json!({"n": {"type": "long"}, "f": {"type": "double"}, "b": {"type": "boolean"}});
    let fixture = Fixture::with_index("i", json!({"properties": properties}));
    fixture.fill("i", &[json!({"n": 10, "f": 2.5, "b": true}), json!({"n": 30, "f": 7.5, "b": true})]).await;
    let none = [
        json!({"term": {"n": 0}}),
        json!({"term": {"n": 20}}),
        json!({"range": {"n": {"lt": 10}}}),
        json!({"range": {"n": {"gt": 30}}}),
        json!({"range": {"n": {"gt": 12, "lt": 28}}}),
        json!({"range": {"f": {"lt": 2.5}}}),
        json!({"range": {"f": {"gt": 7.5}}}),
        json!({"term": {"b": false}}),
    ];
    for query in none {
        assert!(fixture.ids("i", query.clone()).await.is_empty(), "{query}");
    }
    assert_eq!(fixture.ids("i", json!({"range": {"n": {"gte": -5, "lte": 10}}})).await, ["1"]);
}
