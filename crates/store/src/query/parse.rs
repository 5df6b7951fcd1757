//! Reading queries in Elasticsearch's form.

use serde_json::{Map, Value};

use super::ast::{BoolNode, Bounds, Fuzziness, FuzzyOptions, Node};
use super::parse_text;
use crate::dates::Zone;
use crate::error::{ErrorKind, Result, StoreError};

type Object = Map<String, Value>;

/// Elasticsearch's `indices.query.bool.max_nested_depth`.
const MAX_DEPTH: usize = 30;
/// Terms of one `terms` query.
const MAX_TERMS: usize = 65_536;

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
            "term" => term(body),
            "terms" => terms(body),
            "range" => range(body),
            "exists" => exists(body),
            "ids" => ids(body),
            "prefix" | "wildcard" | "regexp" => pattern(name, body),
            "fuzzy" => fuzzy(body),
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
                let kind = json_token(other);
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

fn unsupported(name: &str) -> StoreError {
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

pub(super) fn not_supported(query: &str, key: &str) -> StoreError {
    StoreError::parsing(format!("[{query}] query does not support [{key}]"))
}

/// What Elasticsearch's parser calls a value.
pub(crate) fn json_token(value: &Value) -> &'static str {
    match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Number(_) => "VALUE_NUMBER",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// A scalar as text.
pub(crate) fn scalar_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn number(query: &str, key: &str, value: &Value) -> Result<f32> {
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match number {
        Some(number) if key == "boost" && number < 0.0 => Err(StoreError::illegal(format!(
            "negative [boost] are not allowed in [{query}], use a value between 0 and 1 to deboost"
        ))),
        Some(number) => Ok(number as f32),
        None => Err(StoreError::parsing(format!(
            "[{query}] [{key}] must be a number, not [{}]",
            scalar_text(value)
        ))),
    }
}

pub(super) fn whole(query: &str, key: &str, value: &Value) -> Result<usize> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
        StoreError::illegal(format!("[{query}] [{key}] must be a whole number, not [{}]", scalar_text(value)))
    })
}

pub(super) fn flag(query: &str, key: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => {
            let shown = scalar_text(other);
            Err(StoreError::illegal(format!("[{query}] [{key}] must be true or false, not [{shown}]")))
        }
    }
}

pub(super) fn fuzziness(value: &Value) -> Result<Fuzziness> {
    let text = scalar_text(value);
    let bad = || {
        StoreError::illegal(format!(
            "Failed to parse fuzziness [{text}]: 0, 1, 2, AUTO or AUTO:low,high are accepted"
        ))
    };
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Fuzziness::Auto(3, 6));
    }
    if let Some(bounds) = text.strip_prefix("AUTO:").or_else(|| text.strip_prefix("auto:")) {
        let (low, high) = bounds.split_once(',').ok_or_else(bad)?;
        return Ok(Fuzziness::Auto(low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?));
    }
    match text.parse::<f32>() {
        Ok(edits) if (0.0..=2.0).contains(&edits) => Ok(Fuzziness::Edits(edits as u8)),
        _ => Err(bad()),
    }
}

/// A body that may hold `boost` only.
fn boost_only(query: &str, body: &Object) -> Result<f32> {
    let mut boost = 1.0;
    for (key, value) in body {
        match key.as_str() {
            "boost" => boost = number(query, key, value)?,
            "_name" => {}
            other => {
                let reason = format!("[{query}] unknown field [{other}]");
                return Err(StoreError::parsing(reason.clone())
                    .because(crate::Cause::new("x_content_parse_exception", reason)));
            }
        }
    }
    Ok(boost)
}

/// The one field of a query's body, with what it holds.
pub(super) fn one_field<'b>(query: &str, body: &'b Object) -> Result<Option<(&'b String, &'b Value)>> {
    let mut fields = body.iter().filter(|(key, _)| !matches!(key.as_str(), "boost" | "_name"));
    let first = fields.next();
    if let (Some((first, _)), Some((second, _))) = (first, fields.next()) {
        let reason =
            format!("[{query}] query doesn't support multiple fields, found [{first}] and [{second}]");
        return Err(StoreError::parsing(reason));
    }
    Ok(first)
}

