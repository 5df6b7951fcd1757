mod begin;
mod figures;
mod look;
mod reload;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tributary_client::{Client, ClientError};
use tributary_protocol::{JobType, SyncJobId};
use tributary_sdk::Registry;
use tributary_tasks::{Shutdown, TaskScope};

use crate::act::UpkeepDone;
use crate::budget::ErrorBudget;
use crate::error::DaemonError;
use crate::lease::delta;
use crate::memory::{Checked, Memory};
use crate::metrics::Metric;
use crate::observe::{OpenJob, Served};
use crate::options::DaemonOptions;
use crate::plan::{Busy, PlanRules, TaskKey, View, plan};
use crate::service::Service;
use crate::status::DaemonStatus;
use look::{Look, under_way};

/// Longest pause between two looks at the open jobs: how soon a job is begun that somebody asks for.
const JOBS_PAUSE: Duration = Duration::from_secs(1);
/// How long a task is left alone that failed for now.
const PUT_OFF: Duration = Duration::from_secs(5);

/// Serves connectors: looks after them, creates the jobs of their schedules, and runs jobs.
///
/// Any number of daemons may serve the same connectors.
#[derive(Debug)]
pub struct Daemon {
    client: Client,
    registry: Registry,
    options: DaemonOptions,
    status: DaemonStatus,
    reloads: watch::Sender<Option<Other>>,
}

/// What a daemon is to go on with.
type Other = Arc<(Client, DaemonOptions)>;

/// Gives a running daemon other options. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DaemonHandle(watch::Sender<Option<Other>>);

impl DaemonHandle {
    /// Goes on with another client and other options. Running syncs end with what they began with; the state folder and the
    /// worker's name stay.
    pub fn reload(&self, client: Client, options: DaemonOptions) {
        self.0.send_replace(Some(Arc::new((client, options))));
    }
}

/// What a task came to.
#[derive(Debug)]
enum Done {
    /// A job was run, or lost.
    Ran,
    /// The task was not done for now; it may be tried again after that time.
    PutOff(Duration),
    /// A connector was looked after.
    Kept(UpkeepDone),
    /// A slot is served.
    Served(JobType, DateTime<Utc>),
    /// A custom schedule's slot is served.
    ServedCustom(DateTime<Utc>),
    /// Nothing to remember.
    Nothing,
}

impl Daemon {
    /// A daemon that does nothing yet.
    #[must_use]
    pub fn new(client: Client, registry: Registry, options: DaemonOptions) -> Self {
        let reloads = watch::Sender::new(None);
        Self { client, registry, options, status: DaemonStatus::default(), reloads }
    }

    /// Gives it other options while it runs.
    #[must_use]
    pub fn handle(&self) -> DaemonHandle {
        DaemonHandle(self.reloads.clone())
    }

    /// What the daemon is doing, for health checks and displays; valid while it runs.
    #[must_use]
    pub fn status(&self) -> DaemonStatus {
        self.status.clone()
    }

    /// Serves until a stop is asked for. Running syncs are then suspended, within the grace time.
    ///
    /// # Errors
    /// When the cluster cannot be used: it does not come up in time, does not accept the credentials, or keeps
    /// refusing to be looked at.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), DaemonError> {
        let service = Arc::new(Service::new(self.client, self.registry, self.options, shutdown.clone()));
        tokio::select! {
            () = shutdown.stopping() => return Ok(()),
            started = start(&service) => started?,
        }
        let mut looping = Loop::new(service, self.status, self.reloads.subscribe());
        let ended = Box::pin(looping.run()).await;
        Box::pin(looping.stop()).await;
        ended
    }
}

