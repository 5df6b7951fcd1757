//! SIGHUP: the configuration is read again, and what may change in a running daemon changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tributary_client::{ClientError, ErrorKind};
use tributary_daemon::{DaemonHandle, DaemonOptions};
use tributary_settings::{Change, Settings};

use crate::embedded::Embedded;
use crate::error::{CliError, Result};
use crate::logging::ServiceLog;
use crate::run::Shared;
use crate::service_manager::ServiceManager;
use crate::{convert, target};

/// How long the cluster may take to say whether new credentials are good.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a reload needs.
pub(crate) struct Reloader<'n> {
    pub(crate) settings: Settings,
    /// Reads the settings as they were read at start.
    pub(crate) read: Box<dyn Fn() -> Result<Settings> + Send + Sync>,
    pub(crate) shared: Shared,
    pub(crate) log: ServiceLog,
    pub(crate) handle: DaemonHandle,
    pub(crate) manager: Arc<ServiceManager>,
    /// The embedded node, where that is used.
    pub(crate) node: Option<&'n Embedded>,
}

impl Reloader<'_> {
    /// Reads the configuration again whenever that is asked for; never returns.
    pub(crate) async fn run(mut self, mut hangups: Signal) -> CliError {
        while hangups.recv().await.is_some() {
            self.manager.reloading();
            if let Err(error) = self.reload().await {
                for line in error.lines() {
                    tracing::error!("the new configuration was refused and the former one goes on: {line}");
                }
            }
            self.manager.ready();
        }
        std::future::pending().await
    }

    async fn reload(&mut self) -> Result<()> {
        let read = (self.read)()?;
        let changes = self.settings.changes(&read);
        let new = keep_what_needs_a_restart(read, &self.settings);
        self.shared.learn(&new);
        let (client, options) = prepare(&new, &self.shared, self.node)?;
        if let Some(refusal) = refused(&client).await {
            return Err(CliError::user(refusal).hint("mend the credentials and reload again"));
        }
        self.log.change(new.log.level, new.elasticsearch.log_level)?;
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        tell(&changes);
        self.settings = new;
        if changes.iter().any(|change| !change.restart) {
            self.handle.reload(client, options);
        }
        Ok(())
    }
}

/// The client and the daemon's options that settings come to.
pub(crate) fn prepare(
    settings: &Settings,
    shared: &Shared,
    node: Option<&Embedded>,
) -> Result<(tributary_client::Client, DaemonOptions)> {
    let mut reach = convert::client_options(settings);
    reach.stats = shared.metrics.client();
    if let Some(node) = node {
        node.reach(&mut reach);
    }
    let mut options = convert::daemon_options(settings, &reach)?;
    options.metrics = shared.metrics.clone();
    options.job_logs = shared.job_logs.clone();
    Ok((target::client(reach)?, options))
}

/// Why the cluster does not let us in, where it says so. One that is away may be back soon.
async fn refused(client: &tributary_client::Client) -> Option<ClientError> {
    match tokio::time::timeout(PATIENCE, client.probe()).await {
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Auth | ErrorKind::Forbidden) => Some(error),
        _ => None,
    }
}

/// The new settings with the running values of the keys that are read at start only.
fn keep_what_needs_a_restart(mut new: Settings, running: &Settings) -> Settings {
    let (es, old) = (&mut new.elasticsearch, &running.elasticsearch);
    es.hosts.clone_from(&old.hosts);
    es.host_configured = old.host_configured;
    es.feature_use_connectors_api = old.feature_use_connectors_api;
    let (own, old) = (&mut new.tributary, &running.tributary);
    own.data_dir.clone_from(&old.data_dir);
    own.state_dir.clone_from(&old.state_dir);
    own.node = old.node.clone();
    own.worker_name.clone_from(&old.worker_name);
    own.monitoring = old.monitoring;
    own.otlp.clone_from(&old.otlp);
    new.not_restarted_since(running);
    new
}

fn tell(changes: &[Change]) {
    if changes.is_empty() {
        tracing::info!("the configuration was read again: nothing has changed");
    }
    for change in changes {
        if change.restart {
            tracing::warn!("changed, but needs a restart: {change}");
        } else {
            tracing::info!("changed: {change}");
        }
    }
}
