use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tributary_client::Client;
use tributary_engine::{DeleteGuard, ErrorLimits, Limits, TextExtractor};
use tributary_protocol::ConnectorId;

use crate::job_log::JobLogs;
use crate::metrics::Metrics;
use crate::redact::Redactor;

/// What a [`Daemon`](crate::Daemon) serves and how. [`DaemonOptions::default`] gives the defaults named here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DaemonOptions {
    /// Which connectors are served. Default: none.
    pub connectors: Selection,
    /// Longest pause between two looks at connectors and jobs. Default 5 s.
    pub poll_interval: Duration,
    /// Longest time between two check-ins of a connector. Default 5 minutes.
    pub heartbeat: Duration,
    /// How long a worker that has gone silent keeps its job before another takes it over; renewed at a third of it.
    /// At least 3 s. Default 30 s.
    pub lease: Duration,
    /// Silence after which a worker without a lease (the Python service) counts as dead. Default 5 minutes
    /// (sync-runtime 5.7).
    pub idle_limit: Duration,
    /// Take-overs of one job from crashed workers before it is given up. Default 10.
    pub max_takeovers: u32,
    /// Content syncs at once; at least 1. Default 4.
    pub max_concurrent_content_syncs: usize,
    /// Access-control syncs at once; at least 1. Default 4.
    pub max_concurrent_access_control_syncs: usize,
    /// Syncs of a service type at once, within the limits above; types not named have no limit of their own. Default:
    /// none.
    pub max_concurrent_by_type: BTreeMap<String, usize>,
    /// Connectors looked after at once: registrations, checks of sources, job creation; at least 1. Default 4.
    pub max_scheduling_tasks: usize,
    /// How long running syncs may take to store what they have read when asked to stop. Default 20 s.
    pub shutdown_grace: Duration,
    /// Time for one check of a source. Default 30 s.
    pub check_timeout: Duration,
    /// Pause between two checks of a source that works. Default 15 minutes.
    pub recheck: Duration,
    /// Pause between two checks whether the connector of an open job still exists. Default 10 minutes.
    pub orphan_recheck: Duration,
    /// Attempts to prepare the protocol's indices at start; at least 1. Default 10.
    pub preflight_attempts: u32,
    /// Pause between those attempts. Default 30 s.
    pub preflight_pause: Duration,
    /// How long the cluster may be away at start; `None`: for ever. Default 4 minutes.
    pub start_timeout: Option<Duration>,
    /// Refused looks within [`DaemonOptions::max_errors_span`] that end the daemon when exceeded. Waiting for a cluster
    /// that is away does not count. Default 20.
    pub max_errors: u32,
    /// Time after which refused looks are forgotten. Default 10 minutes.
    pub max_errors_span: Duration,
    /// Where spools and resume points are kept. Losing it costs time, never data. Default `tributary-data/state`.
    pub state_dir: PathBuf,
    /// Name under which jobs are claimed (`worker_hostname`). Default: the machine's name and eight random digits.
    pub worker_name: String,
    /// Which finished jobs are deleted. Default: those older than 90 days that are not among the latest 100.
    pub job_retention: JobRetention,
    /// What every sync is run with.
    pub sync: SyncOptions,
    /// Where figures are counted. Default: for this daemon alone.
    pub metrics: Metrics,
    /// Hides secrets in what is logged and written. Default: knows the connectors' secrets only.
    pub redactor: Redactor,
    /// Log lines of running jobs, gathered by its layer in the process's log. Default: none.
    pub job_logs: JobLogs,
}

/// How long finished jobs are kept, per connector, content and access-control syncs each for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRetention {
    /// The age at which a job goes, counted from its end; `None`: never.
    pub age: Option<Duration>,
    /// The latest jobs, which stay however old they are; 1 to 9,000.
    pub count: usize,
}

impl Default for JobRetention {
    fn default() -> Self {
        Self { age: Some(Duration::from_secs(90 * 24 * 3600)), count: 100 }
    }
}

/// How the syncs of a process are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncOptions {
    /// Bounds on memory, sizes, concurrency and time. Default: [`Limits::default`].
    pub limits: Limits,
    /// When refused documents fail a job. Default: [`ErrorLimits::default`].
    pub error_limits: ErrorLimits,
    /// Protection from mass deletion. Default: [`DeleteGuard::default`].
    pub delete_guard: DeleteGuard,
    /// Whether documents carry a fingerprint, so that unchanged ones are left alone. Default true.
    pub fingerprint: bool,
    /// Contents larger than this many bytes are not fetched. Default 10 MiB.
    pub max_body_bytes: u64,
    /// Longest time in one go; then the sync ends with an error. Default: none.
    pub time_limit: Option<Duration>,
    /// Longest time in which the source may tell nothing while its sync waits for nothing else; then the sync ends with an
    /// error. Default one hour.
    pub silence_limit: Option<Duration>,
    /// Operations written in a second at the most. Default: no limit.
    pub rate_limit: Option<f64>,
    /// Documents between two lines of progress in the log, of which there are never two within 10 s; 0: none.
    /// Default 0.
    pub progress_every: u64,
    /// Whether every operation is logged, at level debug. Default no.
    pub log_operations: bool,
    /// Log lines kept in a job's document. Default 100.
    pub job_log_lines: usize,
    /// Extracts the text of files for the connectors that want it (`use_text_extraction_service`). Default: none.
    pub extractor: Option<Arc<dyn TextExtractor>>,
}

