//! SIGINT and SIGTERM: the first asks for a graceful end, the second for one at once.

use tokio::signal::unix::{SignalKind, signal};
use tributary_tasks::{Shutdown, TaskScope};

use crate::error::{CliError, Result};

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
