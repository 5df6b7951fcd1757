//! A TCP proxy that breaks connections where a test wants it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// What happens to an exchange: a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides see the connection end before the request arrives.
    Cut,
    /// The client sees the connection reset before the request arrives.
    Reset,
    /// The connection ends after so many bytes of the answer.
    CutAnswer(usize),
    /// The request arrives this much later.
    Delay(Duration),
    /// Neither the request nor anything after it on this connection arrives; the connection stays open.
    Silence,
}

/// Stands between a client and a server. An exchange begins when the client sends after the server has answered; all
/// connections are counted together, from 0.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    /// Accepts and forwards until the proxy is dropped.
    _work: JoinSet<()>,
}

#[derive(Debug, Default)]
struct State {
    exchanges: AtomicU64,
    refuses: AtomicBool,
    /// Milliseconds before each piece of an answer.
    pause: AtomicU64,
    faults: Mutex<BTreeMap<u64, Fault>>,
}

impl Proxy {
    /// A proxy on a free port of this machine.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let mut work = JoinSet::new();
        work.spawn(accept(listener, server, Arc::clone(&state)));
        Self { address, state, _work: work }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many exchanges have begun.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.state.exchanges.load(Ordering::SeqCst)
    }

    /// Plans a fault for the exchange that begins after `later` others from now on.
    pub async fn plan(&self, later: u64, fault: Fault) {
        self.state.faults.lock().await.insert(self.exchanges() + later, fault);
    }

    /// Closes new connections at once, or lets them through again.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Waits so long before each 16 KiB of an answer are handed over; no time ends that.
    pub fn slow_down(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.state.pause.store(pause, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if state.refuses.load(Ordering::SeqCst) {
            continue;
        }
        let state = Arc::clone(&state);
        connections.spawn(async move {
            // Either side may go whenever it likes.
            let _ended = forward(client, server, &state).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, state: &State) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut answering = true;
    let mut answer_left = None;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                if std::mem::take(&mut answering) {
                    let number = state.exchanges.fetch_add(1, Ordering::SeqCst);
                    let fault = state.faults.lock().await.remove(&number);
                    match fault {
                        Some(Fault::Cut) => return Ok(()),
                        Some(Fault::Reset) => return reset(&client),
                        Some(Fault::CutAnswer(bytes)) => answer_left = Some(bytes),
                        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
                        Some(Fault::Silence) => std::future::pending().await,
                        None => {}
                    }
                }
                server.write_all(&request[..count]).await?;
            }
            read = server.read(&mut answer) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                answering = true;
                let pause = state.pause.load(Ordering::SeqCst);
                if pause > 0 {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                let passed = answer_left.map_or(count, |left: usize| left.min(count));
                client.write_all(&answer[..passed]).await?;
                answer_left = answer_left.map(|left| left - passed);
                if answer_left == Some(0) {
                    return Ok(());
                }
            }
        }
    }
}

/// Closing a socket that does not linger resets the connection.
fn reset(client: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every line with the same line.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut work = JoinSet::new();
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut bytes = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                        stream.write_all(&bytes[..count]).await.unwrap();
                    }
                });
            }
        });
        (address, work)
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        stream.write_all(b"hello").await?;
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).await?;
        Ok(bytes[..count].to_vec())
    }

    #[tokio::test]
    async fn faults_happen_at_the_exchange_they_were_planned_for() {
        let (server, _work) = echo().await;
        let proxy = Proxy::to(server).await;
        let connect = || TcpStream::connect(proxy.address());
        proxy.plan(2, Fault::Cut).await;
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"hello");
        assert_eq!(ask(&mut stream).await.unwrap(), b"hello");
        assert_eq!(ask(&mut stream).await.unwrap_or_default(), b"", "cut");
        proxy.plan(0, Fault::CutAnswer(3)).await;
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"hel");
        proxy.plan(0, Fault::Reset).await;
        let mut stream = connect().await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.exchanges(), 5);
    }

    #[tokio::test]
    async fn answers_are_late_while_the_proxy_is_slowed_down() {
        let (server, _work) = echo().await;
        let proxy = Proxy::to(server).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.slow_down(Duration::from_millis(60));
        let start = std::time::Instant::now();
        assert_eq!(ask(&mut stream).await.unwrap(), b"hello");
        assert!(start.elapsed() >= Duration::from_millis(60));
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_closes_connections_until_it_does_not() {
        let (server, _work) = echo().await;
        let proxy = Proxy::to(server).await;
        proxy.refuse(true);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap_or_default(), b"");
        proxy.refuse(false);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"hello");
    }
}
