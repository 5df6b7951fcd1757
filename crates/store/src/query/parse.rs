//! Reading queries in Elasticsearch's form.

use serde_json::Value;

use super::ast::{BoolNode, Node};
use super::parse_value::{Object, boost_only, not_supported, number, scalar_text, token_name};
use super::{parse_term, parse_text};
use crate::error::{ErrorKind, Result, StoreError};

/// Elasticsearch's `indices.query.bool.max_nested_depth`.
const MAX_DEPTH: usize = 30;

const KNOWN: [&str; 27] = [
    "match_all",
    "match_none",
    "match",
    "match_phrase",
    "match_phrase_prefix",
    "match_bool_prefix",
    "multi_match",
    "term",
    "terms",
    "range",
    "exists",
    "ids",
    "prefix",
    "wildcard",
    "regexp",
    "fuzzy",
    "bool",
    "constant_score",
    "dis_max",
    "boosting",
    "nested",
    "query_string",
    "simple_query_string",
    "wrapper",
    "type",
    "combined_fields",
    "terms_set",
];

/// Queries Elasticsearch has and this store does not.
const UNSUPPORTED: [&str; 27] = [
    "function_score",
    "script",
    "script_score",
    "has_child",
    "has_parent",
    "parent_id",
    "percolate",
    "geo_distance",
    "geo_bounding_box",
    "geo_shape",
    "geo_polygon",
    "geo_grid",
    "shape",
    "more_like_this",
    "knn",
    "sparse_vector",
    "semantic",
    "rank_feature",
    "distance_feature",
    "pinned",
    "rule",
    "span_term",
    "span_near",
    "span_or",
    "intervals",
    "weighted_tokens",
    "text_expansion",
];

