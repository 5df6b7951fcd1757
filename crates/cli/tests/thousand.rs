//! A thousand connectors with schedules, served by the real daemon: every slot is served once, and what that takes of processor
//! and memory.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use futures::StreamExt as _;
use serde_json::json;
use support::monitoring::{get, monitoring};
use support::{LONG, World, client, stop, tributary};
use tributary_client::{Client, JobFilter, NewConnector};
use tributary_protocol::{ConnectorId, JobType, SyncStatus, TriggerMethod};
use tributary_schedule::Schedule;

const CONNECTORS: usize = 1000;
/// From the creation of most connectors to the first slot.
const LEAD: TimeDelta = TimeDelta::seconds(20);
/// After its slot a job is created within this, also on a machine that is busy with other tests.
const LATEST: TimeDelta = TimeDelta::seconds(60);
/// Longest wait for the last jobs.
const DRAIN: Duration = Duration::from_secs(180);
/// Processor time of the daemon in a second: less than one core, whatever else the machine does.
const MOST_CORES: f64 = 1.0;
/// What the daemon's memory may grow by while it does the same again and again, in MiB.
const MOST_GROWTH: f64 = 24.0;
/// Pause between two looks at processor and memory.
const LOOK: Duration = Duration::from_secs(15);

/// When the schedules fire.
#[derive(Clone, Copy)]
enum Plan {
    /// So many of them once, one after the other within so many seconds; the others half an hour later.
    Once { turns: usize, within: i64 },
    /// Each every ten minutes, for so many minutes.
    EveryTenMinutes { minutes: i64 },
}

impl Plan {
    /// The schedules of the connectors from this number on, when the first of them fires at `begin`.
    fn schedules(self, from: usize, begin: DateTime<Utc>) -> Vec<(usize, String)> {
        let turn = |number: usize| match self {
            Self::Once { turns, within } => within * 1000 * (number % turns) as i64 / turns as i64,
            Self::EveryTenMinutes { .. } => 600_000 * number as i64 / CONNECTORS as i64,
        };
        let expression = |number: usize| {
            let at = begin + TimeDelta::milliseconds(turn(number));
            match self {
                Self::Once { .. } => format!("{} {} * * * ?", at.second(), at.minute()),
                Self::EveryTenMinutes { .. } => format!("{} {}/10 * * * ?", at.second(), at.minute() % 10),
            }
        };
        (from..CONNECTORS).map(|number| (number, expression(number))).collect()
    }

    /// Creates the connectors; when the first slot is, and all schedules. Creating them takes a while itself.
    async fn create(self, client: &Client, world: &World) -> (DateTime<Utc>, BTreeMap<usize, String>) {
        let whole = |time: DateTime<Utc>| time.with_nanosecond(0).unwrap();
        let later = match self {
            Self::Once { turns, .. } => self.schedules(turns, whole(Utc::now()) + TimeDelta::minutes(30)),
            Self::EveryTenMinutes { .. } => self.schedules(0, whole(Utc::now())),
        };
        create(client, world, &later).await;
        let begin = whole(Utc::now()) + LEAD;
        let mut schedules: BTreeMap<usize, String> = later.into_iter().collect();
        if let Self::Once { turns, .. } = self {
            let mut now = self.schedules(0, begin);
            now.truncate(turns);
            create(client, world, &now).await;
            schedules.extend(now);
        }
        (begin, schedules)
    }

    /// How many slots there are.
    fn slots(self) -> usize {
        match self {
            Self::Once { turns, .. } => turns,
            Self::EveryTenMinutes { minutes } => CONNECTORS * minutes as usize / 10,
        }
    }

    fn end(self, begin: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Once { within, .. } => begin + TimeDelta::seconds(within),
            Self::EveryTenMinutes { minutes } => begin + TimeDelta::minutes(minutes),
        }
    }
}

fn id(number: usize) -> ConnectorId {
    ConnectorId::from(format!("c{number}"))
}

/// The slots of a schedule.
fn slots(expression: &str, begin: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let schedule: Schedule = expression.parse().unwrap();
    let first = schedule.next_after(begin - TimeDelta::seconds(1));
    let all = std::iter::successors(first, |slot| schedule.next_after(*slot));
    all.take_while(|slot| *slot < end).collect()
}

/// A slot as the ids of jobs have it.
fn named(slot: DateTime<Utc>) -> String {
    slot.format("%Y%m%dT%H%M%SZ").to_string()
}

/// Processor seconds and resident MiB of a process.
fn usage(pid: u32) -> (f64, f64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = resident.trim().trim_end_matches("kB").trim().parse().unwrap();
    ((fields[11] + fields[12]) / 100.0, kib / 1024.0)
}

/// Creates the connectors with their schedules.
async fn create(client: &Client, world: &World, schedules: &[(usize, String)]) {
    let mut schema = tributary_connectors::registry().get("dir").unwrap().schema();
    schema.get_mut("directory").unwrap().value = json!(world.files().display().to_string());
    let creating = schedules.iter().map(async |(number, interval)| {
        let new = NewConnector {
            index_name: Some(format!("i{number}")),
            service_type: Some("dir".to_owned()),
            ..NewConnector::default()
        };
        client.create_connector(Some(&id(*number)), &new).await.unwrap();
        let doc = json!({"configuration": schema, "status": "configured",
            "scheduling": {"full": {"enabled": true, "interval": interval}}});
        client.update_connector(&id(*number), &doc, None).await.unwrap();
    });
    futures::stream::iter(creating).buffer_unordered(16).collect::<Vec<()>>().await;
}

