//! Bodies of `_search`, parsed and executed over an index of all types of field.

use std::cell::LazyCell;

use serde_json::{Map, Value, json};

use crate::world::World;

const DOCS: u64 = 40;

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(filled) };
}

fn filled() -> World {
    let world = World::open();
    let mappings = json!({"mappings": {"properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "tag": {"type": "keyword"}, "n": {"type": "long"}, "x": {"type": "double"}, "flag": {"type": "boolean"},
        "at": {"type": "date"}, "ip": {"type": "ip"}, "deep": {"properties": {"name": {"type": "text"}}},
    }}});
    assert_eq!(world.json("PUT", "/docs", &mappings).status, 200);
    let mut body = String::new();
    for n in 0..DOCS {
        let words =
            ["quick brown fox", "lazy dog", "the river runs", "tributary of a river", "Ünïcode ß 東京"];
        let word = words[n as usize % words.len()];
        let mut doc = json!({
            "title": format!("{word} {n}"), "tag": [format!("t{}", n % 7), "all"], "n": n as i64 - 20, "x": n as f64 / 3.0,
            "flag": n % 2 == 0, "at": format!("2026-{:02}-{:02}T0{}:00:00Z", n % 12 + 1, n % 28 + 1, n % 10),
            "ip": format!("10.0.{}.{}", n / 8, n), "deep": {"name": format!("deep {n}")}, "extra": n % 3,
        });
        if n % 5 == 0 {
            doc = json!({"title": "", "n": null});
        }
        body.push_str(&format!("{}\n{doc}\n", json!({"index": {"_id": n.to_string()}})));
    }
    let written = world.send("POST", "/docs/_bulk?refresh=true", body.as_bytes());
    assert_eq!((written.status, &written.body["errors"]), (200, &json!(false)));
    world
}

pub(crate) fn law(input: &[u8]) {
    WORLD.with(|world| {
        let found = world.send("POST", "/docs/_search", input);
        if found.status != 200 {
            return;
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(input) else { return };
        let hits = ids(&found.body);
        let size = body.get("size").and_then(Value::as_u64).unwrap_or(10);
        assert!(hits.len() as u64 <= size.min(DOCS), "{} hits", hits.len());
        let mut distinct = hits.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), hits.len(), "a document is found once");
        if let Some(query) = body.get("query").filter(|query| query.is_object()) {
            counted(world, query, &body, &found.body);
        }
        paged(world, &body);
    });
}

fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    hits.iter().map(|hit| hit["_id"].as_str().expect("an id").to_owned()).collect()
}

/// A query finds as many documents inside other queries as alone, and its opposite finds the rest.
fn counted(world: &World, query: &Value, body: &Map<String, Value>, found: &Value) {
    let count = |query: Value| {
        let answer = world.json("POST", "/docs/_count", &json!({"query": query}));
        (answer.status == 200).then(|| answer.body["count"].as_u64().expect("a count"))
    };
    let Some(alone) = count(query.clone()) else {
        panic!("a query that can be searched can be counted: {query}")
    };
    assert!(alone <= DOCS);
    // One more level of nesting may be one too many.
    if let Some(filtered) = count(json!({"bool": {"filter": [query]}})) {
        assert_eq!(filtered, alone, "as a filter: {query}");
    }
    if let Some(rest) = count(json!({"bool": {"must_not": [query]}})) {
        assert_eq!(rest, DOCS - alone, "the opposite: {query}");
    }
    if let Some(twice) = count(json!({"bool": {"should": [query, query], "minimum_should_match": 2}})) {
        assert_eq!(twice, alone, "twice: {query}");
    }
    let plain = ["query", "from", "size", "sort", "_source", "aggs", "highlight", "fields", "track_scores"];
    if body.keys().all(|key| plain.contains(&key.as_str())) {
        assert_eq!(found["hits"]["total"]["value"], alone, "searched and counted: {query}");
    }
}

/// A small page is the beginning of a large one.
fn paged(world: &World, body: &Map<String, Value>) {
    if ["from", "search_after", "pit", "collapse", "rescore", "slice"]
        .iter()
        .any(|key| body.contains_key(*key))
    {
        return;
    }
    let page = |size: u64| {
        let mut body = body.clone();
        body.insert("size".to_owned(), size.into());
        let answer = world.json("POST", "/docs/_search", &Value::Object(body));
        (answer.status == 200).then(|| ids(&answer.body))
    };
    let (Some(small), Some(large)) = (page(7), page(DOCS)) else { return };
    assert_eq!(small, large[..large.len().min(7)], "a page differs from the beginning of a longer one");
}
