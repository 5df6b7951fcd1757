use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use reqwest_of_elasticsearch as reqwest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tributary_client::{Client, ClientOptions};
use tributary_tasks::TaskScope;

/// A cluster whose bulk requests are counted, and where asked for disturbed. The server behind does everything.
pub struct Recorder {
    url: String,
    behind: Arc<Behind>,
    _serving: TaskScope,
}

/// What the server did for bulk requests to one index and said so to whoever asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Requests that came, whatever became of them.
    pub requests: u64,
    /// Documents written.
    pub indexed: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Operations refused for good.
    pub refused: u64,
    /// Bytes of the requests that were answered with results.
    pub bytes: u64,
    /// Requests that were disturbed.
    pub disturbed: u64,
}

/// How bulk requests are disturbed. Every so many; never at 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// 429 for the whole request.
    pub throttled: u64,
    /// 503 for the whole request.
    pub away: u64,
    /// The server does it, and the answer is lost.
    pub lost: u64,
    /// In every request each so many-th operation is refused with 429.
    pub busy: u64,
    /// 413 for larger requests.
    pub max_bytes: Option<usize>,
    /// Nothing that is asked of the index is answered.
    pub silent: bool,
}

struct Behind {
    url: Mutex<String>,
    client: reqwest::Client,
    index: String,
    faults: Mutex<Faults>,
    book: Mutex<Book>,
    turn: AtomicU64,
    before_claim: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Recorder {
    /// Counts what is written into `index` of the server at `url`.
    pub async fn start(url: &str, index: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let behind = Arc::new(Behind {
            url: Mutex::new(url.to_owned()),
            client: reqwest::Client::new(),
            index: index.to_owned(),
            faults: Mutex::default(),
            book: Mutex::default(),
            turn: AtomicU64::new(0),
            before_claim: Mutex::default(),
        });
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&behind));
        let mut serving = TaskScope::new();
        serving.spawn("recorder", async move { axum::serve(listener, routes).await.unwrap() });
        Self { url: own, behind, _serving: serving }
    }

    /// A client as a daemon uses it.
    pub fn client(&self) -> Client {
        Client::new(ClientOptions::new([self.url.as_str()])).unwrap()
    }

    pub fn disturb(&self, faults: Faults) {
        *self.behind.faults.lock().unwrap() = faults;
    }

    /// Lets this happen when the next claim of a job was sent, before the server sees it.
    pub fn before_claim(&self, happens: impl Future<Output = ()> + Send + 'static) {
        *self.behind.before_claim.lock().unwrap() = Some(Box::pin(happens));
    }

    /// What was counted since the last time.
    pub fn take(&self) -> Book {
        std::mem::take(&mut *self.behind.book.lock().unwrap())
    }

    /// What was counted so far.
    pub fn book(&self) -> Book {
        *self.behind.book.lock().unwrap()
    }

    /// The server is at another address now.
    pub fn moved(&self, url: &str) {
        url.clone_into(&mut self.behind.url.lock().unwrap());
    }
}

