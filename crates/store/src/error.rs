//! What can go wrong in the store, in the words and classes of Elasticsearch.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::locate::{identity, position};

/// Elasticsearch says in this cause of errors, too, where the unknown name stands.
const UNKNOWN_NAME: &str = "named_object_not_found_exception";

/// The class of a failure. It chooses Elasticsearch's `type` and HTTP status, and thereby the caller's reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such index or alias (404).
    IndexNotFound,
    /// An index of that name exists already (400).
    ResourceAlreadyExists,
    /// A named thing is absent, for example an alias that should be removed (404).
    AliasesNotFound,
    /// The name cannot be an index's name (400).
    InvalidIndexName,
    /// The name cannot be an alias's name (400).
    InvalidAliasName,
    /// A document does not fit the mapping, or is not JSON (400).
    DocumentParsing,
    /// A mapping is malformed (400).
    MapperParsing,
    /// A field is not mapped and the mapping is `strict` (400).
    StrictDynamicMapping,
    /// A parameter has a value that is not accepted (400).
    IllegalArgument,
    /// A request's own rules are broken (400).
    ActionRequestValidation,
    /// A condition on version or sequence number does not hold (409).
    VersionConflict,
    /// An update of a document that is not there (404).
    DocumentMissing,
    /// A query or search body is malformed (400).
    Parsing,
    /// A part of the body is malformed (400).
    XContentParse,
    /// A query cannot be built for this index, for example a range over a text field (400).
    QueryShard,
    /// A query's values do not fit the field's type (400).
    QueryShardBadValue,
    /// A date in a query that cannot be read (400).
    DateParse,
    /// A number in a body that cannot be read (400).
    NumberFormat,
    /// A bool query with too many parts (400).
    TooManyClauses,
    /// Aggregations that make too many buckets (400).
    TooManyBuckets,
    /// The point in time or scroll is gone (404).
    SearchContextMissing,
    /// Too many points in time, or too much waiting work (429).
    TooManyRequests,
    /// The disk is full (503): reads go on, writes are refused until there is space.
    NoSpace,
    /// The store is closed or closing (503).
    Closed,
    /// Another process uses the folder.
    Locked,
    /// Data on disk is not what was written.
    Corrupt,
    /// The operating system reports a failure (500).
    Io,
    /// A part of a request has no meaning (400).
    Parse,
    /// Buckets are to be sorted by something that is not there (400).
    InvalidPath,
    /// What Elasticsearch can do but this store cannot (400).
    Unsupported,
    /// A defect of the store itself (500).
    Internal,
}

impl ErrorKind {
    /// Elasticsearch's name for this class, the `type` of its error answers.
    #[must_use]
    pub fn es_type(self) -> &'static str {
        match self {
            Self::IndexNotFound => "index_not_found_exception",
            Self::ResourceAlreadyExists => "resource_already_exists_exception",
            Self::AliasesNotFound => "aliases_not_found_exception",
            Self::InvalidIndexName => "invalid_index_name_exception",
            Self::InvalidAliasName => "invalid_alias_name_exception",
            Self::DocumentParsing => "document_parsing_exception",
            Self::MapperParsing => "mapper_parsing_exception",
            Self::StrictDynamicMapping => "strict_dynamic_mapping_exception",
            Self::IllegalArgument | Self::Unsupported | Self::QueryShardBadValue => {
                "illegal_argument_exception"
            }
            Self::ActionRequestValidation => "action_request_validation_exception",
            Self::VersionConflict => "version_conflict_engine_exception",
            Self::DocumentMissing => "document_missing_exception",
            Self::Parsing => "parsing_exception",
            Self::XContentParse => "x_content_parse_exception",
            Self::QueryShard => "query_shard_exception",
            Self::DateParse | Self::Parse => "parse_exception",
            Self::InvalidPath => "invalid_path",
            Self::NumberFormat => "number_format_exception",
            Self::TooManyClauses => "too_many_nested_clauses",
            Self::TooManyBuckets => "too_many_buckets_exception",
            Self::SearchContextMissing => "search_context_missing_exception",
            Self::TooManyRequests => "es_rejected_execution_exception",
            Self::NoSpace => "cluster_block_exception",
            Self::Closed => "node_closed_exception",
            Self::Locked => "lock_obtain_failed_exception",
            Self::Corrupt => "corrupt_index_exception",
            Self::Io => "i_o_exception",
            Self::Internal => "illegal_state_exception",
        }
    }

    /// Whether an error of this kind does not know of which index it is.
    fn is_of_shard(self) -> bool {
        matches!(self, Self::IllegalArgument | Self::InvalidPath | Self::Parse | Self::TooManyBuckets)
    }

    /// The HTTP status Elasticsearch answers with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::IndexNotFound
            | Self::AliasesNotFound
            | Self::DocumentMissing
            | Self::SearchContextMissing => 404,
            Self::VersionConflict => 409,
            Self::TooManyRequests => 429,
            Self::NoSpace | Self::Closed => 503,
            Self::Locked | Self::Corrupt | Self::Io | Self::Internal => 500,
            _ => 400,
        }
    }
}

