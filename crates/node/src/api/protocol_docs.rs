//! How the Connector, Sync Job and Service APIs read and write the protocol's documents: each write is one step of the
//! store, so that no two of them race, and visible to searches when it is answered.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_protocol::{Change, Outcome, ProtocolError, mappings};
use tributary_store::{
    Action, Doc, ErrorKind, Hit, Query, SearchRequest, SortKey, StoreError, TrackTotal, UpdateAction,
    WriteOp, WriteResult,
};

use crate::http::{ApiError, Params, Reply, Result};
use crate::node::Node;

/// Jobs and connectors that a list shows unless asked otherwise.
const PAGE: i32 = 100;
/// About what a connector takes as JSON, so that memory need not grow while one is written.
const USUAL_BYTES: usize = 2 << 10;

/// The two kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Connectors,
    SyncJobs,
}

impl Kind {
    fn alias(self) -> &'static str {
        match self {
            Self::Connectors => mappings::CONNECTORS_ALIAS,
            Self::SyncJobs => mappings::SYNC_JOBS_ALIAS,
        }
    }

    /// The index that is made when there is none.
    pub(super) fn concrete(self) -> &'static str {
        match self {
            Self::Connectors => mappings::CONNECTORS_INDEX,
            Self::SyncJobs => mappings::SYNC_JOBS_INDEX,
        }
    }
}

/// What becomes of a document.
#[derive(Debug)]
pub(super) enum Decision {
    Write(Change),
    Remove,
}

/// Why nothing becomes of it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A rule of the protocol.
    Rule(ProtocolError),
    /// There is no such document; told as a document update tells it.
    Missing,
}

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        Self::Rule(error)
    }
}

impl Node {
    /// The index behind the alias, if it exists.
    pub(super) fn protocol_index(&self, kind: Kind) -> Option<String> {
        let index = self.store.write_index(kind.alias()).or_else(|| self.store.write_index(kind.concrete()));
        index.map(|index| index.name().to_owned())
    }

    /// The index behind the alias; it is created when missing.
    pub(super) async fn ensure_protocol_index(&self, kind: Kind) -> Result<String> {
        match self.protocol_index(kind) {
            Some(index) => Ok(index),
            None => Ok(self.target(kind.alias(), false).await?.index),
        }
    }

    /// A document's source as it is now.
    pub(super) async fn protocol_source(&self, index: String, id: &str) -> Result<Option<Value>> {
        let id = id.to_owned();
        let found = self.blocking(move |store| Ok(store.get(&index, &id)?)).await?;
        Ok(found.as_ref().map(source).transpose()?)
    }

    /// Writes one document and makes it visible.
    pub(super) async fn protocol_write(&self, op: WriteOp) -> Result<WriteResult> {
        let index = op.index.clone();
        let written = self.store.write(vec![op]).await.pop().unwrap_or_else(|| Err(StoreError::closed()))?;
        self.store.refresh(&[index]).await?;
        Ok(written)
    }

    /// Creates or replaces a document.
    pub(super) async fn protocol_put(
        &self,
        index: String,
        id: Option<String>,
        source: &Value,
    ) -> Result<WriteResult> {
        self.protocol_write(WriteOp::new(index, id, Action::Index(bytes(source)?))).await
    }

