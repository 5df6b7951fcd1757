//! `tributary quickstart`: a searchable folder in one command.

mod folder;
mod setup;
mod tell;

use std::time::Duration;

use tributary_client::{Client, ClientOptions, Versioned};
use tributary_daemon::{Daemon, DaemonOptions, DaemonStatus, Selection};
use tributary_protocol::{SyncJob, SyncJobId, SyncStatus};
use tributary_tasks::{Shutdown, TaskScope};

use crate::args::QuickstartArgs;
use crate::embedded::Embedded;
use crate::error::{CliError, Result};
use crate::{job, output, progress, run, signals, target};

use folder::Folder;
use setup::Ready;

/// Pause between the daemon's looks: a person waits.
const POLL: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: QuickstartArgs) -> Result<()> {
    let folder = Folder::open(&args.path)?;
    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let node = Embedded::start(args.node.listen, &args.node.data, None).await?;
    output::note(format!("listening on {}", node.url()));
    let ended = serve(&args, &folder, &node, &shutdown).await;
    shutdown.stop();
    node.stop(&shutdown).await;
    ended
}

async fn serve(args: &QuickstartArgs, folder: &Folder, node: &Embedded, shutdown: &Shutdown) -> Result<()> {
    let reach = ClientOptions::new([node.url()]);
    let patient = target::client(reach.clone())?;
    let client = target::impatient(reach)?;
    let ready = tokio::select! {
        ready = setup::prepare(&client, folder, args) => ready?,
        () = shutdown.stopping() => return Ok(()),
    };
    output::note(format!(
        "syncing {} into index '{}' (connector '{}')",
        folder.path.display(),
        ready.index,
        ready.connector
    ));
    let daemon = Daemon::new(patient, tributary_connectors::registry(), options(args));
    let status = daemon.status();
    let mut running = TaskScope::new();
    running.spawn("daemon", {
        let shutdown = shutdown.clone();
        async move { run::supervise(daemon, &shutdown).await }
    });
    let ended = tokio::select! {
        ended = show(args, &client, &ready, node, &status) => ended,
        ended = ended(&mut running) => return ended,
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
fn options(args: &QuickstartArgs) -> DaemonOptions {
    let mut options = DaemonOptions::default();
    options.connectors = Selection::all();
    options.poll_interval = POLL;
    options.state_dir = args.node.data.join("state");
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