/// The connectors' jobs by connector: slot (as the job's id has it), time of creation, status.
async fn jobs(client: &Client) -> BTreeMap<String, Vec<(String, DateTime<Utc>, SyncStatus)>> {
    let filter = JobFilter { size: Some(10_000), ..JobFilter::default() };
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for job in client.jobs(&filter).await.unwrap() {
        assert_eq!((job.doc.trigger_method, job.doc.job_type), (TriggerMethod::Scheduled, JobType::Full));
        let slot = job.id.as_str().split('-').nth(1).unwrap().to_owned();
        let of = found.entry(job.doc.connector.id.as_str().to_owned()).or_default();
        of.push((slot, job.doc.created_at.unwrap(), job.doc.status));
    }
    found
}

async fn serve(plan: Plan) {
    let world = World::new();
    world.write("a.txt", "a");
    let mut node = world.serve();
    let url = node.url();
    let node_client = client(&url);
    node_client.ensure_protocol_indices().await.unwrap();
    let (begin, schedules) = plan.create(&node_client, &world).await;
    assert!(Utc::now() < begin, "the connectors were created in time");
    let config = world.path().join("service.yml");
    let settings = format!(
        "elasticsearch.host: {url}\n\
         service: {{worker_mode: true, service_types: [dir], max_concurrent_content_syncs: 4}}\n\
         tributary: {{state_dir: '{}', monitoring.listen: '127.0.0.1:0'}}\n",
        world.path().join("state").display()
    );
    fs::write(&config, settings).unwrap();
    let mut daemon = tributary().start(["run", "-c", config.to_str().unwrap()]);
    let address = monitoring(&mut daemon);
    daemon.wait_for("serving connectors", LONG);
    tokio::time::sleep((begin - Utc::now()).to_std().unwrap_or_default()).await;

    let (end, began, first) = (plan.end(begin), Instant::now(), usage(daemon.id()));
    let (mut before, mut memory, mut looked) = (first, Vec::new(), Instant::now());
    while Utc::now() < end {
        tokio::time::sleep(LOOK.min((end - Utc::now()).to_std().unwrap_or_default())).await;
        let now = usage(daemon.id());
        let cores = (now.0 - before.0) / looked.elapsed().as_secs_f64();
        println!(
            "after {} s: {:.1} MiB, {cores:.3} cores; node {:.0} MiB",
            began.elapsed().as_secs(),
            now.1,
            usage(node.id()).1
        );
        memory.push(now.1);
        (before, looked) = (now, Instant::now());
    }
    let cores = (before.0 - first.0) / began.elapsed().as_secs_f64();

    let expected: BTreeMap<usize, Vec<_>> =
        schedules.iter().map(|(number, schedule)| (*number, slots(schedule, begin, end))).collect();
    let count: usize = expected.values().map(Vec::len).sum();
    assert_eq!(count, plan.slots());
    let draining = Instant::now();
    let found = loop {
        let found = jobs(&node_client).await;
        let of_slots =
            found.values().flatten().filter(|(slot, ..)| (named(begin)..named(end)).contains(slot));
        let completed = of_slots.filter(|(.., status)| *status == SyncStatus::Completed);
        if completed.count() >= count || draining.elapsed() > DRAIN {
            break found;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    println!("{count} slots, {cores:.3} cores on average, {:.1} to {:.1} MiB", memory[0], before.1);
    for line in get(&address, "/metrics")
        .1
        .lines()
        .filter(|line| line.contains("poll_duration") && !line.contains("bucket"))
    {
        println!("{line}");
    }
    println!("the last jobs ended {} s after the last slot", draining.elapsed().as_secs());
    let mut late = Vec::new();
    for (number, expected) in &expected {
        let mut of = found.get(id(*number).as_str()).cloned().unwrap_or_default();
        of.sort();
        // There may be jobs of slots before and after.
        of.retain(|(slot, ..)| (named(begin)..named(end)).contains(slot));
        let served: Vec<&str> = of.iter().map(|(slot, ..)| slot.as_str()).collect();
        let wanted: Vec<String> = expected.iter().copied().map(named).collect();
        assert_eq!(served, wanted, "connector {number}, {}: {of:?}", schedules[number]);
        for ((slot, created, status), expected) in of.iter().zip(expected) {
            assert_eq!(*status, SyncStatus::Completed, "connector {number}, slot {slot}");
            assert!(*created - *expected < LATEST, "connector {number}: {slot} was served at {created}");
            late.push(*created - *expected);
        }
    }
    late.sort();
    println!("from slot to job: half within {}, all within {}", late[late.len() / 2], late[late.len() - 1]);
    assert!(cores < MOST_CORES, "the daemon took {cores} cores");
    let (warm, last) = (memory[memory.len() / 2], memory[memory.len() - 1]);
    assert!(last < warm + MOST_GROWTH, "the daemon's memory grew from {warm} to {last} MiB: {memory:?}");
    stop(daemon);
    stop(node);
}

#[tokio::test]
async fn a_thousand_connectors_a_hundred_of_which_fire_within_a_minute() {
    serve(Plan::Once { within: 60, turns: 100 }).await;
}

/// `TRIBUTARY_THOUSAND_MINUTES=60 cargo test -p tributary-cli --test thousand -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes half an hour"]
async fn a_thousand_connectors_for_half_an_hour() {
    let minutes = std::env::var("TRIBUTARY_THOUSAND_MINUTES");
    serve(Plan::EveryTenMinutes { minutes: minutes.map_or(30, |minutes| minutes.parse().unwrap()) }).await;
}
