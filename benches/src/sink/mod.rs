//! An HTTP server that reads bulk requests as Elasticsearch must, answers them as Elasticsearch does, and stores no
//! documents: what is left of a bulk load is the sender's own work.

mod bulk;
mod read;
mod state;

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tributary_tasks::TaskScope;

use crate::BenchError;
use bulk::Bulk;
pub use state::Counts;
use state::{Counters, Indices};

/// How a [`Sink`] answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkOptions {
    /// Keep ids and fingerprints, so that `_mget`, scans and counts are answered as by an index. Without this every
    /// index is empty whatever was written.
    pub keep: bool,
    /// Refuse one bulk request in so many with 429.
    pub throttle_one_in: Option<u64>,
    /// Wait before every answer to a bulk request.
    pub delay: Duration,
}

/// A listening sink; it ends when this value goes.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: TaskScope,
}

#[derive(Debug)]
struct Shared {
    options: SinkOptions,
    indices: Indices,
    counters: Counters,
    turn: AtomicU64,
}

type Answer = Response<Full<Bytes>>;

impl Sink {
    /// Listens on `address`; port 0 is a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, options: SinkOptions) -> Result<Self, BenchError> {
        let listener = TcpListener::bind(address).await.map_err(|error| BenchError::of("the sink", error))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            indices: Indices::default(),
            counters: Counters::default(),
            turn: AtomicU64::new(0),
        });
        let mut tasks = TaskScope::new();
        tasks.spawn("sink", accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _tasks: tasks })
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has been through.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counters.now()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = TaskScope::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn("connection", serve(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A connection that breaks is its client's affair.
    let _nodelay = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, hyper::Error>(shared.answer(request).await) }
    });
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "parse_exception", &error.to_string()),
        };
        let zipped = head.headers.get("content-encoding").is_some_and(|coding| coding == "gzip");
        let body = if zipped { unzip(&body) } else { Ok(body) };
        let body = match body {
            Ok(body) => body,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "parse_exception", &error.to_string()),
        };
        let mut parts = head.uri.path().trim_matches('/').split('/');
        let path = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match path {
            (index, "_bulk") if head.method == Method::POST || head.method == Method::PUT => {
                self.bulk(index, &body).await
            }
            path => self.other(&head.method, path, &body),
        }
    }

    async fn bulk(&self, name: &str, body: &[u8]) -> Answer {
        if !self.options.delay.is_zero() {
            tokio::time::sleep(self.options.delay).await;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if self.options.throttle_one_in.is_some_and(|every| turn % every.max(1) == every / 2) {
            self.counters.throttled.fetch_add(1, Ordering::Relaxed);
            let kind = "es_rejected_execution_exception";
            return refusal(StatusCode::TOO_MANY_REQUESTS, kind, "the sink was told to refuse this one");
        }
        let index = self.indices.create(name);
        let bulk = Bulk { index_name: name, index: &index, keeps: self.options.keep };
        match bulk.answer(body) {
            Ok((answer, operations)) => {
                self.counters.requests.fetch_add(1, Ordering::Relaxed);
                self.counters.operations.fetch_add(operations, Ordering::Relaxed);
                self.counters.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
                json_answer(StatusCode::OK, answer)
            }
            Err(reason) => refusal(StatusCode::BAD_REQUEST, "illegal_argument_exception", &reason),
        }
    }

    fn other(&self, method: &Method, path: (&str, &str), body: &[u8]) -> Answer {
        let json = |value: &Value| json_answer(StatusCode::OK, value.to_string().into_bytes());
        match (method.as_str(), path.0, path.1) {
            ("GET" | "HEAD", "", "") => json(&read::info()),
            ("GET", "_sink", "") => json(&json!(self.counts())),
            ("POST", "_search", "") => self.walk(body),
            ("DELETE", "_pit", "") => json(&json!({"succeeded": true, "num_freed": 1})),
            ("POST", name, "_pit") if self.indices.get(name).is_some() => json(&json!({"id": name})),
            ("POST", name, "_mget") => self.mget(name, body),
            ("GET" | "POST", name, "_count") => {
                let count = self.indices.get(name).map_or(0, |index| index.kept().live());
                json(&json!({"count": count, "_shards": {"total": 1, "successful": 1, "failed": 0}}))
            }
            ("POST", _, "_refresh") => json(&json!({"_shards": {"total": 2, "successful": 1, "failed": 0}})),
            ("PUT", name, "") if !name.starts_with('_') => {
                let _created = self.indices.create(name);
                json(&json!({"acknowledged": true, "shards_acknowledged": true, "index": name}))
            }
            ("DELETE", name, "") if self.indices.delete(name) => json(&json!({"acknowledged": true})),
            ("HEAD", name, "") if self.indices.get(name).is_some() => json(&json!({})),
            ("HEAD", ..) => json_answer(StatusCode::NOT_FOUND, Vec::new()),
            (method, ..) => {
                let reason = format!("the sink does not serve {method} /{}/{}", path.0, path.1);
                refusal(StatusCode::NOT_FOUND, "resource_not_found_exception", &reason)
            }
        }
    }

    fn counts(&self) -> Counts {
        self.counters.now()
    }

    fn mget(&self, name: &str, body: &[u8]) -> Answer {
        match read::mget(name, self.indices.get(name).as_deref(), body) {
            Ok((answer, ids)) => {
                self.counters.lookups.fetch_add(ids, Ordering::Relaxed);
                json_answer(StatusCode::OK, answer)
            }
            Err(error) => refusal(StatusCode::BAD_REQUEST, "parse_exception", &error.to_string()),
        }
    }

    fn walk(&self, body: &[u8]) -> Answer {
        let name = match read::index_of_walk(body) {
            Ok(name) => name,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, "parse_exception", &error.to_string()),
        };
        let Some(index) = self.indices.get(&name) else {
            return refusal(
                StatusCode::NOT_FOUND,
                "search_context_missing_exception",
                "no such point in time",
            );
        };
        match read::walk(&name, &index, body) {
            Ok(answer) => json_answer(StatusCode::OK, answer),
            Err(error) => refusal(StatusCode::BAD_REQUEST, "parse_exception", &error.to_string()),
        }
    }
}

fn unzip(body: &Bytes) -> std::io::Result<Bytes> {
    let mut plain = Vec::with_capacity(body.len() * 4);
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain)?;
    Ok(plain.into())
}

fn refusal(status: StatusCode, kind: &str, reason: &str) -> Answer {
    let cause = json!({"type": kind, "reason": reason});
    let error = json!({"type": kind, "reason": reason, "root_cause": [cause]});
    json_answer(status, json!({"error": error, "status": status.as_u16()}).to_string().into_bytes())
}

fn json_answer(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert("x-elastic-product", http::HeaderValue::from_static("Elasticsearch"));
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    answer
}
