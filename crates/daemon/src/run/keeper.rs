use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;
use tributary_engine::{Control, Ended, Mode, Progress, Report, Request, Resume};
use tributary_protocol::{IndexName, SyncStatus};

use super::claim::{ClaimedJob, Lost, WriteError};
use super::fence::Fence;
use super::finish::too_slow;
use super::outcome::{LOG, Outcome, progress_change, stored_cursor};
use super::prepare::{Preparation, is_partial};
use super::watched::{Limits, Watched};
use crate::apart::Apart;
use crate::error::DaemonError;
use crate::lease::METADATA;
use crate::metrics::Metric;
use crate::options::SyncOptions;
use crate::service::Service;

/// Pause between two looks at a running job: how soon a cancellation is heard of. With the grace of a sync that hangs it
/// stays below the two seconds within which a cancellation is to take effect.
const LOOK: Duration = Duration::from_millis(500);
/// Longest pause between two reports of progress.
const REPORT: Duration = Duration::from_secs(10);
/// What a sync that was asked to stop gets beside its own grace before it is ended from outside.
const SPARE: Duration = Duration::from_millis(500);

/// Time for counting the index's documents after a cancellation, which is to be over within two seconds: the index may be
/// too busy to answer.
const COUNT_OF_CANCELED: Duration = Duration::from_millis(300);

/// How a running sync is watched and stopped.
#[derive(Clone, Debug)]
pub(crate) struct RunControl {
    pub(crate) progress: Arc<Progress>,
    pub(crate) control: Control,
}

/// How a sync ran.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: SyncStatus,
    pub(crate) error: Option<String>,
    pub(crate) report: Report,
    /// Documents in the index afterwards, where they could be counted.
    pub(crate) total: Option<u64>,
}

/// What the figures of a job that was taken over leave out, told so that nobody takes them for all that was written.
const AFTER_TAKEOVER: &str = "an earlier worker of this job went silent: what it wrote after its last checkpoint is in the index, but may be \
                              missing from the figures";

/// What the task of a sync ends with.
#[derive(Debug)]
enum Work {
    Ended {
        ended: Box<Ended>,
        index: IndexName,
        /// Whether the source has incremental syncs, for which cursors are kept.
        incremental: bool,
        warnings: Vec<String>,
    },
    /// The sync could not begin.
    Refused(String),
    /// It was asked to stop before it began.
    Stopped(Request),
}

/// Why the sync is not waited for any more.
#[derive(Debug)]
enum Stop {
    Worked(Work),
    Panicked(String),
    /// It was asked to stop, and did not in time.
    Overdue(Request),
    Lost(Lost),
    ConnectorGone,
    /// The process ends at once.
    Abandoned,
}

/// Runs a sync that is prepared here, without anything that belongs to a job.
pub(crate) async fn dry_run(preparation: Preparation, run: &RunControl) -> Result<Ended, String> {
    let prepared = preparation.prepare().await?;
    let super::prepare::Prepared { source, context, spec, index, .. } = prepared;
    Ok(Box::pin(tributary_engine::sync(&index, &source, context, spec, &run.progress, &run.control)).await)
}

async fn work(preparation: Preparation, run: RunControl) -> Work {
    let prepared = tokio::select! {
        biased;
        request = asked(&run.control) => return Work::Stopped(request),
        prepared = preparation.prepare() => prepared,
    };
    match prepared {
        Err(text) => Work::Refused(text),
        Ok(prepared) => {
            let super::prepare::Prepared { source, context, spec, index, warnings } = prepared;
            let incremental = source.incremental().is_some();
            let sync = tributary_engine::sync(&index, &source, context, spec, &run.progress, &run.control);
            let ended = Box::new(Box::pin(sync).await);
            Work::Ended { ended, index: index.name, incremental, warnings }
        }
    }
}

