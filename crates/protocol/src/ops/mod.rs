//! Every write operation of the Connector and Sync Job APIs as a pure function over a stored document's source.
//!
//! A caller reads the document, calls `apply`, and writes the new source under the condition that nobody has written in
//! between (or does all three as one step of its store).

pub mod connector;
mod endpoint;
mod filtering;
pub mod sync_job;

use serde_json::{Map, Value};

pub use endpoint::{ConnectorOp, SyncJobOp};

use crate::ProtocolError;

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The document is new.
    Created,
    /// It changed.
    Updated,
    /// It was so already.
    Noop,
}

impl Outcome {
    /// Elasticsearch's word in `result`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Noop => "noop",
        }
    }
}

/// What becomes of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The whole new source.
    pub source: Value,
    /// Whether it differs from the stored one.
    pub outcome: Outcome,
}

/// Merges `change` into a source (connector-api 2.6): objects are merged deeply, all else is replaced, null is a value.
/// Whether anything changed.
pub fn merge(stored: &mut Map<String, Value>, change: Map<String, Value>) -> bool {
    let mut changed = false;
    for (key, new) in change {
        match (stored.get_mut(&key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => changed |= merge(old, new),
            (Some(old), new) => {
                changed |= *old != new;
                *old = new;
            }
            (None, new) => {
                stored.insert(key, new);
                changed = true;
            }
        }
    }
    changed
}

/// The stored source with `change` merged into it.
fn merged(stored: Value, change: Value) -> Result<Change, ProtocolError> {
    let (Value::Object(mut source), Value::Object(change)) = (stored, change) else {
        return Err(internal("the stored document is not a JSON object"));
    };
    let outcome = if merge(&mut source, change) { Outcome::Updated } else { Outcome::Noop };
    Ok(Change { source: Value::Object(source), outcome })
}

fn internal(reason: &str) -> ProtocolError {
    ProtocolError::new(500, "illegal_state_exception", reason)
}

/// A text member of a source; none when absent, null or another kind.
fn text<'s>(source: &'s Value, name: &str) -> Option<&'s str> {
    source.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_merged_and_everything_else_is_replaced() {
        let stored = json!({"a": 1, "o": {"x": 1, "l": [1, 2]}});
        let table = [
            (json!({"a": 1}), stored.clone(), Outcome::Noop),
            (json!({}), stored.clone(), Outcome::Noop),
            (json!({"o": {"x": 1}}), stored.clone(), Outcome::Noop),
            (json!({"a": null}), json!({"a": null, "o": {"x": 1, "l": [1, 2]}}), Outcome::Updated),
            (json!({"n": null}), json!({"a": 1, "o": {"x": 1, "l": [1, 2]}, "n": null}), Outcome::Updated),
            (json!({"o": {"l": [1]}}), json!({"a": 1, "o": {"x": 1, "l": [1]}}), Outcome::Updated),
            (json!({"o": 5}), json!({"a": 1, "o": 5}), Outcome::Updated),
        ];
        for (change, source, outcome) in table {
            assert_eq!(
                merged(stored.clone(), change.clone()).unwrap(),
                Change { source, outcome },
                "{change}"
            );
        }
        assert!(merged(json!([]), json!({})).is_err());
    }
}
