use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tributary_tasks::TaskScope;
use url::Url;

use crate::{BenchError, Documents, Taken, Usage};

/// How the bare loader works.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Address of the cluster.
    pub url: String,
    /// The index that is written.
    pub index: String,
    /// Connections, each with one request on its way.
    pub connections: usize,
    /// Documents of a request, at most.
    pub bulk_items: u64,
    /// Bytes of a request, about.
    pub bulk_bytes: usize,
    /// Whether every document is made first, as a source makes it, and then serialized.
    pub serialize: bool,
}

/// What the loader did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// Documents the index acknowledged.
    pub documents: u64,
    /// Bytes of the requests.
    pub bytes: u64,
    /// Requests that were refused with 429 and sent again.
    pub throttled: u64,
    /// What it took.
    pub taken: Taken,
}

pub(crate) struct Loader {
    options: LoadOptions,
    documents: Documents,
    host: String,
    next: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
    throttled: AtomicU64,
}

/// Writes the documents and does nothing else: each connection formats lines, posts them, looks whether all were
/// taken, and goes on. Nothing is compared, tracked or kept.
///
/// # Errors
/// When the cluster cannot be reached, or refuses anything but for now.
pub async fn load(documents: Documents, options: LoadOptions) -> Result<Loaded, BenchError> {
    let connections = options.connections.max(1);
    let loader = Arc::new(Loader::new(documents, options)?);
    let usage = Usage::now();
    let mut tasks = TaskScope::new();
    for _ in 0..connections {
        let loader = Arc::clone(&loader);
        tasks.spawn("loader", async move { loader.run().await });
    }
    while let Some(ended) = tasks.next().await {
        ended.map_err(|failure| BenchError::of("the loader", failure))??;
    }
    Ok(loader.loaded(&usage))
}

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    items: Vec<IgnoredAny>,
}

impl Loader {
    pub(crate) fn new(documents: Documents, options: LoadOptions) -> Result<Self, BenchError> {
        let url = Url::parse(&options.url).map_err(|error| BenchError::of("the target", error))?;
        let host =
            format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        Ok(Self {
            options,
            documents,
            host,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        })
    }

    /// What was loaded since `usage` was taken.
    pub(crate) fn loaded(&self, usage: &Usage) -> Loaded {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Loaded {
            documents: get(&self.done),
            bytes: get(&self.bytes),
            throttled: get(&self.throttled),
            taken: usage.taken(),
        }
    }

    /// A connection, and the task that drives it.
    pub(crate) async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, TaskScope<()>), BenchError> {
        let stream =
            TcpStream::connect(&self.host).await.map_err(|error| BenchError::of(&self.host, error))?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| BenchError::of("connecting", error))?;
        let mut driver = TaskScope::new();
        driver.spawn("connection", async move {
            // What went wrong is told to the sender of the request.
            let _ended = connection.await;
        });
        Ok((sender, driver))
    }

    async fn run(&self) -> Result<(), BenchError> {
        let (mut sender, _driver) = self.connect().await?;
        loop {
            let first = self.next.fetch_add(self.options.bulk_items, Ordering::Relaxed);
            let end = (first + self.options.bulk_items).min(self.documents.count);
            if first >= end {
                return Ok(());
            }
            let (mut lines, mut items) = (Vec::with_capacity(self.options.bulk_bytes + (64 << 10)), 0);
            for n in (first..end).filter(|n| self.documents.has(*n)) {
                if self.options.serialize {
                    let made = self.documents.serialize_lines(n, &mut lines);
                    made.map_err(|error| BenchError::of("a document", error))?;
                } else {
                    self.documents.write_lines(n, &mut lines);
                }
                items += 1;
                if lines.len() >= self.options.bulk_bytes {
                    let body = std::mem::replace(&mut lines, Vec::with_capacity(self.options.bulk_bytes));
                    self.post(&mut sender, body.into(), std::mem::take(&mut items)).await?;
                }
            }
            self.post(&mut sender, lines.into(), items).await?;
        }
    }

    /// Posts a request until all of it is taken.
    pub(crate) async fn post(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        body: Bytes,
        items: usize,
    ) -> Result<(), BenchError> {
        if items == 0 {
            return Ok(());
        }
        loop {
            let request = Request::post(format!("/{}/_bulk", self.options.index))
                .header("host", &self.host)
                .header("content-type", "application/x-ndjson")
                .body(Full::new(body.clone()))
                .map_err(|error| BenchError::of("the request", error))?;
            let failed = |error: hyper::Error| BenchError::of("the request", error);
            sender.ready().await.map_err(failed)?;
            let answer = sender.send_request(request).await.map_err(failed)?;
            let status = answer.status();
            let answer = answer.into_body().collect().await.map_err(failed)?.to_bytes();
            let refused = status == StatusCode::TOO_MANY_REQUESTS;
            if refused || self.is_throttled(status, &answer, items)? {
                self.throttled.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
            self.done.fetch_add(items as u64, Ordering::Relaxed);
            self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            return Ok(());
        }
    }

    /// Whether some operation was refused for now, so that all are sent again: writing twice does no harm.
    fn is_throttled(&self, status: StatusCode, answer: &[u8], items: usize) -> Result<bool, BenchError> {
        let start =
            || String::from_utf8_lossy(answer.get(..answer.len().min(500)).unwrap_or_default()).into_owned();
        if !status.is_success() {
            return Err(BenchError(format!("the index answered {status}: {}", start())));
        }
        let read: Answer =
            serde_json::from_slice(answer).map_err(|error| BenchError::of("the answer", error))?;
        if read.items.len() != items {
            return Err(BenchError(format!("{} answers to {items} operations", read.items.len())));
        }
        if !read.errors {
            return Ok(false);
        }
        if answer.windows(12).any(|part| part == b"\"status\":429") {
            return Ok(true);
        }
        Err(BenchError(format!("operations were refused: {}", start())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sink, SinkOptions};

    async fn loaded(options: SinkOptions) -> (Loaded, crate::Counts) {
        let sink = Sink::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
        let documents = Documents { deleted_one_in: Some(10), ..Documents::new(1000, 300) };
        let options = LoadOptions {
            url: sink.url(),
            index: "docs".to_owned(),
            connections: 3,
            bulk_items: 70,
            bulk_bytes: 5000,
            serialize: false,
        };
        (load(documents, options).await.unwrap(), sink.counts())
    }

    #[tokio::test]
    async fn every_document_reaches_the_sink_once() {
        let (loaded, counts) = loaded(SinkOptions::default()).await;
        assert_eq!((loaded.documents, counts.operations), (900, 900));
        assert_eq!(loaded.bytes, counts.bytes);
    }

    #[tokio::test]
    async fn what_is_refused_for_now_is_sent_again() {
        let (loaded, counts) =
            loaded(SinkOptions { throttle_one_in: Some(5), ..SinkOptions::default() }).await;
        assert_eq!((loaded.documents, counts.operations), (900, 900));
        assert!(loaded.throttled > 0 && loaded.throttled == counts.throttled);
    }
}
