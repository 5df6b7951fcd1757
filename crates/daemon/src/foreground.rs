use std::sync::Arc;

use tracing::Instrument as _;
use tributary_client::{Client, Versioned};
use tributary_engine::{Control, Ended, Mode, Progress, Report};
use tributary_protocol::{
    Connector, ConnectorId, ConnectorStatus, JobType, SyncJob, SyncJobId, SyncStatus, TriggerMethod, ops,
};
use tributary_sdk::Registry;
use tributary_tasks::Shutdown;

use crate::act::register;
use crate::error::DaemonError;
use crate::lease::{Lease, Token};
use crate::observe::OpenJob;
use crate::options::{DaemonOptions, SelectedConnector};
use crate::run::{Claim, Preparation, Ran, RunControl, dry_run};
use crate::service::Service;

/// What [`sync_now`] is to do.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The connector.
    pub connector: ConnectorId,
    /// What is synced.
    pub job_type: JobType,
    /// Only tell what would be done: no job is created, nothing is written.
    pub plan: bool,
    /// Let this sync delete whatever it finds gone.
    pub allow_deletes: bool,
}

/// How [`sync_now`] ended.
#[derive(Clone, Debug)]
pub struct SyncOutcome {
    /// The job; `None` for a plan.
    pub job: Option<SyncJobId>,
    /// How it ended.
    pub status: SyncStatus,
    /// Why it failed.
    pub error: Option<String>,
    /// What it did, or would do.
    pub report: Report,
    /// Documents in the index afterwards, where they could be counted.
    pub total: Option<u64>,
}

/// Runs one sync of a connector in the foreground: an open job of the kind where one waits, else a new one. It runs with the
/// code of the daemon, under the same lease and locks, so that a daemon beside it does no harm.
///
/// `progress` tells how far it is; `control` stops it: cancelled, or suspended for a daemon to go on with.
///
/// # Errors
/// What kept the sync from running. A sync that ran and failed is an outcome.
pub async fn sync_now(
    client: &Client,
    registry: &Registry,
    options: &DaemonOptions,
    request: SyncRequest,
    progress: Arc<Progress>,
    control: Control,
) -> Result<SyncOutcome, DaemonError> {
    let mut options = options.clone();
    // The one asked for is served, whatever else is.
    if options.connectors.listed(&request.connector).is_none() {
        options.connectors.ids.push(SelectedConnector::new(request.connector.clone()));
    }
    let service = Arc::new(Service::new(client.clone(), registry.clone(), options, Shutdown::new()));
    let run = RunControl { progress, control };
    let span =
        tracing::info_span!("sync", connector_id = %request.connector, kind = request.job_type.as_str());
    if request.plan {
        Box::pin(plan(&service, &request, run)).instrument(span).await
    } else {
        Box::pin(sync(&service, &request, run)).instrument(span).await
    }
}

async fn plan(
    service: &Arc<Service>,
    request: &SyncRequest,
    run: RunControl,
) -> Result<SyncOutcome, DaemonError> {
    let connector = find(service, &request.connector).await?;
    let source = job_source(&connector, request.job_type, service)?;
    let job: SyncJob =
        serde_json::from_value(source).map_err(|error| DaemonError::internal(error.to_string()))?;
    let preparation = Preparation {
        service: Arc::clone(service),
        job_id: format!("plan-{}", Token::random().as_str()),
        job,
        connector: connector.doc,
        resume: None,
        allow_deletes: request.allow_deletes,
        retry: None,
        mode: Mode::Plan,
        fence: None,
    };
    let redactor = &service.options.redactor;
    redactor.learn_configuration(&preparation.job.connector.configuration, None);
    let ended = dry_run(preparation, &run).await;
    let ended = ended.map_err(|error| DaemonError::mendable(redactor.text(&error)))?;
    let mut report = ended.report().clone();
    for refusal in &mut report.refusals.samples {
        refusal.reason = redactor.text(&refusal.reason).into_owned();
    }
    let (status, error) = match &ended {
        Ended::Completed(_) => (SyncStatus::Completed, None),
        Ended::Suspended { .. } | Ended::Canceled(_) => (SyncStatus::Canceled, None),
        Ended::Failed { error, .. } => (SyncStatus::Error, Some(redactor.text(&error.report()).into_owned())),
    };
    Ok(SyncOutcome { job: None, status, error, report, total: None })
}

