//! Bodies of the sync job endpoints (connector-api 12).

use serde_json::{Map, Value};

use super::fault::{Cause, Fault, Parsed};
use super::json::Located;
use super::no_broken_rule;
use super::object::{Shape, Takes, optional, required};
use crate::ops::SyncJobOp;
use crate::{ConnectorId, JobType, ProtocolError, TriggerMethod};

/// Body of `POST /_connector/_sync_job`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSyncJob {
    /// The connector.
    pub id: ConnectorId,
    /// The kind of sync.
    pub job_type: JobType,
    /// Who asks for it.
    pub trigger_method: TriggerMethod,
}

/// Body of one of the endpoints that change a sync job, checked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SyncJobRequest {
    /// `_cancel`.
    Cancel,
    /// `_check_in`.
    CheckIn,
    /// `_claim`.
    Claim {
        /// The worker that takes the job.
        worker_hostname: String,
        /// Where an incremental sync goes on.
        sync_cursor: Option<Value>,
    },
    /// `_error`.
    Error(String),
    /// `_stats`: what was given, as stored.
    Stats(Map<String, Value>),
}

const CREATE: Shape = Shape {
    parser: "connector_sync_job_post_request",
    strict: true,
    keys: &[
        required("id", Takes::Text),
        optional("job_type", Takes::Text),
        optional("trigger_method", Takes::Text),
    ],
};
const CLAIM: Shape = Shape {
    parser: "claim_connector_sync_job",
    strict: true,
    keys: &[required("worker_hostname", Takes::Text), optional("sync_cursor", Takes::Object)],
};
const ERROR: Shape = Shape {
    parser: "connector_sync_job_error_request",
    strict: true,
    keys: &[required("error", Takes::Text)],
};
const STATS: Shape = Shape {
    parser: "connector_sync_job_update_ingestion_stats",
    strict: true,
    keys: &[
        required("deleted_document_count", Takes::Number),
        required("indexed_document_count", Takes::Number),
        required("indexed_document_volume", Takes::Number),
        optional("total_document_count", Takes::Number),
        optional("last_seen", Takes::Text),
        optional("metadata", Takes::Object),
    ],
};

impl CreateSyncJob {
    /// Reads a body.
    ///
    /// # Errors
    /// As connector-api 2.3 and 12.1.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let request = Located::parse(body).and_then(|body| Self::read(&body))?;
        if request.id.as_str().is_empty() {
            no_broken_rule(vec!["[id] of the connector cannot be null or empty".to_owned()])?;
        }
        Ok(request)
    }

    fn read(body: &Located) -> Parsed<Self> {
        let (mut id, mut job_type, mut trigger) = (String::new(), None, None);
        CREATE.read(body, |key, value| {
            match key {
                "id" => id = value.string()?,
                "job_type" => job_type = Some(value.string()?),
                _ => trigger = Some(value.string()?),
            }
            Ok(())
        })?;
        // The words are looked at when all members are there.
        let unknown = |type_name: &str, text: &str| -> Fault {
            CREATE.unbuildable(body, Cause::illegal(format!("Unknown {type_name} [{text}].")))
        };
        let job_type = match &job_type {
            None => JobType::Full,
            Some(text) => text.parse().map_err(|_| unknown("ConnectorSyncJobType", text))?,
        };
        let trigger_method = match &trigger {
            None => TriggerMethod::OnDemand,
            Some(text) => text.parse().map_err(|_| unknown("ConnectorSyncJobTriggerMethod", text))?,
        };
        Ok(Self { id: ConnectorId::from(id), job_type, trigger_method })
    }
}

impl SyncJobRequest {
    /// Reads the body of an endpoint. `id` is the job's, as the path has it.
    ///
    /// # Errors
    /// As connector-api 2.3 to 2.5; all broken rules in one error.
    pub fn parse(op: SyncJobOp, id: &str, body: &[u8]) -> Result<Self, ProtocolError> {
        let mut broken = Vec::new();
        if id.is_empty() {
            broken.push(
                "[connector_sync_job_id] of the connector sync job cannot be null or empty.".to_owned(),
            );
        }
        let request = match op {
            SyncJobOp::Cancel => Self::Cancel,
            SyncJobOp::CheckIn => Self::CheckIn,
            op => Located::parse(body).and_then(|body| read(op, &body, &mut broken))?,
        };
        no_broken_rule(broken)?;
        Ok(request)
    }
}

fn read(op: SyncJobOp, body: &Located, broken: &mut Vec<String>) -> Parsed<SyncJobRequest> {
    match op {
        SyncJobOp::Cancel => Ok(SyncJobRequest::Cancel),
        SyncJobOp::CheckIn => Ok(SyncJobRequest::CheckIn),
        SyncJobOp::Claim => {
            let (mut worker_hostname, mut sync_cursor) = (String::new(), None);
            CLAIM.read(body, |key, value| {
                match key {
                    "worker_hostname" => worker_hostname = value.string()?,
                    _ => sync_cursor = Some(value.to_value()),
                }
                Ok(())
            })?;
            Ok(SyncJobRequest::Claim { worker_hostname, sync_cursor })
        }
        SyncJobOp::Error => {
            let mut error = String::new();
            ERROR.read(body, |_, value| {
                error = value.string()?;
                Ok(())
            })?;
            if error.is_empty() {
                broken.push("[error] of the connector sync job cannot be null or empty".to_owned());
            }
            Ok(SyncJobRequest::Error(error))
        }
        SyncJobOp::Stats => stats(body, broken),
    }
}

fn stats(body: &Located, broken: &mut Vec<String>) -> Parsed<SyncJobRequest> {
    let mut given = Map::new();
    STATS.read(body, |key, value| {
        let read = match key {
            "last_seen" => value.instant()?,
            "metadata" => value.to_value(),
            _ => value.long()?.into(),
        };
        given.insert(key.to_owned(), read);
        Ok(())
    })?;
    for key in [
        "deleted_document_count",
        "indexed_document_count",
        "indexed_document_volume",
        "total_document_count",
    ] {
        if given.get(key).and_then(Value::as_i64).is_some_and(|count| count < 0) {
            broken.push(format!("[{key}] cannot be negative."));
        }
    }
    Ok(SyncJobRequest::Stats(given))
}
