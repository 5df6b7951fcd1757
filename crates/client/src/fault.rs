//! What an answer that is not 2xx says.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{ClientError, ErrorKind};

/// How much of an answer that is not Elasticsearch's is quoted, in characters.
const QUOTE: usize = 100;
/// How much of a page is searched for its words, in bytes.
const PAGE: usize = 16 * 1024;

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
    let kind = match ErrorKind::of_status(status) {
        // What a page refuses or does not know, something before the cluster does: the cluster's rights and documents
        // have nothing to do with it.
        ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::Rejected if is_page(body) => {
            ErrorKind::Foreign
        }
        kind => kind,
    };
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
    let standard = standard_reason(status);
    if is_page(body) {
        return match page_words(body) {
            words if words.is_empty() => format!("{standard}; the answer is a web page, not Elasticsearch's"),
            words => format!("{standard}; the answer is a web page, not Elasticsearch's: '{words}'"),
        };
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTE * 4)]);
    match (quote(&text), bodyless) {
        (_, true) => standard.to_owned(),
        (text, _) if text.is_empty() => standard.to_owned(),
        (text, _) => format!("{standard}; the answer is not Elasticsearch's: {text}"),
    }
}

/// Whether a body is HTML (or XML), as proxies and login pages answer.
pub(crate) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// What a page says: its title, or else its first words.
pub(crate) fn page_words(body: &[u8]) -> String {
    let page = String::from_utf8_lossy(&body[..body.len().min(PAGE)]);
    // Lower case of ASCII only, so that places in one are places in the other.
    let lower = page.to_ascii_lowercase();
    let between = |open: &str, close: &str| {
        let tag = lower.find(open)?;
        let from = tag + lower[tag..].find('>')? + 1;
        let to = from + lower[from..].find(close)?;
        Some(&page[from..to])
    };
    let title = between("<title", "</title").map(quote).filter(|title| !title.is_empty());
    title.unwrap_or_else(|| quote(&without_tags(&page)))
}

fn without_tags(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        // What stands before the first tag, and what stands after each.
        text.push_str(part.split_once('>').map_or("", |(_, after)| after));
        text.push(' ');
    }
    text
}

/// The beginning of `text`, on one line.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
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
        assert_eq!(
            error.reason(),
            "Bad Gateway; the answer is a web page, not Elasticsearch's: 'bad gateway'"
        );
        assert_eq!(read_fault(404, b"", true).reason(), "Not Found");
    }

    #[test]
    fn of_a_long_page_its_title_is_quoted_and_of_a_long_text_its_beginning() {
        let style = "p{color:red}".repeat(500);
        let page = format!(
            "\n<!DOCTYPE html><HTML><head><style>{style}</style><TITLE class=a>\n 403  Blocked </TITLE></head><body>{style}"
        );
        let reason = read_fault(403, page.as_bytes(), false).reason().to_owned();
        assert_eq!(reason, "Forbidden; the answer is a web page, not Elasticsearch's: '403 Blocked'");
        let reason = read_fault(400, "ä ".repeat(5000).as_bytes(), false).reason().to_owned();
        assert!(reason.ends_with('…') && reason.chars().count() < 200, "{reason}");
        assert!(read_fault(502, b"<", false).reason().ends_with("not Elasticsearch's"));
    }

    #[test]
    fn what_a_page_refuses_is_not_for_the_clusters_rights_to_allow() {
        for (status, kind) in [
            (403, ErrorKind::Foreign),
            (404, ErrorKind::Foreign),
            (405, ErrorKind::Foreign),
            (401, ErrorKind::Auth),
            (413, ErrorKind::TooLarge),
            (429, ErrorKind::Throttled),
            (503, ErrorKind::Unavailable),
        ] {
            assert_eq!(read_fault(status, b"<html></html>", false).kind(), kind, "{status}");
        }
        assert_eq!(read_fault(403, b"no", false).kind(), ErrorKind::Forbidden);
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
