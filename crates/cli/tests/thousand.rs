//! A thousand connectors with schedules, served by the real daemon: what that takes of processor and memory.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{LONG, World, client, stop, tributary};
use tributary_client::NewConnector;
use tributary_protocol::{ConnectorId, SyncStatus};

const CONNECTORS: usize = 1000;

/// A figure of `/proc/PID`: processor seconds, resident MiB.
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

/// `TRIBUTARY_THOUSAND_MINUTES=10 cargo test --release -p tributary-cli --test thousand -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes minutes; prints numbers for people"]
async fn a_thousand_connectors_on_one_core() {
    let minutes: u64 =
        std::env::var("TRIBUTARY_THOUSAND_MINUTES").map_or(3, |minutes| minutes.parse().unwrap());
    let world = World::new();
    world.write("a.txt", "a");
    let mut node = world.serve();
    let url = node.url();
    let node_client = client(&url);
    node_client.ensure_protocol_indices().await.unwrap();
    let schema = tributary_connectors::registry().get("dir").unwrap().schema();
    for number in 0..CONNECTORS {
        let id = ConnectorId::from(format!("c{number}"));
        let new = NewConnector {
            index_name: Some(format!("i{number}")),
            service_type: Some("dir".to_owned()),
            ..NewConnector::default()
        };
        node_client.create_connector(Some(&id), &new).await.unwrap();
        let mut configuration = schema.clone();
        configuration.get_mut("directory").unwrap().value = json!(world.files().display().to_string());
        // Every hour, each at another second.
        let interval = format!("{} {} * * * ?", number % 60, number / 60);
        let doc = json!({"configuration": configuration, "status": "configured",
            "scheduling": {"full": {"enabled": true, "interval": interval}}});
        node_client.update_connector(&id, &doc, None).await.unwrap();
    }
    let config = world.path().join("service.yml");
    let text = format!(
        "elasticsearch.host: {url}\nservice: {{worker_mode: true, service_types: [dir], max_concurrent_content_syncs: 4}}\n\
         tributary.state_dir: {}\n",
        world.path().join("state").display()
    );
    fs::write(&config, text).unwrap();
    let mut daemon = tributary().start(["run", "-c", config.to_str().unwrap()]);
    daemon.wait_for("serving connectors", LONG);
    let (begun, pid) = (Instant::now(), daemon.id());
    let mut before = (0.0, 0.0);
    for round in 1..=minutes * 2 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let now = usage(pid);
        let (share, seconds) = ((now.0 - before.0) / 30.0, begun.elapsed().as_secs());
        println!("{round}: after {seconds} s {:.1} MiB, {:.3} cores in the last 30 s", now.1, share);
        before = now;
    }
    let jobs = node_client.jobs(&tributary_client::JobFilter::default()).await.unwrap();
    let ended = jobs.iter().filter(|job| job.doc.status == SyncStatus::Completed).count();
    println!("{} jobs were created, {ended} of them are completed", jobs.len());
    stop(daemon);
    stop(node);
}
