use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde_json::{Map, Value, json};
use tributary_sdk::{
    Access, AccessControl, ConfigField, ConfigProblem, ConfigSchema, Connector, Context, Cursor, DataSource,
    DocId, Document, Env, Error, ErrorKind, Event, Facets, Incremental, Registry, Result, Resumable,
    SourceConfig,
};

static WORLDS: LazyLock<Mutex<HashMap<String, World>>> = LazyLock::new(Mutex::default);

/// A test that failed must not wait for a blocked thread for ever.
const LONGEST_BLOCK: Duration = Duration::from_secs(10);

/// What a bad source does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misdeed {
    #[default]
    None,
    /// Panics when it is asked whether it works.
    PanicsWhenPinged,
    /// Does not answer when it is asked whether it works.
    HangsWhenPinged,
    /// Lists the first document and nothing more, without an end.
    HangsWhileListing,
    /// Lists more and more documents beyond its own.
    NeverEnds,
}

/// What a fake source lists. Connectors name it in their configuration.
#[derive(Clone, Debug)]
pub struct World(Arc<State>);

#[derive(Debug, Default)]
struct State {
    key: String,
    documents: Mutex<Vec<String>>,
    /// How often each document was changed.
    revisions: Mutex<HashMap<String, u64>>,
    /// Bytes of text in every document.
    padding: AtomicUsize,
    pause: Mutex<Duration>,
    refusal: Mutex<Option<String>>,
    breaks_at: Mutex<Option<usize>>,
    panics: AtomicBool,
    blocks: AtomicBool,
    misdeed: Mutex<Misdeed>,
    shared_out: AtomicBool,
    listings: AtomicUsize,
    running: AtomicUsize,
    listed: AtomicUsize,
}

impl World {
    pub fn new(name: &str) -> Self {
        let key = format!("{name}-{:08x}", rand::random::<u32>());
        let world = Self(Arc::new(State { key: key.clone(), ..State::default() }));
        WORLDS.lock().unwrap().insert(key, world.clone());
        world
    }

    pub fn with_documents(self, count: usize) -> Self {
        *self.0.documents.lock().unwrap() = (0..count).map(|n| n.to_string()).collect();
        self
    }

    /// With so many bytes of text in every document.
    pub fn with_text(self, bytes: usize) -> Self {
        self.0.padding.store(bytes, Ordering::SeqCst);
        self
    }

    /// Changes a document.
    pub fn change(&self, id: &str) {
        *self.0.revisions.lock().unwrap().entry(id.to_owned()).or_default() += 1;
    }

    /// The fields of a document as it is listed.
    pub fn fields(&self, id: &str) -> Map<String, Value> {
        let revision = self.0.revisions.lock().unwrap().get(id).copied().unwrap_or_default();
        let fields = json!({
            "title": format!("document {id}"),
            "n": id.parse::<i64>().unwrap_or(-1),
            "revision": revision,
            "text": "text ".repeat(self.0.padding.load(Ordering::SeqCst) / 5),
        });
        fields.as_object().unwrap().clone()
    }

    /// The ids that are listed.
    pub fn ids(&self) -> Vec<String> {
        self.0.documents.lock().unwrap().clone()
    }

    /// A pause before every tenth document, ten times as long.
    pub fn slow(self, pause: Duration) -> Self {
        self.set_pause(pause);
        self
    }

    pub fn set_pause(&self, pause: Duration) {
        *self.0.pause.lock().unwrap() = pause * 10;
    }

