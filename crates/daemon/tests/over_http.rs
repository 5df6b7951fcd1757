//! The same syncs over HTTP on the embedded node and on a real Elasticsearch. Between daemon and server stands a recorder
//! that counts what the server did, and disturbs it: afterwards the index equals the source, and the job's figures are
//! those of the recorder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use support::recorder::{Book, Faults, Recorder};
use support::{Rig, World, refused, until};
use tokio::time::Instant;
use tributary_client::{Client, ClientOptions};
use tributary_daemon::{DaemonOptions, SyncOutcome, SyncRequest, retry_dead_letters, sync_now};
use tributary_engine::{Control, Progress};
use tributary_harness::{Elasticsearch, Major, TestNode};
use tributary_protocol::{JobType, SyncJob, SyncJobId, SyncStatus};

/// Longest wait for a sync whose server was away.
const PATIENCE: Duration = Duration::from_secs(180);

/// A world with a connector of its own behind a recorder.
struct Scene {
    world: World,
    recorder: Recorder,
    rig: Rig,
}

impl Scene {
    async fn set(url: &str, world: World) -> Self {
        let recorder = Recorder::start(url, &format!("search-{}", world.key())).await;
        let rig = Rig::on(recorder.client(), &world).await;
        Self { world, recorder, rig }
    }

    fn options(&self) -> DaemonOptions {
        let mut options = self.rig.options();
        // Several requests for a few hundred documents.
        options.sync.limits.batch_bytes = 64 << 10;
        options
    }

    async fn sync(&self, job_type: JobType) -> (SyncOutcome, Book) {
        self.sync_as(job_type, false, false).await
    }

    async fn sync_as(&self, job_type: JobType, plan: bool, allow_deletes: bool) -> (SyncOutcome, Book) {
        // What was written before shows, so that it is not written once more.
        if self.rig.client.index_exists(&self.rig.index).await.unwrap() {
            self.rig.client.refresh(&self.rig.index).await.unwrap();
        }
        self.recorder.take();
        let request = SyncRequest { connector: self.rig.connector.clone(), job_type, plan, allow_deletes };
        let (registry, options) = (support::registry(), self.options());
        let (progress, control) = (Progress::new(), Control::new());
        let ended = sync_now(&self.rig.client, &registry, &options, request, progress, control);
        let outcome = ended.await.unwrap();
        (outcome, self.recorder.book())
    }

    async fn job_of(&self, outcome: &SyncOutcome) -> SyncJob {
        self.rig.job(outcome.job.as_ref().unwrap()).await
    }

    /// A sync that comes to its end, whose index equals the source and whose job tells exactly what the server did.
    async fn full(&self) -> (SyncJob, Book) {
        let (outcome, book) = self.sync(JobType::Full).await;
        assert_eq!(outcome.status, SyncStatus::Completed, "{:?}", outcome.error);
        let job = self.job_of(&outcome).await;
        exact(&job, &book);
        assert_eq!(outcome.report.figures.wire_bytes, book.bytes);
        self.is_equal().await;
        (job, book)
    }

    async fn indexed(&self) -> BTreeMap<String, Value> {
        self.rig.client.refresh(&self.rig.index).await.unwrap();
        let mut hits = self.rig.client.scan(&self.rig.index, &["title", "n", "revision", "text"], 1000);
        let mut indexed = BTreeMap::new();
        while let Some(hit) = hits.next().await {
            let hit = hit.unwrap();
            indexed.insert(hit.id.clone(), hit.read::<Value>().unwrap());
        }
        indexed
    }

    async fn is_equal(&self) {
        let listed = self.world.ids().into_iter();
        let listed: BTreeMap<String, Value> =
            listed.map(|id| (id.clone(), Value::from(self.world.fields(&id)))).collect();
        let indexed = self.indexed().await;
        let wrong: Vec<_> =
            listed.iter().filter(|(id, fields)| indexed.get(*id) != Some(*fields)).take(3).collect();
        assert!(wrong.is_empty(), "not in the index as listed: {wrong:?}");
        let surplus: Vec<_> = indexed.keys().filter(|id| !listed.contains_key(*id)).take(3).collect();
        assert!(surplus.is_empty(), "in the index and not listed: {surplus:?}");
    }

