use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tributary_sdk::Access;

use crate::batch::{Batch, OpKind, OpRef};
use crate::json;
use crate::prepare::{
    ACCESS_FIELD, OWN_FIELD, Prepared, SWITCH_FIELDS, TIMESTAMP_FIELD, is_engine_field, switches,
    written_time,
};
use crate::spec::PipelineFlags;

/// A token that nobody holds: Elasticsearch takes an empty list for no list, that is, for everybody.
const NOBODY: &str = "tributary:nobody";
/// Most bytes set aside for a new batch before it has any.
const FIRST_CAPACITY: usize = 256 << 10;
/// Batches whose memory is kept for the next ones.
const SPARE: usize = 2;
/// Most bytes set aside for a batch because the one before it took as many.
const MOST_CAPACITY: usize = 4 << 20;

/// Fetched content as it is written.
#[derive(Debug)]
pub(crate) enum Written {
    /// None.
    Nothing,
    /// The field `body`.
    Text(String),
    /// The field `_attachment`.
    Attachment(Bytes),
}

/// What every document of a job is written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) pipeline: Option<PipelineFlags>,
    pub(crate) max_text_document_bytes: Option<usize>,
}

/// Why a document was not taken into a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// It is not JSON.
    Malformed(String),
}

/// A batch that is being filled. Documents are serialised straight into it, once.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    payload: Vec<u8>,
    ops: Vec<OpRef>,
    /// Size and operations of the batch before: the next one is like it, and growing step by step would copy it.
    last: (usize, usize),
    /// Memory of batches that were sent, for the next ones: fresh memory costs more than what is written into it.
    spare: Vec<Vec<u8>>,
    /// The time that was written last, as text: it is the same for many documents.
    now: Option<(DateTime<Utc>, String)>,
}

impl BatchBuilder {
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.payload.len()
    }

    pub(crate) fn seal(&mut self) -> Batch {
        self.last = (self.payload.len(), self.ops.len());
        let payload = std::mem::take(&mut self.payload);
        Batch::new(payload.into(), std::mem::take(&mut self.ops))
    }

    /// Takes the last operation out into a batch of its own.
    pub(crate) fn split_last(&mut self) -> Option<Self> {
        let mut op = self.ops.pop()?;
        let last = (op.range.start, self.ops.len());
        let wanted = op.range.len().max(last.0 + last.0 / 8).min(MOST_CAPACITY);
        let mut payload = self.room(wanted);
        payload.extend_from_slice(&self.payload[op.range.start..]);
        self.payload.truncate(op.range.start);
        op.range = 0..payload.len();
        let spare = std::mem::take(&mut self.spare);
        Some(Self { payload, ops: vec![op], last, spare, now: self.now.take() })
    }

    /// Appends a delete; returns its size.
    pub(crate) fn delete(&mut self, id: String) -> usize {
        let start = self.begin(0);
        self.action("delete", &id);
        self.end(id, OpKind::Delete, start)
    }

    /// Appends a document, with `now` as its time of change when it has none; returns its size.
    ///
    /// # Errors
    /// Gives the document's id back with the reason; the batch is as before.
    pub(crate) fn index(
        &mut self,
        document: Prepared,
        content: Written,
        now: Option<&DateTime<Utc>>,
        style: Style,
    ) -> Result<usize, (String, Unwritten)> {
        let start = self.begin(FIRST_CAPACITY);
        let attached = matches!(content, Written::Attachment(_))
            || document.fields.keys().any(|name| name == "_attachment");
        self.action("index", &document.id);
        let now = now.map(|now| written_now(&mut self.now, now));
        if let Err(error) = write_source(&mut self.payload, &document, content, now, style.pipeline) {
            self.payload.truncate(start);
            return Err((document.id, Unwritten::Malformed(error.to_string())));
        }
        self.payload.push(b'\n');
        let size = self.payload.len() - start;
        if let Some(limit) = style.max_text_document_bytes
            && !attached
            && size > limit
        {
            self.payload.truncate(start);
            self.payload.shrink_to(start.max(FIRST_CAPACITY));
            return Err((document.id, Unwritten::TooLarge(size)));
        }
        Ok(self.end(document.id, OpKind::Index, start))
    }

    fn begin(&mut self, capacity: usize) -> usize {
        if self.payload.capacity() == 0 {
            let (bytes, operations) = self.last;
            self.payload = self.room(capacity.max(bytes + bytes / 8).clamp(1 << 10, MOST_CAPACITY));
            self.ops.reserve(operations);
        }
        self.payload.len()
    }

    /// Takes the memory of a batch back, if nobody else reads it any more.
    pub(crate) fn recycle(&mut self, mut payload: Bytes) {
        if self.spare.len() < SPARE && payload.len() >= FIRST_CAPACITY && payload.is_unique() {
            // What is in it would be copied. All of it cannot be cut off: that would let go of the memory.
            payload.truncate(1);
            self.spare.push(payload.into());
        }
    }

    /// Empty memory for `wanted` bytes.
    fn room(&mut self, wanted: usize) -> Vec<u8> {
        // Sizes differ a little from batch to batch.
        let fits = |spare: &Vec<u8>| (wanted - wanted / 4..=MOST_CAPACITY).contains(&spare.capacity());
        match self.spare.pop().filter(fits) {
            Some(mut spare) if wanted >= FIRST_CAPACITY => {
                spare.clear();
                spare
            }
            _ => Vec::with_capacity(wanted),
        }
    }

    fn action(&mut self, action: &str, id: &str) {
        self.payload.extend_from_slice(b"{\"");
        self.payload.extend_from_slice(action.as_bytes());
        self.payload.extend_from_slice(b"\":{\"_id\":");
        json::string(&mut self.payload, id);
        self.payload.extend_from_slice(b"}}\n");
    }

    fn end(&mut self, id: String, kind: OpKind, start: usize) -> usize {
        let end = self.payload.len();
        self.ops.push(OpRef { id, kind, range: start..end });
        end - start
    }
}

