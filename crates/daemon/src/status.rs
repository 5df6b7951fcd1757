use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tributary_engine::Progress;
use tributary_protocol::{ConnectorId, JobType, SyncJobId};

use crate::observe::OpenJob;

/// What a daemon is doing. Cheap to clone; all clones tell of the same daemon.
#[derive(Clone, Debug, Default)]
pub struct DaemonStatus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    looked: Option<DateTime<Utc>>,
    turned: Option<DateTime<Utc>>,
    trouble: Option<String>,
    stopping: bool,
    running: Vec<RunningSync>,
}

/// A sync that runs in a daemon.
#[derive(Clone, Debug)]
pub struct RunningSync {
    /// Its job.
    pub job: SyncJobId,
    /// The connector.
    pub connector: ConnectorId,
    /// What is synced.
    pub job_type: JobType,
    /// How far it is.
    pub progress: Arc<Progress>,
}

impl RunningSync {
    pub(crate) fn of(job: &OpenJob, progress: &Arc<Progress>) -> Self {
        Self {
            job: job.id.clone(),
            connector: job.connector().clone(),
            job_type: job.doc.job_type,
            progress: Arc::clone(progress),
        }
    }
}

impl DaemonStatus {
    /// When connectors and jobs could be looked at last; `None`: not yet.
    #[must_use]
    pub fn last_look(&self) -> Option<DateTime<Utc>> {
        self.with(|state| state.looked)
    }

    /// When the daemon's loop began its last turn; `None`: it has not begun. A loop that turns is alive, even while the
    /// cluster is away.
    #[must_use]
    pub fn last_turn(&self) -> Option<DateTime<Utc>> {
        self.with(|state| state.turned)
    }

    /// Why the last look failed; `None`: it did not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.with(|state| state.trouble.clone())
    }

    /// Whether it takes no work any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.with(|state| state.stopping)
    }

    /// The syncs that run.
    #[must_use]
    pub fn running(&self) -> Vec<RunningSync> {
        self.with(|state| state.running.clone())
    }

    pub(crate) fn looked(&self, now: DateTime<Utc>) {
        self.with(|state| {
            state.looked = Some(now);
            state.trouble = None;
        });
    }

    pub(crate) fn turned(&self, now: DateTime<Utc>) {
        self.with(|state| state.turned = Some(now));
    }

    pub(crate) fn troubled(&self, why: String) {
        self.with(|state| state.trouble = Some(why));
    }

    pub(crate) fn stopping(&self) {
        self.with(|state| state.stopping = true);
    }

    pub(crate) fn began(&self, sync: RunningSync) {
        self.with(|state| state.running.push(sync));
    }

    pub(crate) fn ended(&self, job: &SyncJobId) {
        self.with(|state| state.running.retain(|sync| sync.job != *job));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