async fn sync(
    service: &Arc<Service>,
    request: &SyncRequest,
    run: RunControl,
) -> Result<SyncOutcome, DaemonError> {
    register(service, &request.connector).await?;
    let connector = find(service, &request.connector).await?;
    if matches!(connector.doc.status, ConnectorStatus::Created | ConnectorStatus::NeedsConfiguration) {
        let id = &request.connector;
        return Err(DaemonError::mendable(format!("connector {id} is not configured yet"))
            .with_hint(format!("set its configuration: tributary connector configure {id}")));
    }
    let claim = match waiting_job(service, request).await? {
        Some(job) => service.claim(job, false).await?,
        None => new_job(service, &connector, request).await?,
    };
    let claimed = match claim {
        Claim::Taken(claimed) => claimed,
        Claim::Locked | Claim::Missed => return Err(locked(&request.connector)),
    };
    let id = claimed.id.clone();
    let span = tracing::info_span!("job", job_id = %id);
    let Ran { status, error, report, total } =
        Box::pin(service.run_job(*claimed, run)).instrument(span).await?;
    Ok(SyncOutcome { job: Some(id), status, error, report, total })
}

async fn find(service: &Service, id: &ConnectorId) -> Result<Versioned<ConnectorId, Connector>, DaemonError> {
    let found = service.client.connector(id).await?.filter(|connector| !connector.doc.deleted);
    found.ok_or_else(|| {
        DaemonError::mendable(format!("there is no connector '{id}'"))
            .with_hint("see which there are: tributary connector list")
    })
}

fn locked(id: &ConnectorId) -> DaemonError {
    DaemonError::mendable(format!("a sync of connector {id} is running already"))
        .with_hint("wait for its end, or cancel its job: tributary job cancel")
}

/// A job of this kind that waits to be run. Where a daemon runs too, either may be first.
async fn waiting_job(service: &Service, request: &SyncRequest) -> Result<Option<OpenJob>, DaemonError> {
    let jobs = service.observer.jobs().await?;
    let ours: Vec<OpenJob> = jobs.into_iter().filter(|job| *job.connector() == request.connector).collect();
    let lock = crate::observe::Lock::of(request.job_type);
    if ours.iter().any(|job| job.doc.status.is_running() && job.lock() == lock && is_alive(service, job)) {
        return Err(locked(&request.connector));
    }
    let waits = |job: &OpenJob| job.doc.job_type == request.job_type && !job.doc.status.is_running();
    let waiting = ours.into_iter().find(waits);
    Ok(waiting.map(|mut job| {
        job.lease.allow_deletes |= request.allow_deletes;
        job
    }))
}

fn is_alive(service: &Service, job: &OpenJob) -> bool {
    let now = service.now();
    !job.holder().is_dead(now, now, service.terms(), service.options.idle_limit)
}

async fn new_job(
    service: &Service,
    connector: &Versioned<ConnectorId, Connector>,
    request: &SyncRequest,
) -> Result<Claim, DaemonError> {
    let source = job_source(connector, request.job_type, service)?;
    let id = SyncJobId::from(Token::random().as_str().to_owned());
    let asked = Lease { allow_deletes: request.allow_deletes, ..Lease::default() };
    Ok(service.claim_new(&request.connector, id, &source, &asked).await?)
}

/// A new job of the connector, as the protocol has it.
fn job_source(
    connector: &Versioned<ConnectorId, Connector>,
    kind: JobType,
    service: &Service,
) -> Result<serde_json::Value, DaemonError> {
    let stored =
        serde_json::to_value(&connector.doc).map_err(|error| DaemonError::internal(error.to_string()))?;
    ops::sync_job::create(&connector.id, &stored, kind, TriggerMethod::OnDemand, service.now())
        .map_err(|error| DaemonError::mendable(error.to_string()))
}
