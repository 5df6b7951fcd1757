//! SIGINT and SIGTERM: the first asks for a graceful end, the second for one at once. SIGHUP: the configuration is read again.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tributary_tasks::{Shutdown, TaskScope};

use crate::error::{CliError, Result};

/// Hears SIGHUP, which asks to read the configuration again. From now on it does not end the process.
pub(crate) fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).map_err(|error| CliError::ours(format!("cannot listen to signals: {error}")))
}

/// Turns signals into steps of `shutdown`, for as long as the scope lives.
pub(crate) fn watch(shutdown: &Shutdown) -> Result<TaskScope> {
    let failed = |error| CliError::ours(format!("cannot listen to signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let shutdown = shutdown.clone();
    let mut scope = TaskScope::new();
    scope.spawn("signals", async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let again = shutdown.is_stopping();
            tracing::info!(
                "{}",
                if again { "stopping at once" } else { "stopping; a second signal stops at once" }
            );
            shutdown.signal();
        }
    });
    Ok(scope)
}
