//! The operations on sync jobs, as connector-api 11.2 and 12 state them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

use serde_json::{Value, json};
use tributary_protocol::ops::{self, SyncJobOp};
use tributary_protocol::request::{CreateSyncJob, SyncJobRequest};
use tributary_protocol::{ConnectorId, JobType, ProtocolError, SyncStatus, Time, TriggerMethod};

const CREATED: &str = "2024-01-02T03:04:05.678Z";
const LATER: &str = "2024-01-02T04:00:00.000Z";

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn rules() -> Value {
    json!({"advanced_snippet": {"created_at": CREATED, "updated_at": CREATED, "value": {}}, "rules": [],
           "validation": {"errors": [], "state": "valid"}})
}

fn connector() -> Value {
    json!({
        "index_name": "search-docs", "service_type": "github", "language": "en", "name": "n", "sync_cursor": {"a": 1},
        "pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false},
        "filtering": [{"active": rules(), "domain": "DEFAULT", "draft": {"rules": ["x"]}}],
        "configuration": {"host": {"label": "Host", "value": "a", "foreign": 1}},
    })
}

fn create(stored: &Value, job_type: JobType) -> Result<Value, ProtocolError> {
    ops::sync_job::create(
        &ConnectorId::from("docs-1"),
        stored,
        job_type,
        TriggerMethod::OnDemand,
        at(CREATED),
    )
}

fn put(op: SyncJobOp, body: &Value, stored: &Value) -> Result<(&'static str, Value), ProtocolError> {
    let request = SyncJobRequest::parse(op, "j", body.to_string().as_bytes())?;
    let change = ops::sync_job::apply(&request, stored.clone(), at(LATER))?;
    Ok((change.outcome.as_str(), change.source))
}

#[test]
fn a_new_job_is_exactly_this() {
    let wanted = json!({
        "connector": {
            "id": "docs-1", "filtering": rules(), "index_name": "search-docs", "language": "en",
            "pipeline": {"extract_binary_content": true, "name": "p", "reduce_whitespace": true, "run_ml_inference": false},
            "service_type": "github",
            "configuration": {"host": {"default_value": null, "label": "Host", "required": false, "sensitive": false, "value": "a"}},
        },
        "created_at": CREATED, "deleted_document_count": 0, "indexed_document_count": 0, "indexed_document_volume": 0,
        "job_type": "full", "last_seen": CREATED, "metadata": {}, "status": "pending", "total_document_count": 0,
        "trigger_method": "on_demand",
    });
    assert_eq!(create(&connector(), JobType::Full).unwrap(), wanted);
}

#[test]
fn a_snapshot_leaves_out_what_the_connector_has_not() {
    let mut stored = connector();
    stored["language"] = Value::Null;
    stored.as_object_mut().unwrap().remove("pipeline");
    let job = create(&stored, JobType::Incremental).unwrap();
    let keys: Vec<&String> = job["connector"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "filtering", "index_name", "service_type", "configuration"]);
    assert_eq!(job["job_type"], "incremental");
}

#[test]
fn access_control_jobs_go_to_their_own_index() {
    let job = create(&connector(), JobType::AccessControl).unwrap();
    assert_eq!(job["connector"]["index_name"], ".search-acl-filter-search-docs");
    let job = create(&json!({"service_type": "s"}), JobType::AccessControl).unwrap();
    assert_eq!(job["connector"]["index_name"], ".search-acl-filter-null");
}

#[test]
fn a_connector_without_index_or_service_type_cannot_sync() {
    let no_index = "Cannot start a sync for connector [docs-1] with no index attached. Set the [index_name] property for the connector to enable \
                    syncing data.";
    let no_type = "Cannot start a sync for connector [docs-1] with [service_type] not defined. Set the service type of your connector before \
                   starting the sync.";
    let table = [
        (json!({"service_type": "s"}), no_index),
        (json!({"service_type": "s", "index_name": null}), no_index),
        (json!({"index_name": "a"}), no_type),
        (json!({"index_name": "a", "service_type": ""}), no_type),
    ];
    for (stored, reason) in table {
        let error = create(&stored, JobType::Full).unwrap_err();
        assert_eq!(
            (error.status(), error.es_type(), error.reason()),
            (400, "status_exception", reason),
            "{stored}"
        );
    }
}

