//! Daemons against a node: each law from the outside, through the protocol's documents.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Rig, World, until, with_state};
use tributary_daemon::{SyncRequest, sync_now};
use tributary_engine::{Control, Progress};
use tributary_protocol::{ConnectorStatus, JobType, SyncStatus};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_runs_within_two_seconds_and_a_second_one_writes_nothing() {
    let world = World::new("full").with_documents(200);
    let mut rig = Rig::start(&world).await;
    let mut options = rig.options();
    options.poll_interval = tributary_daemon::DaemonOptions::default().poll_interval;
    let shutdown = rig.daemon(options);
    rig.is_connected().await;

    let asked = Instant::now();
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert_eq!((job.indexed_document_count, job.total_document_count), (200, Some(200)));
    assert!(job.completed_at.is_some() && job.started_at.is_some() && job.error.is_none());
    assert_eq!(rig.count().await, 200);
    let connector =
        rig.connector_is("done", |connector| connector.last_sync_status == Some(SyncStatus::Completed)).await;
    assert_eq!(connector.last_indexed_document_count, Some(200));
    assert!(connector.last_synced.is_some() && connector.last_seen.is_some());

    world.remove("7");
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!((job.indexed_document_count, job.deleted_document_count), (0, 1));
    assert_eq!(rig.count().await, 199);
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connector_gets_its_configuration_and_waits_for_it() {
    let world = World::new("fresh").with_documents(3);
    let mut rig = Rig::start(&world).await;
    rig.client
        .update_connector(&rig.connector, &json!({"status": "created", "features": null}), None)
        .await
        .unwrap();
    let shutdown = rig.daemon(rig.options());
    let connector = rig
        .connector_is("waiting", |connector| connector.status == ConnectorStatus::NeedsConfiguration)
        .await;
    assert!(connector.features.is_some());
    rig.configure(&world).await;
    rig.is_connected().await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_reached_is_told_until_it_is_mended() {
    let world = World::new("away");
    world.refuse_pings(Some("the fake source is away"));
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let connector =
        rig.connector_is("in error", |connector| connector.status == ConnectorStatus::Error).await;
    assert!(connector.error.unwrap().contains("the fake source is away"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(rig.connector().await.status, ConnectorStatus::Error);
    world.refuse_pings(None);
    rig.configure(&world).await;
    assert_eq!(rig.is_connected().await.error, None);
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_stays_visible_and_deletes_nothing() {
    let world = World::new("broken").with_documents(20);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    world.break_listings(Some(5));
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("the listing broke off"));
    let connector =
        rig.connector_is("in error", |connector| connector.status == ConnectorStatus::Error).await;
    assert!(connector.last_sync_error.unwrap().contains("the listing broke off"));
    assert_eq!(rig.count().await, 20);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(rig.connector().await.status, ConnectorStatus::Error, "no check wipes it");
    world.break_listings(None);
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    rig.is_connected().await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_running_sync_is_cancelled_within_two_seconds() {
    for (name, hang) in [("cancel", false), ("cancel-hang", true)] {
        let world = World::new(name).with_documents(100_000).slow(Duration::from_millis(2));
        let mut rig = Rig::start(&world).await;
        let shutdown = rig.daemon(rig.options());
        let mut took = Vec::new();
        // A machine that is busy with other tests may be late once.
        while took.len() < 3 && took.iter().all(|took| *took >= Duration::from_secs(2)) {
            world.block_thread(hang);
            let id = rig.ask(JobType::Full).await;
            rig.job_is(&id, SyncStatus::InProgress).await;
            until("listing", || world.is_listing()).await;
            let asked = Instant::now();
            rig.client.cancel_job(&id).await.unwrap();
            let job = rig.job_is(&id, SyncStatus::Canceled).await;
            took.push(asked.elapsed());
            assert!(job.canceled_at.is_some() && job.completed_at.is_some());
            rig.connector_is("released", |connector| {
                connector.last_sync_status == Some(SyncStatus::Canceled)
            })
            .await;
            world.block_thread(false);
            until("let go", || !world.is_listing()).await;
        }
        assert!(took.iter().any(|took| *took < Duration::from_secs(2)), "{name}: {took:?}");
        rig.stop(&shutdown).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_could_not_begin_tells_what_the_index_holds() {
    let world = World::new("refused-ping").with_documents(20);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    world.refuse_pings(Some("wrong password"));
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("wrong password"));
    assert_eq!((job.indexed_document_count, job.total_document_count), (0, Some(20)));
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_job_and_nothing_else() {
    let world = World::new("panic").with_documents(5);
    world.panic_in_listings(true);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("the fake source panics"));
    world.panic_in_listings(false);
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_daemon_suspends_its_sync_and_the_next_goes_on_with_it() {
    let world = World::new("suspend").with_documents(20_000).slow(Duration::from_millis(1));
    let mut rig = Rig::start(&world).await;
    let folder = rig.state.path().join("same");
    let mut options = with_state(rig.options(), &folder);
    options.sync.limits.checkpoint_interval = Duration::from_millis(50);
    let shutdown = rig.daemon(options.clone());
    let id = rig.ask(JobType::Full).await;
    until("listing", || world.listed() > 500).await;
    rig.stop(&shutdown).await;
    let job = rig.job(&id).await;
    assert_eq!(job.status, SyncStatus::Suspended);
    assert!(job.completed_at.is_none());
    assert_eq!(rig.connector().await.last_sync_status, Some(SyncStatus::Suspended));
    let before = world.listed();

    world.set_pause(Duration::ZERO);
    options.worker_name.push_str("-again");
    let shutdown = rig.daemon(options);
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    // What was written shortly before the stop may not show yet, and is written once more then.
    assert!(job.indexed_document_count >= 20_000);
    assert_eq!(rig.count().await, 20_000);
    assert!(world.listed() - before < 20_000, "it went on where it was");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_run_every_job_exactly_once() {
    let world = World::new("two").with_documents(50);
    let mut rig = Rig::start(&world).await;
    let stops = [rig.daemon(rig.options()), rig.daemon(rig.options())];
    rig.is_connected().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(rig.ask(JobType::Full).await);
    }
    for id in &ids {
        let job = rig.job_is(id, SyncStatus::Completed).await;
        assert_eq!(job.metadata.unwrap()["tributary"]["attempt"], 1);
    }
    assert_eq!(world.listings(), ids.len());
    for stop in &stops {
        rig.stop(stop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_workers_job_is_taken_over_within_its_lease() {
    let world = World::new("crash").with_documents(4000).slow(Duration::from_millis(1));
    let mut rig = Rig::start(&world).await;
    rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    until("listing", || world.listed() > 100).await;
    rig.crash().await;
    let crashed = Instant::now();
    let shutdown = rig.daemon(rig.options());
    loop {
        let job = rig.job(&id).await;
        if job.metadata.unwrap()["tributary"]["attempt"] == 2 {
            break;
        }
        assert!(crashed.elapsed() < Duration::from_secs(5), "the lease is 3 s long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!((rig.count().await, job.status), (4000, SyncStatus::Completed));
    rig.connector_is("released", |connector| connector.last_sync_status == Some(SyncStatus::Completed)).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_taken_away_is_let_go_at_once() {
    let world = World::new("fence").with_documents(100_000).slow(Duration::from_millis(1));
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    until("listing", || world.listed() > 0).await;
    let theirs = json!({"worker_hostname": "other", "metadata": {"tributary": {"token": "theirs", "worker": "other",
        "lease_expires_at": "2100-01-01T00:00:00Z"}}});
    rig.client.update_job(&id, &theirs, None).await.unwrap();
    until("let go", || !world.is_listing()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (count, job) = (rig.count().await, rig.job(&id).await);
    assert_eq!((job.status, job.worker_hostname.as_deref()), (SyncStatus::InProgress, Some("other")));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(rig.count().await, count, "nothing was written any more");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_and_a_missed_slot_runs_once_even_with_two_daemons() {
    let world = World::new("schedule").with_documents(3);
    let mut rig = Rig::start(&world).await;
    let scheduling = json!({"full": {"enabled": true, "interval": "0 0 * * * ?"}});
    rig.client.update_scheduling(&rig.connector, &scheduling).await.unwrap();
    let long_ago = json!({"last_sync_scheduled_at": "2024-01-01T00:00:00Z"});
    rig.client.update_connector(&rig.connector, &long_ago, None).await.unwrap();
    let stops = [rig.daemon(rig.options()), rig.daemon(rig.options())];
    let connector = rig
        .connector_is("synced", |connector| connector.last_sync_status == Some(SyncStatus::Completed))
        .await;
    assert!(connector.last_sync_scheduled_at.unwrap() > chrono::Utc::now() - chrono::TimeDelta::hours(1));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let jobs = rig.jobs().await;
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].id.as_str().starts_with("full-"));
    for stop in &stops {
        rig.stop(stop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_nobody_holds_is_released() {
    let world = World::new("wedge").with_documents(3);
    let mut rig = Rig::start(&world).await;
    rig.client
        .update_connector(&rig.connector, &json!({"last_sync_status": "in_progress"}), None)
        .await
        .unwrap();
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_draft_of_rules_is_validated_and_applied() {
    let world = World::new("rules").with_documents(10);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let rules = json!({"rules": [{"id": "r", "field": "n", "order": 0, "policy": "exclude", "rule": "<", "value": "4"}]});
    rig.client.update_filtering(&rig.connector, &rules).await.unwrap();
    rig.connector_is("filtered", |connector| {
        connector
            .filtering
            .first()
            .is_some_and(|filtering| filtering.active.rules.iter().any(|rule| rule.id == "r"))
    })
    .await;
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!((job.indexed_document_count, rig.count().await), (6, 6));
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_a_sync_would_do_and_writes_nothing() {
    let world = World::new("plan").with_documents(7);
    let rig = Rig::start(&world).await;
    let run = async |plan, allow_deletes| {
        let request =
            SyncRequest { connector: rig.connector.clone(), job_type: JobType::Full, plan, allow_deletes };
        let registry = support::registry();
        sync_now(&rig.client, &registry, &rig.options(), request, Progress::new(), Control::new())
            .await
            .unwrap()
    };
    let outcome = run(true, false).await;
    assert_eq!(outcome.report.plan.unwrap().created.len(), 7);
    assert!(outcome.job.is_none() && rig.jobs().await.is_empty());
    assert!(!rig.client.index_exists(&rig.index).await.unwrap());

    let outcome = run(false, false).await;
    assert_eq!((outcome.status, outcome.total), (SyncStatus::Completed, Some(7)));
    let job = rig.job(&outcome.job.unwrap()).await;
    assert_eq!((job.status, job.indexed_document_count), (SyncStatus::Completed, 7));
    assert_eq!(rig.connector().await.last_sync_status, Some(SyncStatus::Completed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_source_empties_the_index_only_when_that_is_allowed() {
    let world = World::new("guard").with_documents(300);
    let rig = Rig::start(&world).await;
    let run = async |allow_deletes| {
        let request = SyncRequest {
            connector: rig.connector.clone(),
            job_type: JobType::Full,
            plan: false,
            allow_deletes,
        };
        let registry = support::registry();
        sync_now(&rig.client, &registry, &rig.options(), request, Progress::new(), Control::new())
            .await
            .unwrap()
    };
    run(false).await;
    world.clear();
    assert_eq!(run(false).await.status, SyncStatus::Error);
    assert_eq!(rig.count().await, 300);
    assert_eq!(run(true).await.status, SyncStatus::Completed);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn incremental_syncs_go_on_from_the_connectors_cursor() {
    let world = World::new("incremental").with_documents(5);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    let connector = rig.connector_is("with a cursor", |connector| connector.sync_cursor.is_some()).await;
    assert_eq!(connector.sync_cursor.unwrap()["listed"], 5);
    world.add("new");
    let id = rig.ask(JobType::Incremental).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!((job.indexed_document_count, rig.count().await), (1, 6));
    rig.connector_is("further on", |connector| {
        connector.sync_cursor.as_ref().is_some_and(|cursor| cursor["listed"] == 6)
    })
    .await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_is_named_in_its_job() {
    let world = World::new("refused").with_documents(5);
    let mut rig = Rig::start(&world).await;
    let mapping = json!({"mappings": {"properties": {"title": {"type": "integer"}}}});
    rig.client.ensure_index(&rig.index, Some(&mapping)).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!(job.indexed_document_count, 0);
    let refused = support::refused(&job);
    assert_eq!(refused["dead_letters"], 5, "{refused}");
    assert_eq!(refused["last"].as_array().unwrap().len(), 5, "{refused}");
    assert!(refused["last"][0]["reason"].as_str().unwrap().contains("title"), "{refused}");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_connector_is_deleted_ends_and_its_sync_stops() {
    let world = World::new("deleted").with_documents(100_000).slow(Duration::from_millis(1));
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    let id = rig.ask(JobType::Full).await;
    until("listing", || world.listed() > 0).await;
    rig.client.delete_connector(&rig.connector, false, false).await.unwrap();
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("deleted"));
    until("stopped", || !world.is_listing()).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_jobs_that_were_to_be_cancelled_and_jobs_without_connector_end() {
    let world = World::new("dead").with_documents(1);
    let mut rig = Rig::start(&world).await;
    let dead = json!({"status": "canceling", "worker_hostname": "w", "metadata": {"tributary": {"token": "t",
        "worker": "w", "lease_expires_at": "2024-01-01T00:00:00Z"}}});
    let canceling = rig.ask(JobType::Full).await;
    rig.client.update_job(&canceling, &dead, None).await.unwrap();
    rig.client
        .update_connector(&rig.connector, &json!({"last_sync_status": "in_progress"}), None)
        .await
        .unwrap();
    let orphan = rig.ask(JobType::AccessControl).await;
    let other = json!({"connector": {"id": "nobody"}, "status": "in_progress", "worker_hostname": "w",
        "last_seen": "2024-01-01T00:00:00Z"});
    rig.client.update_job(&orphan, &other, None).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    rig.job_is(&canceling, SyncStatus::Canceled).await;
    let job = rig.job_is(&orphan, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("does not exist"));
    rig.connector_is("released", |connector| connector.last_sync_status == Some(SyncStatus::Canceled)).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connector_cannot_do_fails_with_a_reason_instead_of_waiting_for_ever() {
    let world = World::new("unable").with_documents(1);
    let mut rig = Rig::start(&world).await;
    let off = json!({"document_level_security": {"enabled": false}});
    let mut options = rig.options();
    // Of a connector that is not listed, features that are switched off stay so.
    options.connectors = tributary_daemon::Selection::all();
    rig.client.update_connector(&rig.connector, &json!({"features": off}), None).await.unwrap();
    let shutdown = rig.daemon(options);
    rig.is_connected().await;
    let id = rig.ask(JobType::AccessControl).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("does not support access-control syncs"));
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_in_the_foreground_is_refused_while_one_runs() {
    let world = World::new("busy").with_documents(100_000).slow(Duration::from_millis(1));
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.ask(JobType::Full).await;
    until("listing", || world.listed() > 0).await;
    let request = SyncRequest {
        connector: rig.connector.clone(),
        job_type: JobType::Full,
        plan: false,
        allow_deletes: false,
    };
    let (registry, progress) = (support::registry(), Progress::new());
    let refused = sync_now(&rig.client, &registry, &rig.options(), request, progress, Control::new()).await;
    let error = refused.unwrap_err();
    assert!(error.is_mendable() && error.to_string().contains("running already"), "{error}");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_come_up_ends_the_daemon_with_an_error() {
    let options = tributary_client::ClientOptions::new(["http://127.0.0.1:9"]);
    let client = tributary_client::Client::new(options).unwrap();
    let mut options = tributary_daemon::DaemonOptions::default();
    options.start_timeout = Some(Duration::from_millis(600));
    let daemon = tributary_daemon::Daemon::new(client, support::registry(), options);
    let error = daemon.run(tributary_tasks::Shutdown::new()).await.unwrap_err();
    assert!(error.is_mendable() && error.hint().is_some(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_needs_nothing_is_not_written() {
    let world = World::new("idle").with_documents(1);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let version = async || rig.client.connector(&rig.connector).await.unwrap().unwrap().version;
    let before = version().await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert_eq!(version().await, before);
    rig.stop(&shutdown).await;
}
