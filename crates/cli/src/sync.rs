//! `tributary sync`: one sync in the foreground.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_daemon::{SyncOutcome, SyncRequest, sync_now};
use tributary_engine::{Control, Plan, Progress, Report};
use tributary_protocol::{ConnectorId, SyncStatus};
use tributary_tasks::Shutdown;

use crate::args::SyncArgs;
use crate::error::{CliError, Result, one_line};
use crate::output::{self, Format};
use crate::progress::{Meter, of_figures, of_sync};
use crate::target::Target;
use crate::{convert, signals, target};

/// Pause between two pictures of the progress.
const PAUSE: Duration = Duration::from_millis(200);
/// Documents listed of a plan, and of those that were left out.
const LISTED: usize = 20;

pub(crate) async fn run(args: SyncArgs) -> Result<()> {
    let reached = Target::read(&args.target)?;
    let connector = target::connector(&reached.client()?, &args.connector).await?;
    let options = convert::daemon_options(&reached.settings, reached.options())?;
    // The sync itself is as patient as the daemon's.
    let mut patient = reached.options().clone();
    patient.retry = convert::client_options(&reached.settings).retry;
    let client = target::client(patient)?;
    let request = SyncRequest {
        connector: ConnectorId::from(args.connector.clone()),
        job_type: args.job_type.into(),
        plan: args.plan,
        allow_deletes: args.allow_deletes,
    };

    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let (progress, control) = (Progress::new(), Control::new());
    let registry = tributary_connectors::registry();
    let work =
        Box::pin(sync_now(&client, &registry, &options, request, Arc::clone(&progress), control.clone()));
    let outcome = {
        let mut meter = Meter::new(format!("sync {}", connector.id));
        tokio::select! {
            ended = work => ended?,
            never = watch(&mut meter, &progress, &control, &shutdown) => return Err(never),
        }
    };
    show(&args, &outcome)?;
    judge(&outcome)
}

/// Shows the progress and hands signals on; returns only when the sync must be left behind.
async fn watch(meter: &mut Meter, progress: &Progress, control: &Control, shutdown: &Shutdown) -> CliError {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.stopping_now() => return CliError::user("stopped at once").hint("the next sync goes on"),
        }
        if shutdown.is_stopping() {
            control.suspend();
        }
        meter.show(of_sync(progress.phase(), &progress.snapshot()));
    }
}

fn show(args: &SyncArgs, outcome: &SyncOutcome) -> Result<()> {
    if args.output.output == Format::Json {
        return output::json(&document(outcome)?);
    }
    if let Some(plan) = &outcome.report.plan {
        show_plan(plan, &outcome.report)?;
    } else {
        output::line(format!("{}: {}", outcome.status, of_figures(&outcome.report.figures)))?;
    }
    for warning in &outcome.report.warnings {
        output::note(format!("warning: {}", one_line(warning)));
    }
    show_refusals(&outcome.report)
}

fn document(outcome: &SyncOutcome) -> Result<Value> {
    let mut document = json!({
        "job": outcome.job.as_ref().map(|job| job.as_str()),
        "status": outcome.status.as_str(),
        "error": outcome.error,
    });
    let report = serde_json::to_value(&outcome.report).map_err(CliError::ours)?;
    if let (Value::Object(document), Value::Object(report)) = (&mut document, report) {
        document.extend(report);
    }
    Ok(document)
}

fn show_plan(plan: &Plan, report: &Report) -> Result<()> {
    output::line(format!("planned: {}", of_figures(&report.figures)))?;
    for (word, ids) in [("create", &plan.created), ("update", &plan.updated), ("delete", &plan.deleted)] {
        for id in ids.iter().take(LISTED) {
            output::line(format!("  {word}  {id}"))?;
        }
        if ids.len() > LISTED {
            output::line(format!("  {word}  … and more; --output json lists {}", ids.len()))?;
        }
    }
    Ok(())
}

fn show_refusals(report: &Report) -> Result<()> {
    let all: u64 = report.refusals.counts.values().sum();
    if all == 0 {
        return Ok(());
    }
    output::line(format!("left out: {all}"))?;
    let rows: Vec<Vec<String>> = report
        .refusals
        .samples
        .iter()
        .take(LISTED)
        .map(|refusal| vec![refusal.id.clone(), refusal.kind.clone(), one_line(&refusal.reason)])
        .collect();
    output::line(output::table(&["DOCUMENT", "KIND", "REASON"], &rows))
}

fn judge(outcome: &SyncOutcome) -> Result<()> {
    match (outcome.status, &outcome.error) {
        (SyncStatus::Completed, _) => Ok(()),
        (SyncStatus::Suspended, _) => {
            Err(CliError::user("stopped before its end").hint("the same command goes on"))
        }
        (status, Some(error)) => Err(CliError::user(format!("the sync ended with status {status}: {error}"))),
        (status, None) => Err(CliError::user(format!("the sync ended with status {status}"))),
    }
}
