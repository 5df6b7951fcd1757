//! Single documents and bulks as clients write and read them.

mod kit;

use kit::Kit;
use serde_json::{Value, json};

#[tokio::test]
async fn a_document_is_created_replaced_read_and_deleted() {
    let kit = Kit::open();
    let (status, created) = kit.json("PUT", "/i/_doc/1?refresh=true", json!({"a": 1})).await;
    assert_eq!(status, 201);
    assert_eq!(
        created,
        json!({"_index": "i", "_id": "1", "_version": 1, "result": "created", "forced_refresh": true,
            "_shards": {"total": 2, "successful": 1, "failed": 0}, "_seq_no": 0, "_primary_term": 1})
    );
    let (status, replaced) = kit.json("POST", "/i/_doc/1", json!({"a": 2})).await;
    assert_eq!((status, &replaced["result"], &replaced["_version"]), (200, &json!("updated"), &json!(2)));
    assert_eq!(
        kit.call("GET", "/i/_doc/1").await,
        (
            200,
            json!({"_index": "i", "_id": "1", "_version": 2, "_seq_no": 1, "_primary_term": 1, "found": true, "_source": {"a": 2}})
        )
    );
    assert_eq!(kit.call("GET", "/i/_source/1").await, (200, json!({"a": 2})));
    assert_eq!(kit.call("HEAD", "/i/_doc/1").await.0, 200);
    assert_eq!(kit.call("GET", "/i/_doc/1?_source=false").await.1.get("_source"), None);
    let (status, deleted) = kit.call("DELETE", "/i/_doc/1").await;
    assert_eq!((status, &deleted["result"]), (200, &json!("deleted")));
    assert_eq!(kit.call("GET", "/i/_doc/1").await, (404, json!({"_index": "i", "_id": "1", "found": false})));
    let (status, gone) = kit.call("DELETE", "/i/_doc/1").await;
    assert_eq!((status, &gone["result"]), (404, &json!("not_found")));
    assert_eq!(kit.call("HEAD", "/i/_doc/1").await.0, 404);
    let (status, generated) = kit.json("POST", "/i/_doc", json!({})).await;
    assert_eq!((status, generated["_id"].as_str().unwrap().len()), (201, 20));
}

#[tokio::test]
async fn conditions_are_kept_and_conflicts_are_409() {
    let kit = Kit::open();
    kit.json("PUT", "/i/_doc/1", json!({"a": 1})).await;
    let (status, error) = kit.json("PUT", "/i/_create/1", json!({})).await;
    assert_eq!((status, &error["error"]["type"]), (409, &json!("version_conflict_engine_exception")));
    assert_eq!(kit.json("PUT", "/i/_doc/1?op_type=create", json!({})).await.0, 409);
    assert_eq!(kit.json("PUT", "/i/_doc/1?if_seq_no=5&if_primary_term=1", json!({})).await.0, 409);
    assert_eq!(kit.json("PUT", "/i/_doc/1?if_seq_no=0&if_primary_term=1", json!({})).await.0, 200);
    assert_eq!(kit.call("DELETE", "/i/_doc/1?if_seq_no=0&if_primary_term=1").await.0, 409);
    assert_eq!(
        kit.json("PUT", "/i/_doc/2?version=7&version_type=external", json!({})).await.1["_version"],
        7
    );
    assert_eq!(kit.json("PUT", "/i/_doc/2?version=7&version_type=external", json!({})).await.0, 409);
    for (path, body, reason) in [
        (
            "/i/_doc/1?if_seq_no=1",
            json!({}),
            "Validation Failed: 1: ifSeqNo is set, but primary term is [0];",
        ),
        ("/i/_doc/1?op_type=frob", json!({}), "opType must be 'create' or 'index', found: [frob]"),
        ("/i/_doc/1?refresh=maybe", json!({}), "Unknown value for refresh: [maybe]."),
    ] {
        let (status, error) = kit.json("PUT", path, body).await;
        assert_eq!((status, &error["error"]["reason"]), (400, &json!(reason)), "{path}");
    }
}

