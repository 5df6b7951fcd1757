//! Stands between workers and the cluster: lets every request through, late at random, and writes it down.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest_of_elasticsearch::Client;
use serde_json::Value;

use super::history::{Event, Outcome, What};

const JOBS: &str = "/.elastic-connectors-sync-jobs/_update/";
const LARGEST: usize = 64 << 20;

/// What all workers' requests go through.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Shared>);

struct Shared {
    target: String,
    http: Client,
    begun: Instant,
    /// Longest delay of a request, and of an answer.
    delay: Duration,
    log: Mutex<Log>,
}

struct Log {
    rng: StdRng,
    clock: u64,
    events: Vec<Event>,
    /// Writes of jobs in a form that is not known here.
    strange: Vec<String>,
    requests: u64,
    /// Workers that have asked for anything yet.
    heard: HashSet<usize>,
    /// Jobs that each worker has ended.
    ended: HashMap<usize, usize>,
}

impl Recorder {
    pub(crate) fn new(target: &str, seed: u64, delay: Duration) -> Self {
        let log = Log {
            rng: StdRng::seed_from_u64(seed),
            clock: 0,
            events: Vec::new(),
            strange: Vec::new(),
            requests: 0,
            heard: HashSet::new(),
            ended: HashMap::new(),
        };
        Self(Arc::new(Shared {
            target: target.to_owned(),
            http: Client::builder().timeout(Duration::from_secs(60)).build().unwrap(),
            begun: Instant::now(),
            delay,
            log: Mutex::new(log),
        }))
    }

    /// An address of the cluster for one worker.
    pub(crate) async fn door(&self, worker: usize) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(pass).with_state((self.clone(), worker));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// What was seen so far: events, what could not be understood, requests of all kinds.
    pub(crate) fn history(&self) -> (Vec<Event>, Vec<String>, u64) {
        let log = self.0.log.lock().unwrap();
        (log.events.clone(), log.strange.clone(), log.requests)
    }

    /// Whether the worker has asked for anything yet.
    pub(crate) fn has_heard(&self, worker: usize) -> bool {
        self.0.log.lock().unwrap().heard.contains(&worker)
    }

    /// Jobs that the worker has ended.
    pub(crate) fn ended(&self, worker: usize) -> usize {
        self.0.log.lock().unwrap().ended.get(&worker).copied().unwrap_or_default()
    }

    /// Milliseconds since it stands there.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap()
    }

    /// Whether a job was claimed by a second worker already.
    pub(crate) fn claimed_twice(&self) -> bool {
        let log = self.0.log.lock().unwrap();
        let mut claimed = HashMap::new();
        log.events.iter().any(|event| match &event.what {
            What::Job { job, token: Some(_), .. } if matches!(event.outcome, Outcome::Done(..)) => {
                *claimed.entry(job).or_insert(event.worker) != event.worker
            }
            _ => false,
        })
    }

    fn pause(&self) -> Duration {
        let mut log = self.0.log.lock().unwrap();
        let late = log.rng.random_bool(0.2);
        if late { self.0.delay.mul_f64(log.rng.random_range(0.0..1.0)) } else { Duration::ZERO }
    }

    /// The next place in the order of all requests and answers, and the time.
    fn tick(&self) -> (u64, u64) {
        let mut log = self.0.log.lock().unwrap();
        log.clock += 1;
        (log.clock, self.now())
    }

    async fn forward(self, worker: usize, parts: Parts, body: Bytes) -> Response {
        let path = parts.uri.path().to_owned();
        let what = self.what(&parts, &path, &body);
        self.0.log.lock().unwrap().heard.insert(worker);
        // It counts from the moment when the worker has sent it.
        let begun = self.tick();
        tokio::time::sleep(self.pause()).await;
        let url =
            format!("{}{}", self.0.target, parts.uri.path_and_query().map_or("/", |path| path.as_str()));
        let mut request = self.0.http.request(parts.method, url).body(body);
        for (name, value) in &parts.headers {
            if !matches!(name.as_str(), "host" | "content-length" | "connection") {
                request = request.header(name, value);
            }
        }
        let answer = match request.send().await {
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers().clone());
                answer.bytes().await.ok().map(|body| (status, headers, body))
            }
            Err(_) => None,
        };
        let ended = self.tick();
        if let Some(what) = what {
            let outcome =
                answer.as_ref().map_or(Outcome::Unknown, |(status, _, body)| outcome(*status, body));
            let event =
                Event { worker, what, begun: begun.0, ended: ended.0, at: (begun.1, ended.1), outcome };
            let mut log = self.0.log.lock().unwrap();
            *log.ended.entry(worker).or_default() += usize::from(event.is_end());
            log.events.push(event);
        }
        tokio::time::sleep(self.pause()).await;
        let Some((status, headers, body)) = answer else {
            return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap();
        };
        let mut response = Response::builder().status(status);
        for (name, value) in &headers {
            if !matches!(name.as_str(), "transfer-encoding" | "connection" | "content-length") {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(body)).unwrap()
    }

    fn what(&self, parts: &Parts, path: &str, body: &Bytes) -> Option<What> {
        let mut log = self.0.log.lock().unwrap();
        log.requests += 1;
        if let Some(job) = path.strip_prefix(JOBS) {
            let body: Value = serde_json::from_slice(body).unwrap();
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let (status, metadata) = (text(&body["doc"]["status"]), &body["doc"]["metadata"]["tributary"]);
            return Some(What::Job { job: job.to_owned(), status, token: text(&metadata["token"]) });
        }
        if let Some(index) = path.strip_suffix("/_bulk") {
            return Some(What::Data { index: index.trim_start_matches('/').to_owned() });
        }
        let reads = ["_search", "_mget", "_count", "_refresh", "_pit", "_doc"];
        let read = parts.method == "GET" || reads.iter().any(|read| path.contains(read));
        if !read && (path.contains("sync_job") || path.contains("sync-jobs/")) {
            log.strange.push(format!("{} {path}", parts.method));
        }
        None
    }
}

fn outcome(status: StatusCode, body: &[u8]) -> Outcome {
    if matches!(status.as_u16(), 502 | 504) {
        return Outcome::Unknown;
    }
    if !status.is_success() {
        return Outcome::Refused;
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    Outcome::Done(body["_primary_term"].as_u64().unwrap_or(0), body["_seq_no"].as_u64().unwrap_or(0))
}

async fn pass(State((recorder, worker)): State<(Recorder, usize)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        // It died while it sent this: the cluster sees nothing of it.
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Body::empty()).unwrap();
    };
    // Goes on when the worker dies, as what was sent does.
    tokio::spawn(recorder.forward(worker, parts, body)).await.unwrap()
}
