//! A server that answers as it is told and remembers what it was asked.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use tributary_client::{Client, ClientOptions, Gzip, RetryPolicy};

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Method and path with query.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }

    pub fn text(&self) -> String {
        let zipped = self.header("content-encoding") == Some("gzip");
        let mut text = String::new();
        if zipped {
            flate2::read::GzDecoder::new(&self.body[..]).read_to_string(&mut text).unwrap();
        } else {
            text.push_str(std::str::from_utf8(&self.body).unwrap());
        }
        text
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text()).unwrap()
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub delay: Duration,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    pub fn json(body: serde_json::Value) -> Self {
        Self::new(200, body.to_string())
    }

    pub fn fault(status: u16, es_type: &str, reason: &str) -> Self {
        let error = serde_json::json!({"type": es_type, "reason": reason});
        Self::new(status, serde_json::json!({"error": error, "status": status}).to_string())
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

#[derive(Default)]
struct Book {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
}

/// The server; it stops when this is dropped.
pub struct Server {
    pub url: String,
    book: Arc<Mutex<Book>>,
    task: tokio::task::JoinSet<()>,
}

impl Server {
    /// Answers these in order, then `{}`.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let book = Book { answers: answers.into_iter().collect(), asked: Vec::new() };
        let book = Arc::new(Mutex::new(book));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(book.clone());
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, book, task }
    }

    pub fn then(&self, answer: Answer) {
        self.book.lock().unwrap().answers.push_back(answer);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.book.lock().unwrap().asked.clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// A client of this server that tries again fast.
    pub fn client(&self) -> Client {
        Client::new(fast([&self.url])).unwrap()
    }

    pub async fn stop(mut self) {
        self.task.shutdown().await;
    }
}

/// Options with short pauses.
pub fn fast<'a>(hosts: impl IntoIterator<Item = &'a String>) -> ClientOptions {
    let mut options = ClientOptions::new(hosts.into_iter().cloned());
    options.retry = RetryPolicy {
        budget: Duration::from_secs(5),
        base: Duration::from_millis(2),
        cap: Duration::from_millis(20),
        on_timeout: true,
    };
    options.gzip = Gzip::Auto;
    options
}

async fn answer(
    State(book): State<Arc<Mutex<Book>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answer = {
        let mut book = book.lock().unwrap();
        book.asked.push(Asked { method, uri, headers, body });
        book.answers.pop_front().unwrap_or_else(|| Answer::new(200, "{}"))
    };
    tokio::time::sleep(answer.delay).await;
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap())
        .header("content-type", "application/json")
        .header("x-elastic-product", "Elasticsearch");
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}
