//! Looks at connectors and jobs. They take their time where there are many: meanwhile the loop begins what it knows of and
//! takes note of what ended.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tributary_client::ClientError;
use tributary_engine::sweep_spools;
use tributary_protocol::SyncJobId;

use super::{JOBS_PAUSE, Loop};
use crate::metrics::Metric;
use crate::observe::{OpenJob, Served};

/// A look that is under way.
pub(super) type Look = BoxFuture<'static, Result<Seen, ClientError>>;

/// What was seen. It may be older than what the loop learned from its own tasks meanwhile, as any search may be; whatever
/// is planned from it is tried again on the documents themselves.
#[derive(Debug)]
pub(super) struct Seen {
    /// `None`: it was not yet time to look at them.
    connectors: Option<Vec<Served>>,
    jobs: Vec<OpenJob>,
}

/// The end of the look that is under way; `None` at once where none is. Cancel-safe.
pub(super) async fn under_way(look: &mut Option<Look>) -> Option<Result<Seen, ClientError>> {
    let seen = look.as_mut()?.await;
    *look = None;
    Some(seen)
}

impl Loop {
    /// Begins to look at the open jobs, and at the connectors too when it is time for that.
    pub(super) fn begin_look(&mut self) {
        let pause = self.service.options.poll_interval;
        self.next_jobs = Instant::now() + pause.min(JOBS_PAUSE);
        let whole = Instant::now() >= self.next_connectors;
        if whole {
            self.next_connectors = Instant::now() + pause;
        }
        let service = Arc::clone(&self.service);
        self.look = Some(Box::pin(async move {
            let took = |what, begun: Instant| {
                service.options.metrics.took(Metric::PollSeconds, &[("what", what)], begun.elapsed());
            };
            let begun = Instant::now();
            let connectors = if whole { Some(service.observer.connectors().await?) } else { None };
            if whole {
                took("connectors", begun);
            }
            let begun = Instant::now();
            let jobs = service.observer.jobs().await?;
            took("jobs", begun);
            Ok(Seen { connectors, jobs })
        }));
    }

    /// Goes on with what was seen.
    pub(super) async fn saw(&mut self, seen: Seen) {
        let whole = seen.connectors.is_some();
        if let Some(connectors) = seen.connectors {
            self.learn_secrets(&connectors);
            self.memory.see_connectors(self.service.now(), &connectors);
            self.connectors = connectors;
        }
        self.jobs = seen.jobs;
        self.memory.see_jobs(self.service.now(), &self.jobs, &self.connectors);
        self.status.looked(self.service.now());
        self.show();
        if !whole && self.has_new_stranger() {
            self.next_jobs = Instant::now();
            self.next_connectors = Instant::now();
        }
        if !self.swept {
            self.swept = true;
            let root = self.service.options.state_dir.join("spools");
            let open = self.jobs.iter().map(|job| job.id.as_str().to_owned()).collect();
            sweep(root, open).await;
        }
    }

    /// Whether there is a new job of a connector that we do not know yet: it may just have been created.
    fn has_new_stranger(&mut self) -> bool {
        let known: HashSet<_> = self.connectors.iter().map(|connector| &connector.id).collect();
        let strange: HashSet<SyncJobId> = self
            .jobs
            .iter()
            .filter(|job| !known.contains(job.connector()))
            .map(|job| job.id.clone())
            .collect();
        let new = strange.iter().any(|id| !self.strangers.contains(id));
        self.strangers = strange;
        new
    }
}

/// Removes the spools of jobs that are not open, and those that a killed process left without a checkpoint.
async fn sweep(root: PathBuf, open: HashSet<String>) {
    let sweeping = tokio::task::spawn_blocking(move || sweep_spools(&root, |job| open.contains(job)));
    match sweeping.await {
        Ok(Ok(0)) => {}
        Ok(Ok(removed)) => tracing::info!(removed, "removed spools that no job can go on from"),
        Ok(Err(error)) => tracing::warn!(%error, "the folder of spools could not be looked through"),
        Err(error) => tracing::warn!(%error, "looking through the folder of spools failed"),
    }
}
