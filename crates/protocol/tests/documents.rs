//! Laws of the documents: what anybody wrote is read, and written back as it was.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tributary_protocol::filtering::default_filtering;
use tributary_protocol::{Connector, Features, JobType, Pipeline, ProtocolError, SyncJob, SyncStatus, Time};

const NOW: &str = "2026-01-02T03:04:05.678Z";

fn now() -> Time {
    NOW.parse().unwrap()
}

/// The document of connector-api 5.2.
fn new_connector() -> Value {
    let rules = json!({
        "advanced_snippet": {"created_at": NOW, "updated_at": NOW, "value": {}},
        "rules": [{
            "created_at": NOW, "field": "_", "id": "DEFAULT", "order": 0, "policy": "include", "rule": "regex",
            "updated_at": NOW, "value": ".*",
        }],
        "validation": {"errors": [], "state": "valid"},
    });
    let off = json!({"enabled": false, "interval": "0 0 0 * * ?"});
    json!({
        "configuration": {},
        "custom_scheduling": {},
        "filtering": [{"active": rules, "domain": "DEFAULT", "draft": rules}],
        "is_native": false,
        "name": "",
        "scheduling": {"access_control": off, "full": off, "incremental": off},
        "status": "created",
        "sync_now": false,
        "deleted": false,
    })
}

/// The document of connector-api 12.1.
fn new_job() -> Value {
    let active = new_connector()["filtering"][0]["active"].clone();
    json!({
        "connector": {
            "id": "docs-1",
            "filtering": active,
            "index_name": "search-docs",
            "language": "en",
            "pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false},
            "service_type": "github",
            "configuration": {},
        },
        "created_at": NOW, "deleted_document_count": 0, "indexed_document_count": 0, "indexed_document_volume": 0,
        "job_type": "full", "last_seen": NOW, "metadata": {}, "status": "pending", "total_document_count": 0,
        "trigger_method": "on_demand",
    })
}

/// A configuration field with every property, as the daemon writes it.
fn field() -> Value {
    json!({
        "label": "Host", "type": "str", "display": "dropdown", "order": 1, "required": true, "sensitive": false,
        "default_value": null, "value": "a", "depends_on": [{"field": "tls", "value": true}],
        "options": [{"label": "A", "value": "a"}], "tooltip": null, "placeholder": "b", "ui_restrictions": ["advanced"],
        "validations": [{"type": "included_in", "constraint": ["a"]}], "category": "c",
    })
}

fn written<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(document.clone()).unwrap()).unwrap()
}

/// Members that no version knows.
fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec(("x_[a-z]{0,6}", value), 0..4).prop_map(|members| members.into_iter().collect())
}

fn extend(document: &mut Value, pointer: &str, members: Map<String, Value>) {
    document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().extend(members);
}

#[test]
fn a_new_connector_is_the_one_of_the_reference_and_written_back_unchanged() {
    assert_eq!(written::<Connector>(&new_connector()), new_connector());
    let filtering = serde_json::to_value([default_filtering(now())]).unwrap();
    assert_eq!(filtering, new_connector()["filtering"]);
}

#[test]
fn a_new_job_is_written_back_unchanged() {
    assert_eq!(written::<SyncJob>(&new_job()), new_job());
}

#[test]
fn what_cannot_be_read_is_told_with_its_field_and_its_value() {
    let connector = |value: Value| serde_json::from_value::<Connector>(value).unwrap_err().to_string();
    let job = |name: &str, value: Value| {
        let mut document = new_job();
        document[name] = value;
        serde_json::from_value::<SyncJob>(document).unwrap_err().to_string()
    };
    let mut table = vec![
        (connector(json!({"status": "sleeping"})), "'status'", "'sleeping'"),
        (connector(json!({"last_sync_status": "lost"})), "'last_sync_status'", "'lost'"),
        (connector(json!({"last_seen": "yesterday"})), "'last_seen'", "'yesterday'"),
        (connector(json!({"is_native": "maybe"})), "'is_native'", "maybe"),
        (connector(json!({"name": 5})), "'name'", "5"),
        (connector(json!({"last_indexed_document_count": 1.5})), "'last_indexed_document_count'", "1.5"),
        (connector(json!({"scheduling": {"full": 7}})), "'scheduling'", "7"),
        (job("job_type", json!("half")), "'job_type'", "'half'"),
        (job("status", json!("running")), "'status'", "'running'"),
        (job("completed_at", json!(true)), "'completed_at'", "true"),
        (job("indexed_document_count", json!("many")), "'indexed_document_count'", "many"),
    ];
    let two = connector(json!({"name": "n", "last_synced": "never", "status": "sleeping"}));
    table.push((two, "'last_synced'", "'never'"));
    for (error, field, value) in table {
        assert!(error.contains(&format!("field {field}")) && error.contains(value), "{error}");
    }
}

