use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use smallvec::SmallVec;
use tributary_sdk::{Access, BodyKind};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::prepare::{Prepared, is_engine_field};
use crate::spec::PipelineFlags;

/// Version of the canonical form; a change makes every document differ once.
const FORM: u64 = 1;
/// What one JSON value costs in memory beside its text: the value itself and its slot in a map.
const NODE_BYTES: usize = 80;
/// Bytes that a number of bytes or of fields is written in.
const LENGTH_BYTES: usize = 5;

/// Identifies everything that determines an indexed document, except volatile fields and the content itself (which
/// its version stands for). Shown as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// Text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 32 hexadecimal digits")]
pub struct FingerprintError;

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(FingerprintError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| FingerprintError)
    }
}

/// Computes fingerprints; holds the job's share of them and a buffer.
#[derive(Debug)]
pub(crate) struct Fingerprinter {
    pipeline: Option<PipelineFlags>,
    max_body_bytes: u64,
    form: Vec<u8>,
}

impl Fingerprinter {
    pub(crate) fn new(pipeline: Option<PipelineFlags>, max_body_bytes: u64) -> Self {
        Self { pipeline, max_body_bytes, form: Vec::new() }
    }

    /// The fingerprint of `document` and about how many bytes its fields take in memory.
    pub(crate) fn measure(
        &mut self,
        document: &Prepared,
        version: Option<&str>,
        volatile: &[&str],
    ) -> (Fingerprint, usize) {
        let mut form = std::mem::take(&mut self.form);
        form.clear();
        let mut nodes = 0;
        let compared = |name: &str| !is_engine_field(name, document) && !volatile.contains(&name);
        let (start, mut count) = (open(&mut form), 0);
        document.fields.for_each_by_name(|name, value| {
            if compared(name) {
                count += 1;
                field(name, value, &mut form, &mut nodes);
            }
        });
        close(start, count, &mut form);
        let mut weight = form.len() + nodes * NODE_BYTES;
        for name in volatile {
            weight += document.fields.get(name).map_or(0, rough_size);
        }
        self.rest(document, version, &mut form);
        let fingerprint = Fingerprint(xxh3_128_with_seed(&form, FORM));
        if form.capacity() > 1 << 20 {
            form = Vec::new();
        }
        self.form = form;
        (fingerprint, weight)
    }

    fn rest(&self, document: &Prepared, version: Option<&str>, form: &mut Vec<u8>) {
        if let Some(timestamp) = &document.timestamp {
            form.push(b'@');
            form.extend_from_slice(&timestamp.timestamp().to_le_bytes());
            form.extend_from_slice(&timestamp.timestamp_subsec_nanos().to_le_bytes());
        }
        if let Access::Only(tokens) = &document.access {
            form.push(b'#');
            let mut tokens: Vec<&String> = tokens.iter().collect();
            tokens.sort_unstable();
            tokens.dedup();
            length(tokens.len(), form);
            tokens.iter().for_each(|token| text(token, form));
        }
        if let Some(flags) = self.pipeline {
            form.push(b'|');
            for flag in [flags.extract_binary_content, flags.reduce_whitespace, flags.run_ml_inference] {
                form.push(u8::from(flag));
            }
        }
        if let Some(body) = &document.body {
            form.push(match body.kind() {
                BodyKind::Text => b'T',
                BodyKind::Binary => b'B',
            });
            // A content that was left out for its size must be fetched once the limit allows it.
            form.push(u8::from(body.size().is_some_and(|size| size > self.max_body_bytes)));
            text(version.unwrap_or_default(), form);
        }
    }
}

/// Begins an object; its fields follow in the order of their names, since any other order says nothing.
fn open(form: &mut Vec<u8>) -> usize {
    form.push(b'{');
    let start = form.len();
    length(0, form);
    start
}

fn field(name: &str, value: &Value, form: &mut Vec<u8>, nodes: &mut usize) {
    text(name, form);
    canonical(value, form, nodes);
}

