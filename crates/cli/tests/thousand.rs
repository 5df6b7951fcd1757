//! A thousand connectors with schedules, served by the real daemon: every slot is served once, and what that takes of processor
//! and memory.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use futures::StreamExt as _;
use serde_json::json;
use support::{LONG, World, client, stop, tributary};
use tributary_client::{Client, JobFilter, NewConnector};
use tributary_protocol::{ConnectorId, JobType, SyncStatus, TriggerMethod};
use tributary_schedule::Schedule;

const CONNECTORS: usize = 1000;
/// From the creation of the last connector to the first slot.
const LEAD: TimeDelta = TimeDelta::seconds(20);
/// After its slot a job is created within this, also on a machine that is busy with other tests.
const LATEST: TimeDelta = TimeDelta::seconds(30);
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
    /// Each once, one after the other within so many seconds.
    Once { within: i64 },
    /// Each every ten minutes, for so many minutes.
    EveryTenMinutes { minutes: i64 },
}

impl Plan {
    /// The schedule of a connector whose turns begin at `begin`.
    fn expression(self, number: usize, begin: DateTime<Utc>) -> String {
        let within = match self {
            Self::Once { within } => within,
            Self::EveryTenMinutes { .. } => 600,
        };
        let at = begin + TimeDelta::milliseconds(within * 1000 * number as i64 / CONNECTORS as i64);
        match self {
            Self::Once { .. } => format!("{} {} * * * ?", at.second(), at.minute()),
            Self::EveryTenMinutes { .. } => format!("{} {}/10 * * * ?", at.second(), at.minute() % 10),
        }
    }

    fn end(self, begin: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Once { within } => begin + TimeDelta::seconds(within),
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
async fn create(client: &Client, world: &World, schedules: &[String]) {
    client.ensure_protocol_indices().await.unwrap();
    let mut schema = tributary_connectors::registry().get("dir").unwrap().schema();
    schema.get_mut("directory").unwrap().value = json!(world.files().display().to_string());
    let creating = schedules.iter().enumerate().map(async |(number, interval)| {
        let new = NewConnector {
            index_name: Some(format!("i{number}")),
            service_type: Some("dir".to_owned()),
            ..NewConnector::default()
        };
        client.create_connector(Some(&id(number)), &new).await.unwrap();
        let doc = json!({"configuration": schema, "status": "configured",
            "scheduling": {"full": {"enabled": true, "interval": interval}}});
        client.update_connector(&id(number), &doc, None).await.unwrap();
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
    // Creating them takes a while itself.
    let begin = (Utc::now() + LEAD + LEAD).with_nanosecond(0).unwrap();
    let schedules: Vec<String> = (0..CONNECTORS).map(|number| plan.expression(number, begin)).collect();
    create(&node_client, &world, &schedules).await;
    println!("created within {} s", (Utc::now() - (begin - LEAD - LEAD)).num_seconds());
    assert!(Utc::now() < begin, "the connectors were not created in time");
    let config = world.path().join("service.yml");
    let text = format!(
        "elasticsearch.host: {url}\n\
         service: {{worker_mode: true, service_types: [dir], max_concurrent_content_syncs: 4}}\n\
         tributary.state_dir: {}\n",
        world.path().join("state").display()
    );
    fs::write(&config, text).unwrap();
    let mut daemon = tributary().start(["run", "-c", config.to_str().unwrap()]);
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

    let expected: Vec<_> = schedules.iter().map(|schedule| slots(schedule, begin, end)).collect();
    let count: usize = expected.iter().map(Vec::len).sum();
    let draining = Instant::now();
    let found = loop {
        let found = jobs(&node_client).await;
        let completed = found.values().flatten().filter(|(.., status)| *status == SyncStatus::Completed);
        if completed.count() >= count || draining.elapsed() > DRAIN {
            break found;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    println!("{count} slots, {cores:.3} cores on average, {:.1} to {:.1} MiB", memory[0], before.1);
    println!("the last jobs ended {} s after the last slot", draining.elapsed().as_secs());
    let mut late = Vec::new();
    for (number, expected) in expected.iter().enumerate() {
        let mut of = found.get(id(number).as_str()).cloned().unwrap_or_default();
        of.sort();
        // A job of the slot after the last one may be there already.
        of.retain(|(_, created, _)| *created < end + LATEST);
        let served: Vec<&str> = of.iter().map(|(slot, ..)| slot.as_str()).take(expected.len()).collect();
        let wanted: Vec<String> =
            expected.iter().map(|slot| slot.format("%Y%m%dT%H%M%SZ").to_string()).collect();
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
async fn a_thousand_connectors_miss_no_slot_within_a_minute() {
    serve(Plan::Once { within: 60 }).await;
}

/// `TRIBUTARY_THOUSAND_MINUTES=60 cargo test -p tributary-cli --test thousand -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes half an hour"]
async fn a_thousand_connectors_for_half_an_hour() {
    let minutes = std::env::var("TRIBUTARY_THOUSAND_MINUTES");
    serve(Plan::EveryTenMinutes { minutes: minutes.map_or(30, |minutes| minutes.parse().unwrap()) }).await;
}
