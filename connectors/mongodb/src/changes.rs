//! What changed since a position, told by change streams.

use std::time::Duration;

use bson::raw::RawBsonRef;
use bson::{RawDocumentBuf, Timestamp, doc};
use mongodb::Database;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use mongodb::error::Error as DriverError;
use mongodb::options::FullDocumentType;
use tributary_sdk::{Error, ErrorKind, Event, Result};

use crate::document::Ids;
use crate::failure;

/// How long a server waits for changes before it says that there are none.
const WAITS: Duration = Duration::from_millis(500);

/// Empty answers that mean that nothing more is there: the first may only have opened the stream.
const EMPTY: usize = 2;

type Stream = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// A change as an event, or that there is nothing to tell of it.
pub(crate) enum Change {
    Event(Box<Event>),
    Nothing,
}

/// Watches one collection, or all of a database.
pub(crate) struct Changes<'a> {
    stream: Stream,
    database: &'a str,
    collection: Option<&'a str>,
    /// The deployment's time when it was opened: what came later is for the next sync.
    until: Option<Timestamp>,
    /// Where the next sync goes on.
    token: ResumeToken,
    /// Empty answers that came one after the other.
    empty: usize,
}

/// A position before everything that changes from now on. `None`: the deployment has no change streams.
pub(crate) async fn start(database: &Database, collection: Option<&str>) -> Result<Option<ResumeToken>> {
    match open(database, collection, None).await {
        Ok(mut stream) => {
            // The first answer has the token if nothing changed meanwhile, the next one in any case.
            if stream.resume_token().is_none() {
                let waited = stream.next_if_any().await;
                waited.map_err(|error| failure::of("asking for the position of changes", &error))?;
            }
            Ok(stream.resume_token())
        }
        Err(error) => match failure::of("opening a change stream", &error) {
            told if told.is_retryable() => Err(told),
            told => {
                tracing::info!(
                    error = told.report(),
                    "no change streams: incremental syncs will be full ones"
                );
                Ok(None)
            }
        },
    }
}

async fn open(
    database: &Database,
    collection: Option<&str>,
    resume: Option<ResumeToken>,
) -> Result<Stream, DriverError> {
    let full = FullDocumentType::UpdateLookup;
    match collection {
        Some(name) => {
            let collection = database.collection::<RawDocumentBuf>(name);
            let mut watch = collection.watch().full_document(full).max_await_time(WAITS);
            if let Some(token) = resume {
                watch = watch.resume_after(token);
            }
            watch.await
        }
        None => {
            let mut watch = database.watch().full_document(full).max_await_time(WAITS);
            if let Some(token) = resume {
                watch = watch.resume_after(token);
            }
            watch.await.map(ChangeStream::with_type)
        }
    }
}

impl<'a> Changes<'a> {
    /// Goes on after a position.
    ///
    /// # Errors
    /// [`ErrorKind::PositionGone`] when the deployment does not know it any more.
    pub(crate) async fn resume(
        database: &Database,
        name: &'a str,
        collection: Option<&'a str>,
        token: ResumeToken,
    ) -> Result<Self> {
        let until = now(database).await;
        let stream = open(database, collection, Some(token.clone())).await.map_err(|error| gone(&error))?;
        Ok(Self { stream, database: name, collection, until, token, empty: 0 })
    }

    /// The next change; `None` when there is none, or none that belongs to this sync.
    pub(crate) async fn next(&mut self, ids: impl Fn(&str) -> Ids<'_>) -> Result<Option<Change>> {
        let event = self.stream.next_if_any().await.map_err(|error| gone(&error))?;
        let Some(event) = event else {
            // Goes on even where nothing changed, so that it does not grow too old.
            self.token = self.stream.resume_token().unwrap_or_else(|| self.token.clone());
            self.empty += 1;
            return Ok((self.empty < EMPTY).then_some(Change::Nothing));
        };
        self.empty = 0;
        if self.until.zip(event.cluster_time).is_some_and(|(until, time)| time.time > until.time) {
            return Ok(None);
        }
        self.token = event.id.clone();
        let collection = event.ns.as_ref().and_then(|ns| ns.coll.clone()).unwrap_or_default();
        if collection.starts_with("system.") {
            return Ok(Some(Change::Nothing));
        }
        let change = match &event.operation_type {
            OperationType::Insert | OperationType::Update | OperationType::Replace => {
                match &event.full_document {
                    Some(document) => Some(ids(&collection).event(document)?),
                    // It was removed meanwhile, which comes as a change of its own.
                    None => None,
                }
            }
            OperationType::Delete => Some(Event::Delete(removed(&event, &ids(&collection))?)),
            OperationType::Drop
            | OperationType::Rename
            | OperationType::DropDatabase
            | OperationType::Invalidate => {
                return Err(self.vanished(&collection));
            }
            _ => None,
        };
        Ok(Some(change.map_or(Change::Nothing, |event| Change::Event(Box::new(event)))))
    }

    fn vanished(&self, collection: &str) -> Error {
        let name = self.collection.unwrap_or(collection);
        let message = format!("'{}.{name}' was dropped or renamed since the last sync", self.database);
        Error::new(ErrorKind::PositionGone, message)
    }

    /// Where the next sync goes on.
    pub(crate) fn token(&self) -> ResumeToken {
        self.token.clone()
    }
}

/// The id of a document that is gone.
fn removed(event: &ChangeStreamEvent<RawDocumentBuf>, ids: &Ids<'_>) -> Result<tributary_sdk::DocId> {
    let odd = || Error::new(ErrorKind::InvalidData, "a change tells of no document");
    let id = event.document_key.as_ref().and_then(|key| key.get("_id")).ok_or_else(odd)?;
    let key = RawDocumentBuf::try_from(&doc! { "_id": id.clone() }).map_err(|error| odd().because(error))?;
    let id: Option<RawBsonRef<'_>> = key.get("_id").map_err(|error| odd().because(error))?;
    ids.of(id.ok_or_else(odd)?)
}

/// What keeps a change stream from going on. What a server does not say to be a matter of time does not come back.
fn gone(error: &DriverError) -> Error {
    let told = failure::of("the changes since the last sync cannot be read", error);
    let is_permanent =
        failure::code(error).is_some() && !matches!(told.kind(), ErrorKind::Auth | ErrorKind::Permission);
    if !is_permanent || told.is_retryable() {
        return told;
    }
    Error::new(ErrorKind::PositionGone, "the deployment does not know the position of the last sync any more")
        .because(error.kind.to_string())
}

/// The deployment's time; `None` where it tells none.
async fn now(database: &Database) -> Option<Timestamp> {
    let answer = database.run_command(doc! { "ping": 1 }).await.ok()?;
    answer.get_timestamp("operationTime").ok()
}
