//! What a service owes the protocol and those who run it, from the outside: schedules of all kinds, limits, secrets,
//! figures, changes while it runs.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Rig, World, until};
use tributary_daemon::{Metrics, Selection};
use tributary_protocol::{ConnectorStatus, JobType, SyncStatus};

async fn schedule_custom(rig: &Rig, overrides: &Value) {
    let custom = json!({"custom_scheduling": {"weekly": {
        "name": "Weekly", "enabled": true, "interval": "0 0 * * * ?",
        "last_synced": "2024-01-01T00:00:00Z", "configuration_overrides": overrides,
    }}});
    rig.client.update_connector(&rig.connector, &custom, None).await.unwrap();
    // A daemon that starts now must see it at its first look.
    rig.client.raw("POST", "/.elastic-connectors/_refresh", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_schedule_syncs_once_with_its_own_configuration_and_deletes_nothing() {
    let world = World::new("whole").with_documents(20);
    let part = World::new("part");
    part.add("100");
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    rig.stop(&shutdown).await;

    // Slots are missed while no daemon runs.
    schedule_custom(&rig, &json!({"world": part.key(), "max_crawl_depth": 3})).await;
    let shutdown = rig.daemon(rig.options());
    let done = |connector: &tributary_protocol::Connector| {
        connector.custom_schedules().any(|(_, read)| {
            read.is_ok_and(|custom| {
                custom.last_synced > Some(chrono::Utc::now() - chrono::TimeDelta::hours(1))
            })
        })
    };
    rig.connector_is("scheduled", done).await;
    let jobs = rig.jobs().await;
    let custom = jobs.iter().find(|job| job.id.as_str().starts_with("custom-")).expect("the schedule's job");
    let job = rig.job_is(&custom.id, SyncStatus::Completed).await;
    assert_eq!((job.job_type, job.indexed_document_count, job.deleted_document_count), (JobType::Full, 1, 0));
    assert_eq!(rig.count().await, 21, "what the part does not list stays");
    let ours = &job.metadata.unwrap()["tributary"];
    assert_eq!((&ours["schedule"], &ours["partial"]), (&json!("weekly"), &json!(true)));
    assert!(ours["warnings"][0].as_str().unwrap().contains("max_crawl_depth"), "{ours}");

    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(rig.jobs().await.len(), 2, "a slot is served once");
    assert_eq!(rig.connector().await.configuration.get("world").unwrap().value, json!(world.key()));
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_schedule_without_values_of_its_own_is_a_whole_sync() {
    let world = World::new("custom").with_documents(200);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    rig.stop(&shutdown).await;
    world.remove("7");
    schedule_custom(&rig, &json!({})).await;
    let shutdown = rig.daemon(rig.options());
    let deleted =
        |connector: &tributary_protocol::Connector| connector.last_deleted_document_count == Some(1);
    rig.connector_is("synced", deleted).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_schedule_that_cannot_be_read_is_told_in_the_connector() {
    let world = World::new("broken").with_documents(1);
    let mut rig = Rig::start(&world).await;
    let custom = json!({"custom_scheduling": {"odd": {"enabled": true, "interval": "now and then"}}});
    rig.client.update_connector(&rig.connector, &custom, None).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    let told = rig.connector_is("failed", |connector| connector.status == ConnectorStatus::Error).await;
    let error = told.error.unwrap();
    assert!(error.contains("'odd'") && error.contains("now and then"), "{error}");
    let off = json!({"custom_scheduling": {"odd": {"enabled": false}}});
    rig.client.update_connector(&rig.connector, &off, None).await.unwrap();
    rig.is_connected().await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_are_synced_into_their_own_index_under_their_own_lock() {
    let world = World::new("identities").with_documents(5);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let id = rig.ask(JobType::AccessControl).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!(job.indexed_document_count, 2);
    let connector = rig
        .connector_is("done", |connector| {
            connector.last_access_control_sync_status == Some(SyncStatus::Completed)
        })
        .await;
    assert_eq!(connector.last_sync_status, None, "content has a lock of its own");
    let index = format!(".search-acl-filter-{}", rig.index);
    let found = rig.client.raw("GET", &format!("/{index}/_doc/ann"), None).await.unwrap();
    assert_eq!(found["_source"]["identity"]["username"], "ann");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_licence_is_told_in_the_connector_and_content_syncs_go_on() {
    let world = World::new("basic").with_documents(3);
    let mut rig = Rig::start(&world).await;
    let basic = support::license::Front::start(rig.url(), "basic").await;
    // The endpoint takes no schedule of access control alone (connector-api 9.1).
    let scheduling = json!({
        "access_control": {"enabled": true, "interval": "0 0 * * * ?"},
        "full": {"enabled": false, "interval": "0 0 0 * * ?"},
    });
    rig.client.update_scheduling(&rig.connector, &scheduling).await.unwrap();
    let long_ago = json!({"last_access_control_sync_scheduled_at": "2024-01-01T00:00:00Z"});
    rig.client.update_connector(&rig.connector, &long_ago, None).await.unwrap();
    let shutdown = rig.daemon_of(basic.client(), rig.options());
    let told = rig.connector_is("told", |connector| connector.last_access_control_sync_error.is_some()).await;
    let error = told.last_access_control_sync_error.clone().unwrap();
    assert!(error.contains("platinum") && error.contains("'basic'"), "{error}");
    assert_eq!((told.status, &told.error), (ConnectorStatus::Error, &Some(error.clone())));
    assert_eq!(rig.jobs().await.len(), 0);

    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    let connector = rig.is_connected().await;
    assert_eq!(connector.last_access_control_sync_error, Some(error), "it stays until it is mended");

    let id = rig.ask(JobType::AccessControl).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.unwrap().contains("platinum"));
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_takes_longer_than_it_may_fails_and_says_so() {
    let world = World::new("endless").with_documents(10_000).slow(Duration::from_millis(10));
    let mut rig = Rig::start(&world).await;
    let mut options = rig.options();
    options.sync.time_limit = Some(Duration::from_secs(1));
    let shutdown = rig.daemon(options);
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert!(job.error.as_deref().unwrap().contains("longer than the 1 s"), "{:?}", job.error);
    let connector = rig.connector_is("failed", |connector| connector.status == ConnectorStatus::Error).await;
    assert_eq!(connector.last_sync_error, job.error);
    assert!(!world.is_listing());
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_writes_no_faster_than_it_may() {
    let world = World::new("rate").with_documents(60);
    let mut rig = Rig::start(&world).await;
    let mut options = rig.options();
    options.sync.rate_limit = Some(30.0);
    options.sync.limits.batch_items = 10;
    let shutdown = rig.daemon(options);
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    let took = job.completed_at.unwrap() - job.started_at.unwrap();
    assert!(took >= chrono::TimeDelta::milliseconds(1500), "60 documents at 30 a second took {took}");
    assert_eq!(rig.count().await, 60);
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_whatever_runs() {
    let world = World::new("signal").with_documents(100);
    world.block_thread(true);
    let mut rig = Rig::start(&world).await;
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::InProgress).await;
    until("listing", || world.is_listing()).await;
    shutdown.signal();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    shutdown.signal();
    rig.stop(&shutdown).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(rig.job(&id).await.status, SyncStatus::InProgress, "another worker takes it over");
    world.block_thread(false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_goes_on_with_other_options_and_running_syncs_with_theirs() {
    let world = World::new("reload").with_documents(400).slow(Duration::from_millis(5));
    let mut rig = Rig::start(&world).await;
    let mut options = rig.options();
    let (shutdown, handle) = rig.daemon_with_handle(options.clone());
    rig.is_connected().await;
    let id = rig.ask(JobType::Full).await;
    rig.job_is(&id, SyncStatus::InProgress).await;

    options.connectors = Selection::default();
    handle.reload(rig.client.clone(), options.clone());
    rig.job_is(&id, SyncStatus::Completed).await;
    world.set_pause(Duration::ZERO);
    let waiting = rig.ask(JobType::Full).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(rig.job(&waiting).await.status, SyncStatus::Pending, "it is not served any more");

    options.connectors = Selection::of([rig.connector.clone()]);
    handle.reload(rig.client.clone(), options);
    rig.job_is(&waiting, SyncStatus::Completed).await;
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_sources_error_reaches_no_document() {
    let world = World::new("secret").with_documents(3);
    let mut rig = Rig::start(&world).await;
    let secret = json!({"world": world.key(), "password": "hunter-22"});
    rig.client.update_configuration_values(&rig.connector, secret.as_object().unwrap()).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    world.refuse_pings(Some("login with 'hunter-22' refused"));
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Error).await;
    assert_eq!(job.error.as_deref(), Some("login with '***' refused (start it)"));
    let connector = rig.connector_is("failed", |connector| connector.status == ConnectorStatus::Error).await;
    assert_eq!((&connector.error, &connector.last_sync_error), (&job.error, &job.error));
    // The check of the source says the same.
    rig.client.update_connector(&rig.connector, &json!({"status": "configured"}), None).await.unwrap();
    let checked = rig.connector_is("checked", |connector| connector.status == ConnectorStatus::Error).await;
    assert_eq!(checked.error, job.error);
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_configuration_that_lacks_properties_is_completed() {
    let world = World::new("gaps").with_documents(1);
    let mut rig = Rig::start(&world).await;
    for configuration in [Value::Null, json!({"world": {"value": world.key()}})] {
        let change = json!({"configuration": configuration});
        rig.client.update_connector(&rig.connector, &change, None).await.unwrap();
    }
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    let path = format!("/.elastic-connectors/_doc/{}", rig.connector);
    let stored = rig.client.raw("GET", &path, None).await.unwrap();
    let field = &stored["_source"]["configuration"]["world"];
    assert_eq!((&field["value"], &field["label"]), (&json!(world.key()), &json!("World")));
    assert!(field.get("ui_restrictions").is_some() && field.get("validations").is_some(), "{field}");
    rig.stop(&shutdown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_tell_what_was_done() {
    let world = World::new("figures").with_documents(50);
    let mut rig = Rig::start(&world).await;
    let mut options = rig.options();
    options.metrics = Metrics::default();
    let metrics = options.metrics.clone();
    let shutdown = rig.daemon(options);
    rig.is_connected().await;
    for _ in 0..2 {
        let id = rig.ask(JobType::Full).await;
        rig.job_is(&id, SyncStatus::Completed).await;
    }
    until("counted", || {
        let text = metrics.render();
        text.contains("tributary_jobs_finished_total{job_type=\"full\",status=\"completed\"} 2")
            && text.contains("tributary_connectors{status=\"connected\"} 1")
            && text.contains("tributary_jobs_running{job_type=\"full\"} 0")
    })
    .await;
    let text = metrics.render();
    let value = |series: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
        let line = line.unwrap_or_else(|| panic!("{series} is missing in\n{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    for (series, expected) in [
        ("tributary_documents_total{outcome=\"created\"}", 50.0),
        ("tributary_documents_total{outcome=\"unchanged\"}", 50.0),
        ("tributary_documents_total{outcome=\"listed\"}", 100.0),
        ("tributary_jobs_started_total{job_type=\"full\"}", 2.0),
        ("tributary_connectors{status=\"connected\"}", 1.0),
        ("tributary_jobs_running{job_type=\"full\"}", 0.0),
        ("tributary_bulk_duration_seconds_count{outcome=\"ok\"}", 1.0),
        ("tributary_job_duration_seconds_count{job_type=\"full\"}", 2.0),
        ("tributary_checks_total{outcome=\"good\"}", 1.0),
    ] {
        assert!((value(series) - expected).abs() < 0.1, "{series} is {}", value(series));
    }
    assert!(value("tributary_bulk_bytes_total") > 1000.0);
    assert!(value("tributary_poll_duration_seconds_count{what=\"jobs\"}") >= 2.0);
    rig.stop(&shutdown).await;
}
