use tributary_client::{ClientError, ErrorKind, JobFilter};
use tributary_protocol::{ConnectorId, SyncStatus};

use crate::observe::Lock;
use crate::plan::expired;
use crate::service::Service;

/// Jobs looked at, and so deleted at the most, in one go.
const PAGE: usize = 100;

impl Service {
    /// Deletes old jobs of a connector; whether there may be more.
    pub(crate) async fn prune(&self, id: &ConnectorId) -> Result<bool, ClientError> {
        let mut more = false;
        for lock in Lock::ALL {
            more |= self.prune_under(id, lock).await?;
        }
        Ok(more)
    }

    async fn prune_under(&self, id: &ConnectorId, lock: Lock) -> Result<bool, ClientError> {
        let retention = self.options.job_retention;
        let filter = JobFilter {
            connector_id: Some(id.clone()),
            statuses: SyncStatus::ALL.into_iter().filter(|status| status.is_final()).collect(),
            types: lock.kinds().to_vec(),
            from: retention.count,
            size: Some(PAGE),
        };
        let older = self.client.jobs(&filter).await?;
        let gone = expired(self.now(), retention, older.iter().map(|job| (&job.id, &job.doc)));
        for job in &gone {
            match self.client.delete_job(job).await {
                Ok(()) => {}
                // Another daemon was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if !gone.is_empty() {
            tracing::debug!(deleted = gone.len(), "deleted old sync jobs");
        }
        Ok(gone.len() == PAGE)
    }
}
