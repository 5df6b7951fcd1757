//! Reading search bodies in Elasticsearch's form.

use serde_json::Value;

use super::request::{FieldRequest, Missing, SearchRequest, SortKey, SortMode, SourceFilter, TrackTotal};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::query::{Query, scalar_text, token_name};

/// Accepted and without effect here.
const IGNORED: [&str; 6] =
    ["profile", "explain", "stats", "ext", "min_compatible_shard_node", "batched_reduce_size"];
/// What Elasticsearch can do and this store cannot.
const UNSUPPORTED: [&str; 13] = [
    "collapse",
    "rescore",
    "suggest",
    "script_fields",
    "runtime_mappings",
    "indices_boost",
    "slice",
    "rank",
    "retriever",
    "knn",
    "sub_searches",
    "inner_hits",
    "stored_script",
];

pub(super) fn malformed(reason: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::XContentParse, reason)
}

/// A whole number, given as such or as text.
pub(super) fn whole(value: &Value) -> Result<i64> {
    if let Some(number) = value.as_i64() {
        return Ok(number);
    }
    let text = scalar_text(value);
    let parsed = text.parse::<i64>().ok().or_else(|| value.as_f64().map(|number| number as i64));
    parsed.ok_or_else(|| StoreError::new(ErrorKind::NumberFormat, format!("For input string: \"{text}\"")))
}

pub(super) fn flag(key: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(StoreError::illegal(format!(
            "Failed to parse value [{}] as only [true] or [false] are allowed for [{key}].",
            scalar_text(other)
        ))),
    }
}

pub(super) fn request(body: &Value) -> Result<SearchRequest> {
    let mut request = SearchRequest::new(Vec::new());
    let body = match body {
        Value::Null => return Ok(request),
        Value::Object(body) => body,
        other => {
            return Err(StoreError::parsing(format!(
                "Expected [START_OBJECT] but found [{}]",
                token_name(other)
            )));
        }
    };
    for (key, value) in body {
        member(&mut request, key, value)?;
    }
    if request.stored_fields.is_some() && !request.source_given {
        let wanted = request.stored_fields.iter().flatten().any(|field| field == "_source");
        request.source.enabled = wanted;
    }
    Ok(request)
}

/// How many documents are looked at; zero sets no limit.
pub(crate) fn terminate_after(count: i64) -> Result<Option<u64>> {
    let count = u64::try_from(count).map_err(|_| StoreError::illegal("terminateAfter must be > 0"))?;
    Ok(Some(count).filter(|count| *count > 0))
}

fn member(request: &mut SearchRequest, key: &str, value: &Value) -> Result<()> {
    match key {
        _ if value.is_null() => return Err(unknown_key(key, value)),
        "query" | "post_filter" => {
            if !value.is_object() {
                return Err(unknown_key(key, value));
            }
            let query = Query::parse(value)?;
            request.named.extend(crate::query::named(value)?);
            if key == "query" {
                request.query = query;
            } else {
                request.post_filter = Some(query);
            }
        }
        "from" => {
            let from = whole(value)?;
            request.from = usize::try_from(from).map_err(|_| {
                StoreError::illegal(format!("[from] parameter cannot be negative but was [{from}]"))
            })?;
        }
        "size" => {
            let size = whole(value)?;
            request.size = usize::try_from(size).map_err(|_| {
                StoreError::illegal(format!("[size] parameter cannot be negative, found [{size}]"))
            })?;
        }
        "sort" => request.sort = sort(value)?,
        "search_after" => request.search_after = Some(search_after(value)?),
        "track_total_hits" => request.track_total_hits = track_total(value)?,
        "track_scores" => request.track_scores = flag(key, value)?,
        "_source" => {
            request.source = source(value)?;
            request.source_given = true;
        }
        "fields" => request.fields.extend(fields(key, value)?),
        "docvalue_fields" => {
            let wanted = fields(key, value)?;
            request.columns.extend(wanted.iter().map(|field| field.pattern.clone()));
            request.fields.extend(wanted);
        }
        "timeout" => timeout(value)?,
        "stored_fields" => {
            let list = strings(value);
            request.stored_fields =
                (list.as_slice() != ["_none_"]).then_some(list).or_else(|| Some(Vec::new()));
        }
        "terminate_after" => request.terminate_after = terminate_after(whole(value)?)?,
        "version" => request.version = flag(key, value)?,
        "seq_no_primary_term" => request.seq_no_primary_term = flag(key, value)?,
        "min_score" => {
            let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            request.min_score =
                Some(number.ok_or_else(|| StoreError::parsing("[min_score] must be a number"))? as f32);
        }
        "highlight" => request.highlight = Some(super::parse_highlight::highlight(value)?),
        "aggs" | "aggregations" => request.aggs = crate::aggs::parse(value)?,
        "pit" => pit(request, value)?,
        key if IGNORED.contains(&key) => {}
        key if UNSUPPORTED.contains(&key) => {
            let reason = format!("[{key}] in a search is not supported by the embedded node");
            return Err(StoreError::new(ErrorKind::Unsupported, reason));
        }
        key => return Err(unknown_key(key, value)),
    }
    Ok(())
}