/// Waits for the cluster, and makes sure that it has the protocol's indices.
async fn start(service: &Service) -> Result<(), DaemonError> {
    let options = &service.options;
    if options.connectors.is_empty() {
        tracing::warn!("no connector is selected: there is nothing to do");
    }
    // Half a century is as good as for ever, and still a time that can be reckoned with.
    let timeout = options.start_timeout.unwrap_or(Duration::from_secs(1_500_000_000));
    let told = |error: &ClientError, pause: Duration| {
        tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "waiting for the cluster");
    };
    let server = service.client.wait_until_ready(timeout, told).await?;
    for warning in server.warnings() {
        tracing::warn!("{warning}");
    }
    let mut attempt = 1;
    while let Err(error) = service.client.ensure_protocol_indices().await {
        if attempt >= options.preflight_attempts {
            return Err(error.into());
        }
        let pause_ms = options.preflight_pause.as_millis() as u64;
        tracing::warn!(%error, attempt, pause_ms, "the protocol's indices are not there yet; trying again");
        tokio::time::sleep(options.preflight_pause).await;
        attempt += 1;
    }
    tracing::info!(version = server.version, worker = options.worker_name, "serving connectors");
    Ok(())
}

/// Observe, plan, act.
struct Loop {
    service: Arc<Service>,
    rules: PlanRules,
    memory: Memory,
    busy: Busy,
    connectors: Vec<Served>,
    jobs: Vec<OpenJob>,
    /// Jobs of connectors we do not know that have made us look at the connectors.
    strangers: HashSet<SyncJobId>,
    tasks: TaskScope<(TaskKey, Done)>,
    /// The tasks' names, to know which one panicked.
    names: HashMap<String, TaskKey>,
    budget: ErrorBudget,
    status: DaemonStatus,
    reloads: watch::Receiver<Option<Other>>,
    swept: bool,
    /// The look that is under way.
    look: Option<Look>,
    next_jobs: Instant,
    next_connectors: Instant,
}

impl Loop {
    fn new(service: Arc<Service>, status: DaemonStatus, reloads: watch::Receiver<Option<Other>>) -> Self {
        let options = &service.options;
        Self {
            rules: PlanRules::of(options),
            budget: ErrorBudget::new(options.max_errors, options.max_errors_span),
            memory: Memory::default(),
            busy: Busy::default(),
            connectors: Vec::new(),
            jobs: Vec::new(),
            strangers: HashSet::new(),
            tasks: TaskScope::new(),
            names: HashMap::new(),
            status,
            reloads,
            swept: false,
            look: None,
            next_jobs: Instant::now(),
            next_connectors: Instant::now(),
            service,
        }
    }

    async fn run(&mut self) -> Result<(), DaemonError> {
        let shutdown = self.service.shutdown.clone();
        loop {
            self.status.turned(self.service.now());
            tokio::select! {
                biased;
                () = shutdown.stopping() => return Ok(()),
                Ok(()) = self.reloads.changed() => self.reload(),
                Some(seen) = under_way(&mut self.look) => match seen {
                    Ok(seen) => self.saw(seen).await,
                    Err(error) => self.bear(error)?,
                },
                Some(ended) = self.tasks.next(), if !self.tasks.is_empty() => self.absorb(ended),
                () = sleep_until(self.next_jobs), if self.look.is_none() => self.begin_look(),
            }
            while let Some(ended) = self.tasks.try_next() {
                self.absorb(ended);
            }
            self.act();
        }
    }

    /// A look failed. A cluster that is away is waited for; one that refuses is borne for a while.
    fn bear(&mut self, error: ClientError) -> Result<(), DaemonError> {
        self.status.troubled(error.to_string());
        self.service.options.metrics.count(Metric::PollFailures, &[], 1);
        self.next_connectors = Instant::now();
        self.next_jobs = Instant::now() + self.service.options.poll_interval;
        if error.is_retryable() {
            tracing::warn!(%error, "the cluster is away; looking again");
            return Ok(());
        }
        tracing::error!(%error, "the cluster refuses to be looked at");
        if self.budget.is_spent_by_failure(Instant::now()) { Err(error.into()) } else { Ok(()) }
    }