/// Says how many fields the object that began at `start` has.
fn close(start: usize, count: u64, form: &mut [u8]) {
    form[start..start + LENGTH_BYTES].copy_from_slice(&count.to_le_bytes()[..LENGTH_BYTES]);
}

fn object(map: &Map<String, Value>, form: &mut Vec<u8>, nodes: &mut usize) {
    let mut sorted: SmallVec<[(&String, &Value); 16]> = map.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| name.as_str());
    let start = open(form);
    sorted.into_iter().for_each(|(name, value)| field(name, value, form, nodes));
    close(start, map.len() as u64, form);
}

fn canonical(value: &Value, form: &mut Vec<u8>, nodes: &mut usize) {
    *nodes += 1;
    match value {
        Value::Null => form.push(b'n'),
        Value::Bool(false) => form.push(b'f'),
        Value::Bool(true) => form.push(b't'),
        Value::Number(number) => {
            if let Some(whole) = number.as_u64() {
                form.push(b'u');
                form.extend_from_slice(&whole.to_le_bytes());
            } else if let Some(whole) = number.as_i64() {
                form.push(b'i');
                form.extend_from_slice(&whole.to_le_bytes());
            } else {
                form.push(b'd');
                form.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
            }
        }
        Value::String(string) => {
            form.push(b's');
            text(string, form);
        }
        Value::Array(items) => {
            form.push(b'[');
            length(items.len(), form);
            items.iter().for_each(|item| canonical(item, form, nodes));
        }
        Value::Object(map) => object(map, form, nodes),
    }
}

fn text(text: &str, form: &mut Vec<u8>) {
    length(text.len(), form);
    form.extend_from_slice(text.as_bytes());
}

fn length(length: usize, form: &mut Vec<u8>) {
    form.extend_from_slice(&(length as u64).to_le_bytes()[..LENGTH_BYTES]);
}

