use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;
use tributary_sdk::{
    Body, BodyKind, Columns, Content, Context, DataSource, DocId, Document, Error, ErrorKind, Event, Facets,
    Fields, Result, Source,
};

/// Text of which every document has a piece; a power of two.
const POOL: usize = 1 << 20;
/// About what a document takes beside its text, as JSON.
const FRAME: usize = 170;
const WORDS: [&str; 16] = [
    "river",
    "stream",
    "index",
    "source",
    "cursor",
    "bulk",
    "shard",
    "token",
    "schedule",
    "lease",
    "query",
    "field",
    "mapping",
    "refresh",
    "segment",
    "tributary",
];

/// Words without anything JSON would escape, twice over so that a piece may begin anywhere.
static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
    let mut text = String::with_capacity(2 * POOL + 16);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    while text.len() < 2 * POOL {
        seed = mixed(seed);
        text.push_str(WORDS.get(seed as usize % WORDS.len()).copied().unwrap_or_default());
        text.push(' ');
    }
    text.into()
});

fn mixed(mut seed: u64) -> u64 {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^ seed << 17
}

/// Documents that are made when they are asked for: the same every time, and nothing of them is kept.
#[derive(Clone, Debug)]
pub struct Documents {
    /// How many.
    pub count: u64,
    /// Bytes of each as JSON, about; of its content where `bodies` is set.
    pub size: usize,
    /// Whether the text is a content that is fetched when it is wanted, and not a field.
    pub bodies: bool,
    /// One in so many differs from the documents of a source without this.
    pub changed_one_in: Option<u64>,
    /// One in so many is gone.
    pub deleted_one_in: Option<u64>,
}

impl Documents {
    /// `count` documents of about `size` bytes.
    #[must_use]
    pub fn new(count: u64, size: usize) -> Self {
        Self { count, size, bodies: false, changed_one_in: None, deleted_one_in: None }
    }

    /// The id of document `n`.
    #[must_use]
    pub fn id(n: u64) -> String {
        format!("folder-{:04}/document-{n:010}", n % 1000)
    }

    /// Whether document `n` is there.
    #[must_use]
    pub fn has(&self, n: u64) -> bool {
        n < self.count && self.deleted_one_in.is_none_or(|every| n % every != every / 2)
    }

    fn revision(&self, n: u64) -> u64 {
        u64::from(self.changed_one_in.is_some_and(|every| n % every == every / 3)) + 1
    }

    fn text(&self, n: u64) -> &'static str {
        let text: &'static str = &TEXT;
        let size = if self.bodies { self.size.min(POOL) } else { self.size.saturating_sub(FRAME).min(POOL) };
        let start = (mixed(n + 1) as usize) & (POOL - 1);
        text.get(start..start + size).unwrap_or_default()
    }

    /// Document `n` as a source gives it.
    ///
    /// # Errors
    /// None: an id is never empty.
    pub fn document(&self, n: u64) -> Result<Document> {
        let (text, revision) = (self.text(n), self.revision(n));
        let mut document = Document::new(DocId::new(Self::id(n))?);
        let mut values = vec![
            format!("Document {n}").into(),
            OWNERS[(n % 4) as usize].into(),
            text.len().into(),
            revision.into(),
        ];
        if !self.bodies {
            values.push(text.into());
            document.fields = WITH_TEXT.row(values);
            return Ok(document);
        }
        document.fields = WITHOUT_TEXT.row(values);
        let fetch = move || std::future::ready(Ok(Content::Text(text.to_owned())));
        let body = Body::lazy(BodyKind::Text, fetch).with_size(text.len() as u64);
        Ok(Document { body: Some(body), version: Some(revision.to_string()), ..document })
    }

    /// The two lines of document `n` in a bulk request, with the same fields.
    pub fn write_lines(&self, n: u64, out: &mut Vec<u8>) {
        let (id, text, revision) = (Self::id(n), self.text(n), self.revision(n));
        let (owner, size) = (OWNERS[(n % 4) as usize], text.len());
        let name = if self.bodies { "body" } else { "text" };
        // Writing to memory does not fail.
        let _written = write!(
            out,
            "{{\"index\":{{\"_id\":\"{id}\"}}}}\n{{\"id\":\"{id}\",\"created_at\":\"2026-03-01T12:30:00Z\",\
             \"title\":\"Document {n}\",\"owner\":\"{owner}\",\"size\":{size},\"revision\":{revision},\"{name}\":\""
        );
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"}\n");
    }
}