    fn act(&mut self) {
        let view = View {
            connectors: &self.connectors,
            jobs: &self.jobs,
            memory: &self.memory,
            busy: &self.busy,
            rules: &self.rules,
        };
        for action in plan(self.service.now(), &view) {
            self.begin(action);
        }
    }

    fn spawn(&mut self, key: TaskKey, name: String, task: impl Future<Output = Done> + Send + 'static) {
        self.busy.tasks.insert(key.clone());
        self.names.insert(name.clone(), key.clone());
        self.tasks.spawn(name, Box::pin(async move { (key, task.await) }));
    }

    fn absorb(&mut self, ended: Result<(TaskKey, Done), tributary_tasks::TaskFailure>) {
        let now = self.service.now();
        let (key, done) = match ended {
            Ok(ended) => ended,
            Err(failure) => {
                tracing::error!("{failure}; please report this defect");
                let (tributary_tasks::TaskFailure::Panicked { name, .. }
                | tributary_tasks::TaskFailure::Aborted { name }) = &failure;
                let Some(key) = self.names.get(name).cloned() else { return };
                (key, Done::PutOff(PUT_OFF))
            }
        };
        self.names.remove(&key.to_string());
        self.busy.tasks.remove(&key);
        if let TaskKey::Job(id) = &key {
            self.busy.running.retain(|(running, ..)| running != id);
            self.jobs.retain(|job| job.id != *id);
            self.status.ended(id);
            self.show_running();
        }
        match done {
            Done::Ran => self.next_jobs = Instant::now(),
            Done::PutOff(pause) => self.memory.hold(key, now + delta(pause)),
            Done::Kept(done) => self.remember(&key, &done),
            Done::Served(kind, slot) => {
                self.next_jobs = Instant::now();
                if let TaskKey::Slot(id, _) = &key
                    && let Some(seen) = self.memory.connector_mut(id)
                {
                    seen.serve(kind, slot);
                }
            }
            Done::ServedCustom(slot) => {
                self.next_jobs = Instant::now();
                if let TaskKey::Custom(id, schedule) = &key
                    && let Some(seen) = self.memory.connector_mut(id)
                {
                    seen.serve_custom(schedule, slot);
                }
            }
            Done::Nothing => {}
        }
    }

    fn remember(&mut self, key: &TaskKey, done: &UpkeepDone) {
        let now = self.service.now();
        if done.unfinished {
            self.memory.hold(key.clone(), now + delta(PUT_OFF));
        }
        let TaskKey::Upkeep(id) = key else { return };
        let Some(seen) = self.memory.connector_mut(id) else { return };
        if done.checked_in {
            seen.checked_in = Some(now);
        }
        if let Some((inputs, good, seq_no)) = done.checked {
            seen.checked = Some(Checked::then(seen.checked, now, inputs, good, seq_no));
        }
        seen.kept_up_to = seen.kept_up_to.max(done.kept_up_to);
    }

    /// Waits for the tasks: syncs suspend by themselves. What does not end in time, or when an immediate end is asked
    /// for, is dropped.
    async fn stop(&mut self) {
        self.status.stopping();
        // An error of the loop must stop the syncs too.
        self.service.shutdown.stop();
        let end = Instant::now() + self.service.options.shutdown_grace;
        let shutdown = self.service.shutdown.clone();
        if !self.busy.running.is_empty() {
            tracing::info!(syncs = self.busy.running.len(), "suspending running syncs");
        }
        while !self.busy.running.is_empty() {
            tokio::select! {
                biased;
                () = shutdown.stopping_now() => break,
                () = sleep_until(end) => break,
                ended = self.tasks.next() => match ended {
                    Some(ended) => self.absorb(ended),
                    None => break,
                },
            }
        }
        if !self.busy.running.is_empty() {
            let syncs = self.busy.running.len();
            tracing::warn!(
                syncs,
                "syncs were dropped; they go on where they were once their leases have run out"
            );
        }
        let _gone = tokio::time::timeout(Duration::from_millis(500), self.tasks.abort()).await;
        tracing::info!("stopped");
    }
}
