//! A node in this process, over a store in a temporary folder.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use chrono::DateTime;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use tributary_node::{NodeOptions, router};
use tributary_store::{Store, StoreOptions, SyncMode};
use tributary_tasks::ManualClock;

pub(crate) struct World {
    pub(crate) store: Store,
    runtime: Runtime,
    router: Router,
    _dir: TempDir,
}

/// An answer of the node.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl World {
    /// An empty node whose clock stands still.
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        let store = Store::open(StoreOptions::new(dir.path()).sync(SyncMode::None)).expect("a store");
        let mut options = NodeOptions::new(dir.path());
        let noon = DateTime::from_timestamp(1_780_000_000, 0).expect("an instant");
        options.clock = Arc::new(ManualClock::at(noon));
        let router = router(&options, store.clone()).expect("a node");
        drop(_inside);
        Self { store, runtime, router, _dir: dir }
    }

    /// What the node answers. That is never a fault of its own, and an error says its type and status.
    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(Bytes::copy_from_slice(body))).expect("a request");
        let (status, bytes) = self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            (status, response.into_body().collect().await.expect("a body").to_bytes())
        });
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        assert!(status < 500, "{method} {path} answered {status}: {}", String::from_utf8_lossy(&bytes));
        if status >= 400 && body.get("error").is_some_and(Value::is_object) {
            assert_eq!(body["status"], status, "{method} {path}: {body}");
            assert!(body["error"]["type"].is_string() && body["error"]["reason"].is_string(), "{body}");
        }
        Answer { status, body }
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, body.to_string().as_bytes())
    }

    /// Removes all indices that the filter names.
    pub(crate) fn clear(&self, gone: impl Fn(&str) -> bool) {
        for info in self.store.indices() {
            if gone(&info.name) {
                self.store.delete_index(&info.name).expect("an index can be deleted");
            }
        }
    }
}
