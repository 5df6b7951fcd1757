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
        (
            json!({"set": {"field": "a.b", "value": "{{t}}!"}}),
            json!({"t": "x"}),
            json!({"t": "x", "a": {"b": "x!"}}),
        ),
        (json!({"set": {"field": "b", "copy_from": "a"}}), json!({"a": [1]}), json!({"a": [1], "b": [1]})),
        (json!({"set": {"field": "a", "value": 2, "override": false}}), json!({"a": 1}), json!({"a": 1})),
        (
            json!({"remove": {"field": ["a", "c"], "ignore_missing": true}}),
            json!({"a": 1, "b": 2}),
            json!({"b": 2}),
        ),
        (json!({"rename": {"field": "a", "target_field": "o.b"}}), json!({"a": 1}), json!({"o": {"b": 1}})),
        (
            json!({"gsub": {"field": "a", "pattern": "\\s+", "replacement": " "}}),
            json!({"a": "x \n y"}),
            json!({"a": "x y"}),
        ),
        (json!({"trim": {"field": "a"}}), json!({"a": [" x ", "y "]}), json!({"a": ["x", "y"]})),
        (json!({"lowercase": {"field": "a"}}), json!({"a": "ÄB"}), json!({"a": "äb"})),
        (json!({"append": {"field": "a", "value": [2, 3]}}), json!({"a": 1}), json!({"a": [1, 2, 3]})),
        (json!({"convert": {"field": "a", "type": "integer"}}), json!({"a": "7"}), json!({"a": 7})),
        (json!({"split": {"field": "a", "separator": ","}}), json!({"a": "x,y,,"}), json!({"a": ["x", "y"]})),
        (json!({"join": {"field": "a", "separator": "-"}}), json!({"a": ["x", 1]}), json!({"a": "x-1"})),
        (
            json!({"json": {"field": "a", "target_field": "b"}}),
            json!({"a": "{\"c\":1}"}),
            json!({"a": "{\"c\":1}", "b": {"c": 1}}),
        ),
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
        (
            json!([{"set": {"field": "a", "value": 1, "x": 1}}]),
            "processor [set] doesn't support one or more provided configuration parameters [x]",
        ),
        (json!([{"script": {"source": "x"}}]), "a processor of type [script] is not served by this node"),
    ];
    for (processors, reason) in table {
        let (status, answer) =
            kit.json("PUT", "/_ingest/pipeline/p", json!({"processors": processors})).await;
        assert_eq!((status, &answer["error"]["reason"]), (400, &json!(reason)));
    }
    let (status, answer) = kit.json("PUT", "/_ingest/pipeline/p", json!({})).await;
    assert_eq!(
        (status, &answer["error"]["reason"]),
        (400, &json!("[processors] required property is missing"))
    );
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
    assert_eq!(
        put("1", flags(json!({"_attachment": html, "t": 1}), true)).await,
        json!({"t": 1, "body": "Hello there"})
    );
    assert_eq!(put("2", flags(json!({"body": " a  b "}), true)).await, json!({"body": "a b"}));
    assert_eq!(
        put("3", flags(json!({"body": " a  b ", "_attachment": html}), false)).await,
        json!({"body": " a  b "})
    );
    let broken = put("4", flags(json!({"_attachment": STANDARD.encode(b"\x7FELF...")}), true)).await;
    assert!(
        broken["_ingestion_errors"][0].as_str().unwrap().contains("application/x-executable"),
        "{broken}"
    );
    assert!(broken.get("_attachment").is_none());
}

