//! Random documents and queries: what search finds is what a plain look at each document finds, also after documents
//! were replaced and deleted, and after the store was opened again.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Fixture, index_op};
use proptest::prelude::*;
use serde_json::{Value, json};
use tributary_store::{Action, Query, SearchRequest, WriteOp};

const KEYWORDS: [&str; 5] = ["a", "b", "ab", "B", ""];
const WORDS: [&str; 4] = ["red", "green", "blue", "grey"];

/// A condition that both the store and a plain look can decide.
#[derive(Debug, Clone)]
enum Ask {
    All,
    Keyword(usize),
    Keywords(Vec<usize>),
    Number(i64),
    Word(usize),
    Flag(bool),
    Between { low: Option<(i64, bool)>, high: Option<(i64, bool)> },
    Fraction { low: f64 },
    KeywordFrom { low: usize },
    Prefix(String),
    Exists(&'static str),
    Ids(Vec<u8>),
    Bool { must: Vec<Ask>, filter: Vec<Ask>, should: Vec<Ask>, must_not: Vec<Ask>, least: Option<usize> },
}

fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().filter(|value| !value.is_null()).cloned().collect(),
        Some(one) => vec![one.clone()],
    }
}

fn within(value: i64, low: Option<(i64, bool)>, high: Option<(i64, bool)>) -> bool {
    let above = low.is_none_or(|(low, included)| value > low || (included && value == low));
    above && high.is_none_or(|(high, included)| value < high || (included && value == high))
}

impl Ask {
    fn query(&self) -> Value {
        match self {
            Self::All => json!({"match_all": {}}),
            Self::Keyword(at) => json!({"term": {"k": KEYWORDS[*at]}}),
            Self::Keywords(list) => {
                json!({"terms": {"k": list.iter().map(|at| KEYWORDS[*at]).collect::<Vec<_>>()}})
            }
            Self::Number(n) => json!({"term": {"n": n}}),
            Self::Word(at) => json!({"match": {"t": WORDS[*at]}}),
            Self::Flag(on) => json!({"term": {"b": on}}),
            Self::Between { low, high } => {
                let mut bounds = serde_json::Map::new();
                for (bound, open, closed) in [(low, "gt", "gte"), (high, "lt", "lte")] {
                    if let Some((value, included)) = bound {
                        bounds.insert(if *included { closed } else { open }.to_owned(), json!(value));
                    }
                }
                json!({"range": {"n": bounds}})
            }
            Self::Fraction { low } => json!({"range": {"f": {"gt": low}}}),
            Self::KeywordFrom { low } => json!({"range": {"k": {"gte": KEYWORDS[*low]}}}),
            Self::Prefix(text) => json!({"prefix": {"k": text}}),
            Self::Exists(field) => json!({"exists": {"field": field}}),
            Self::Ids(ids) => {
                json!({"ids": {"values": ids.iter().map(|id| format!("d{id}")).collect::<Vec<_>>()}})
            }
            Self::Bool { must, filter, should, must_not, least } => {
                let all = |asks: &[Ask]| asks.iter().map(Ask::query).collect::<Vec<_>>();
                let mut body = json!({
                    "must": all(must), "filter": all(filter), "should": all(should), "must_not": all(must_not),
                });
                if let Some(least) = least {
                    body["minimum_should_match"] = json!(least);
                }
                json!({"bool": body})
            }
        }
    }