/// `now` as text; `last` holds the one asked for before.
fn written_now<'a>(last: &'a mut Option<(DateTime<Utc>, String)>, now: &DateTime<Utc>) -> &'a str {
    if last.as_ref().is_none_or(|(time, _)| time != now) {
        *last = None;
    }
    &last.get_or_insert_with(|| (*now, written_time(now))).1
}

fn write_source(
    out: &mut Vec<u8>,
    document: &Prepared,
    content: Written,
    now: Option<&str>,
    pipeline: Option<PipelineFlags>,
) -> serde_json::Result<()> {
    out.extend_from_slice(b"{\"id\":");
    json::string(out, &document.id);
    let content_field = match content {
        Written::Nothing => "",
        Written::Text(_) => "body",
        Written::Attachment(_) => "_attachment",
    };
    let mut own_time = false;
    for (name, value) in &document.fields {
        own_time |= name == TIMESTAMP_FIELD;
        if name != content_field && !is_engine_field(name, document) {
            name_of(out, name);
            json::value(out, value)?;
        }
    }
    match (&document.timestamp, now) {
        (Some(time), _) => text_field(out, TIMESTAMP_FIELD, &written_time(time)),
        (None, Some(now)) if !own_time => text_field(out, TIMESTAMP_FIELD, now),
        (None, _) => {}
    }
    if let Some(flags) = pipeline {
        for (name, on) in SWITCH_FIELDS.iter().zip(switches(flags)) {
            name_of(out, name);
            out.extend_from_slice(if on { b"true" } else { b"false" });
        }
    }
    match &document.access {
        Access::Everyone => {}
        Access::Only(tokens) if tokens.is_empty() => access(out, [NOBODY]),
        Access::Only(tokens) => access(out, tokens.iter().map(String::as_str)),
    }
    if let Some(fingerprint) = document.fingerprint {
        name_of(out, OWN_FIELD);
        out.extend_from_slice(b"{\"fingerprint\":\"");
        json::hex(out, fingerprint.0);
        out.extend_from_slice(b"\"}");
    }
    match content {
        Written::Nothing => {}
        Written::Text(text) => {
            // Growing by doubling would hold a large content three times.
            out.reserve(text.len() + text.len() / 32 + content_field.len() + 8);
            text_field(out, content_field, &text);
        }
        Written::Attachment(bytes) => {
            name_of(out, content_field);
            attachment(out, &bytes);
        }
    }
    out.push(b'}');
    Ok(())
}

