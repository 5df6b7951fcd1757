//! Every endpoint of the Connector, Sync Job and Secret APIs, with good and bad requests (connector-api 1 to 13).
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod kit;

use kit::{Kit, error};
use serde_json::{Value, json};

const NOT_FOUND: &str = "resource_not_found_exception";
const STATUS: &str = "status_exception";
const PARSE: &str = "x_content_parse_exception";
const VALIDATION: &str = "action_request_validation_exception";
const ILLEGAL: &str = "illegal_argument_exception";

/// A node with one connector `c`.
async fn with_connector(body: Value) -> Kit {
    let kit = Kit::open();
    let created = kit.json("PUT", "/_connector/c", body).await;
    assert_eq!(created, (201, json!({"id": "c", "result": "created"})));
    kit
}

/// A node with a connector `c` that can sync, and a job of it.
async fn with_job() -> (Kit, String) {
    let kit = with_connector(json!({"index_name": "docs", "service_type": "s"})).await;
    let job = post_job(&kit, json!({"id": "c"})).await;
    (kit, job)
}

async fn post_job(kit: &Kit, body: Value) -> String {
    let (status, answer) = kit.json("POST", "/_connector/_sync_job", body).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

async fn source(kit: &Kit, path: &str) -> Value {
    let (status, answer) = kit.call("GET", path).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The call succeeds with this result.
async fn does(kit: &Kit, path: &str, body: Value, result: &str) {
    let answer =
        if body.is_null() { kit.call("PUT", path).await } else { kit.json("PUT", path, body.clone()).await };
    assert_eq!(answer, (200, json!({"result": result})), "PUT {path} {body}");
}

/// The call is refused with this.
async fn refuses(kit: &Kit, method: &str, path: &str, body: Value, wanted: (u16, &str, &str)) {
    let (status, answer) = if body.is_null() {
        kit.call(method, path).await
    } else {
        kit.json(method, path, body.clone()).await
    };
    let (es_type, reason) = error(&answer);
    assert_eq!((status, es_type, reason), wanted, "{method} {path} {body}: {answer}");
    assert_eq!(answer["status"], status);
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn connectors_are_created_with_and_without_an_id() {
    let kit = Kit::open();
    assert_eq!(kit.call("GET", "/_connector").await, (200, json!({"count": 0, "results": []})));
    refuses(&kit, "GET", "/_connector/c", Value::Null, (404, NOT_FOUND, "connector [c] not found")).await;
    for method in ["POST", "PUT"] {
        let (status, answer) = kit.call(method, "/_connector").await;
        assert_eq!((status, answer["result"].as_str()), (201, Some("created")), "{answer}");
        assert_eq!(answer["id"].as_str().unwrap().len(), 20);
    }
    let answer = kit.json("PUT", "/_connector/c", json!({"index_name": "docs", "name": "n"})).await;
    assert_eq!(answer, (201, json!({"id": "c", "result": "created"})));
    let shown = source(&kit, "/_connector/c").await;
    assert_eq!(shown.as_object().unwrap().keys().next().unwrap(), "id");
    assert_eq!(
        (shown["id"].clone(), shown["name"].clone(), shown["status"].clone()),
        (json!("c"), json!("n"), json!("created"))
    );
    assert!(shown.get("pipeline").is_none() && shown.get("error").is_none());
    let (_, alias) = kit.call("GET", "/_alias/.elastic-connectors").await;
    assert!(alias.get(".elastic-connectors-v1").is_some(), "{alias}");
}

#[tokio::test]
async fn putting_an_existing_connector_resets_it() {
    let kit = with_connector(json!({"index_name": "docs"})).await;
    does(&kit, "/_connector/c/_error", json!({"error": "e"}), "updated").await;
    assert_eq!(kit.call("DELETE", "/_connector/c").await, (200, json!({"acknowledged": true})));
    let answer = kit.json("PUT", "/_connector/c", json!({"index_name": "docs"})).await;
    assert_eq!(answer, (200, json!({"id": "c", "result": "updated"})));
    let shown = source(&kit, "/_connector/c").await;
    assert_eq!((shown.get("error"), shown["deleted"].clone()), (None, json!(false)));
}

#[tokio::test]
async fn bad_creations_are_refused() {
    let kit = with_connector(json!({"index_name": "docs"})).await;
    let table = [
        (json!({"index_name": "docs"}), (400, STATUS, "Index name [docs] is used by another connector.")),
        (json!({"x": 1}), (400, PARSE, "[1:2] [connector_put_request] unknown field [x]")),
        (
            json!({"index_name": "a b"}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [a b] org.elasticsearch.indices.InvalidIndexNameException: Invalid index name [a b], must not \
                 contain the following characters ['\\','/','*','?','\"','<','>','|',' ',','];",
            ),
        ),
    ];
    for (body, wanted) in table {
        for (method, path) in [("POST", "/_connector"), ("PUT", "/_connector"), ("PUT", "/_connector/other")]
        {
            refuses(&kit, method, path, body.clone(), wanted).await;
        }
    }
    let (status, answer) = kit.raw("POST", "/_connector", "{\"a\":").await;
    assert_eq!((status, error(&answer).0), (400, "x_content_e_o_f_exception"));
    refuses(&kit, "POST", "/_connector/c", json!({}), (405, "", "")).await;
    let long = format!("/_connector/{}", "x".repeat(513));
    assert_eq!(kit.call("PUT", &long).await.0, 400);
}

#[tokio::test]
async fn two_connectors_never_get_one_index() {
    let kit = Kit::open();
    let paths: Vec<String> = (0..8).map(|n| format!("/_connector/c{n}")).collect();
    let creations = paths.iter().map(|path| kit.json("PUT", path, json!({"index_name": "docs"})));
    let answers = futures::future::join_all(creations).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "{answers:?}");
    let (_, listed) = kit.call("GET", "/_connector?index_name=docs").await;
    assert_eq!(listed["count"], 1);
}

#[tokio::test]
async fn simple_updates_are_stored_and_told() {
    let kit = with_connector(json!({})).await;
    let table = [
        (
            "_api_key_id",
            json!({"api_key_id": "k", "api_key_secret_id": "s"}),
            json!({"api_key_id": "k", "api_key_secret_id": "s"}),
        ),
        ("_name", json!({"name": "n", "description": "d"}), json!({"name": "n", "description": "d"})),
        ("_index_name", json!({"index_name": "docs"}), json!({"index_name": "docs", "status": "created"})),
        ("_service_type", json!({"service_type": "s"}), json!({"service_type": "s", "status": "created"})),
        (
            "_features",
            json!({"features": {"incremental_sync": {"enabled": true}}}),
            json!({"features": {"incremental_sync": {"enabled": true}}}),
        ),
        (
            "_pipeline",
            json!({"pipeline": {"name": "p", "extract_binary_content": true, "reduce_whitespace": true, "run_ml_inference": false}}),
            json!({"pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false}}),
        ),
        ("_status", json!({"status": "needs_configuration"}), json!({"status": "needs_configuration"})),
        ("_error", json!({"error": "boom"}), json!({"error": "boom", "status": "error"})),
        ("_error", json!({"error": null}), json!({"error": null, "status": "connected"})),
        ("_native", json!({"is_native": false}), json!({"is_native": false, "status": "configured"})),
        (
            "_last_sync",
            json!({"last_sync_status": "completed", "last_synced": "2023-05-25T12:30:00.5Z", "last_indexed_document_count": 3}),
            json!({"last_sync_status": "completed", "last_synced": "2023-05-25T12:30:00.500Z", "last_indexed_document_count": 3}),
        ),
    ];
    for (endpoint, body, stored) in table {
        let path = format!("/_connector/c/{endpoint}");
        does(&kit, &path, body.clone(), "updated").await;
        let shown = source(&kit, "/_connector/c").await;
        for (key, value) in stored.as_object().unwrap() {
            assert_eq!(shown.get(key), Some(value), "{endpoint} {key}");
        }
        // A configured connector stays so; all else was stored already.
        if !matches!(endpoint, "_service_type" | "_status") {
            does(&kit, &path, body, "noop").await;
        }
    }
    does(&kit, "/_connector/c/_check_in", Value::Null, "updated").await;
    assert!(source(&kit, "/_connector/c").await["last_seen"].as_str().unwrap().ends_with('Z'));
    let scheduling = json!({"scheduling": {"full": {"enabled": true, "interval": "0 0 0 ? * mon"}}});
    does(&kit, "/_connector/c/_scheduling", scheduling, "updated").await;
    assert_eq!(source(&kit, "/_connector/c").await["scheduling"]["full"]["interval"], "0 0 0 ? * MON");
}

#[tokio::test]
async fn bad_updates_are_refused_with_exact_reasons() {
    let kit = with_connector(json!({"index_name": "docs"})).await;
    kit.json("PUT", "/_connector/other", json!({"index_name": "taken"})).await;
    let table = [
        (
            "_api_key_id",
            json!({}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [api_key_id] and [api_key_secret_id] cannot both be [null]. Please provide a value for at least one of them.;",
            ),
        ),
        (
            "_name",
            json!({"name": null}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [name] and [description] cannot both be [null]. Please provide a value for at least one of them.;",
            ),
        ),
        (
            "_index_name",
            json!({"index_name": "taken"}),
            (400, STATUS, "Index name [taken] is used by another connector."),
        ),
        ("_index_name", json!({}), (400, ILLEGAL, "Required [index_name]")),
        (
            "_service_type",
            json!({"service_type": ""}),
            (400, VALIDATION, "Validation Failed: 1: [service_type] cannot be [null] or [\"\"].;"),
        ),
        (
            "_features",
            json!({"features": {"incremental_sync": null}}),
            (400, PARSE, "[1:33] [connector_update_features_request] failed to parse field [features]"),
        ),
        ("_pipeline", json!({}), (400, ILLEGAL, "Required [pipeline]")),
        (
            "_status",
            json!({"status": "connected"}),
            (
                400,
                STATUS,
                "Invalid transition attempt from [created] to [connected]. Such a status transition is not supported by the Connector Protocol.",
            ),
        ),
        (
            "_status",
            json!({"status": "x"}),
            (400, PARSE, "[1:11] [connector_update_status_request] failed to parse field [status]"),
        ),
        ("_error", json!({}), (400, ILLEGAL, "Required [error]")),
        (
            "_native",
            json!({"is_native": true}),
            (
                400,
                STATUS,
                "The index name [docs] attached to the connector [c] must start with the required prefix: [content-] to be Elastic-managed. Please update the attached index first to comply with this requirement.",
            ),
        ),
        (
            "_last_sync",
            json!({"last_seen": "2023-05-25T12:30:00Z"}),
            (
                400,
                PARSE,
                "[1:2] [connector_update_last_sync_stats_request] unknown field [last_seen] did you mean [last_synced]?",
            ),
        ),
        (
            "_scheduling",
            json!({"scheduling": {}}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [scheduling] object needs to define at least one schedule type: [full | incremental | access_control];",
            ),
        ),
        (
            "_configuration",
            json!({}),
            (400, VALIDATION, "Validation Failed: 1: [configuration] and [values] cannot both be null.;"),
        ),
        (
            "_filtering",
            json!({}),
            (400, VALIDATION, "Validation Failed: 1: [advanced_snippet] and [rules] cannot be both [null].;"),
        ),
        ("_filtering/_validation", json!({}), (400, ILLEGAL, "Required [validation]")),
        (
            "_check_in",
            json!({}),
            (400, ILLEGAL, "request [PUT /_connector/c/_check_in] does not support having a body"),
        ),
        (
            "_filtering/_activate",
            json!({}),
            (400, ILLEGAL, "request [PUT /_connector/c/_filtering/_activate] does not support having a body"),
        ),
    ];
    for (endpoint, body, wanted) in table {
        refuses(&kit, "PUT", &format!("/_connector/c/{endpoint}"), body, wanted).await;
    }
    refuses(
        &kit,
        "PUT",
        "/_connector/c/_name",
        Value::Null,
        (400, "parse_exception", "request body is required"),
    )
    .await;
    let wanted = (400, VALIDATION, "Validation Failed: 1: [connector_id] cannot be [null] or [\"\"].;");
    refuses(&kit, "PUT", "/_connector//_index_name", json!({"index_name": "x"}), wanted).await;
    let unknown = (400, ILLEGAL, "request [/_connector/c/_name] contains unrecognized parameter: [nope]");
    refuses(&kit, "PUT", "/_connector/c/_name?nope=1", json!({"name": "n"}), unknown).await;
}

#[tokio::test]
async fn a_configuration_is_registered_and_its_values_set() {
    let kit = with_connector(json!({})).await;
    let fields = json!({"configuration": {"host": {"label": "Host", "type": "str", "required": true}}});
    does(&kit, "/_connector/c/_configuration", fields.clone(), "updated").await;
    does(&kit, "/_connector/c/_configuration", fields, "updated").await;
    does(&kit, "/_connector/c/_configuration", json!({"values": {"host": "a"}}), "updated").await;
    does(&kit, "/_connector/c/_configuration", json!({"values": {"host": "a"}}), "noop").await;
    let shown = source(&kit, "/_connector/c").await;
    assert_eq!(shown["status"], "configured");
    let wanted = json!({"host": {"default_value": null, "label": "Host", "required": true, "sensitive": false, "type": "str", "value": "a"}});
    assert_eq!(shown["configuration"], wanted);
    let reason = "Unknown [configuration] fields in the request payload: [port]. Remove them from request or register their schema first.";
    refuses(
        &kit,
        "PUT",
        "/_connector/c/_configuration",
        json!({"values": {"port": 1}}),
        (400, STATUS, reason),
    )
    .await;
}

#[tokio::test]
async fn filtering_is_edited_validated_and_activated() {
    let kit = with_connector(json!({})).await;
    does(&kit, "/_connector/c/_filtering/_activate", Value::Null, "noop").await;
    let rule = json!({"id": "r1", "field": "ext", "order": 3, "policy": "exclude", "rule": "equals", "value": "zip"});
    does(&kit, "/_connector/c/_filtering", json!({"rules": [rule]}), "updated").await;
    let reason = "Filtering draft needs to be validated by the connector service before activation. Current filtering draft validation state \
                  [edited] is not equal to [valid].";
    refuses(&kit, "PUT", "/_connector/c/_filtering/_activate", Value::Null, (400, STATUS, reason)).await;
    let valid = json!({"validation": {"state": "valid", "errors": []}});
    does(&kit, "/_connector/c/_filtering/_validation", valid, "updated").await;
    does(&kit, "/_connector/c/_filtering/_activate", Value::Null, "updated").await;
    let filtering = source(&kit, "/_connector/c").await["filtering"].clone();
    assert_eq!(filtering[0]["active"], filtering[0]["draft"]);
    assert_eq!(filtering[0]["active"]["rules"][1]["order"], 4);
    let whole = json!({"filtering": filtering});
    does(&kit, "/_connector/c/_filtering", whole, "noop").await;
    // The mapping's limits hold for what passes the parser.
    let rule = json!({"id": "r1", "field": "f", "order": 40000, "policy": "exclude", "rule": "equals", "value": "zip"});
    let (status, answer) = kit.json("PUT", "/_connector/c/_filtering", json!({"rules": [rule]})).await;
    assert_eq!((status, error(&answer).0), (400, "document_parsing_exception"), "{answer}");
}

#[tokio::test]
async fn a_missing_connector_is_told_in_two_ways() {
    let kit = Kit::open();
    let calls = [
        ("_configuration", json!({"values": {}}), true),
        ("_filtering", json!({"rules": []}), true),
        ("_filtering/_validation", json!({"validation": {"state": "valid", "errors": []}}), true),
        ("_filtering/_activate", Value::Null, true),
        ("_index_name", json!({"index_name": "a"}), true),
        ("_native", json!({"is_native": true}), true),
        ("_service_type", json!({"service_type": "s"}), true),
        ("_status", json!({"status": "error"}), true),
        ("_api_key_id", json!({"api_key_id": "k"}), false),
        ("_check_in", Value::Null, false),
        ("_error", json!({"error": "e"}), false),
        ("_features", json!({"features": {}}), false),
        ("_filtering", json!({"filtering": []}), false),
        ("_last_sync", json!({}), false),
        ("_name", json!({"name": "n"}), false),
        (
            "_pipeline",
            json!({"pipeline": {"name": "p", "extract_binary_content": true, "reduce_whitespace": true, "run_ml_inference": true}}),
            false,
        ),
        ("_scheduling", json!({"scheduling": {"full": {"enabled": true, "interval": "0 0 0 * * ?"}}}), false),
    ];
    let not_found = (404, NOT_FOUND, "connector [x] not found");
    for (endpoint, body, _) in calls.clone() {
        refuses(&kit, "PUT", &format!("/_connector/x/{endpoint}"), body, not_found).await;
    }
    refuses(&kit, "DELETE", "/_connector/x", Value::Null, not_found).await;
    kit.call("PUT", "/_connector/c").await;
    for (endpoint, body, looks_up) in calls.clone() {
        let wanted =
            if looks_up { not_found } else { (404, "document_missing_exception", "[x]: document missing") };
        refuses(&kit, "PUT", &format!("/_connector/x/{endpoint}"), body, wanted).await;
    }
    refuses(&kit, "DELETE", "/_connector/x", Value::Null, not_found).await;
    refuses(&kit, "DELETE", "/_connector/x?hard=true", Value::Null, not_found).await;
    let (_, answer) = kit.json("PUT", "/_connector/x/_name", json!({"name": "n"})).await;
    assert_eq!(answer["error"]["index"], ".elastic-connectors-v1");

    // A soft-deleted one is absent for the same endpoints, and only for them.
    kit.call("DELETE", "/_connector/c").await;
    for (endpoint, body, looks_up) in calls {
        let path = format!("/_connector/c/{endpoint}");
        let (status, answer) =
            if body.is_null() { kit.call("PUT", &path).await } else { kit.json("PUT", &path, body).await };
        assert_eq!(status, if looks_up { 404 } else { 200 }, "{path} {answer}");
    }
}

#[tokio::test]
async fn connectors_are_deleted_softly_or_for_good() {
    let (kit, job) = with_job().await;
    assert_eq!(kit.call("DELETE", "/_connector/c").await, (200, json!({"acknowledged": true})));
    let not_found = (404, NOT_FOUND, "connector [c] not found");
    refuses(&kit, "GET", "/_connector/c", Value::Null, not_found).await;
    refuses(&kit, "DELETE", "/_connector/c", Value::Null, not_found).await;
    assert_eq!(source(&kit, "/_connector/c?include_deleted").await["deleted"], true);
    assert_eq!(kit.call("GET", "/_connector").await.1["count"], 0);
    assert_eq!(kit.call("GET", "/_connector?include_deleted=true").await.1["count"], 1);
    // Its index is free, and jobs can be made of it still.
    assert_eq!(kit.json("POST", "/_connector", json!({"index_name": "docs"})).await.0, 201);
    let second = post_job(&kit, json!({"id": "c"})).await;
    assert_eq!(kit.call("DELETE", "/_connector/c?hard=true").await, (200, json!({"acknowledged": true})));
    refuses(&kit, "GET", "/_connector/c?include_deleted=true", Value::Null, not_found).await;
    for id in [&job, &second] {
        assert_eq!(source(&kit, &format!("/_connector/_sync_job/{id}")).await["status"], "pending");
    }
}

#[tokio::test]
async fn the_jobs_of_a_connector_go_with_it_when_asked() {
    let (kit, _) = with_job().await;
    post_job(&kit, json!({"id": "c"})).await;
    kit.json("PUT", "/_connector/d", json!({"index_name": "other", "service_type": "s"})).await;
    let kept = post_job(&kit, json!({"id": "d"})).await;
    let answer = kit.call("DELETE", "/_connector/c?delete_sync_jobs=true&hard=true").await;
    assert_eq!(answer, (200, json!({"acknowledged": true})));
    let (_, jobs) = kit.call("GET", "/_connector/_sync_job").await;
    assert_eq!(ids(&jobs), [kept]);
    refuses(
        &kit,
        "DELETE",
        "/_connector/d?hard=x",
        Value::Null,
        (400, ILLEGAL, "Failed to parse value [x] as only [true] or [false] are allowed."),
    )
    .await;
}

#[tokio::test]
async fn connectors_are_listed_by_index_name_with_filters() {
    let kit = Kit::open();
    for (id, body) in [
        (
            "1",
            json!({"index_name": "b-docs", "name": "Second", "description": "Sharepoint site", "service_type": "s1"}),
        ),
        ("2", json!({"index_name": "a-docs", "name": "First", "service_type": "s2"})),
        ("3", json!({"name": "Detached", "service_type": "s1"})),
    ] {
        kit.json("PUT", &format!("/_connector/{id}"), body).await;
    }
    let table: [(&str, &[&str]); 14] = [
        ("", &["2", "1", "3"]),
        ("?index_name=a-docs,b-docs", &["2", "1"]),
        ("?connector_name=Detached", &["3"]),
        ("?service_type=s1", &["1", "3"]),
        ("?service_type=s1&index_name=b-docs", &["1"]),
        ("?service_type=s1&index_name=a-docs", &[]),
        ("?query=docs", &["2", "1"]),
        ("?query=Detach", &["3"]),
        ("?query=detach", &[]),
        ("?query=harep", &["1"]),
        ("?query=Sharep", &[]),
        ("?query=S*nd", &["1"]),
        ("?from=1&size=1", &["1"]),
        ("?size=0", &[]),
    ];
    for (query, wanted) in table {
        let (status, answer) = kit.call("GET", &format!("/_connector{query}")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(ids(&answer), wanted, "{query}");
        let all = if query.contains("size") { 3 } else { wanted.len() };
        assert_eq!(answer["count"], all, "{query}");
    }
    for (query, reason) in [
        ("?from=-1", "Parameter [from] cannot be < 0"),
        ("?size=-1", "Parameter [size] cannot be < 0"),
        ("?size=x", "Failed to parse int parameter [size] with value [x]"),
    ] {
        refuses(&kit, "GET", &format!("/_connector{query}"), Value::Null, (400, ILLEGAL, reason)).await;
    }
    let (status, answer) = kit.call("GET", "/_connector?index_name=_x").await;
    assert_eq!((status, error(&answer).0), (400, VALIDATION));
    let (status, answer) = kit.call("GET", "/_connector?from=10000").await;
    assert_eq!((status, error(&answer).0), (400, "search_phase_execution_exception"), "{answer}");
}

#[tokio::test]
async fn a_job_is_created_for_a_connector_that_can_sync() {
    let kit = Kit::open();
    let missing_index = (404, "index_not_found_exception", "no such index [.elastic-connectors-v1]");
    refuses(&kit, "POST", "/_connector/_sync_job", json!({"id": "c"}), missing_index).await;
    kit.call("PUT", "/_connector/c").await;
    let missing = (404, NOT_FOUND, "Connector with id 'x' does not exist.");
    refuses(&kit, "POST", "/_connector/_sync_job", json!({"id": "x"}), missing).await;
    let no_index = "Cannot start a sync for connector [c] with no index attached. Set the [index_name] property for the connector to enable \
                    syncing data.";
    refuses(&kit, "POST", "/_connector/_sync_job", json!({"id": "c"}), (400, STATUS, no_index)).await;
    kit.json("PUT", "/_connector/c/_index_name", json!({"index_name": "docs"})).await;
    let no_type = "Cannot start a sync for connector [c] with [service_type] not defined. Set the service type of your connector before \
                   starting the sync.";
    refuses(&kit, "POST", "/_connector/_sync_job", json!({"id": "c"}), (400, STATUS, no_type)).await;
    kit.json("PUT", "/_connector/c/_service_type", json!({"service_type": "s"})).await;
    let id =
        post_job(&kit, json!({"id": "c", "job_type": "access_control", "trigger_method": "scheduled"})).await;
    let job = source(&kit, &format!("/_connector/_sync_job/{id}")).await;
    assert_eq!(job["id"], json!(id));
    assert_eq!(job["connector"]["index_name"], ".search-acl-filter-docs");
    assert!(job["connector"]["filtering"]["rules"].is_array(), "{job}");
    assert_eq!(
        (job["status"].clone(), job["trigger_method"].clone()),
        (json!("pending"), json!("scheduled"))
    );
    let build = "Failed to build [connector_sync_job_post_request] after last required field arrived";
    refuses(&kit, "POST", "/_connector/_sync_job", json!({"id": "c", "job_type": "x"}), (400, PARSE, build))
        .await;
    refuses(
        &kit,
        "POST",
        "/_connector/_sync_job",
        Value::Null,
        (400, "parse_exception", "request body is required"),
    )
    .await;
}

#[tokio::test]
async fn a_job_lives_as_the_state_machine_says() {
    let (kit, id) = with_job().await;
    let path = |tail: &str| format!("/_connector/_sync_job/{id}{tail}");
    let illegal = |from: &str, to: &str| {
        format!(
            "Invalid transition attempt from [{from}] to [{to}]. Such a ConnectorSyncStatus transition is not supported by the Connector Protocol."
        )
    };
    refuses(
        &kit,
        "PUT",
        &path("/_error"),
        json!({"error": "e"}),
        (400, STATUS, &illegal("pending", "error")),
    )
    .await;
    does(&kit, &path("/_claim"), json!({"worker_hostname": "w", "sync_cursor": {"a": 1}}), "updated").await;
    let job = source(&kit, &path("")).await;
    assert_eq!((job["status"].clone(), job["worker_hostname"].clone()), (json!("in_progress"), json!("w")));
    assert_eq!(job["connector"]["sync_cursor"], json!({"a": 1}));
    does(&kit, &path("/_check_in"), Value::Null, "updated").await;
    let stats = json!({"deleted_document_count": 1, "indexed_document_count": 2, "indexed_document_volume": 3, "metadata": {"k": 1}});
    does(&kit, &path("/_stats"), stats, "updated").await;
    let job = source(&kit, &path("")).await;
    assert_eq!((job["indexed_document_count"].clone(), job["metadata"].clone()), (json!(2), json!({"k": 1})));
    does(&kit, &path("/_cancel"), Value::Null, "updated").await;
    assert_eq!(source(&kit, &path("")).await["status"], "canceling");
    refuses(&kit, "PUT", &path("/_cancel"), Value::Null, (400, STATUS, &illegal("canceling", "canceling")))
        .await;
    does(&kit, &path("/_error"), json!({"error": "boom"}), "updated").await;
    let job = source(&kit, &path("")).await;
    assert_eq!(
        (job["status"].clone(), job["error"].clone(), job.get("completed_at")),
        (json!("error"), json!("boom"), None)
    );
    assert_eq!(kit.call("DELETE", &path("")).await, (200, json!({"acknowledged": true})));
    refuses(&kit, "GET", &path(""), Value::Null, (404, NOT_FOUND, &id)).await;
}

#[tokio::test]
async fn bad_job_updates_are_refused_with_exact_reasons() {
    let (kit, id) = with_job().await;
    let path = |tail: &str| format!("/_connector/_sync_job/{id}{tail}");
    let table = [
        ("/_claim", json!({}), (400, ILLEGAL, "Required [worker_hostname]")),
        (
            "/_error",
            json!({"error": ""}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [error] of the connector sync job cannot be null or empty;",
            ),
        ),
        (
            "/_stats",
            json!({}),
            (
                400,
                ILLEGAL,
                "Required [deleted_document_count, indexed_document_count, indexed_document_volume]",
            ),
        ),
        (
            "/_stats",
            json!({"x": 1}),
            (400, PARSE, "[1:2] [connector_sync_job_update_ingestion_stats] unknown field [x]"),
        ),
    ];
    for (tail, body, wanted) in table {
        refuses(&kit, "PUT", &path(tail), body, wanted).await;
    }
    let empty =
        "Validation Failed: 1: [connector_sync_job_id] of the connector sync job cannot be null or empty.;";
    refuses(&kit, "PUT", "/_connector/_sync_job//_cancel", Value::Null, (400, VALIDATION, empty)).await;
}

#[tokio::test]
async fn a_missing_job_is_told_in_two_ways() {
    let stats =
        json!({"deleted_document_count": 1, "indexed_document_count": 2, "indexed_document_volume": 3});
    let calls = [
        ("GET", "", Value::Null, "x"),
        ("DELETE", "", Value::Null, "x"),
        ("PUT", "/_cancel", Value::Null, "x"),
        ("PUT", "/_error", json!({"error": "e"}), "x"),
        ("PUT", "/_claim", json!({"worker_hostname": "w"}), "x"),
        ("PUT", "/_check_in", Value::Null, "connector sync job [x] not found"),
        ("PUT", "/_stats", stats, "connector sync job [x] not found"),
    ];
    let kit = Kit::open();
    for (method, tail, body, _) in calls.clone() {
        let wanted = (404, NOT_FOUND, "connector sync job [x] not found");
        refuses(&kit, method, &format!("/_connector/_sync_job/x{tail}"), body, wanted).await;
    }
    let (kit, _) = with_job().await;
    for (method, tail, body, reason) in calls {
        refuses(&kit, method, &format!("/_connector/_sync_job/x{tail}"), body, (404, NOT_FOUND, reason))
            .await;
    }
}

#[tokio::test]
async fn jobs_are_listed_newest_first_with_filters() {
    let (kit, first) = with_job().await;
    kit.json("PUT", "/_connector/d", json!({"index_name": "other", "service_type": "s"})).await;
    let second = post_job(&kit, json!({"id": "d", "job_type": "incremental"})).await;
    let third = post_job(&kit, json!({"id": "c", "job_type": "access_control"})).await;
    kit.call("PUT", &format!("/_connector/_sync_job/{second}/_cancel")).await;
    let (a, b, c) = (first.as_str(), second.as_str(), third.as_str());
    let table: [(&str, Vec<&str>); 7] = [
        ("", vec![c, b, a]),
        ("?status=PENDING", vec![c, a]),
        ("?status=canceled", vec![b]),
        ("?connector_id=c", vec![c, a]),
        ("?job_type=full,incremental", vec![b, a]),
        ("?job_type=full&connector_id=d", vec![]),
        ("?from=1&size=1", vec![b]),
    ];
    for (query, wanted) in table {
        let (status, answer) = kit.call("GET", &format!("/_connector/_sync_job{query}")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(ids(&answer), wanted, "{query}");
    }
    for (query, reason) in [
        ("?status=x", "Unknown ConnectorSyncStatus [x]."),
        ("?job_type=full,x", "Unknown ConnectorSyncJobType [x]."),
        ("?from=-1", "Parameter [from] cannot be < 0"),
    ] {
        refuses(&kit, "GET", &format!("/_connector/_sync_job{query}"), Value::Null, (400, ILLEGAL, reason))
            .await;
    }
}

#[tokio::test]
async fn claims_and_cancels_of_one_job_never_race() {
    let (kit, id) = with_job().await;
    let path = format!("/_connector/_sync_job/{id}/_cancel");
    let answers = futures::future::join_all((0..8).map(|_| kit.call("PUT", &path))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn secrets_are_kept_shown_and_removed() {
    let kit = Kit::open();
    let (status, answer) = kit.json("POST", "/_connector/_secret", json!({"value": "geheim"})).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["id"].as_str().unwrap();
    assert_eq!(id.len(), 20);
    let path = format!("/_connector/_secret/{id}");
    assert_eq!(kit.call("GET", &path).await, (200, json!({"id": id, "value": "geheim"})));
    assert_eq!(kit.json("PUT", &path, json!({"value": "neu"})).await, (200, json!({"result": "updated"})));
    assert_eq!(
        kit.json("PUT", "/_connector/_secret/own", json!({"value": "a"})).await,
        (201, json!({"result": "created"}))
    );
    assert_eq!(kit.call("DELETE", &path).await, (200, json!({"deleted": true})));
    let reason = format!("No secret with id [{id}]");
    for method in ["GET", "DELETE"] {
        refuses(&kit, method, &path, Value::Null, (404, NOT_FOUND, &reason)).await;
    }
    let table = [
        (
            "POST",
            "/_connector/_secret",
            json!({}),
            (
                400,
                VALIDATION,
                "Validation Failed: 1: [value] of the connector secret cannot be [null] or [\"\"];",
            ),
        ),
        (
            "POST",
            "/_connector/_secret",
            json!({"value": null}),
            (400, PARSE, "[1:10] [post_secret_request] value doesn't support values of type: VALUE_NULL"),
        ),
        (
            "POST",
            "/_connector/_secret",
            json!({"value": "a", "x": 1}),
            (400, PARSE, "[1:14] [post_secret_request] unknown field [x]"),
        ),
        ("PUT", "/_connector/_secret/own", json!({}), (400, ILLEGAL, "Required [value]")),
        (
            "PUT",
            "/_connector/_secret/own",
            json!({"value": ""}),
            (400, VALIDATION, "Validation Failed: 1: [value] cannot be [null] or [\"\"];"),
        ),
    ];
    for (method, path, body, wanted) in table {
        refuses(&kit, method, path, body, wanted).await;
    }
    let (_, found) = kit.call("GET", "/_cat/indices?expand_wildcards=all&format=json").await;
    assert!(!found.to_string().contains("secret"), "{found}");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_as_elasticsearch_does() {
    let kit = with_connector(json!({})).await;
    let eof = "x_content_e_o_f_exception";
    let table = [
        ("{", eof, "[1:2] Unexpected end of file"),
        ("{\"name\":", eof, "[1:9] Unexpected end of file"),
        ("{\"name\":\"a", eof, "[1:11] Unexpected end of file"),
        ("   ", PARSE, "[1:0] [connector_update_name_request] Expected START_OBJECT but was: null"),
        ("[", PARSE, "[1:1] [connector_update_name_request] Expected START_OBJECT but was: START_ARRAY"),
        ("nonsense", PARSE, "[1:9] Unrecognized token 'nonsense': was expecting (JSON String, Number, Array"),
        (
            "{\"name\" 1}",
            PARSE,
            "[1:9] Unexpected character ('1' (code 49)): was expecting a colon to separate",
        ),
        ("{\"name\":\"a\",\"name\":\"b\"}", PARSE, "[1:19] Duplicate field 'name'\n at [Source: (byte[])\"{"),
        // What comes first is told first.
        ("{\"x\":1, oops", PARSE, "[1:2] [connector_update_name_request] unknown field [x]"),
        (
            "{\"name\":1, oops",
            PARSE,
            "[1:9] [connector_update_name_request] name doesn't support values of type",
        ),
    ];
    for (body, kind, reason) in table {
        let (status, answer) = kit.raw("PUT", "/_connector/c/_name", body).await;
        let found = error(&answer);
        assert_eq!((status, found.0), (400, kind), "{body}: {answer}");
        assert!(found.1.starts_with(reason), "{body}: {answer}");
    }
    // Inside of an object, its parser tells it too.
    let (_, answer) = kit.raw("PUT", "/_connector/c/_scheduling", "{\"scheduling\":{\"full\":}}").await;
    let wanted = "[1:23] [connector_update_scheduling_request] failed to parse field [scheduling]";
    assert_eq!(error(&answer), (PARSE, wanted), "{answer}");
    let cause = answer["error"]["caused_by"]["reason"].as_str().unwrap();
    assert!(cause.starts_with("[1:23] Unexpected character ('}' (code 125)): expected a value"), "{answer}");
    assert_eq!(answer["error"]["root_cause"][0]["reason"], cause);
    // What follows the first value is not read.
    assert_eq!(kit.raw("PUT", "/_connector/c/_name", "{\"name\":\"n\"} x").await.0, 200);
}

#[tokio::test]
async fn nulls_that_elasticsearch_does_not_expect_are_errors_without_a_reason() {
    let kit = with_connector(json!({})).await;
    let fields = json!({"configuration": {"host": {"label": "Host", "value": "a"}}});
    does(&kit, "/_connector/c/_configuration", fields, "updated").await;
    for (path, body) in [("_features", json!({})), ("_configuration", json!({"values": {"host": null}}))] {
        let (status, answer) = kit.json("PUT", &format!("/_connector/c/{path}"), body).await;
        let null = json!({"type": "null_pointer_exception", "reason": null});
        assert_eq!((status, &answer["error"]["root_cause"][0]), (500, &null), "{answer}");
    }
    let shown = source(&kit, "/_connector/c").await;
    assert_eq!((&shown["configuration"]["host"]["value"], shown.get("features")), (&json!("a"), None));
    // Names are looked at first.
    let (status, answer) =
        kit.json("PUT", "/_connector/c/_configuration", json!({"values": {"host": null, "x": 1}})).await;
    assert_eq!((status, error(&answer).0), (400, STATUS), "{answer}");
}

#[tokio::test]
async fn errors_tell_their_causes_when_asked() {
    let kit = with_connector(json!({})).await;
    let (_, answer) =
        kit.json("PUT", "/_connector/c/_status?error_trace=true", json!({"status": "running"})).await;
    let wanted = "Caused by: illegal_argument_exception: Unknown ConnectorStatus [running].";
    assert!(answer["error"]["stack_trace"].as_str().unwrap().ends_with(wanted), "{answer}");
    for part in [&answer["error"]["root_cause"][0], &answer["error"]["caused_by"]] {
        assert!(part["stack_trace"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn a_key_needs_the_connector_privileges_and_no_others() {
    let mut kit = Kit::secured();
    let (_, manage) = kit.key(json!({"r": {"cluster": ["manage_connector"]}})).await;
    let (_, monitor) = kit.key(json!({"r": {"cluster": ["monitor_connector"]}})).await;
    kit.auth(Some(manage));
    assert_eq!(
        kit.json("PUT", "/_connector/c", json!({"index_name": "docs", "service_type": "s"})).await.0,
        201
    );
    assert_eq!(kit.call("PUT", "/_connector/c/_check_in").await.0, 200);
    post_job(&kit, json!({"id": "c"})).await;
    assert_eq!(kit.call("GET", "/_connector").await.1["count"], 1);
    assert_eq!(kit.json("POST", "/_connector/_secret", json!({"value": "a"})).await.0, 403);
    kit.auth(Some(monitor));
    assert_eq!(kit.call("GET", "/_connector/c").await.0, 200);
    assert_eq!(kit.call("GET", "/_connector/_sync_job").await.1["count"], 1);
    assert_eq!(kit.call("PUT", "/_connector/c/_check_in").await.0, 403);
}
