//! Edits of a connector's filtering (connector-api 8.3 to 8.5). The result is always a list of one element.

use serde_json::{Value, json};

use super::{Change, internal, merged};
use crate::filtering::{Rule, default_filtering, normalise};
use crate::{ProtocolError, Time};

/// The first element of the stored filtering, or that of a new connector.
pub(super) fn first(stored: &Value, now: Time) -> Result<Value, ProtocolError> {
    let found = match stored.get("filtering") {
        Some(Value::Array(list)) => list.first(),
        Some(one @ Value::Object(_)) => Some(one),
        _ => None,
    };
    match found {
        Some(Value::Object(one)) => Ok(Value::Object(one.clone())),
        _ => default(now),
    }
}

/// The filtering of a new connector.
pub(super) fn default(now: Time) -> Result<Value, ProtocolError> {
    serde_json::to_value(default_filtering(now)).map_err(|error| internal(&error.to_string()))
}

fn put(stored: Value, active: &Value, draft: &Value) -> Result<Change, ProtocolError> {
    merged(stored, json!({"filtering": [{"active": active, "domain": "DEFAULT", "draft": draft}]}))
}

/// Replaces one half of the draft or both; it is to be validated again.
pub(super) fn edit_draft(
    stored: Value,
    rules: Option<&[Value]>,
    snippet: Option<&Value>,
    now: Time,
) -> Result<Change, ProtocolError> {
    let filtering = first(&stored, now)?;
    let kept = |name: &str| filtering["draft"].get(name).cloned().unwrap_or_default();
    let rules = match rules {
        Some(rules) => normalised(rules, now)?,
        None => kept("rules"),
    };
    let draft = json!({
        "advanced_snippet": snippet.cloned().unwrap_or_else(|| kept("advanced_snippet")),
        "rules": rules,
        "validation": {"errors": [], "state": "edited"},
    });
    put(stored, &filtering["active"], &draft)
}

fn normalised(rules: &[Value], now: Time) -> Result<Value, ProtocolError> {
    let read =
        rules.iter().map(|rule| serde_json::from_value::<Rule>(rule.clone())).collect::<Result<Vec<_>, _>>();
    read.and_then(|rules| serde_json::to_value(normalise(rules, now)))
        .map_err(|error| internal(&error.to_string()))
}

/// Replaces the outcome of the draft's validation.
pub(super) fn validate_draft(stored: Value, validation: &Value, now: Time) -> Result<Change, ProtocolError> {
    let filtering = first(&stored, now)?;
    let mut draft = filtering["draft"].clone();
    match &mut draft {
        Value::Object(draft) => drop(draft.insert("validation".into(), validation.clone())),
        other => *other = json!({"validation": validation}),
    }
    put(stored, &filtering["active"], &draft)
}

/// Makes the draft active, if it is valid.
pub(super) fn activate(stored: Value, now: Time) -> Result<Change, ProtocolError> {
    let filtering = first(&stored, now)?;
    let draft = &filtering["draft"];
    match draft["validation"]["state"].as_str() {
        Some("valid") => put(stored, draft, draft),
        state => Err(ProtocolError::status_exception(format!(
            "Filtering draft needs to be validated by the connector service before activation. Current filtering draft \
             validation state [{}] is not equal to [valid].",
            state.unwrap_or("null")
        ))),
    }
}
