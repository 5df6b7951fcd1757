//! What the tests of the store share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::new_without_default
)]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tributary_store::{
    Action, CreateIndex, Result, SearchRequest, SearchResponse, Store, StoreOptions, SyncMode, WriteOp,
    WriteResult,
};

/// A store in a folder of its own.
pub struct Fixture {
    pub store: Store,
    pub dir: TempDir,
}

pub fn options(dir: &TempDir) -> StoreOptions {
    StoreOptions::new(dir.path()).sync(SyncMode::None)
}

impl Fixture {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self { store: Store::open(options(&dir)).unwrap(), dir }
    }

    /// A store with one index.
    pub fn with_index(index: &str, mappings: Value) -> Self {
        let fixture = Self::new();
        fixture.create(index, mappings);
        fixture
    }

    pub fn create(&self, index: &str, mappings: Value) {
        self.store.create_index(index, CreateIndex { mappings, ..CreateIndex::default() }).unwrap();
    }

    /// Closes the store and opens it again.
    pub fn reopen(&mut self) {
        self.store.close();
        self.store = Store::open(options(&self.dir)).unwrap();
    }

    pub async fn write(&self, op: WriteOp) -> Result<WriteResult> {
        self.store.write(vec![op]).await.remove(0)
    }

    pub async fn put(&self, index: &str, id: &str, source: Value) -> Result<WriteResult> {
        self.write(index_op(index, id, &source)).await
    }

    /// Writes documents `1`, `2` and so on and makes them visible.
    pub async fn fill(&self, index: &str, sources: &[Value]) {
        let ops = sources
            .iter()
            .enumerate()
            .map(|(at, source)| index_op(index, &(at + 1).to_string(), source))
            .collect();
        for result in self.store.write(ops).await {
            result.unwrap();
        }
        self.refresh(index).await;
    }

    pub async fn refresh(&self, index: &str) {
        self.store.refresh(&[index.to_owned()]).await.unwrap();
    }

    pub async fn search(&self, index: &str, body: Value) -> Result<SearchResponse> {
        let mut request = SearchRequest::parse(&body)?;
        request.indices = vec![index.to_owned()];
        self.store.search(request).await
    }

    /// The ids a query finds, in the order of the index.
    pub async fn ids(&self, index: &str, query: Value) -> Vec<String> {
        let body = json!({"query": query, "size": 1000, "sort": ["_doc"]});
        ids(&self.search(index, body).await.unwrap())
    }
}

pub fn index_op(index: &str, id: &str, source: &Value) -> WriteOp {
    WriteOp::new(index, Some(id.to_owned()), Action::Index(source.to_string().into()))
}

pub fn ids(response: &SearchResponse) -> Vec<String> {
    response.hits.iter().map(|hit| hit.id.clone()).collect()
}

/// Where two JSON values differ; numbers may differ by rounding.
pub fn difference(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    let differ = || Some(format!("at {path}: wanted {wanted}, found {found}"));
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            let names = |object: &Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            if names(a) != names(b) {
                return Some(format!("at {path}: wanted members {:?}, found {:?}", names(a), names(b)));
            }
            a.iter().find_map(|(name, value)| difference(&format!("{path}.{name}"), value, &b[name]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            let (a, b) = (a.as_f64()?, b.as_f64()?);
            if (a - b).abs() <= a.abs().max(b.abs()) * 1e-12 { None } else { differ() }
        }
        (a, b) if a == b => None,
        _ => differ(),
    }
}

/// The most memory the process ever had, in MB.
#[cfg(target_os = "linux")]
pub fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
