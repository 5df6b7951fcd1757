use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::{Map, Value};
use tributary_sdk::{
    Access, Body, ConfigSchema, Connector, Context, Cursor, Document, Env, Error, Event, Registry, Result,
    Source,
};

/// What makes a document that document: everything but what may change without it having changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its fields, without the volatile ones.
    pub fields: Map<String, Value>,
    /// When it changed.
    pub timestamp: Option<DateTime<Utc>>,
    /// Version of its content.
    pub version: Option<String>,
    /// Who may see it.
    pub access: Access,
    /// Whether it has content.
    pub has_body: bool,
}

/// A listing to its end.
#[derive(Debug, Default)]
pub struct Listing {
    /// Ids of all documents, in their order, as often as they came.
    pub ids: Vec<String>,
    /// The documents.
    pub items: BTreeMap<String, Item>,
    /// Their contents, not fetched.
    pub bodies: Vec<(String, Body)>,
    /// All their fields.
    pub fields: BTreeMap<String, Map<String, Value>>,
    /// Volatile fields that were named.
    pub volatile: BTreeMap<String, &'static [&'static str]>,
    /// What was skipped.
    pub skipped: Vec<(String, Error)>,
    /// Parts that could not be listed.
    pub gaps: Vec<Error>,
    /// Checkpoints, each with how many documents came before it.
    pub checkpoints: Vec<(usize, Cursor)>,
    /// What ended it, if it did not end cleanly.
    pub failure: Option<Error>,
}

impl Listing {
    /// Whether the engine would delete what is missing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.gaps.is_empty()
    }

    /// Everything that is told to be wrong.
    pub fn errors(&self) -> impl Iterator<Item = &Error> {
        self.gaps.iter().chain(&self.failure).chain(self.skipped.iter().map(|(_, error)| error))
    }

    /// Reads `events` to the end.
    pub async fn of(mut events: BoxStream<'_, Result<Event>>) -> Self {
        let mut listing = Self::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => listing.take(event),
                Err(error) => listing.failure = listing.failure.or(Some(error)),
            }
        }
        listing
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Upsert(document) => self.upsert(document),
            Event::Delete(id) => panic!("a full listing tells that '{id}' is gone"),
            Event::Skipped { id, error } => self.skipped.push((id.into_string(), error)),
            Event::Incomplete(error) => self.gaps.push(error),
            Event::Checkpoint(cursor) => self.checkpoints.push((self.ids.len(), cursor)),
        }
    }

    fn upsert(&mut self, document: Document) {
        let Document { id, fields, timestamp, version, volatile, access, body } = document;
        let (id, fields) = (id.into_string(), fields.into_map());
        let mut compared = fields.clone();
        compared.retain(|name, _| !volatile.contains(&name.as_str()));
        let item = Item { fields: compared, timestamp, version, access, has_body: body.is_some() };
        self.ids.push(id.clone());
        self.items.insert(id.clone(), item);
        self.fields.insert(id.clone(), fields);
        self.volatile.insert(id.clone(), volatile);
        self.bodies.extend(body.map(|body| (id, body)));
    }
}

/// The connector's configuration with these values.
///
/// # Panics
/// When it has no such field.
#[must_use]
pub fn schema<C: Connector>(values: &Map<String, Value>) -> ConfigSchema {
    let mut schema = <C::Config as tributary_sdk::SourceConfig>::schema();
    for (name, value) in values {
        let field = schema.get_mut(name).unwrap_or_else(|| panic!("the configuration has no field '{name}'"));
        field.value = value.clone();
    }
    schema
}

/// Connects the way the daemon does.
///
/// # Errors
/// What keeps it from connecting.
///
/// # Panics
/// When the configuration has no such field.
pub async fn try_connect<C: Connector>(values: &Map<String, Value>) -> Result<Source> {
    let registry = Registry::new().with::<C>();
    let kind = registry.get(C::SERVICE_TYPE).expect("it was just added");
    kind.connect(&schema::<C>(values), &Env::default()).await
}

/// Connects the way the daemon does.
///
/// # Panics
/// When that fails.
pub async fn connect<C: Connector>(values: &Map<String, Value>) -> Source {
    try_connect::<C>(values).await.unwrap_or_else(|error| panic!("cannot connect: {}", error.report()))
}

/// Lists everything.
pub async fn list(source: &Source) -> Listing {
    list_from(source, None).await
}

/// Lists what comes after a checkpoint.
pub async fn list_from(source: &Source, cursor: Option<Cursor>) -> Listing {
    let cx = Context { cursor, ..Context::default() };
    Listing::of(source.documents(&cx)).await
}
