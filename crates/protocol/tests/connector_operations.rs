//! The operations on connectors, as connector-api 6 to 11 state them: what an endpoint answers to a body, and what is
//! stored then.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

use serde_json::{Map, Value, json};
use tributary_protocol::ops::{self, ConnectorOp};
use tributary_protocol::request::{ConnectorRequest, CreateConnector, SecretRequest, check_index_names};
use tributary_protocol::{ProtocolError, Time};

const CREATED: &str = "2024-01-02T03:04:05.678Z";
const LATER: &str = "2024-01-02T04:00:00.000Z";

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn create(body: &Value) -> Result<Value, ProtocolError> {
    ops::connector::create(&CreateConnector::parse(body.to_string().as_bytes())?, at(CREATED))
}

fn fresh() -> Value {
    create(&json!({})).unwrap()
}

/// A fresh connector with other members.
fn stored(members: Value) -> Value {
    let mut source = fresh();
    for (key, value) in members.as_object().unwrap() {
        source[key] = value.clone();
    }
    source
}

/// What an endpoint does to a stored connector `c`: its result and the new source.
fn put(op: ConnectorOp, body: &Value, source: &Value) -> Result<(&'static str, Value), ProtocolError> {
    let request = ConnectorRequest::parse(op, "c", body.to_string().as_bytes(), at(LATER))?;
    let change = ops::connector::apply("c", &request, source.clone(), at(LATER))?;
    Ok((change.outcome.as_str(), change.source))
}