#[tokio::test]
async fn updates_merge_upsert_and_say_noop() {
    let kit = Kit::open();
    let (status, missing) = kit.json("POST", "/i/_update/1", json!({"doc": {"a": 1}})).await;
    assert_eq!((status, &missing["error"]["type"]), (404, &json!("document_missing_exception")));
    let (status, made) =
        kit.json("POST", "/i/_update/1", json!({"doc": {"a": {"b": 1}}, "doc_as_upsert": true})).await;
    assert_eq!((status, &made["result"]), (201, &json!("created")));
    let (status, merged) =
        kit.json("POST", "/i/_update/1?_source=true", json!({"doc": {"a": {"c": 2}}})).await;
    assert_eq!((status, &merged["result"]), (200, &json!("updated")));
    assert_eq!(merged["get"]["_source"], json!({"a": {"b": 1, "c": 2}}));
    let (status, same) = kit.json("POST", "/i/_update/1", json!({"doc": {"a": {"c": 2}}})).await;
    assert_eq!((status, &same["result"], &same["_shards"]["total"]), (200, &json!("noop"), &json!(0)));
    assert_eq!(
        kit.json("POST", "/i/_update/1?if_seq_no=0&if_primary_term=1", json!({"doc": {"a": 1}})).await.0,
        409
    );
    let (status, scripted) = kit.json("POST", "/i/_update/1", json!({"script": "ctx._source.a = 1"})).await;
    assert_eq!(status, 400);
    assert!(
        scripted["error"]["reason"].as_str().unwrap().contains("is not served by this node"),
        "{scripted}"
    );
}

#[tokio::test]
async fn many_documents_are_read_at_once_each_with_its_own_answer() {
    let kit = Kit::open();
    kit.put_all("i", 3).await;
    let (status, answer) = kit.json("POST", "/i/_mget", json!({"ids": ["1", "9", "2"]})).await;
    let found: Vec<_> = answer["docs"].as_array().unwrap().iter().map(|doc| doc["found"].clone()).collect();
    assert_eq!((status, found), (200, vec![json!(true), json!(false), json!(true)]));
    let body =
        json!({"docs": [{"_index": "none", "_id": "1"}, {"_index": "i", "_id": "1", "_source": ["n"]}]});
    let (_, answer) = kit.json("POST", "/_mget", body).await;
    assert_eq!(answer["docs"][0]["error"]["type"], "index_not_found_exception");
    assert_eq!(answer["docs"][1]["_source"], json!({"n": 1}));
    assert_eq!(kit.json("POST", "/i/_mget", json!({})).await.0, 400);
}

#[tokio::test]
async fn a_bulk_answers_each_item_and_does_the_others() {
    let kit = Kit::open();
    kit.json("PUT", "/i", json!({"mappings": {"properties": {"n": {"type": "long"}}}})).await;
    let lines = [
        json!({"index": {"_id": "1"}}),
        json!({"n": 1}),
        json!({"create": {"_id": "1"}}),
        json!({"n": 2}),
        json!({"index": {"_id": "2"}}),
        json!({"n": "no number"}),
        json!({"update": {"_id": "1"}}),
        json!({"doc": {"n": 3}}),
        json!({"update": {"_id": "9"}}),
        json!({"doc": {"n": 3}}),
        json!({"delete": {"_id": "1"}}),
        json!({"delete": {"_id": "1"}}),
        json!({"delete": {"_index": "none", "_id": "1"}}),
        json!({"index": {"_index": "made"}}),
        json!({}),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (status, answer) = kit.raw("POST", "/i/_bulk?refresh=true", &body).await;
    assert_eq!((status, &answer["errors"]), (200, &json!(true)));
    let items: Vec<(String, Value)> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            item.as_object()
                .unwrap()
                .iter()
                .next()
                .map(|(action, body)| (action.clone(), body.clone()))
                .unwrap()
        })
        .collect();
    let statuses: Vec<_> =
        items.iter().map(|(action, body)| (action.as_str(), body["status"].as_u64().unwrap())).collect();
    assert_eq!(
        statuses,
        [
            ("index", 201),
            ("create", 409),
            ("index", 400),
            ("update", 200),
            ("update", 404),
            ("delete", 200),
            ("delete", 404),
            ("delete", 404),
            ("index", 201),
        ]
    );
    assert_eq!(items[2].1["error"]["type"], "document_parsing_exception");
    assert_eq!(items[6].1["result"], "not_found");
    assert_eq!(items[7].1["error"]["type"], "index_not_found_exception");
    assert_eq!(kit.call("GET", "/made/_count").await.1["count"], 1);
    assert_eq!(kit.call("HEAD", "/none").await.0, 404);
}

