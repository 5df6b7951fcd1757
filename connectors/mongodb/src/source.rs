use std::time::Duration;

use async_trait::async_trait;
use bson::{Bson, RawDocumentBuf, doc};
use futures::stream::BoxStream;
use md5::{Digest as _, Md5};
use mongodb::options::FindOptions;
use mongodb::{Collection, Cursor as DriverCursor, Database};
use serde_json::Value;
use tempfile::NamedTempFile;
use tributary_sdk::emit::{self, Emitter, Gone, Stop};
use tributary_sdk::{
    AdvancedRules, Context, DataSource, Error, ErrorKind, Event, Incremental, Result, Resumable, hex,
};

use crate::changes::{self, Change, Changes};
use crate::client;
use crate::config::MongodbConfig;
use crate::convert::Converter;
use crate::document::Ids;
use crate::failure;
use crate::keyset::{self, Types};
use crate::position::{self, Position};
use crate::rules::{self, Query};

/// Documents between two checkpoints.
const CHECKPOINT_EVERY: usize = 1_000;
/// Pauses before a reading that broke is taken up again.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];
/// The longest wait for documents.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// The configuration's word for all collections.
const ALL: &str = "*";

/// The documents of a collection or of a database, ready to be listed.
pub struct MongodbSource {
    database: Database,
    name: String,
    servers: String,
    user: Option<String>,
    /// `None` stands for all.
    collection: Option<String>,
    converter: Converter,
    /// Stands for everything in the configuration that decides which documents are listed under which ids.
    identity: String,
    _trust: Option<NamedTempFile>,
}

impl std::fmt::Debug for MongodbSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MongodbSource")
            .field("servers", &self.servers)
            .field("database", &self.name)
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

/// A collection, and whether it may be read in the order of its ids.
#[derive(Debug)]
struct Target {
    name: String,
    ordered: bool,
}

impl MongodbSource {
    pub(crate) async fn new(config: &MongodbConfig) -> Result<Self> {
        let connected = client::connect(config).await?;
        let converter = Converter { dates: config.datetime_conversion, legacy_uuids: connected.legacy_uuids };
        Ok(Self {
            database: connected.client.database(&config.database),
            name: config.database.clone(),
            user: config.user.clone(),
            collection: (config.collection != ALL).then(|| config.collection.clone()),
            converter,
            identity: identity(config, &connected.servers),
            servers: connected.servers,
            _trust: connected.trust,
        })
    }