fn term(body: &Object) -> Result<Node> {
    let Some((field, value)) = one_field("term", body)? else {
        return Err(StoreError::illegal("field name is null or empty"));
    };
    let (mut wanted, mut case_insensitive, mut boost) = (Value::Null, false, 1.0);
    match value {
        Value::Array(_) => return Err(StoreError::parsing("[term] query does not support array of values")),
        Value::Object(options) => {
            for (key, value) in options {
                match key.as_str() {
                    "value" | "term" => wanted = value.clone(),
                    "case_insensitive" => case_insensitive = flag("term", key, value)?,
                    "boost" => boost = number("term", key, value)?,
                    "_name" => {}
                    other => return Err(not_supported("term", other).about(value)),
                }
            }
        }
        scalar => wanted = scalar.clone(),
    }
    if wanted.is_null() {
        return Err(StoreError::illegal("value cannot be null"));
    }
    Ok(Node::Term { field: field.clone(), value: wanted, case_insensitive }.boosted(boost))
}

fn terms(body: &Object) -> Result<Node> {
    let (mut found, mut boost) = (None, 1.0);
    for (key, value) in body {
        match (key.as_str(), value) {
            ("boost", value) => boost = number("terms", "boost", value)?,
            ("_name", _) => {}
            (_, Value::Array(_)) if found.is_some() => {
                return Err(StoreError::parsing("[terms] query does not support multiple fields"));
            }
            (_, Value::Array(values)) => found = Some((key.clone(), values)),
            (_, Value::Object(_)) => return Err(unsupported("terms lookup")),
            (other, _) => return Err(not_supported("terms", other).about(value)),
        }
    }
    let (field, values) = found.ok_or_else(|| {
        StoreError::parsing("[terms] query requires a field name, followed by array of terms or a document lookup specification")
    })?;
    if values.len() > MAX_TERMS {
        return Err(StoreError::illegal(format!(
            "The number of terms [{}] used in the Terms Query request has exceeded the allowed maximum of [{MAX_TERMS}]. This \
             maximum can be set by changing the [index.max_terms_count] index level setting.",
            values.len()
        )));
    }
    if let Some(null) = values.iter().find(|value| value.is_null()) {
        return Err(StoreError::parsing("No value specified for terms query").about(null));
    }
    if let Some(list) = values.iter().find(|value| value.is_array()) {
        let reason = format!("[terms] unknown token [END_ARRAY] after [{field}]");
        return Err(StoreError::parsing(reason).about(list));
    }
    let values = values.clone();
    Ok(Node::Terms { field, values }.boosted(boost))
}

fn range(body: &Object) -> Result<Node> {
    let Some((field, value)) = one_field("range", body)? else {
        return Err(StoreError::illegal("field name is null or empty"));
    };
    let Value::Object(options) = value else { return Err(not_supported("range", field)) };
    let (mut bounds, mut boost) = (Bounds::default(), 1.0);
    let given = |value: &Value, included: bool| (!value.is_null()).then(|| (value.clone(), included));
    for (key, value) in options {
        match key.as_str() {
            "gt" => bounds.lower = given(value, false),
            "gte" => bounds.lower = given(value, true),
            "lt" => bounds.upper = given(value, false),
            "lte" => bounds.upper = given(value, true),
            "format" => bounds.format = value.as_str().map(str::to_owned),
            "time_zone" => bounds.time_zone = Some(zone(value)?),
            "boost" => boost = number("range", key, value)?,
            "relation" => relation(value)?,
            "_name" => {}
            other => return Err(not_supported("range", other).about(value)),
        }
    }
    Ok(Node::Range { field: field.clone(), bounds }.boosted(boost))
}

/// The name of a time zone, if there is such a one.
fn zone(value: &Value) -> Result<String> {
    let name = scalar_text(value);
    if Zone::parse(&name).is_some() {
        return Ok(name);
    }
    let why = format!("Unknown time-zone ID: {name}");
    let error = StoreError::illegal(format!("java.time.zone.ZoneRulesException: {why}"));
    Err(error.because(crate::Cause::new("zone_rules_exception", why)))
}

/// How ranges relate; it says something about fields of ranges only, which there are not.
fn relation(value: &Value) -> Result<()> {
    let name = scalar_text(value);
    if ["intersects", "contains", "within", "disjoint"].contains(&name.to_lowercase().as_str()) {
        return Ok(());
    }
    Err(StoreError::illegal(format!("{name} is not a valid relation")))
}

fn exists(body: &Object) -> Result<Node> {
    let (mut field, mut boost) = (None, 1.0);
    for (key, value) in body {
        match key.as_str() {
            "field" => field = value.as_str().map(str::to_owned),
            "boost" => boost = number("exists", key, value)?,
            "_name" => {}
            other => return Err(not_supported("exists", other).about(value)),
        }
    }
    let field = field.ok_or_else(|| StoreError::parsing("[exists] must be provided with a [field]"))?;
    Ok(Node::Exists { field }.boosted(boost))
}