    /// Its name, and what tells it apart from that of another run.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub fn add(&self, id: &str) {
        self.0.documents.lock().unwrap().push(id.to_owned());
    }

    pub fn remove(&self, id: &str) {
        self.0.documents.lock().unwrap().retain(|known| known != id);
    }

    pub fn clear(&self) {
        self.0.documents.lock().unwrap().clear();
    }

    pub fn refuse_pings(&self, text: Option<&str>) {
        *self.0.refusal.lock().unwrap() = text.map(str::to_owned);
    }

    pub fn break_listings(&self, at: Option<usize>) {
        *self.0.breaks_at.lock().unwrap() = at;
    }

    pub fn panic_in_listings(&self, panics: bool) {
        self.0.panics.store(panics, Ordering::SeqCst);
    }

    /// Listings block the thread they run on, as a bad source would.
    pub fn block_thread(&self, blocks: bool) {
        self.0.blocks.store(blocks, Ordering::SeqCst);
    }

    /// What it does wrong from now on.
    pub fn misbehave(&self, misdeed: Misdeed) {
        *self.0.misdeed.lock().unwrap() = misdeed;
    }

    fn does(&self, misdeed: Misdeed) -> bool {
        *self.0.misdeed.lock().unwrap() == misdeed
    }

    /// From now on Ann may see the documents of even number, Bob the others.
    pub fn share_out(&self) {
        self.0.shared_out.store(true, Ordering::SeqCst);
    }

    /// Documents listed in all listings.
    pub fn listed(&self) -> usize {
        self.0.listed.load(Ordering::SeqCst)
    }

    pub fn listings(&self) -> usize {
        self.0.listings.load(Ordering::SeqCst)
    }

    pub fn is_listing(&self) -> bool {
        self.0.running.load(Ordering::SeqCst) > 0
    }

    fn list(&self, from: usize) -> BoxStream<'static, Result<Event>> {
        self.0.listings.fetch_add(1, Ordering::SeqCst);
        self.0.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self.clone());
        let documents = Arc::new(self.0.documents.lock().unwrap().clone());
        stream::unfold((from, running, true), move |(at, running, fresh)| {
            let documents = Arc::clone(&documents);
            let world = running.0.clone();
            async move {
                world
                    .step(&documents, at, fresh)
                    .await
                    .map(|(event, at, fresh)| (event, (at, running, fresh)))
            }
        })
        .boxed()
    }

    /// The event at a place of the listing, and the next place. Checkpoints come before every hundredth document and
    /// at the end.
    async fn step(
        &self,
        documents: &[String],
        at: usize,
        fresh: bool,
    ) -> Option<(Result<Event>, usize, bool)> {
        assert!(!self.0.panics.load(Ordering::SeqCst), "the fake source panics");
        let begun = Instant::now();
        while self.0.blocks.load(Ordering::SeqCst) && at > 0 && begun.elapsed() < LONGEST_BLOCK {
            std::thread::sleep(Duration::from_millis(5));
        }
        if *self.0.breaks_at.lock().unwrap() == Some(at) {
            let error = Error::new(ErrorKind::Unavailable, "the listing broke off");
            return Some((Err(error), usize::MAX, false));
        }
        if fresh && at <= documents.len() && (at.is_multiple_of(100) || at == documents.len()) {
            return Some((Ok(Event::Checkpoint(Cursor(json!({"listed": at})))), at, false));
        }
        if at == 1 && self.does(Misdeed::HangsWhileListing) {
            std::future::pending::<()>().await;
        }
        let beyond = self.does(Misdeed::NeverEnds).then(|| at.to_string());
        let id = &documents.get(at).cloned().or(beyond)?;
        let pause = *self.0.pause.lock().unwrap();
        if at.is_multiple_of(10) && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.0.listed.fetch_add(1, Ordering::SeqCst);
        let mut document = Document::new(DocId::new(id.clone()).unwrap());
        document.fields = self.fields(id).into();
        if self.0.shared_out.load(Ordering::SeqCst) {
            let even = id.parse::<i64>().is_ok_and(|number| number % 2 == 0);
            let user = if even { "user:ann" } else { "user:bob" };
            document.access = Access::Only(vec![user.to_owned()]);
        }
        Some((Ok(Event::Upsert(document)), at + 1, true))
    }
}

struct Running(World);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn place(cx: &Context) -> usize {
    let listed = cx.cursor.as_ref().and_then(|cursor| cursor.0["listed"].as_u64());
    usize::try_from(listed.unwrap_or(0)).unwrap()
}

#[async_trait]
impl DataSource for World {
    async fn ping(&self, _: &Context) -> Result<()> {
        assert!(!self.does(Misdeed::PanicsWhenPinged), "the fake source panics when it is pinged");
        if self.does(Misdeed::HangsWhenPinged) {
            std::future::pending::<()>().await;
        }
        match self.0.refusal.lock().unwrap().clone() {
            Some(text) => Err(Error::new(ErrorKind::Unavailable, text).hint("start it")),
            None => Ok(()),
        }
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        self.list(place(cx))
    }
}

impl Resumable for World {}

impl AccessControl for World {
    fn identities<'a>(&'a self, _: &'a Context) -> BoxStream<'a, Result<Event>> {
        let users = ["ann", "bob"].map(|user| {
            let holds = json!({"terms": {"_allow_access_control.enum": [format!("user:{user}")]}});
            let public = json!({"bool": {"must_not": {"exists": {"field": "_allow_access_control"}}}});
            let query = json!({"template": {"source": {"bool": {"should": [public, holds]}}}});
            Document::new(DocId::new(user).unwrap())
                .field("identity", json!({"username": user}))
                .field("query", query)
        });
        stream::iter(users.map(|user| Ok(Event::Upsert(user)))).boxed()
    }
}

impl Incremental for World {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        self.list(place(cx))
    }
}

#[derive(Clone, Debug)]
pub struct FakeConfig {
    world: String,
}

impl SourceConfig for FakeConfig {
    fn schema() -> ConfigSchema {
        let mut schema = ConfigSchema::new();
        let field =
            ConfigField { label: "World".to_owned(), required: true, order: 1, ..ConfigField::default() };
        schema.insert("world".to_owned(), field);
        let password = ConfigField {
            label: "Password".to_owned(),
            sensitive: true,
            required: false,
            ..ConfigField::default()
        };
        schema.insert("password".to_owned(), password);
        schema
    }

    fn from_schema(schema: &ConfigSchema) -> Result<Self, Vec<ConfigProblem>> {
        let problems = schema.check();
        let world = schema.effective("world").and_then(|value| value.as_str().map(str::to_owned));
        world.filter(|_| problems.is_empty()).map(|world| Self { world }).ok_or(problems)
    }
}

#[derive(Debug)]
pub struct Fake;

impl Connector for Fake {
    type Config = FakeConfig;
    type Source = World;
    const SERVICE_TYPE: &'static str = "fake";
    const NAME: &'static str = "Fake";
    const FACETS: Facets<World> = Facets::NONE.resumable().incremental().access_control();

    async fn connect(config: FakeConfig, _: &Env) -> Result<World> {
        let world = WORLDS.lock().unwrap().get(&config.world).cloned();
        world.ok_or_else(|| Error::new(ErrorKind::Config, format!("there is no world '{}'", config.world)))
    }
}

/// The fake source alone.
pub fn registry() -> Registry {
    Registry::new().with::<Fake>()
}