/// Returns once something was asked of the sync.
async fn asked(control: &Control) -> Request {
    loop {
        let request = control.request();
        if request != Request::Run {
            return request;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Service {
    /// Runs a claimed job to its end, keeps its lease meanwhile, and writes how it ended.
    ///
    /// The sync has a thread of its own: one that hangs or panics neither costs the lease nor escapes a cancellation.
    ///
    /// # Errors
    /// When the job was lost to somebody else.
    pub(crate) async fn run_job(self: &Arc<Self>, mut job: ClaimedJob, run: RunControl) -> Result<Ran, Lost> {
        let fence = Fence::until(job.held_until);
        self.enter(&job).await;
        let preparation = self.preparation(&job, fence.clone());
        let SyncOptions { time_limit: time, silence_limit: silence, .. } = self.options.sync;
        let mut watched = Watched::new(Limits { time, silence });
        let stop = match Apart::begin("sync", work(preparation, run.clone()).in_current_span()) {
            Ok(mut sync) => self.keep(&mut job, &run, &fence, &mut sync, &mut watched).await,
            Err(error) => {
                Stop::Worked(Work::Refused(format!("there can be no thread for the sync: {error}")))
            }
        };
        // Whatever is left of it must not write any more.
        fence.lose();
        let (id, kind) = (job.id.clone(), job.kind().as_str());
        let metrics = &self.options.metrics;
        watched.count(&run.progress, metrics);
        let ran = self.end(job, stop, &run, watched).await;
        self.options.job_logs.close(&id);
        match &ran {
            Ok(ran) => {
                let labels = [("job_type", kind), ("status", ran.status.as_str())];
                metrics.count(Metric::Finished, &labels, 1);
            }
            Err(_) => metrics.count(Metric::Lost, &[("job_type", kind)], 1),
        }
        ran
    }

    /// What comes before the work: the job's secrets become known, its log is kept, its begin is told.
    async fn enter(&self, job: &ClaimedJob) {
        let kind = job.doc.connector.service_type.as_deref().and_then(|kind| self.registry.get(kind));
        let declared = kind.map(|kind| kind.schema());
        for stored in [&job.doc.connector.configuration, &job.connector.configuration] {
            self.options.redactor.learn_configuration(stored, declared.as_ref());
        }
        let earlier = if job.lease.attempt > 1 { self.kept_log(job).await } else { Vec::new() };
        self.options.job_logs.open(&job.id, self.options.sync.job_log_lines, earlier);
        let (attempt, takeovers, kind) = (job.lease.attempt, job.lease.takeovers, job.kind().as_str());
        tracing::info!(attempt, takeovers, kind, "the sync begins");
        self.options.metrics.count(Metric::Started, &[("job_type", kind)], 1);
        self.options.metrics.count(Metric::TakenOver, &[], u64::from(takeovers > 0));
    }

    /// The log lines of earlier attempts.
    async fn kept_log(&self, job: &ClaimedJob) -> Vec<String> {
        let stored = match timeout(self.call_limit(), self.client.job(&job.id)).await {
            Ok(Ok(stored)) => stored.and_then(|stored| stored.doc.metadata),
            _ => None,
        };
        let lines = stored.map(|metadata| metadata[METADATA][LOG].clone());
        lines.and_then(|lines| serde_json::from_value(lines).ok()).unwrap_or_default()
    }

    fn preparation(self: &Arc<Self>, job: &ClaimedJob, fence: Fence) -> Preparation {
        let resume = job.lease.checkpoint().map(Resume::From);
        Preparation {
            service: Arc::clone(self),
            job_id: job.id.as_str().to_owned(),
            job: job.doc.clone(),
            connector: job.connector.clone(),
            resume: resume.or((job.lease.attempt > 1).then_some(Resume::Spool)),
            allow_deletes: job.lease.allow_deletes,
            retry: job.lease.retry.clone(),
            mode: Mode::Run,
            fence: Some(fence),
        }
    }

    /// Looks at the job, renews its lease and passes on what is asked of it, until the sync ends or must.
    async fn keep(
        self: &Arc<Self>,
        job: &mut ClaimedJob,
        run: &RunControl,
        fence: &Fence,
        sync: &mut Apart<Work>,
        watched: &mut Watched,
    ) -> Stop {
        let limits = self.options.sync.limits;
        let renewal = self.terms().renewal().min(REPORT);
        let (mut next_look, mut next_renewal) = (Instant::now() + LOOK, Instant::now() + renewal);
        let mut overdue: Option<Instant> = None;
        let mut told = false;
        loop {
            let next = next_look.min(next_renewal);
            tokio::select! {
                biased;
                ended = sync.ended() => return ended.map_or_else(Stop::Panicked, Stop::Worked),
                () = self.shutdown.stopping_now() => return Stop::Abandoned,
                () = self.shutdown.stopping(), if !told => {
                    told = true;
                    run.control.suspend();
                    overdue.get_or_insert(Instant::now() + self.options.shutdown_grace.mul_f32(0.9));
                }
                () = sleep_until(overdue.unwrap_or(next)), if overdue.is_some() => {
                    return Stop::Overdue(run.control.request());
                }
                () = sleep_until(next) => {
                    let seen = if Instant::now() >= next_renewal {
                        next_renewal = Instant::now() + renewal;
                        self.renew(job, run, fence, watched).await
                    } else {
                        self.look(job).await
                    };
                    next_look = Instant::now() + LOOK;
                    watched.count(&run.progress, &self.options.metrics);
                    watched.tell(&run.progress, self.options.sync.progress_every);
                    if run.control.request() < Request::Cancel
                        && let Some(why) = watched.reaches_limit(&run.progress, Instant::now())
                    {
                        tracing::warn!("the sync is stopped: {why}");
                        run.control.cancel();
                    }
                    match seen {
                        Ok(true) => {}
                        Ok(false) => return Stop::ConnectorGone,
                        Err(WriteError::Lost(lost)) => return Stop::Lost(lost),
                        Err(WriteError::Client(error)) => {
                            tracing::warn!(%error, "the job could not be looked at; trying again");
                            next_renewal = next_renewal.min(next_look);
                        }
                    }
                    if job.status == SyncStatus::Canceling && run.control.request() < Request::Cancel {
                        tracing::info!("the job is to be cancelled");
                        run.control.cancel();
                    }
                }
            }
            let spare = match run.control.request() {
                Request::Run => continue,
                Request::Suspend => limits.suspend_grace + SPARE,
                Request::Cancel => limits.cancel_grace + SPARE,
            };
            let end = Instant::now() + spare;
            overdue = Some(overdue.map_or(end, |before| before.min(end)));
        }
    }

    /// Whether all is well; `Ok(false)`: the connector is gone.
    async fn look(&self, job: &mut ClaimedJob) -> Result<bool, WriteError> {
        in_time(self.call_limit(), job.look(&self.soon())).await.map(|_| true)
    }

    async fn renew(
        &self,
        job: &mut ClaimedJob,
        run: &RunControl,
        fence: &Fence,
        watched: &mut Watched,
    ) -> Result<bool, WriteError> {
        let renewed = self.try_renew(job, run, fence, watched).await;
        let outcome = match &renewed {
            Ok(_) => "ok",
            Err(WriteError::Lost(_)) => "lost",
            Err(WriteError::Client(_)) => "failed",
        };
        self.options.metrics.count(Metric::Renewals, &[("outcome", outcome)], 1);
        renewed
    }

    async fn try_renew(
        &self,
        job: &mut ClaimedJob,
        run: &RunControl,
        fence: &Fence,
        watched: &mut Watched,
    ) -> Result<bool, WriteError> {
        let (begun, now) = (Instant::now(), self.now());
        let (figures, expires_at) = (run.progress.snapshot(), self.terms().expiry(now));
        let mut seen = watched.log_seen;
        let log = self.options.job_logs.news(&job.id, &mut seen);
        let change = |_| progress_change(&figures, expires_at, log.as_deref(), now);
        let client = self.soon();
        let writing = job.write(&client, change);
        in_time(self.call_limit(), writing).await?;
        watched.log_seen = seen;
        job.lease.expires_at = Some(expires_at);
        fence.extend(begun + self.terms().held());
        tracing::debug!(indexed = figures.indexed(), deleted = figures.deleted, "renewed the job's lease");
        let looking = client.connector(job.connector_id());
        let connector = match timeout(self.call_limit(), looking).await {
            Ok(connector) => connector?,
            Err(_) => return Err(too_slow().into()),
        };
        // How it stands otherwise is for the next job.
        Ok(connector.is_some_and(|connector| !connector.doc.deleted))
    }

    async fn end(
        &self,
        job: ClaimedJob,
        stop: Stop,
        run: &RunControl,
        mut watched: Watched,
    ) -> Result<Ran, Lost> {
        let figures = run.progress.snapshot();
        let mut report = Report { figures, ..Report::default() };
        let written = match &stop {
            Stop::Worked(Work::Ended { index, .. }) => Some(index.clone()),
            Stop::ConnectorGone => None,
            // It did not come so far that an index was chosen: what searches find stands in the connector's.
            _ => job.doc.connector.index_name.clone().and_then(|name| IndexName::try_from(name).ok()),
        };
        let mut outcome = match stop {
            Stop::Lost(lost) => {
                self.after_loss(&job, lost).await;
                return Err(lost);
            }
            Stop::Abandoned => return Err(Lost::TakenOver),
            Stop::Worked(Work::Ended { ended, incremental, warnings, .. }) => {
                let mut outcome = ended_outcome(&ended, incremental);
                report = ended.report().clone();
                outcome.warnings.extend(warnings);
                outcome
            }
            Stop::Worked(Work::Refused(text)) => Outcome::failed(figures, &text),
            Stop::Panicked(text) => Outcome::failed(
                figures,
                &format!("the sync stopped unexpectedly: {text}; please report this defect"),
            ),
            Stop::ConnectorGone => Outcome::failed(figures, "the connector was deleted while its sync ran"),
            Stop::Worked(Work::Stopped(request)) | Stop::Overdue(request) => {
                let canceled = request >= Request::Cancel;
                let status = if canceled { SyncStatus::Canceled } else { SyncStatus::Suspended };
                // Where it stopped last holds still; a later point may be in its spool.
                Outcome { checkpoint: job.lease.checkpoint.clone(), ..Outcome::of(status, figures) }
            }
        };
        if outcome.status == SyncStatus::Canceled
            && job.status != SyncStatus::Canceling
            && let Some(text) = watched.over()
        {
            outcome.status = SyncStatus::Error;
            outcome.error = Some(text);
        }
        if let Some(index) = &written
            && outcome.status.is_final()
            && !self.shutdown.is_stopping()
        {
            let limit = match outcome.status {
                SyncStatus::Canceled => COUNT_OF_CANCELED,
                _ => self.call_limit(),
            };
            outcome.total = self.count(job.connector_id(), index, limit).await;
        }
        if is_partial(&job.doc) {
            outcome.cursor = None;
        }
        if job.lease.takeovers > 0 {
            outcome.warnings.push(AFTER_TAKEOVER.to_owned());
        }
        outcome.redact(&self.options.redactor);
        report.refusals.clone_from(&outcome.refusals);
        report.warnings.clone_from(&outcome.warnings);
        let (error, total) = (outcome.error.clone(), outcome.total);
        tell(&outcome);
        outcome.warnings.truncate(20);
        self.options.metrics.took(Metric::JobSeconds, &[("job_type", job.kind().as_str())], watched.took());
        outcome.log = self.options.job_logs.news(&job.id, &mut watched.log_seen);
        let status = self.finish(job, outcome).await?;
        Ok(Ran { status, error, report, total })
    }

    /// Releases the lock of a job that somebody ended without releasing it. A job that was taken over has it still.
    async fn after_loss(&self, job: &ClaimedJob, lost: Lost) {
        tracing::warn!(?lost, "the job is not ours any more: its sync was stopped at once");
        let outcome = match lost {
            Lost::TakenOver => return,
            Lost::Gone => Outcome::failed(Default::default(), "the sync job was deleted while it ran"),
            Lost::Ended(SyncStatus::Error) => {
                Outcome::failed(Default::default(), "the sync job was ended by somebody else while it ran")
            }
            Lost::Ended(status) => Outcome::of(status, Default::default()),
        };
        let locked = match self.client.connector(job.connector_id()).await {
            Ok(connector) => connector.is_some_and(|found| crate::memory::is_locked(&found.doc, job.lock())),
            Err(_) => false,
        };
        if locked && outcome.status != SyncStatus::Pending {
            let end = Instant::now() + self.options.lease;
            self.end_connector(job.connector_id(), job.kind(), outcome.status, &outcome, end).await;
        }
    }
}

async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, WriteError>>,
) -> Result<T, WriteError> {
    match timeout(limit, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(WriteError::Client(too_slow())),
    }
}

fn ended_outcome(ended: &Ended, incremental: bool) -> Outcome {
    let report = ended.report();
    let mut outcome = match ended {
        Ended::Completed(_) => Outcome::of(SyncStatus::Completed, report.figures),
        Ended::Canceled(_) => Outcome::of(SyncStatus::Canceled, report.figures),
        Ended::Suspended { checkpoint, .. } => {
            let checkpoint =
                checkpoint.as_ref().and_then(|checkpoint| serde_json::to_string(checkpoint).ok());
            Outcome { checkpoint, ..Outcome::of(SyncStatus::Suspended, report.figures) }
        }
        Ended::Failed { error, .. } => Outcome::failed(report.figures, &error.report()),
    };
    outcome.cursor = report.cursor.as_ref().filter(|_| incremental).map(|cursor| stored_cursor(&cursor.0));
    outcome.refusals.clone_from(&report.refusals);
    outcome.warnings.clone_from(&report.warnings);
    outcome.letters = report.letters;
    outcome
}

fn tell(outcome: &Outcome) {
    let figures = &outcome.figures;
    let status = outcome.status.as_str();
    let (created, updated, deleted, unchanged) =
        (figures.created, figures.updated, figures.deleted, figures.unchanged);
    for warning in &outcome.warnings {
        tracing::warn!("{warning}");
    }
    match &outcome.error {
        None => tracing::info!(status, created, updated, deleted, unchanged, "the sync ended"),
        Some(error) => {
            tracing::error!(status, created, updated, deleted, unchanged, "the sync failed: {error}");
        }
    }
}

impl From<Lost> for DaemonError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::TakenOver => Self::internal("the job was lost to another worker while its sync ran"),
            Lost::Ended(status) => Self::mendable(format!(
                "somebody else ended the job ({}) while its sync ran",
                status.as_str()
            )),
            Lost::Gone => Self::mendable("the job was deleted while its sync ran"),
        }
    }
}
