//! Listening, connections and stopping.

mod compress;
mod connection;
mod seats;
mod stall;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tributary_store::Store;
use tributary_tasks::{Shutdown, TaskScope};

use crate::error::NodeError;
use crate::http::dispatch;
use crate::node::Node;
use crate::options::NodeOptions;

use connection::Terms;
use seats::Seats;
pub(crate) use tls::Tls;

/// Pause between two looks for an idle connection while all are busy, and the time that one which was asked to go may
/// take.
const ALL_BUSY: Duration = Duration::from_millis(20);
const GOING: Duration = Duration::from_secs(1);

/// A node that serves. Dropping it ends it at once; [`RunningNode::stop`] ends it well.
#[derive(Debug)]
pub struct RunningNode {
    local_addr: SocketAddr,
    reload: Reload,
    stop: Shutdown,
    tasks: TaskScope,
}

/// Reads the node's certificate and users again.
#[derive(Clone)]
pub struct Reload {
    node: Arc<Node>,
    tls: Option<Arc<Tls>>,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Reload {
    /// Reads them. What is wrong with one of them is returned, and leaves that one as it was.
    #[must_use]
    pub fn now(&self) -> Vec<NodeError> {
        let certificate = self.tls.as_ref().and_then(|tls| tls.reload().err());
        certificate.into_iter().chain(self.node.access.reload().err()).collect()
    }
}

impl RunningNode {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether it speaks HTTPS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.reload.tls.is_some()
    }

    /// Whether requests must authenticate at this moment.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.reload.node.access.enabled()
    }

    /// What reads its certificate and users again.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
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
    let tls = options.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
    let node = Arc::new(Node::new(&options, store)?);
    if !address.ip().is_loopback() && !node.access.enabled() {
        return Err(NodeError::Unprotected { address });
    }
    let listener = TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => NodeError::AddressInUse { address },
        _ => NodeError::Listen { address, cause },
    })?;
    let local_addr = listener.local_addr().map_err(|cause| NodeError::Listen { address, cause })?;
    let stop = Shutdown::new();
    let reload = Reload { node: Arc::clone(&node), tls: tls.clone() };
    let authenticates = node.access.enabled();
    if !address.ip().is_loopback() && tls.is_none() {
        tracing::warn!(%address, "without TLS, passwords and documents cross the network in clear");
    }
    let serving = Serving {
        terms: Terms {
            router: route(node),
            tls,
            header_timeout: options.header_timeout,
            stall: options.body_timeout,
        },
        stop: stop.clone(),
        process: options.shutdown.clone(),
        grace: options.grace,
        permits: Arc::new(Semaphore::new(options.max_connections.max(1))),
        seats: Arc::default(),
    };
    let running = RunningNode { local_addr, reload, stop, tasks: serving.spawn(listener) };
    tracing::info!(address = %local_addr, tls = running.has_tls(), authenticates, "the node is listening");
    Ok(running)
}

#[derive(Clone)]
struct Serving {
    terms: Terms,
    stop: Shutdown,
    process: Shutdown,
    grace: Duration,
    permits: Arc<Semaphore>,
    seats: Arc<Seats>,
}

impl Serving {
    fn spawn(self, listener: TcpListener) -> TaskScope {
        let mut tasks = TaskScope::new();
        tasks.spawn("node listener", self.run(listener));
        tasks
    }

    async fn stopping(self) {
        tokio::select! {
            () = self.stop.stopping() => {}
            () = self.process.stopping() => {}
        }
    }

    async fn run(self, listener: TcpListener) {
        let mut connections = TaskScope::new();
        let mut knocking = None;
        loop {
            tokio::select! {
                accepted = accept(&listener), if knocking.is_none() => knocking = accepted,
                Some(permit) = self.room(), if knocking.is_some() => {
                    if let Some(stream) = knocking.take() {
                        connections.spawn("connection", self.clone().connection(stream, permit));
                    }
                }
                Some(ended) = connections.next() => {
                    if let Err(failure) = ended {
                        tracing::error!(%failure, "a connection failed");
                    }
                }
                () = self.clone().stopping() => break,
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

    /// Room for one more connection; where there is none, the one that has been idle for the longest time makes it.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            let patience = if self.seats.make_room() { GOING } else { ALL_BUSY };
            let waiting = Arc::clone(&self.permits).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(patience, waiting).await {
                return permit.ok();
            }
        }
    }

    async fn connection(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let seat = self.seats.take();
        let terms = self.terms.clone();
        terms.serve(stream, seat, self.stopping()).await;
        drop(permit);
    }
}

async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            // Typically too many open files: give it time instead of spinning.
            tracing::warn!(%error, "accepting a connection failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
