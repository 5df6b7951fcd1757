//! The embedded node in this process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use tributary_node::{Node, NodeError, NodeOptions, RunningNode};
use tributary_store::{Store, StoreOptions};
use tributary_tasks::Shutdown;

use crate::error::Result;

/// A node that serves. End it with [`Embedded::stop`].
pub(crate) struct Embedded {
    node: RunningNode,
    store: Store,
    shutdown: Shutdown,
}

impl Embedded {
    /// Opens the data folder and starts to serve.
    pub(crate) async fn start(listen: SocketAddr, data: &Path, version: Option<&str>) -> Result<Self> {
        // A port in use is told of before the data folder is made or found locked by the very same process.
        if let Err(error) = TcpListener::bind(listen)
            && error.kind() == std::io::ErrorKind::AddrInUse
        {
            return Err(NodeError::AddressInUse { address: listen }.into());
        }
        let path = data.to_owned();
        let opened = tokio::task::spawn_blocking(move || Store::open(StoreOptions::new(path))).await;
        let store = opened.map_err(crate::error::CliError::ours)??;
        // The node outlives those who use it: it has its own shutdown.
        let shutdown = Shutdown::new();
        let mut options = NodeOptions::new(data).listen(listen).shutdown(shutdown.clone());
        if let Some(version) = version {
            version.clone_into(&mut options.compat_version);
        }
        let node = match Node::start(options, store.clone()).await {
            Ok(node) => node,
            Err(error) => {
                close(store).await;
                return Err(error.into());
            }
        };
        Ok(Self { node, store, shutdown })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.node.local_addr()
    }

    /// Its address for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Lets running requests finish, then closes the data folder. When `process` asks to stop at once, requests are cut
    /// off.
    pub(crate) async fn stop(self, process: &Shutdown) {
        let Self { node, store, shutdown } = self;
        tokio::select! {
            () = node.stop() => {}
            () = async {
                process.stopping_now().await;
                shutdown.stop_now();
                std::future::pending::<()>().await;
            } => {}
        }
        close(store).await;
    }
}

async fn close(store: Store) {
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Err(error) = closed {
        tracing::error!(%error, "closing the data folder failed");
    }
}
