//! Operations on sync jobs (connector-api 11.2 and 12).

use serde_json::{Map, Value, json};

use super::{Change, filtering, merged, text};
use crate::mappings::ACCESS_CONTROL_PREFIX;
use crate::request::{SyncJobRequest, configuration};
use crate::{ConnectorId, JobType, ProtocolError, SyncStatus, Time, TriggerMethod, time};

type Result<T> = std::result::Result<T, ProtocolError>;

/// A new job's source, with the snapshot of its connector.
///
/// # Errors
/// When the connector has no index or no service type.
pub fn create(
    connector: &ConnectorId,
    stored: &Value,
    job_type: JobType,
    trigger: TriggerMethod,
    now: Time,
) -> Result<Value> {
    let index = target_index(connector, stored, job_type)?;
    let Some(service_type) = text(stored, "service_type").filter(|service_type| !service_type.is_empty())
    else {
        return Err(ProtocolError::status_exception(format!(
            "Cannot start a sync for connector [{connector}] with [service_type] not defined. Set the service type of your \
             connector before starting the sync."
        )));
    };
    let mut snapshot = Map::new();
    snapshot.insert("id".into(), connector.as_str().into());
    let active = filtering::first(stored, now)?.get("active").cloned().unwrap_or_default();
    snapshot.insert("filtering".into(), active);
    snapshot.insert("index_name".into(), index.into());
    for name in ["language", "pipeline"] {
        if let Some(value) = stored.get(name).filter(|value| !value.is_null()) {
            snapshot.insert(name.into(), value.clone());
        }
    }
    snapshot.insert("service_type".into(), service_type.into());
    let fields = stored.get("configuration").unwrap_or(&Value::Null);
    snapshot.insert("configuration".into(), configuration::reread(fields));
    let now = time::format(now);
    Ok(json!({
        "connector": snapshot,
        "created_at": now,
        "deleted_document_count": 0,
        "indexed_document_count": 0,
        "indexed_document_volume": 0,
        "job_type": job_type.as_str(),
        "last_seen": now,
        "metadata": {},
        "status": SyncStatus::Pending.as_str(),
        "total_document_count": 0,
        "trigger_method": trigger.as_str(),
    }))
}

fn target_index(connector: &ConnectorId, stored: &Value, job_type: JobType) -> Result<String> {
    let index = text(stored, "index_name").filter(|index| !index.is_empty());
    match (job_type, index) {
        // A connector without an index passes here, as it does at Elasticsearch.
        (JobType::AccessControl, index) => Ok(format!("{ACCESS_CONTROL_PREFIX}{}", index.unwrap_or("null"))),
        (_, Some(index)) => Ok(index.to_owned()),
        (_, None) => Err(ProtocolError::status_exception(format!(
            "Cannot start a sync for connector [{connector}] with no index attached. Set the [index_name] property for the \
             connector to enable syncing data."
        ))),
    }
}

/// The error for a job of a connector that is not there.
#[must_use]
pub fn no_connector(id: &ConnectorId) -> ProtocolError {
    ProtocolError::not_found(format!("Connector with id '{id}' does not exist."))
}

/// The error for a job that is not there, in its longer form (connector-api 2.7).
#[must_use]
pub fn not_found(id: &str) -> ProtocolError {
    ProtocolError::not_found(format!("connector sync job [{id}] not found"))
}

/// Applies the request of an endpoint to a job's stored source.
///
/// # Errors
/// An illegal transition of the status (connector-api 11.2).
pub fn apply(request: &SyncJobRequest, stored: Value, now: Time) -> Result<Change> {
    let now = time::format(now);
    match request {
        SyncJobRequest::Cancel => cancel(stored, &now),
        SyncJobRequest::CheckIn => merged(stored, json!({"last_seen": now})),
        SyncJobRequest::Claim { worker_hostname, sync_cursor } => {
            let mut change = json!({
                "status": SyncStatus::InProgress.as_str(),
                "worker_hostname": worker_hostname,
                "last_seen": now,
                "started_at": now,
            });
            if let Some(cursor) = sync_cursor {
                change["connector"] = json!({"sync_cursor": cursor});
            }
            merged(stored, change)
        }
        SyncJobRequest::Error(error) => {
            check_transition(&stored, SyncStatus::Error)?;
            merged(stored, json!({"error": error, "status": SyncStatus::Error.as_str()}))
        }
        SyncJobRequest::Stats(given) => {
            let mut change = given.clone();
            change.entry("last_seen").or_insert_with(|| now.into());
            merged(stored, Value::Object(change))
        }
    }
}

fn cancel(stored: Value, now: &str) -> Result<Change> {
    let waits = matches!(status(&stored), Some(SyncStatus::Pending | SyncStatus::Suspended));
    if waits {
        return merged(
            stored,
            json!({
                "status": SyncStatus::Canceled.as_str(),
                "cancelation_requested_at": now,
                "canceled_at": now,
                "completed_at": now,
            }),
        );
    }
    check_transition(&stored, SyncStatus::Canceling)?;
    merged(stored, json!({"status": SyncStatus::Canceling.as_str(), "cancelation_requested_at": now}))
}

/// The stored status, where it is one.
fn status(stored: &Value) -> Option<SyncStatus> {
    text(stored, "status").and_then(|status| status.parse().ok())
}

fn check_transition(stored: &Value, next: SyncStatus) -> Result<()> {
    let current = status(stored);
    if current.is_some_and(|current| current.may_become(next)) {
        return Ok(());
    }
    let shown = text(stored, "status").unwrap_or("null");
    let reason = format!(
        "Invalid transition attempt from [{shown}] to [{next}]. Such a ConnectorSyncStatus transition is not supported by the \
         Connector Protocol."
    );
    let error = ProtocolError::status_exception(reason.clone());
    Err(error.because("connector_sync_job_invalid_status_transition_exception", reason))
}
