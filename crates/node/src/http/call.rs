//! One request as handlers see it, and what an endpoint declares about itself.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::Value;
use tributary_store::token_name;

use super::envelope::{ApiError, Result, malformed_json};
use super::media::Wish;
use super::params::Params;
use super::reply::Reply;
use crate::node::Node;
use crate::security::Identity;

/// Whether an endpoint takes a body (connector-api 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// A body is an error.
    None,
    /// With or without.
    Optional,
    /// Without one it is `parse_exception`.
    Required,
}

/// An endpoint: its handler, the parameters it takes, and whether it takes a body.
pub(crate) struct Endpoint {
    /// The path it serves, with its variables in braces.
    pub(crate) pattern: &'static str,
    pub(crate) handler: Handler,
    pub(crate) params: &'static [&'static str],
    pub(crate) body: BodyRule,
    /// What is wrong with a call whatever is stored. Elasticsearch tells that before it looks at privileges.
    pub(crate) judge: Judge,
}

impl Endpoint {
    /// Whether the parameter `source` may stand for its body.
    pub(super) fn takes_source(&self) -> bool {
        const PATHS: [&str; 11] = [
            "/_search",
            "/_count",
            "/_msearch",
            "/_mget",
            "/_validate/query",
            "/_explain/",
            "/_analyze",
            "_by_query",
            "/_simulate",
            "/_field_caps",
            "/_ingest/pipeline/",
        ];
        self.body != BodyRule::None && PATHS.iter().any(|path| self.pattern.contains(path))
    }

    /// Whether its body is read line by line.
    pub(super) fn in_lines(&self) -> bool {
        self.pattern.ends_with("/_bulk") || self.pattern.ends_with("/_msearch")
    }
}

/// Judges a call for itself.
pub(crate) type Judge = Box<dyn Fn(&Call) -> Result<()> + Send + Sync>;

/// A handler, boxed.
pub(crate) type Handler = Box<dyn Fn(Arc<Node>, Call) -> BoxFuture<'static, Result<Reply>> + Send + Sync>;

/// Boxes an async function as a handler.
pub(crate) fn handler<F, R>(function: F) -> Handler
where
    F: Fn(Arc<Node>, Call) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply>> + Send + 'static,
{
    Box::new(move |node, call| Box::pin(function(node, call)))
}

/// One request, checked as far as the routing layer can.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) params: Params,
    pub(crate) vars: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// How the answer is wanted.
    pub(crate) wish: Wish,
    pub(crate) identity: Identity,
}

impl Call {
    /// A variable of the path; empty when the route has none of that name.
    pub(crate) fn var(&self, name: &str) -> &str {
        self.vars.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str())
    }

    /// A variable of the path, if the route has it.
    pub(crate) fn maybe_var(&self, name: &str) -> Option<&str> {
        self.vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, `Null` when there is none.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        parse_json(&self.body)
    }

    /// The body as a JSON object; empty when there is none.
    pub(crate) fn object(&self) -> Result<serde_json::Map<String, Value>> {
        match self.json()? {
            Value::Null => Ok(serde_json::Map::new()),
            Value::Object(object) => Ok(object),
            other => Err(expected_object(&other)),
        }
    }

    /// The error for a member of the body that is not known to the parser of that name.
    pub(crate) fn unknown_field(&self, parser: &str, key: &str) -> ApiError {
        let (line, col) = position_of(key, &self.body);
        ApiError::new(
            400,
            "x_content_parse_exception",
            format!("[{line}:{col}] [{parser}] unknown field [{key}]"),
        )
    }

    /// Whether the request has content.
    pub(crate) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }
}

/// Reads JSON from a body.
pub(crate) fn parse_json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| match tributary_protocol::request::malformed(bytes) {
        Some(malformed) => malformed.into(),
        // The first value is well formed: something follows it.
        None => malformed_json(&error),
    })
}

/// Line and column of a key's first occurrence, both from 1.
pub(crate) fn position_of(key: &str, body: &[u8]) -> (usize, usize) {
    let text = String::from_utf8_lossy(body);
    let at = text.find(&format!("\"{key}\"")).unwrap_or(0);
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

fn expected_object(found: &Value) -> ApiError {
    ApiError::new(
        400,
        "parsing_exception",
        format!("Expected [START_OBJECT] but found [{}]", token_name(found)),
    )
    .with("line", 1)
    .with("col", 1)
}