#[test]
fn a_job_must_have_a_status_and_a_connector_with_an_id() {
    for (pointer, name, told) in
        [("", "status", "status"), ("", "connector", "connector"), ("/connector", "id", "id")]
    {
        let mut document = new_job();
        document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        let error = serde_json::from_value::<SyncJob>(document).unwrap_err().to_string();
        assert!(error.contains(&format!("missing field `{told}`")), "{error}");
    }
}

#[test]
fn texts_and_nulls_stand_for_what_they_spell() {
    let connector: Connector = serde_json::from_value(json!({
        "status": null, "is_native": "true", "deleted": null, "last_indexed_document_count": "7",
        "last_deleted_document_count": 3.0, "scheduling": {"full": {"enabled": "false", "interval": null}},
        "pipeline": {"name": null, "run_ml_inference": false}, "last_seen": 1_767_323_045_678_i64, "last_synced": "",
        "configuration": {"a": {"required": null, "order": null, "label": null, "type": null, "depends_on": null}},
        "filtering": {"active": {"rules": [{"id": 1, "value": 5, "order": "2", "field": "f", "policy": "EXCLUDE", "rule": "equals"}]}},
    }))
    .unwrap();
    assert!(connector.is_native && !connector.deleted);
    assert_eq!(
        (connector.last_indexed_document_count, connector.last_deleted_document_count),
        (Some(7), Some(3))
    );
    assert!(!connector.schedule(JobType::Full).unwrap().enabled);
    assert_eq!(connector.pipeline_or_default(), Pipeline { run_ml_inference: false, ..Pipeline::default() });
    assert_eq!((connector.last_seen, connector.last_synced), (Some(now()), None));
    let field = connector.configuration.get("a").unwrap();
    assert!(field.required && field.order == 1);
    let rule = &connector.filtering().unwrap().active.rules[0];
    assert_eq!(
        (rule.id.as_str(), rule.value.as_str(), rule.order, rule.policy.as_str()),
        ("1", "5", 2, "exclude")
    );
}

#[test]
fn a_job_finds_its_rules_in_every_form_that_writers_use() {
    let active = new_job()["connector"]["filtering"].clone();
    let both = json!({"active": active, "domain": "DEFAULT", "draft": {}});
    for form in [active.clone(), json!([active]), both.clone(), json!([both])] {
        let mut document = new_job();
        document["connector"]["filtering"] = form.clone();
        let job: SyncJob = serde_json::from_value(document).unwrap();
        assert_eq!(serde_json::to_value(job.connector.filtering).unwrap(), active, "{form}");
    }
    for nothing in [json!(null), json!({}), json!([])] {
        let mut document = new_job();
        document["connector"]["filtering"] = nothing;
        assert_eq!(serde_json::from_value::<SyncJob>(document).unwrap().connector.filtering, None);
    }
}

#[test]
fn each_job_type_has_its_schedule_and_its_slot() {
    let mut document = new_connector();
    for (name, slot) in [
        ("full", "last_sync_scheduled_at"),
        ("incremental", "last_incremental_sync_scheduled_at"),
        ("access_control", "last_access_control_sync_scheduled_at"),
    ] {
        document["scheduling"][name]["interval"] = json!(name);
        document[slot] = json!(NOW);
        let connector: Connector = serde_json::from_value(document.clone()).unwrap();
        let kind = name.parse().unwrap();
        assert_eq!(connector.schedule(kind).unwrap().interval, name);
        assert_eq!(connector.last_scheduled_at(kind), Some(now()));
    }
}

#[test]
fn features_that_are_not_as_expected_are_off() {
    for value in [
        json!({}),
        json!({"sync_rules": 5}),
        json!({"sync_rules": {"basic": null}}),
        json!({"incremental_sync": {"enabled": "true"}}),
    ] {
        let features: Features = serde_json::from_value(value.clone()).unwrap();
        let any = features.basic_rules() || features.advanced_rules() || features.incremental_sync();
        assert!(!any && !features.document_level_security(), "{value}");
    }
}