#[tokio::test]
async fn a_malformed_bulk_does_nothing() {
    let kit = Kit::open();
    let (status, error) =
        kit.raw("POST", "/_bulk", "{\"index\":{\"_index\":\"i\"}}\n{}\n{\"frob\":{}}\n").await;
    assert_eq!(status, 400, "{error}");
    assert_eq!(kit.call("HEAD", "/i").await.0, 404);
    let (status, error) = kit.call("POST", "/_bulk").await;
    assert_eq!((status, &error["error"]["reason"]), (400, &json!("request body is required")));
}

#[tokio::test]
async fn what_a_query_finds_is_deleted_or_rewritten() {
    let kit = Kit::open();
    kit.put_all("i", 2500).await;
    let few = json!({"query": {"range": {"n": {"lt": 5}}}});
    let (status, done) = kit.json("POST", "/i/_delete_by_query?refresh=true", few).await;
    assert_eq!((status, &done["deleted"], &done["total"]), (200, &json!(5), &json!(5)));
    assert_eq!(kit.call("GET", "/i/_count").await.1["count"], 2495);
    kit.json("PUT", "/_ingest/pipeline/p", json!({"processors": [{"set": {"field": "x", "value": 1}}]}))
        .await;
    let (_, done) =
        kit.json("POST", "/i/_update_by_query?pipeline=p&refresh=true&max_docs=1200", json!({})).await;
    assert_eq!((&done["updated"], &done["batches"]), (&json!(1200), &json!(2)));
    assert_eq!(kit.json("POST", "/i/_count", json!({"query": {"term": {"x": 1}}})).await.1["count"], 1200);
    let (_, done) =
        kit.json("POST", "/i/_delete_by_query?refresh=true", json!({"query": {"match_all": {}}})).await;
    assert_eq!(done["deleted"], 2495);
    let (status, error) = kit.json("POST", "/i/_delete_by_query", json!({"max_docs": 1})).await;
    assert_eq!((status, &error["error"]["reason"]), (400, &json!("Validation Failed: 1: query is missing;")));
}

