//! `tributary run` as a service: metrics and health, reload, traces, logs of jobs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;
use std::time::Duration;

use support::collector::Collector;
use support::monitoring::{get, monitoring};
use support::{LONG, World, client, eventually, parse, stop, tributary};

fn config(world: &World, more: &str) -> String {
    let path = world.path().join("config.yml");
    let text = format!(
        "tributary:\n  data_dir: {}\n  node.listen: 127.0.0.1:0\n  poll_interval: 200ms\n  lease: 3s\n{more}",
        world.data().display()
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Creates connector `c` for the world's files.
fn create(world: &World, url: &str) {
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", url])).success();
}

/// Syncs connector `c` and gives the job's id.
fn sync(url: &str) -> String {
    let ended = tributary().run(["job", "start", "c", "--wait", "--host", url, "--output", "json"]).success();
    parse(&ended)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn metrics_and_health_are_served_where_the_configuration_says() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "  monitoring.listen: 127.0.0.1:0\n")]);
    let url = running.url();
    let address = monitoring(&mut running);
    create(&world, &url);
    sync(&url);
    assert_eq!(get(&address, "/healthz").0, 200);
    eventually("ready", async || get(&address, "/readyz").0 == 200).await;
    // Gauges are of the last look.
    let connected = "tributary_connectors{status=\"connected\"} 1";
    eventually("the look shows", async || get(&address, "/metrics").1.contains(connected)).await;
    let (status, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    for line in [
        "tributary_jobs_finished_total{job_type=\"full\",status=\"completed\"} 1",
        "tributary_documents_total{outcome=\"created\"} 1",
        "tributary_request_failures_total{kind=\"throttled\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert_eq!(get(&address, "/other").0, 404);
    stop(running);
}

#[test]
fn a_daemon_without_its_cluster_is_alive_and_not_ready() {
    let world = World::new();
    let nobody = tributary_harness::free_address();
    let path = world.path().join("config.yml");
    let text = format!(
        "elasticsearch: {{host: 'http://{nobody}', max_wait_duration: 60}}\n\
         tributary: {{state_dir: {}, monitoring.listen: '127.0.0.1:0'}}\n",
        world.data().display()
    );
    fs::write(&path, text).unwrap();
    let mut running = tributary().start(["run", "-c", path.to_str().unwrap()]);
    let address = monitoring(&mut running);
    assert_eq!(get(&address, "/healthz").0, 200);
    let (status, body) = get(&address, "/readyz");
    assert_eq!(status, 503);
    assert!(parse(&body)["reason"].as_str().unwrap().contains("could not be looked at"), "{body}");
    stop(running);
}

#[tokio::test]
async fn a_reload_tells_what_changed_and_what_needs_a_restart_and_a_broken_file_changes_nothing() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create(&world, &url);

    config(&world, "  log_format: json\nservice: {heartbeat: 7, log_level: debug}\n");
    running.hang_up();
    running.wait_for("changed: service.heartbeat: 5m -> 7s", LONG);
    running.wait_for("changed, but needs a restart: tributary.log_format: human -> json", LONG);
    running.wait_for("going on with the new configuration", LONG);
    let id = sync(&url);
    assert!(!id.is_empty());
    eventually("debug lines come", async || running.lines().iter().any(|line| line.contains("DEBUG"))).await;

    config(&world, "nonsense: 1\nservice: {heartbeat: often}\n");
    running.hang_up();
    running.wait_for("refused and the former one goes on", LONG);
    let refused = running.lines().iter().filter(|line| line.contains("refused and the former")).count();
    assert_eq!(refused, 2, "each problem has its line");
    sync(&url);

    config(&world, "service: {heartbeat: 7, log_level: debug}\nconnectors: [{connector_id: other}]\n");
    running.hang_up();
    running.wait_for("changed: connectors: none -> other", LONG);
    let started = tributary().run(["job", "start", "c", "--host", &url, "--output", "json"]).success();
    let id = parse(&started)["id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let job = client(&url).raw("GET", &format!("/_connector/_sync_job/{id}"), None).await.unwrap();
    assert_eq!(job["status"], "pending", "the connector is not served any more");
    stop(running);
}

#[tokio::test]
async fn the_log_of_a_job_is_seen_from_anywhere() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create(&world, &url);
    let id = sync(&url);
    let text = tributary().run(["job", "view", &id, "--logs", "--follow", "--host", &url]).success();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.first().unwrap().contains("INFO the sync begins attempt=1"), "{text}");
    assert!(lines.last().unwrap().contains("INFO the sync ended status=\"completed\" created=1"), "{text}");
    let document = tributary().run(["job", "view", &id, "--logs", "--host", &url, "--output", "json"]);
    assert_eq!(parse(&document.success())["log"].as_array().unwrap().len(), lines.len());
    stop(running);
}

#[tokio::test]
async fn spans_of_jobs_are_sent_to_a_collector() {
    let world = World::new();
    world.write("a.md", "text");
    let collector = Collector::start();
    let otlp =
        format!("  otlp: {{endpoint: '{}', headers: {{authorization: Bearer tok-12345}}}}\n", collector.url);
    let mut running = tributary().start(["run", "-c", &config(&world, &otlp)]);
    let url = running.url();
    create(&world, &url);
    let id = sync(&url);
    // What is left is sent at the end.
    stop(running);
    let spans = collector.spans();
    let job = spans.iter().find(|(name, attributes, _)| name == "job" && attributes.contains(&id));
    let (_, attributes, head) = job.unwrap_or_else(|| panic!("no span of the job among {spans:#?}"));
    assert!(attributes.contains("connector_id") && attributes.contains("the sync ended"), "{attributes}");
    assert!(head.starts_with("POST /v1/traces"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer tok-12345"), "{head}");
    assert!(spans.iter().any(|(name, ..)| name == "bulk"), "{spans:#?}");
}

#[tokio::test]
async fn a_collector_that_cannot_be_reached_is_told_of_once() {
    let world = World::new();
    world.write("a.md", "text");
    let nobody = tributary_harness::free_address();
    let otlp = format!("  otlp: {{endpoint: 'http://{nobody}'}}\n");
    let mut running = tributary().start(["run", "-c", &config(&world, &otlp)]);
    let url = running.url();
    create(&world, &url);
    for _ in 0..2 {
        sync(&url);
        // Spans are sent every five seconds.
        running.wait_for(&format!("traces are lost: the collector at http://{nobody}"), LONG);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let lines = running.lines();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("traces are lost")).collect();
    assert!(told.len() == 1 && told[0].contains("Connection refused"), "{told:?}");
    stop(running);
}