#[test]
fn the_body_of_a_new_job_is_read_strictly() {
    let read = CreateSyncJob::parse(br#"{"id":"c"}"#).unwrap();
    assert_eq!((read.job_type, read.trigger_method), (JobType::Full, TriggerMethod::OnDemand));
    let read =
        CreateSyncJob::parse(br#"{"id":"c","job_type":"Access_Control","trigger_method":"SCHEDULED"}"#)
            .unwrap();
    assert_eq!((read.job_type, read.trigger_method), (JobType::AccessControl, TriggerMethod::Scheduled));
    let table = [
        (r#"{}"#, "illegal_argument_exception", "Required [id]"),
        (
            r#"{"id":""}"#,
            "action_request_validation_exception",
            "Validation Failed: 1: [id] of the connector cannot be null or empty;",
        ),
        (
            r#"{"id":null}"#,
            "x_content_parse_exception",
            "[1:7] [connector_sync_job_post_request] id doesn't support values of type: VALUE_NULL",
        ),
        (
            r#"{"id":"c","type":"full"}"#,
            "x_content_parse_exception",
            "[1:11] [connector_sync_job_post_request] unknown field [type]",
        ),
        (
            r#"{"id":"c","job_type":"x"}"#,
            "x_content_parse_exception",
            "Failed to build [connector_sync_job_post_request] after last required field arrived",
        ),
        (
            r#"{"id":"c","job_type":"full","trigger_method":"x"}"#,
            "x_content_parse_exception",
            "[1:46] [connector_sync_job_post_request] failed to parse field [trigger_method]",
        ),
    ];
    for (body, es_type, reason) in table {
        let error = CreateSyncJob::parse(body.as_bytes()).unwrap_err();
        assert_eq!((error.status(), error.es_type(), error.reason()), (400, es_type, reason), "{body}");
    }
    let error = CreateSyncJob::parse(br#"{"id":"c","job_type":"x"}"#).unwrap_err();
    assert_eq!(
        error.to_body()["error"]["caused_by"],
        json!({"type": "illegal_argument_exception", "reason": "Unknown ConnectorSyncJobType [x]."})
    );
}

#[test]
fn a_waiting_job_is_canceled_and_a_running_one_is_asked_to_stop() {
    for status in ["pending", "suspended"] {
        let (_, job) = put(SyncJobOp::Cancel, &json!({}), &json!({"status": status})).unwrap();
        assert_eq!(
            job,
            json!({"status": "canceled", "cancelation_requested_at": LATER, "canceled_at": LATER, "completed_at": LATER})
        );
    }
    let (_, job) = put(SyncJobOp::Cancel, &json!({}), &json!({"status": "in_progress"})).unwrap();
    assert_eq!(job, json!({"status": "canceling", "cancelation_requested_at": LATER}));
    for status in ["canceling", "canceled", "completed", "error"] {
        let reason = format!(
            "Invalid transition attempt from [{status}] to [canceling]. Such a ConnectorSyncStatus transition is not supported by the Connector Protocol."
        );
        let error = put(SyncJobOp::Cancel, &json!({}), &json!({"status": status})).unwrap_err();
        assert_eq!(
            (error.status(), error.es_type(), error.reason()),
            (400, "status_exception", reason.as_str())
        );
        assert_eq!(
            error.to_body()["error"]["caused_by"]["type"],
            "connector_sync_job_invalid_status_transition_exception"
        );
    }
}

#[test]
fn an_error_ends_only_a_running_job() {
    for status in SyncStatus::ALL {
        let outcome = put(SyncJobOp::Error, &json!({"error": "boom"}), &json!({"status": status.as_str()}));
        if status.is_running() {
            assert_eq!(outcome.unwrap(), ("updated", json!({"status": "error", "error": "boom"})));
        } else {
            let reason = outcome.unwrap_err().reason().to_owned();
            assert!(
                reason.starts_with(&format!("Invalid transition attempt from [{status}] to [error].")),
                "{reason}"
            );
        }
    }
    let refused = |body: &Value| put(SyncJobOp::Error, body, &json!({})).unwrap_err().reason().to_owned();
    assert_eq!(refused(&json!({})), "Required [error]");
    assert_eq!(
        refused(&json!({"error": ""})),
        "Validation Failed: 1: [error] of the connector sync job cannot be null or empty;"
    );
}

#[test]
fn a_claim_takes_the_job_whatever_its_status() {
    for status in SyncStatus::ALL {
        let stored = json!({"status": status.as_str(), "connector": {"id": "c", "sync_cursor": {"a": 1}}});
        let (_, job) =
            put(SyncJobOp::Claim, &json!({"worker_hostname": "w", "sync_cursor": {"b": 2}}), &stored)
                .unwrap();
        assert_eq!(
            job,
            json!({"status": "in_progress", "connector": {"id": "c", "sync_cursor": {"a": 1, "b": 2}}, "worker_hostname": "w",
                   "last_seen": LATER, "started_at": LATER})
        );
    }
    let refused = |body: &Value| put(SyncJobOp::Claim, body, &json!({})).unwrap_err().reason().to_owned();
    assert_eq!(refused(&json!({})), "Required [worker_hostname]");
    assert_eq!(
        refused(&json!({"worker_hostname": "w", "sync_cursor": null})),
        "[1:38] [claim_connector_sync_job] sync_cursor doesn't support values of type: VALUE_NULL"
    );
}

#[test]
fn stats_are_absolute_and_metadata_is_merged() {
    let stored = json!({"status": "pending", "indexed_document_count": 5, "metadata": {"a": 1}});
    let body = json!({"deleted_document_count": 1, "indexed_document_count": 2, "indexed_document_volume": "3", "metadata": {"b": 2}});
    let (result, job) = put(SyncJobOp::Stats, &body, &stored).unwrap();
    assert_eq!(result, "updated");
    assert_eq!(
        job,
        json!({"status": "pending", "indexed_document_count": 2, "metadata": {"a": 1, "b": 2}, "deleted_document_count": 1,
               "indexed_document_volume": 3, "last_seen": LATER})
    );
    let with_time = json!({"deleted_document_count": 0, "indexed_document_count": 0, "indexed_document_volume": 0, "total_document_count": 9,
                           "last_seen": "2023-05-25T14:30:00+02:00"});
    let (_, job) = put(SyncJobOp::Stats, &with_time, &json!({})).unwrap();
    assert_eq!(
        (job["last_seen"].clone(), job["total_document_count"].clone()),
        (json!("2023-05-25T12:30:00.000Z"), json!(9))
    );
    let refused = |body: &Value| put(SyncJobOp::Stats, body, &json!({})).unwrap_err().reason().to_owned();
    assert_eq!(
        refused(&json!({"indexed_document_count": 1})),
        "Required [deleted_document_count, indexed_document_volume]"
    );
    assert_eq!(
        refused(
            &json!({"deleted_document_count": -1, "indexed_document_count": 0, "indexed_document_volume": 0, "total_document_count": -2})
        ),
        "Validation Failed: 1: [deleted_document_count] cannot be negative.;2: [total_document_count] cannot be negative.;"
    );
}

#[test]
fn a_check_in_works_in_any_status() {
    for status in SyncStatus::ALL {
        let (result, job) = put(SyncJobOp::CheckIn, &json!({}), &json!({"status": status.as_str()})).unwrap();
        assert_eq!((result, job), ("updated", json!({"status": status.as_str(), "last_seen": LATER})));
    }
}

#[test]
fn a_missing_job_is_told_in_two_ways() {
    for (op, reason) in [
        (SyncJobOp::Cancel, "j"),
        (SyncJobOp::Claim, "j"),
        (SyncJobOp::Error, "j"),
        (SyncJobOp::CheckIn, "connector sync job [j] not found"),
        (SyncJobOp::Stats, "connector sync job [j] not found"),
    ] {
        let error = op.missing("j");
        assert_eq!(
            (error.status(), error.es_type(), error.reason()),
            (404, "resource_not_found_exception", reason)
        );
    }
    let error = SyncJobRequest::parse(SyncJobOp::Cancel, "", b"").unwrap_err();
    assert_eq!(
        error.reason(),
        "Validation Failed: 1: [connector_sync_job_id] of the connector sync job cannot be null or empty.;"
    );
}
