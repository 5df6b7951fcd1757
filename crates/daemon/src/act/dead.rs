use tokio::time::Instant;
use tributary_client::{ClientError, ErrorKind};
use tributary_engine::Figures;
use tributary_protocol::{SyncJob, SyncStatus};

use crate::observe::OpenJob;
use crate::plan::DeadEnd;
use crate::run::Outcome;
use crate::service::Service;

impl Service {
    /// Ends the job of a dead worker, and releases its connector. Whoever is faster wins.
    pub(crate) async fn end_dead(&self, job: &OpenJob, how: DeadEnd) -> Result<(), ClientError> {
        let outcome = match how {
            DeadEnd::Canceled => Outcome::of(SyncStatus::Canceled, figures(&job.doc)),
            DeadEnd::GivenUp => {
                let times = job.lease.takeovers;
                let text = format!(
                    "given up: the workers that ran this job died {times} times in a row (look into their logs, and \
                     whether they run out of memory)"
                );
                Outcome::failed(figures(&job.doc), &text)
            }
        };
        if self.write_end(job, &outcome).await? {
            let end = Instant::now() + self.options.lease;
            let status = outcome.given(job.doc.status);
            self.end_connector(job.connector(), job.doc.job_type, status, &outcome, end).await;
        }
        Ok(())
    }

    /// Ends the job if its connector does not exist any more; whether it did.
    pub(crate) async fn end_orphan(&self, job: &OpenJob) -> Result<bool, ClientError> {
        let there = self.client.connector(job.connector()).await?.is_some_and(|found| !found.doc.deleted);
        if there {
            return Ok(false);
        }
        let text = "the connector of this job does not exist any more";
        let outcome = if job.doc.status == SyncStatus::InProgress {
            Outcome::failed(figures(&job.doc), text)
        } else {
            // A job that did not run may only be cancelled.
            let canceled = Outcome::of(SyncStatus::Canceled, figures(&job.doc));
            Outcome { warnings: vec![text.to_owned()], ..canceled }
        };
        self.write_end(job, &outcome).await
    }

    /// Whether it was we who ended the job.
    async fn write_end(&self, job: &OpenJob, outcome: &Outcome) -> Result<bool, ClientError> {
        let change = outcome.job_change(job.doc.status, &job.lease, self.now());
        match self.client.update_job(&job.id, &change, Some(job.version)).await {
            Ok(_) => {
                tracing::warn!(status = outcome.status.as_str(), "ended a job that nobody works on");
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The numbers the job's last worker told last.
pub(crate) fn figures(job: &SyncJob) -> Figures {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Figures {
        created: count(job.indexed_document_count),
        deleted: count(job.deleted_document_count),
        wire_bytes: count(job.indexed_document_volume) << 20,
        ..Figures::default()
    }
}