/// The cause Elasticsearch shows beneath an error (`caused_by`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Elasticsearch's name of the inner error.
    pub es_type: String,
    /// What it says.
    pub reason: String,
    /// The cause's own cause.
    pub caused_by: Option<Box<Cause>>,
}

impl Cause {
    /// A cause without a cause of its own.
    #[must_use]
    pub fn new(es_type: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { es_type: es_type.into(), reason: reason.into(), caused_by: None }
    }

    /// As the member `caused_by` of Elasticsearch's answers.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), json!(self.es_type));
        object.insert("reason".into(), json!(self.reason));
        if let Some(inner) = &self.caused_by {
            object.insert("caused_by".into(), inner.to_value());
        }
        Value::Object(object)
    }
}

/// A failure of the store: class, text for a person, and what Elasticsearch adds (index, cause).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    reason: String,
    index: Option<String>,
    index_uuid: Option<String>,
    shard: bool,
    search_phase: bool,
    line_col: Option<(usize, usize)>,
    /// The identity of the value it is about, until its position is known.
    about: Option<usize>,
    /// Where reading stopped.
    place: Option<(usize, usize)>,
    /// The parsers around it that tell it too, with the field they were at; the innermost first.
    around: Vec<(&'static str, String)>,
    caused_by: Option<Cause>,
}

/// What is said of a query without a name.
pub(crate) const EMPTY_CLAUSE: &str = "query malformed, empty clause found";