    fn admits(&self, id: &str, doc: &Value) -> bool {
        let values = |field: &str| list(doc.get(field));
        match self {
            Self::All => true,
            Self::Keyword(at) => values("k").contains(&json!(KEYWORDS[*at])),
            Self::Keywords(list) => list.iter().any(|at| values("k").contains(&json!(KEYWORDS[*at]))),
            Self::Number(n) => values("n").contains(&json!(n)),
            Self::Word(at) => values("t")
                .iter()
                .any(|text| text.as_str().unwrap().split(' ').any(|word| word == WORDS[*at])),
            Self::Flag(on) => values("b").contains(&json!(on)),
            Self::Between { low, high } => {
                values("n").iter().any(|n| within(n.as_i64().unwrap(), *low, *high))
            }
            Self::Fraction { low } => values("f").iter().any(|f| f.as_f64().unwrap() > *low),
            Self::KeywordFrom { low } => values("k").iter().any(|k| k.as_str().unwrap() >= KEYWORDS[*low]),
            Self::Prefix(text) => values("k").iter().any(|k| k.as_str().unwrap().starts_with(text.as_str())),
            Self::Exists(field) => !values(field).is_empty(),
            Self::Ids(ids) => ids.iter().any(|wanted| id == format!("d{wanted}")),
            Self::Bool { must, filter, should, must_not, least } => {
                let admits = |ask: &Ask| ask.admits(id, doc);
                let required = usize::from(must.is_empty() && filter.is_empty() && !should.is_empty());
                must.iter().chain(filter).all(admits)
                    && !must_not.iter().any(admits)
                    && should.iter().filter(|ask| admits(ask)).count() >= least.unwrap_or(required)
            }
        }
    }
}

fn leaf() -> impl Strategy<Value = Ask> {
    let bound = || proptest::option::of((-4..8i64, any::<bool>()));
    prop_oneof![
        Just(Ask::All),
        (0..KEYWORDS.len()).prop_map(Ask::Keyword),
        prop::collection::vec(0..KEYWORDS.len(), 0..3).prop_map(Ask::Keywords),
        (-4..8i64).prop_map(Ask::Number),
        (0..WORDS.len()).prop_map(Ask::Word),
        any::<bool>().prop_map(Ask::Flag),
        (bound(), bound()).prop_map(|(low, high)| Ask::Between { low, high }),
        (-2.0..2.0f64).prop_map(|low| Ask::Fraction { low }),
        (0..KEYWORDS.len()).prop_map(|low| Ask::KeywordFrom { low }),
        "[abB]{0,2}".prop_map(Ask::Prefix),
        prop::sample::select(vec!["k", "n", "t", "b", "f", "nope"]).prop_map(Ask::Exists),
        prop::collection::vec(0..30u8, 0..4).prop_map(Ask::Ids),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    leaf().prop_recursive(3, 24, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        (some(), some(), some(), some(), proptest::option::of(0..3usize)).prop_map(
            |(must, filter, should, must_not, least)| {
                let least = least.map(|least| least.min(should.len()));
                Ask::Bool { must, filter, should, must_not, least }
            },
        )
    })
}

fn several(values: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        3 => values.clone(),
        2 => prop::collection::vec(values, 0..3).prop_map(Value::Array),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let keyword = (0..KEYWORDS.len()).prop_map(|at| json!(KEYWORDS[at]));
    let text = prop::collection::vec(0..WORDS.len(), 1..4)
        .prop_map(|words| json!(words.iter().map(|at| WORDS[*at]).collect::<Vec<_>>().join(" ")));
    let fields = (
        several(keyword),
        several((-4..8i64).prop_map(|n| json!(n))),
        several(text),
        several(any::<bool>().prop_map(|on| json!(on))),
        several((-8..8i32).prop_map(|n| json!(f64::from(n) / 4.0))),
        0..64u8,
    );
    fields.prop_map(|(k, n, t, b, f, present)| {
        let fields = [("k", k), ("n", n), ("t", t), ("b", b), ("f", f)];
        let kept = fields.into_iter().enumerate().filter(|(at, _)| present & (1 << at) != 0);
        Value::Object(kept.map(|(_, (name, value))| (name.to_owned(), value)).collect())
    })
}

/// Puts and deletes of a few ids, with the places where the changes become visible.
fn changes() -> impl Strategy<Value = Vec<(u8, Option<Value>, bool)>> {
    let one =
        (0..30u8, prop_oneof![5 => document().prop_map(Some), 1 => Just(None)], prop::bool::weighted(0.04));
    prop::collection::vec(one, 1..60)
}

