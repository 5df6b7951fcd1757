//! Bulk requests through the router: exact answers, conditions, pipelines, malformed lines.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use kit::{Kit, error, steady};
use serde_json::{Value, json};

fn lines(all: &[Value]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

/// The answer to each item, without the action's name.
fn items(answer: &Value) -> Vec<Value> {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("no items in {answer}"));
    items.iter().map(|item| item.as_object().unwrap().values().next().unwrap().clone()).collect()
}

#[tokio::test]
async fn answers_have_elasticsearchs_shape() {
    let kit = Kit::open();
    let body = lines(&[
        json!({"index": {"_index": "i", "_id": "1"}}),
        json!({"a": 1}),
        json!({"update": {"_index": "i", "_id": "1", "_source": true}}),
        json!({"doc": {"a": 2}}),
        json!({"update": {"_index": "i", "_id": "1"}}),
        json!({"doc": {"a": 2}}),
        json!({"delete": {"_index": "i", "_id": "1"}}),
    ]);
    let (status, answer) = kit.raw("POST", "/_bulk?refresh=true", &body).await;
    let shards = json!({"total": 2, "successful": 1, "failed": 0});
    assert_eq!(status, 200);
    assert_eq!(
        steady(answer),
        json!({"errors": false, "took": 0, "items": [
            {"index": {"_index": "i", "_id": "1", "_version": 1, "result": "created", "forced_refresh": true,
                "_shards": shards, "_seq_no": 0, "_primary_term": 1, "status": 201}},
            {"update": {"_index": "i", "_id": "1", "_version": 2, "result": "updated", "forced_refresh": true,
                "_shards": shards, "_seq_no": 1, "_primary_term": 1,
                "get": {"_seq_no": 1, "_primary_term": 1, "found": true, "_source": {"a": 2}}, "status": 200}},
            {"update": {"_index": "i", "_id": "1", "_version": 2, "result": "noop", "forced_refresh": true,
                "_shards": shards, "_seq_no": 1, "_primary_term": 1, "status": 200}},
            {"delete": {"_index": "i", "_id": "1", "_version": 3, "result": "deleted", "forced_refresh": true,
                "_shards": shards, "_seq_no": 2, "_primary_term": 1, "status": 200}},
        ]})
    );
}

#[tokio::test]
async fn an_item_that_fails_leaves_the_others_alone() {
    let kit = Kit::open();
    kit.index("i", json!({"properties": {"a": {"type": "long"}}}), &[("1", json!({"a": 1}))]).await;
    let body = lines(&[
        json!({"create": {"_id": "1"}}),
        json!({}),
        json!({"index": {"_id": "2"}}),
        json!({"a": "x"}),
        json!({"index": {"_id": "3", "if_seq_no": 9, "if_primary_term": 1}}),
        json!({}),
        json!({"index": {"_index": "BAD", "_id": "4"}}),
        json!({}),
        json!({"index": {"_id": "5", "pipeline": "nope"}}),
        json!({}),
        json!({"index": {"_id": "6", "require_alias": true}}),
        json!({}),
        json!({"index": {"_id": ""}}),
        json!({}),
        json!({"update": {"_id": "8"}}),
        json!({"doc": {}}),
        json!({"update": {"_id": "1"}}),
        json!({"script": "ctx._source.a = 2"}),
        json!({"index": {"_id": "9"}}),
        json!([1]),
        json!({"delete": {"_index": "gone", "_id": "1"}}),
        json!({"index": {"_id": "10"}}),
        json!({"a": 10}),
    ]);
    let (status, answer) = kit.raw("POST", "/i/_bulk", &body).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(true)));
    let found: Vec<(u64, String)> = items(&answer)
        .iter()
        .map(|item| {
            (item["status"].as_u64().unwrap(), item["error"]["type"].as_str().unwrap_or("").to_owned())
        })
        .collect();
    let wanted = [
        (409, "version_conflict_engine_exception"),
        (400, "document_parsing_exception"),
        (409, "version_conflict_engine_exception"),
        (400, "invalid_index_name_exception"),
        (400, "illegal_argument_exception"),
        (404, "index_not_found_exception"),
        (400, "illegal_argument_exception"),
        (404, "document_missing_exception"),
        (400, "illegal_argument_exception"),
        (400, "document_parsing_exception"),
        (404, "index_not_found_exception"),
        (201, ""),
    ];
    let found: Vec<(u64, &str)> = found.iter().map(|(status, kind)| (*status, kind.as_str())).collect();
    assert_eq!(found, wanted, "{answer}");
    assert_eq!(kit.call("GET", "/i/_doc/10").await.1["_source"], json!({"a": 10}));
}

