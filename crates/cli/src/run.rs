//! `tributary run`: the daemon, with the embedded node where that is wanted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::Signal;
use tributary_daemon::{Daemon, DaemonOptions, JobLogs, Metrics, Redactor};
use tributary_sdk::Registry;
use tributary_settings::Settings;
use tributary_tasks::Shutdown;

use crate::args::RunArgs;
use crate::check::{STATE_MEND, is_writable};
use crate::embedded::Embedded;
use crate::error::{CliError, Result};
use crate::logging::ServiceLog;
use crate::monitoring::Told;
use crate::reload::Reloader;
use crate::secrets;
use crate::service_manager::ServiceManager;
use crate::traces::Traces;
use crate::{convert, logging, monitoring, output, reload, signals, target};

/// How long a daemon may take to end after it was asked to stop at once.
const LAST_GRACE: Duration = Duration::from_secs(3);

/// What all parts of a running daemon share, whatever the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    pub(crate) metrics: Metrics,
    pub(crate) redactor: Redactor,
    pub(crate) job_logs: JobLogs,
}

impl Shared {
    fn new() -> Self {
        let redactor = secrets::redactor();
        Self { metrics: Metrics::default(), job_logs: JobLogs::new(redactor.clone()), redactor }
    }

    /// Hides the configuration's secrets in whatever is logged.
    pub(crate) fn learn(&self, settings: &Settings) {
        let secrets = convert::secrets(settings);
        self.redactor.learn(secrets.iter().map(String::as_str));
    }
}

pub(crate) async fn run(args: RunArgs, log: Option<&str>) -> Result<()> {
    let begun = Instant::now();
    let read = {
        let (config, overrides) = (args.node.config.clone(), overrides(&args));
        move || target::settings(config.as_deref(), &overrides)
    };
    let settings = read()?;
    let shared = Shared::new();
    shared.learn(&settings);
    let own = &settings.tributary;
    let worker = own.worker_name.clone().unwrap_or_else(|| DaemonOptions::default().worker_name);
    let (traces, spans) = match own.otlp.clone() {
        Some(otlp) => {
            let (traces, spans) = Traces::start(otlp, worker.clone(), &shared.redactor).await?;
            (Some(traces), Some(spans))
        }
        None => (None, None),
    };
    let client_level = settings.elasticsearch.log_level;
    let log =
        logging::for_service(log, settings.log, client_level, &shared.redactor, &shared.job_logs, spans)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let state = &settings.tributary.state_dir;
    if !is_writable(state) {
        let message = format!("the state folder '{}' cannot be written", state.display());
        return Err(CliError::user(message).hint(STATE_MEND));
    }
    let hangups = signals::hangups()?;
    let beginning = Beginning { settings, worker, read: Box::new(read), shared, log, begun };
    let ended = Box::pin(begin(beginning, hangups)).await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    ended
}

/// Everything that was made ready before anything runs.
struct Beginning {
    settings: Settings,
    /// The name under which this process claims jobs and sends spans.
    worker: String,
    read: Box<dyn Fn() -> Result<Settings> + Send + Sync>,
    shared: Shared,
    log: ServiceLog,
    begun: Instant,
}

async fn begin(beginning: Beginning, hangups: Signal) -> Result<()> {
    let settings = &beginning.settings;
    let registry = tributary_connectors::registry();
    warn_of_unknown_types(settings, &registry);
    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let manager = Arc::new(ServiceManager::from_env());
    let node = if settings.embedded() { Some(start_node(settings).await?) } else { None };
    let _node_reloads =
        node.as_ref().map(|node| node.reload_on_hangup(|told| tracing::info!("{told}"))).transpose()?;
    let ended = Box::pin(serve(beginning, node.as_ref(), registry, &shutdown, &manager, hangups)).await;
    manager.stopping();
    if let Some(node) = node {
        node.stop(&shutdown).await;
    }
    ended
}

fn overrides(args: &RunArgs) -> Vec<(&'static str, String)> {
    let mut overrides = args.node.overrides();
    if args.embedded {
        overrides.push(("tributary.node.enabled", "true".to_owned()));
    }
    overrides
}

fn warn_of_unknown_types(settings: &Settings, registry: &Registry) {
    for service_type in convert::unknown_types(settings, registry) {
        let known = registry.service_types().join(", ");
        tracing::warn!(
            service_type,
            known,
            "a source of this type is not built in; its connectors are not synced"
        );
    }
    for service_type in convert::unknown_limits(settings, registry) {
        let known = registry.service_types().join(", ");
        tracing::warn!(
            service_type,
            known,
            "tributary.max_concurrent_syncs_by_type has a limit for a type that is not built in; it bounds nothing"
        );
    }
}

async fn start_node(settings: &Settings) -> Result<Embedded> {
    let node = Embedded::start(settings, None).await?;
    output::note(format!("listening on {}", node.url()));
    Ok(node)
}

async fn serve(
    beginning: Beginning,
    node: Option<&Embedded>,
    registry: Registry,
    shutdown: &Shutdown,
    manager: &Arc<ServiceManager>,
    hangups: Signal,
) -> Result<()> {
    let Beginning { settings, worker, read, shared, log, begun } = beginning;
    let node = node.filter(|_| !settings.elasticsearch.host_configured);
    let (client, mut options) = reload::prepare(&settings, &shared, node)?;
    options.worker_name = worker;
    let poll = options.poll_interval;
    let daemon = Daemon::new(client, registry, options);
    let told = Told { metrics: shared.metrics.clone(), status: daemon.status(), poll, begun };
    let _monitoring = match settings.tributary.monitoring {
        Some(listen) => {
            let (scope, address) = monitoring::serve(listen, told).await?;
            tracing::info!("metrics and health at http://{address}/metrics, /healthz and /readyz");
            Some(scope)
        }
        None => None,
    };
    let manager = Arc::clone(manager);
    manager.ready();
    let _watched = manager.watched();
    let handle = daemon.handle();
    let reloader = Reloader { settings, read, shared, log, handle, manager, node };
    tokio::select! {
        ended = supervise(daemon, shutdown) => ended,
        never = reloader.run(hangups) => Err(never),
    }
}

/// Runs the daemon to its end; one that does not end when it must is left behind.
pub(crate) async fn supervise(daemon: Daemon, shutdown: &Shutdown) -> Result<()> {
    tokio::select! {
        ended = daemon.run(shutdown.clone()) => Ok(ended?),
        () = async {
            shutdown.stopping_now().await;
            tokio::time::sleep(LAST_GRACE).await;
        } => Err(CliError::ours("the daemon did not stop in time")),
    }
}