fn rough_size(value: &Value) -> usize {
    let (mut form, mut nodes) = (Vec::new(), 0);
    canonical(value, &mut form, &mut nodes);
    form.len() + nodes * NODE_BYTES
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use tributary_sdk::{Body, Content};

    use super::*;

    fn document(fields: &Value) -> Prepared {
        Prepared {
            id: "a".to_owned(),
            fields: fields.as_object().unwrap().clone().into(),
            timestamp: None,
            access: Access::Everyone,
            body: None,
            fingerprint: None,
            comparable: true,
        }
    }

    fn print(document: &Prepared) -> Fingerprint {
        Fingerprinter::new(Some(PipelineFlags::default()), 100).measure(document, Some("v1"), &["seen"]).0
    }

    fn body(kind: BodyKind, size: u64) -> Option<Body> {
        let fetch = || std::future::ready(Ok(Content::Text(String::new())));
        Some(Body::lazy(kind, fetch).with_size(size))
    }

    #[test]
    fn a_fingerprint_reads_back_from_its_text() {
        let fingerprint = Fingerprint(0x00ab_cdef);
        assert_eq!(fingerprint.to_string().len(), 32);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for bad in ["", "abc", "+0000000000000000000000000000000", "0000000000000000000000000000000g"] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(FingerprintError), "{bad}");
        }
    }

    #[test]
    fn what_does_not_change_the_document_does_not_change_its_fingerprint() {
        let base = print(&document(&json!({"a": 1, "b": {"x": [1], "y": null}})));
        let order = print(&document(&json!({"b": {"y": null, "x": [1]}, "a": 1})));
        let volatile = print(&document(&json!({"a": 1, "b": {"x": [1], "y": null}, "seen": 5})));
        let engine_owned = print(&document(&json!({"a": 1, "b": {"x": [1], "y": null}, "id": "z"})));
        assert_eq!([order, volatile, engine_owned], [base; 3]);
        let mut tokens = document(&json!({}));
        tokens.access = Access::Only(vec!["user:a".to_owned(), "user:b".to_owned()]);
        let mut other_way_round = document(&json!({}));
        other_way_round.access =
            Access::Only(vec!["user:b".to_owned(), "user:a".to_owned(), "user:a".to_owned()]);
        assert_eq!(print(&tokens), print(&other_way_round));
    }

    #[test]
    fn a_row_has_the_fingerprint_of_the_same_fields_in_a_map() {
        let same = json!({"b": 1, "id": 7, "a": {"y": [], "x": null}, "table": "t"});
        let constants = vec![("table".to_owned(), json!("t"))];
        let columns = ["b", "id", "a"].map(str::to_owned).to_vec();
        let values = ["b", "id", "a"].map(|name| same[name].clone()).to_vec();
        let mut row = document(&json!({}));
        row.fields = tributary_sdk::Columns::new(constants, columns).unwrap().row(values);
        assert_eq!(print(&row), print(&document(&same)));
    }

    #[test]
    fn whatever_changes_the_document_changes_its_fingerprint() {
        let mut all = vec![];
        for fields in [
            json!({}),
            json!({"a": 1}),
            json!({"a": 1.0}),
            json!({"a": -1}),
            json!({"a": "1"}),
            json!({"a": [1]}),
            json!({"a": [[1]]}),
            json!({"a": [1, 1]}),
            json!({"a": null}),
            json!({"a": true}),
            json!({"a": false}),
            json!({"a": {}}),
            json!({"a": []}),
            json!({"a": {"a": 1}}),
            json!({"ab": "c"}),
            json!({"a": "bc"}),
            json!({"a": "b", "c": ""}),
        ] {
            all.push(print(&document(&fields)));
        }
        let changed = |change: fn(&mut Prepared)| {
            let mut changed = document(&json!({}));
            change(&mut changed);
            print(&changed)
        };
        all.push(changed(|d| d.timestamp = DateTime::from_timestamp(1, 0)));
        all.push(changed(|d| d.timestamp = DateTime::from_timestamp(1, 1)));
        all.push(changed(|d| d.access = Access::Only(vec![])));
        all.push(changed(|d| d.access = Access::Only(vec!["user:a".to_owned()])));
        all.push(changed(|d| d.body = body(BodyKind::Text, 1)));
        all.push(changed(|d| d.body = body(BodyKind::Binary, 1)));
        all.push(changed(|d| d.body = body(BodyKind::Binary, 101)));
        let mut with_body = document(&json!({}));
        with_body.body = body(BodyKind::Text, 1);
        all.push(
            Fingerprinter::new(Some(PipelineFlags::default()), 100).measure(&with_body, Some("v2"), &[]).0,
        );
        let flags = PipelineFlags { run_ml_inference: false, ..PipelineFlags::default() };
        all.push(Fingerprinter::new(Some(flags), 100).measure(&document(&json!({})), None, &[]).0);
        all.push(Fingerprinter::new(None, 100).measure(&document(&json!({})), None, &[]).0);
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn every_field_counts_wherever_it_stands() {
        let whole = json!({"a": 1, "m": {"x": 1, "y": [1, 2], "z": null}, "t": "text", "z": true});
        let places = ["/a", "/m/x", "/m/y/0", "/m/y/1", "/m/z", "/t", "/z"];
        for place in places {
            let mut changed = whole.clone();
            *changed.pointer_mut(place).unwrap() = json!("other");
            assert_ne!(print(&document(&whole)), print(&document(&changed)), "{place}");
        }
        for name in ["a", "m", "t", "z"] {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().shift_remove(name);
            assert_ne!(print(&document(&whole)), print(&document(&without)), "{name}");
        }
    }

    #[test]
    fn the_size_of_a_body_within_the_limit_says_nothing() {
        let mut small = document(&json!({}));
        small.body = body(BodyKind::Text, 1);
        let mut larger = document(&json!({}));
        larger.body = body(BodyKind::Text, 99);
        assert_eq!(print(&small), print(&larger));
    }
}
