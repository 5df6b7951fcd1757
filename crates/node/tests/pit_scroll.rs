//! Points in time and scrolls through the router.
#![allow(clippy::unwrap_used)]

mod kit;

use std::time::Duration;

use kit::{Kit, error, ids, steady};
use serde_json::{Value, json};

async fn numbers() -> Kit {
    let kit = Kit::open();
    let docs: Vec<(String, Value)> = (0..7)
        .map(|n| {
            (format!("d{n}"), json!({"n": n, "t": if n % 2 == 0 { "fox fox" } else { "fox and a dog" }}))
        })
        .collect();
    let docs: Vec<(&str, Value)> = docs.iter().map(|(id, doc)| (id.as_str(), doc.clone())).collect();
    kit.index("aa", Value::Null, &docs).await;
    kit.index("ab", Value::Null, &[("x", json!({"n": 100, "t": "fox"}))]).await;
    kit
}

async fn open_pit(kit: &Kit, path: &str) -> String {
    let (status, answer) = kit.call("POST", path).await;
    assert_eq!(status, 200, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

fn gone(id: &str) -> Value {
    let cause = json!({"type": "search_context_missing_exception", "reason": format!("No search context found for id [{id}]")});
    json!({"error": {
        "root_cause": [cause], "type": "search_phase_execution_exception", "reason": "all shards failed", "phase": "query",
        "grouped": true, "failed_shards": [{"shard": -1, "index": null, "reason": cause}], "caused_by": cause,
    }, "status": 404})
}

#[tokio::test]
async fn a_point_in_time_shows_what_was_there_when_it_was_opened() {
    let kit = numbers().await;
    let (status, answer) = kit.call("POST", "/aa,ab/_pit?keep_alive=1m").await;
    assert_eq!(
        (status, &answer["_shards"]),
        (200, &json!({"total": 2, "successful": 2, "skipped": 0, "failed": 0}))
    );
    let id = answer["id"].as_str().unwrap();
    kit.put("aa", &[("later", json!({"n": 50}))]).await;
    let (status, answer) = kit
        .json(
            "POST",
            "/_search",
            json!({"size": 2, "sort": [{"n": "desc"}], "pit": {"id": id, "keep_alive": "1m"}}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["pit_id"], &answer["hits"]["total"]["value"]), (&json!(id), &json!(8)));
    assert_eq!(ids(&answer), ["x", "d6"]);
    assert_eq!(
        answer["hits"]["hits"][0]["sort"].as_array().unwrap().len(),
        2,
        "the place is added to the sort values"
    );
    assert_eq!(
        answer.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["pit_id", "took", "timed_out", "_shards", "hits"]
    );
}

#[tokio::test]
async fn pages_by_search_after_meet_every_document_once() {
    let kit = numbers().await;
    for sort in [
        json!(["_shard_doc"]),
        json!([{"n": "desc"}]),
        json!([{"_score": "desc"}]),
        json!([{"t.keyword": "asc"}]),
    ] {
        let id = open_pit(&kit, "/aa,ab/_pit?keep_alive=1m").await;
        let (mut seen, mut after) = (Vec::new(), None);
        for _ in 0..10 {
            let mut body = json!({"size": 3, "sort": sort, "pit": {"id": id}, "query": {"match": {"t": "fox"}}, "track_total_hits": false});
            if let Some(after) = after {
                body["search_after"] = after;
            }
            let (status, answer) = kit.json("POST", "/_search", body).await;
            assert_eq!(status, 200, "{answer}");
            let hits = answer["hits"]["hits"].as_array().unwrap();
            let Some(last) = hits.last() else { break };
            after = Some(last["sort"].clone());
            seen.extend(ids(&answer).into_iter().map(str::to_owned));
        }
        let mut unique = seen.clone();
        unique.sort();
        unique.dedup();
        assert_eq!((seen.len(), unique.len()), (8, 8), "{sort}: {seen:?}");
    }
}

#[tokio::test]
async fn a_closed_point_in_time_is_gone() {
    let kit = numbers().await;
    let id = open_pit(&kit, "/aa/_pit?keep_alive=1m").await;
    assert_eq!(
        kit.json("DELETE", "/_pit", json!({"id": id})).await,
        (200, json!({"succeeded": true, "num_freed": 1}))
    );
    assert_eq!(
        kit.json("DELETE", "/_pit", json!({"id": id})).await,
        (404, json!({"succeeded": false, "num_freed": 0}))
    );
    assert_eq!(kit.json("POST", "/_search", json!({"pit": {"id": id}})).await, (404, gone(&id)));
}

#[tokio::test]
async fn a_point_in_time_expires() {
    let kit = numbers().await;
    let id = open_pit(&kit, "/aa/_pit?keep_alive=50ms").await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(kit.json("POST", "/_search", json!({"pit": {"id": id}})).await.0, 404);
}

#[tokio::test]
async fn points_in_time_refuse_what_does_not_go_with_them() {
    let kit = numbers().await;
    let table = [
        (
            "/aa/_pit",
            "action_request_validation_exception",
            "Validation Failed: 1: [keep_alive] is not specified;",
        ),
        (
            "/aa/_pit?keep_alive=x",
            "illegal_argument_exception",
            "failed to parse setting [keep_alive] with value [x] as a time value: unit is missing or unrecognized",
        ),
    ];
    for (path, es_type, reason) in table {
        let (status, answer) = kit.call("POST", path).await;
        assert_eq!((status, error(&answer)), (400, (es_type, reason)), "{path}");
    }
    assert_eq!(kit.call("POST", "/nope/_pit?keep_alive=1m").await.0, 404);
    let (status, answer) = kit.json("POST", "/aa/_pit?keep_alive=1m", json!({"foo": 1})).await;
    assert_eq!((status, error(&answer).1), (400, "[1:2] [open_point_in_time_request] unknown field [foo]"));
    let id = open_pit(&kit, "/aa/_pit?keep_alive=1m").await;
    let (_, answer) = kit.json("POST", "/aa/_search", json!({"pit": {"id": id}})).await;
    let reason = "Validation Failed: 1: [indices] cannot be used with point in time. Do not specify any index with point in time.;";
    assert_eq!(error(&answer).1, reason);
    let (_, answer) =
        kit.json("POST", "/_search?scroll=1m&routing=1&preference=x", json!({"pit": {"id": id}})).await;
    let reason = "Validation Failed: 1: using [point in time] is not allowed in a scroll context;2: [routing] cannot be used with \
                  point in time;3: [preference] cannot be used with point in time;";
    assert_eq!(error(&answer).1, reason);
    assert_eq!(
        error(&kit.json("DELETE", "/_pit", json!({})).await.1).1,
        "search context id is is not provided"
    );
    assert_eq!(error(&kit.call("DELETE", "/_pit").await.1).1, "request body or source parameter is required");
}

#[tokio::test]
async fn a_scroll_meets_every_document_once_in_every_order() {
    let kit = numbers().await;
    for params in ["", "&sort=n:desc", "&sort=_doc", "&q=t:fox", "&sort=t.keyword"] {
        let (status, first) = kit.call("GET", &format!("/aa,ab/_search?scroll=1m&size=3{params}")).await;
        assert_eq!(status, 200, "{first}");
        let id = first["_scroll_id"].as_str().unwrap().to_owned();
        let mut seen: Vec<String> = ids(&first).into_iter().map(str::to_owned).collect();
        let sorted = first["hits"]["hits"][0].get("sort").map(|values| values.as_array().unwrap().len());
        assert_eq!(sorted, if params.contains("sort") { Some(1) } else { None }, "{params}");
        // What is written after the beginning is not met.
        kit.put("aa", &[("later", json!({"n": 50, "t": "fox"}))]).await;
        for _ in 0..10 {
            let (status, page) =
                kit.json("POST", "/_search/scroll", json!({"scroll_id": id, "scroll": "1m"})).await;
            assert_eq!((status, &page["_scroll_id"]), (200, &json!(id)));
            assert_eq!(page["hits"]["total"], first["hits"]["total"]);
            assert_eq!(page["hits"]["max_score"], first["hits"]["max_score"]);
            if ids(&page).is_empty() {
                break;
            }
            seen.extend(ids(&page).into_iter().map(str::to_owned));
        }
        let (_, again) = kit.json("POST", "/_search/scroll", json!({"scroll_id": id, "scroll": "1m"})).await;
        assert_eq!(ids(&again), Vec::<&str>::new(), "the end stays the end");
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(
            (count, seen.len(), seen.contains(&"later".to_owned())),
            (8, 8, false),
            "{params}: {seen:?}"
        );
        assert_eq!(
            kit.call("DELETE", &format!("/_search/scroll/{id}")).await,
            (200, json!({"succeeded": true, "num_freed": 1}))
        );
        let delete = kit
            .store
            .write(vec![tributary_store::WriteOp::new(
                "aa",
                Some("later".into()),
                tributary_store::Action::Delete,
            )])
            .await;
        assert!(delete[0].is_ok());
        kit.store.refresh(&["aa".to_owned()]).await.unwrap();
    }
    assert_eq!(kit.store.open_pits(), 0, "ended scrolls hold nothing");
}

#[tokio::test]
async fn the_first_page_of_a_scroll_has_elasticsearchs_shape() {
    let kit = numbers().await;
    let (_, mut answer) = kit.call("GET", "/ab/_search?scroll=1m").await;
    answer["_scroll_id"] = json!("");
    let wanted = json!({
        "_scroll_id": "", "took": 0, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"total": {"value": 1, "relation": "eq"}, "max_score": 1.0, "hits": [
            {"_index": "ab", "_id": "x", "_score": 1.0, "_source": {"n": 100, "t": "fox"}},
        ]},
    });
    assert_eq!(steady(answer).to_string(), wanted.to_string());
}

#[tokio::test]
async fn a_scroll_that_ended_is_gone() {
    let kit = numbers().await;
    let start = async |keep: &str| {
        let (_, answer) = kit.call("GET", &format!("/aa/_search?size=2&scroll={keep}")).await;
        answer["_scroll_id"].as_str().unwrap().to_owned()
    };
    let id = start("1m").await;
    let (status, answer) =
        kit.call("GET", &format!("/_search/scroll?scroll_id={id}&rest_total_hits_as_int=true")).await;
    assert_eq!((status, &answer["hits"]["total"]), (200, &json!(7)));
    let (status, answer) = kit.call("GET", &format!("/_search/scroll/{id}")).await;
    assert_eq!((status, answer), (404, gone(&id)), "without a time the scroll ended with the page before");
    let id = start("50ms").await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(kit.json("POST", "/_search/scroll", json!({"scroll_id": id})).await, (404, gone(&id)));
    let (one, _two, _three) = (start("1m").await, start("1m").await, start("1m").await);
    assert_eq!(
        kit.json("DELETE", "/_search/scroll", json!({"scroll_id": [one]})).await.1["num_freed"],
        json!(1)
    );
    assert_eq!(
        kit.json("DELETE", "/_search/scroll", json!({"scroll_id": one})).await,
        (404, json!({"succeeded": true, "num_freed": 0}))
    );
    assert_eq!(
        kit.call("DELETE", "/_search/scroll/_all").await,
        (200, json!({"succeeded": true, "num_freed": 2}))
    );
}

#[tokio::test]
async fn scrolls_refuse_what_they_cannot_do() {
    let kit = numbers().await;
    let table = [
        (
            "GET",
            "/aa/_search?scroll=1m&size=0",
            Value::Null,
            "Validation Failed: 1: [size] cannot be [0] in a scroll context;",
        ),
        (
            "GET",
            "/aa/_search?scroll=1m&from=2",
            json!({"sort": ["n"], "search_after": [1], "track_total_hits": false}),
            "Validation Failed: 1: disabling [track_total_hits] is not allowed in a scroll context;2: using [from] is not allowed in \
             a scroll context;3: [search_after] cannot be used in a scroll context;4: [from] parameter must be set to 0 when \
             [search_after] is used;",
        ),
        ("POST", "/_search/scroll", json!({}), "Validation Failed: 1: scrollId is missing;"),
        ("POST", "/_search/scroll", json!({"scroll_id": "abc"}), "Cannot parse scroll id"),
        (
            "POST",
            "/_search/scroll",
            json!({"scroll_id": 5}),
            "Unknown parameter [scroll_id] in request body or parameter is of the wrong type[VALUE_NUMBER] ",
        ),
        (
            "POST",
            "/_search/scroll",
            json!({"scroll": "1x"}),
            "failed to parse setting [scroll] with value [1x] as a time value: unit is missing or unrecognized",
        ),
        ("DELETE", "/_search/scroll", json!({}), "Validation Failed: 1: no scroll ids specified;"),
    ];
    for (method, path, body, reason) in table {
        let (status, answer) =
            if body.is_null() { kit.call(method, path).await } else { kit.json(method, path, body).await };
        assert_eq!((status, error(&answer).1), (400, reason), "{method} {path}");
    }
}

#[tokio::test]
async fn scrolls_are_bounded_in_number() {
    let kit = numbers().await;
    let mut refused = None;
    for _ in 0..501 {
        let (status, answer) = kit.call("GET", "/ab/_search?scroll=1m").await;
        if status != 200 {
            refused = Some((status, answer));
        }
    }
    let (status, answer) = refused.unwrap();
    assert_eq!(status, 429, "{answer}");
    assert_eq!(kit.call("DELETE", "/_search/scroll/_all").await.1["num_freed"], json!(500));
    assert_eq!(kit.store.open_pits(), 0);
}