fn unknown_key(key: &str, value: &Value) -> StoreError {
    let reason = format!("Unknown key for a {} in [{key}].", token_name(value));
    StoreError::parsing(reason).about(value)
}

/// How long a search may take. None takes long here, but what is asked for must mean something.
fn timeout(value: &Value) -> Result<()> {
    let text = scalar_text(value);
    match crate::settings::parse_time(&text) {
        Some(_) => Ok(()),
        None => Err(StoreError::illegal(format!(
            "failed to parse setting [timeout] with value [{text}] as a time value: unit is missing or unrecognized"
        ))),
    }
}

fn pit(request: &mut SearchRequest, value: &Value) -> Result<()> {
    let Some(object) = value.as_object() else { return Err(unknown_key("pit", value)) };
    let id = object.get("id").and_then(Value::as_str);
    request.pit = Some(id.ok_or_else(|| StoreError::illegal("Required [id]"))?.to_owned());
    if let Some(keep_alive) = object.get("keep_alive") {
        let text = scalar_text(keep_alive);
        let parsed = crate::settings::parse_time(&text).flatten();
        let duration = parsed.ok_or_else(|| {
            StoreError::illegal(format!(
                "failed to parse setting [keep_alive] with value [{text}] as a time value: unit is missing or unrecognized"
            ))
        })?;
        request.pit_keep_alive_ms = Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn track_total(value: &Value) -> Result<TrackTotal> {
    match value {
        Value::Bool(true) => Ok(TrackTotal::Exact),
        Value::Bool(false) => Ok(TrackTotal::No),
        Value::String(text) if text == "true" => Ok(TrackTotal::Exact),
        Value::String(text) if text == "false" => Ok(TrackTotal::No),
        other => match whole(other)? {
            -1 => Ok(TrackTotal::No),
            number => u64::try_from(number).map(TrackTotal::UpTo).map_err(|_| {
                StoreError::illegal(format!(
                    "[track_total_hits] parameter must be positive or equals to -1, got {number}"
                ))
            }),
        },
    }
}

pub(super) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(scalar_text).collect(),
        Value::String(one) => one.split(',').map(|part| part.trim().to_owned()).collect(),
        Value::Null => Vec::new(),
        other => vec![scalar_text(other)],
    }
}

/// Reads `_source`.
pub(super) fn source(value: &Value) -> Result<SourceFilter> {
    let mut filter = SourceFilter::default();
    match value {
        Value::Bool(on) => filter.enabled = *on,
        Value::String(text) if text == "false" => filter.enabled = false,
        Value::String(text) if text == "true" => {}
        Value::String(_) | Value::Array(_) => filter.includes = strings(value),
        Value::Object(object) => {
            for (key, value) in object {
                match key.as_str() {
                    "includes" | "include" => filter.includes = strings(value),
                    "excludes" | "exclude" => filter.excludes = strings(value),
                    "exclude_vectors" => {}
                    other => {
                        let reason = format!("Unknown key for a {} in [{other}].", token_name(value));
                        return Err(StoreError::parsing(reason).about(value));
                    }
                }
            }
        }
        other => {
            let reason = format!(
                "Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found [{}]",
                token_name(other)
            );
            return Err(StoreError::parsing(reason));
        }
    }
    Ok(filter)
}

fn fields(key: &str, value: &Value) -> Result<Vec<FieldRequest>> {
    let Value::Array(list) = value else { return Err(malformed(format!("[{key}] must be an array"))) };
    list.iter()
        .map(|field| match field {
            Value::String(pattern) => Ok(FieldRequest { pattern: pattern.clone(), format: None }),
            Value::Object(object) => {
                let pattern = object.get("field").and_then(Value::as_str);
                let pattern = pattern.ok_or_else(|| StoreError::illegal("Required [field]"))?.to_owned();
                Ok(FieldRequest {
                    pattern,
                    format: object.get("format").and_then(Value::as_str).map(str::to_owned),
                })
            }
            other => Err(malformed(format!("[{key}] holds names and objects, not {}", token_name(other)))),
        })
        .collect()
}

fn search_after(value: &Value) -> Result<Vec<Value>> {
    let Value::Array(list) = value else {
        let reason = format!("Expected [START_ARRAY] in [search_after] but found [{}]", token_name(value));
        return Err(StoreError::parsing(reason));
    };
    if list.is_empty() {
        return Err(StoreError::illegal("Values must contains at least one value."));
    }
    if let Some(bad) = list.iter().find(|value| value.is_array() || value.is_object()) {
        let reason = format!(
            "Expected [VALUE_STRING] or [VALUE_NUMBER] or [VALUE_BOOLEAN] or [VALUE_NULL] but found [{}] inside search_after.",
            token_name(bad)
        );
        return Err(StoreError::parsing(reason));
    }
    Ok(list.clone())
}

