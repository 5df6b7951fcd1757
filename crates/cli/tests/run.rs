//! `tributary run` with the embedded node: it serves what is created, in the log's form, and stops when it is asked to.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;
use support::{LONG, World, client, differences, eventually, parse, stop, tributary};

fn config(world: &World, more: &str) -> String {
    let path = world.path().join("config.yml");
    let text = format!(
        "tributary:\n  data_dir: {}\n  node.listen: 127.0.0.1:0\n  poll_interval: 200ms\n{more}",
        world.data().display()
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A connector `c` of the world's folder, into the index `i`.
fn create_connector(world: &World, url: &str) {
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", url])).success();
}

#[tokio::test]
async fn without_a_host_the_embedded_node_runs_and_every_connector_is_served() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create_connector(&world, &url);
    let ended =
        tributary().run(["job", "start", "c", "--wait", "--host", &url, "--output", "json"]).success();
    assert_eq!(parse(&ended)["status"], "completed", "{ended}");
    assert_eq!(differences(&client(&url), "i", &world).await, [""; 0]);
    stop(running);
}

#[tokio::test]
async fn a_job_that_the_source_cannot_do_is_refused_at_once_and_one_that_is_there_ends() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create_connector(&world, &url);
    let node_client = client(&url);
    for (kind, what) in [("access_control", "access-control syncs"), ("incremental", "incremental syncs")] {
        let refused =
            tributary().run(["job", "start", "c", "-t", kind, "--host", &url]).failure(1).join("\n");
        let expected = format!("connector 'c' does not support {what}");
        assert!(
            refused.contains(&expected) && refused.contains("tributary source describe dir"),
            "{refused}"
        );
        // Other programs can ask for it.
        let asked = json!({"id": "c", "job_type": kind});
        let made = node_client.raw("POST", "/_connector/_sync_job", Some(&asked)).await.unwrap();
        let path = format!("/_connector/_sync_job/{}", made["id"].as_str().unwrap());
        eventually("the job ends", async || {
            let job = node_client.raw("GET", &path, None).await.unwrap();
            job["status"] == "error" && job["error"].as_str().unwrap().contains("does not support")
        })
        .await;
    }
    stop(running);
}

#[test]
fn log_lines_for_programs_are_json() {
    for (format, field) in [("json", "level"), ("ecs", "log.level")] {
        let world = World::new();
        let mut running =
            tributary().start(["run", "-c", &config(&world, &format!("  log_format: {format}\n"))]);
        running.wait_for("the node is listening", LONG);
        running.terminate();
        assert_eq!(running.wait(Duration::from_secs(30)).code(), Some(0));
        let lines = running.lines();
        let logged: Vec<_> =
            lines.iter().filter(|line| line.starts_with('{')).map(|line| parse(line)).collect();
        assert!(!logged.is_empty() && logged.iter().all(|line| line[field].is_string()), "{lines:?}");
    }
}

#[test]
fn the_service_manager_is_told_of_beginning_and_end() {
    let world = World::new();
    let socket = world.path().join("notify");
    let heard = UnixDatagram::bind(&socket).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let binary = tributary().env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let mut running = binary.start(["run", "-c", &config(&world, "")]);
    running.url();
    let mut states = Vec::new();
    let mut buffer = [0; 64];
    while states.last().is_none_or(|state| state != "STOPPING=1") {
        let length = heard.recv(&mut buffer).unwrap();
        states.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        if states.len() == 3 {
            running.interrupt();
        }
    }
    assert_eq!(states[0], "READY=1");
    assert!(states[1..].iter().any(|state| state == "WATCHDOG=1"), "{states:?}");
    assert_eq!(running.wait(Duration::from_secs(30)).code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let world = World::new();
    let mut running = world.serve();
    running.url();
    running.interrupt();
    running.interrupt();
    running.wait(Duration::from_secs(10));
}
