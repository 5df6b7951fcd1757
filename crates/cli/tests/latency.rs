//! How soon a node and a daemon with default settings do what somebody asks for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::{LONG, World, client, stop, tributary};
use tributary_protocol::{ConnectorId, ConnectorStatus, JobType, SyncStatus, TriggerMethod};

/// Within that a job begins that was asked for, and one ends that was cancelled.
const PROMISED: Duration = Duration::from_secs(2);
/// The best counts: a machine that is busy with other tests may be late.
const TRIES: usize = 3;

#[tokio::test]
async fn a_job_begins_within_two_seconds_and_is_cancelled_within_two_more() {
    let world = World::new();
    for file in 0..400 {
        world.write(&format!("{file}.txt"), "text");
    }
    let mut node = world.serve();
    let url = node.url();
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", &url])).success();
    let config = world.path().join("service.yml");
    // Everything is as it is by default, but a sync takes long enough to be cancelled.
    let text = format!(
        "elasticsearch.host: {url}\nservice: {{worker_mode: true, service_types: [dir]}}\n\
         tributary: {{state_dir: '{}', job_limits.documents_per_second: 2}}\n",
        world.path().join("state").display()
    );
    fs::write(&config, text).unwrap();
    let mut daemon = tributary().start(["run", "-c", config.to_str().unwrap()]);
    daemon.wait_for("serving connectors", LONG);
    let (node_client, id) = (client(&url), ConnectorId::from("c"));
    support::eventually("connected", async || {
        let connector = node_client.connector(&id).await.unwrap().unwrap();
        connector.doc.status == ConnectorStatus::Connected
    })
    .await;

    let (mut begun, mut cancelled) = (Vec::new(), Vec::new());
    for _ in 0..TRIES {
        let asked = Instant::now();
        let job = node_client.create_job(&id, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
        let is = async |status| {
            support::eventually("the job goes on", async || {
                node_client.job(&job).await.unwrap().unwrap().doc.status == status
            })
            .await;
        };
        is(SyncStatus::InProgress).await;
        begun.push(asked.elapsed());
        // The sync has begun to write.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let asked = Instant::now();
        node_client.cancel_job(&job).await.unwrap();
        is(SyncStatus::Canceled).await;
        cancelled.push(asked.elapsed());
        let best = |took: &[Duration]| took.iter().any(|took| *took < PROMISED);
        if best(&begun) && best(&cancelled) {
            stop(daemon);
            return stop(node);
        }
    }
    panic!("asked for a job, which began after {begun:?}; cancelled it, and it ended after {cancelled:?}");
}