fn fixture() -> Fixture {
    Fixture::with_index(
        "i",
        json!({"properties": {
            "k": {"type": "keyword"}, "n": {"type": "long"}, "t": {"type": "text"}, "b": {"type": "boolean"},
            "f": {"type": "double"},
        }}),
    )
}

async fn apply(fixture: &Fixture, changes: &[(u8, Option<Value>, bool)]) -> BTreeMap<String, Value> {
    let mut model = BTreeMap::new();
    for (id, source, visible) in changes {
        let id = format!("d{id}");
        match source {
            Some(source) => {
                fixture.write(index_op("i", &id, source)).await.unwrap();
                model.insert(id, source.clone());
            }
            None => {
                fixture.write(WriteOp::new("i", Some(id.clone()), Action::Delete)).await.unwrap();
                model.remove(&id);
            }
        }
        if *visible {
            fixture.refresh("i").await;
            fixture.store.count(&["i".to_owned()], &Query::match_all()).await.unwrap();
        }
    }
    fixture.refresh("i").await;
    model
}

async fn check(
    fixture: &Fixture,
    model: &BTreeMap<String, Value>,
    asks: &[Ask],
) -> Result<(), TestCaseError> {
    for ask in asks {
        let wanted: Vec<&String> =
            model.iter().filter(|(id, doc)| ask.admits(id, doc)).map(|(id, _)| id).collect();
        // Scored and unscored queries take different ways.
        for sort in [json!(["_doc"]), json!(["_score"])] {
            let mut request =
                SearchRequest::parse(&json!({"query": ask.query(), "size": 100, "sort": sort})).unwrap();
            request.indices = vec!["i".to_owned()];
            let response = fixture.store.search(request).await.unwrap();
            let mut found = common::ids(&response);
            found.sort();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), wanted.clone(), "{}", ask.query());
            prop_assert_eq!(response.total.unwrap().value, wanted.len() as u64);
        }
        let query = Query::parse(&ask.query()).unwrap();
        let count = fixture.store.count(&["i".to_owned()], &query).await.unwrap();
        prop_assert_eq!(count, wanted.len() as u64, "count of {}", ask.query());
    }
    Ok(())
}

/// Few cases, as each opens a store; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { config.cases } else { 12 };
    ProptestConfig { cases, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn search_agrees_with_a_plain_look(changes in changes(), asks in prop::collection::vec(ask(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture();
            let model = apply(&fixture, &changes).await;
            check(&fixture, &model, &asks).await?;
            fixture.reopen();
            check(&fixture, &model, &asks).await
        })?;
    }

    #[test]
    fn buckets_of_terms_count_what_a_plain_look_counts(changes in changes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = fixture();
            let model = apply(&fixture, &changes).await;
            let aggs = json!({"k": {"terms": {"field": "k", "size": 100}, "aggs": {"n": {"sum": {"field": "n"}}}}});
            let answer = fixture.search("i", json!({"size": 0, "aggs": aggs})).await.unwrap().aggregations.unwrap();
            let mut wanted: BTreeMap<String, (u64, i64)> = BTreeMap::new();
            for doc in model.values() {
                let mut keys: Vec<String> = list(doc.get("k")).iter().map(|k| k.as_str().unwrap().to_owned()).collect();
                keys.sort();
                keys.dedup();
                let sum: i64 = list(doc.get("n")).iter().map(|n| n.as_i64().unwrap()).sum();
                for key in keys {
                    let bucket = wanted.entry(key).or_default();
                    *bucket = (bucket.0 + 1, bucket.1 + sum);
                }
            }
            let number = |value: &Value| value.as_f64().unwrap() as i64;
            let found: BTreeMap<String, (u64, i64)> = answer["k"]["buckets"].as_array().unwrap().iter().map(|bucket| {
                let key = bucket["key"].as_str().unwrap().to_owned();
                (key, (bucket["doc_count"].as_u64().unwrap(), number(&bucket["n"]["value"])))
            }).collect();
            prop_assert_eq!(found, wanted);
            Ok(())
        })?;
    }
}
