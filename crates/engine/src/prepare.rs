use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use md5::{Digest, Md5};
use serde_json::Value;
use tributary_sdk::{Access, Body, BodyKind, Cursor, DocId, Document, Error, Event, Fields};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::report::Refusal;
use crate::spec::{PipelineFlags, Rules, SyncKind, SyncSpec};

/// Longest `_id` Elasticsearch takes, in bytes (sync-runtime 6.2).
const MAX_ID_BYTES: usize = 512;
/// What a document costs in memory beside its fields: its own fields, its place in the stages, its id.
const DOCUMENT_BYTES: usize = 512;
/// The field that carries [`Fingerprint`]s.
pub(crate) const OWN_FIELD: &str = "_tributary";
/// The field of those who may see a document.
pub(crate) const ACCESS_FIELD: &str = "_allow_access_control";
/// The field of the last change.
pub(crate) const TIMESTAMP_FIELD: &str = "_timestamp";
/// Names of the pipeline's switches, in the order of [`switches`].
pub(crate) const SWITCH_FIELDS: [&str; 3] =
    ["_extract_binary_content", "_reduce_whitespace", "_run_ml_inference"];

/// Identifies a document within one job: a hash of its id whose lowest bit is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u128);

impl Key {
    /// The key of `id` under the job's `seed`, which keeps people from preparing ids that collide.
    pub(crate) fn of(id: &str, seed: u64) -> Self {
        Self(xxh3_128_with_seed(id.as_bytes(), seed) & !1)
    }
}

/// The values of [`SWITCH_FIELDS`].
pub(crate) fn switches(flags: PipelineFlags) -> [bool; 3] {
    [flags.extract_binary_content, flags.reduce_whitespace, flags.run_ml_inference]
}

/// A document that is ready to be compared and sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: String,
    pub(crate) fields: Fields,
    pub(crate) timestamp: Option<DateTime<Utc>>,
    pub(crate) access: Access,
    /// Its content, only when the index wants it.
    pub(crate) body: Option<Body>,
    /// What is stored with it; `None` with fingerprints switched off.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Whether an equal fingerprint means an equal document.
    pub(crate) comparable: bool,
}

/// Whether the engine writes `name` itself, so that a field of the source under this name is left out.
pub(crate) fn is_engine_field(name: &str, document: &Prepared) -> bool {
    match name.as_bytes().first() {
        Some(b'i') => name == "id",
        Some(b'_') => {
            name == OWN_FIELD
                || SWITCH_FIELDS.contains(&name)
                || (name == TIMESTAMP_FIELD && document.timestamp.is_some())
                || (name == ACCESS_FIELD && document.access != Access::Everyone)
        }
        _ => false,
    }
}

/// One event of the source, ready for the stages.
#[derive(Debug)]
pub(crate) enum Step {
    /// To be compared and sent.
    Document { key: Key, weight: usize, document: Box<Prepared> },
    /// Kept out by the rules.
    Filtered { key: Key, id: String },
    /// Gone from the source.
    Gone { key: Key, id: String },
    /// Cannot be written.
    Refused { key: Key, refusal: Refusal },
    /// Could not be read by the source.
    Skipped { key: Key, refusal: Refusal },
    /// A part was not listed.
    Incomplete(Error),
    /// Everything before is complete.
    Checkpoint(Cursor),
    /// Nothing to do with it.
    Passed,
    /// The listing broke off.
    Broken(Error),
    /// The listing ended cleanly.
    End,
}

impl Step {
    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Document { weight, .. } => *weight,
            _ => DOCUMENT_BYTES,
        }
    }
}

/// Turns events into steps. Pure: no stage after it looks at raw documents.
#[derive(Debug)]
pub(crate) struct Preparer {
    seed: u64,
    identities: bool,
    extracts_attachments: bool,
    with_fingerprint: bool,
    pipeline: Option<PipelineFlags>,
    rules: Option<Arc<dyn Rules>>,
    /// The only documents that are dealt with, if it is not about all; they are written in any case.
    only: Option<HashSet<Key>>,
    fingerprints: Fingerprinter,
}

impl Preparer {
    pub(crate) fn new(spec: &SyncSpec, seed: u64, max_body_bytes: u64) -> Self {
        let identities = spec.kind == SyncKind::AccessControl;
        let pipeline = if identities { None } else { spec.pipeline };
        Self {
            seed,
            identities,
            extracts_attachments: spec.extracts_attachments && !identities,
            with_fingerprint: spec.fingerprint,
            pipeline,
            rules: if identities { None } else { spec.rules.clone() },
            only: spec
                .letters
                .as_ref()
                .filter(|letters| letters.retry)
                .map(|letters| letters.known.iter().map(|letter| Key::of(&letter.id, seed)).collect()),
            fingerprints: Fingerprinter::new(pipeline, max_body_bytes),
        }
    }

