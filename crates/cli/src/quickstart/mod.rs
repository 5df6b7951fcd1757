//! `tributary quickstart`: a searchable folder in one command.

mod folder;
mod setup;
mod tell;

use std::time::Duration;

use tributary_client::{Client, ClientOptions, Versioned};
use tributary_daemon::{Daemon, DaemonOptions, DaemonStatus, JobRetention, Selection};
use tributary_protocol::{SyncJob, SyncJobId, SyncStatus};
use tributary_settings::Settings;
use tributary_tasks::{Shutdown, TaskScope};

use crate::args::QuickstartArgs;
use crate::embedded::Embedded;
use crate::error::{CliError, Result};
use crate::secrets;
use crate::{job, output, progress, run, signals, target};

use folder::Folder;
use setup::Ready;

/// Pause between the daemon's looks: a person waits.
const POLL: Duration = Duration::from_secs(1);
/// A job is made every 30 seconds, and hardly any of them does something.
const RETENTION: JobRetention = JobRetention { age: Some(Duration::from_secs(3600)), count: 100 };

pub(crate) async fn run(args: QuickstartArgs) -> Result<()> {
    let folder = Folder::open(&args.path)?;
    let settings = args.node.settings()?;
    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let node = Embedded::start(&settings, None).await?;
    output::note(format!("listening on {}", node.url()));
    let start = Start { args: &args, settings: &settings, folder: &folder };
    let ended = serve(&start, &node, &shutdown).await;
    shutdown.stop();
    node.stop(&shutdown).await;
    ended
}

/// What a quickstart begins with.
#[derive(Clone, Copy, Debug)]
struct Start<'a> {
    args: &'a QuickstartArgs,
    settings: &'a Settings,
    folder: &'a Folder,
}

async fn serve(start: &Start<'_>, node: &Embedded, shutdown: &Shutdown) -> Result<()> {
    let mut reach = ClientOptions::new([node.url()]);
    node.reach(&mut reach);
    let patient = target::client(reach.clone())?;
    let client = target::impatient(reach)?;
    let ready = tokio::select! {
        ready = setup::prepare(&client, start) => ready?,
        () = shutdown.stopping() => return Ok(()),
    };
    output::note(format!(
        "syncing {} into index '{}' (connector '{}')",
        start.folder.path.display(),
        ready.index,
        ready.connector
    ));
    let daemon = Daemon::new(patient, tributary_connectors::registry(), options(start.settings));
    let status = daemon.status();
    let mut running = TaskScope::new();
    running.spawn("daemon", {
        let shutdown = shutdown.clone();
        async move { run::supervise(daemon, &shutdown).await }
    });
    let ended = tokio::select! {
        ended = show(start.args, &client, &ready, node, &status) => ended,
        ended = ended(&mut running) => return ended,
        full = node.out_of_space() => {
            // What was read cannot be kept: nothing is worth waiting for.
            shutdown.stop_now();
            Err(full)
        }
        () = shutdown.stopping() => Ok(()),
    };
    // The daemon stops and stores what it has read before the node goes.
    shutdown.stop();
    ended.and(self::ended(&mut running).await)
}

/// How the daemon ended.
async fn ended(running: &mut TaskScope<Result<()>>) -> Result<()> {
    match running.next().await {
        Some(Ok(ended)) => ended,
        Some(Err(failure)) => Err(CliError::ours(failure)),
        None => Ok(()),
    }
}

/// All connectors of the node are served: more may be added while it runs.
fn options(settings: &Settings) -> DaemonOptions {
    let mut options = DaemonOptions::default();
    options.redactor = secrets::redactor();
    options.connectors = Selection::all();
    options.poll_interval = POLL;
    options.state_dir.clone_from(&settings.tributary.state_dir);
    options.job_retention = RETENTION;
    options
}

/// The first sync, what to try, and then every later sync that changed something. Ends only with an error, or with
/// `--once`.
async fn show(
    args: &QuickstartArgs,
    client: &Client,
    ready: &Ready,
    node: &Embedded,
    status: &DaemonStatus,
) -> Result<()> {
    let seen = || {
        let running = status.running().into_iter().find(|running| running.job == ready.job)?;
        Some(progress::of_sync(running.progress.phase(), &running.progress.snapshot()))
    };
    let first = job::until_ended_seen(client, &ready.job, seen).await?;
    let completed = tell::first(client, &first, ready, node).await;
    if args.once {
        return completed;
    }
    if let Err(error) = completed {
        // The schedule tries again, and a person may mend the folder meanwhile.
        output::note(format!("error: {error}"));
    }
    output::note("syncing again every 30 seconds; Ctrl-C stops, the same command goes on");
    tell::later(client, ready, first).await
}

/// Whether a job ended as it should.
fn completed(job: &Versioned<SyncJobId, SyncJob>) -> bool {
    job.doc.status == SyncStatus::Completed
}
