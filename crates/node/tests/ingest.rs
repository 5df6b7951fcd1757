//! Ingest pipelines as clients use them.

mod kit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::Kit;
use serde_json::{Value, json};

/// Runs processors over a document and gives its source.
async fn simulate(kit: &Kit, processors: Value, source: Value) -> Value {
    let body = json!({"pipeline": {"processors": processors}, "docs": [{"_source": source}]});
    let (status, answer) = kit.json("POST", "/_ingest/pipeline/_simulate", body).await;
    assert_eq!(status, 200, "{answer}");
    let doc = &answer["docs"][0];
    if doc["error"].is_null() { doc["doc"]["_source"].clone() } else { doc["error"].clone() }
}

#[tokio::test]
async fn processors_change_documents_as_they_say() {
    let kit = Kit::open();
    let table = [
        (json!({"set": {"field": "a.b", "value": "{{t}}!"}}), json!({"t": "x"}), json!({"t": "x", "a": {"b": "x!"}})),
        (json!({"set": {"field": "b", "copy_from": "a"}}), json!({"a": [1]}), json!({"a": [1], "b": [1]})),
        (json!({"set": {"field": "a", "value": 2, "override": false}}), json!({"a": 1}), json!({"a": 1})),
        (json!({"remove": {"field": ["a", "c"], "ignore_missing": true}}), json!({"a": 1, "b": 2}), json!({"b": 2})),
        (json!({"rename": {"field": "a", "target_field": "o.b"}}), json!({"a": 1}), json!({"o": {"b": 1}})),
        (json!({"gsub": {"field": "a", "pattern": "\\s+", "replacement": " "}}), json!({"a": "x \n y"}), json!({"a": "x y"})),
        (json!({"trim": {"field": "a"}}), json!({"a": [" x ", "y "]}), json!({"a": ["x", "y"]})),
        (json!({"lowercase": {"field": "a"}}), json!({"a": "ÄB"}), json!({"a": "äb"})),
        (json!({"append": {"field": "a", "value": [2, 3]}}), json!({"a": 1}), json!({"a": [1, 2, 3]})),
        (json!({"convert": {"field": "a", "type": "integer"}}), json!({"a": "7"}), json!({"a": 7})),
        (json!({"split": {"field": "a", "separator": ","}}), json!({"a": "x,y,,"}), json!({"a": ["x", "y"]})),
        (json!({"join": {"field": "a", "separator": "-"}}), json!({"a": ["x", 1]}), json!({"a": "x-1"})),
        (json!({"json": {"field": "a", "target_field": "b"}}), json!({"a": "{\"c\":1}"}), json!({"a": "{\"c\":1}", "b": {"c": 1}})),
        (
            json!({"foreach": {"field": "a", "processor": {"uppercase": {"field": "_ingest._value"}}}}),
            json!({"a": ["x", "y"]}),
            json!({"a": ["X", "Y"]}),
        ),
        (
            json!({"date": {"field": "a", "formats": ["UNIX"], "target_field": "b"}}),
            json!({"a": 0}),
            json!({"a": 0, "b": "1970-01-01T00:00:00.000Z"}),
        ),
        (json!({"fail": {"message": "no", "if": "ctx.a == 2"}}), json!({"a": 1}), json!({"a": 1})),
        (
            json!({"fail": {"message": "bad {{a}}", "on_failure": [{"set": {"field": "e", "value": "{{ _ingest.on_failure_message }}"}}]}}),
            json!({"a": 1}),
            json!({"a": 1, "e": "bad 1"}),
        ),
        (json!({"trim": {"field": "none", "ignore_failure": true}}), json!({"a": 1}), json!({"a": 1})),
    ];
    for (processor, source, wanted) in table {
        assert_eq!(simulate(&kit, json!([processor]), source).await, wanted, "{processor}");
    }
}

