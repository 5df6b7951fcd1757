use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

/// A refusal in Elasticsearch's words: status, type, reason and causes (connector-api 2.4).
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolError(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: u16,
    es_type: Cow<'static, str>,
    reason: String,
    /// Further members of the error, such as `index`.
    more: Map<String, Value>,
    caused_by: Option<Value>,
    /// The root cause, where it is not the error itself.
    root_cause: Option<Value>,
}

impl ProtocolError {
    /// An error of any type.
    pub fn new(status: u16, es_type: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            es_type: es_type.into(),
            reason: reason.into(),
            more: Map::new(),
            caused_by: None,
            root_cause: None,
        }))
    }

    /// A request that makes no sense; all messages at once.
    pub fn validation<M: fmt::Display>(messages: impl IntoIterator<Item = M>) -> Self {
        let list: Vec<String> =
            messages.into_iter().enumerate().map(|(at, message)| format!("{}: {message};", at + 1)).collect();
        Self::new(400, "action_request_validation_exception", format!("Validation Failed: {}", list.concat()))
    }

    /// A value or key that is not accepted.
    pub fn illegal_argument(reason: impl Into<String>) -> Self {
        Self::new(400, "illegal_argument_exception", reason)
    }

    /// A body that cannot be read.
    pub fn parse(reason: impl Into<String>) -> Self {
        Self::new(400, "parse_exception", reason)
    }

    /// A body whose content cannot be read: the place, the parser that stopped there, and why.
    pub fn x_content_parse(line: usize, col: usize, parser: &str, message: impl fmt::Display) -> Self {
        Self::new(400, "x_content_parse_exception", format!("[{line}:{col}] [{parser}] {message}"))
    }

    /// A null where Elasticsearch does not expect one: it has no reason to tell.
    pub(crate) fn null_pointer() -> Self {
        Self::new(500, "null_pointer_exception", "")
    }

    /// A rule of the protocol that the request breaks.
    pub fn status_exception(reason: impl Into<String>) -> Self {
        Self::new(400, "status_exception", reason)
    }

    /// Something that is not there.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(404, "resource_not_found_exception", reason)
    }

    /// A document that was to be updated and is not there.
    pub fn document_missing(id: impl fmt::Display) -> Self {
        Self::new(404, "document_missing_exception", format!("[{id}]: document missing"))
    }

    /// A connector that is not there (connector-api 2.7).
    pub fn connector_not_found(id: impl fmt::Display) -> Self {
        Self::not_found(format!("connector [{id}] not found"))
    }

    /// Sets the cause.
    #[must_use]
    pub fn because(self, es_type: &str, reason: impl Into<String>) -> Self {
        self.caused_by(json!({"type": es_type, "reason": reason.into()}))
    }

    /// Sets the cause, as it is shown.
    #[must_use]
    pub fn caused_by(mut self, cause: Value) -> Self {
        self.0.caused_by = Some(cause);
        self
    }

    /// Sets the root cause, as it is shown; without it the error is its own.
    #[must_use]
    pub fn root_cause(mut self, root: Value) -> Self {
        self.0.root_cause = Some(root);
        self
    }

    /// Adds a member to the error, such as `index`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.into(), value.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The type, such as `status_exception`.
    #[must_use]
    pub fn es_type(&self) -> &str {
        &self.0.es_type
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The body of the answer: `{"error": {"root_cause", "type", "reason", …}, "status"}`.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut own = Map::new();
        own.insert("type".into(), self.0.es_type.as_ref().into());
        let reason = Some(self.0.reason.as_str()).filter(|reason| !reason.is_empty());
        own.insert("reason".into(), reason.into());
        own.extend(self.0.more.clone());
        let root = self.0.root_cause.clone().unwrap_or_else(|| Value::Object(own.clone()));
        let mut error = Map::new();
        error.insert("root_cause".into(), json!([root]));
        error.extend(own);
        if let Some(cause) = &self.0.caused_by {
            error.insert("caused_by".into(), cause.clone());
        }
        json!({"error": error, "status": self.0.status})
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reason)
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_own_root_cause_without_its_cause() {
        let error = ProtocolError::status_exception("no").because("illegal_argument_exception", "why");
        assert_eq!(
            error.to_body(),
            json!({"error": {
                "root_cause": [{"type": "status_exception", "reason": "no"}],
                "type": "status_exception", "reason": "no",
                "caused_by": {"type": "illegal_argument_exception", "reason": "why"},
            }, "status": 400})
        );
    }

    #[test]
    fn a_validation_numbers_its_messages() {
        assert_eq!(ProtocolError::validation(["a", "b"]).to_string(), "Validation Failed: 1: a;2: b;");
    }
}
