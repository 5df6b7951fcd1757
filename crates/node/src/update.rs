//! Partial updates of documents: what `_update` and bulk's `update` ask for, and what becomes of the document.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value};
use tributary_protocol::ops::merge;
use tributary_store::{Action, Doc, ErrorKind, StoreError, UpdateAction};

use crate::http::{ApiError, Result, position_of, token_name};

/// The keys an update's body may have.
const KEYS: [&str; 9] = [
    "doc",
    "upsert",
    "doc_as_upsert",
    "detect_noop",
    "scripted_upsert",
    "script",
    "_source",
    "if_seq_no",
    "if_primary_term",
];

/// What an update asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateRequest {
    doc: Option<Map<String, Value>>,
    upsert: Option<Map<String, Value>>,
    doc_as_upsert: bool,
    keep_noop: bool,
    scripted: bool,
    /// `_source` of the body.
    pub(crate) source: Option<Value>,
    pub(crate) if_seq_no: Option<u64>,
    pub(crate) if_primary_term: Option<u64>,
}

/// What is done to a document after its changes were merged: its final form, or none when it is to stay as it was.
pub(crate) type Finish = Box<dyn Fn(Bytes) -> Result<Option<Bytes>, StoreError> + Send>;

/// The document as an update left it.
pub(crate) type Updated = Arc<Mutex<Option<Bytes>>>;

fn wrong_type(key: &str, value: &Value) -> ApiError {
    let reason = format!("[UpdateRequest] {key} doesn't support values of type: {}", token_name(value));
    ApiError::new(400, "x_content_parse_exception", reason)
}

fn flag(key: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "false" => Ok(text == "true"),
        other => Err(wrong_type(key, other)),
    }
}

fn object(key: &str, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(wrong_type(key, &other)),
    }
}

fn number(key: &str, value: &Value) -> Result<u64> {
    value.as_u64().ok_or_else(|| wrong_type(key, value))
}

fn unknown_field(key: &str, body: &[u8]) -> ApiError {
    let (line, col) = position_of(key, body);
    let near = KEYS.iter().find(|known| known.contains(key) || key.contains(*known));
    let hint = near.map(|near| format!(" did you mean [{near}]?")).unwrap_or_default();
    let reason = format!("[{line}:{col}] [UpdateRequest] unknown field [{key}]{hint}");
    ApiError::new(400, "x_content_parse_exception", reason)
}