#[tokio::test]
async fn failures_say_what_is_wrong() {
    let kit = Kit::open();
    let error = simulate(&kit, json!([{"trim": {"field": "none"}}]), json!({})).await;
    assert_eq!(error["reason"], "field [none] not present as part of path [none]");
    let table = [
        (json!([{"frob": {}}]), "No processor type exists with name [frob]"),
        (json!([{"set": {"value": 1}}]), "[field] required property is missing"),
        (json!([{"set": {"field": "a", "value": 1, "x": 1}}]), "processor [set] doesn't support one or more provided configuration parameters [x]"),
        (json!([{"script": {"source": "x"}}]), "a processor of type [script] is not served by this node"),
    ];
    for (processors, reason) in table {
        let (status, answer) = kit.json("PUT", "/_ingest/pipeline/p", json!({"processors": processors})).await;
        assert_eq!((status, &answer["error"]["reason"]), (400, &json!(reason)));
    }
    let (status, answer) = kit.json("PUT", "/_ingest/pipeline/p", json!({})).await;
    assert_eq!((status, &answer["error"]["reason"]), (400, &json!("[processors] required property is missing")));
    let (status, _) = kit.call("GET", "/_ingest/pipeline/none").await;
    assert_eq!(status, 404);
    let (status, answer) = kit.call("DELETE", "/_ingest/pipeline/none").await;
    assert_eq!((status, &answer["error"]["reason"]), (404, &json!("pipeline [none] is missing")));
    let (status, answer) = kit.json("PUT", "/i/_doc/1?pipeline=none", json!({})).await;
    assert_eq!((status, &answer["error"]["reason"]), (400, &json!("pipeline with id [none] does not exist")));
}

#[tokio::test]
async fn stored_pipelines_run_on_writes_and_survive_a_restart() {
    let kit = Kit::open();
    let pipeline = json!({"version": 3, "processors": [
        {"drop": {"if": "ctx.skip == true"}}, {"set": {"field": "seen", "value": true}},
        {"set": {"field": "_index", "value": "other", "if": "ctx.move == true"}},
    ]});
    let (status, _) = kit.json("PUT", "/_ingest/pipeline/p", pipeline.clone()).await;
    assert_eq!(status, 200);
    let (_, created) = kit.json("PUT", "/i/_doc/1?pipeline=p", json!({"a": 1})).await;
    assert_eq!(created["result"], "created");
    assert_eq!(kit.call("GET", "/i/_doc/1").await.1["_source"], json!({"a": 1, "seen": true}));
    let (status, dropped) = kit.json("PUT", "/i/_doc/2?pipeline=p", json!({"skip": true})).await;
    assert_eq!((status, &dropped["result"]), (200, &json!("noop")));
    let (_, moved) = kit.json("PUT", "/i/_doc/3?pipeline=p", json!({"move": true})).await;
    assert_eq!(moved["_index"], "other");

    let kit = kit.reopened(tributary_node::Security::default());
    assert_eq!(kit.call("GET", "/_ingest/pipeline/p").await.1["p"], pipeline);
    kit.json("PUT", "/d", json!({"settings": {"default_pipeline": "p"}})).await;
    let body = "{\"index\":{\"_id\":\"1\"}}\n{\"b\":1}\n{\"index\":{\"_id\":\"2\"}}\n{\"skip\":true}\n\
                {\"index\":{\"_id\":\"3\",\"pipeline\":\"none\"}}\n{}\n";
    let (_, answer) = kit.raw("POST", "/d/_bulk", body).await;
    assert_eq!(answer["errors"], true);
    let results: Vec<_> = (0..3).map(|at| answer["items"][at]["index"]["result"].clone()).collect();
    assert_eq!(results, [json!("created"), json!("noop"), Value::Null]);
    assert_eq!(answer["items"][2]["index"]["error"]["reason"], "pipeline with id [none] does not exist");
    assert_eq!(kit.call("GET", "/d/_doc/1").await.1["_source"]["seen"], true);
}

#[tokio::test]
async fn the_default_pipeline_extracts_text_and_leaves_no_helper_fields() {
    let kit = Kit::open();
    let put = async |id: &str, source: Value| {
        let path = format!("/i/_doc/{id}?pipeline=search-default-ingestion");
        let (status, answer) = kit.json("PUT", &path, source).await;
        assert_eq!(status, 201, "{answer}");
        kit.call("GET", &format!("/i/_doc/{id}")).await.1["_source"].clone()
    };
    let flags = |mut source: Value, on: bool| {
        for name in ["_extract_binary_content", "_reduce_whitespace", "_run_ml_inference"] {
            source[name] = json!(on);
        }
        source
    };
    let html = STANDARD.encode("<html><body><p>Hello\n   there</p></body></html>");
    assert_eq!(put("1", flags(json!({"_attachment": html, "t": 1}), true)).await, json!({"t": 1, "body": "Hello there"}));
    assert_eq!(put("2", flags(json!({"body": " a  b "}), true)).await, json!({"body": "a b"}));
    assert_eq!(put("3", flags(json!({"body": " a  b ", "_attachment": html}), false)).await, json!({"body": " a  b "}));
    let broken = put("4", flags(json!({"_attachment": STANDARD.encode(b"\x7FELF...")}), true)).await;
    assert!(broken["_ingestion_errors"][0].as_str().unwrap().contains("application/x-executable"), "{broken}");
    assert!(broken.get("_attachment").is_none());
}
