//! Requests of the Connector and Sync Job APIs: the first line is the end of the path, such as `_scheduling`, the rest the
//! body.

use serde_json::Value;
use tributary_protocol::ops::{ConnectorOp, Outcome, SyncJobOp, connector, sync_job};
use tributary_protocol::request::{
    ConnectorRequest, CreateConnector, CreateSyncJob, SecretRequest, SyncJobRequest,
};
use tributary_protocol::{Connector, ConnectorId, JobType, ProtocolError, SyncJob, Time, TriggerMethod};

pub(crate) fn law(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, body) = (input.get(..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
    let Ok(path) = std::str::from_utf8(path) else { return };
    let last = |whole: &'static str| {
        whole.rsplit("_id}").next().and_then(|rest| rest.strip_prefix('/')).unwrap_or("")
    };
    if let Some(op) = ConnectorOp::ALL.into_iter().find(|op| last(op.path()) == path) {
        return changed(op, body);
    }
    match path {
        "connector" => created(body),
        "document" => document(body),
        "secret" => {
            drop(accepted(SecretRequest::parse_post(body)));
            drop(accepted(SecretRequest::parse_put(body)));
        }
        "job" => drop(accepted(CreateSyncJob::parse(body))),
        _ => {
            if let Some(op) = path.strip_prefix("job/")
                && let Some(op) = SyncJobOp::ALL.into_iter().find(|known| last(known.path()) == op)
            {
                job(op, body);
            }
        }
    }
}

/// What was accepted; a refusal is the caller's fault and says why.
fn accepted<T>(result: Result<T, ProtocolError>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    assert!(
        (400..500).contains(&error.status()),
        "{} {}: {}",
        error.status(),
        error.es_type(),
        error.reason()
    );
    assert!(!error.reason().is_empty());
    assert_eq!(error.to_body().get("status").and_then(Value::as_u64), Some(u64::from(error.status())));
    None
}

fn now() -> Time {
    Time::from_timestamp(1_780_000_000, 0).expect("an instant")
}

fn new_connector() -> Value {
    let body = br#"{"name": "n", "index_name": "docs", "service_type": "dir"}"#;
    let request = CreateConnector::parse(body).expect("a good request");
    connector::create(&request, now()).expect("a new connector")
}

/// A stored connector can be read, and is written as it was read.
fn readable(stored: &Value) {
    let read: Connector = serde_json::from_value(stored.clone()).expect("a stored connector can be read");
    let written = serde_json::to_value(&read).expect("a connector is JSON");
    let again: Connector = serde_json::from_value(written).expect("what is written can be read");
    assert_eq!(again, read);
}

fn changed(op: ConnectorOp, body: &[u8]) {
    let Some(request) = accepted(ConnectorRequest::parse(op, "c", body, now())) else { return };
    let stored = new_connector();
    let Some(change) = accepted(connector::apply("c", &request, stored.clone(), now())) else { return };
    assert_eq!(change.outcome == Outcome::Noop, change.source == stored, "{op:?}");
    readable(&change.source);
    // Whoever sends the same again at the same time changes nothing more.
    let repeatable = !matches!(
        op,
        ConnectorOp::FilteringValidation | ConnectorOp::ActivateFiltering | ConnectorOp::Status
    );
    if let Some(again) =
        accepted(connector::apply("c", &request, change.source.clone(), now())).filter(|_| repeatable)
    {
        assert_eq!(again.source, change.source, "{op:?}");
    }
}

fn created(body: &[u8]) {
    let Some(request) = accepted(CreateConnector::parse(body)) else { return };
    if let Some(stored) = accepted(connector::create(&request, now())) {
        readable(&stored);
    }
}

/// A document as anybody may have written it: what can be read is written back as it was read.
fn document(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    if serde_json::from_value::<Connector>(value.clone()).is_ok() {
        readable(&value);
    }
    if let Ok(read) = serde_json::from_value::<SyncJob>(value) {
        let written = serde_json::to_value(&read).expect("a job is JSON");
        let again: SyncJob = serde_json::from_value(written).expect("what is written can be read");
        assert_eq!(again, read);
    }
}

fn job(op: SyncJobOp, body: &[u8]) {
    let Some(request) = accepted(SyncJobRequest::parse(op, "j", body)) else { return };
    let id = ConnectorId::from("c".to_owned());
    let stored = sync_job::create(&id, &new_connector(), JobType::Full, TriggerMethod::OnDemand, now())
        .expect("a job");
    let Some(change) = accepted(sync_job::apply(&request, stored.clone(), now())) else { return };
    assert_eq!(change.outcome == Outcome::Noop, change.source == stored, "{op:?}");
    let _read: SyncJob = serde_json::from_value(change.source).expect("a stored job can be read");
}
