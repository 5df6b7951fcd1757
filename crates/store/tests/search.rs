//! Searches answer as Elasticsearch does: order, pages, parts of sources, fields, highlights, points in time. The
//! fixture holds searches with the answers of a real Elasticsearch 9.4.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, difference, ids};
use serde_json::{Map, Value, json};
use tributary_store::{Action, Hit, SearchRequest, SearchResponse, WriteOp};

/// A score in its shortest form.
fn score(score: Option<f32>) -> Value {
    score.map_or(Value::Null, |score| json!(score.to_string().parse::<f64>().unwrap()))
}

fn shown_hit(hit: &Hit) -> Value {
    let mut out = Map::new();
    out.insert("_id".into(), json!(hit.id));
    out.insert("_score".into(), score(hit.score));
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    add("_version", hit.version.map(Value::from));
    add("_seq_no", hit.seq_no.map(Value::from));
    add("_primary_term", hit.primary_term.map(Value::from));
    add("_source", hit.source.as_ref().map(|source| serde_json::from_slice(source).unwrap()));
    add("fields", hit.fields.clone().map(Value::Object));
    add("highlight", hit.highlight.clone().map(Value::Object));
    add("sort", hit.sort.clone().map(Value::Array));
    Value::Object(out)
}

fn shown(response: &SearchResponse) -> Value {
    let mut out = Map::new();
    if let Some(total) = response.total {
        let relation = if total.exact { "eq" } else { "gte" };
        out.insert("total".into(), json!({"value": total.value, "relation": relation}));
    }
    out.insert("max_score".into(), score(response.max_score));
    out.insert("hits".into(), response.hits.iter().map(shown_hit).collect());
    Value::Object(out)
}

/// What is wrong with the answer to one recorded search.
async fn compare(fixture: &Fixture, search: &Value) -> Option<String> {
    let problem = match (search.get("hits"), fixture.search("q", search["body"].clone()).await) {
        (Some(wanted), Ok(response)) => difference("hits", wanted, &shown(&response)),
        (Some(_), Err(error)) => Some(format!("refused: {error}")),
        (None, Ok(response)) => Some(format!("not refused, found {}", shown(&response))),
        (None, Err(error)) => {
            let wanted = json!([search["status"], search["type"], search["reason"]]);
            difference("", &wanted, &json!([error.status(), error.es_type(), error.reason()]))
        }
    };
    problem.map(|problem| format!("{}: {problem}", search["body"]))
}

#[tokio::test]
async fn answers_are_those_of_elasticsearch() {
    let recorded: Value = serde_json::from_str(include_str!("elasticsearch/searches.json")).unwrap();
    let fixture = Fixture::with_index("q", recorded["mappings"].clone());
    fixture.fill("q", recorded["documents"].as_array().unwrap()).await;
    let mut problems = Vec::new();
    for search in recorded["searches"].as_array().unwrap() {
        problems.extend(compare(&fixture, search).await);
    }
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

/// An index with documents in several segments, some of them replaced and deleted.
async fn scattered() -> Fixture {
    let fixture =
        Fixture::with_index("i", json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}}));
    for round in 0..4u64 {
        let op = |n: u64| {
            common::index_op("i", &format!("d{n}"), &json!({"n": n % 7, "k": format!("k{}", n % 3)}))
        };
        let ops = (round * 25..round * 25 + 40).map(op).collect();
        assert!(fixture.store.write(ops).await.iter().all(Result::is_ok));
        fixture.refresh("i").await;
        fixture.search("i", json!({"size": 0})).await.unwrap();
    }
    for n in [3, 50, 80] {
        fixture.write(WriteOp::new("i", Some(format!("d{n}")), Action::Delete)).await.unwrap();
    }
    fixture.refresh("i").await;
    fixture
}

/// All ids, page by page behind the last hit of each page.
async fn paged(fixture: &Fixture, body: &Value, pit: Option<&str>) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), None::<Vec<Value>>);
    loop {
        let mut request = SearchRequest::parse(body).unwrap();
        request.indices = vec!["i".to_owned()];
        request.pit = pit.map(str::to_owned);
        request.search_after = after;
        let response = fixture.store.search(request).await.unwrap();
        let Some(last) = response.hits.last() else { return seen };
        after = last.sort.clone();
        seen.extend(ids(&response));
    }
}

#[tokio::test]
async fn pages_behind_a_hit_are_the_whole_in_order() {
    let fixture = scattered().await;
    for sort in [json!(["n", "k", "_seq_no"]), json!([{"k": "desc"}, {"n": "asc"}, {"_seq_no": "desc"}])] {
        let whole = fixture.search("i", json!({"size": 1000, "sort": sort})).await.unwrap();
        assert_eq!(whole.hits.len(), 112);
        for size in [1, 7, 111] {
            assert_eq!(paged(&fixture, &json!({"size": size, "sort": sort}), None).await, ids(&whole));
        }
        let (mut by_from, mut from) = (Vec::new(), 0);
        while from < 112 {
            let body = json!({"size": 9, "from": from, "sort": sort});
            by_from.extend(ids(&fixture.search("i", body).await.unwrap()));
            from += 9;
        }
        assert_eq!(by_from, ids(&whole));
    }
}