#[test]
fn refusals_look_as_in_the_reference() {
    let chain = json!({"type": "illegal_argument_exception", "reason": "Unknown ConnectorStatus [running]."});
    let parse = ProtocolError::x_content_parse(
        1,
        12,
        "connector_update_status_request",
        "failed to parse field [status]",
    );
    let reason = "[1:12] [connector_update_status_request] failed to parse field [status]";
    assert_eq!(
        parse.caused_by(chain.clone()).to_body(),
        json!({"error": {
            "root_cause": [{"type": "x_content_parse_exception", "reason": reason}],
            "type": "x_content_parse_exception", "reason": reason, "caused_by": chain,
        }, "status": 400})
    );
    let inner = json!({"type": "x_content_parse_exception", "reason": "[1:2] [b] x"});
    let nested =
        ProtocolError::x_content_parse(1, 1, "a", "y").caused_by(inner.clone()).root_cause(inner.clone());
    assert_eq!(nested.to_body()["error"]["root_cause"], json!([inner]));
    for (error, status, es_type, reason) in [
        (
            ProtocolError::validation(["a", "b"]),
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: a;2: b;",
        ),
        (ProtocolError::illegal_argument("Required [a]"), 400, "illegal_argument_exception", "Required [a]"),
        (
            ProtocolError::parse("request body is required"),
            400,
            "parse_exception",
            "request body is required",
        ),
        (ProtocolError::status_exception("no"), 400, "status_exception", "no"),
        (
            ProtocolError::connector_not_found("abc"),
            404,
            "resource_not_found_exception",
            "connector [abc] not found",
        ),
        (
            ProtocolError::document_missing("abc"),
            404,
            "document_missing_exception",
            "[abc]: document missing",
        ),
    ] {
        assert_eq!((error.status(), error.es_type(), error.to_string().as_str()), (status, es_type, reason));
        let body = json!({"error": {"root_cause": [{"type": es_type, "reason": reason}], "type": es_type, "reason": reason}, "status": status});
        assert_eq!(error.to_body(), body);
    }
}

proptest! {
    #[test]
    fn a_connector_with_unknown_members_is_written_back_unchanged(
        top in unknown(), scheduling in unknown(), filtering in unknown(), rule in unknown(), half in unknown(),
        of_field in unknown(), pipeline in unknown(), features in unknown(), status in 0..SyncStatus::ALL.len(),
    ) {
        let mut document = new_connector();
        let known = json!({
            "index_name": "search-docs", "service_type": "dir", "description": "d", "api_key_id": "k", "error": "e",
            "api_key_secret_id": "s", "language": "en", "last_seen": NOW, "last_sync_status": SyncStatus::ALL[status],
            "last_indexed_document_count": 7, "sync_cursor": {"a": [1]}, "configuration": {"b": field(), "a": field()},
            "pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false},
            "features": {"sync_rules": {"basic": {"enabled": true}}},
        });
        extend(&mut document, "", known.as_object().unwrap().clone());
        for (pointer, members) in [
            ("", top), ("/scheduling", scheduling), ("/filtering/0", filtering), ("/filtering/0/draft/rules/0", rule),
            ("/filtering/0/active", half), ("/configuration/b", of_field), ("/pipeline", pipeline), ("/features", features),
        ] {
            extend(&mut document, pointer, members);
        }
        prop_assert_eq!(written::<Connector>(&document), document);
    }

    #[test]
    fn a_job_with_unknown_members_is_written_back_unchanged(
        top in unknown(), connector in unknown(), rules in unknown(), snippet in unknown(),
        status in 0..SyncStatus::ALL.len(), kind in 0..JobType::ALL.len(), count in any::<i64>(),
    ) {
        let mut document = new_job();
        let known = json!({
            "status": SyncStatus::ALL[status], "job_type": JobType::ALL[kind], "indexed_document_count": count,
            "started_at": NOW, "worker_hostname": "w", "error": "e", "cancelation_requested_at": NOW,
        });
        extend(&mut document, "", known.as_object().unwrap().clone());
        extend(&mut document, "", top);
        extend(&mut document, "/connector", connector);
        extend(&mut document, "/connector/filtering", rules);
        extend(&mut document, "/connector/filtering/advanced_snippet", snippet);
        document["connector"]["configuration"] = json!({"f": field()});
        prop_assert_eq!(written::<SyncJob>(&document), document);
    }

    #[test]
    fn no_value_of_any_member_makes_reading_panic(name in 0..64_usize, value in unknown(), wrap in any::<bool>()) {
        let inner = value.values().next().cloned().unwrap_or_default();
        let value = if wrap { json!([inner]) } else { inner };
        let (mut connector, mut job) = (new_connector(), new_job());
        for document in [&mut connector, &mut job] {
            let members = document.as_object_mut().unwrap();
            let key = members.keys().nth(name % members.len()).unwrap().clone();
            members.insert(key, value.clone());
        }
        let _ = (serde_json::from_value::<Connector>(connector), serde_json::from_value::<SyncJob>(job));
    }
}
