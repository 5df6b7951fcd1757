use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};
use tributary_client::ClientError;
use tributary_protocol::{ConnectorId, IndexName, JobType, SyncStatus};

use super::claim::{ClaimedJob, Lost, WriteError};
use super::outcome::{Outcome, merging_differs};
use crate::act::change_connector;
use crate::service::Service;

/// Pause before an ending is written again.
const PAUSE: Duration = Duration::from_secs(1);

impl Service {
    /// Writes how the job ended: into the job while it is ours, then into its connector. A cluster that is away is waited
    /// for. Returns the status the job has now.
    pub(crate) async fn finish(&self, mut job: ClaimedJob, mut outcome: Outcome) -> Result<SyncStatus, Lost> {
        let end = Instant::now() + self.options.sync.limits.patience;
        let status = loop {
            match self.end_job(&mut job, &outcome).await {
                Ok(status) => break status,
                Err(WriteError::Lost(lost)) => return Err(lost),
                Err(WriteError::Client(error)) => {
                    tracing::warn!(%error, "how the job ended could not be written yet");
                    if !error.is_retryable() {
                        // It may be what the documents were refused for that the cluster does not take.
                        outcome.refusals = Default::default();
                        outcome.warnings.clear();
                    }
                    if Instant::now() > end {
                        tracing::error!(
                            "giving up: another worker will take the job over and find the index done"
                        );
                        return Err(Lost::TakenOver);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        self.end_connector(job.connector_id(), job.kind(), status, &outcome, end).await;
        Ok(status)
    }

    async fn end_job(&self, job: &mut ClaimedJob, outcome: &Outcome) -> Result<SyncStatus, WriteError> {
        let (lease, now) = (job.lease.clone(), self.now());
        let ending = job.write(&self.client, |current| outcome.job_change(current, &lease, now));
        let ended = match timeout(self.call_limit(), ending).await {
            Ok(ended) => ended,
            Err(_) => Err(WriteError::Client(too_slow())),
        };
        match ended {
            Ok(()) => Ok(outcome.given(job.status)),
            // The answer to our own write may have been lost, and the write done.
            Err(WriteError::Lost(Lost::Ended(status))) if status == outcome.given(job.status) => Ok(status),
            Err(error) => Err(error),
        }
    }

    /// Writes the outcome into the connector, as long as the cluster is not away for longer than until `end`.
    pub(crate) async fn end_connector(
        &self,
        id: &ConnectorId,
        kind: JobType,
        status: SyncStatus,
        outcome: &Outcome,
        end: Instant,
    ) {
        while let Err(error) = self.write_connector(id, kind, status, outcome).await {
            tracing::warn!(%error, "how the sync ended could not be written into the connector yet");
            if Instant::now() > end || !error.is_retryable() {
                // The lock is released by whoever sees that no job runs.
                tracing::error!(%error, "giving up writing how the sync ended into the connector");
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write_connector(
        &self,
        id: &ConnectorId,
        kind: JobType,
        status: SyncStatus,
        outcome: &Outcome,
    ) -> Result<(), ClientError> {
        if let Some(cursor) = outcome.cursor.as_ref().filter(|_| status == SyncStatus::Completed) {
            // An update merges objects: what is to go must be gone before.
            change_connector(&self.client, id, |connector| {
                let stored = connector.doc.sync_cursor.as_ref()?;
                merging_differs(stored, cursor).then(|| json!({ "sync_cursor": null }))
            })
            .await?;
        }
        let now = self.now();
        change_connector(&self.client, id, |connector| {
            Some(outcome.connector_change(status, kind, &connector.doc, now))
        })
        .await
        .map(|_| ())
    }

    /// Time for one call while a lease is held.
    pub(crate) fn call_limit(&self) -> Duration {
        (self.options.lease / 3).min(Duration::from_secs(10))
    }

    /// The client for such a call: it gives up a moment before, so that the cluster's own reason is told.
    pub(crate) fn soon(&self) -> tributary_client::Client {
        self.client.within(self.call_limit().mul_f64(0.8))
    }

    /// Documents in the index, where that can be told within a limit.
    pub(crate) async fn count(
        &self,
        connector: &ConnectorId,
        index: &IndexName,
        limit: Duration,
    ) -> Option<u64> {
        let client = self.content_client(connector);
        let counting = async {
            client.refresh(index).await?;
            client.count(index).await
        };
        match timeout(limit, counting).await {
            Ok(Ok(count)) => Some(count),
            Ok(Err(error)) if error.is_missing_index() => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the documents of the index could not be counted");
                None
            }
            Err(_) => None,
        }
    }
}

pub(crate) fn too_slow() -> ClientError {
    ClientError::new(tributary_client::ErrorKind::Timeout, "the cluster did not answer in time")
}
