use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Value, json};
use tributary_sdk::{
    AccessControl, Body, BodyKind, Content, Context, Cursor, DataSource, DocId, Document, Error, ErrorKind,
    Event, Facets, Incremental, Result, Resumable, Source,
};

/// One thing a source tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A document without content.
    Plain(u32),
    /// With content, and perhaps a version of it.
    Body(u32, bool),
    /// With content that cannot be fetched.
    BadBody(u32),
    /// The source cannot read it.
    Skipped,
    /// A document that the rules keep out.
    Excluded,
    /// Gone.
    Gone,
}

/// A source made of a list.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub entries: Vec<Entry>,
    /// A checkpoint after every so many entries.
    pub checkpoints: Option<usize>,
    /// The listing breaks off before this entry.
    pub breaks_at: Option<usize>,
    /// A part is missing before this entry.
    pub gap_at: Option<usize>,
    /// Where a listing of changes finds that its position is gone.
    pub position_gone_at: Option<usize>,
    /// Pauses: milliseconds before every n-th entry.
    pub pauses: Option<(usize, u64)>,
    /// Milliseconds a content takes.
    pub slow_bodies: u64,
}

impl World {
    pub fn plain(ids: impl IntoIterator<Item = u32>) -> Self {
        let entries = ids.into_iter().map(|n| Entry { id: n.to_string(), what: What::Plain(0) }).collect();
        Self { entries, ..Self::default() }
    }

    pub fn of(entries: impl IntoIterator<Item = (&'static str, What)>) -> Self {
        let entries = entries.into_iter().map(|(id, what)| Entry { id: id.to_owned(), what }).collect();
        Self { entries, ..Self::default() }
    }

    /// A source of this world that can do everything.
    pub fn source(&self) -> Source {
        Source::of(self.clone(), Facets::NONE.resumable())
    }

    pub fn simple_source(&self) -> Source {
        Source::of(self.clone(), Facets::NONE)
    }

    pub fn incremental_source(&self) -> Source {
        Source::of(self.clone(), Facets::NONE.incremental())
    }

    pub fn identity_source(&self) -> Source {
        Source::of(self.clone(), Facets::NONE.access_control())
    }

    fn listing(&self, cx: &Context) -> BoxStream<'_, Result<Event>> {
        let from = cx.cursor.as_ref().and_then(|cursor| cursor.0.as_u64()).unwrap_or(0);
        let from = usize::try_from(from).unwrap();
        let mut steps: Vec<(usize, Step)> = Vec::new();
        for (at, entry) in self.entries.iter().enumerate().skip(from) {
            if self.breaks_at == Some(at) {
                break;
            }
            if self.gap_at == Some(at) {
                steps.push((at, Step::Gap));
            }
            steps.push((at, Step::Entry(entry.clone())));
            if self.checkpoints.is_some_and(|every| (at + 1).is_multiple_of(every)) {
                steps.push((at, Step::Checkpoint(at + 1)));
            }
        }
        if self.breaks_at.is_some_and(|at| at <= self.entries.len()) {
            steps.push((0, Step::Break));
        }
        let slow_bodies = self.slow_bodies;
        futures::stream::iter(steps)
            .then(move |(at, step)| async move {
                if let (Some((every, pause)), Step::Entry(_)) = (self.pauses, &step)
                    && at.is_multiple_of(every)
                {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                step.event(slow_bodies)
            })
            .boxed()
    }
}

enum Step {
    Entry(Entry),
    Checkpoint(usize),
    Gap,
    Break,
}

impl Step {
    fn event(self, slow_bodies: u64) -> Result<Event> {
        let away = || Error::new(ErrorKind::Unavailable, "the source went away").hint("wait");
        match self {
            Self::Entry(entry) => Ok(entry.event(slow_bodies)),
            Self::Checkpoint(at) => Ok(Event::Checkpoint(Cursor(json!(at)))),
            Self::Gap => Ok(Event::Incomplete(away())),
            Self::Break => Err(away()),
        }
    }
}

impl Entry {
    fn event(self, slow_bodies: u64) -> Event {
        let id = DocId::new(self.id.clone()).unwrap();
        let document = |n: u32| Document::new(id.clone()).field("n", n).field("name", self.id.clone());
        let body = |text: Result<Content>| {
            Body::lazy(BodyKind::Text, move || async move {
                tokio::time::sleep(Duration::from_millis(slow_bodies)).await;
                text
            })
        };
        match self.what {
            What::Plain(n) => Event::Upsert(document(n)),
            What::Excluded => Event::Upsert(document(0).field("excluded", true)),
            What::Body(n, versioned) => Event::Upsert(Document {
                version: versioned.then(|| n.to_string()),
                body: Some(body(Ok(Content::Text(text(&self.id, n))))),
                ..document(n)
            }),
            What::BadBody(n) => Event::Upsert(Document {
                version: Some(format!("bad {n}")),
                body: Some(body(Err(Error::new(ErrorKind::Permission, "no access to the file")))),
                ..document(n)
            }),
            What::Skipped => {
                Event::Skipped { id, error: Error::new(ErrorKind::Permission, "no access to the folder") }
            }
            What::Gone => Event::Delete(id),
        }
    }
}

fn text(id: &str, n: u32) -> String {
    format!("content {n} of {id}")
}

/// What the source's fields of each document may be after a complete full sync of `world` over an index that held
/// `before`; `None` for a document that is not there. One possibility each, unless the source lists a document several
/// times and cannot read it the last time: then any older copy may have stayed.
pub fn expected_after(
    world: &World,
    before: &BTreeMap<String, Value>,
) -> BTreeMap<String, Vec<Option<Value>>> {
    let mut expected = BTreeMap::new();
    let mut copies: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
    for Entry { id, what } in &world.entries {
        let copies = copies.entry(id.clone()).or_insert_with(|| vec![before.get(id).map(source_fields)]);
        let next = match what {
            What::Plain(n) => Some(json!({"n": n, "name": id})),
            What::Body(n, _) => Some(json!({"n": n, "name": id, "body": text(id, *n)})),
            What::BadBody(_) | What::Skipped => {
                expected.insert(id.clone(), copies.clone());
                continue;
            }
            What::Excluded | What::Gone => None,
        };
        if next.is_some() {
            copies.push(next.clone());
        }
        expected.insert(id.clone(), vec![next]);
    }
    expected
}

/// Checks that the index holds what is expected and nothing else.
#[track_caller]
pub fn assert_expected(documents: &BTreeMap<String, Value>, expected: &BTreeMap<String, Vec<Option<Value>>>) {
    for id in documents.keys() {
        assert!(expected.contains_key(id), "{id} is in the index and not in the source");
    }
    for (id, possible) in expected {
        let found = documents.get(id).map(source_fields);
        assert!(possible.contains(&found), "{id} is {found:?} and should be one of {possible:?}");
    }
}

/// A document of the index without what the engine adds.
pub fn source_fields(document: &Value) -> Value {
    let mut fields = document.as_object().unwrap().clone();
    for added in ["id", "_timestamp", "_tributary"] {
        fields.remove(added);
    }
    Value::Object(fields)
}

#[async_trait]
impl DataSource for World {
    async fn ping(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        self.listing(cx)
    }
}

impl Incremental for World {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        let Some(at) = self.position_gone_at else { return self.listing(cx) };
        let gone = Error::new(ErrorKind::PositionGone, "the log is gone");
        self.listing(cx).take(at).chain(futures::stream::once(std::future::ready(Err(gone)))).boxed()
    }
}

impl AccessControl for World {
    fn identities<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        self.listing(cx)
    }
}

impl Resumable for World {}