/// Reads `sort`.
pub(super) fn sort(value: &Value) -> Result<Vec<SortKey>> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut keys = Vec::new();
    for entry in list {
        match entry {
            Value::String(field) => {
                // `field:desc`, as in the query parameter.
                let (field, order) = field
                    .rsplit_once(':')
                    .filter(|(_, o)| matches!(*o, "asc" | "desc"))
                    .unwrap_or((field, ""));
                let mut key = SortKey::new(field);
                if !order.is_empty() {
                    key.descending = order == "desc";
                }
                keys.push(key);
            }
            Value::Object(object) => {
                for (field, options) in object {
                    keys.push(sort_key(field, options)?);
                }
            }
            Value::Number(_) | Value::Bool(_) => keys.push(SortKey::new(scalar_text(entry))),
            other => {
                let reason = format!(
                    "malformed sort format, within the sort array, an object, or an actual string are allowed, not {}",
                    token_name(other)
                );
                return Err(StoreError::illegal(reason));
            }
        }
    }
    Ok(keys)
}

fn order(value: &Value) -> Result<bool> {
    let text = scalar_text(value);
    match text.to_lowercase().as_str() {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => {
            let text = text.to_uppercase();
            let reason = format!("No enum constant org.elasticsearch.search.sort.SortOrder.{text}");
            Err(StoreError::illegal(reason))
        }
    }
}

fn sort_key(field: &str, options: &Value) -> Result<SortKey> {
    let mut key = SortKey::new(field);
    if matches!(field, "_script" | "_geo_distance") {
        let reason = format!("sorting by [{field}] is not supported by the embedded node");
        return Err(StoreError::new(ErrorKind::Unsupported, reason));
    }
    let Value::Object(options) = options else {
        key.descending = order(options)?;
        return Ok(key);
    };
    for (name, value) in options {
        match name.as_str() {
            "order" => {
                key.descending = order(value).map_err(|error| {
                    let cause = Cause::new("illegal_argument_exception", error.reason());
                    malformed("[field_sort] failed to parse field [order]").because(cause)
                })?;
            }
            "missing" => {
                key.missing = match value.as_str() {
                    Some("_last") => Missing::Last,
                    Some("_first") => Missing::First,
                    _ => Missing::Value(value.clone()),
                }
            }
            "mode" => {
                key.mode = Some(match scalar_text(value).to_lowercase().as_str() {
                    "min" => SortMode::Min,
                    "max" => SortMode::Max,
                    "sum" => SortMode::Sum,
                    "avg" => SortMode::Avg,
                    "median" => SortMode::Median,
                    other => {
                        return Err(malformed(format!(
                            "[field_sort] failed to parse field [mode]: Unknown SortMode [{other}]"
                        )));
                    }
                });
            }
            "unmapped_type" => key.unmapped_type = value.as_str().map(str::to_owned),
            "format" => key.format = value.as_str().map(str::to_owned),
            "nested" | "numeric_type" | "nested_path" | "nested_filter" => {}
            other => return Err(malformed(format!("[field_sort] unknown field [{other}]"))),
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn malformed_bodies_are_refused_in_elasticsearchs_words() {
        let table = [
            (json!({"query": 5}), "parsing_exception", "Unknown key for a VALUE_NUMBER in [query]."),
            (json!({"foo": 1}), "parsing_exception", "Unknown key for a VALUE_NUMBER in [foo]."),
            (
                json!({"size": -1}),
                "illegal_argument_exception",
                "[size] parameter cannot be negative, found [-1]",
            ),
            (
                json!({"from": -1}),
                "illegal_argument_exception",
                "[from] parameter cannot be negative but was [-1]",
            ),
            (json!({"size": "abc"}), "number_format_exception", "For input string: \"abc\""),
            (
                json!({"sort": [{"n": {"order": "up"}}]}),
                "x_content_parse_exception",
                "[field_sort] failed to parse field [order]",
            ),
            (
                json!({"sort": [{"n": {"foo": "up"}}]}),
                "x_content_parse_exception",
                "[field_sort] unknown field [foo]",
            ),
            (
                json!({"collapse": {"field": "x"}}),
                "illegal_argument_exception",
                "[collapse] in a search is not supported by the embedded node",
            ),
        ];
        for (body, es_type, reason) in table {
            let error = request(&body).unwrap_err();
            assert_eq!((error.es_type(), error.reason()), (es_type, reason), "{body}");
        }
    }

    #[test]
    fn source_and_sort_take_all_their_forms() {
        assert!(!source(&json!(false)).unwrap().enabled);
        assert_eq!(source(&json!("a,b")).unwrap().includes, ["a", "b"]);
        assert_eq!(source(&json!({"excludes": ["a"]})).unwrap().excludes, ["a"]);
        let keys = sort(
            &json!(["a", {"b": "desc"}, {"c": {"order": "asc", "missing": "_first"}}, "_score", "d:desc"]),
        )
        .unwrap();
        let shown: Vec<(&str, bool)> = keys.iter().map(|key| (key.field.as_str(), key.descending)).collect();
        assert_eq!(shown, [("a", false), ("b", true), ("c", false), ("_score", true), ("d", true)]);
        assert_eq!(keys[2].missing, Missing::First);
    }
}