fn ids(body: &Object) -> Result<Node> {
    let (mut ids, mut boost) = (None, 1.0);
    for (key, value) in body {
        match (key.as_str(), value) {
            ("values", Value::Array(list)) => {
                if let Some(bad) = list.iter().find(|id| id.is_null() || id.is_array() || id.is_object()) {
                    return Err(bad_id(bad));
                }
                ids = Some(list.iter().map(scalar_text).collect());
            }
            ("values", Value::String(one)) => ids = Some(vec![one.clone()]),
            ("values", other) => {
                let kind = json_token(other);
                let reason = format!("[ids] values doesn't support values of type: {kind}");
                return Err(StoreError::parsing(reason));
            }
            ("boost", value) => boost = number("ids", key, value)?,
            ("_name" | "type", _) => {}
            (other, _) => {
                let hint = if other == "value" { " did you mean [values]?" } else { "" };
                let reason = format!("[ids] unknown field [{other}]{hint}");
                let cause = crate::Cause::new("x_content_parse_exception", reason.clone());
                return Err(StoreError::parsing(reason).because(cause));
            }
        }
    }
    let ids = ids.ok_or_else(|| StoreError::parsing("[ids] requires 'values'"))?;
    Ok(Node::Ids(ids).boosted(boost))
}

fn bad_id(value: &Value) -> StoreError {
    let reason = "[ids] failed to parse field [values]";
    let found = format!("Expected text but found {}", json_token(value));
    let inner = crate::Cause::new("illegal_argument_exception", found);
    let mut cause = crate::Cause::new("x_content_parse_exception", reason);
    cause.caused_by = Some(Box::new(inner));
    StoreError::parsing(reason).about(value).because(cause)
}

fn pattern(query: &str, body: &Object) -> Result<Node> {
    let Some((field, value)) = one_field(query, body)? else {
        return Err(StoreError::illegal("field name is null or empty"));
    };
    let (mut text, mut case_insensitive, mut boost) = (None, false, 1.0);
    match value {
        Value::Object(options) => {
            for (key, value) in options {
                match key.as_str() {
                    "value" | "wildcard" | "prefix" => text = (!value.is_null()).then(|| scalar_text(value)),
                    "case_insensitive" => case_insensitive = flag(query, key, value)?,
                    "boost" => boost = number(query, key, value)?,
                    "rewrite" | "flags" | "flags_value" | "max_determinized_states" | "_name" => {}
                    other => return Err(not_supported(query, other).about(value)),
                }
            }
        }
        Value::Null => {}
        scalar => text = Some(scalar_text(scalar)),
    }
    let value = text.ok_or_else(|| StoreError::illegal("value cannot be null"))?;
    let field = field.clone();
    let node = match query {
        "prefix" => Node::Prefix { field, value, case_insensitive, analyzed: false },
        "wildcard" => Node::Wildcard { field, value, case_insensitive, analyzed: false },
        _ => Node::Regexp { field, value, case_insensitive },
    };
    Ok(node.boosted(boost))
}

fn fuzzy(body: &Object) -> Result<Node> {
    let Some((field, value)) = one_field("fuzzy", body)? else {
        return Err(StoreError::illegal("field name is null or empty"));
    };
    let mut options = FuzzyOptions::new(Fuzziness::Auto(3, 6));
    let (mut text, mut boost) = (None, 1.0);
    match value {
        Value::Object(given) => {
            for (key, value) in given {
                match key.as_str() {
                    "value" | "term" => text = (!value.is_null()).then(|| scalar_text(value)),
                    "fuzziness" => options.fuzziness = fuzziness(value)?,
                    "prefix_length" => options.prefix_length = whole("fuzzy", key, value)?,
                    "max_expansions" => options.max_expansions = whole("fuzzy", key, value)?.max(1),
                    "transpositions" => options.transpositions = flag("fuzzy", key, value)?,
                    "boost" => boost = number("fuzzy", key, value)?,
                    "rewrite" | "_name" => {}
                    other => return Err(not_supported("fuzzy", other).about(value)),
                }
            }
        }
        Value::Null => {}
        scalar => text = Some(scalar_text(scalar)),
    }
    let value = text.ok_or_else(|| StoreError::illegal("query value cannot be null"))?;
    Ok(Node::Fuzzy { field: field.clone(), value, options }.boosted(boost))
}