#[tokio::test]
async fn writes_that_state_impossible_conditions_are_refused() {
    let kit = Kit::open();
    kit.json("PUT", "/i/_doc/1", json!({"a": 1})).await;
    let internal = "Validation Failed: 1: internal versioning can not be used for optimistic concurrency control. Please use \
                    `if_seq_no` and `if_primary_term` instead;";
    let long = format!("/i/_doc/{}", "x".repeat(513));
    let table = [
        (
            "PUT",
            "/i/_doc/1?if_seq_no=0&if_primary_term=0",
            "Validation Failed: 1: ifSeqNo is set, but primary term is [0];",
        ),
        (
            "PUT",
            "/i/_doc/1?if_seq_no=-1&if_primary_term=1",
            "sequence numbers must be non negative. got [-1].",
        ),
        ("PUT", "/i/_doc/1?version=5", internal),
        (
            "PUT",
            "/i/_doc/1?version_type=external",
            "Validation Failed: 1: illegal version value [-3] for version type [EXTERNAL];",
        ),
        ("PUT", "/i/_doc/1?version=5&version_type=force", "No version type match [force]"),
        (
            "PUT",
            "/i/_create/9?version=5&version_type=external",
            "Validation Failed: 1: create operations only support internal versioning. use index instead;",
        ),
        (
            "POST",
            "/i/_doc?if_seq_no=1&if_primary_term=1",
            "Validation Failed: 1: create operations do not support compare and set. use index instead;",
        ),
        ("PUT", "/i/_doc/1?wait_for_active_shards=x", "cannot parse ActiveShardCount[x]"),
        (
            "PUT",
            "/i/_doc/1?timeout=x",
            "failed to parse setting [timeout] with value [x] as a time value: unit is missing or unrecognized",
        ),
        ("POST", "/i/_update/1?version=1", internal),
        (
            "POST",
            "/i/_update/1?if_seq_no=1&if_primary_term=1&retry_on_conflict=1",
            "Validation Failed: 1: compare and write operations can not be retried;",
        ),
    ];
    for (method, path, reason) in table {
        let (status, error) = kit.json(method, path, json!({"doc": {}})).await;
        assert_eq!((status, &error["error"]["reason"]), (400, &json!(reason)), "{path}");
    }
    let (status, error) = kit.json("PUT", &long, json!({})).await;
    assert_eq!(status, 400);
    assert!(
        error["error"]["reason"]
            .as_str()
            .unwrap()
            .ends_with("must be no longer than 512 bytes but was: 513;")
    );
    let (status, error) = kit.json("PUT", "/i/_doc/1?wait_for_active_shards=2", json!({})).await;
    assert_eq!((status, &error["error"]["type"]), (503, &json!("unavailable_shards_exception")));
    assert_eq!(
        kit.json("PUT", "/i/_doc/1?wait_for_active_shards=1&timeout=1s&routing=r", json!({})).await.0,
        200
    );
    let (status, error) =
        kit.json("POST", "/i/_update/9?if_seq_no=1&if_primary_term=1", json!({"doc": {}})).await;
    assert_eq!((status, &error["error"]["type"]), (404, &json!("document_missing_exception")));
}

#[tokio::test]
async fn reads_may_state_the_version_they_expect() {
    let kit = Kit::open();
    kit.json("PUT", "/i/_doc/1", json!({"a": 1})).await;
    assert_eq!(kit.call("GET", "/i/_doc/1?version=1").await.0, 200);
    let (status, error) = kit.call("GET", "/i/_doc/1?version=7").await;
    assert_eq!(status, 409);
    let reason = "[1]: version conflict, current version [1] is different than the one provided [7]";
    assert_eq!(error["error"]["reason"], reason);
    let (_, many) =
        kit.json("POST", "/i/_mget", json!({"docs": [{"_id": "1", "version": 7}, {"_id": "1"}]})).await;
    assert_eq!(many["docs"][0]["error"]["reason"], reason);
    assert_eq!(many["docs"][1]["found"], true);
    assert_eq!(kit.call("GET", "/i/_doc/1?stored_fields=_none_").await.1.get("_source"), None);
    let table = [
        (json!({"docs": ["a"]}), "docs array element should include an object"),
        (json!({"ids": [{}]}), "ids array element should only contain ids"),
        (json!({"docs": [{"_id": "1", "foo": 1}]}), "failed to parse multi get request. unknown field [foo]"),
        (
            json!({"docs": [{}, {"_id": "1"}, {}]}),
            "Validation Failed: 1: id is missing for doc 0;2: id is missing for doc 2;",
        ),
        (json!({"foo": [1]}), "unknown key [foo] for a START_ARRAY, expected [docs] or [ids]"),
        (json!([]), "unexpected token [START_ARRAY], expected [START_OBJECT]"),
    ];
    for (body, reason) in table {
        let (status, error) = kit.json("POST", "/i/_mget", body).await;
        assert_eq!((status, &error["error"]["reason"]), (400, &json!(reason)));
    }
}