#[tokio::test]
async fn a_condition_in_an_updates_body_holds() {
    let kit = Kit::open();
    kit.index("i", Value::Null, &[("1", json!({"a": 1}))]).await;
    let body = lines(&[
        json!({"update": {"_id": "1"}}),
        json!({"doc": {"a": 2}, "if_seq_no": 5, "if_primary_term": 1}),
        json!({"update": {"_id": "1", "if_seq_no": 5, "if_primary_term": 1}}),
        json!({"doc": {"a": 1}}),
        json!({"update": {"_id": "2", "if_seq_no": 5, "if_primary_term": 1}}),
        json!({"doc": {"a": 1}}),
        json!({"update": {"_id": "1", "if_seq_no": 0, "if_primary_term": 1}}),
        json!({"doc": {"a": 3}}),
    ]);
    let (_, answer) = kit.raw("POST", "/i/_bulk", &body).await;
    let statuses: Vec<u64> = items(&answer).iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [409, 409, 404, 200], "{answer}");
    assert_eq!(
        answer["items"][0]["update"]["error"]["reason"],
        "[1]: version conflict, required seqNo [5], primary term [1]. current document has seqNo [0] and primary term [1]"
    );
    assert_eq!(answer["items"][0]["update"]["error"]["shard"], "0");
    assert_eq!(kit.call("GET", "/i/_doc/1").await.1["_source"], json!({"a": 3}));
}

#[tokio::test]
async fn malformed_bulks_do_nothing() {
    let kit = Kit::open();
    let good = "{\"index\":{\"_id\":\"1\"}}\n{}\n";
    let table = [
        (
            "{\"foo\":{}}\n{}\n",
            "illegal_argument_exception",
            "Malformed action/metadata line [3], expected field [create], [delete], [index] or [update] but found [foo]",
        ),
        (
            "{\"index\":{\"foo\":1}}\n{}\n",
            "illegal_argument_exception",
            "Action/metadata line [3] contains an unknown parameter [foo]",
        ),
        (
            "{\"index\":{}}\n{}",
            "illegal_argument_exception",
            "The bulk request must be terminated by a newline [\\n]",
        ),
        (
            "{\"delete\":{}}\n{\"update\":{}}\n{\"doc\":{}}\n",
            "action_request_validation_exception",
            "Validation Failed: 1: id is missing;2: id is missing;",
        ),
        (
            "{\"index\":{\"_id\":\"1\",\"version\":3}}\n{}\n",
            "action_request_validation_exception",
            "Validation Failed: 1: internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and `if_primary_term` instead;",
        ),
        (
            "{\"create\":{\"_id\":\"1\",\"if_seq_no\":3,\"if_primary_term\":1}}\n{}\n",
            "action_request_validation_exception",
            "Validation Failed: 1: create operations do not support compare and set. use index instead;",
        ),
        (
            "{\"update\":{\"_id\":\"1\"}}\n{\"docc\":{}}\n",
            "x_content_parse_exception",
            "[1:2] [UpdateRequest] unknown field [docc] did you mean [doc]?",
        ),
        (
            "{\"update\":{\"_id\":\"1\"}}\n{}\n",
            "action_request_validation_exception",
            "Validation Failed: 1: script or doc is missing;",
        ),
    ];
    for (bad, kind, reason) in table {
        let (status, answer) = kit.raw("POST", "/i/_bulk", &format!("{good}{bad}")).await;
        assert_eq!((status, error(&answer)), (400, (kind, reason)), "{bad}");
    }
    for path in ["/i/_bulk?refresh=bad", "/i/_bulk?timeout=x", "/i/_bulk?foo=1"] {
        assert_eq!(kit.raw("POST", path, good).await.0, 400, "{path}");
    }
    assert_eq!(kit.call("HEAD", "/i").await.0, 404);
}