/// The members of `after` that are not those of `before`.
fn changed(before: &Value, after: &Value) -> Value {
    let old = before.as_object().unwrap();
    let new = after.as_object().unwrap();
    assert!(old.keys().all(|key| new.contains_key(key)), "nothing is ever removed");
    Value::Object(
        new.iter()
            .filter(|(key, value)| old.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect::<Map<_, _>>(),
    )
}

/// Endpoint, body, members of the stored connector, result, changed members.
fn check(op: ConnectorOp, body: Value, members: Value, result: &str, change: Value) {
    let before = stored(members);
    let (got, after) = put(op, &body, &before).unwrap_or_else(|error| panic!("{op:?} {body}: {error}"));
    assert_eq!((got, changed(&before, &after)), (result, change), "{op:?} {body}");
}

/// Endpoint, body, members of the stored connector, status, type, reason.
fn refused(op: ConnectorOp, body: Value, members: Value, status: u16, es_type: &str, reason: &str) {
    let error = put(op, &body, &stored(members)).expect_err(&format!("{op:?} {body}"));
    assert_eq!((error.status(), error.es_type(), error.reason()), (status, es_type, reason), "{op:?} {body}");
}

fn invalid(op: ConnectorOp, body: Value, messages: &str) {
    refused(
        op,
        body,
        json!({}),
        400,
        "action_request_validation_exception",
        &format!("Validation Failed: {messages}"),
    );
}

#[test]
fn a_new_connector_is_exactly_this() {
    let rules = json!({
        "advanced_snippet": {"created_at": CREATED, "updated_at": CREATED, "value": {}},
        "rules": [{"created_at": CREATED, "field": "_", "id": "DEFAULT", "order": 0, "policy": "include", "rule": "regex",
                   "updated_at": CREATED, "value": ".*"}],
        "validation": {"errors": [], "state": "valid"},
    });
    let never = json!({"enabled": false, "interval": "0 0 0 * * ?"});
    let wanted = json!({
        "configuration": {}, "custom_scheduling": {},
        "filtering": [{"active": rules, "domain": "DEFAULT", "draft": rules}],
        "is_native": false, "name": "",
        "scheduling": {"access_control": never, "full": never, "incremental": never},
        "status": "created", "sync_now": false, "deleted": false,
    });
    assert_eq!(fresh(), wanted);
    assert_eq!(create(&json!({"index_name": null})).unwrap(), wanted);
    let empty = ops::connector::create(&CreateConnector::parse(b"").unwrap(), at(CREATED)).unwrap();
    assert_eq!(empty, wanted);
}

#[test]
fn what_is_given_at_creation_is_stored() {
    let body = json!({"description": "d", "index_name": "search-docs", "language": "en", "name": "n", "service_type": "s", "is_native": "false"});
    let source = create(&body).unwrap();
    for (key, value) in [
        ("description", "d"),
        ("index_name", "search-docs"),
        ("language", "en"),
        ("name", "n"),
        ("service_type", "s"),
    ] {
        assert_eq!(source[key], value);
    }
    let native = create(&json!({"is_native": true, "index_name": "content-a"})).unwrap();
    assert_eq!(
        (native["is_native"].clone(), native["status"].clone()),
        (json!(true), json!("needs_configuration"))
    );
}

#[test]
fn a_bad_creation_is_refused_with_its_reason() {
    let table = [
        (
            json!({"nam": "x"}),
            "x_content_parse_exception",
            "[1:2] [connector_put_request] unknown field [nam] did you mean [name]?",
        ),
        (
            json!({"name": null}),
            "x_content_parse_exception",
            "[1:9] [connector_put_request] name doesn't support values of type: VALUE_NULL",
        ),
        (
            json!({"name": 5}),
            "x_content_parse_exception",
            "[1:9] [connector_put_request] name doesn't support values of type: VALUE_NUMBER",
        ),
        (
            json!({"is_native": "no"}),
            "x_content_parse_exception",
            "[1:14] [connector_put_request] failed to parse field [is_native]",
        ),
        (
            json!([]),
            "x_content_parse_exception",
            "[1:1] [connector_put_request] Expected START_OBJECT but was: START_ARRAY",
        ),
        (
            json!({"index_name": "docs", "is_native": true}),
            "action_request_validation_exception",
            "Validation Failed: 1: Index [docs] is invalid. Index attached to an Elastic-managed connector must start with the prefix: [content-];",
        ),
        (
            json!({"index_name": "_docs", "is_native": true}),
            "action_request_validation_exception",
            "Validation Failed: 1: [_docs] org.elasticsearch.indices.InvalidIndexNameException: Invalid index name [_docs], must not start with '_', \
             '-', or '+';2: Index [_docs] is invalid. Index attached to an Elastic-managed connector must start with the prefix: [content-];",
        ),
    ];
    for (body, es_type, reason) in table {
        let error = create(&body).unwrap_err();
        assert_eq!((error.status(), error.es_type(), error.reason()), (400, es_type, reason), "{body}");
    }
}

#[test]
fn simple_updates_merge_what_they_are_given() {
    use ConnectorOp::*;
    check(CheckIn, json!({}), json!({}), "updated", json!({"last_seen": LATER}));
    check(CheckIn, json!({}), json!({"deleted": true}), "updated", json!({"last_seen": LATER}));
    check(Name, json!({"name": "n"}), json!({"description": "d"}), "updated", json!({"name": "n"}));
    check(Name, json!({"name": "", "description": null}), json!({"description": "d"}), "noop", json!({}));
    check(ApiKeyId, json!({"api_key_id": "k"}), json!({}), "updated", json!({"api_key_id": "k"}));
    check(
        ApiKeyId,
        json!({"api_key_id": null, "api_key_secret_id": "s"}),
        json!({"api_key_secret_id": "s"}),
        "noop",
        json!({}),
    );
    check(
        Pipeline,
        json!({"pipeline": {"name": "p", "extract_binary_content": true, "reduce_whitespace": "true", "run_ml_inference": false, "x": 1}}),
        json!({}),
        "updated",
        json!({"pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false}}),
    );
    check(
        Features,
        json!({"features": {"incremental_sync": {"enabled": true}}}),
        json!({"features": {"sync_rules": {"basic": {"enabled": true}}}}),
        "updated",
        json!({"features": {"sync_rules": {"basic": {"enabled": true}}, "incremental_sync": {"enabled": true}}}),
    );
    check(Features, json!({"features": {}}), json!({"features": {}}), "noop", json!({}));
    invalid(
        Name,
        json!({}),
        "1: [name] and [description] cannot both be [null]. Please provide a value for at least one of them.;",
    );
    invalid(
        ApiKeyId,
        json!({}),
        "1: [api_key_id] and [api_key_secret_id] cannot both be [null]. Please provide a value for at least one of them.;",
    );
    refused(Pipeline, json!({}), json!({}), 400, "illegal_argument_exception", "Required [pipeline]");
    refused(
        Pipeline,
        json!({"pipeline": {"name": "p"}}),
        json!({}),
        400,
        "x_content_parse_exception",
        "[1:24] [connector_update_pipeline_request] failed to parse field [pipeline]",
    );
    // A null that Elasticsearch does not expect: no reason.
    refused(Features, json!({}), json!({}), 500, "null_pointer_exception", "");
}

#[test]
fn an_error_sets_the_status_from_any_status() {
    use ConnectorOp::Error;
    for status in ["created", "needs_configuration", "configured", "connected", "error"] {
        let with = |error: &Value| {
            put(Error, &json!({"error": error}), &stored(json!({"status": status}))).unwrap().1
        };
        let failed = with(&json!("boom"));
        assert_eq!((failed["error"].clone(), failed["status"].clone()), (json!("boom"), json!("error")));
        for none in [json!(null), json!("")] {
            let mended = with(&none);
            assert_eq!((mended["error"].clone(), mended["status"].clone()), (none, json!("connected")));
        }
    }
    check(Error, json!({"error": null}), json!({"status": "connected"}), "updated", json!({"error": null}));
    check(Error, json!({"error": null}), json!({"status": "connected", "error": null}), "noop", json!({}));
    refused(Error, json!({}), json!({}), 400, "illegal_argument_exception", "Required [error]");
    refused(
        Error,
        json!({"error": 1}),
        json!({}),
        400,
        "x_content_parse_exception",
        "[1:10] [connector_update_error_request] error doesn't support values of type: VALUE_NUMBER",
    );
}

#[test]
fn a_status_moves_only_along_the_state_machine() {
    let legal = [
        ("created", vec!["needs_configuration", "error"]),
        ("needs_configuration", vec!["configured", "error"]),
        ("configured", vec!["needs_configuration", "configured", "connected", "error"]),
        ("connected", vec!["connected", "configured", "error"]),
        ("error", vec!["error", "connected", "configured"]),
    ];
    for (from, allowed) in &legal {
        for (to, _) in &legal {
            let body = json!({"status": to.to_uppercase()});
            let outcome = put(ConnectorOp::Status, &body, &stored(json!({"status": from, "error": "e"})));
            if allowed.contains(to) {
                let (result, source) = outcome.unwrap();
                assert_eq!(source["status"], *to);
                assert_eq!(source["error"], "e");
                assert_eq!(result, if from == to { "noop" } else { "updated" });
            } else {
                let reason = format!(
                    "Invalid transition attempt from [{from}] to [{to}]. Such a status transition is not supported by the Connector Protocol."
                );
                let cause =
                    json!({"type": "connector_invalid_status_transition_exception", "reason": reason});
                assert_eq!(
                    outcome.unwrap_err().to_body(),
                    json!({"error": {"root_cause": [{"type": "status_exception", "reason": reason}], "type": "status_exception",
                                     "reason": reason, "caused_by": cause}, "status": 400})
                );
            }
        }
    }
    invalid(ConnectorOp::Status, json!({}), "1: [status] cannot be [null].;");
    let error = put(ConnectorOp::Status, &json!({"status": "running"}), &fresh()).unwrap_err();
    let outer = json!({"type": "x_content_parse_exception", "reason": "[1:11] [connector_update_status_request] failed to parse field [status]"});
    assert_eq!(
        error.to_body(),
        json!({"error": {"root_cause": [outer], "type": outer["type"], "reason": outer["reason"],
               "caused_by": {"type": "illegal_argument_exception", "reason": "Unknown ConnectorStatus [running]."}}, "status": 400})
    );
}

#[test]
fn an_index_name_is_set_detached_and_checked() {
    use ConnectorOp::IndexName;
    check(IndexName, json!({"index_name": "a"}), json!({}), "updated", json!({"index_name": "a"}));
    check(IndexName, json!({"index_name": "a"}), json!({"index_name": "a"}), "noop", json!({}));
    check(
        IndexName,
        json!({"index_name": null}),
        json!({"index_name": "a"}),
        "updated",
        json!({"index_name": null}),
    );
    check(
        IndexName,
        json!({"index_name": null}),
        json!({"is_native": true, "index_name": "content-a"}),
        "updated",
        json!({"index_name": null}),
    );
    refused(IndexName, json!({}), json!({}), 400, "illegal_argument_exception", "Required [index_name]");
    refused(
        IndexName,
        json!({"index_name": "a"}),
        json!({"is_native": true}),
        400,
        "status_exception",
        "Index attached to an Elastic-managed connector must start with the prefix: [content-]. The index name in the payload [a] doesn't \
             comply with this requirement.",
    );
    invalid(
        IndexName,
        json!({"index_name": ""}),
        "1: [] org.elasticsearch.indices.InvalidIndexNameException: Invalid index name [], must not be empty;",
    );
    assert_eq!(
        ops::connector::index_name_taken("a").reason(),
        "Index name [a] is used by another connector."
    );
    assert!(check_index_names(&["a", "b"]).is_ok());
    assert!(check_index_names(&["a", "_b", "c d"]).unwrap_err().reason().contains(";2: [c d]"));
}

#[test]
fn service_type_and_native_move_the_status() {
    use ConnectorOp::{Native, ServiceType};
    check(ServiceType, json!({"service_type": "s"}), json!({}), "updated", json!({"service_type": "s"}));
    for status in ["needs_configuration", "configured", "connected", "error"] {
        let (_, source) =
            put(ServiceType, &json!({"service_type": "s"}), &stored(json!({"status": status}))).unwrap();
        assert_eq!(source["status"], "needs_configuration");
        let (_, source) =
            put(Native, &json!({"is_native": true}), &stored(json!({"status": status}))).unwrap();
        assert_eq!(source["status"], if status == "connected" { "configured" } else { status });
    }
    invalid(ServiceType, json!({"service_type": ""}), "1: [service_type] cannot be [null] or [\"\"].;");
    refused(
        ServiceType,
        json!({"service_type": null}),
        json!({}),
        400,
        "x_content_parse_exception",
        "[1:17] [connector_update_service_type_request] service_type doesn't support values of type: VALUE_NULL",
    );
    refused(Native, json!({}), json!({}), 400, "illegal_argument_exception", "Required [is_native]");
    refused(
        Native,
        json!({"is_native": true}),
        json!({"index_name": "docs"}),
        400,
        "status_exception",
        "The index name [docs] attached to the connector [c] must start with the required prefix: [content-] to be Elastic-managed. Please \
             update the attached index first to comply with this requirement.",
    );
    check(
        Native,
        json!({"is_native": true}),
        json!({"index_name": "content-docs"}),
        "updated",
        json!({"is_native": true}),
    );
}

#[test]
fn the_last_sync_ignores_nulls_and_refuses_last_seen() {
    use ConnectorOp::LastSync;
    check(LastSync, json!({}), json!({}), "noop", json!({}));
    check(
        LastSync,
        json!({"last_sync_error": null, "sync_cursor": null}),
        json!({"last_sync_error": "e"}),
        "noop",
        json!({}),
    );
    check(
        LastSync,
        json!({"last_sync_status": "COMPLETED", "last_synced": "2023-05-25T12:30:00.567149Z", "last_indexed_document_count": "7",
               "last_deleted_document_count": -1, "sync_cursor": {"b": 2}}),
        json!({"sync_cursor": {"a": 1}}),
        "updated",
        json!({"last_sync_status": "completed", "last_synced": "2023-05-25T12:30:00.567149Z", "last_indexed_document_count": 7,
               "last_deleted_document_count": -1, "sync_cursor": {"a": 1, "b": 2}}),
    );
    for (body, reason) in [
        (
            json!({"last_seen": LATER}),
            "[1:2] [connector_update_last_sync_stats_request] unknown field [last_seen] did you mean [last_synced]?",
        ),
        (
            json!({"last_synced": "2023-05-25"}),
            "[1:16] [connector_update_last_sync_stats_request] failed to parse field [last_synced]",
        ),
        (
            json!({"last_synced": 5}),
            "[1:16] [connector_update_last_sync_stats_request] last_synced doesn't support values of type: VALUE_NUMBER",
        ),
        (
            json!({"last_sync_status": "done"}),
            "[1:21] [connector_update_last_sync_stats_request] failed to parse field [last_sync_status]",
        ),
        (
            json!({"last_indexed_document_count": null}),
            "[1:32] [connector_update_last_sync_stats_request] last_indexed_document_count doesn't support values of type: VALUE_NULL",
        ),
    ] {
        refused(LastSync, body, json!({}), 400, "x_content_parse_exception", reason);
    }
}

#[test]
fn a_configuration_is_replaced_whole_or_its_values_are_set() {
    use ConnectorOp::Configuration;
    let fields = json!({"host": {"default_value": null, "label": "Host", "required": false, "sensitive": false, "value": "a"},
                        "port": {"default_value": null, "label": "Port", "required": false, "sensitive": false, "value": 1}});
    let only_host = json!({"configuration": {"host": {"label": "Host"}}});
    let stored_host = json!({"host": {"default_value": null, "label": "Host", "required": false, "sensitive": false, "value": null}});
    let all = json!({"configuration": fields, "status": "error"});
    check(
        Configuration,
        only_host.clone(),
        all.clone(),
        "updated",
        json!({"configuration": stored_host, "status": "configured"}),
    );
    check(
        Configuration,
        json!({"configuration": {}}),
        all.clone(),
        "updated",
        json!({"configuration": {}, "status": "configured"}),
    );
    check(
        Configuration,
        only_host,
        json!({"configuration": stored_host, "status": "configured"}),
        "updated",
        json!({}),
    );

    let mut set = fields.clone();
    set["port"]["value"] = json!([2]);
    check(
        Configuration,
        json!({"values": {"port": [2]}}),
        all.clone(),
        "updated",
        json!({"configuration": set, "status": "configured"}),
    );
    check(Configuration, json!({"values": {}}), all.clone(), "updated", json!({"status": "configured"}));
    check(
        Configuration,
        json!({"values": {"port": 1}}),
        json!({"configuration": fields, "status": "configured"}),
        "noop",
        json!({}),
    );

    refused(
        Configuration,
        json!({"values": {"port": 1, "x": 1, "y": 2}}),
        all,
        400,
        "status_exception",
        "Unknown [configuration] fields in the request payload: [x, y]. Remove them from request or register their schema first.",
    );
    invalid(Configuration, json!({}), "1: [configuration] and [values] cannot both be null.;");
    invalid(
        Configuration,
        json!({"configuration": {}, "values": {}}),
        "1: [configuration] and [values] cannot both be provided in the same request.;",
    );
    refused(
        Configuration,
        json!({"values": {"a": null}}),
        json!({"configuration": {"a": {"label": "A", "value": 1}}}),
        500,
        "null_pointer_exception",
        "",
    );
    let error =
        put(Configuration, &json!({"configuration": {"a": {"label": "A", "display": "x"}}}), &fresh())
            .unwrap_err();
    assert_eq!(
        error.reason(),
        "[1:46] [connector_update_configuration_request] failed to parse field [configuration]"
    );
    assert_eq!(
        error.to_body()["error"]["root_cause"][0]["reason"],
        "[1:46] [connector_configuration] failed to parse field [display]"
    );
}

#[test]
fn schedules_are_merged_and_at_least_one_content_schedule_is_needed() {
    use ConnectorOp::Scheduling;
    let (_, source) = put(
        Scheduling,
        &json!({"scheduling": {"full": {"enabled": true, "interval": "0 0 0 ? * mon-fri"}}}),
        &fresh(),
    )
    .unwrap();
    assert_eq!(source["scheduling"]["full"], json!({"enabled": true, "interval": "0 0 0 ? * MON-FRI"}));
    assert_eq!(source["scheduling"]["incremental"]["enabled"], false);
    let message = "1: [scheduling] object needs to define at least one schedule type: [full | incremental | access_control];";
    invalid(Scheduling, json!({"scheduling": {}}), message);
    invalid(
        Scheduling,
        json!({"scheduling": {"access_control": {"enabled": true, "interval": "0 0 0 * * ?"}}}),
        message,
    );
    refused(Scheduling, json!({}), json!({}), 400, "illegal_argument_exception", "Required [scheduling]");
    refused(
        Scheduling,
        json!({"scheduling": {"full": {"enabled": true, "interval": "nope"}}}),
        json!({}),
        400,
        "x_content_parse_exception",
        "[1:50] [connector_update_scheduling_request] failed to parse field [scheduling]",
    );
}

fn rule(id: &str, order: i64) -> Value {
    json!({"id": id, "field": "f", "order": order, "policy": "exclude", "rule": "equals", "value": id})
}

fn order_of(rules: &Value) -> Vec<(String, i64)> {
    rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["id"].as_str().unwrap().to_owned(), rule["order"].as_i64().unwrap()))
        .collect()
}

#[test]
fn a_draft_is_edited_validated_and_activated() {
    use ConnectorOp::{ActivateFiltering, Filtering, FilteringValidation};
    let before = fresh();
    let (result, edited) =
        put(Filtering, &json!({"rules": [rule("r2", 5), rule("r1", 3)]}), &before).unwrap();
    let draft = &edited["filtering"][0]["draft"];
    assert_eq!(result, "updated");
    assert_eq!(
        order_of(&draft["rules"]),
        [("r1".to_owned(), 3), ("r2".to_owned(), 5), ("DEFAULT".to_owned(), 6)]
    );
    assert_eq!(draft["rules"][0]["created_at"], LATER);
    assert_eq!(draft["validation"], json!({"errors": [], "state": "edited"}));
    assert_eq!(draft["advanced_snippet"], before["filtering"][0]["draft"]["advanced_snippet"]);
    assert_eq!(edited["filtering"][0]["active"], before["filtering"][0]["active"]);

    let refusal = put(ActivateFiltering, &json!({}), &edited).unwrap_err();
    assert_eq!(
        refusal.reason(),
        "Filtering draft needs to be validated by the connector service before activation. Current filtering draft validation state [edited] \
         is not equal to [valid]."
    );

    let errors = json!([{"ids": ["r1"], "messages": "bad"}]);
    let (_, invalid) =
        put(FilteringValidation, &json!({"validation": {"state": "invalid", "errors": errors}}), &edited)
            .unwrap();
    assert_eq!(
        invalid["filtering"][0]["draft"]["validation"],
        json!({"errors": [{"ids": ["r1"], "messages": ["bad"]}], "state": "invalid"})
    );
    let (_, valid) =
        put(FilteringValidation, &json!({"validation": {"state": "VALID", "errors": []}}), &invalid).unwrap();
    let (result, active) = put(ActivateFiltering, &json!({}), &valid).unwrap();
    assert_eq!(result, "updated");
    assert_eq!(active["filtering"][0]["active"], active["filtering"][0]["draft"]);
    assert_eq!(put(ActivateFiltering, &json!({}), &before).unwrap().0, "noop");
}

#[test]
fn a_snippet_alone_leaves_the_rules() {
    let (_, edited) =
        put(ConnectorOp::Filtering, &json!({"advanced_snippet": {"value": [{"q": 1}]}}), &fresh()).unwrap();
    let draft = &edited["filtering"][0]["draft"];
    assert_eq!(
        draft["advanced_snippet"],
        json!({"created_at": LATER, "updated_at": LATER, "value": [{"q": 1}]})
    );
    assert_eq!(draft["rules"], fresh()["filtering"][0]["draft"]["rules"]);
    assert_eq!(draft["validation"]["state"], "edited");
}

#[test]
fn no_rules_are_the_default_rule() {
    let (_, edited) = put(ConnectorOp::Filtering, &json!({"rules": []}), &fresh()).unwrap();
    let rules = &edited["filtering"][0]["draft"]["rules"];
    assert_eq!(order_of(rules), [("DEFAULT".to_owned(), 0)]);
    assert_eq!(rules[0]["created_at"], LATER);
}

#[test]
fn the_whole_filtering_is_stored_as_sent() {
    use ConnectorOp::Filtering;
    let block = json!({"advanced_snippet": {"created_at": LATER, "updated_at": LATER, "value": {}}, "rules": [],
                       "validation": {"errors": [], "state": "edited"}});
    let sent = json!([{"active": block, "domain": "X", "draft": block}, {"active": block, "domain": "DEFAULT", "draft": block}]);
    let mut kept = sent.clone();
    kept[0]["domain"] = json!("DEFAULT");
    check(
        Filtering,
        json!({"filtering": sent}),
        json!({"deleted": true}),
        "updated",
        json!({"filtering": kept}),
    );
    invalid(Filtering, json!({}), "1: [advanced_snippet] and [rules] cannot be both [null].;");
    invalid(
        Filtering,
        json!({"filtering": sent, "rules": []}),
        "1: If [filtering] is specified, [rules] and [advanced_snippet] should not be present in the request body.;",
    );
    refused(
        Filtering,
        json!({"rules": [{"id": "x"}]}),
        json!({}),
        400,
        "x_content_parse_exception",
        "[1:20] [connector_update_filtering_request] failed to parse field [rules]",
    );
}

#[test]
fn a_soft_deleted_connector_is_absent_for_half_of_the_endpoints() {
    use ConnectorOp::*;
    let deleted = stored(json!({"deleted": true}));
    let bodies = [
        (Configuration, json!({"configuration": {}}), true),
        (Configuration, json!({"values": {}}), true),
        (Filtering, json!({"rules": []}), true),
        (FilteringValidation, json!({"validation": {"state": "valid", "errors": []}}), true),
        (ActivateFiltering, json!({}), true),
        (IndexName, json!({"index_name": "a"}), true),
        (Native, json!({"is_native": false}), true),
        (ServiceType, json!({"service_type": "s"}), true),
        (Status, json!({"status": "error"}), true),
        (ApiKeyId, json!({"api_key_id": "k"}), false),
        (CheckIn, json!({}), false),
        (Error, json!({"error": "e"}), false),
        (Features, json!({"features": {}}), false),
        (Filtering, json!({"filtering": []}), false),
        (LastSync, json!({"last_sync_error": "e"}), false),
        (Name, json!({"name": "n"}), false),
        (
            Pipeline,
            json!({"pipeline": {"name": "p", "extract_binary_content": true, "reduce_whitespace": true, "run_ml_inference": true}}),
            false,
        ),
        (Scheduling, json!({"scheduling": {"full": {"enabled": true, "interval": "0 0 0 * * ?"}}}), false),
    ];
    for (op, body, notices) in bodies {
        let request = ConnectorRequest::parse(op, "c", body.to_string().as_bytes(), at(LATER)).unwrap();
        let missing = ops::connector::missing("c", &request);
        assert_eq!(missing.is_some(), notices, "{op:?}");
        match put(op, &body, &deleted) {
            Err(error) => {
                assert!(notices, "{op:?} {error}");
                assert_eq!((error.status(), error.reason()), (404, "connector [c] not found"));
                assert_eq!(error.es_type(), "resource_not_found_exception");
            }
            Ok((_, source)) => {
                assert!(!notices, "{op:?}");
                assert_eq!(source["deleted"], true);
            }
        }
    }
    let change = ops::connector::soft_delete("c", fresh()).unwrap();
    assert_eq!(change.source["deleted"], true);
    assert_eq!(
        ops::connector::soft_delete("c", deleted.clone()).unwrap_err().reason(),
        "connector [c] not found"
    );
}

#[test]
fn an_empty_id_is_a_broken_rule_among_others() {
    let error = ConnectorRequest::parse(ConnectorOp::Name, "", b"{}", at(LATER)).unwrap_err();
    assert!(
        error
            .reason()
            .starts_with("Validation Failed: 1: [connector_id] cannot be [null] or [\"\"].;2: [name] and"),
        "{error}"
    );
    assert!(ConnectorRequest::parse(ConnectorOp::CheckIn, "", b"", at(LATER)).is_err());
}

#[test]
fn secrets_are_read_and_never_shown() {
    let secret = SecretRequest::parse_post(br#"{"value":"geheim"}"#).unwrap();
    assert_eq!(secret.reveal(), "geheim");
    assert!(!format!("{secret:?}").contains("geheim"));
    let reasons = |body: &str| {
        let reason = |read: Result<SecretRequest, ProtocolError>| read.unwrap_err().reason().to_owned();
        (
            reason(SecretRequest::parse_post(body.as_bytes())),
            reason(SecretRequest::parse_put(body.as_bytes())),
        )
    };
    assert_eq!(
        reasons("{}"),
        (
            "Validation Failed: 1: [value] of the connector secret cannot be [null] or [\"\"];".into(),
            "Required [value]".into()
        )
    );
    assert_eq!(
        reasons(r#"{"value":""}"#),
        (
            "Validation Failed: 1: [value] of the connector secret cannot be [null] or [\"\"];".into(),
            "Validation Failed: 1: [value] cannot be [null] or [\"\"];".into()
        )
    );
    assert_eq!(
        reasons(r#"{"value":null}"#),
        (
            "[1:10] [post_secret_request] value doesn't support values of type: VALUE_NULL".into(),
            "[1:10] [connector_secret_put_request] value doesn't support values of type: VALUE_NULL".into()
        )
    );
}
