//! Many workers, many jobs, and workers that are killed, stand still and are slow to be heard: every job runs to its
//! end, by one worker at a time. An independent checker judges the history of all their requests.
//!
//! More of it, as docs/daemon.md tells: `TRIBUTARY_CLAIM_JOBS=2000 TRIBUTARY_CLAIM_ENGINE=9 cargo test -p tributary-cli
//! --test claims -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod history;
mod recorder;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use history::{Asked, check};
use rand::{Rng, SeedableRng, rngs::StdRng};
use recorder::Recorder;
use serde_json::json;
use support::{World, in_index, stop, tributary};
use tributary_client::{Client, ClientOptions, JobFilter, NewConnector};
use tributary_harness::{Elasticsearch, Major, Process};
use tributary_protocol::{ConnectorId, JobType, TriggerMethod};

const WORKERS: usize = 8;
const FILES: usize = 4;
/// Open jobs at once.
const OPEN: usize = 40;
const LEASE: Duration = Duration::from_secs(10);
/// When the job of a worker that has gone silent must have been taken over: 30 s after its lease, and what others may
/// stand still themselves.
const LATEST: Duration = Duration::from_secs(60);
/// How long a worker is waited for that has ended no job since it was troubled last.
const SLOWEST: Duration = Duration::from_secs(60);
/// Longest time in which no job ends: many times of what a take-over and a restart of Elasticsearch take.
const PATIENCE: Duration = Duration::from_secs(400);
/// Longest delay of a request and of an answer: less than what a worker's lease has to spare.
const DELAY: Duration = Duration::from_millis(300);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Who keeps the records.
enum Engine {
    Node(Process),
    Elasticsearch(Box<Elasticsearch>),
}

impl Engine {
    fn start(world: &World, major: Option<Major>) -> (Self, String) {
        match major {
            None => {
                let mut node = world.serve();
                let url = node.url();
                (Self::Node(node), url)
            }
            Some(major) => {
                let server = Elasticsearch::start(major, &[]);
                let url = server.url().to_owned();
                (Self::Elasticsearch(Box::new(server)), url)
            }
        }
    }

    /// Ends it hard and starts it again, at the same address.
    fn restart(&mut self, world: &World, url: &str) {
        match self {
            Self::Node(node) => {
                node.kill();
                let listen = url.trim_start_matches("http://").to_owned();
                let data = world.data().display().to_string();
                *node = tributary().start(["serve", "--listen", &listen, "--data", &data]);
                node.url();
            }
            Self::Elasticsearch(server) => {
                server.kill();
                server.start_again();
            }
        }
    }
}

/// What the workers and those who trouble them share.
struct Stage {
    world: World,
    recorder: Recorder,
    /// Processes started.
    started: AtomicUsize,
    kills: AtomicUsize,
    freezes: AtomicUsize,
    over: AtomicBool,
}