#[tokio::test]
async fn pipelines_run_on_documents_and_on_what_updates_create() {
    let kit = Kit::open();
    for name in ["p", "d"] {
        let body = json!({"processors": [{"append": {"field": name, "value": "x"}}]});
        assert_eq!(kit.json("PUT", &format!("/_ingest/pipeline/{name}"), body).await.0, 200);
    }
    let body = lines(&[
        json!({"index": {"_id": "1"}}),
        json!({"a": 1}),
        json!({"update": {"_id": "1"}}),
        json!({"doc": {"b": 1}}),
        json!({"update": {"_id": "2"}}),
        json!({"doc": {"c": 1}, "doc_as_upsert": true}),
        json!({"update": {"_id": "3"}}),
        json!({"doc": {"c": 1}, "upsert": {"u": 1}}),
        json!({"index": {"_id": "4", "pipeline": "_none"}}),
        json!({"a": 4}),
    ]);
    let (_, answer) = kit.raw("POST", "/i/_bulk?pipeline=p", &body).await;
    assert_eq!(answer["errors"], json!(false), "{answer}");
    assert!(answer["ingest_took"].is_u64());
    let sources = async |index: &str, ids: Value| {
        let (_, found) = kit.json("POST", &format!("/{index}/_mget"), json!({"ids": ids})).await;
        found["docs"].as_array().unwrap().iter().map(|doc| doc["_source"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        sources("i", json!(["1", "2", "3", "4"])).await,
        [json!({"a": 1, "p": ["x"], "b": 1}), json!({"c": 1}), json!({"u": 1, "p": ["x"]}), json!({"a": 4})]
    );
    kit.json("PUT", "/j", json!({"settings": {"default_pipeline": "p", "final_pipeline": "d"}})).await;
    let body = lines(&[
        json!({"index": {"_id": "1"}}),
        json!({"a": 1}),
        json!({"update": {"_id": "2"}}),
        json!({"doc": {"c": 1}, "doc_as_upsert": true}),
    ]);
    assert_eq!(kit.raw("POST", "/j/_bulk", &body).await.1["errors"], json!(false));
    assert_eq!(kit.json("POST", "/j/_update/1", json!({"doc": {"b": 1}})).await.0, 200);
    assert_eq!(kit.json("POST", "/j/_update/1", json!({"doc": {"b": 1}})).await.1["result"], "noop");
    assert_eq!(
        sources("j", json!(["1", "2"])).await,
        [json!({"a": 1, "p": ["x", "x"], "d": ["x", "x"], "b": 1}), json!({"c": 1, "p": ["x"], "d": ["x"]})]
    );
}

#[tokio::test]
async fn a_large_bulk_is_answered_in_order() {
    let kit = Kit::open();
    let body: String = (0..5_000)
        .map(|n| format!("{{\"index\":{{\"_index\":\"i\",\"_id\":\"{n}\"}}}}\n{{\"n\":{n}}}\n"))
        .collect();
    let (status, answer) = kit.raw("POST", "/_bulk?refresh=true&filter_path=errors,items.*._id", &body).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(false)));
    let ids: Vec<String> =
        items(&answer).iter().map(|item| item["_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..5_000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(kit.call("GET", "/i/_count").await.1["count"], 5_000);
}
