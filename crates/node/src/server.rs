//! Listening, connections and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tributary_store::Store;
use tributary_tasks::{Shutdown, TaskScope};

use crate::error::NodeError;
use crate::http::dispatch;
use crate::node::Node;
use crate::options::NodeOptions;

/// A node that serves. Dropping it ends it at once; [`RunningNode::stop`] ends it well.
#[derive(Debug)]
pub struct RunningNode {
    local_addr: SocketAddr,
    stop: Shutdown,
    tasks: TaskScope,
}

impl RunningNode {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more requests, lets running ones finish within [`NodeOptions::grace`], then ends. The store stays open.
    pub async fn stop(mut self) {
        self.stop.stop();
        self.finished().await;
    }

    /// Waits until the node has ended, because the process's shutdown was asked for.
    pub async fn finished(&mut self) {
        for failure in self.tasks.join().await {
            tracing::error!(%failure, "the node's listener failed");
        }
    }
}

/// The node as a service, for tests and for embedding in another server.
///
/// # Errors
/// See [`NodeError`].
pub fn router(options: &NodeOptions, store: Store) -> Result<Router, NodeError> {
    Ok(route(Arc::new(Node::new(options, store)?)))
}

fn route(node: Arc<Node>) -> Router {
    Router::new().fallback(move |request: Request| dispatch(Arc::clone(&node), request))
}

pub(crate) async fn start(options: NodeOptions, store: Store) -> Result<RunningNode, NodeError> {
    let address = options.listen;
    if !address.ip().is_loopback() && !options.security.enabled() {
        return Err(NodeError::Unprotected { address });
    }
    let node = Arc::new(Node::new(&options, store)?);
    let listener = TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => NodeError::AddressInUse { address },
        _ => NodeError::Listen { address, cause },
    })?;
    let local_addr = listener.local_addr().map_err(|cause| NodeError::Listen { address, cause })?;
    let stop = Shutdown::new();
    let serving = Serving {
        router: route(Arc::clone(&node)),
        stop: stop.clone(),
        process: options.shutdown.clone(),
        header_timeout: options.header_timeout,
        grace: options.grace,
        permits: Arc::new(Semaphore::new(options.max_connections.max(1))),
    };
    let mut tasks = TaskScope::new();
    tasks.spawn("node listener", serving.run(listener));
    tracing::info!(address = %local_addr, "the node is listening");
    Ok(RunningNode { local_addr, stop, tasks })
}

#[derive(Clone)]
struct Serving {
    router: Router,
    stop: Shutdown,
    process: Shutdown,
    header_timeout: Duration,
    grace: Duration,
    permits: Arc<Semaphore>,
}

impl Serving {
    async fn stopping(&self) {
        tokio::select! {
            () = self.stop.stopping() => {}
            () = self.process.stopping() => {}
        }
    }

    async fn run(self, listener: TcpListener) {
        let mut connections = TaskScope::new();
        loop {
            tokio::select! {
                accepted = self.accept(&listener) => {
                    if let Some((stream, permit)) = accepted {
                        connections.spawn("connection", self.clone().connection(stream, permit));
                    }
                }
                Some(ended) = connections.next() => {
                    if let Err(failure) = ended {
                        tracing::error!(%failure, "a connection failed");
                    }
                }
                () = self.stopping() => break,
            }
        }
        drop(listener);
        tokio::select! {
            _ = connections.join() => return,
            () = tokio::time::sleep(self.grace) => {}
            () = self.process.stopping_now() => {}
        }
        tracing::warn!(
            open = connections.len(),
            "requests did not finish within the grace time and were cut off"
        );
        connections.abort().await;
    }

    /// The next connection, once there is room for it.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((stream, _)) => Some((stream, permit)),
            Err(error) => {
                // Typically too many open files: give it time instead of spinning.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                None
            }
        }
    }

    async fn connection(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
        let service = TowerToHyperService::new(self.router.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout).half_close(true);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
        drop(permit);
    }
}