    pub(crate) fn step(&mut self, event: Option<Result<Event, Error>>) -> Step {
        match event {
            None => Step::End,
            Some(Err(error)) => Step::Broken(error),
            // What a retry passes over is not complete.
            Some(Ok(Event::Checkpoint(_))) if self.only.is_some() => Step::Passed,
            Some(Ok(Event::Checkpoint(cursor))) => Step::Checkpoint(cursor),
            Some(Ok(Event::Incomplete(error))) => Step::Incomplete(error),
            Some(Ok(Event::Delete(id))) => {
                let id = index_id(id);
                let key = self.key(&id);
                if self.passes_over(key) { Step::Passed } else { Step::Gone { key, id } }
            }
            Some(Ok(Event::Skipped { id, error })) => {
                let refusal = refuse(index_id(id), "source", error.report());
                let key = self.key(&refusal.id);
                if self.passes_over(key) { Step::Passed } else { Step::Skipped { key, refusal } }
            }
            Some(Ok(Event::Upsert(document))) => self.document(document),
        }
    }

    fn key(&self, id: &str) -> Key {
        Key::of(id, self.seed)
    }

    fn passes_over(&self, key: Key) -> bool {
        self.only.as_ref().is_some_and(|only| !only.contains(&key))
    }

    fn document(&mut self, document: Document) -> Step {
        let Document { id, fields, timestamp, version, volatile, access, body } = document;
        if self.identities && id.as_str().len() > MAX_ID_BYTES {
            let reason = format!("the identity's id is longer than {MAX_ID_BYTES} bytes");
            let refusal = refuse(id.into_string(), "id_too_long", reason);
            let key = self.key(&refusal.id);
            return if self.passes_over(key) { Step::Passed } else { Step::Refused { key, refusal } };
        }
        let id = index_id(id);
        let key = self.key(&id);
        if self.passes_over(key) {
            return Step::Passed;
        }
        if fields.keys().any(|name| name == "_id") {
            let reason = "the source gives a field '_id', which an index keeps for itself".to_owned();
            return Step::Refused { key, refusal: refuse(id, "reserved_field", reason) };
        }
        let wanted = |body: &Body| body.kind() == BodyKind::Text || self.extracts_attachments;
        let body = body.filter(wanted);
        let comparable =
            self.with_fingerprint && self.only.is_none() && (body.is_none() || version.is_some());
        let mut document = Prepared { id, fields, timestamp, access, body, fingerprint: None, comparable };
        if !self.admits(&mut document) {
            return Step::Filtered { key, id: document.id };
        }
        let (fingerprint, weight) = self.fingerprints.measure(&document, version.as_deref(), volatile);
        document.fingerprint = self.with_fingerprint.then_some(fingerprint);
        let held = document.body.as_ref().map_or(0, |body| usize::try_from(body.held_bytes()).unwrap_or(0));
        let weight = weight + held + document.id.len() + DOCUMENT_BYTES;
        Step::Document { key, weight, document: Box::new(document) }
    }

    /// Rules see the document as it is indexed, without content (sync-runtime 8.2). The added fields may stay: they
    /// are the engine's, which writes them itself.
    fn admits(&self, document: &mut Prepared) -> bool {
        let Some(rules) = &self.rules else { return true };
        let fields = document.fields.as_map_mut();
        fields.insert("id".to_owned(), Value::from(document.id.as_str()));
        if let Some(timestamp) = &document.timestamp {
            fields.insert(TIMESTAMP_FIELD.to_owned(), Value::from(written_time(timestamp)));
        }
        if let Some(flags) = self.pipeline {
            for (name, on) in SWITCH_FIELDS.iter().zip(switches(flags)) {
                fields.insert((*name).to_owned(), Value::from(on));
            }
        }
        rules.admits(fields)
    }
}