/// What each query consists of, and how deep it lies.
#[derive(Clone, Copy)]
pub(super) struct Parser {
    depth: usize,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { depth: 0 }
    }

    fn deeper(self) -> Result<Self> {
        if self.depth >= MAX_DEPTH {
            return Err(StoreError::illegal(
                "The nested depth of the query exceeds the maximum nested depth for queries set in \
                 [indices.query.bool.max_nested_depth]",
            ));
        }
        Ok(Self { depth: self.depth + 1 })
    }

    /// Reads one query.
    pub(super) fn query(self, value: &Value) -> Result<Node> {
        let Value::Object(object) = value else {
            return Err(
                StoreError::parsing("[_na] query malformed, must start with start_object").about(value)
            );
        };
        let mut entries = object.iter();
        let Some((name, body)) = entries.next() else {
            return Err(StoreError::illegal(crate::error::EMPTY_CLAUSE).about(value));
        };
        let Value::Object(members) = body else {
            return Err(StoreError::parsing(format!(
                "[{name}] query malformed, no start_object after query name"
            ))
            .about(body));
        };
        if !KNOWN.contains(&name.as_str()) {
            return Err(unknown(name).about(body));
        }
        let node = self.named(name, members)?;
        if entries.next().is_some() {
            let reason = format!("[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]");
            return Err(StoreError::parsing(reason));
        }
        Ok(node)
    }

    fn named(self, name: &str, body: &Object) -> Result<Node> {
        match name {
            "match_all" => Ok(Node::All.boosted(boost_only("match_all", body)?)),
            "match_none" => boost_only("match_none", body).map(|_| Node::None),
            "match" | "match_phrase" | "match_phrase_prefix" | "match_bool_prefix" => {
                parse_text::text(name, body)
            }
            "multi_match" | "combined_fields" => parse_text::multi_match(name, body),
            "query_string" => parse_text::query_string(body),
            "simple_query_string" => parse_text::simple_query_string(body),
            "term" => parse_term::term(body),
            "terms" => parse_term::terms(body),
            "range" => parse_term::range(body),
            "exists" => parse_term::exists(body),
            "ids" => parse_term::ids(body),
            "prefix" | "wildcard" | "regexp" => parse_term::pattern(name, body),
            "fuzzy" => parse_term::fuzzy(body),
            "bool" => self.boolean(body),
            "constant_score" => self.constant_score(body),
            "dis_max" => self.dis_max(body),
            "boosting" => self.boosting(body),
            "nested" => self.nested(body),
            "wrapper" => self.wrapper(body),
            other => Err(unsupported(other)),
        }
    }

    fn list(self, clause: &str, value: &Value) -> Result<Vec<Node>> {
        let inner = self.deeper()?;
        match value {
            Value::Object(_) => Ok(vec![inner.query(value)?]),
            Value::Array(list) => list.iter().map(|query| inner.query(query)).collect(),
            Value::Null => Ok(Vec::new()),
            other => {
                let kind = token_name(other);
                let reason = format!("[bool] {clause} doesn't support values of type: {kind}");
                Err(StoreError::new(ErrorKind::XContentParse, reason))
            }
        }
    }

    /// The queries of a `bool` query's clause.
    fn clauses(self, clause: &str, value: &Value) -> Result<Vec<Node>> {
        let inside = value.is_object() || value.is_array();
        self.list(clause, value).map_err(|error| if inside { error.in_field("bool", clause) } else { error })
    }

    fn boolean(self, body: &Object) -> Result<Node> {
        let mut parts = BoolNode::default();
        let mut boost = 1.0;
        for (key, value) in body {
            match key.as_str() {
                "must" => parts.must = self.clauses("must", value)?,
                "filter" => parts.filter = self.clauses("filter", value)?,
                "should" => parts.should = self.clauses("should", value)?,
                "must_not" | "mustNot" => parts.must_not = self.clauses("must_not", value)?,
                "minimum_should_match" => parts.minimum_should_match = Some(scalar_text(value)),
                "boost" => boost = number("bool", "boost", value)?,
                "adjust_pure_negative" | "_name" => {}
                other => {
                    return Err(StoreError::new(
                        ErrorKind::XContentParse,
                        format!("[bool] unknown field [{other}]"),
                    ));
                }
            }
        }
        Ok(Node::Bool(parts).boosted(boost))
    }

    fn constant_score(self, body: &Object) -> Result<Node> {
        let (mut filter, mut boost) = (None, 1.0);
        for (key, value) in body {
            match key.as_str() {
                "filter" => filter = Some(self.deeper()?.query(value)?),
                "boost" => boost = number("constant_score", "boost", value)?,
                "_name" => {}
                other => return Err(not_supported("constant_score", other).about(value)),
            }
        }
        let filter =
            filter.ok_or_else(|| StoreError::parsing("[constant_score] requires a 'filter' element"))?;
        Ok(Node::ConstantScore(Box::new(filter)).boosted(boost))
    }

    fn dis_max(self, body: &Object) -> Result<Node> {
        let (mut queries, mut tie_breaker, mut boost) = (None, 0.0, 1.0);
        for (key, value) in body {
            match key.as_str() {
                "queries" => queries = Some(self.list(key, value)?),
                "tie_breaker" => tie_breaker = number("dis_max", key, value)?,
                "boost" => boost = number("dis_max", key, value)?,
                "_name" => {}
                other => return Err(not_supported("dis_max", other).about(value)),
            }
        }
        let queries = queries.filter(|list| !list.is_empty());
        let queries = queries.ok_or_else(|| {
            StoreError::parsing("[dis_max] requires 'queries' field with at least one clause")
        })?;
        Ok(Node::DisMax { queries, tie_breaker }.boosted(boost))
    }

    fn boosting(self, body: &Object) -> Result<Node> {
        let (mut positive, mut negative, mut factor, mut boost) = (None, None, None, 1.0);
        for (key, value) in body {
            match key.as_str() {
                "positive" => positive = Some(self.deeper()?.query(value)?),
                "negative" => negative = Some(self.deeper()?.query(value)?),
                "negative_boost" => factor = Some(number("boosting", key, value)?),
                "boost" => boost = number("boosting", key, value)?,
                "_name" => {}
                other => return Err(not_supported("boosting", other).about(value)),
            }
        }
        let missing =
            |what: &str| StoreError::parsing(format!("[boosting] query requires '{what}' query to be set'"));
        let positive = Box::new(positive.ok_or_else(|| missing("positive"))?);
        let negative = Box::new(negative.ok_or_else(|| missing("negative"))?);
        let factor = factor.filter(|factor| *factor >= 0.0).ok_or_else(|| {
            StoreError::parsing(
                "[boosting] query requires 'negative_boost' to be set to be a positive value'",
            )
        })?;
        Ok(Node::Boosting { positive, negative, factor }.boosted(boost))
    }

    fn nested(self, body: &Object) -> Result<Node> {
        let (mut path, mut query, mut ignore_unmapped, mut boost) = (None, None, false, 1.0);
        for (key, value) in body {
            match key.as_str() {
                "path" => path = value.as_str().map(str::to_owned),
                "query" => query = Some(self.deeper()?.query(value)?),
                "ignore_unmapped" => ignore_unmapped = value == &Value::Bool(true),
                "boost" => boost = number("nested", key, value)?,
                "score_mode" | "_name" | "inner_hits" => {}
                other => return Err(not_supported("nested", other).about(value)),
            }
        }
        let path = path.ok_or_else(|| StoreError::illegal("[nested] requires 'path' field"))?;
        let query = Box::new(query.ok_or_else(|| StoreError::illegal("[nested] requires 'query' field"))?);
        Ok(Node::Nested { path, query, ignore_unmapped }.boosted(boost))
    }

    /// A query in base64.
    fn wrapper(self, body: &Object) -> Result<Node> {
        use base64::Engine;
        let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
        let inner: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match inner {
            Some(inner) => self.deeper()?.query(&inner),
            None => Err(StoreError::illegal("query string argument is null or empty")),
        }
    }
}

pub(super) fn unsupported(name: &str) -> StoreError {
    StoreError::new(
        ErrorKind::Unsupported,
        format!("the query [{name}] is not supported by the embedded node"),
    )
}

/// The error for a query that is not known, with the nearest known name.
fn unknown(name: &str) -> StoreError {
    if UNSUPPORTED.contains(&name) || name.starts_with("span_") {
        return unsupported(name);
    }
    // Elasticsearch proposes names that share more than half of their letters.
    let near = |known: &&&str| {
        let allowed = (name.chars().count().max(known.len()).saturating_sub(1) / 2).min(2);
        super::fuzzy::distance(name, known, u8::try_from(allowed).unwrap_or(0), true).is_some()
    };
    let hint = KNOWN.iter().find(near).map(|known| format!(" did you mean [{known}]?")).unwrap_or_default();
    StoreError::parsing(format!("unknown query [{name}]{hint}"))
        .because(crate::Cause::new("named_object_not_found_exception", format!("unknown field [{name}]")))
}
