//! A search as the caller states it.

use serde_json::Value;

use crate::error::Result;
use crate::query::Query;

/// How exactly the number of hits is counted (`track_total_hits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackTotal {
    /// Exactly (`true`).
    Exact,
    /// Exactly up to this number (the default, 10,000).
    UpTo(u64),
    /// Not at all (`false`).
    No,
}

/// A part of the source (`_source` in a search body, `_source*` parameters of a get).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFilter {
    /// `false` leaves the source out altogether.
    pub enabled: bool,
    /// Patterns to keep; empty keeps all.
    pub includes: Vec<String>,
    /// Patterns to leave out.
    pub excludes: Vec<String>,
}

/// A search: which indices, what matches, in which order, and what of it is wanted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchRequest {
    /// Concrete index names (see [`crate::Store::resolve`]). Ignored with a point in time.
    pub indices: Vec<String>,
    /// What matches; default everything.
    pub query: Query,
    /// Restricts the hits but not the aggregations.
    pub post_filter: Option<Query>,
    /// Those of `fields` whose values must be kept in columns (patterns).
    pub columns: Vec<String>,
    /// A further restriction that does not score, for example document-level security.
    pub filter: Option<Query>,
    /// Hits to skip.
    pub from: usize,
    /// Hits to return, default 10.
    pub size: usize,
    /// Sort keys; empty means by score.
    pub sort: Vec<SortKey>,
    /// Values of the last hit of the previous page.
    pub search_after: Option<Vec<Value>>,
    /// How exactly to count.
    pub track_total_hits: TrackTotal,
    /// `track_scores`.
    pub track_scores: bool,
    /// Which part of the source to return.
    pub source: SourceFilter,
    /// Whether the body asked for `_source` explicitly.
    pub source_given: bool,
    /// `fields` and `docvalue_fields`.
    pub fields: Vec<FieldRequest>,
    /// Whether `stored_fields` was given (it switches the source off).
    pub stored_fields: Option<Vec<String>>,
    /// Return `_version`.
    pub version: bool,
    /// Return `_seq_no` and `_primary_term`.
    pub seq_no_primary_term: bool,
    /// Of each index, look at no more than this many documents.
    pub terminate_after: Option<u64>,
    /// Queries with a name, of which each hit tells whether it matches them.
    pub named: Vec<(String, Query)>,
    /// The least score.
    pub min_score: Option<f32>,
    /// `highlight`.
    pub highlight: Option<HighlightRequest>,
    /// `aggs`.
    pub aggs: Vec<crate::aggs::AggRequest>,
    /// Whether the names of aggregations' answers begin with their type and `#`.
    pub typed_keys: bool,
    /// The id of a point in time, from [`crate::Store::open_pit`].
    pub pit: Option<String>,
    /// A new keep-alive for that point in time, milliseconds.
    pub pit_keep_alive_ms: Option<u64>,
    /// The time that `now` means in date math, milliseconds since 1970; `None` takes the clock.
    pub now_ms: Option<i64>,
}

/// One key of the sort order.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// A field's path, or `_score`, `_doc`, `_shard_doc`, `_id`, `_seq_no`.
    pub field: String,
    /// Largest first.
    pub descending: bool,
    /// Where documents without a value go.
    pub missing: Missing,
    /// `min` or `max` of several values; `None` follows the order.
    pub mode: Option<SortMode>,
    /// The type an unmapped field is taken to have; without it an unmapped field is an error.
    pub unmapped_type: Option<String>,
    /// `format` for dates in the sort values.
    pub format: Option<String>,
}

impl SortKey {
    /// Ascending by this field (descending for `_score`), missing last.
    pub fn new(field: impl Into<String>) -> Self {
        let field = field.into();
        let descending = field == "_score";
        Self { field, descending, missing: Missing::Last, mode: None, unmapped_type: None, format: None }
    }
}

/// Where documents without a value are sorted.
#[derive(Debug, Clone, PartialEq)]
pub enum Missing {
    /// After all others, whatever the order.
    Last,
    /// Before all others.
    First,
    /// As if they had this value.
    Value(Value),
}

/// Which of several values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortMode {
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The middle one.
    Median,
}

/// One entry of `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRequest {
    /// A path, `*` allowed.
    pub pattern: String,
    /// Date format.
    pub format: Option<String>,
}

/// `highlight`.
#[derive(Debug, Clone)]
pub struct HighlightRequest {
    /// The fields (patterns) and what differs for each.
    pub fields: Vec<HighlightField>,
}

/// One highlighted field with its settings resolved.
#[derive(Debug, Clone)]
pub struct HighlightField {
    /// A path, `*` allowed.
    pub pattern: String,
    /// Text before a hit.
    pub pre_tag: String,
    /// Text after a hit.
    pub post_tag: String,
    /// About how many characters a fragment has.
    pub fragment_size: usize,
    /// How many fragments; 0 returns the whole field.
    pub number_of_fragments: usize,
    /// Characters returned of the field when nothing in it matched.
    pub no_match_size: usize,
    /// Only mark terms that the query asked for in this very field.
    pub require_field_match: bool,
    /// A query to highlight instead of the search's own.
    pub query: Option<Query>,
    /// The highlighter that is asked for; all of Elasticsearch's are the same here.
    pub kind: String,
}

impl SearchRequest {
    /// A search of everything in these indices.
    #[must_use]
    pub fn new(indices: Vec<String>) -> Self {
        Self {
            indices,
            query: Query::match_all(),
            post_filter: None,
            columns: Vec::new(),
            filter: None,
            from: 0,
            size: 10,
            sort: Vec::new(),
            search_after: None,
            track_total_hits: TrackTotal::UpTo(10_000),
            track_scores: false,
            source: SourceFilter::default(),
            source_given: false,
            fields: Vec::new(),
            stored_fields: None,
            version: false,
            seq_no_primary_term: false,
            terminate_after: None,
            named: Vec::new(),
            min_score: None,
            highlight: None,
            aggs: Vec::new(),
            typed_keys: false,
            pit: None,
            pit_keep_alive_ms: None,
            now_ms: None,
        }
    }

    /// Reads an Elasticsearch search body (an object, or null for an empty one). The indices are set by the caller.
    ///
    /// # Errors
    /// `parsing_exception`, `x_content_parse_exception` or `illegal_argument_exception` naming the offending part.
    pub fn parse(body: &Value) -> Result<Self> {
        super::parse::request(body)
    }
}

impl Default for SourceFilter {
    /// All of it.
    fn default() -> Self {
        Self { enabled: true, includes: Vec::new(), excludes: Vec::new() }
    }
}

impl SourceFilter {
    /// Reads `_source` as search bodies and `_mget` items have it: true, false, a pattern, a list, or an object with
    /// `includes` and `excludes`.
    ///
    /// # Errors
    /// `parsing_exception`.
    pub fn parse(value: &Value) -> Result<Self> {
        super::parse::source(value)
    }
}

impl SortKey {
    /// Reads `sort`.
    ///
    /// # Errors
    /// `x_content_parse_exception` or `illegal_argument_exception`.
    pub fn parse_list(value: &Value) -> Result<Vec<Self>> {
        super::parse::sort(value)
    }
}
