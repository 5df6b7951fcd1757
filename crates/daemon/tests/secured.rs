//! A real Elasticsearch with security: the whole story with an API key that has the rights of docs/operate.md and no others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Rig, World, until};
use tributary_client::{Auth, Client, ClientOptions, ErrorKind};
use tributary_harness::{Elasticsearch, Major};
use tributary_protocol::{JobType, SyncStatus};

/// The page that names the rights.
const PAGE: &str = include_str!("../../../docs/operate.md");

/// The rights as the page has them: its JSON block below the heading.
fn rights() -> Value {
    let section = PAGE.split("## Rights").nth(1).expect("the page names the rights");
    let block = section.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    serde_json::from_str(block.expect("a block of JSON")).expect("what the page shows is JSON")
}

fn client(url: &str, auth: Auth) -> Client {
    Client::new(ClientOptions::new([url]).auth(auth)).unwrap()
}

fn administrator(url: &str) -> Client {
    client(url, Auth::Basic { user: "elastic".to_owned(), password: "changeme".to_owned().into() })
}

/// A client with an API key that has these rights.
async fn limited(url: &str, name: &str, rights: &Value) -> Client {
    let body = json!({"name": name, "role_descriptors": {"limited": rights}});
    let key = administrator(url).raw("POST", "/_security/api_key", Some(&body)).await.unwrap();
    client(url, Auth::ApiKey(key["encoded"].as_str().unwrap().to_owned().into()))
}

async fn story(major: Major) {
    let server = Elasticsearch::start_secured(major, &[("xpack.license.self_generated.type", "trial")]);
    // What an administrator does once.
    administrator(server.url()).ensure_protocol_indices().await.unwrap();
    let world = World::new("secured").with_documents(40);
    world.share_out();
    let ours = limited(server.url(), "tributary", &rights()).await;

    // Create and configure, with the same key.
    let mut rig = Rig::on(ours, &world).await;
    let features = json!({"document_level_security": {"enabled": true}});
    rig.client.update_connector(&rig.connector, &json!({"features": features}), None).await.unwrap();
    // Schedule: a slot that was missed runs once the daemon is there.
    let scheduling = json!({"full": {"enabled": true, "interval": "0 0 * * * ?"}});
    rig.client.update_scheduling(&rig.connector, &scheduling).await.unwrap();
    let long_ago = json!({"last_sync_scheduled_at": "2024-01-01T00:00:00Z"});
    rig.client.update_connector(&rig.connector, &long_ago, None).await.unwrap();
    let shutdown = rig.daemon(rig.options());
    rig.is_connected().await;
    rig.connector_is("synced", |connector| connector.last_sync_status == Some(SyncStatus::Completed)).await;
    let jobs = rig.jobs().await;
    let job = &jobs[0].doc;
    assert_eq!((jobs.len(), job.indexed_document_count, job.total_document_count), (1, 40, Some(40)));

    // Again, with little to do.
    world.remove("7");
    world.add("40");
    let id = rig.ask(JobType::Full).await;
    let job = rig.job_is(&id, SyncStatus::Completed).await;
    assert_eq!((job.indexed_document_count, job.deleted_document_count), (1, 1));

    // Access control: the cluster lets everyone see their own.
    let id = rig.ask(JobType::AccessControl).await;
    rig.job_is(&id, SyncStatus::Completed).await;
    let index = rig.index.as_str().to_owned();
    let identities = format!("/.search-acl-filter-{index}");
    for (user, rest) in [("ann", 0), ("bob", 1)] {
        let identity = rig.client.raw("GET", &format!("{identities}/_doc/{user}"), None).await.unwrap();
        let query = &identity["_source"]["query"];
        let rights = json!({"indices": [{"names": [index], "privileges": ["read"], "query": query}]});
        let reader = limited(server.url(), user, &rights).await;
        let found = reader.raw("GET", &format!("/{index}/_search?size=100"), None).await.unwrap();
        let numbers: Vec<i64> = found["hits"]["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["_source"]["n"].as_i64().unwrap())
            .collect();
        let expected = (0..=40).filter(|number| number % 2 == rest && *number != 7).count();
        assert_eq!(numbers.len(), expected, "{user}: {numbers:?}");
        assert!(numbers.iter().all(|number| number % 2 == rest), "{user}: {numbers:?}");
        let refused = reader.raw("GET", &format!("{identities}/_search"), None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
    }

    // Cancel.
    for number in 41..5000 {
        world.add(&number.to_string());
    }
    world.set_pause(Duration::from_millis(5));
    let id = rig.ask(JobType::Full).await;
    let before = world.listed();
    until("listing", || world.listed() > before).await;
    let asked = Instant::now();
    rig.client.cancel_job(&id).await.unwrap();
    rig.job_is(&id, SyncStatus::Canceled).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    rig.stop(&shutdown).await;

    // The key can do nothing else.
    for (method, path) in
        [("PUT", "/other"), ("GET", "/_security/user"), ("DELETE", "/.elastic-connectors-v1")]
    {
        let refused = rig.client.raw(method, path, None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden, "{method} {path}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real Elasticsearch; not seen to pass to its end yet"]
async fn everything_works_with_the_documented_rights_on_elasticsearch_8() {
    story(Major::Eight).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real Elasticsearch; not seen to pass to its end yet"]
async fn everything_works_with_the_documented_rights_on_elasticsearch_9() {
    story(Major::Nine).await;
}
