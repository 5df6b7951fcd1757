use std::time::Duration;

use tributary_daemon::{DaemonHandle, DaemonOptions, Selection};
use tributary_protocol::{ConnectorStatus, JobType, SyncJob, SyncJobId, SyncStatus};
use tributary_tasks::Shutdown;

use super::{Rig, World};

/// One daemon that serves a bad source and a good one.
pub struct Pair {
    pub bad: Rig,
    pub good: Rig,
    shutdown: Shutdown,
    handle: DaemonHandle,
    options: DaemonOptions,
}

impl Pair {
    pub async fn set(bad_world: &World, good_world: &World, adjust: impl FnOnce(&mut DaemonOptions)) -> Self {
        let mut bad = Rig::start(bad_world).await;
        let good = Rig::on(bad.client.clone(), good_world).await;
        let mut options = bad.options();
        options.connectors = Selection::of([bad.connector.clone(), good.connector.clone()]);
        adjust(&mut options);
        let (shutdown, handle) = bad.daemon_with_handle(options.clone());
        Self { bad, good, shutdown, handle, options }
    }

    /// The good source's syncs come to their ends while the bad one's job runs, in their first attempt.
    pub async fn others_go_on(&self, during: &SyncJobId) {
        for _ in 0..2 {
            let id = self.good.ask(JobType::Full).await;
            untouched(&self.good.job_is(&id, SyncStatus::Completed).await);
        }
        assert_eq!(self.bad.job(during).await.status, SyncStatus::InProgress, "the bad one ran meanwhile");
    }

    /// Cancels the bad source's job.
    pub async fn cancel(&self, id: &SyncJobId) -> SyncJob {
        self.bad.client.cancel_job(id).await.unwrap();
        self.bad.job_is(id, SyncStatus::Canceled).await
    }

    /// A further job of the bad source, which may take no longer than 2 s, fails and says so.
    pub async fn fails_in_time(&mut self) {
        self.options.sync.time_limit = Some(Duration::from_secs(2));
        self.handle.reload(self.bad.client.clone(), self.options.clone());
        let id = self.bad.ask(JobType::Full).await;
        self.bad_job_fails(&id, "longer than the 2 s that a job may take").await;
        self.options.sync.time_limit = None;
        self.handle.reload(self.bad.client.clone(), self.options.clone());
    }

    /// A further job of the bad source, which may tell nothing for no longer than 1 s, fails and says so.
    pub async fn fails_of_silence(&mut self) {
        let before = self.options.sync.silence_limit.replace(Duration::from_secs(1));
        self.handle.reload(self.bad.client.clone(), self.options.clone());
        let id = self.bad.ask(JobType::Full).await;
        self.bad_job_fails(&id, "the source told nothing for 1 s").await;
        self.options.sync.silence_limit = before;
        self.handle.reload(self.bad.client.clone(), self.options.clone());
    }

    pub async fn bad_job_fails(&self, id: &SyncJobId, why: &str) -> SyncJob {
        let job = self.bad.job_is(id, SyncStatus::Error).await;
        let told = job.error.as_deref().unwrap();
        assert!(told.contains(why), "{told}");
        let connector =
            self.bad.connector_is("failed", |connector| connector.status == ConnectorStatus::Error).await;
        assert!(connector.last_sync_error.is_some_and(|error| error.contains(why)));
        job
    }

    /// Afterwards the bad source's connector is served as before.
    pub async fn end_well(mut self) {
        assert_eq!(self.good.connector().await.status, ConnectorStatus::Connected);
        let id = self.bad.ask(JobType::Full).await;
        untouched(&self.bad.job_is(&id, SyncStatus::Completed).await);
        self.bad.stop(&self.shutdown).await;
    }
}

/// It ran once, in one go.
pub fn untouched(job: &SyncJob) {
    let ours = &job.metadata.as_ref().unwrap()["tributary"];
    assert_eq!((&ours["attempt"], ours["takeovers"].as_u64().unwrap_or(0)), (&1.into(), 0), "{ours}");
}