    fn ids<'a>(&self, collection: &'a str) -> Ids<'a> {
        let prefix = self.collection.is_none().then_some(collection);
        Ids { prefix, converter: self.converter }
    }

    /// The collections to read, in the order of their names.
    async fn targets(&self) -> Result<Vec<Target>> {
        let mut command = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true };
        if let Some(name) = &self.collection {
            command.insert("filter", doc! { "name": name });
        }
        let mut targets = Vec::new();
        match self.listed(command).await {
            Ok(found) => targets.extend(found.into_iter().filter(|target| {
                self.collection
                    .as_ref()
                    .map_or(!target.name.starts_with("system."), |name| *name == target.name)
            })),
            // Who may read but not look around says what to read.
            Err(error) if error.kind() == ErrorKind::Permission => match &self.collection {
                Some(name) => targets.push(Target { name: name.clone(), ordered: true }),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
        if targets.is_empty() {
            self.missing().await?;
        }
        targets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(targets)
    }

    async fn listed(&self, command: bson::Document) -> Result<Vec<Target>> {
        let what = format!("listing the collections of '{}'", self.name);
        let failed = |error: mongodb::error::Error| failure::of(&what, &error);
        let mut cursor = self.database.run_cursor_command(command).await.map_err(failed)?;
        let mut targets = Vec::new();
        while cursor.advance().await.map_err(failed)? {
            let found = cursor.current();
            let Ok(name) = found.get_str("name") else { continue };
            let ordered = found.get_str("type").map_or(true, |kind| kind == "collection");
            targets.push(Target { name: name.to_owned(), ordered });
        }
        Ok(targets)
    }

    /// What is missing, the database or the collection, in the words of other implementations of this source.
    async fn missing(&self) -> Result<()> {
        let told = |message: String| Err(Error::new(ErrorKind::Config, message).hint("names count case"));
        let databases = self.database.client().list_database_names().await;
        match databases.map_err(|error| failure::of("listing the databases", &error)) {
            Ok(names) if !names.contains(&self.name) => {
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return told(format!("Database '{}' does not exist. Existing databases: {names}", self.name));
            }
            Err(error) if error.kind() != ErrorKind::Permission => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let Some(collection) = &self.collection else { return Ok(()) };
        let mut names: Vec<String> = self
            .listed(doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true })
            .await?
            .into_iter()
            .map(|target| target.name)
            .collect();
        names.sort();
        let names = names.join(", ");
        told(format!(
            "Collection '{collection}' does not exist within database '{}'. Existing collections: {names}",
            self.name
        ))
    }

    async fn check(&self) -> Result<()> {
        let ping = self.database.client().database("admin").run_command(doc! { "ping": 1 }).await;
        ping.map_err(|error| failure::of(&format!("{} cannot be reached", self.servers), &error))?;
        for target in self.targets().await? {
            let collection = self.database.collection::<RawDocumentBuf>(&target.name);
            let read = collection.find_one(doc! {}).projection(doc! { "_id": 1 }).await;
            read.map_err(|error| self.unreadable(&target.name, &error))?;
        }
        Ok(())
    }

    fn unreadable(&self, collection: &str, error: &mongodb::error::Error) -> Error {
        let user = self.user.as_ref().map(|user| format!(" by user '{user}'")).unwrap_or_default();
        failure::of(&format!("'{}.{collection}' cannot be read{user}", self.name), error)
    }

    fn of(&self, rules: Option<&Value>) -> String {
        let rules = rules.map(|rules| hex(&Md5::digest(rules.to_string())));
        format!("{}-{}", self.identity, rules.as_deref().unwrap_or("all"))
    }

    async fn list(&self, cx: &Context, emit: &Emitter) -> Result<(), Stop> {
        let rule = active(cx)?;
        let of = self.of(cx.advanced_rules.as_ref().filter(|_| rule.is_some()));
        let resumed = Position::read(cx.cursor.as_ref(), &of);
        let targets = self.targets().await?;
        let mut position = match resumed {
            Some(position) => position,
            None => Position {
                of,
                token: self.start(rule.is_some()).await?,
                collection: targets.first().map(|target| target.name.clone()),
                after: None,
            },
        };
        let query = rule.unwrap_or_else(Query::all);
        let first = match &position.collection {
            Some(name) => targets.partition_point(|target| target.name < *name),
            None => targets.len(),
        };
        for target in targets.iter().skip(first) {
            if position.collection.as_ref() != Some(&target.name) {
                position.collection = Some(target.name.clone());
                position.after = None;
            }
            let collection = self.database.collection::<RawDocumentBuf>(&target.name);
            let mut reading =
                Reading { source: self, emit, target, collection, position: &mut position, since: 0 };
            reading.run(&query).await?;
        }
        (position.collection, position.after) = (None, None);
        Ok(tell(emit, &position).await?)
    }

    /// Where the changes start that come from now on. Rules are for full syncs only.
    async fn start(&self, has_rule: bool) -> Result<Option<String>> {
        if has_rule {
            return Ok(None);
        }
        let token = changes::start(&self.database, self.collection.as_deref()).await?;
        Ok(token.and_then(position::token))
    }

    async fn list_changes(&self, cx: &Context, emit: &Emitter) -> Result<(), Stop> {
        let gone = |why: &str| Error::new(ErrorKind::PositionGone, why.to_owned());
        if active(cx)?.is_some() {
            return Err(gone("changes cannot be told while an advanced sync rule is active").into());
        }
        let position = Position::read(cx.cursor.as_ref(), &self.of(None));
        let mut position = position.ok_or_else(|| gone("no full sync of this configuration is known"))?;
        let token = position.resume().ok_or_else(|| gone("the deployment has no change streams"))?;
        let collection = self.collection.as_deref();
        let mut changes = Changes::resume(&self.database, &self.name, collection, token).await?;
        let mut since = 0;
        while let Some(change) = changes.next(|collection| self.ids(collection)).await? {
            if let Change::Event(event) = change {
                emit.send(*event).await?;
            }
            since += 1;
            if since == CHECKPOINT_EVERY {
                since = 0;
                position.token = position::token(changes.token()).or(position.token);
                tell(emit, &position).await?;
            }
        }
        position.token = position::token(changes.token()).or(position.token);
        Ok(tell(emit, &position).await?)
    }
}

/// Stores a position; without one a killed sync begins a little earlier.
async fn tell(emit: &Emitter, position: &Position) -> Result<(), Gone> {
    match position.cursor() {
        Some(cursor) => emit.send(Event::Checkpoint(cursor)).await,
        None => Ok(()),
    }
}