#[tokio::test]
async fn pipelines_in_use_stay_and_nothing_in_a_definition_is_ignored() {
    let kit = Kit::open();
    let (status, _) = kit
        .json(
            "PUT",
            "/_ingest/pipeline/p",
            json!({"processors": [{"trim": {"field": "a"}, "uppercase": {"field": "a"}}]}),
        )
        .await;
    assert_eq!(status, 200);
    kit.json("PUT", "/i", json!({"settings": {"default_pipeline": "p"}})).await;
    kit.json("PUT", "/i/_doc/1", json!({"a": " x "})).await;
    assert_eq!(kit.call("GET", "/i/_doc/1").await.1["_source"], json!({"a": "X"}));
    let reason =
        "pipeline [p] cannot be deleted because it is the default pipeline for 1 index(es) including [i]";
    for path in ["/_ingest/pipeline/p", "/_ingest/pipeline/p*"] {
        let (status, error) = kit.call("DELETE", path).await;
        assert_eq!((status, &error["error"]["reason"]), (400, &json!(reason)), "{path}");
    }
    assert_eq!(kit.call("GET", "/_ingest/pipeline/no*").await, (404, json!({})));
    assert_eq!(kit.call("DELETE", "/_ingest/pipeline/no*").await.0, 404);
    let bad = json!({"processors": [{"trim": {"field": "a"}, "frob": {}}]});
    assert_eq!(kit.json("PUT", "/_ingest/pipeline/q", bad).await.0, 400);
    let tagged = json!({"processors": [{"set": {"tag": "T", "value": 1}}]});
    assert_eq!(kit.json("PUT", "/_ingest/pipeline/q", tagged).await.1["error"]["processor_tag"], "T");
}

#[tokio::test]
async fn values_inside_lists_and_objects_can_be_changed() {
    let kit = Kit::open();
    let table = [
        (json!({"set": {"field": "a.1.x", "value": 9}}), json!({"a": [1, {}]}), json!({"a": [1, {"x": 9}]})),
        (
            json!({"gsub": {"field": "a", "pattern": "(b)(c)", "replacement": "$2$1x"}}),
            json!({"a": "abc"}),
            json!({"a": "acbx"}),
        ),
        (
            json!({"foreach": {"field": "a", "processor": {"set": {"field": "_ingest._value.k", "value": "{{_ingest._key}}"}}}}),
            json!({"a": {"x": {}, "y": {}}}),
            json!({"a": {"x": {"k": "x"}, "y": {"k": "y"}}}),
        ),
        (
            json!({"foreach": {"field": "a", "processor": {"remove": {"field": "_ingest._value.k"}}}}),
            json!({"a": [{"k": 1, "l": 2}]}),
            json!({"a": [{"l": 2}]}),
        ),
        (
            json!({"date": {"field": "a", "formats": ["dd/MM/yyyy"], "target_field": "a"}}),
            json!({"a": "05/02/2020"}),
            json!({"a": "2020-02-05T00:00:00.000Z"}),
        ),
    ];
    for (processor, source, wanted) in table {
        assert_eq!(simulate(&kit, json!([processor]), source).await, wanted, "{processor}");
    }
    let error = simulate(&kit, json!([{"set": {"field": "a.7", "value": 1}}]), json!({"a": [1]})).await;
    assert_eq!(error["reason"], "[7] is out of bounds for array with length [1] as part of path [a.7]");
}

#[tokio::test]
async fn a_verbose_simulation_tells_every_step() {
    let kit = Kit::open();
    let processors = json!([
        {"set": {"field": "q", "value": 1, "if": "ctx.a == 2", "tag": "s", "description": "d"}},
        {"fail": {"message": "no", "ignore_failure": true}},
        {"drop": {"if": "ctx.a == 1"}},
    ]);
    let body = json!({"pipeline": {"processors": processors}, "docs": [{"_index": "i", "_id": "1", "_source": {"a": 1}}]});
    let (_, mut answer) = kit.json("POST", "/_ingest/pipeline/_simulate?verbose", body).await;
    answer["docs"][0]["processor_results"][1]["doc"]["_ingest"]["timestamp"] = json!("T");
    let no = json!({"type": "fail_processor_exception", "reason": "no"});
    assert_eq!(
        answer,
        json!({"docs": [{"processor_results": [
            {"processor_type": "set", "status": "skipped", "description": "d", "tag": "s",
                "if": {"condition": "ctx.a == 2", "result": false}},
            {"processor_type": "fail", "status": "error_ignored",
                "ignored_error": {"error": {"root_cause": [no], "type": "fail_processor_exception", "reason": "no"}},
                "doc": {"_index": "i", "_version": "-3", "_id": "1", "_source": {"a": 1},
                    "_ingest": {"timestamp": "T", "pipeline": "_simulate_pipeline"}}},
            {"processor_type": "drop", "status": "dropped", "if": {"condition": "ctx.a == 1", "result": true}},
        ]}]})
    );
}
