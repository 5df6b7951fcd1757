//! Answers, and how they are written for the client that asked.

use axum::body::Body;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use super::envelope::{ApiError, Result};
use super::filter_path::FilterPath;
use super::forms::{self, Form};
use super::media::Wish;
use super::params::Params;
use super::pretty::pretty;

/// What a handler answers.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    content: Content,
    pretty: bool,
    location: Option<HeaderValue>,
    allow: Option<HeaderValue>,
}

#[derive(Debug)]
enum Content {
    /// JSON, already written.
    Json(Bytes),
    /// JSON that is still a value.
    Value(Value),
    Text(String),
}

impl Reply {
    /// 200 with JSON.
    pub(crate) fn ok(value: Value) -> Self {
        Self::status(200, value)
    }

    /// JSON with a status.
    pub(crate) fn status(status: u16, value: Value) -> Self {
        Self::new(status, Content::Value(value))
    }

    /// JSON that a handler has written itself.
    pub(crate) fn raw(status: u16, json: Vec<u8>) -> Self {
        Self::new(status, Content::Json(json.into()))
    }

    /// Plain text.
    pub(crate) fn text(text: String) -> Self {
        Self::new(200, Content::Text(text))
    }

    fn new(status: u16, content: Content) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, content, pretty: false, location: None, allow: None }
    }

    /// Tells where the document is that the request has made.
    pub(crate) fn at_document(mut self, index: &str, id: &str) -> Self {
        if self.status == StatusCode::CREATED {
            let path = format!("/{}/_doc/{}", form_encoded(index), form_encoded(id));
            // Encoded text is always a header value.
            self.location = HeaderValue::from_str(&path).ok();
        }
        self
    }

    /// Tells the methods that the path takes, if there are any.
    pub(crate) fn allowing(mut self, methods: &[&str]) -> Self {
        // Names of methods are always a header value.
        self.allow = HeaderValue::from_str(&methods.join(",")).ok().filter(|_| !methods.is_empty());
        self
    }

    /// Laid out for people even without `pretty`.
    pub(crate) fn for_people(mut self) -> Self {
        self.pretty = true;
        self
    }
}

/// As forms encode: Elasticsearch's `Location` is written so.
fn form_encoded(text: &str) -> String {
    const ENCODED: AsciiSet =
        NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b' ');
    utf8_percent_encode(text, &ENCODED).to_string().replace(' ', "+")
}

/// Writes any serialisable value as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| ApiError::internal(format!("cannot write the answer: {error}")))
}

/// How this client wants its answers.
#[derive(Debug, Default)]
pub(crate) struct Style {
    pretty: Option<bool>,
    filter: Option<FilterPath>,
    wish: Wish,
    /// Whether errors tell their causes as a text too.
    trace: bool,
}

impl Style {
    /// From the general parameters and the wish that headers and `format` tell.
    pub(crate) fn new(params: &Params, wish: Wish) -> Result<Self> {
        let pretty = params.flag("pretty")?;
        params.flag("human")?;
        // Elasticsearch reads it again when it tells what is wrong with it, and then gives up on the usual form.
        let trace = params.flag_or("error_trace", false);
        let trace = trace.map_err(|error| ApiError::text(400, error.reason()))?;
        let filter = params.get("filter_path").and_then(FilterPath::parse);
        Ok(Self { pretty, filter, wish, trace })
    }

    /// For answers before the request was understood.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// Writes an answer.
    pub(crate) fn write(&self, mut reply: Reply) -> Response<Body> {
        let headers = [(LOCATION, reply.location.take()), (ALLOW, reply.allow.take())];
        let mut response = self.write_content(reply);
        for (name, value) in headers {
            value.map(|value| response.headers_mut().insert(name, value));
        }
        response
    }

    fn write_content(&self, reply: Reply) -> Response<Body> {
        let pretty_wanted = self.pretty.unwrap_or(reply.pretty);
        let plain = !pretty_wanted && self.filter.is_none() && self.wish.form() == Form::Json;
        let bytes = match reply.content {
            Content::Text(text) => {
                return respond(reply.status, text.into(), "text/plain; charset=UTF-8");
            }
            Content::Json(json) if plain => json,
            Content::Json(json) => match serde_json::from_slice(&json) {
                Ok(value) => self.value(value, pretty_wanted).into(),
                Err(_) => json,
            },
            Content::Value(value) => self.value(value, pretty_wanted).into(),
        };
        respond(reply.status, bytes, &self.wish.media_type())
    }

    fn value(&self, value: Value, pretty_wanted: bool) -> Vec<u8> {
        let value = match &self.filter {
            Some(filter) => filter.apply(value),
            None => value,
        };
        self.form(&value, pretty_wanted)
    }

    fn form(&self, value: &Value, pretty_wanted: bool) -> Vec<u8> {
        match self.wish.form() {
            Form::Json if pretty_wanted => pretty(value),
            form => forms::write(form, value),
        }
    }

    /// Writes an error. `filter_path` does not apply to errors.
    pub(crate) fn error(&self, error: &ApiError) -> Response<Body> {
        let mut value = error.body();
        if self.trace {
            traced(&mut value["error"]);
        }
        let bytes = self.form(&value, self.pretty == Some(true));
        let mut response = respond(error.status(), bytes.into(), &self.wish.media_type());
        for (name, value) in error.headers() {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}

/// Adds `stack_trace` to an error, its roots and its causes: there is no Java stack here, so it is the chain of causes.
fn traced(error: &mut Value) {
    let Some(object) = error.as_object_mut() else { return };
    if let Some(roots) = object.get_mut("root_cause").and_then(Value::as_array_mut) {
        roots.iter_mut().for_each(traced);
    }
    let text = chain(object);
    if let Some(cause) = object.get_mut("caused_by") {
        traced(cause);
    }
    object.insert("stack_trace".into(), text.into());
}

fn chain(error: &serde_json::Map<String, Value>) -> String {
    let part = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("null");
    let own = format!("{}: {}", part("type"), part("reason"));
    match error.get("caused_by").and_then(Value::as_object) {
        Some(cause) => format!("{own}\nCaused by: {}", chain(cause)),
        None => own,
    }
}

fn respond(status: StatusCode, bytes: Bytes, media: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    // Parameters are repeated from a header, so they are always a header value.
    if let Ok(media) = HeaderValue::from_str(media) {
        response.headers_mut().insert(CONTENT_TYPE, media);
    }
    response
}

/// The header official clients demand on every answer.
pub(crate) const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
