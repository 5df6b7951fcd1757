//! A node that listens, and clients that speak HTTP by hand, well or badly.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tributary_node::{Node, NodeOptions, RunningNode};
use tributary_store::{Store, StoreOptions, SyncMode};

/// Time that is long enough on a busy machine.
pub const LONG: Duration = Duration::from_secs(60);

pub struct Live {
    pub running: RunningNode,
    store: Store,
    /// Goes after the store, which writes to it until then.
    pub dir: TempDir,
}

impl Live {
    pub async fn start(change: impl FnOnce(&mut NodeOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path()).sync(SyncMode::None)).unwrap();
        let mut options = NodeOptions::new(dir.path()).listen(([127, 0, 0, 1], 0).into());
        change(&mut options);
        let running = Node::start(options, store.clone()).await.unwrap();
        Self { dir, store, running }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.local_addr()
    }

    pub async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address()).await.unwrap())
    }

    /// One request on a connection of its own.
    pub async fn call(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        self.connect().await.call(method, path, body).await.unwrap()
    }

    pub async fn stop(self) {
        self.running.stop().await;
        self.store.close();
    }
}

/// A connection.
pub struct Wire(pub TcpStream);

impl Wire {
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// A request and its answer; the connection stays.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> std::io::Result<(u16, Value)> {
        self.send(request(method, path, "", body.unwrap_or_default().as_bytes()).as_slice()).await?;
        let (status, _, body) = self.answer().await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::String(text))))
    }

    /// Status, header and body of the next answer.
    pub async fn answer(&mut self) -> std::io::Result<(u16, String, Vec<u8>)> {
        let reading = async {
            let mut header = Vec::new();
            while !header.ends_with(b"\r\n\r\n") {
                header.push(self.0.read_u8().await?);
            }
            let header = String::from_utf8_lossy(&header).to_lowercase();
            let status = header.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            let length = header.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            self.0.read_exact(&mut body).await?;
            Ok((status, header, body))
        };
        let timed_out = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
        tokio::time::timeout(LONG, reading).await.map_err(timed_out)?
    }

    /// Waits until the node has closed the connection; what it said before.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        let reading = self.0.read_to_end(&mut said);
        // A reset is an end too.
        drop(tokio::time::timeout(LONG, reading).await.expect("the node does not close the connection"));
        said
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        let stream = self.0.into_std().unwrap();
        let socket = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        socket.unwrap();
    }
}

/// A request as bytes. `headers` are lines that end with CR LF.
pub fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nHost: node\r\n{headers}");
    if !body.is_empty() {
        out.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}
