//! Many workers, many jobs, and workers that are killed, stand still and are slow to be heard: every job runs to its
//! end, by one worker at a time. An independent checker judges the history of all their requests.
//!
//! More of it, as docs/daemon.md tells: `TRIBUTARY_CLAIM_JOBS=2000 TRIBUTARY_CLAIM_ENGINE=9 cargo test -p tributary-cli
//! --test claims -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
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
    fn start(world: &World) -> (Self, String) {
        let major = match variable("TRIBUTARY_CLAIM_ENGINE").as_deref() {
            None | Some("node") => None,
            Some("8") => Some(Major::Eight),
            Some("9") => Some(Major::Nine),
            Some(other) => panic!("TRIBUTARY_CLAIM_ENGINE is '{other}'; expected node, 8 or 9"),
        };
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
    async fn start_worker(&self, place: usize) -> Process {
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
        tributary().start(["run", "-c", &config.display().to_string()])
    }

    /// Lets a worker work, and kills, freezes and restarts it, until it is over.
    async fn trouble(self: Arc<Self>, place: usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut worker = self.start_worker(place).await;
        while !self.over.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(3000..25_000))).await;
            if rng.random_bool(0.5) {
                self.kills.fetch_add(1, Ordering::SeqCst);
                worker.kill();
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..1500))).await;
                worker = self.start_worker(place).await;
            } else {
                self.freezes.fetch_add(1, Ordering::SeqCst);
                worker.freeze();
                let pause = LEASE.mul_f64(rng.random_range(0.1..1.8));
                tokio::time::sleep(pause).await;
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
    let jobs = client.jobs(&JobFilter::default()).await.unwrap();
    jobs.into_iter().map(|job| (job.id.as_str().to_owned(), job.doc.status.as_str().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and kills many processes; docs/daemon.md tells how to run it"]
async fn every_job_runs_to_its_end_and_none_twice_at_a_time() {
    let number = |name: &str, default: u64| variable(name).map_or(default, |text| text.parse().unwrap());
    let total = usize::try_from(number("TRIBUTARY_CLAIM_JOBS", 48)).unwrap();
    let seed = number("TRIBUTARY_CLAIM_SEED", 20_261_126);
    let connectors = (total / 40).clamp(16, 50);
    let world = World::new();
    for connector in 0..connectors {
        for file in 0..FILES {
            world.write(&format!("{connector}/{file}.txt"), "at first");
        }
    }
    let (mut engine, url) = Engine::start(&world);
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

    let mut asked = Asked { lease: u64::try_from(LEASE.as_millis()).unwrap(), ..Asked::default() };
    asked.indices =
        (0..connectors).map(|number| (format!("claims-{number}"), format!("c{number}"))).collect();
    let patience = Duration::from_secs(120) + Duration::from_secs(2) * u32::try_from(total).unwrap();
    let (mut restarted, mut told) = (false, Instant::now());
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let open = client.open_jobs().await.unwrap().len();
        for _ in open..OPEN.min(open + total - asked.jobs.len()) {
            let connector = &ids[rng.random_range(0..connectors)];
            let job = client.create_job(connector, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
            asked.jobs.insert(job.as_str().to_owned(), connector.as_str().to_owned());
        }
        if !restarted && asked.jobs.len() - open.min(asked.jobs.len()) > total / 2 {
            restarted = true;
            let (stage, url) = (Arc::clone(&stage), url.clone());
            let restarting = tokio::task::spawn_blocking(move || {
                engine.restart(&stage.world, &url);
                engine
            });
            engine = restarting.await.unwrap();
        }
        if open == 0 && asked.jobs.len() == total {
            break;
        }
        if begun.elapsed() > patience {
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
    while !client.open_jobs().await.unwrap().is_empty() {
        assert!(begun.elapsed() < patience + support::LONG, "the last jobs do not end");
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
         {} data writes, {} of them under way at a take-over; {workers} of {} processes ended jobs",
        asked.jobs.len(),
        took.as_secs_f64(),
        figures.claims,
        figures.takeovers,
        figures.longest_silence,
        stage.kills.load(Ordering::SeqCst),
        stage.freezes.load(Ordering::SeqCst),
        figures.data_writes,
        figures.overtaken,
        stage.started.load(Ordering::SeqCst),
    );
    if let Engine::Node(node) = engine {
        stop(node);
    }
}
