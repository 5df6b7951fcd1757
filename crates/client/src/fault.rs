//! What an answer that is not 2xx says.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{ClientError, ErrorKind};

/// How much of an answer that is not Elasticsearch's is quoted, in bytes.
const QUOTE: usize = 200;

/// Elasticsearch's error envelope (connector-api 2.4). Some answers carry a bare text instead of the object.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Fault<'a>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fault<'a> {
    #[serde(borrow)]
    Full(Box<Cause<'a>>),
    Text(Cow<'a, str>),
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(rename = "type", borrow, default)]
    es_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Box<Cause<'a>>>,
    #[serde(borrow, default)]
    root_cause: Vec<Cause<'a>>,
}

/// A write answers 404 with the plain result object where the document is missing.
#[derive(Deserialize)]
struct Missing<'a> {
    #[serde(borrow)]
    _id: Cow<'a, str>,
}

/// The error that a failing answer means.
pub(crate) fn read_fault(status: u16, body: &[u8], bodyless: bool) -> ClientError {
    let kind = ErrorKind::of_status(status);
    let envelope = serde_json::from_slice::<Envelope<'_>>(body).ok();
    let told_by_es = envelope.is_some();
    let (es_type, reason) = match envelope.map(|e| e.error) {
        Some(Fault::Full(cause)) => (cause.es_type.as_deref().map(str::to_owned), full_reason(&cause)),
        Some(Fault::Text(text)) => (None, text.into_owned()),
        None => (None, foreign_reason(status, body, bodyless)),
    };
    // A proxy that says 502, 503 or 504 does not know what became of the request; nor does a cluster that timed out.
    let maybe_done = match status {
        503 => !told_by_es,
        408 | 500 | 502 | 504 => true,
        _ => false,
    };
    ClientError::new(kind, reason).with_status(status).with_type(es_type).with_maybe_done(maybe_done)
}

/// The reason with that of its innermost cause, which is often the one that helps.
fn full_reason(cause: &Cause<'_>) -> String {
    let reason = cause.reason.as_deref().unwrap_or("no reason given");
    // "all shards failed" has its cause only among the root causes.
    let mut deepest = cause.caused_by.as_deref().or_else(|| cause.root_cause.first()).unwrap_or(cause);
    while let Some(inner) = &deepest.caused_by {
        deepest = inner;
    }
    match deepest.reason.as_deref() {
        Some(root) if !reason.contains(root) => format!("{reason}; caused by: {root}"),
        _ => reason.to_owned(),
    }
}

fn foreign_reason(status: u16, body: &[u8], bodyless: bool) -> String {
    if serde_json::from_slice::<Missing<'_>>(body).is_ok() {
        return "there is no such document".to_owned();
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTE)]);
    match (text.trim(), bodyless) {
        (_, true) | ("", _) => standard_reason(status).to_owned(),
        (text, _) => format!("{}; the answer is not Elasticsearch's: {text}", standard_reason(status)),
    }
}

fn standard_reason(status: u16) -> &'static str {
    elasticsearch::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("unknown status")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_gives_type_and_reason_and_the_innermost_cause() {
        let body = br#"{"error":{"root_cause":[{"type":"x","reason":"outer"}],"type":"x_content_parse_exception",
            "reason":"outer","caused_by":{"type":"y","reason":"mid","caused_by":{"type":"z","reason":"Unknown Status [a]."}}},
            "status":400}"#;
        let error = read_fault(400, body, false);
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert_eq!(error.es_type(), Some("x_content_parse_exception"));
        assert_eq!(error.reason(), "outer; caused by: Unknown Status [a].");
    }

    #[test]
    fn a_failed_search_tells_the_reason_of_its_shards() {
        let body = br#"{"error":{"root_cause":[{"type":"query_shard_exception","reason":"Failed to parse query [[[]"}],
            "type":"search_phase_execution_exception","reason":"all shards failed","phase":"query"},"status":400}"#;
        assert_eq!(
            read_fault(400, body, false).reason(),
            "all shards failed; caused by: Failed to parse query [[[]"
        );
    }

    #[test]
    fn a_bare_text_a_missing_document_and_a_foreign_page_are_read_too() {
        let error = read_fault(405, br#"{"error":"Incorrect HTTP method","status":405}"#, false);
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Rejected, "Incorrect HTTP method"));
        let error = read_fault(404, br#"{"_index":"a","_id":"1","found":false}"#, false);
        assert_eq!((error.kind(), error.reason()), (ErrorKind::NotFound, "there is no such document"));
        let error = read_fault(502, b"<html>bad gateway</html>", false);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.reason().contains("not Elasticsearch's: <html>"), "{error}");
        assert_eq!(read_fault(404, b"", true).reason(), "Not Found");
    }

    #[test]
    fn only_an_answer_of_the_cluster_itself_says_that_nothing_was_done() {
        let es = br#"{"error":{"type":"unavailable_shards_exception","reason":"r"},"status":503}"#;
        assert!(!read_fault(503, es, false).may_have_happened());
        assert!(read_fault(503, b"proxy", false).may_have_happened());
        assert!(read_fault(502, b"", false).may_have_happened());
        assert!(!read_fault(429, b"", false).may_have_happened());
        assert!(!read_fault(409, b"", false).may_have_happened());
    }
}
