//! The plain data that callers exchange with the store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::error::StoreError;
use crate::state::Meta;

/// How hard the store works to keep an acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// A write is acknowledged after `fsync`: it survives power loss.
    #[default]
    Fsync,
    /// A write is acknowledged when the operating system has it: survives `kill -9`, not power loss. For tests.
    None,
}

/// How to open a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The data folder; created when missing.
    pub path: PathBuf,
    /// Memory for blocks read from disk. Default 16 MiB.
    pub cache_bytes: usize,
    /// Durability of acknowledged writes. Default [`SyncMode::Fsync`].
    pub sync: SyncMode,
    /// Memory of one search index writer while it is in use. Default and least 15 MiB.
    pub index_buffer_bytes: usize,
    /// Bytes of documents accepted but not yet durable; further writers wait. Default 16 MiB.
    pub in_flight_bytes: usize,
    /// Documents that may be durable but not yet in the search index; further writers wait. Default 200,000.
    pub max_search_lag: u64,
    /// Free bytes on the disk below which writes are refused. Default 64 MiB.
    pub min_free_bytes: u64,
    /// Points in time that may be open at once. Default 500.
    pub max_open_pits: usize,
    /// Searches that run at once; more wait. Default 8.
    pub max_concurrent_searches: usize,
}

impl StoreOptions {
    /// The defaults for a folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes: 16 << 20,
            sync: SyncMode::Fsync,
            index_buffer_bytes: 15 << 20,
            in_flight_bytes: 16 << 20,
            max_search_lag: 200_000,
            min_free_bytes: 64 << 20,
            max_open_pits: 500,
            max_concurrent_searches: 8,
        }
    }

    /// Sets [`StoreOptions::sync`].
    #[must_use]
    pub fn sync(mut self, sync: SyncMode) -> Self {
        self.sync = sync;
        self
    }
}

/// What a new index is made of.
#[derive(Debug, Clone, Default)]
pub struct CreateIndex {
    /// Settings as Elasticsearch takes them: nested, dotted, with or without `index.`.
    pub settings: Value,
    /// Mappings in Elasticsearch's form (`{"properties": ...}`), or null.
    pub mappings: Value,
    /// Alias name to alias properties.
    pub aliases: Map<String, Value>,
}

/// One index as it is now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IndexInfo {
    /// The concrete name.
    pub name: String,
    /// 22 characters, unique.
    pub uuid: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// The content of `settings.index`, nested, values as strings, as Elasticsearch shows them.
    pub settings: Value,
    /// Mappings in Elasticsearch's form, including fields added dynamically. `{}` when nothing is mapped.
    pub mappings: Value,
    /// Alias name to alias properties.
    pub aliases: Map<String, Value>,
    /// Live documents, including those not yet visible to search.
    pub doc_count: u64,
    /// Documents deleted or replaced since the index was created.
    pub deleted: u64,
    /// The highest sequence number given out; `None` before the first write.
    pub max_seq_no: Option<u64>,
    /// Whether wildcards skip it unless asked (`index.hidden`, or a name that begins with a dot).
    pub hidden: bool,
}

/// What a write needs to know of an index. Cheap to have, unlike all of [`IndexInfo`].
#[derive(Debug, Clone)]
pub struct WriteIndex {
    pub(crate) name: String,
    pub(crate) meta: Arc<Meta>,
}

impl WriteIndex {
    /// The concrete name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its aliases.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.meta.aliases.keys().map(String::as_str)
    }

    /// A setting by its name without `index.`, where it was set.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.meta.settings.text(name)
    }
}

/// How [`crate::Store::resolve`] treats what is missing.
#[derive(Debug, Clone, Copy)]
pub struct ResolveOptions {
    /// A missing name is skipped instead of an error.
    pub ignore_unavailable: bool,
    /// A wildcard that matches nothing is no error.
    pub allow_no_indices: bool,
    /// Wildcards match hidden indices too.
    pub expand_hidden: bool,
}

impl Default for ResolveOptions {
    fn default() -> Self {
        Self { ignore_unavailable: false, allow_no_indices: true, expand_hidden: false }
    }
}

/// One stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// `_id`.
    pub id: String,
    /// `_seq_no`, unique and growing within the index.
    pub seq_no: u64,
    /// `_primary_term`; always 1.
    pub primary_term: u64,
    /// `_version`, 1 for a new document.
    pub version: u64,
    /// `_source`, byte for byte as written.
    pub source: Bytes,
}

/// How a `version` in a condition is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionType {
    /// The given version must be greater than the stored one and becomes the document's version.
    External,
    /// As `External`, but equal is allowed too.
    ExternalGte,
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Condition {
    /// The document's `_seq_no` must be this.
    pub if_seq_no: Option<u64>,
    /// The document's `_primary_term` must be this.
    pub if_primary_term: Option<u64>,
    /// An external version and how it is compared.
    pub version: Option<(u64, VersionType)>,
}

/// What an update decides after it has seen the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateAction {
    /// Store this source.
    Put(Bytes),
    /// Change nothing.
    Noop,
    /// Remove the document.
    Delete,
}

/// Decides an update, with the current document (`None` when there is none). It may be asked more than once: first on the
/// caller's thread, about the document as it was lately, and again on the writer's, serialised with all other writes, when
/// the document has changed since. Only the last answer counts. Keep it short.
pub type UpdateFn = Box<dyn Fn(Option<&Doc>) -> Result<UpdateAction, StoreError> + Send>;

/// The kind of a write.
pub enum Action {
    /// Create or replace.
    Index(Bytes),
    /// Create; a document with this id is a conflict.
    Create(Bytes),
    /// Remove.
    Delete,
    /// Read, decide, write, as one step.
    Update(UpdateFn),
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(source) => write!(f, "Index({} bytes)", source.len()),
            Self::Create(source) => write!(f, "Create({} bytes)", source.len()),
            Self::Delete => f.write_str("Delete"),
            Self::Update(_) => f.write_str("Update(..)"),
        }
    }
}

/// One write.
#[derive(Debug)]
pub struct WriteOp {
    /// The concrete index's name.
    pub index: String,
    /// The document's id; `None` lets the store make one of 20 URL-safe characters.
    pub id: Option<String>,
    /// What to do.
    pub action: Action,
    /// What must hold.
    pub condition: Condition,
}

impl WriteOp {
    /// An unconditional write.
    pub fn new(index: impl Into<String>, id: Option<String>, action: Action) -> Self {
        Self { index: index.into(), id, action, condition: Condition::default() }
    }
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new document.
    Created,
    /// The document was replaced.
    Updated,
    /// The document is gone.
    Deleted,
    /// A delete of a document that was not there.
    NotFound,
    /// An update that changed nothing.
    Noop,
}

impl Outcome {
    /// Elasticsearch's word in `result`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::NotFound => "not_found",
            Self::Noop => "noop",
        }
    }
}

/// The answer to one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteResult {
    /// The document's id, given or made.
    pub id: String,
    /// The concrete index.
    pub index: String,
    /// The write's sequence number (the document's present one for a noop).
    pub seq_no: u64,
    /// Always 1.
    pub primary_term: u64,
    /// The document's version after the write.
    pub version: u64,
    /// What happened.
    pub result: Outcome,
}
