//! Two daemons on one node share the work, and no job runs twice.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::{LONG, World, client, differences, indexed, parse, stop, tributary};
use tributary_harness::Process;

const CONNECTORS: usize = 4;
const JOBS: usize = 3;

fn daemon(world: &World, url: &str, name: &str) -> Process {
    let config = world.path().join(format!("{name}.yml"));
    let state = world.path().join(format!("state-{name}"));
    // With one slot neither can take all the work.
    let text = format!(
        "elasticsearch.host: {url}\n\
         service: {{worker_mode: true, service_types: [dir], max_concurrent_content_syncs: 1}}\ntributary:\n  \
         worker_name: {name}\n  poll_interval: 300ms\n  state_dir: {}\n",
        state.display()
    );
    fs::write(&config, text).unwrap();
    tributary().start(["run", "-c", &config.display().to_string()])
}

#[tokio::test]
async fn every_job_runs_once() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    for connector in 0..CONNECTORS {
        for file in 0..20 {
            world.write(&format!("{connector}/{file}.txt"), &format!("text {file} of {connector}"));
        }
        let directory = format!("directory={}", world.files().join(connector.to_string()).display());
        let (id, index) = (format!("c{connector}"), format!("index-{connector}"));
        let args = [
            "connector",
            "create",
            "--service-type",
            "dir",
            "--id",
            &id,
            "--index",
            &index,
            "--set",
            &directory,
        ];
        tributary().run(args.iter().copied().chain(["--host", &url])).success();
    }
    let mut daemons = [daemon(&world, &url, "first"), daemon(&world, &url, "second")];
    for daemon in &mut daemons {
        daemon.wait_for("serving connectors", LONG);
    }
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        for connector in 0..CONNECTORS {
            let id = format!("c{connector}");
            let started =
                tributary().run(["job", "start", &id, "--host", &url, "--output", "json"]).success();
            jobs.push(parse(&started)["id"].as_str().unwrap().to_owned());
        }
    }

    let mut workers = BTreeSet::new();
    for job in &jobs {
        let shown =
            tributary().run(["job", "view", job, "--watch", "--host", &url, "--output", "json"]).success();
        let shown = parse(&shown);
        assert_eq!(shown["status"], "completed", "{shown}");
        assert_eq!(shown["metadata"]["tributary"]["attempt"], 1, "claimed once: {shown}");
        assert!(shown["metadata"]["tributary"]["takeovers"].as_u64().unwrap_or(0) == 0, "{shown}");
        workers.insert(shown["worker_hostname"].as_str().unwrap().to_owned());
    }
    let known: BTreeSet<String> = ["first", "second"].map(str::to_owned).into();
    assert_eq!(workers, known, "both had their share");
    let node_client = client(&url);
    for connector in 0..CONNECTORS {
        let documents = indexed(&node_client, &format!("index-{connector}")).await;
        assert_eq!(documents.len(), 20);
        assert!(documents.values().all(|document| document.version == 1), "each document was written once");
    }
    daemons.into_iter().for_each(stop);
    stop(node);
}

#[tokio::test]
async fn a_job_of_a_killed_daemon_is_taken_over() {
    let world = World::new();
    for file in 0..3000 {
        world.write(&format!("{file}.txt"), &format!("text {file} {}", "filler ".repeat(200).trim()));
    }
    let mut node = world.serve();
    let url = node.url();
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", &url])).success();
    let mut first = daemon(&world, &url, "first");
    let started = tributary().run(["job", "start", "c", "--host", &url, "--output", "json"]).success();
    let job = parse(&started)["id"].as_str().unwrap().to_owned();
    let node_client = client(&url);
    support::eventually("the first daemon begins", async || {
        let job = node_client.job(&job.clone().into()).await.unwrap().unwrap();
        job.doc.worker_hostname.is_some()
    })
    .await;
    first.kill();
    let second = daemon(&world, &url, "second");
    let shown =
        tributary().run(["job", "view", &job, "--watch", "--host", &url, "--output", "json"]).success();
    let shown = parse(&shown);
    assert_eq!(shown["status"], "completed", "{shown}");
    let warnings = shown["metadata"]["tributary"]["warnings"].to_string();
    assert!(warnings.contains("went silent"), "the figures may be too small: {shown}");
    assert_eq!(differences(&node_client, "i", &world).await, [""; 0]);
    stop(second);
    stop(node);
}
