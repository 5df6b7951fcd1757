//! Errors as Elasticsearch renders them (connector-api 2.4).

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use tributary_protocol::ProtocolError;
use tributary_store::StoreError;

/// The result of a handler's steps.
pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

/// An error answer: status, the content of `error`, and headers that go with it.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    error: Content,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Content {
    /// `"error": "text"`, as the routing layer answers.
    Text { text: String, with_status: bool },
    /// `{"type", "reason", ...}`; the root cause is this without its own cause, unless given.
    Typed { error: Map<String, Value>, root: Option<Value> },
    /// Ready-made, with its root causes.
    Whole(Value),
}

impl ApiError {
    /// An error with Elasticsearch's type name and reason.
    pub(crate) fn new(status: u16, es_type: &str, reason: impl Into<String>) -> Self {
        let mut error = Map::new();
        error.insert("type".into(), json!(es_type));
        error.insert("reason".into(), json!(reason.into()));
        Self::from_content(status, Content::Typed { error, root: None })
    }

    /// An error whose `error` member is a bare text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::from_content(status, Content::Text { text: text.into(), with_status: true })
    }

    /// As [`ApiError::text`], without the member `status`.
    pub(crate) fn bare_text(status: u16, text: impl Into<String>) -> Self {
        Self::from_content(status, Content::Text { text: text.into(), with_status: false })
    }

    fn from_content(status: u16, error: Content) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self(Box::new(Inner { status, error, headers: Vec::new() }))
    }

    /// `illegal_argument_exception` (400).
    pub(crate) fn illegal(reason: impl Into<String>) -> Self {
        Self::new(400, "illegal_argument_exception", reason)
    }

    /// `parse_exception` (400).
    pub(crate) fn parse(reason: impl Into<String>) -> Self {
        Self::new(400, "parse_exception", reason)
    }

    /// `action_request_validation_exception` (400) listing every broken rule.
    pub(crate) fn validation<I: IntoIterator<Item = S>, S: AsRef<str>>(messages: I) -> Self {
        let mut reason = "Validation Failed: ".to_owned();
        for (at, message) in messages.into_iter().enumerate() {
            reason.push_str(&format!("{}: {};", at + 1, message.as_ref()));
        }
        Self::new(400, "action_request_validation_exception", reason)
    }

    /// `resource_not_found_exception` (404).
    pub(crate) fn not_found(reason: impl Into<String>) -> Self {
        Self::new(404, "resource_not_found_exception", reason)
    }

    /// What Elasticsearch can do and this node cannot: never a false success.
    pub(crate) fn not_served(what: &str) -> Self {
        Self::illegal(format!("{what} is not served by this node"))
    }

    /// A failure of the node itself (500). The details belong into the log, not into the answer.
    pub(crate) fn internal(reason: impl Into<String>) -> Self {
        Self::new(500, "illegal_state_exception", reason)
    }

    /// Adds a member to the error object.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Content::Typed { error, .. } = &mut self.0.error {
            error.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Adds `caused_by`.
    pub(crate) fn because(self, es_type: &str, reason: impl Into<Value>) -> Self {
        self.with("caused_by", json!({"type": es_type, "reason": reason.into()}))
    }

    /// Makes another error the root cause.
    pub(crate) fn with_root(mut self, cause: Value) -> Self {
        if let Content::Typed { root, .. } = &mut self.0.error {
            *root = Some(cause);
        }
        self
    }

    /// Adds a response header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Headers to be sent with it.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The object `{"type", "reason", ...}` without root causes: the `error` of a bulk item.
    pub(crate) fn item(&self) -> Value {
        match &self.0.error {
            Content::Text { text, .. } => json!({"type": "status_exception", "reason": text}),
            Content::Typed { error, .. } => Value::Object(error.clone()),
            Content::Whole(whole) => {
                let mut item = whole.clone();
                if let Some(object) = item.as_object_mut() {
                    object.shift_remove("root_cause");
                }
                item
            }
        }
    }

    /// The content of `error`.
    pub(crate) fn error_value(&self) -> Value {
        match &self.0.error {
            Content::Text { text, .. } => json!(text),
            Content::Typed { error, root } => {
                let mut bare = error.clone();
                bare.remove("caused_by");
                let root = root.clone().unwrap_or(Value::Object(bare));
                let mut whole = Map::new();
                whole.insert("root_cause".into(), json!([root]));
                whole.extend(error.clone());
                Value::Object(whole)
            }
            Content::Whole(whole) => whole.clone(),
        }
    }

    /// The type name, empty for text errors.
    pub(crate) fn es_type(&self) -> String {
        self.member("type")
    }

    /// The reason.
    pub(crate) fn reason(&self) -> String {
        self.member("reason")
    }

    fn member(&self, name: &str) -> String {
        self.item().get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The whole response body.
    pub(crate) fn body(&self) -> Value {
        match &self.0.error {
            Content::Text { text, with_status: false } => json!({"error": text}),
            _ => json!({"error": self.error_value(), "status": self.0.status.as_u16()}),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from_content(error.status(), Content::Whole(error.to_body()))
    }
}

impl From<ProtocolError> for ApiError {
    fn from(error: ProtocolError) -> Self {
        let body = error.to_body();
        let whole = body.get("error").cloned().unwrap_or(Value::Null);
        Self::from_content(error.status(), Content::Whole(whole))
    }
}

/// A body that is not JSON, in Elasticsearch's words.
pub(crate) fn malformed_json(error: &serde_json::Error) -> ApiError {
    let (line, col) = (error.line(), error.column());
    if error.is_eof() {
        let inner = format!("Unexpected end-of-input\n at line: {line}, column: {col}");
        return ApiError::new(
            400,
            "x_content_e_o_f_exception",
            format!("[{line}:{col}] Unexpected end of file"),
        )
        .because("json_e_o_f_exception", inner);
    }
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    ApiError::new(400, "x_content_parse_exception", format!("[{line}:{col}] {message}"))
        .because("json_parse_exception", message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_cause_has_no_cause_of_its_own() {
        let error = ApiError::illegal("outer").because("number_format_exception", "inner");
        assert_eq!(
            error.body(),
            json!({"error": {
                "root_cause": [{"type": "illegal_argument_exception", "reason": "outer"}],
                "type": "illegal_argument_exception", "reason": "outer",
                "caused_by": {"type": "number_format_exception", "reason": "inner"}
            }, "status": 400})
        );
    }

    #[test]
    fn validation_lists_every_message_with_its_number() {
        let error = ApiError::validation(["a is missing", "b is missing"]);
        assert_eq!(error.reason(), "Validation Failed: 1: a is missing;2: b is missing;");
    }

    #[test]
    fn text_errors_have_no_object() {
        assert_eq!(ApiError::text(405, "no").body(), json!({"error": "no", "status": 405}));
        assert_eq!(ApiError::bare_text(400, "no").body(), json!({"error": "no"}));
    }

    #[test]
    fn a_cut_off_body_is_an_eof() {
        let error = serde_json::from_str::<Value>("{\"a\":").unwrap_err();
        assert_eq!(malformed_json(&error).es_type(), "x_content_e_o_f_exception");
        let error = serde_json::from_str::<Value>("{a}").unwrap_err();
        assert_eq!(malformed_json(&error).es_type(), "x_content_parse_exception");
    }
}