fn text_field(out: &mut Vec<u8>, name: &str, text: &str) {
    name_of(out, name);
    json::string(out, text);
}

fn access<'a>(out: &mut Vec<u8>, tokens: impl IntoIterator<Item = &'a str>) {
    name_of(out, ACCESS_FIELD);
    out.push(b'[');
    for (at, token) in tokens.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(out, token);
    }
    out.push(b']');
}

/// A comma and the name: `id` comes before every other field.
fn name_of(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    json::string(out, name);
    out.push(b':');
}

/// Base64 straight into the batch.
fn attachment(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    let size = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    // Growing by doubling would hold a large content three times.
    out.reserve_exact(size + 8);
    out.resize(start + size, 0);
    // The slice has exactly the size that is needed.
    let _written = STANDARD.encode_slice(bytes, &mut out[start..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fingerprint::Fingerprint;

    const PLAIN: Style = Style { pipeline: None, max_text_document_bytes: None };

    fn document(fields: &Value) -> Prepared {
        Prepared {
            id: "a\"1".to_owned(),
            fields: fields.as_object().unwrap().clone().into(),
            timestamp: None,
            access: Access::Everyone,
            body: None,
            fingerprint: None,
            comparable: true,
        }
    }

    fn written(document: Prepared, content: Written, now: Option<&DateTime<Utc>>, style: Style) -> Value {
        let mut builder = BatchBuilder::default();
        let size = builder.index(document, content, now, style).unwrap();
        let batch = builder.seal();
        assert_eq!(size, batch.payload().len());
        let text = String::from_utf8(batch.payload().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(serde_json::from_str::<Value>(lines[0]).unwrap(), json!({"index": {"_id": "a\"1"}}));
        assert!(text.ends_with('\n'));
        serde_json::from_str(lines[1]).unwrap()
    }

    #[test]
    fn a_document_is_written_with_everything_the_engine_adds() {
        let mut full = document(&json!({"title": "t", "n": {"x": [1, null]}}));
        full.timestamp = DateTime::from_timestamp(1, 5_000_000);
        full.access = Access::Only(vec!["user:a".to_owned()]);
        full.fingerprint = Some(Fingerprint(255));
        let style = Style { pipeline: Some(PipelineFlags::default()), ..PLAIN };
        assert_eq!(
            written(full, Written::Text("hällo".to_owned()), None, style),
            json!({
                "id": "a\"1", "title": "t", "n": {"x": [1, null]}, "_timestamp": "1970-01-01T00:00:01.005Z",
                "_extract_binary_content": true, "_reduce_whitespace": true, "_run_ml_inference": true,
                "_allow_access_control": ["user:a"],
                "_tributary": {"fingerprint": "000000000000000000000000000000ff"},
                "body": "hällo",
            })
        );
    }

    #[test]
    fn an_empty_access_list_lets_nobody_in() {
        let mut closed = document(&json!({}));
        closed.access = Access::Only(vec![]);
        let source = written(closed, Written::Nothing, None, PLAIN);
        assert_eq!(source["_allow_access_control"], json!([NOBODY]));
    }

    #[test]
    fn no_field_is_written_twice() {
        let mut clash = document(&json!({
            "id": "other", "body": "own", "_timestamp": "own", "_allow_access_control": ["own"],
            "_tributary": 1, "_reduce_whitespace": 7
        }));
        clash.timestamp = DateTime::from_timestamp(0, 0);
        clash.access = Access::Only(vec!["user:a".to_owned()]);
        clash.fingerprint = Some(Fingerprint(1));
        let mut builder = BatchBuilder::default();
        let style = Style { pipeline: Some(PipelineFlags::default()), ..PLAIN };
        builder.index(clash, Written::Text("fetched".to_owned()), None, style).unwrap();
        let text = String::from_utf8(builder.seal().payload().to_vec()).unwrap();
        for name in ["id", "body", "_timestamp", "_allow_access_control", "_tributary", "_reduce_whitespace"]
        {
            assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name} in {text}");
        }
        assert!(!text.contains("own"));
    }

    #[test]
    fn what_the_engine_does_not_write_passes_through() {
        let fields = json!({"body": "own", "_attachment": "b3du", "_timestamp": "2020-01-01"});
        let now = DateTime::from_timestamp(9, 0).unwrap();
        let mut expected = fields.clone();
        expected["id"] = json!("a\"1");
        assert_eq!(written(document(&fields), Written::Nothing, Some(&now), PLAIN), expected);
    }

    #[test]
    fn a_document_without_a_time_gets_the_one_given() {
        let now = DateTime::from_timestamp(9, 0).unwrap();
        let source = written(document(&json!({})), Written::Nothing, Some(&now), PLAIN);
        assert_eq!(source["_timestamp"], json!("1970-01-01T00:00:09Z"));
    }

    #[test]
    fn bytes_are_written_as_base64() {
        let source =
            written(document(&json!({})), Written::Attachment(Bytes::from_static(b"hello")), None, PLAIN);
        assert_eq!(source["_attachment"], json!("aGVsbG8="));
    }

    #[test]
    fn a_too_large_text_leaves_the_batch_as_it_was() {
        let style = Style { max_text_document_bytes: Some(100), ..PLAIN };
        let mut builder = BatchBuilder::default();
        builder.index(document(&json!({"a": 1})), Written::Nothing, None, style).unwrap();
        let before = builder.bytes();
        let large = document(&json!({"a": "x".repeat(200)}));
        let refused = builder.index(large, Written::Nothing, None, style).unwrap_err();
        assert!(matches!(refused, (id, Unwritten::TooLarge(size)) if id == "a\"1" && size > 200));
        assert_eq!((builder.bytes(), builder.len()), (before, 1));
        let attached = Written::Attachment(Bytes::from(vec![0; 200]));
        assert!(
            builder.index(document(&json!({})), attached, None, style).is_ok(),
            "attachments have their own limit"
        );
    }

    #[test]
    fn the_last_operation_can_be_taken_out() {
        let mut builder = BatchBuilder::default();
        builder.delete("a".to_owned());
        builder.delete("b".to_owned());
        let last = builder.split_last().unwrap().seal();
        assert_eq!(last.payload(), "{\"delete\":{\"_id\":\"b\"}}\n");
        assert_eq!(last.ops()[0].range, 0..last.payload().len());
        assert_eq!(builder.seal().payload(), "{\"delete\":{\"_id\":\"a\"}}\n");
    }

    #[test]
    fn the_memory_of_a_batch_that_was_sent_serves_again_unless_somebody_still_reads_it() {
        let mut builder = BatchBuilder::default();
        let mut sealed = || {
            let large = document(&json!({"a": "x".repeat(FIRST_CAPACITY)}));
            builder.index(large, Written::Nothing, None, PLAIN).unwrap();
            let payload = builder.seal().payload().clone();
            (payload.as_ptr(), payload)
        };
        let _size = sealed();
        let (first, payload) = sealed();
        let (second, other) = sealed();
        assert_ne!(first, second);
        let reads = other.clone();
        builder.recycle(payload);
        builder.recycle(other);
        assert_eq!(builder.spare.len(), 1);
        assert_eq!(reads.len(), reads.iter().rposition(|byte| *byte == b'\n').unwrap() + 1);
        builder.index(document(&json!({"a": 1})), Written::Nothing, None, PLAIN).unwrap();
        assert_eq!(builder.payload.as_ptr(), first);
    }

    #[test]
    fn a_delete_is_one_line() {
        let mut builder = BatchBuilder::default();
        builder.delete("ü\n".to_owned());
        let batch = builder.seal();
        assert_eq!(batch.payload(), "{\"delete\":{\"_id\":\"ü\\n\"}}\n");
        assert_eq!(batch.ops()[0].kind, OpKind::Delete);
    }
}