#[tokio::test]
async fn a_point_in_time_stays_as_it_was_while_others_write() {
    let fixture = scattered().await;
    let pit = fixture.store.open_pit(&["i".to_owned()], 60_000).await.unwrap();
    let body = json!({"size": 10, "sort": [{"n": "asc"}]});
    let before = paged(&fixture, &body, Some(&pit)).await;
    assert_eq!(before.len(), 112, "equal sort values neither repeat nor hide hits");
    for n in 0..60 {
        fixture.put("i", &format!("d{n}"), json!({"n": 100, "k": "new"})).await.unwrap();
        fixture.put("i", &format!("fresh{n}"), json!({"n": 1})).await.unwrap();
    }
    fixture.write(WriteOp::new("i", Some("d90".to_owned()), Action::Delete)).await.unwrap();
    fixture.refresh("i").await;
    assert_eq!(fixture.search("i", json!({})).await.unwrap().total.unwrap().value, 112 + 60 + 2 - 1);
    assert_eq!(paged(&fixture, &body, Some(&pit)).await, before);
    let mut request =
        SearchRequest::parse(&json!({"query": {"ids": {"values": ["d90", "d1"]}}, "sort": ["_doc"]}))
            .unwrap();
    request.pit = Some(pit.clone());
    let mut old = fixture.store.search(request.clone()).await.unwrap();
    // In which order documents stand within an index is up to it.
    old.hits.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(ids(&old), ["d1", "d90"]);
    assert_eq!(&old.hits[0].source.as_ref().unwrap()[..], br#"{"n":1,"k":"k1"}"#);
    // The index itself may go; what the point in time holds stays readable.
    fixture.store.delete_index("i").unwrap();
    assert_eq!(fixture.store.search(request.clone()).await.unwrap().hits.len(), 2);
    assert!(fixture.store.close_pit(&pit));
    assert_eq!(fixture.store.search(request).await.unwrap_err().status(), 404);
    assert!(!fixture.store.close_pit(&pit));
}

#[tokio::test]
async fn a_point_in_time_expires_when_unused() {
    let fixture = scattered().await;
    let pit = fixture.store.open_pit(&["i".to_owned()], 50).await.unwrap();
    assert_eq!(fixture.store.open_pits(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    assert_eq!(fixture.store.open_pits(), 0);
    let mut request = SearchRequest::new(Vec::new());
    request.pit = Some(pit);
    assert_eq!(
        fixture.store.search(request).await.unwrap_err().es_type(),
        "search_context_missing_exception"
    );
}

#[tokio::test]
async fn a_filter_hides_documents_without_changing_scores() {
    let fixture = Fixture::with_index("i", json!({}));
    fixture
        .fill(
            "i",
            &[json!({"t": "fox one", "k": 1}), json!({"t": "fox two words", "k": 2}), json!({"t": "dog"})],
        )
        .await;
    let mut request = SearchRequest::parse(&json!({"query": {"match": {"t": "fox"}}})).unwrap();
    request.indices = vec!["i".to_owned()];
    let open = fixture.store.search(request.clone()).await.unwrap();
    request.filter = Some(tributary_store::Query::term("k", 2));
    let filtered = fixture.store.search(request).await.unwrap();
    assert_eq!(ids(&filtered), ["2"]);
    let score = |response: &SearchResponse| response.hits.iter().find(|hit| hit.id == "2").unwrap().score;
    assert_eq!(score(&filtered), score(&open));
}

#[tokio::test]
async fn several_indices_are_searched_as_one() {
    let fixture = Fixture::with_index("a", json!({"properties": {"n": {"type": "long"}}}));
    fixture.create("b", json!({"properties": {"n": {"type": "long"}}}));
    fixture.fill("a", &[json!({"n": 1}), json!({"n": 3})]).await;
    fixture.fill("b", &[json!({"n": 2}), json!({"n": 4})]).await;
    let mut request = SearchRequest::parse(&json!({"sort": [{"n": "desc"}], "size": 3})).unwrap();
    request.indices = vec!["a".to_owned(), "b".to_owned()];
    let response = fixture.store.search(request).await.unwrap();
    let found: Vec<(String, String)> =
        response.hits.iter().map(|hit| (hit.index.clone(), hit.id.clone())).collect();
    let wanted = [("b", "2"), ("a", "2"), ("b", "1")];
    assert_eq!(found, wanted.map(|(index, id)| (index.to_owned(), id.to_owned())));
    assert_eq!((response.total.unwrap().value, response.shards), (4, 2));
}
