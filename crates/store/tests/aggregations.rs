//! Aggregations answer as Elasticsearch does. The fixture holds searches with the answers of a real Elasticsearch 9.4.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, difference};
use serde_json::{Value, json};

fn recorded() -> Value {
    serde_json::from_str(include_str!("elasticsearch/aggregations.json")).unwrap()
}

/// What is wrong with the answer to one recorded search.
async fn compare(fixture: &Fixture, search: &Value) -> Option<String> {
    let body = json!({"query": search["query"], "aggs": search["aggs"], "size": 0});
    let result = fixture.search("s", body).await;
    let problem = match (search.get("answer"), result) {
        (Some(wanted), Ok(response)) => {
            difference("", wanted, &Value::Object(response.aggregations.unwrap()))
        }
        (Some(_), Err(error)) => Some(format!("refused: {error}")),
        (None, Ok(response)) => Some(format!("not refused but {:?}", response.aggregations)),
        (None, Err(error)) => {
            let wanted = json!([search["status"], search["type"], search["reason"]]);
            difference("", &wanted, &json!([error.status(), error.es_type(), error.reason()]))
        }
    };
    problem.map(|problem| format!("{} with {}: {problem}", search["aggs"], search["query"]))
}

#[tokio::test]
async fn answers_are_those_of_elasticsearch() {
    let recorded = recorded();
    let fixture = Fixture::with_index("s", recorded["mappings"].clone());
    fixture.fill("s", recorded["documents"].as_array().unwrap()).await;
    let mut problems = Vec::new();
    for search in recorded["searches"].as_array().unwrap() {
        problems.extend(compare(&fixture, search).await);
    }
    assert!(problems.is_empty(), "{} differ:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn documents_in_several_segments_and_indices_are_one_set() {
    let recorded = recorded();
    let fixture = Fixture::with_index("s", recorded["mappings"].clone());
    fixture.create("other", recorded["mappings"].clone());
    for round in 0..3 {
        fixture.put("s", &format!("x{round}"), json!({"k": ["a", "b"], "n": round})).await.unwrap();
        fixture.refresh("s").await;
        fixture.search("s", json!({})).await.unwrap();
    }
    fixture.fill("other", &[json!({"k": "a", "n": 10}), json!({"k": "c"})]).await;
    let body =
        json!({"size": 0, "aggs": {"k": {"terms": {"field": "k"}, "aggs": {"n": {"sum": {"field": "n"}}}}}});
    let mut request = tributary_store::SearchRequest::parse(&body).unwrap();
    request.indices = vec!["s".to_owned(), "other".to_owned()];
    let response = fixture.store.search(request).await.unwrap();
    let wanted = json!({"k": {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [
        {"key": "a", "doc_count": 4, "n": {"value": 13.0}},
        {"key": "b", "doc_count": 3, "n": {"value": 3.0}},
        {"key": "c", "doc_count": 1, "n": {"value": 0.0}},
    ]}});
    assert_eq!(Value::Object(response.aggregations.unwrap()), wanted);
}

#[tokio::test]
async fn empty_terms_are_shown_when_asked_for() {
    let recorded = recorded();
    let fixture = Fixture::with_index("s", recorded["mappings"].clone());
    fixture.fill("s", recorded["documents"].as_array().unwrap()).await;
    let aggs = json!({"k": {"terms": {"field": "k", "min_doc_count": 0}}, "n": {"terms": {"field": "n", "min_doc_count": 0, "size": 2}}});
    let response =
        fixture.search("s", json!({"size": 0, "query": {"term": {"_id": "1"}}, "aggs": aggs})).await.unwrap();
    let answer = response.aggregations.unwrap();
    let counts = |name: &str| -> Vec<(Value, u64)> {
        let buckets = answer[name]["buckets"].as_array().unwrap();
        buckets.iter().map(|b| (b["key"].clone(), b["doc_count"].as_u64().unwrap())).collect()
    };
    assert_eq!(counts("k"), [(json!("a"), 1), (json!("b"), 1), (json!("c"), 0)]);
    assert_eq!(counts("n"), [(json!(1), 1), (json!(-3), 0)]);
}

#[tokio::test]
async fn partitions_of_terms_cover_every_term_once() {
    let fixture = Fixture::with_index("s", json!({"properties": {"k": {"type": "keyword"}}}));
    let documents: Vec<Value> = (0..50).map(|n| json!({"k": format!("term{n}")})).collect();
    fixture.fill("s", &documents).await;
    let mut seen = Vec::new();
    for partition in 0..4 {
        let include = json!({"partition": partition, "num_partitions": 4});
        let aggs = json!({"k": {"terms": {"field": "k", "size": 100, "include": include}}});
        let answer =
            fixture.search("s", json!({"size": 0, "aggs": aggs})).await.unwrap().aggregations.unwrap();
        seen.extend(
            answer["k"]["buckets"].as_array().unwrap().iter().map(|b| b["key"].as_str().unwrap().to_owned()),
        );
    }
    seen.sort();
    let mut wanted: Vec<String> = (0..50).map(|n| format!("term{n}")).collect();
    wanted.sort();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_post_filter_does_not_restrict_aggregations_but_a_filter_does() {
    let fixture = Fixture::with_index("s", json!({"properties": {"k": {"type": "keyword"}}}));
    fixture.fill("s", &[json!({"k": "a"}), json!({"k": "b"}), json!({"k": "b"})]).await;
    let aggs = json!({"n": {"value_count": {"field": "k"}}, "g": {"global": {}}});
    let body = json!({"size": 0, "post_filter": {"term": {"k": "a"}}, "aggs": aggs});
    let response = fixture.search("s", body).await.unwrap();
    assert_eq!(response.total.unwrap().value, 1);
    assert_eq!(
        Value::Object(response.aggregations.unwrap()),
        json!({"n": {"value": 3}, "g": {"doc_count": 3}})
    );
    let mut request = tributary_store::SearchRequest::parse(&json!({"size": 0, "aggs": aggs})).unwrap();
    request.indices = vec!["s".to_owned()];
    request.filter = Some(tributary_store::Query::term("k", "b"));
    let answer = fixture.store.search(request).await.unwrap().aggregations.unwrap();
    assert_eq!(Value::Object(answer), json!({"n": {"value": 2}, "g": {"doc_count": 2}}));
}

#[tokio::test]
async fn without_an_index_there_are_no_aggregations() {
    let fixture = Fixture::new();
    let request =
        tributary_store::SearchRequest::parse(&json!({"aggs": {"a": {"avg": {"field": "n"}}}})).unwrap();
    assert!(fixture.store.search(request).await.unwrap().aggregations.is_none());
}

#[tokio::test]
async fn what_the_store_cannot_do_is_refused_by_name() {
    let fixture = Fixture::with_index("s", json!({}));
    let error =
        fixture.search("s", json!({"aggs": {"a": {"significant_terms": {"field": "k"}}}})).await.unwrap_err();
    assert_eq!(error.status(), 400);
    assert_eq!(
        error.reason(),
        "aggregations of type [significant_terms] are not supported by the embedded node"
    );
}

#[tokio::test]
async fn pages_of_combinations_are_together_all_of_them() {
    let mappings = json!({"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}});
    let fixture = Fixture::with_index("s", mappings);
    for round in 0..4 {
        for at in 0..10 {
            let document = match at % 3 {
                0 => json!({"k": ["a", "b"], "n": [at, at + round]}),
                1 => json!({"k": "c", "n": at}),
                _ => json!({"n": at}),
            };
            fixture.put("s", &format!("{round}-{at}"), document).await.unwrap();
        }
        // Each round is a segment of its own.
        fixture.refresh("s").await;
    }
    let page = async |size: usize, after: &Value| {
        let k = json!({"k": {"terms": {"field": "k", "missing_bucket": true, "order": "desc"}}});
        let n = json!({"n": {"histogram": {"field": "n", "interval": 2}}});
        let mut composite = json!({"size": size, "sources": [k, n]});
        if !after.is_null() {
            composite["after"] = after.clone();
        }
        let body = json!({"size": 0, "aggs": {"p": {"composite": composite}}});
        fixture.search("s", body).await.unwrap().aggregations.unwrap().remove("p").unwrap()
    };
    let all = page(1_000, &Value::Null).await["buckets"].clone();
    assert!(all.as_array().unwrap().len() > 10, "{all}");
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let next = page(3, &after).await;
        let buckets = next["buckets"].as_array().unwrap().clone();
        if buckets.is_empty() {
            break;
        }
        assert_eq!(next["after_key"], buckets[buckets.len() - 1]["key"]);
        assert!(buckets.len() <= 3);
        after = next["after_key"].clone();
        found.extend(buckets);
    }
    assert_eq!(Value::Array(found), all);
}
