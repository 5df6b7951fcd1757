//! Documents that a sync leaves out: where they are noted, and how they are tried again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use serde_json::{Value, json};
use support::{Rig, World, refused};
use tributary_daemon::{LetterFilter, dead_letters, forget_dead_letters, retry_dead_letters};
use tributary_protocol::{JobType, SyncJobId, SyncStatus};

/// An index that takes no number above 127, and so no document from "128" on.
fn narrow() -> Value {
    json!({"mappings": {"properties": {"n": {"type": "byte"}}}})
}

fn of(job: &SyncJobId) -> LetterFilter {
    LetterFilter { job: Some(job.clone()), ..LetterFilter::default() }
}

async fn ids(rig: &Rig, filter: &LetterFilter) -> Vec<String> {
    let page = dead_letters(&rig.client, filter, 0, 100).await.unwrap();
    assert_eq!(page.total, page.letters.len() as u64);
    page.letters.into_iter().map(|letter| letter.document_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sync_leaves_out_is_noted_until_it_is_written() {
    let world = World::new("letters").with_documents(120);
    world.add("200");
    world.add("300");
    let mut rig = Rig::start(&world).await;
    rig.client.ensure_index(&rig.index, Some(&narrow())).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    let first = rig.ask(JobType::Full).await;
    let job = rig.job_is(&first, SyncStatus::Completed).await;
    assert_eq!(job.indexed_document_count, 120);
    let told = refused(&job);
    assert_eq!(told["dead_letters"], 2, "{told}");
    assert_eq!(told["last"].as_array().unwrap().len(), 2);
    assert!(told["samples"].is_null());
    let page = dead_letters(&rig.client, &of(&first), 0, 100).await.unwrap();
    assert_eq!(page.total, 2);
    let letter = &page.letters[0];
    assert_eq!((letter.document_id.as_str(), letter.operation.as_str()), ("200", "index"));
    assert_eq!((letter.status, letter.attempts, letter.document_written), (Some(400), 1, false));
    assert_eq!(letter.index_name, rig.index.as_str());
    assert!(!letter.reason.contains("'200'") || letter.reason.contains("id '200'"), "{}", letter.reason);
    let paged = dead_letters(&rig.client, &of(&first), 1, 1).await.unwrap();
    assert_eq!((paged.total, paged.letters[0].document_id.as_str()), (2, "300"));

    // The next sync comes to the same, and its letters take the place of the former ones.
    let second = rig.ask(JobType::Full).await;
    rig.job_is(&second, SyncStatus::Completed).await;
    assert_eq!(ids(&rig, &of(&first)).await, Vec::<String>::new());
    let page = dead_letters(&rig.client, &of(&second), 0, 100).await.unwrap();
    assert_eq!((page.total, page.letters[0].attempts), (2, 2));

    // What the source does not list any more needs no letter.
    world.remove("300");
    let third = rig.ask(JobType::Full).await;
    rig.job_is(&third, SyncStatus::Completed).await;
    assert_eq!(ids(&rig, &of(&third)).await, ["200"]);
    assert_eq!(forget_dead_letters(&rig.client, &rig.connector).await.unwrap(), 1);
    assert_eq!(ids(&rig, &of(&third)).await, Vec::<String>::new());
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_writes_what_was_left_out_and_nothing_else() {
    let world = World::new("retry").with_documents(120);
    world.add("200");
    world.add("300");
    world.add("400");
    let mut rig = Rig::start(&world).await;
    rig.client.ensure_index(&rig.index, Some(&narrow())).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    let first = rig.ask(JobType::Full).await;
    rig.job_is(&first, SyncStatus::Completed).await;
    let job = rig.client.job(&first).await.unwrap().unwrap();
    assert_eq!(ids(&rig, &of(&first)).await, ["200", "300", "400"]);

    // Retried before anything is mended it comes to the same.
    let again = retry_dead_letters(&rig.client, &job, &["300".to_owned()]).await.unwrap();
    let ended = rig.job_is(&again, SyncStatus::Completed).await;
    assert_eq!((ended.indexed_document_count, refused(&ended)["dead_letters"].clone()), (0, json!(1)));
    assert_eq!(ids(&rig, &of(&again)).await, ["300"]);

    rig.client.delete_index(&rig.index).await.unwrap();
    world.remove("400");
    let mended = retry_dead_letters(&rig.client, &job, &[]).await.unwrap();
    let ended = rig.job_is(&mended, SyncStatus::Completed).await;
    assert_eq!(ended.indexed_document_count, 1);
    assert_eq!(rig.count().await, 1, "only what was left out is written");
    let connector = LetterFilter { connector: Some(rig.connector.clone()), ..LetterFilter::default() };
    assert_eq!(ids(&rig, &connector).await, ["300"], "the source does not list 400 any more");
    let refusal = retry_dead_letters(&rig.client, &job, &[]).await.unwrap_err();
    assert!(refusal.to_string().contains("there are no dead letters"), "{refusal}");

    let full = rig.ask(JobType::Full).await;
    rig.job_is(&full, SyncStatus::Completed).await;
    assert_eq!(ids(&rig, &connector).await, Vec::<String>::new());
    rig.stop(&shutdown).await;
}