impl StoreError {
    /// An error of the given class with a text for a person.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            reason: reason.into(),
            index: None,
            index_uuid: None,
            shard: false,
            search_phase: false,
            line_col: None,
            about: None,
            place: None,
            around: Vec::new(),
            caused_by: None,
        }))
    }

    /// `illegal_argument_exception` (400).
    pub fn illegal(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::IllegalArgument, reason)
    }

    /// `parsing_exception` (400).
    pub fn parsing(reason: impl Into<String>) -> Self {
        Self::new(ErrorKind::Parsing, reason)
    }

    /// `index_not_found_exception` (404) for this name.
    #[must_use]
    pub fn no_such_index(name: &str) -> Self {
        let mut error = Self::new(ErrorKind::IndexNotFound, format!("no such index [{name}]"));
        error.0.index = Some(name.to_owned());
        error.0.index_uuid = Some("_na_".to_owned());
        error
    }

    /// The error of every call after [`crate::Store::close`].
    #[must_use]
    pub fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store is closed")
    }

    /// Adds the index (and its UUID) the error is about.
    #[must_use]
    pub fn in_index(mut self, name: &str, uuid: &str) -> Self {
        self.0.index = Some(name.to_owned());
        self.0.index_uuid = Some(uuid.to_owned());
        self
    }

    /// Adds the index, its UUID and `"shard": "0"`, as Elasticsearch's engine errors do.
    #[must_use]
    pub fn in_shard(mut self, name: &str, uuid: &str) -> Self {
        self = self.in_index(name, uuid);
        self.0.shard = true;
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.0.caused_by = Some(cause);
        self
    }

    /// Marks the error as raised while a search ran on an index: Elasticsearch then wraps it as
    /// `search_phase_execution_exception`.
    #[must_use]
    pub fn in_search(mut self, name: &str, uuid: &str) -> Self {
        if self.0.index.is_none() {
            self = self.in_index(name, uuid);
        }
        self.0.search_phase = true;
        self
    }

    /// The error without the search around it, as calls about one document tell it.
    #[must_use]
    pub fn out_of_search(mut self) -> Self {
        self.0.search_phase = false;
        self
    }

    /// Adds the position in the body, which Elasticsearch's parsing errors carry.
    #[must_use]
    pub fn at(mut self, line: usize, col: usize) -> Self {
        self.0.line_col = Some((line, col));
        self
    }

    /// Notes the value that the error is about, for [`StoreError::located`].
    #[must_use]
    pub(crate) fn about(mut self, value: &Value) -> Self {
        self.0.about.get_or_insert(identity(value));
        self
    }

    /// As the parser of the object around it tells it, too.
    #[must_use]
    pub(crate) fn in_field(mut self, parser: &'static str, field: &str) -> Self {
        self.0.around.push((parser, field.to_owned()));
        self
    }

    /// Adds the position of the value that the error is about. `root` is what was read from `body`, and unchanged.
    #[must_use]
    pub fn located(mut self, root: &Value, body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let Some((line, col)) = self.0.about.take().and_then(|about| position(about, root, text)) else {
            return self;
        };
        if let Some(cause) = self.0.caused_by.as_mut().filter(|cause| cause.es_type == UNKNOWN_NAME) {
            cause.reason = format!("[{line}:{col}] {}", cause.reason);
        }
        self.0.place = Some((line, col));
        match self.0.kind {
            ErrorKind::IllegalArgument if self.0.reason == EMPTY_CLAUSE => {
                self.0.reason = format!("{EMPTY_CLAUSE} at [{line}:{col}]");
            }
            ErrorKind::XContentParse => self.0.reason = format!("[{line}:{col}] {}", self.0.reason),
            ErrorKind::Parsing => self.0.line_col = Some((line, col)),
            _ => {}
        }
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Elasticsearch's `type`.
    #[must_use]
    pub fn es_type(&self) -> &'static str {
        self.0.kind.es_type()
    }

    /// The HTTP status Elasticsearch answers with.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.kind.status()
    }

    /// The text for a person.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The cause, if any.
    #[must_use]
    pub fn caused_by(&self) -> Option<&Cause> {
        self.0.caused_by.as_ref()
    }

    /// The index the error is about, where Elasticsearch names it.
    #[must_use]
    pub fn index(&self) -> Option<&str> {
        self.0.index.as_deref()
    }

    /// That index's UUID (`_na_` for an index that does not exist).
    #[must_use]
    pub fn index_uuid(&self) -> Option<&str> {
        self.0.index_uuid.as_deref()
    }

    /// Whether it was raised while a search ran, see [`StoreError::in_search`].
    #[must_use]
    pub fn is_search_phase(&self) -> bool {
        self.0.search_phase
    }

    /// `{"type", "reason", ...}`: the object of one root cause, and of a bulk item's `error`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), json!(self.es_type()));
        object.insert("reason".into(), json!(self.0.reason));
        if let Some((line, col)) = self.0.line_col {
            object.insert("line".into(), json!(line));
            object.insert("col".into(), json!(col));
        }
        if self.0.kind == ErrorKind::IndexNotFound {
            object.insert("resource.type".into(), json!("index_or_alias"));
            object.insert("resource.id".into(), json!(self.0.index));
        }
        if self.0.kind == ErrorKind::TooManyBuckets {
            object.insert("max_buckets".into(), json!(crate::aggs::MAX_BUCKETS));
        }
        if let Some(cause) = &self.0.caused_by {
            object.insert("caused_by".into(), cause.to_value());
        }
        if let Some(uuid) = &self.0.index_uuid {
            object.insert("index_uuid".into(), json!(uuid));
        }
        if self.0.shard {
            object.insert("shard".into(), json!("0"));
        }
        if let Some(index) = &self.0.index {
            object.insert("index".into(), json!(index));
        }
        Value::Object(object)
    }

    /// The whole `error` member of an Elasticsearch answer, with `root_cause` and, for errors raised by a running
    /// search, the `search_phase_execution_exception` around it.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut root = self.to_value();
        if self.0.search_phase {
            if self.0.kind.is_of_shard() {
                for name in ["index", "index_uuid"] {
                    root.as_object_mut().map(|members| members.remove(name));
                }
            }
            let mut bare = root.clone();
            bare.as_object_mut().map(|members| members.remove("caused_by"));
            let mut body = json!({
                "root_cause": [bare],
                "type": "search_phase_execution_exception",
                "reason": "all shards failed",
                "phase": "query",
                "grouped": true,
                "failed_shards": [{
                    "shard": 0,
                    "index": self.0.index,
                    "node": "embedded",
                    "reason": root,
                }],
            });
            if matches!(self.0.kind, ErrorKind::IllegalArgument) {
                // What is no exception of Elasticsearch's own is told once more, and again as its cause.
                body["caused_by"] = root.clone();
                body["caused_by"]["caused_by"] = root;
            }
            return body;
        }
        if self.0.kind == ErrorKind::TooManyBuckets {
            // Buckets are counted when the shards have answered.
            return json!({
                "root_cause": [],
                "type": "search_phase_execution_exception",
                "reason": "",
                "phase": "fetch",
                "grouped": true,
                "failed_shards": [],
                "caused_by": root,
            });
        }
        let mut body = Map::new();
        let mut bare = root.clone();
        if let Some(object) = bare.as_object_mut() {
            object.remove("caused_by");
        }
        // A cause that is a whole error of its own is the root.
        let own = self.0.caused_by.as_ref().filter(|c| c.es_type == ErrorKind::DocumentParsing.es_type());
        if let Some(cause) = own {
            bare = cause.to_value();
        }
        let (root, bare) = self.wrapped(root, bare);
        body.insert("root_cause".into(), json!([bare]));
        if let Value::Object(object) = root {
            body.extend(object);
        }
        Value::Object(body)
    }

    /// The error and its root cause, within what the parsers around it say.
    fn wrapped(&self, mut error: Value, mut root: Value) -> (Value, Value) {
        let place = self.0.place.map_or_else(String::new, |(line, col)| format!("[{line}:{col}] "));
        for (at, (parser, field)) in self.0.around.iter().enumerate() {
            let reason = format!("{place}[{parser}] failed to parse field [{field}]");
            let outer = json!({"type": ErrorKind::XContentParse.es_type(), "reason": reason});
            // What is no parsing error itself is no root cause.
            if at == 0 && !matches!(self.0.kind, ErrorKind::Parsing | ErrorKind::XContentParse) {
                root.clone_from(&outer);
            }
            let inner = std::mem::replace(&mut error, outer);
            error["caused_by"] = inner;
        }
        (error, root)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.reason)
    }
}

impl std::error::Error for StoreError {}

/// The result of the store's calls.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