impl UpdateRequest {
    /// Reads a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let mut request = Self::default();
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(request.check(false));
        }
        let Value::Object(given) = crate::http::parse_json(body)? else {
            return Err(ApiError::new(
                400,
                "x_content_parse_exception",
                "[1:1] [UpdateRequest] Expected START_OBJECT",
            ));
        };
        for (key, value) in given {
            match key.as_str() {
                "doc" => request.doc = Some(object(&key, value)?),
                "upsert" => request.upsert = Some(object(&key, value)?),
                "doc_as_upsert" => request.doc_as_upsert = flag(&key, &value)?,
                "detect_noop" => request.keep_noop = !flag(&key, &value)?,
                "scripted_upsert" => drop(flag(&key, &value)?),
                "script" => request.scripted = true,
                "_source" => request.source = Some(value),
                "if_seq_no" => request.if_seq_no = Some(number(&key, &value)?),
                "if_primary_term" => request.if_primary_term = Some(number(&key, &value)?),
                _ => return Err(unknown_field(&key, body)),
            }
        }
        if request.scripted && request.doc.is_some() {
            return Err(ApiError::validation(["can't provide both script and doc"]));
        }
        if request.doc.is_none() && !request.scripted {
            return Err(request.check(request.doc_as_upsert));
        }
        Ok(request)
    }

    fn check(&self, as_upsert: bool) -> ApiError {
        let mut messages = vec!["script or doc is missing"];
        if as_upsert {
            messages.push("doc must be specified if doc_as_upsert is enabled");
        }
        ApiError::validation(messages)
    }

    /// Scripts are understood, but not run.
    pub(crate) fn check_served(&self) -> Result<()> {
        if self.scripted { Err(ApiError::not_served("updating with a script ([script])")) } else { Ok(()) }
    }

    /// Whether a missing document is made.
    pub(crate) fn upserts(&self) -> bool {
        self.upsert.is_some() || self.doc_as_upsert
    }

    /// The part of the request that is written when the document is missing, with pipelines still to come.
    pub(crate) fn upsert_source(&self) -> Option<Bytes> {
        let source = if self.doc_as_upsert { self.doc.as_ref() } else { self.upsert.as_ref() };
        source.and_then(|source| serde_json::to_vec(source).ok()).map(Bytes::from)
    }

    /// Whether what is written for a missing document is an object of its own, not the changes.
    pub(crate) fn has_own_upsert(&self) -> bool {
        self.upsert.is_some() && !self.doc_as_upsert
    }

    /// Replaces what [`UpdateRequest::upsert_source`] gives.
    pub(crate) fn set_upsert_source(&mut self, source: Map<String, Value>) {
        if self.doc_as_upsert {
            self.doc = Some(source);
        } else {
            self.upsert = Some(source);
        }
    }

    /// The write, and where the document's new form will be found. It keeps to `if_seq_no` and `if_primary_term`.
    pub(crate) fn into_action(self, id: &str, finish: Option<Finish>) -> (Action, Updated) {
        let updated = Updated::default();
        let seen = Arc::clone(&updated);
        let id = id.to_owned();
        let decide = move |doc: Option<&Doc>| {
            let mut action = self.decide(doc, &id)?;
            if let (Some(_), Some(finish), UpdateAction::Put(source)) = (doc, &finish, &action) {
                action = finish(source.clone())?.map_or(UpdateAction::Noop, UpdateAction::Put);
            }
            let now = match &action {
                UpdateAction::Put(source) => Some(source.clone()),
                _ => doc.map(|doc| doc.source.clone()),
            };
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
            Ok(action)
        };
        (Action::Update(Box::new(decide)), updated)
    }

    /// A document that is missing is told as missing, so this is not left to the store.
    fn check_condition(&self, doc: &Doc, id: &str) -> Result<(), StoreError> {
        let seq_no = self.if_seq_no.unwrap_or(doc.seq_no);
        let term = self.if_primary_term.unwrap_or(doc.primary_term);
        if (seq_no, term) == (doc.seq_no, doc.primary_term) {
            return Ok(());
        }
        let reason = format!(
            "[{id}]: version conflict, required seqNo [{seq_no}], primary term [{term}]. current document has seqNo [{}] \
             and primary term [{}]",
            doc.seq_no, doc.primary_term
        );
        Err(StoreError::new(ErrorKind::VersionConflict, reason))
    }

    /// What becomes of the document.
    pub(crate) fn decide(&self, doc: Option<&Doc>, id: &str) -> Result<UpdateAction, StoreError> {
        let Some(doc) = doc else {
            let source = self.upsert_source().ok_or_else(|| {
                StoreError::new(ErrorKind::DocumentMissing, format!("[{id}]: document missing"))
            })?;
            return Ok(UpdateAction::Put(source));
        };
        self.check_condition(doc, id)?;
        let mut source: Map<String, Value> = serde_json::from_slice(&doc.source).map_err(|error| {
            StoreError::new(
                ErrorKind::DocumentParsing,
                format!("the stored document [{id}] cannot be updated: {error}"),
            )
        })?;
        let changed = merge(&mut source, self.doc.clone().unwrap_or_default());
        if !changed && !self.keep_noop {
            return Ok(UpdateAction::Noop);
        }
        let bytes = serde_json::to_vec(&source).map_err(|error| {
            StoreError::new(ErrorKind::Internal, format!("cannot write the document: {error}"))
        })?;
        Ok(UpdateAction::Put(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn doc(source: &Value) -> Doc {
        Doc { id: "1".into(), seq_no: 0, primary_term: 1, version: 1, source: source.to_string().into() }
    }

    fn run(body: &Value, stored: Option<&Value>) -> Result<UpdateAction, StoreError> {
        let stored = stored.map(doc);
        UpdateRequest::parse(body.to_string().as_bytes()).unwrap().decide(stored.as_ref(), "1")
    }

    fn put(value: &Value) -> UpdateAction {
        UpdateAction::Put(value.to_string().into())
    }

    #[test]
    fn updates_merge_upsert_and_notice_when_nothing_changes() {
        let stored = json!({"a": 1, "o": {"x": 1, "y": [1, 2]}});
        let table = [
            (json!({"doc": {"a": 2}}), put(&json!({"a": 2, "o": {"x": 1, "y": [1, 2]}}))),
            (json!({"doc": {"o": {"y": [3]}}}), put(&json!({"a": 1, "o": {"x": 1, "y": [3]}}))),
            (json!({"doc": {"a": 1}}), UpdateAction::Noop),
            (json!({"doc": {"n": null}}), put(&json!({"a": 1, "o": {"x": 1, "y": [1, 2]}, "n": null}))),
            (json!({"doc": {"a": 1}, "detect_noop": false}), put(&stored)),
        ];
        for (body, wanted) in table {
            assert_eq!(run(&body, Some(&stored)).unwrap(), wanted, "{body}");
        }
        assert_eq!(
            run(&json!({"doc": {"a": 2}, "doc_as_upsert": true}), None).unwrap(),
            put(&json!({"a": 2}))
        );
        assert_eq!(run(&json!({"doc": {"a": 2}, "upsert": {"b": 1}}), None).unwrap(), put(&json!({"b": 1})));
        assert_eq!(run(&json!({"doc": {"a": 2}}), None).unwrap_err().kind(), ErrorKind::DocumentMissing);
    }

    #[test]
    fn malformed_bodies_say_what_is_wrong() {
        let table = [
            ("", "Validation Failed: 1: script or doc is missing;"),
            ("{}", "Validation Failed: 1: script or doc is missing;"),
            (
                r#"{"doc_as_upsert":true}"#,
                "Validation Failed: 1: script or doc is missing;2: doc must be specified if doc_as_upsert is enabled;",
            ),
            (r#"{"docc":{}}"#, "[1:2] [UpdateRequest] unknown field [docc] did you mean [doc]?"),
            (r#"{"doc":1}"#, "[UpdateRequest] doc doesn't support values of type: VALUE_NUMBER"),
        ];
        for (body, wanted) in table {
            assert_eq!(UpdateRequest::parse(body.as_bytes()).unwrap_err().reason(), wanted, "{body}");
        }
        let scripted = UpdateRequest::parse(br#"{"script":"x"}"#).unwrap();
        assert_eq!(
            scripted.check_served().unwrap_err().reason(),
            "updating with a script ([script]) is not served by this node"
        );
    }
}