#[tokio::test]
async fn by_query_answers_have_elasticsearchs_shape_and_count_conflicts() {
    let kit = Kit::open();
    let docs: Vec<(&str, Value)> =
        ["1", "2", "3", "4"].into_iter().map(|id| (id, json!({"n": id}))).collect();
    kit.index("i", json!({"properties": {"n": {"type": "keyword"}}}), &docs).await;
    kit.json("PUT", "/_ingest/pipeline/p", json!({"processors": [{"set": {"field": "s", "value": 1}}]}))
        .await;
    let (status, mut done) = kit
        .json(
            "POST",
            "/i/_update_by_query?pipeline=p&refresh",
            json!({"query": {"terms": {"n": ["1", "2"]}}}),
        )
        .await;
    done["took"] = json!(0);
    assert_eq!(status, 200);
    assert_eq!(
        done,
        json!({"took": 0, "timed_out": false, "total": 2, "updated": 2, "deleted": 0, "batches": 1, "version_conflicts": 0,
            "noops": 0, "retries": {"bulk": 0, "search": 0}, "throttled_millis": 0, "requests_per_second": -1.0,
            "throttled_until_millis": 0, "failures": []})
    );
    assert_eq!(kit.call("GET", "/i/_doc/2").await.1["_source"], json!({"n": "2", "s": 1}));
    // Changed after what search sees: a conflict.
    kit.json("PUT", "/i/_settings", json!({"index": {"refresh_interval": "-1"}})).await;
    assert_eq!(kit.call("GET", "/i/_count").await.1["count"], 4);
    kit.json("PUT", "/i/_doc/3", json!({"n": "3", "new": true})).await;
    let (status, done) =
        kit.json("POST", "/i/_delete_by_query", json!({"query": {"term": {"n": "3"}}})).await;
    assert_eq!(
        (status, &done["version_conflicts"], &done["failures"][0]["status"]),
        (409, &json!(1), &json!(409))
    );
    let all = json!({"query": {"match_all": {}}});
    let (status, done) =
        kit.json("POST", "/i/_delete_by_query?conflicts=proceed&refresh=true", all.clone()).await;
    assert_eq!((status, &done["deleted"], &done["version_conflicts"]), (200, &json!(3), &json!(1)));
    let (_, done) = kit.json("POST", "/i/_delete_by_query?max_docs=1&refresh=true", all).await;
    assert_eq!((&done["total"], &done["deleted"]), (&json!(1), &json!(1)));
    assert_eq!(kit.call("POST", "/i/_delete_by_query?q=n:3").await.1["total"], 0);
    let table = [
        ("/i/_delete_by_query", json!({}), "Validation Failed: 1: query is missing;"),
        (
            "/i/_delete_by_query?max_docs=0",
            json!({"query": {"match_all": {}}}),
            "[max_docs] should be >= [slices]",
        ),
        (
            "/i/_delete_by_query?conflicts=x",
            json!({"query": {"match_all": {}}}),
            "conflicts may only be \"proceed\" or \"abort\" but was [x]",
        ),
        ("/i/_update_by_query", json!({"foo": 1}), "Unknown key for a VALUE_NUMBER in [foo]."),
        (
            "/i/_update_by_query",
            json!({"script": "x"}),
            "updating with a script ([script]) is not served by this node",
        ),
    ];
    for (path, body, reason) in table {
        let (status, error) = kit.json("POST", path, body).await;
        assert_eq!((status, &error["error"]["reason"]), (400, &json!(reason)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_at_the_same_time_keep_all_changes_and_run_the_pipeline_once_each() {
    const UPDATES: usize = 24;
    let kit = Kit::open();
    let pipeline = json!({"processors": [{"append": {"field": "runs", "value": "x"}}]});
    assert_eq!(kit.json("PUT", "/_ingest/pipeline/p", pipeline).await.0, 200);
    kit.json("PUT", "/i", json!({"settings": {"default_pipeline": "p"}})).await;
    assert_eq!(kit.json("PUT", "/i/_doc/1", json!({})).await.0, 201);
    let update = async |number: usize| {
        let mut changes = json!({});
        changes[format!("f{number}")] = json!(number);
        let (status, answer) = kit.json("POST", "/i/_update/1", json!({"doc": changes})).await;
        assert_eq!(status, 200, "{answer}");
    };
    futures::future::join_all((0..UPDATES).map(update)).await;
    let (_, found) = kit.call("GET", "/i/_doc/1").await;
    let source = found["_source"].as_object().unwrap();
    assert_eq!(source["runs"].as_array().unwrap().len(), UPDATES + 1, "{found}");
    assert!((0..UPDATES).all(|number| source[&format!("f{number}")] == number), "{found}");
    assert_eq!(found["_version"], UPDATES + 1);
}