fn active(cx: &Context) -> Result<Option<Query>> {
    let Some(rules) = &cx.advanced_rules else { return Ok(None) };
    rules::query(rules).map_err(|faults| {
        Error::new(ErrorKind::Config, format!("the advanced sync rule cannot be used: {}", faults.join("; ")))
    })
}

fn identity(config: &MongodbConfig, servers: &str) -> String {
    let mut digest = Md5::new();
    let mode = config.datetime_conversion.name();
    for part in [servers, &config.database, &config.collection, mode] {
        digest.update(part);
        digest.update([0]);
    }
    hex(&digest.finalize())
}

/// One collection while it is read.
struct Reading<'a> {
    source: &'a MongodbSource,
    emit: &'a Emitter,
    target: &'a Target,
    collection: Collection<RawDocumentBuf>,
    position: &'a mut Position,
    /// Documents since the last checkpoint.
    since: usize,
}

impl Reading<'_> {
    async fn run(&mut self, query: &Query) -> Result<(), Stop> {
        match query {
            Query::Find { filter, options, any_order } if *any_order && self.target.ordered => {
                self.in_order(filter, options).await
            }
            Query::Find { filter, options, .. } => {
                let cursor = self.collection.find(filter.clone()).with_options((**options).clone()).await;
                self.read_all(cursor, None, &mut 0).await
            }
            Query::Aggregate { pipeline, options } => {
                let aggregate = self.collection.aggregate(pipeline.clone()).with_options((**options).clone());
                let cursor = aggregate.with_type::<RawDocumentBuf>().await;
                self.read_all(cursor, None, &mut 0).await
            }
        }
    }

    /// Reads in the order of ids; what breaks is taken up after the last one.
    async fn in_order(&mut self, filter: &bson::Document, options: &FindOptions) -> Result<(), Stop> {
        let mut last = self.position.last();
        let mut failures = 0;
        let mut types = Types::All;
        loop {
            let mut options = options.clone();
            options.sort = Some(doc! { "_id": 1 });
            let filter = keyset::both(filter, last.as_ref(), types);
            let cursor = self.collection.find(filter).with_options(options).await;
            if cursor.as_ref().is_err_and(|error| failure::code(error).is_some_and(failure::is_bad_value))
                && last.is_some()
                && types == Types::All
            {
                types = Types::Common;
                continue;
            }
            let error = match self.read_all(cursor, Some(&mut last), &mut failures).await {
                Err(Stop::Failed(error)) if error.is_retryable() => error,
                ended => return ended,
            };
            let Some(pause) = PAUSES.get(failures) else { return Err(error.into()) };
            failures += 1;
            tracing::warn!(collection = self.target.name, error = error.report(), "reading broke; going on");
            tokio::time::sleep(*pause).await;
        }
    }

    async fn read_all(
        &mut self,
        cursor: mongodb::error::Result<DriverCursor<RawDocumentBuf>>,
        mut last: Option<&mut Option<Bson>>,
        failures: &mut usize,
    ) -> Result<(), Stop> {
        let source = self.source;
        let failed = |error: mongodb::error::Error| source.unreadable(&self.target.name, &error);
        let mut cursor = cursor.map_err(failed)?;
        let ids = source.ids(&self.target.name);
        loop {
            let advanced = tokio::time::timeout(ANSWERS_WITHIN, cursor.advance()).await;
            let advanced = advanced.map_err(|_| {
                let seconds = ANSWERS_WITHIN.as_secs();
                let message = format!("'{}' gave no documents for {seconds} s", self.target.name);
                Error::new(ErrorKind::Timeout, message)
            })?;
            if !advanced.map_err(failed)? {
                return Ok(());
            }
            let document = cursor.current();
            self.emit.send(ids.event(document)?).await?;
            *failures = 0;
            let Some(last) = last.as_deref_mut() else { continue };
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            *last = Some(id.ok_or_else(|| Error::new(ErrorKind::InvalidData, "an _id cannot be read"))?);
            self.since += 1;
            if self.since >= CHECKPOINT_EVERY {
                self.since = 0;
                self.position.after = last.as_ref().and_then(position::kept);
                tell(self.emit, self.position).await?;
            }
        }
    }
}

#[async_trait]
impl DataSource for MongodbSource {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        self.check().await
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        emit::stream(move |emit| async move { self.list(cx, &emit).await })
    }
}

impl Incremental for MongodbSource {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        emit::stream(move |emit| async move { self.list_changes(cx, &emit).await })
    }
}

#[async_trait]
impl AdvancedRules for MongodbSource {
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>> {
        Ok(rules::query(snippet).err().unwrap_or_default())
    }
}

impl Resumable for MongodbSource {}
