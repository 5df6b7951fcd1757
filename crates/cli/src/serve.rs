//! `tributary serve`: the embedded node alone.

use std::sync::Arc;

use tributary_tasks::Shutdown;

use crate::args::ServeArgs;
use crate::embedded::Embedded;
use crate::error::Result;
use crate::service_manager::ServiceManager;
use crate::{output, signals};

pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let settings = args.node.settings()?;
    let shutdown = Shutdown::new();
    let _signals = signals::watch(&shutdown)?;
    let manager = Arc::new(ServiceManager::from_env());
    let node = Embedded::start(&settings, args.compat_version.as_deref()).await?;
    let _reloading = node.reload_on_hangup(|told| output::note(told))?;
    output::note(format!("listening on {}", node.url()));
    manager.ready();
    let _watched = manager.watched();
    shutdown.stopping().await;
    manager.stopping();
    node.stop(&shutdown).await;
    Ok(())
}