/// Which connectors are served: the listed ones, those of the service types, or all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Connectors by id.
    pub ids: Vec<SelectedConnector>,
    /// Connectors of these service types that are not managed by Elastic (worker mode, sync-runtime 1.6).
    pub service_types: Vec<String>,
    /// Every connector of a service type that is built in.
    pub all: bool,
}

/// A connector selected by its id.
#[derive(Clone, Debug)]
pub struct SelectedConnector {
    /// Its id.
    pub id: ConnectorId,
    /// Its service type, which goes before that of its document; written there when that has none.
    pub service_type: Option<String>,
    /// The client for its content index, where that needs credentials of its own (sync-runtime 2.2).
    pub content_client: Option<Client>,
}

impl SelectedConnector {
    /// The connector `id` as its document describes it.
    #[must_use]
    pub fn new(id: ConnectorId) -> Self {
        Self { id, service_type: None, content_client: None }
    }
}

impl Selection {
    /// Every connector of a service type that is built in.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// These connectors.
    pub fn of(ids: impl IntoIterator<Item = ConnectorId>) -> Self {
        Self { ids: ids.into_iter().map(SelectedConnector::new).collect(), ..Self::default() }
    }

    /// Whether nothing is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.ids.is_empty() && self.service_types.is_empty()
    }

    pub(crate) fn listed(&self, id: &ConnectorId) -> Option<&SelectedConnector> {
        self.ids.iter().find(|selected| selected.id == *id)
    }
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            error_limits: ErrorLimits::default(),
            delete_guard: DeleteGuard::default(),
            fingerprint: true,
            max_body_bytes: 10 << 20,
            time_limit: None,
            silence_limit: Some(Duration::from_secs(3600)),
            rate_limit: None,
            progress_every: 0,
            log_operations: false,
            job_log_lines: 100,
            extractor: None,
        }
    }
}

impl Default for DaemonOptions {
    fn default() -> Self {
        Self {
            connectors: Selection::default(),
            poll_interval: Duration::from_secs(5),
            heartbeat: Duration::from_secs(300),
            lease: Duration::from_secs(30),
            idle_limit: Duration::from_secs(300),
            max_takeovers: 10,
            max_concurrent_content_syncs: 4,
            max_concurrent_access_control_syncs: 4,
            max_concurrent_by_type: BTreeMap::new(),
            max_scheduling_tasks: 4,
            shutdown_grace: Duration::from_secs(20),
            check_timeout: Duration::from_secs(30),
            recheck: Duration::from_secs(900),
            orphan_recheck: Duration::from_secs(600),
            preflight_attempts: 10,
            preflight_pause: Duration::from_secs(30),
            start_timeout: Some(Duration::from_secs(240)),
            max_errors: 20,
            max_errors_span: Duration::from_secs(600),
            state_dir: PathBuf::from("tributary-data/state"),
            worker_name: worker_name(),
            job_retention: JobRetention::default(),
            sync: SyncOptions::default(),
            metrics: Metrics::default(),
            redactor: Redactor::default(),
            job_logs: JobLogs::default(),
        }
    }
}

impl DaemonOptions {
    /// The same options with what would stop the daemon for ever raised to the least that works.
    pub(crate) fn usable(mut self) -> Self {
        for limit in [
            &mut self.max_concurrent_content_syncs,
            &mut self.max_concurrent_access_control_syncs,
            &mut self.max_scheduling_tasks,
        ] {
            *limit = (*limit).max(1);
        }
        self.preflight_attempts = self.preflight_attempts.max(1);
        // More than 10,000 found documents are not counted through.
        self.job_retention.count = self.job_retention.count.clamp(1, 9000);
        self.lease = self.lease.max(Duration::from_secs(3));
        self.poll_interval = self.poll_interval.max(Duration::from_millis(10));
        // What is left of the grace goes to telling how the job stands.
        let grace = self.shutdown_grace.mul_f32(0.8);
        self.sync.limits.suspend_grace = self.sync.limits.suspend_grace.min(grace);
        self
    }
}

/// The machine's name and eight random digits, so that two processes of one machine are told apart.
fn worker_name() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok());
    let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("tributary");
    format!("{name}-{:08x}", rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_of_one_machine_have_different_names() {
        assert_ne!(DaemonOptions::default().worker_name, DaemonOptions::default().worker_name);
    }

    #[test]
    fn limits_of_zero_do_not_stop_the_daemon_for_ever() {
        let options = DaemonOptions {
            max_concurrent_content_syncs: 0,
            max_concurrent_access_control_syncs: 0,
            max_scheduling_tasks: 0,
            lease: Duration::ZERO,
            poll_interval: Duration::ZERO,
            ..DaemonOptions::default()
        };
        let usable = options.usable();
        assert_eq!(
            (
                usable.max_concurrent_content_syncs,
                usable.max_concurrent_access_control_syncs,
                usable.max_scheduling_tasks
            ),
            (1, 1, 1)
        );
        assert!(usable.lease > Duration::ZERO && usable.poll_interval > Duration::ZERO);
    }
}
