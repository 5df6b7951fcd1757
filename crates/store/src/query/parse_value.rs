//! Reading the values that queries have in common.

use serde_json::{Map, Value};

use super::ast::Fuzziness;
use crate::error::{Result, StoreError};

pub(super) type Object = Map<String, Value>;

pub(super) fn not_supported(query: &str, key: &str) -> StoreError {
    StoreError::parsing(format!("[{query}] query does not support [{key}]"))
}

/// Elasticsearch's name for the first token of a value.
#[must_use]
pub fn token_name(value: &Value) -> &'static str {
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
pub(super) fn boost_only(query: &str, body: &Object) -> Result<f32> {
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