    /// Waits for the end of a job, however often the server is away.
    async fn ends(&self, id: &SyncJobId) -> SyncJob {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(job)) = self.rig.client.job(id).await
                && job.doc.status.is_final()
            {
                return job.doc;
            }
            assert!(Instant::now() < end, "the job never ended");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The job's document says what the server said it did.
fn exact(job: &SyncJob, book: &Book) {
    let told = [job.indexed_document_count, job.deleted_document_count, job.indexed_document_volume];
    let told = told.map(|figure| u64::try_from(figure).unwrap());
    assert_eq!(told, [book.indexed, book.deleted, (book.bytes + (1 << 19)) >> 20], "{book:?}");
}

async fn first_unchanged_changed(url: &str) {
    let scene = Scene::set(url, World::new("first").with_documents(600).with_text(2000)).await;
    let (job, book) = scene.full().await;
    assert_eq!((job.indexed_document_count, job.deleted_document_count), (600, 0));
    assert!(job.indexed_document_volume >= 1 && book.requests > 5, "{book:?}");

    let (job, book) = scene.full().await;
    assert_eq!((job.indexed_document_count, book.requests), (0, 0), "nothing is written");

    for n in 0..20 {
        scene.world.change(&n.to_string());
        scene.world.remove(&(500 + n).to_string());
    }
    scene.world.add("1000");
    let (planned, book) = scene.sync_as(JobType::Full, true, false).await;
    assert_eq!(book, Book::default(), "a plan writes nothing");
    let (_, done) = scene.full().await;
    let figures = planned.report.figures;
    assert_eq!((figures.indexed(), figures.deleted), (done.indexed, done.deleted));
    assert_eq!((figures.created, figures.updated, figures.deleted), (1, 20, 20));

    scene.world.add("1001");
    scene.world.change("1000");
    let (outcome, book) = scene.sync(JobType::Incremental).await;
    assert_eq!(outcome.status, SyncStatus::Completed, "{:?}", outcome.error);
    let job = scene.job_of(&outcome).await;
    assert_eq!(job.indexed_document_count, 1, "only what comes after the cursor is listed");
    exact(&job, &book);
    scene.full().await;
}

async fn identities(url: &str) {
    let scene = Scene::set(url, World::new("who").with_documents(3)).await;
    let (outcome, book) = scene.sync(JobType::AccessControl).await;
    assert_eq!(outcome.status, SyncStatus::Completed, "{:?}", outcome.error);
    assert_eq!((scene.job_of(&outcome).await.indexed_document_count, book.requests), (2, 0));
    let index = format!(".search-acl-filter-{}", scene.rig.index);
    let found = scene.rig.client.raw("GET", &format!("/{index}/_doc/bob"), None).await.unwrap();
    assert_eq!(found["_source"]["identity"]["username"], "bob");
}

async fn guard(url: &str) {
    let scene = Scene::set(url, World::new("guard").with_documents(300)).await;
    scene.full().await;
    for n in 0..150 {
        scene.world.remove(&n.to_string());
    }
    scene.world.change("200");
    let (outcome, book) = scene.sync(JobType::Full).await;
    assert_eq!(outcome.status, SyncStatus::Error);
    let job = scene.job_of(&outcome).await;
    exact(&job, &book);
    assert_eq!(
        (job.indexed_document_count, job.deleted_document_count, scene.indexed().await.len()),
        (1, 0, 300)
    );
    let (outcome, book) = scene.sync_as(JobType::Full, false, true).await;
    assert_eq!(outcome.status, SyncStatus::Completed, "{:?}", outcome.error);
    exact(&scene.job_of(&outcome).await, &book);
    assert_eq!(book.deleted, 150);
    scene.is_equal().await;
}

async fn dead_letters(url: &str) {
    let world = World::new("refused").with_documents(128);
    world.add("300");
    world.add("400");
    let scene = Scene::set(url, world).await;
    let narrow = json!({"mappings": {"properties": {"n": {"type": "byte"}}}});
    scene.rig.client.ensure_index(&scene.rig.index, Some(&narrow)).await.unwrap();
    scene.recorder.disturb(Faults { busy: 7, ..Faults::default() });
    let (outcome, book) = scene.sync(JobType::Full).await;
    let job = scene.job_of(&outcome).await;
    assert_eq!(job.status, SyncStatus::Completed, "{:?}", job.error);
    exact(&job, &book);
    assert_eq!((book.indexed, book.refused, outcome.report.figures.failed), (128, 2, 2));
    assert_eq!(refused(&job)["dead_letters"], 2);
    assert!(book.disturbed > 1);

    // The index takes them now.
    scene.recorder.disturb(Faults::default());
    scene.rig.client.delete_index(&scene.rig.index).await.unwrap();
    let job = scene.rig.client.job(outcome.job.as_ref().unwrap()).await.unwrap().unwrap();
    retry_dead_letters(&scene.rig.client, &job, &[]).await.unwrap();
    let (outcome, book) = scene.sync(JobType::Full).await;
    exact(&scene.job_of(&outcome).await, &book);
    assert_eq!(scene.indexed().await.keys().collect::<Vec<_>>(), ["300", "400"], "only what was left out");
    scene.full().await;
}

async fn faults(url: &str) {
    let disturbances = [
        ("throttled", Faults { throttled: 2, ..Faults::default() }),
        ("busy", Faults { busy: 3, ..Faults::default() }),
        ("away", Faults { away: 3, ..Faults::default() }),
        ("lost", Faults { lost: 3, ..Faults::default() }),
        ("large", Faults { max_bytes: Some(10_000), ..Faults::default() }),
        (
            "all",
            Faults { throttled: 5, away: 7, lost: 11, busy: 9, max_bytes: Some(30_000), ..Faults::default() },
        ),
    ];
    for (name, faults) in disturbances {
        let scene = Scene::set(url, World::new(name).with_documents(400).with_text(2000)).await;
        scene.recorder.disturb(faults);
        let (job, book) = scene.full().await;
        assert!(book.disturbed > 0, "{name}: {book:?}");
        assert_eq!(job.indexed_document_count, 400, "{name}: each document counts once");
        for n in 0..50 {
            scene.world.change(&n.to_string());
            scene.world.remove(&(300 + n).to_string());
        }
        let (job, _) = scene.full().await;
        assert_eq!(job.indexed_document_count, 50, "{name}");
    }
}

async fn killed_sync(url: &str) {
    let world = World::new("killed").with_documents(3000).slow(Duration::from_micros(500));
    let mut scene = Scene::set(url, world).await;
    let mut options = scene.options();
    options.sync.limits.checkpoint_interval = Duration::from_millis(100);
    options.sync.limits.batch_items = 100;
    scene.rig.daemon(options.clone());
    let id = scene.rig.ask(JobType::Full).await;
    until("half done", || scene.recorder.book().indexed > 1000).await;
    scene.rig.crash().await;
    let listed = scene.world.listed();
    let shutdown = scene.rig.daemon(options);
    let job = scene.ends(&id).await;
    assert_eq!(job.status, SyncStatus::Completed, "{:?}", job.error);
    assert!(scene.world.listed() - listed < 3000, "it went on where it was");
    assert!(u64::try_from(job.indexed_document_count).unwrap() <= scene.recorder.book().indexed);
    scene.is_equal().await;
    scene.rig.stop(&shutdown).await;
}

/// A cancellation does not wait for an index that answers nothing.
async fn canceled_while_the_index_is_silent(url: &str) {
    let world = World::new("silent").with_documents(4000).slow(Duration::from_micros(500));
    let mut scene = Scene::set(url, world).await;
    let mut options = scene.options();
    options.lease = Duration::from_secs(60);
    let shutdown = scene.rig.daemon(options);
    let id = scene.rig.ask(JobType::Full).await;
    until("begun", || scene.recorder.book().indexed > 500).await;
    scene.recorder.disturb(Faults { silent: true, ..Faults::default() });
    let asked = Instant::now();
    scene.rig.client.cancel_job(&id).await.unwrap();
    let job = scene.ends(&id).await;
    assert_eq!(job.status, SyncStatus::Canceled, "{:?}", job.error);
    // A call may take ten seconds; two are promised, and more are given to a slow machine.
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    scene.recorder.disturb(Faults::default());
    scene.rig.stop(&shutdown).await;
}

async fn all(url: &str) {
    first_unchanged_changed(url).await;
    identities(url).await;
    guard(url).await;
    dead_letters(url).await;
    faults(url).await;
    killed_sync(url).await;
    canceled_while_the_index_is_silent(url).await;
}

/// A sync in the middle of which the server goes away and comes back, with a new address where it has one.
async fn outage(url: &str, away_and_back: impl AsyncFnOnce() -> Option<String>) {
    let world = World::new("outage").with_documents(4000).slow(Duration::from_micros(500));
    let mut scene = Scene::set(url, world).await;
    let mut options = scene.options();
    options.lease = Duration::from_secs(30);
    options.sync.limits.batch_items = 100;
    let shutdown = scene.rig.daemon(options);
    let id = scene.rig.ask(JobType::Full).await;
    until("half done", || scene.recorder.book().indexed > 1000).await;
    if let Some(url) = away_and_back().await {
        scene.recorder.moved(&url);
    }
    let job = scene.ends(&id).await;
    assert_eq!(job.status, SyncStatus::Completed, "{:?}", job.error);
    assert!(scene.recorder.book().indexed >= 4000);
    scene.is_equal().await;
    scene.rig.stop(&shutdown).await;
    scene.full().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_node() {
    let node = TestNode::start().await;
    all(node.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_in_the_middle_of_a_sync_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let node = TestNode::start_in(folder.path()).await;
    let url = node.url().to_owned();
    let mut again = None;
    outage(&url, async || {
        node.stop().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let node = again.insert(TestNode::start_in(folder.path()).await);
        Some(node.url().to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_elasticsearch_which_is_killed_in_the_middle_of_a_sync() {
    let trial = [("xpack.license.self_generated.type", "trial")];
    let server =
        tokio::task::spawn_blocking(move || Elasticsearch::start(Major::Nine, &trial)).await.unwrap();
    all(server.url()).await;
    outage(server.url(), async || {
        tokio::task::block_in_place(|| {
            server.kill();
            server.start_again();
        });
        None
    })
    .await;
    // It is a real one.
    let client = Client::new(ClientOptions::new([server.url()])).unwrap();
    let info = client.raw("GET", "/", None).await.unwrap();
    assert!(info["version"]["number"].as_str().unwrap().starts_with("9."), "{info}");
}
