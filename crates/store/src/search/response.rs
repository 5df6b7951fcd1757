//! What a search found.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The number of documents that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The count, exact or a lower bound.
    pub value: u64,
    /// Whether `value` is exact (`eq`) or a lower bound (`gte`).
    pub exact: bool,
}

/// The answer to a search.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchResponse {
    /// Milliseconds spent.
    pub took_ms: u64,
    /// How many indices were searched (Elasticsearch's `_shards.total` with one shard each).
    pub shards: usize,
    /// `None` when not tracked.
    pub total: Option<Total>,
    /// The best score, when scores were computed.
    pub max_score: Option<f32>,
    /// The hits in order.
    pub hits: Vec<Hit>,
    /// The content of `aggregations`, when asked for.
    pub aggregations: Option<Map<String, Value>>,
    /// The point in time that was used.
    pub pit_id: Option<String>,
    /// Whether an index had more than `terminate_after` documents, where that was asked for.
    pub terminated_early: Option<bool>,
}

/// One hit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hit {
    /// The concrete index.
    pub index: String,
    /// `_id`.
    pub id: String,
    /// `_score`; `None` when sorted by something else.
    pub score: Option<f32>,
    /// `_version`, if asked for.
    pub version: Option<u64>,
    /// `_seq_no`, if asked for.
    pub seq_no: Option<u64>,
    /// `_primary_term`, if asked for.
    pub primary_term: Option<u64>,
    /// The (filtered) source; `None` when not wanted.
    pub source: Option<Bytes>,
    /// The content of `fields`.
    pub fields: Option<Map<String, Value>>,
    /// The content of `highlight`.
    pub highlight: Option<Map<String, Value>>,
    /// The sort values, when sorted.
    pub sort: Option<Vec<Value>>,
    /// The names of the queries it matches, where any has a name.
    pub matched_queries: Vec<String>,
}
