//! One connection, from its first byte to its last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::compress;
use super::seats::Seat;
use super::stall::Stalls;
use super::tls::Tls;

/// What a client is told that speaks plain HTTP to a port for HTTPS.
const WRONG_SCHEME: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 54\r\n\r\nthis port speaks HTTPS: use an address with https://\r\n";

/// How connections are served.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) router: Router,
    pub(super) tls: Option<Arc<Tls>>,
    /// Time for the handshake, and for the header of each request.
    pub(super) header_timeout: Duration,
    /// The longest time in which a client takes nothing of its answer.
    pub(super) stall: Duration,
}

impl Terms {
    /// Serves a connection to its end, or until it is asked to go or `stopping` is over; a request under way is answered
    /// first.
    pub(super) async fn serve(self, stream: TcpStream, seat: Seat, stopping: impl Future<Output = ()>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
        let seat = Arc::new(seat);
        let Some(tls) = self.tls.clone() else {
            return self.http(stream, seat, stopping).await;
        };
        tokio::pin!(stopping);
        let secured = tokio::select! {
            secured = tokio::time::timeout(self.header_timeout, handshake(&tls, stream)) => secured,
            () = seat.asked_to_go() => return,
            () = stopping.as_mut() => return,
        };
        match secured {
            Ok(Ok(stream)) => self.http(stream, seat, stopping).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a client did not finish its TLS handshake in time"),
        }
    }

    async fn http<S>(self, stream: S, seat: Arc<Seat>, stopping: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, place) = (self.router.clone(), Arc::clone(&seat));
        let plain = self.tls.is_none();
        let service = service_fn(move |request| answer(router.clone(), Arc::clone(&place), request, plain));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout).half_close(true);
        let connection = builder.serve_connection(TokioIo::new(Stalls::new(stream, self.stall)), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = seat.asked_to_go() => return,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

/// The TLS handshake; whoever speaks plain HTTP is told.
async fn handshake(
    tls: &Tls,
    mut stream: TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(WRONG_SCHEME).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks plain HTTP"));
    }
    tls.acceptor().accept(stream).await
}

/// Answers one request; over a connection in the clear compressed, if that suits the client.
async fn answer(
    router: Router,
    seat: Arc<Seat>,
    request: Request<Incoming>,
    plain: bool,
) -> io::Result<Response<Body>> {
    if !seat.work() {
        return Err(io::Error::other("the connection makes room for another"));
    }
    let packed = plain && compress::wanted(request.method(), request.headers());
    let answered = router.oneshot(request.map(Body::new)).await;
    let answered = match answered {
        Ok(response) if packed => compress::compress(response).await,
        answered => answered.map_err(|never| match never {}),
    };
    seat.rest();
    answered
}
