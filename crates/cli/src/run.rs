//! `tributary run`: the daemon, with the embedded node where that is wanted.

use std::sync::Arc;
use std::time::Duration;

use tributary_daemon::Daemon;
use tributary_sdk::Registry;
use tributary_settings::Settings;
use tributary_tasks::Shutdown;

use crate::args::RunArgs;
use crate::embedded::Embedded;
use crate::error::{CliError, Result};
use crate::service_manager::ServiceManager;
use crate::{convert, logging, output, signals, target};

/// How long a daemon may take to end after it was asked to stop at once.
const LAST_GRACE: Duration = Duration::from_secs(3);

pub(crate) async fn run(args: RunArgs, log: Option<&str>) -> Result<()> {
    let settings = target::settings(args.config.as_deref(), &overrides(&args))?;
    logging::for_service(log, settings.log, settings.elasticsearch.log_level)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let registry = tributary_connectors::registry();
    warn_of_unknown_types(&settings, &registry);
    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let manager = Arc::new(ServiceManager::from_env());
    let node = if settings.embedded() { Some(start_node(&settings).await?) } else { None };
    let ended = serve(&settings, node.as_ref(), registry, &shutdown, &manager).await;
    manager.stopping();
    if let Some(node) = node {
        node.stop(&shutdown).await;
    }
    ended
}

fn overrides(args: &RunArgs) -> Vec<(&'static str, String)> {
    let mut overrides = Vec::new();
    if args.embedded {
        overrides.push(("tributary.node.enabled", "true".to_owned()));
    }
    if let Some(listen) = args.listen {
        overrides.push(("tributary.node.listen", listen.to_string()));
    }
    if let Some(data) = &args.data {
        overrides.push(("tributary.data_dir", data.display().to_string()));
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
}

async fn start_node(settings: &Settings) -> Result<Embedded> {
    let node = Embedded::start(settings.tributary.node.listen, &settings.tributary.data_dir, None).await?;
    output::note(format!("listening on {}", node.url()));
    Ok(node)
}

async fn serve(
    settings: &Settings,
    node: Option<&Embedded>,
    registry: Registry,
    shutdown: &Shutdown,
    manager: &Arc<ServiceManager>,
) -> Result<()> {
    let mut options = convert::client_options(&settings.elasticsearch);
    if let Some(node) = node.filter(|_| !settings.elasticsearch.host_configured) {
        // The port may have been chosen just now.
        options.hosts = vec![node.url()];
    }
    let daemon = convert::daemon_options(settings, &options)?;
    let client = target::client(options)?;
    manager.ready();
    let _watched = manager.watched();
    supervise(Daemon::new(client, registry, daemon), shutdown).await
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
