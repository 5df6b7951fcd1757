//! A node without a listener, over a store in a temporary folder.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)]

pub mod live;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use tributary_node::{NodeOptions, Security, router};
use tributary_store::{Action, CreateIndex, Store, StoreOptions, SyncMode, WriteOp};

pub struct Kit {
    pub store: Store,
    router: Router,
    auth: Option<String>,
    accept: Option<&'static str>,
    /// Goes after the store, which writes to it until then.
    dir: TempDir,
}

impl Kit {
    /// A node that lets everybody in.
    pub fn open() -> Self {
        Self::with(Security::default(), None)
    }

    /// A node with the user `elastic`, password `changeme`; calls are that user's.
    pub fn secured() -> Self {
        Self::with(Security::with_user("elastic", "changeme"), Some(basic("elastic", "changeme")))
    }

    fn with(security: Security, auth: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path()).sync(SyncMode::None)).unwrap();
        let router = router(&NodeOptions::new(dir.path()).security(security), store.clone()).unwrap();
        Self { dir, store, router, auth, accept: None }
    }

    /// A node in front of the same folder, as after a restart.
    pub fn reopened(self, security: Security) -> Self {
        let Self { dir, store, router: old, auth, accept } = self;
        drop(old);
        store.close();
        drop(store);
        let store = Store::open(StoreOptions::new(dir.path()).sync(SyncMode::None)).unwrap();
        let router = router(&NodeOptions::new(dir.path()).security(security), store.clone()).unwrap();
        Self { dir, store, router, auth, accept }
    }

    /// Sends the following calls with this `Authorization`.
    pub fn auth(&mut self, value: Option<String>) -> &mut Self {
        self.auth = value;
        self
    }

    /// Sends the following calls with this `Accept`.
    pub fn accept(&mut self, value: &'static str) -> &mut Self {
        self.accept = Some(value);
        self
    }

    /// An index with these documents, each with its id, visible to search.
    pub async fn index(&self, name: &str, mappings: Value, docs: &[(&str, Value)]) {
        let spec =
            CreateIndex { settings: json!({"number_of_replicas": 0}), mappings, ..CreateIndex::default() };
        self.store.create_index(name, spec).unwrap();
        self.put(name, docs).await;
    }

    /// Writes documents and makes them visible.
    pub async fn put(&self, name: &str, docs: &[(&str, Value)]) {
        let op = |(id, doc): &(&str, Value)| {
            WriteOp::new(name, Some((*id).to_owned()), Action::Index(doc.to_string().into()))
        };
        for result in self.store.write(docs.iter().map(op).collect()).await {
            result.unwrap();
        }
        self.store.refresh(&[name.to_owned()]).await.unwrap();
    }

    async fn send(&self, method: &str, path: &str, body: Body, typed: bool) -> (u16, String, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(auth) = &self.auth {
            request = request.header(AUTHORIZATION, auth);
        }
        if let Some(accept) = self.accept {
            request = request.header(ACCEPT, accept);
        }
        if typed {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let product = response.headers().get("x-elastic-product");
        assert!(product.is_some_and(|name| name == "Elasticsearch") || matches!(status, 401 | 403));
        let media = response
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        (status, media, bytes)
    }

    /// A call without a body.
    pub async fn call(&self, method: &str, path: &str) -> (u16, Value) {
        let (status, _, bytes) = self.send(method, path, Body::empty(), false).await;
        (status, parsed(&bytes))
    }

    /// A call with a JSON body.
    pub async fn json(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, _, bytes) = self.send(method, path, Body::from(body.to_string()), true).await;
        (status, parsed(&bytes))
    }

    /// A call with any body, typed as JSON.
    pub async fn raw(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, bytes) = self.send(method, path, Body::from(body.to_owned()), true).await;
        (status, parsed(&bytes))
    }

    /// A call with these headers and bytes; its status, headers and bytes.
    pub async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> (u16, http::HeaderMap, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into();
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// The status, media type and text of an answer.
    pub async fn text(&self, path: &str) -> (u16, String, String) {
        let (status, media, bytes) = self.send("GET", path, Body::empty(), false).await;
        (status, media, String::from_utf8(bytes).unwrap())
    }

    /// Makes an API key; returns its id and the header that uses it.
    pub async fn key(&self, roles: Value) -> (String, String) {
        let (status, key) =
            self.json("POST", "/_security/api_key", json!({"name": "k", "role_descriptors": roles})).await;
        assert_eq!(status, 200, "{key}");
        let encoded = key["encoded"].as_str().unwrap();
        (key["id"].as_str().unwrap().to_owned(), format!("ApiKey {encoded}"))
    }
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn parsed(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
    }
}

/// The ids of the hits.
pub fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"]["hits"]
        .as_array()
        .unwrap_or_else(|| panic!("no hits in {answer}"))
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap())
        .collect()
}

/// The answer without what differs from run to run.
pub fn steady(mut answer: Value) -> Value {
    if answer.get("took").is_some() {
        answer["took"] = json!(0);
    }
    answer
}

/// Type and reason of an error.
pub fn error(answer: &Value) -> (&str, &str) {
    (answer["error"]["type"].as_str().unwrap_or(""), answer["error"]["reason"].as_str().unwrap_or(""))
}

impl Kit {
    /// `count` documents with the ids and numbers `n` from 0, visible to search.
    pub async fn put_all(&self, name: &str, count: usize) {
        let ids: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let docs: Vec<(&str, Value)> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| (id.as_str(), json!({"n": n, "t": format!("doc {n}")})))
            .collect();
        self.index(name, json!({}), &docs).await;
    }
}