/// How `_timestamp` is written.
pub(crate) fn written_time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The `_id` of a document: its own, or where that is too long the MD5 of it in hex (sync-runtime 6.2).
fn index_id(id: DocId) -> String {
    let id = id.into_string();
    if id.len() <= MAX_ID_BYTES {
        return id;
    }
    Md5::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refuse(id: String, kind: &str, reason: String) -> Refusal {
    Refusal { id, kind: kind.to_owned(), reason, status: None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};
    use tributary_sdk::{Content, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Only(&'static str, Value);

    impl Rules for Only {
        fn admits(&self, document: &Map<String, Value>) -> bool {
            document.get(self.0) == Some(&self.1)
        }
    }

    fn spec() -> SyncSpec {
        SyncSpec { pipeline: Some(PipelineFlags::default()), ..SyncSpec::new("job", "spool") }
    }

    fn doc(id: &str) -> Document {
        Document::new(DocId::new(id).unwrap()).field("a", 1)
    }

    fn prepare(spec: &SyncSpec, document: Document) -> Step {
        Preparer::new(spec, 0, 100).step(Some(Ok(Event::Upsert(document))))
    }

    fn prepared(step: Step) -> Prepared {
        match step {
            Step::Document { document, .. } => *document,
            other => panic!("not a document: {other:?}"),
        }
    }

    fn body(kind: BodyKind) -> Option<Body> {
        Some(Body::lazy(kind, || std::future::ready(Ok(Content::Text(String::new())))))
    }

    #[test]
    fn an_id_longer_than_elasticsearch_takes_is_hashed() {
        let long = "x".repeat(513);
        assert_eq!(prepared(prepare(&spec(), doc(&long))).id.len(), 32);
        assert_eq!(prepared(prepare(&spec(), doc(&long[1..]))).id, long[1..]);
        let gone =
            Preparer::new(&spec(), 0, 100).step(Some(Ok(Event::Delete(DocId::new(long.clone()).unwrap()))));
        assert!(matches!(gone, Step::Gone { id, .. } if id.len() == 32));
        let identities = SyncSpec { kind: SyncKind::AccessControl, ..spec() };
        assert!(
            matches!(prepare(&identities, doc(&long)), Step::Refused { .. }),
            "an identity is found by its id"
        );
    }

    #[test]
    fn a_field_that_the_index_keeps_for_itself_is_refused_with_its_name() {
        let step = prepare(&spec(), doc("a").field("_id", "b"));
        assert!(matches!(step, Step::Refused { refusal, .. } if refusal.reason.contains("'_id'")));
    }

    #[test]
    fn rules_see_the_prepared_document() {
        for (name, value, admitted) in [
            ("a", json!(1), true),
            ("a", json!(2), false),
            ("id", json!("x"), true),
            ("_reduce_whitespace", json!(true), true),
            ("_timestamp", json!("1970-01-01T00:00:01Z"), true),
        ] {
            let mut document = doc("x");
            document.timestamp = DateTime::from_timestamp(1, 0);
            let spec = SyncSpec { rules: Some(Arc::new(Only(name, value.clone()))), ..spec() };
            let step = prepare(&spec, document);
            assert_eq!(matches!(step, Step::Document { .. }), admitted, "{name} {value}");
        }
    }

    #[test]
    fn rules_do_not_change_the_fingerprint() {
        let rules = SyncSpec { rules: Some(Arc::new(Only("a", json!(1)))), ..spec() };
        let (with, without) = (prepared(prepare(&rules, doc("x"))), prepared(prepare(&spec(), doc("x"))));
        assert_eq!(with.fingerprint, without.fingerprint);
    }

    #[test]
    fn a_content_is_kept_only_where_the_index_wants_it() {
        for (kind, extracts, kept) in [
            (BodyKind::Text, false, true),
            (BodyKind::Text, true, true),
            (BodyKind::Binary, false, false),
            (BodyKind::Binary, true, true),
        ] {
            let mut document = doc("a");
            document.body = body(kind);
            let spec = SyncSpec { extracts_attachments: extracts, ..spec() };
            assert_eq!(prepared(prepare(&spec, document)).body.is_some(), kept, "{kind:?} {extracts}");
        }
    }

    #[test]
    fn a_wanted_content_without_a_version_is_never_comparable() {
        let mut document = doc("a");
        document.body = body(BodyKind::Text);
        assert!(!prepared(prepare(&spec(), document)).comparable);
        let mut versioned = doc("a");
        versioned.body = body(BodyKind::Text);
        versioned.version = Some("1".to_owned());
        assert!(prepared(prepare(&spec(), versioned)).comparable);
        let mut unwanted = doc("a");
        unwanted.body = body(BodyKind::Binary);
        assert!(prepared(prepare(&spec(), unwanted)).comparable);
    }

    #[test]
    fn identities_carry_no_switches_and_pass_all_rules() {
        let never = Arc::new(Only("never", json!(1)));
        let spec = SyncSpec { kind: SyncKind::AccessControl, rules: Some(never), ..spec() };
        assert!(matches!(prepare(&spec, doc("a@b.c")), Step::Document { .. }));
    }

    #[test]
    fn a_failure_of_the_stream_is_never_its_end() {
        let mut preparer = Preparer::new(&spec(), 0, 100);
        let error = Error::new(ErrorKind::Unavailable, "gone");
        assert!(matches!(preparer.step(Some(Err(error))), Step::Broken(_)));
        assert!(matches!(preparer.step(None), Step::End));
    }
}
