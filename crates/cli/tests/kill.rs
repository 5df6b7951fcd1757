//! `kill -9` at random moments: nothing that was acknowledged is lost, and the index ends equal to the folder.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use support::{LONG, World, client, differences, stop};
use tributary_client::{Client, ClientOptions, JobFilter, RetryPolicy};
use tributary_protocol::SyncStatus;

const FILES: usize = 1500;
/// Files that change between two kills, so that every sync has something to write.
const CHANGES: usize = 400;
const KILLS: usize = 20;
/// Kills that must have hit a running sync for the test to say anything.
const LEAST_HITS: usize = 10;

fn name(file: usize) -> String {
    format!("{}/file-{file}.txt", file % 7)
}

fn text(rng: &mut StdRng, file: usize) -> String {
    let words = ["river", "delta", "source", "stream", "bank", "flood", "weir", "ford"];
    let count = rng.random_range(5..200);
    let words: Vec<&str> = (0..count).map(|_| words[rng.random_range(0..words.len())]).collect();
    format!("{file} {}", words.join(" "))
}

/// Writes documents one by one until the node is gone, and notes those that were acknowledged.
async fn write_until_gone(url: String, round: usize, acknowledged: Arc<Mutex<BTreeSet<String>>>) {
    let client = Client::new(ClientOptions::new([url]).retry(RetryPolicy::NEVER)).unwrap();
    for number in 0.. {
        let id = format!("{round}-{number}");
        let body = json!({"round": round, "number": number});
        match client.raw("PUT", &format!("/acknowledged/_doc/{id}"), Some(&body)).await {
            Ok(_) => acknowledged.lock().unwrap().insert(id),
            Err(_) => return,
        };
    }
}

/// Whether a sync runs at this moment.
async fn syncing(url: &str) -> bool {
    let client = Client::new(ClientOptions::new([url]).retry(RetryPolicy::NEVER)).unwrap();
    let filter = JobFilter { statuses: vec![SyncStatus::InProgress], ..JobFilter::default() };
    client.jobs(&filter).await.is_ok_and(|jobs| !jobs.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing() {
    let mut rng = StdRng::seed_from_u64(20_261_125);
    let world = World::new();
    for file in 0..FILES {
        world.write(&name(file), &text(&mut rng, file));
    }
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut hits = 0;
    for round in 0..KILLS {
        let mut running = world.quickstart();
        let url = running.url();
        let writing = write_until_gone(url.clone(), round, Arc::clone(&acknowledged));
        let pause = Duration::from_millis(rng.random_range(0..400));
        let killing = async {
            support::eventually("a sync runs", async || syncing(&url).await).await;
            tokio::time::sleep(pause).await;
            hits += usize::from(syncing(&url).await);
            running.kill();
        };
        tokio::join!(writing, killing);
        drop(running);
        // The folder moves on while nobody looks.
        for _ in 0..CHANGES {
            let file = rng.random_range(0..FILES);
            if rng.random_bool(0.1) && world.files().join(name(file)).exists() {
                world.remove(&name(file));
            } else {
                world.write(&name(file), &text(&mut rng, file));
            }
        }
    }

    assert!(hits >= LEAST_HITS, "only {hits} of {KILLS} kills hit a running sync");

    let mut running = world.quickstart();
    let url = running.url();
    running.wait_for("synced:", LONG);
    let node = client(&url);
    // The sync that was interrupted last may have listed the folder before its last changes.
    support::eventually("the index equals the folder", async || {
        differences(&node, "files", &world).await.is_empty()
    })
    .await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(!acknowledged.is_empty());
    node.raw("POST", "/acknowledged/_refresh", None).await.unwrap();
    for id in &acknowledged {
        let found = node.raw("GET", &format!("/acknowledged/_doc/{id}"), None).await;
        assert!(found.is_ok(), "{id} was acknowledged and is gone");
    }
    let count = node.raw("GET", "/acknowledged/_count", None).await.unwrap();
    assert!(count["count"].as_u64().unwrap() >= acknowledged.len() as u64);
    stop(running);
}
