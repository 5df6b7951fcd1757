//! Operations on sync jobs.

use chrono::Utc;
use elasticsearch::connector::{ConnectorSyncJobDeleteParts, ConnectorSyncJobPostParts};
use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tributary_protocol::ops::{self, SyncJobOp};
use tributary_protocol::request::SyncJobRequest;
use tributary_protocol::{ConnectorId, JobType, SyncJobId, SyncStatus, TriggerMethod, time};

use super::rules::{missing_connector, missing_job, refused};
use super::{CONNECTORS, Control, Created, JOBS, Versioned, Written};
use crate::call::Call;
use crate::data::path_part;
use crate::{Client, ClientError, ErrorKind, Result};

/// Length of an id that is made here: that of Elasticsearch's own.
const ID_LENGTH: usize = 20;

/// How far a job is (connector-api 12.8). The numbers are absolute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobStats {
    /// Documents created or updated.
    pub indexed_document_count: u64,
    /// Their size; MiB by convention.
    pub indexed_document_volume: u64,
    /// Documents deleted.
    pub deleted_document_count: u64,
    /// Documents in the index; none: not known yet.
    pub total_document_count: Option<u64>,
    /// An object to be merged into the stored one.
    pub metadata: Option<Value>,
}

impl JobStats {
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("indexed_document_count".into(), self.indexed_document_count.into());
        body.insert("indexed_document_volume".into(), self.indexed_document_volume.into());
        body.insert("deleted_document_count".into(), self.deleted_document_count.into());
        if let Some(total) = self.total_document_count {
            body.insert("total_document_count".into(), total.into());
        }
        if let Some(metadata) = &self.metadata {
            body.insert("metadata".into(), metadata.clone());
        }
        Value::Object(body)
    }
}

#[derive(Deserialize)]
struct Id {
    id: SyncJobId,
}

/// An id of no meaning.
pub(super) fn new_id() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), ID_LENGTH)
}

impl Client {
    /// Creates a job; it waits for a worker.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] names the connector; [`ErrorKind::Rejected`] when it has no index or service type.
    pub async fn create_job(
        &self,
        connector: &ConnectorId,
        job_type: JobType,
        trigger: TriggerMethod,
    ) -> Result<SyncJobId> {
        path_part("connector id", connector.as_str())?;
        let created = match self.control().await? {
            Control::Api => {
                let body = json!({
                    "id": connector.as_str(),
                    "job_type": job_type.as_str(),
                    "trigger_method": trigger.as_str(),
                });
                let call = Call::post(ConnectorSyncJobPostParts::None.url()).not_repeatable().json(&body)?;
                self.send(call).await.and_then(|reply| Ok(reply.json::<Id>()?.id))
            }
            Control::Documents => self.create_job_of(connector, job_type, trigger).await,
        };
        created.map_err(|error| missing_connector(error, connector))
    }

    async fn create_job_of(
        &self,
        connector: &ConnectorId,
        job_type: JobType,
        trigger: TriggerMethod,
    ) -> Result<SyncJobId> {
        let found: Option<Versioned<String, Value>> =
            self.get_doc(CONNECTORS, "connector", connector.as_str()).await?;
        let Some(found) = found else { return Err(refused(ops::sync_job::no_connector(connector))) };
        let source =
            ops::sync_job::create(connector, &found.doc, job_type, trigger, Utc::now()).map_err(refused)?;
        let id = SyncJobId::from(new_id());
        match self.create_job_document(&id, &source).await? {
            // The id was made here: what exists is this very job, where an answer was lost.
            Created::New(_) | Created::Existed => Ok(id),
        }
    }

    /// Takes a waiting job for a worker. Unlike Elasticsearch's own endpoint, of which two workers can both believe that
    /// they have the job, this never takes a job that is not pending or suspended.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when somebody else has the job, or it is over; [`ErrorKind::NotFound`] names the job.
    pub async fn claim_job(&self, id: &SyncJobId, worker: &str, cursor: Option<&Value>) -> Result<Written> {
        path_part("sync job id", id.as_str())?;
        let now = Utc::now();
        let request =
            SyncJobRequest::Claim { worker_hostname: worker.to_owned(), sync_cursor: cursor.cloned() };
        let claim = |stored: Value, now| {
            // An earlier attempt's answer was lost.
            let ours = stored["started_at"] == time::format(now) && stored["worker_hostname"] == worker;
            if !ours && !is_free(&stored) {
                return Err(taken(id, &stored));
            }
            ops::sync_job::apply(&request, stored, now).map_err(refused)
        };
        let claimed = self.change_document(JOBS, "sync job", id.as_str(), now, claim).await;
        claimed.map_err(|error| missing_job(error, id))
    }

    /// Says that the job's worker is alive.
    ///
    /// # Errors
    /// As the cluster answers; [`ErrorKind::NotFound`] names the job.
    pub async fn check_in_job(&self, id: &SyncJobId) -> Result<Written> {
        self.change_job(SyncJobOp::CheckIn, id, None).await
    }

    /// Asks for the end of a job: a waiting one is canceled, a running one is canceling.
    ///
    /// # Errors
    /// As [`Client::check_in_job`]; [`ErrorKind::Rejected`] when it is over or canceling already.
    pub async fn cancel_job(&self, id: &SyncJobId) -> Result<Written> {
        self.change_job(SyncJobOp::Cancel, id, None).await
    }

    /// Ends a running job with an error.
    ///
    /// # Errors
    /// As [`Client::check_in_job`]; [`ErrorKind::Rejected`] when it does not run.
    pub async fn fail_job(&self, id: &SyncJobId, error: &str) -> Result<Written> {
        self.change_job(SyncJobOp::Error, id, Some(&json!({"error": error}))).await
    }

    /// Stores how far the job is; also says that its worker is alive.
    ///
    /// # Errors
    /// As [`Client::check_in_job`].
    pub async fn update_job_stats(&self, id: &SyncJobId, stats: &JobStats) -> Result<Written> {
        self.change_job(SyncJobOp::Stats, id, Some(&stats.body())).await
    }

    /// Removes a job in any state; its worker is not told.
    ///
    /// # Errors
    /// As [`Client::check_in_job`].
    pub async fn delete_job(&self, id: &SyncJobId) -> Result<()> {
        path_part("sync job id", id.as_str())?;
        let deleted = match self.control().await? {
            Control::Api => {
                let path = ConnectorSyncJobDeleteParts::ConnectorSyncJobId(id.as_str()).url();
                self.send(Call::delete(path)).await.map(|_| ())
            }
            Control::Documents => self.delete_doc(JOBS, id.as_str()).await,
        };
        deleted.map_err(|error| missing_job(error, id))
    }
}

fn is_free(stored: &Value) -> bool {
    let status = stored["status"].as_str().and_then(|status| status.parse::<SyncStatus>().ok());
    status.is_some_and(|status| status.may_become(SyncStatus::InProgress))
}

fn taken(id: &SyncJobId, stored: &Value) -> ClientError {
    let status = stored["status"].as_str().unwrap_or("null");
    let reason =
        format!("connector sync job [{id}] is {status}; only a pending or suspended job can be claimed");
    ClientError::new(ErrorKind::Conflict, reason).with_status(409)
}
