//! Reading queries for terms: exact values, ranges, ids and patterns.

use serde_json::Value;

use super::ast::{Bounds, Fuzziness, FuzzyOptions, Node};
use super::parse::unsupported;
use super::parse_value::{
    Object, flag, fuzziness, not_supported, number, one_field, scalar_text, token_name, whole,
};
use crate::dates::Zone;
use crate::error::{Result, StoreError};

/// Terms of one `terms` query.
const MAX_TERMS: usize = 65_536;

pub(super) fn term(body: &Object) -> Result<Node> {
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

pub(super) fn terms(body: &Object) -> Result<Node> {
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

pub(super) fn range(body: &Object) -> Result<Node> {
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

pub(super) fn exists(body: &Object) -> Result<Node> {
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

pub(super) fn ids(body: &Object) -> Result<Node> {
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
                let kind = token_name(other);
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
    let found = format!("Expected text but found {}", token_name(value));
    let inner = crate::Cause::new("illegal_argument_exception", found);
    let mut cause = crate::Cause::new("x_content_parse_exception", reason);
    cause.caused_by = Some(Box::new(inner));
    StoreError::parsing(reason).about(value).because(cause)
}

pub(super) fn pattern(query: &str, body: &Object) -> Result<Node> {
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

pub(super) fn fuzzy(body: &Object) -> Result<Node> {
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