async fn pass(State(behind): State<Arc<Behind>>, request: Request) -> Response {
    let of_index = request.uri().path().strip_prefix(&format!("/{}/", behind.index));
    let (is_bulk, of_index) = (of_index == Some("_bulk"), of_index.is_some());
    if of_index && behind.faults.lock().unwrap().silent {
        return std::future::pending().await;
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    if parts.uri.path().contains("sync-jobs/_update/") && is_claim(&body) {
        let happens = behind.before_claim.lock().unwrap().take();
        if let Some(happens) = happens {
            happens.await;
        }
    }
    let call = Call { method: parts.method, uri: parts.uri.to_string(), headers: parts.headers };
    if is_bulk {
        behind.bulk(call, body.to_vec()).await
    } else {
        behind.forward(&call, body.to_vec()).await.0
    }
}

fn is_claim(body: &[u8]) -> bool {
    let change: Value = serde_json::from_slice(body).unwrap_or_default();
    change["doc"]["status"] == "in_progress" && change["doc"]["metadata"]["tributary"]["token"].is_string()
}

struct Call {
    method: axum::http::Method,
    uri: String,
    headers: axum::http::HeaderMap,
}

impl Behind {
    async fn forward(&self, call: &Call, body: Vec<u8>) -> (Response, Vec<u8>) {
        let url = self.url.lock().unwrap().clone();
        let mut headers = call.headers.clone();
        headers.remove("content-length");
        let request = self.client.request(call.method.clone(), format!("{url}{}", call.uri));
        let answered = match request.headers(headers).body(body).send().await {
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers().clone());
                answer.bytes().await.map(|body| (status, headers, body.to_vec()))
            }
            Err(error) => Err(error),
        };
        // The server is away: whoever asked sees a connection that breaks.
        let Ok((status, headers, body)) = answered else { return (broken(), Vec::new()) };
        let mut response = Response::builder().status(status);
        response.headers_mut().unwrap().extend(headers);
        for name in ["transfer-encoding", "content-length"] {
            response.headers_mut().unwrap().remove(name);
        }
        (response.body(Body::from(body.clone())).unwrap(), body)
    }

    fn note(&self, note: impl FnOnce(&mut Book)) {
        note(&mut self.book.lock().unwrap());
    }

    async fn bulk(&self, call: Call, body: Vec<u8>) -> Response {
        let (turn, faults) = (self.turn.fetch_add(1, Ordering::SeqCst) + 1, *self.faults.lock().unwrap());
        let its_turn = |every: u64| every > 0 && turn.is_multiple_of(every);
        self.note(|book| book.requests += 1);
        let refuse = |status: StatusCode, kind: &str| {
            self.note(|book| book.disturbed += 1);
            let error = json!({"error": {"type": kind, "reason": "disturbed"}, "status": status.as_u16()});
            let headers = [("content-type", "application/json"), ("x-elastic-product", "Elasticsearch")];
            (status, headers, error.to_string()).into_response()
        };
        if faults.max_bytes.is_some_and(|most| body.len() > most) {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception");
        }
        if its_turn(faults.throttled) {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception");
        }
        if its_turn(faults.away) {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception");
        }
        let bytes = body.len() as u64;
        if faults.busy > 0 {
            return self.partly(&call, &body, faults.busy).await;
        }
        let (response, answer) = self.forward(&call, body).await;
        if its_turn(faults.lost) {
            self.note(|book| book.disturbed += 1);
            return broken();
        }
        if response.status().is_success() && !answer.is_empty() {
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            self.note(|book| book.count(&answer, bytes));
        }
        response
    }

    /// Every so many-th operation is refused for now, the others are done.
    async fn partly(&self, call: &Call, body: &[u8], every: u64) -> Response {
        let (mut passed, mut places, mut lines) =
            (Vec::new(), Vec::new(), body.split_inclusive(|b| *b == b'\n'));
        while let Some(line) = lines.next() {
            let action: Value = serde_json::from_slice(line).unwrap();
            let source = if action.get("delete").is_some() { &b""[..] } else { lines.next().unwrap() };
            // Which ones are refused differs from time to time, or one would never come through.
            let refused = (self.turn.load(Ordering::SeqCst) + places.len() as u64).is_multiple_of(every);
            places.push(refused.then_some(action));
            if !refused {
                passed.extend_from_slice(line);
                passed.extend_from_slice(source);
            }
        }
        let mut done = Vec::new().into_iter();
        if !passed.is_empty() {
            let (response, answer) = self.forward(call, passed).await;
            if !response.status().is_success() || answer.is_empty() {
                return response;
            }
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            done = answer["items"].as_array().unwrap().clone().into_iter();
        }
        let items: Vec<Value> = places
            .into_iter()
            .map(|refused| match refused {
                None => done.next().unwrap(),
                Some(action) => {
                    let (name, target) = action.as_object().unwrap().iter().next().unwrap();
                    let error = json!({"type": "es_rejected_execution_exception", "reason": "disturbed"});
                    json!({name: {"_index": self.index, "_id": target["_id"], "status": 429, "error": error}})
                }
            })
            .collect();
        let answer = json!({"took": 1, "errors": true, "items": items});
        self.note(|book| {
            book.disturbed += 1;
            book.count(&answer, body.len() as u64);
        });
        let headers = [("content-type", "application/json"), ("x-elastic-product", "Elasticsearch")];
        (StatusCode::OK, headers, answer.to_string()).into_response()
    }
}

impl Book {
    fn count(&mut self, answer: &Value, bytes: u64) {
        self.bytes += bytes;
        for item in answer["items"].as_array().unwrap() {
            let item = item.as_object().unwrap().values().next().unwrap();
            match (item["result"].as_str(), item["status"].as_u64().unwrap()) {
                (Some("created" | "updated"), _) => self.indexed += 1,
                (Some("deleted"), _) => self.deleted += 1,
                (None, 429) | (Some(_), _) => {}
                (None, _) => self.refused += 1,
            }
        }
    }
}

/// An answer that never ends: the connection breaks.
fn broken() -> Response {
    let error = std::io::Error::other("disturbed");
    let body = futures::stream::iter([Err::<Vec<u8>, _>(error)]);
    ([("x-elastic-product", "Elasticsearch")], Body::from_stream(body)).into_response()
}
