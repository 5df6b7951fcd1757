//! `tributary job`: start, list, view and cancel sync jobs; see and retry what they left out.

mod letters;
mod logs;
mod show;
mod watch;

use tributary_client::{Client, JobFilter, Versioned};
use tributary_protocol::{Connector, ConnectorId, JobType, SyncJob, SyncJobId, SyncStatus, TriggerMethod};

use watch::until_ended;
pub(crate) use watch::until_ended_seen;

use crate::args::{JobCommand, JobTypeArg, TargetArgs};
use crate::error::{CliError, Result};
use crate::output::{self, Format};
use crate::target;

pub(crate) async fn run(command: JobCommand) -> Result<()> {
    match command {
        JobCommand::Start { connector, job_type, wait, target, output } => {
            start(&connector, job_type.into(), wait, &target, output.output).await
        }
        JobCommand::List { connector, status, size, target, output } => {
            let filter = filter(connector, status.as_deref(), size)?;
            list(&filter, &target, output.output).await
        }
        JobCommand::View { id, logs: true, follow, target, output, .. } => {
            logs::show(&id, follow, &target, output.output).await
        }
        JobCommand::View { id, watch, target, output, .. } => view(&id, watch, &target, output.output).await,
        JobCommand::DeadLetters { id, connector, from, size, target, output } => {
            let paging = letters::Paging { from, size };
            letters::list(id, connector, paging, &target, output.output).await
        }
        JobCommand::Retry { job, id, wait, target, output } => {
            letters::retry(&job, &id, wait, &target, output.output).await
        }
        JobCommand::Cancel { id, target } => cancel(&id, &target).await,
    }
}

impl From<JobTypeArg> for JobType {
    fn from(job_type: JobTypeArg) -> Self {
        match job_type {
            JobTypeArg::Full => Self::Full,
            JobTypeArg::Incremental => Self::Incremental,
            JobTypeArg::AccessControl => Self::AccessControl,
        }
    }
}

async fn start(id: &str, job_type: JobType, wait: bool, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let connector = target::connector(&client, id).await?;
    check_ability(&connector, job_type)?;
    let job = client.create_job(&connector.id, job_type, TriggerMethod::OnDemand).await?;
    if !wait {
        return match format {
            Format::Json => output::json(&serde_json::json!({ "id": job.as_str() })),
            Format::Text => output::line(format!("started job '{job}'")),
        };
    }
    let ended = until_ended(&client, &job).await?;
    report(&client, &ended, format).await?;
    judge(&ended)
}

/// Refuses a job that nobody would run: a Python service leaves it pending for ever, and our daemon lets it fail.
fn check_ability(connector: &Versioned<ConnectorId, Connector>, job_type: JobType) -> Result<()> {
    let registry = tributary_connectors::registry();
    let service_type = connector.doc.service_type.as_deref().unwrap_or_default();
    let source = registry.get(service_type).map(|kind| kind.features());
    let asked = connector.doc.features.as_ref();
    let (what, able, on) = match job_type {
        JobType::Full => return Ok(()),
        JobType::Incremental => (
            "incremental syncs",
            source.is_none_or(|source| source.incremental_sync),
            asked.is_none_or(|features| features.incremental_sync()),
        ),
        JobType::AccessControl => (
            "access-control syncs",
            source.is_none_or(|source| source.document_level_security),
            asked.is_none_or(|features| features.document_level_security()),
        ),
    };
    if able && on {
        return Ok(());
    }
    let error = CliError::user(format!("connector '{}' does not support {what}", connector.id));
    Err(error.hint(if able {
        format!("its document has that feature switched off: see `tributary connector show {}`", connector.id)
    } else {
        format!("its source does not: see `tributary source describe {service_type}`; full syncs work")
    }))
}

/// A job that did not complete makes the command fail.
pub(crate) fn judge(job: &Versioned<SyncJobId, SyncJob>) -> Result<()> {
    if job.doc.status == SyncStatus::Completed {
        return Ok(());
    }
    let why = job.doc.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
    Err(CliError::user(format!("job '{}' ended with status {}{why}", job.id, job.doc.status)))
}

fn filter(connector: Option<String>, status: Option<&str>, size: usize) -> Result<JobFilter> {
    let statuses = match status {
        None => Vec::new(),
        Some(text) => vec![text.parse().map_err(|_| {
            let all: Vec<&str> = SyncStatus::ALL.iter().map(|status| status.as_str()).collect();
            CliError::user(format!("'{text}' is no status of a job"))
                .hint(format!("one of {}", all.join(", ")))
        })?],
    };
    if !(1..=10_000).contains(&size) {
        return Err(CliError::user(format!("--size is {size}")).hint("give a number from 1 to 10000"));
    }
    Ok(JobFilter {
        connector_id: connector.map(Into::into),
        statuses,
        size: Some(size),
        ..JobFilter::default()
    })
}

async fn list(filter: &JobFilter, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let jobs = client.jobs(filter).await?;
    if format == Format::Json {
        return output::json(&jobs.iter().map(show::document).collect());
    }
    let rows: Vec<Vec<String>> = jobs.iter().map(show::row).collect();
    output::line(output::table(&show::HEADER, &rows))
}

async fn view(id: &str, watch: bool, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let mut job = find(&client, id).await?;
    if watch && !job.doc.status.is_final() {
        job = until_ended(&client, &job.id).await?;
    }
    report(&client, &job, format).await
}

/// Prints a job with its dead letters.
async fn report(client: &Client, job: &Versioned<SyncJobId, SyncJob>, format: Format) -> Result<()> {
    let letters = letters::of_job(client, &job.id).await?;
    if format == Format::Json {
        let mut document = show::document(job);
        if let Some(letters) = &letters {
            document["dead_letters"] = letters::value(letters)?;
        }
        return output::json(&document);
    }
    show::print(job, format)?;
    letters.map_or(Ok(()), |letters| letters::show_some(&letters, &job.id))
}

async fn cancel(id: &str, args: &TargetArgs) -> Result<()> {
    let client = target::connect(args)?;
    let job = find(&client, id).await?;
    if job.doc.status.is_final() {
        return Err(CliError::user(format!("job '{id}' is over: its status is {}", job.doc.status)));
    }
    client.cancel_job(&job.id).await?;
    let status = find(&client, id).await?.doc.status;
    output::line(format!("job '{id}' is {status}"))
}

async fn find(client: &Client, id: &str) -> Result<Versioned<SyncJobId, SyncJob>> {
    client
        .job(&SyncJobId::from(id.to_owned()))
        .await?
        .ok_or_else(|| CliError::user(format!("there is no job '{id}'")).hint("see `tributary job list`"))
}