impl Stage {
    async fn start_worker(&self, place: usize) -> (usize, Process) {
        let worker = self.started.fetch_add(1, Ordering::SeqCst);
        let door = self.recorder.door(worker).await;
        let config = self.world.path().join(format!("worker-{place}.yml"));
        let state = self.world.path().join(format!("state-{place}"));
        let text = format!(
            "elasticsearch.host: http://{door}\n\
             service: {{worker_mode: true, service_types: [dir], max_concurrent_content_syncs: 2}}\n\
             tributary:\n  worker_name: worker-{place}\n  poll_interval: 2s\n  lease: {}s\n  state_dir: {}\n",
            LEASE.as_secs(),
            state.display()
        );
        fs::write(&config, text).unwrap();
        let process = tributary().start(["run", "-c", &config.display().to_string()]);
        // On a busy machine it takes a while until it works; killed before, it would not have been there at all.
        let begun = Instant::now();
        while !self.recorder.has_heard(worker) && begun.elapsed() < support::LONG {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (worker, process)
    }

    /// Lets a worker work, and kills, freezes and restarts it, until it is over.
    async fn trouble(self: Arc<Self>, place: usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut number, mut worker) = self.start_worker(place).await;
        while !self.over.load(Ordering::SeqCst) {
            let ended = self.recorder.ended(number);
            self.rest(Duration::from_millis(rng.random_range(3000..25_000))).await;
            // However slow the machine is, somebody gets something done: a job whose workers die ten times in a row is
            // given up.
            let begun = Instant::now();
            while self.recorder.ended(number) == ended && begun.elapsed() < SLOWEST {
                self.rest(Duration::from_millis(200)).await;
                if self.over.load(Ordering::SeqCst) {
                    break;
                }
            }
            if rng.random_bool(0.5) {
                self.kills.fetch_add(1, Ordering::SeqCst);
                worker.kill();
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..1500))).await;
                (number, worker) = self.start_worker(place).await;
            } else {
                self.freezes.fetch_add(1, Ordering::SeqCst);
                worker.freeze();
                self.rest(LEASE.mul_f64(rng.random_range(0.1..1.8))).await;
                worker.thaw();
            }
        }
        let ended = tokio::task::spawn_blocking(move || {
            worker.terminate();
            worker.wait(Duration::from_secs(60))
        });
        // One that had only just been started may not listen to signals yet, and has no code.
        assert!(ended.await.unwrap().code().is_none_or(|code| code == 0));
    }

    /// Waits, but not beyond the end.
    async fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(100).min(time)).await;
        }
    }

    /// Changes files for as long as it goes on, so that syncs have something to write.
    async fn change(self: Arc<Self>, connectors: usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut change = 0;
        while !self.over.load(Ordering::SeqCst) {
            change += 1;
            let (connector, file) = (rng.random_range(0..connectors), rng.random_range(0..FILES));
            // In one step, as good editors do: a sync sees the one or the other.
            let path = self.world.path().join("new");
            fs::write(&path, format!("change {change}")).unwrap();
            fs::rename(&path, self.world.files().join(format!("{connector}/{file}.txt"))).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn folder_of(world: &World, connector: usize) -> BTreeMap<String, String> {
    let folder = world.files().join(connector.to_string());
    world
        .on_disk()
        .into_iter()
        .filter(|(path, _)| path.starts_with(&format!("{}/", folder.display())))
        .collect()
}

async fn create_connector(client: &Client, world: &World, number: usize) -> ConnectorId {
    let id = ConnectorId::from(format!("c{number}"));
    let new = NewConnector {
        index_name: Some(format!("claims-{number}")),
        service_type: Some("dir".to_owned()),
        ..NewConnector::default()
    };
    client.create_connector(Some(&id), &new).await.unwrap();
    let schema = tributary_connectors::registry().get("dir").unwrap().schema();
    client.update_configuration(&id, &schema).await.unwrap();
    let values = json!({"directory": world.files().join(number.to_string()).display().to_string()});
    client.update_configuration_values(&id, values.as_object().unwrap()).await.unwrap();
    id
}

/// How every job stands.
async fn statuses(client: &Client) -> BTreeMap<String, String> {
    let all = JobFilter { size: Some(10_000), ..JobFilter::default() };
    let jobs = client.jobs(&all).await.unwrap();
    jobs.into_iter().map(|job| (job.id.as_str().to_owned(), job.doc.status.as_str().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_runs_to_its_end_and_none_twice_at_a_time() {
    story(60, 20_261_126, None, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes many minutes; docs/daemon.md tells how to run it"]
async fn every_one_of_many_jobs_runs_to_its_end_and_none_twice_at_a_time() {
    let number = |name: &str, default: u64| variable(name).map_or(default, |text| text.parse().unwrap());
    let total = usize::try_from(number("TRIBUTARY_CLAIM_JOBS", 2000)).unwrap();
    let major = match variable("TRIBUTARY_CLAIM_ENGINE").as_deref() {
        None | Some("node") => None,
        Some("8") => Some(Major::Eight),
        Some("9") => Some(Major::Nine),
        Some(other) => panic!("TRIBUTARY_CLAIM_ENGINE is '{other}'; expected node, 8 or 9"),
    };
    let minutes = variable("TRIBUTARY_CLAIM_MINUTES").map(|text| text.parse().unwrap());
    let longest = minutes.map(|minutes: f64| Duration::from_secs_f64(60.0 * minutes));
    story(total, number("TRIBUTARY_CLAIM_SEED", 20_261_126), major, longest).await;
}

/// `longest`: after that time no more jobs are asked for.
async fn story(mut total: usize, seed: u64, major: Option<Major>, longest: Option<Duration>) {
    let connectors = (total / 40).clamp(16, 50);
    let world = World::new();
    for connector in 0..connectors {
        for file in 0..FILES {
            world.write(&format!("{connector}/{file}.txt"), "at first");
        }
    }
    let (mut engine, url) = Engine::start(&world, major);
    let client = Client::new(ClientOptions::new([url.as_str()])).unwrap();
    client.ensure_protocol_indices().await.unwrap();
    let mut ids = Vec::new();
    for connector in 0..connectors {
        ids.push(create_connector(&client, &world, connector).await);
    }
    let stage = Arc::new(Stage {
        world,
        recorder: Recorder::new(&url, seed, DELAY),
        started: AtomicUsize::new(0),
        kills: AtomicUsize::new(0),
        freezes: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..WORKERS {
        tasks.spawn(Arc::clone(&stage).trouble(place, seed + place as u64));
    }
    let changing = tokio::spawn(Arc::clone(&stage).change(connectors, seed));

    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
    let mut asked = Asked { lease: millis(LEASE), latest: millis(LATEST), ..Asked::default() };
    asked.indices =
        (0..connectors).map(|number| (format!("claims-{number}"), format!("c{number}"))).collect();
    let (mut restarted, mut told) = (false, Instant::now());
    let (mut ended, mut moved) = (0, Instant::now());
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let open = client.open_jobs().await.unwrap().len();
        if longest.is_some_and(|longest| begun.elapsed() > longest) {
            total = total.min(asked.jobs.len());
        }
        // One job at least is to change hands.
        let wanted = if stage.recorder.claimed_twice() { total } else { total.max(asked.jobs.len() + 1) };
        for _ in open..OPEN.min(open + wanted.saturating_sub(asked.jobs.len())) {
            let connector = &ids[rng.random_range(0..connectors)];
            let job = client.create_job(connector, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
            asked.jobs.insert(job.as_str().to_owned(), connector.as_str().to_owned());
        }
        let half = longest.is_some_and(|longest| begun.elapsed() > longest / 2);
        if !restarted && (half || asked.jobs.len() - open.min(asked.jobs.len()) > total / 2) {
            restarted = true;
            let from = stage.recorder.now();
            let (stage, url) = (Arc::clone(&stage), url.clone());
            let restarting = tokio::task::spawn_blocking(move || {
                engine.restart(&stage.world, &url);
                (engine, stage.recorder.now())
            });
            let until;
            (engine, until) = restarting.await.unwrap();
            asked.away.push((from, until));
        }
        if open == 0 && asked.jobs.len() >= wanted {
            break;
        }
        if asked.jobs.len() - open.min(asked.jobs.len()) > ended {
            (ended, moved) = (asked.jobs.len() - open, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            let open = client.open_jobs().await.unwrap();
            panic!("{} of {} jobs are open still: {open:#?}", open.len(), asked.jobs.len());
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            println!(
                "{:.0} s: {} jobs asked for, {open} of them open",
                begun.elapsed().as_secs_f64(),
                asked.jobs.len()
            );
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let took = begun.elapsed();
    changing.abort();
    assert!(changing.await.is_err_and(|error| error.is_cancelled()));

    // Once more in peace, on what is on disk now.
    let mut last = Vec::new();
    for connector in &ids {
        let job = client.create_job(connector, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
        asked.jobs.insert(job.as_str().to_owned(), connector.as_str().to_owned());
        last.push(job);
    }
    let begun = Instant::now();
    while !client.open_jobs().await.unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the last jobs do not end");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stage.over.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }

    asked.statuses = statuses(&client).await;
    let (events, strange, requests) = stage.recorder.history();
    assert_eq!(strange, [""; 0], "writes that the checker does not know");
    let figures = check(&asked, &events)
        .unwrap_or_else(|problems| panic!("{} problems:\n{}", problems.len(), problems.join("\n")));
    for connector in 0..connectors {
        let index = in_index(&client, &format!("claims-{connector}")).await;
        assert_eq!(index, folder_of(&stage.world, connector), "connector {connector}");
    }
    assert!(restarted && figures.takeovers > 0 && figures.data_writes > 0, "{figures:?}");
    let workers = figures.ended_by.len();
    println!(
        "{} jobs in {:.0} s; {} claims, {} take-overs, longest silence before one {} ms; {} kills, {} freezes; {requests} requests, \
         {} data writes, {} of them under way at a take-over; {} claims given up at once; {workers} of {} processes ended jobs",
        asked.jobs.len(),
        took.as_secs_f64(),
        figures.claims,
        figures.takeovers,
        figures.longest_silence,
        stage.kills.load(Ordering::SeqCst),
        stage.freezes.load(Ordering::SeqCst),
        figures.data_writes,
        figures.overtaken,
        figures.given_up,
        stage.started.load(Ordering::SeqCst),
    );
    if let Engine::Node(node) = engine {
        stop(node);
    }
}