    /// Decides about a document and does it, with nobody in between.
    pub(super) async fn protocol_update(
        &self,
        index: String,
        id: &str,
        decide: impl Fn(Option<Value>) -> Result<Decision, Refusal> + Send + 'static,
    ) -> Result<Outcome> {
        let refused: Arc<Mutex<Option<ProtocolError>>> = Arc::default();
        let told = Arc::clone(&refused);
        let parsed = Arc::clone(&self.parsed);
        let name = id.to_owned();
        let step = move |doc: Option<&Doc>| {
            let known = |doc: &Doc| parsed.take(&name, &doc.source).map_or_else(|| source(doc), Ok);
            let stored = doc.map(known).transpose()?;
            let decided = decide(stored);
            // Only the last answer counts.
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = None;
            match decided {
                Ok(Decision::Remove) => Ok(UpdateAction::Delete),
                Ok(Decision::Write(change)) if change.outcome == Outcome::Noop => Ok(UpdateAction::Noop),
                Ok(Decision::Write(change)) => {
                    let written = bytes(&change.source)?;
                    parsed.keep(&name, written.clone(), change.source);
                    Ok(UpdateAction::Put(written))
                }
                Err(Refusal::Missing) => {
                    Err(StoreError::new(ErrorKind::DocumentMissing, format!("[{name}]: document missing")))
                }
                Err(Refusal::Rule(error)) => {
                    *told = Some(error);
                    Err(StoreError::illegal("refused by a rule of the protocol"))
                }
            }
        };
        let op = WriteOp::new(index, Some(id.to_owned()), Action::Update(Box::new(step)));
        match self.protocol_write(op).await {
            Ok(written) if written.result == tributary_store::Outcome::Noop => Ok(Outcome::Noop),
            Ok(_) => Ok(Outcome::Updated),
            Err(error) => Err(refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
                .map_or(error, ApiError::from)),
        }
    }

    /// A page of documents as lists show them.
    pub(super) async fn protocol_list(
        &self,
        kind: Kind,
        query: Value,
        sort: SortKey,
        page: Page,
    ) -> Result<Listed> {
        let Some(index) = self.protocol_index(kind) else { return Ok(Listed::default()) };
        let mut request = SearchRequest::new(vec![index]);
        request.query = Query::parse(&query)?;
        request.sort = vec![sort];
        request.from = page.from;
        request.size = page.size;
        request.track_total_hits = TrackTotal::UpTo(10_000);
        request.now_ms = Some(self.now_ms());
        let found = self.store.search(request).await?;
        let results = found.hits.iter().map(shown_hit).collect::<Result<_>>()?;
        Ok(Listed { count: found.total.map_or(0, |total| total.value), results })
    }
}

/// `{"result"}`.
pub(super) fn result(outcome: Outcome) -> Reply {
    Reply::ok(json!({"result": outcome.as_str()}))
}

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    from: usize,
    size: usize,
}

impl Page {
    /// The parameters `from` and `size`.
    pub(super) fn of(params: &Params) -> Result<Self> {
        let read = |name: &str, default: i32| {
            let number = params.int(name)?.unwrap_or(default);
            usize::try_from(number)
                .map_err(|_| ApiError::illegal(format!("Parameter [{name}] cannot be < 0")))
        };
        Ok(Self { from: read("from", 0)?, size: read("size", PAGE)? })
    }
}

/// What a list found.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) count: u64,
    pub(super) results: Vec<Value>,
}

impl Listed {
    pub(super) fn reply(self) -> Reply {
        Reply::ok(json!({"count": self.count, "results": self.results}))
    }
}

/// A document as it is shown: its id, then its source as it is stored.
pub(super) fn shown(id: &str, source: Value) -> Value {
    let mut shown = Map::new();
    shown.insert("id".into(), id.into());
    if let Value::Object(source) = source {
        shown.extend(source.into_iter().filter(|(key, _)| key != "id"));
    }
    Value::Object(shown)
}

fn shown_hit(hit: &Hit) -> Result<Value> {
    let source = hit.source.as_ref().map_or(Ok(Value::Null), |bytes| parse(&hit.id, bytes))?;
    Ok(shown(&hit.id, source))
}

fn source(doc: &Doc) -> Result<Value, StoreError> {
    parse(&doc.id, &doc.source)
}

/// Much faster than printing the value, which goes through a formatter piece by piece.
fn bytes(source: &Value) -> Result<Bytes, StoreError> {
    let mut written = Vec::with_capacity(USUAL_BYTES);
    let outcome = serde_json::to_writer(&mut written, source);
    outcome.map_err(|error| StoreError::new(ErrorKind::Internal, error.to_string()))?;
    Ok(written.into())
}

fn parse(id: &str, bytes: &Bytes) -> Result<Value, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        StoreError::new(
            ErrorKind::DocumentParsing,
            format!("the stored document [{id}] cannot be read: {error}"),
        )
    })
}
