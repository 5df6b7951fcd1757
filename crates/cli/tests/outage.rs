//! The engine of record goes away in the middle of a sync, for longer than a lease: the sync goes on when it is back.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::time::Duration;

use support::{LONG, World, client, differences, indexed, stop, tributary};
use tributary_client::Client;
use tributary_protocol::{ConnectorId, IndexName, JobType, SyncJob, SyncJobId, SyncStatus, TriggerMethod};

const FILES: usize = 3000;
/// Length of an outage in leases.
const LEASES: u32 = 4;

/// How long the node is away. Short enough for every day; `TRIBUTARY_OUTAGE_SECONDS=120` makes it the two minutes that are
/// promised, with the default lease of 30 s.
fn outage() -> Duration {
    let seconds = std::env::var("TRIBUTARY_OUTAGE_SECONDS");
    Duration::from_secs(seconds.map_or(12, |seconds| seconds.parse().unwrap()))
}

async fn job(client: &Client, id: &SyncJobId) -> SyncJob {
    client.job(id).await.unwrap().unwrap().doc
}

#[tokio::test]
async fn a_sync_goes_on_and_ends_complete_after_its_node_was_killed_and_away_for_several_leases() {
    let world = World::new();
    for file in 0..FILES {
        world.write(&format!("{file}.txt"), &format!("text {file} {}", "filler ".repeat(20).trim()));
    }
    let (address, data) = (tributary_harness::free_address().to_string(), world.data().display().to_string());
    let serve = || tributary().start(["serve", "--listen", &address, "--data", &data]);
    let mut node = serve();
    let url = node.url();
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", &url])).success();
    let outage = outage();
    let config = world.path().join("service.yml");
    // The sync takes 15 s and more.
    let text = format!(
        "elasticsearch: {{host: '{url}', bulk.chunk_size: 50}}\nservice: {{worker_mode: true, service_types: [dir]}}\n\
         tributary: {{state_dir: '{}', lease: {}s, job_limits.documents_per_second: 200}}\n",
        world.path().join("state").display(),
        (outage / LEASES).as_secs().max(3),
    );
    fs::write(&config, text).unwrap();
    let mut daemon = tributary().start(["run", "-c", config.to_str().unwrap()]);
    daemon.wait_for("serving connectors", LONG);

    let (connector, index) = (ConnectorId::from("c"), IndexName::try_from("i".to_owned()).unwrap());
    let before = client(&url);
    let id = before.create_job(&connector, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
    support::eventually("in the middle of the sync", async || {
        before.index_exists(&index).await.unwrap() && before.count(&index).await.unwrap() > 300
    })
    .await;
    assert_eq!(job(&before, &id).await.status, SyncStatus::InProgress);
    node.kill();
    tokio::time::sleep(outage).await;
    assert!(!daemon.ended(), "the daemon waits");

    let mut node = serve();
    let after = client(&node.url());
    assert!(after.count(&index).await.unwrap() < FILES as u64, "it was killed in the middle");
    support::eventually("ended", async || job(&after, &id).await.status.is_final()).await;
    let ended = job(&after, &id).await;
    assert_eq!((ended.status, &ended.error), (SyncStatus::Completed, &None));
    let ours = &ended.metadata.as_ref().unwrap()["tributary"];
    assert_eq!(
        (&ours["attempt"], &ours["takeovers"]),
        (&1.into(), &0.into()),
        "the same sync went on: {ours}"
    );
    assert_eq!(differences(&after, "i", &world).await, [""; 0]);
    assert_eq!(indexed(&after, "i").await.len(), FILES, "none is there twice");
    let told = (ended.indexed_document_count, ended.deleted_document_count, ended.total_document_count);
    assert_eq!(told, (FILES as i64, 0, Some(FILES as i64)), "each document counts once");
    support::eventually("the connector's lock is released", async || {
        let connector = after.connector(&connector).await.unwrap().unwrap().doc;
        connector.last_sync_status == Some(SyncStatus::Completed)
            && connector.last_indexed_document_count == Some(FILES as i64)
    })
    .await;
    stop(daemon);
    stop(node);
}