#[derive(Serialize)]
struct Action<'a> {
    index: Target<'a>,
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(flatten)]
    fields: &'a Fields,
}

impl Documents {
    /// The same lines by way of the document that a source would give.
    ///
    /// # Errors
    /// None: an id is never empty, and every document can be written as JSON.
    pub fn serialize_lines(&self, n: u64, out: &mut Vec<u8>) -> Result<()> {
        let document = self.document(n)?;
        let id = document.id.as_str();
        let written = serde_json::to_writer(&mut *out, &Action { index: Target { id } }).and_then(|()| {
            out.push(b'\n');
            serde_json::to_writer(&mut *out, &Line { id, fields: &document.fields })
        });
        written.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        out.push(b'\n');
        Ok(())
    }
}

const OWNERS: [&str; 4] = ["ada@example.org", "grace@example.org", "alan@example.org", "edsger@example.org"];

/// All documents have the same fields, as rows of a table have.
static WITHOUT_TEXT: LazyLock<Columns> = LazyLock::new(|| columns(&["title", "owner", "size", "revision"]));
static WITH_TEXT: LazyLock<Columns> =
    LazyLock::new(|| columns(&["title", "owner", "size", "revision", "text"]));

#[allow(clippy::expect_used, reason = "the names are those above")]
fn columns(names: &[&str]) -> Columns {
    let constants = vec![("created_at".to_owned(), Value::from("2026-03-01T12:30:00Z"))];
    Columns::new(constants, names.iter().copied().map(str::to_owned).collect()).expect("no name comes twice")
}

/// A source of [`Documents`].
#[derive(Debug)]
pub struct Generated(pub Documents);

impl Generated {
    /// The source, ready for a sync.
    #[must_use]
    pub fn source(documents: Documents) -> Source {
        Source::of(Self(documents), Facets::NONE)
    }
}

#[async_trait]
impl DataSource for Generated {
    async fn ping(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    fn documents<'a>(&'a self, _: &'a Context) -> BoxStream<'a, Result<Event>> {
        let present = (0..self.0.count).filter(|n| self.0.has(*n));
        futures::stream::iter(present.map(|n| self.0.document(n).map(Event::Upsert))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn the_lines_hold_the_documents_fields_and_its_id() {
        for n in [0, 1, 999, 123_456] {
            let documents = Documents::new(1_000_000, 500);
            let mut lines = Vec::new();
            documents.write_lines(n, &mut lines);
            assert!((450..700).contains(&lines.len()), "{}", lines.len());
            let mut serialized = Vec::new();
            documents.serialize_lines(n, &mut serialized).unwrap();
            assert_eq!(serialized, lines);
            let lines = String::from_utf8(lines).unwrap();
            let [action, source] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
            let action: Value = serde_json::from_str(action).unwrap();
            assert_eq!(action, json!({"index": {"_id": Documents::id(n)}}));
            let mut source: Map<String, Value> = serde_json::from_str(source).unwrap();
            assert_eq!(source.shift_remove("id"), Some(json!(Documents::id(n))));
            assert_eq!(documents.document(n).unwrap().fields, source);
        }
    }

    #[test]
    fn as_many_change_and_go_as_was_asked_for() {
        let after =
            Documents { changed_one_in: Some(100), deleted_one_in: Some(50), ..Documents::new(1000, 300) };
        let before = Documents::new(1000, 300);
        let changed = |n: &u64| after.document(*n).unwrap().fields != before.document(*n).unwrap().fields;
        assert_eq!((0..1000).filter(changed).count(), 10);
        assert_eq!((0..1000).filter(|n| after.has(*n)).count(), 980);
        assert!((0..1000).filter(changed).all(|n| after.has(n)));
    }

    #[tokio::test]
    async fn a_body_is_made_only_when_it_is_fetched() {
        let documents = Documents { bodies: true, ..Documents::new(3, 1 << 20) };
        let body = documents.document(2).unwrap().body.unwrap();
        assert_eq!((body.size(), body.held_bytes()), (Some(1 << 20), 0));
        assert!(matches!(body.fetch().await.unwrap(), Content::Text(text) if text.len() == 1 << 20));
    }
}
