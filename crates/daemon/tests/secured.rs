//! A real Elasticsearch with security: the whole story with an API key that has the rights of docs/operate.md and no
//! others; and each of these rights is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use support::{Rig, World, until};
use tributary_client::{Auth, Client, ClientOptions, ErrorKind};
use tributary_daemon::{
    CONTENT_INDICES, DaemonOptions, Lacking, MONITOR, PROTOCOL_INDICES, READ_PIPELINE, SyncRequest, sync_now,
};
use tributary_engine::{Control, Progress};
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

/// The page's rights without one of them, each time another one, and which.
fn reduced() -> Vec<(String, Value)> {
    let whole = rights();
    let mut places = vec!["/cluster".to_owned()];
    for at in 0..whole["indices"].as_array().unwrap().len() {
        places.extend([format!("/indices/{at}/names"), format!("/indices/{at}/privileges")]);
    }
    let mut all = Vec::new();
    for place in places {
        let there = whole.pointer(&place).unwrap().as_array().unwrap();
        // An entry without names is none.
        for at in (0..there.len()).filter(|_| there.len() > 1) {
            let mut without = whole.clone();
            let removed = without.pointer_mut(&place).unwrap().as_array_mut().unwrap().remove(at);
            all.push((format!("{place}: {removed}"), without));
        }
    }
    all
}

/// What does not work with these rights; `None`: all works. One sync of each kind, the first of them with a document that is
/// refused. `own`: the rights of the connector's own key, where it has one.
async fn trouble(url: &str, rights: &Value, own: Option<&Value>) -> Option<String> {
    let world = World::new("reduced").with_documents(20);
    world.add("1000");
    let rig = Rig::on(administrator(url), &world).await;
    let features = json!({"features": {"document_level_security": {"enabled": true}}});
    rig.client.update_connector(&rig.connector, &features, None).await.unwrap();
    let ours = limited(url, "reduced", rights).await;
    let mut options = rig.options();
    if let Some(own) = own {
        options.connectors.ids[0].content_client = Some(limited(url, "own", own).await);
    }
    // What a check says.
    let connector = rig.connector().await;
    let of_content = options.connectors.ids[0].content_client.as_ref().unwrap_or(&ours);
    let lacking = [
        Lacking::for_service(&ours, false).await.unwrap(),
        Lacking::for_content(of_content, &connector).await.unwrap(),
    ];
    let trouble = tried(&ours, &rig, &options).await;
    let told = lacking.iter().any(|lacking| !lacking.is_empty());
    assert_eq!(told, trouble.is_some(), "a check says {lacking:?}, and what happens is {trouble:?}");
    trouble
}

/// What goes wrong.
async fn tried(ours: &Client, rig: &Rig, options: &DaemonOptions) -> Option<String> {
    // As a daemon does when it starts.
    if let Err(error) = ours.ensure_protocol_indices().await {
        return Some(error.to_string());
    }
    for job_type in [JobType::Full, JobType::AccessControl] {
        let connector = rig.connector.clone();
        let request = SyncRequest { connector, job_type, plan: false, allow_deletes: false };
        let (registry, progress, control) = (support::registry(), Progress::new(), Control::new());
        let syncing = sync_now(ours, &registry, options, request, progress, control);
        let outcome = match syncing.await {
            Ok(outcome) => outcome,
            Err(error) => return Some(error.to_string()),
        };
        if outcome.status != SyncStatus::Completed {
            return Some(format!("{:?}: {:?}", outcome.status, outcome.error));
        }
        if outcome.total.is_none() {
            return Some("the documents could not be counted".to_owned());
        }
        let letters = u64::from(job_type == JobType::Full);
        if outcome.report.letters != letters {
            return Some(format!("{} dead letters instead of {letters}", outcome.report.letters));
        }
    }
    None
}

/// All works with all rights, and not without one of them.
async fn each_right_is_needed(url: &str) {
    // So that the document 1000 is refused.
    let narrow = json!({
        "index_patterns": ["search-reduced-*"],
        "template": {"mappings": {"properties": {"n": {"type": "byte"}}}},
    });
    administrator(url).raw("PUT", "/_index_template/narrow", Some(&narrow)).await.unwrap();
    assert_eq!(trouble(url, &rights(), None).await, None);
    let superfluous: Vec<String> = stream::iter(reduced())
        .map(|(what, rights)| async move {
            match trouble(url, &rights, None).await {
                Some(_) => None,
                None => Some(what),
            }
        })
        .buffer_unordered(3)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert_eq!(superfluous, [""; 0], "rights that nothing needs");
}

/// What the page says of a connector with a key of its own: who needs which rights then.
async fn rights_can_be_split(url: &str) {
    let (mut daemons, mut own) = (rights(), rights());
    daemons["cluster"] = json!(["monitor"]);
    daemons["indices"][1]["names"] = json!([".tributary-dead-letters"]);
    own["cluster"] = json!(["read_pipeline"]);
    own["indices"] = json!([own["indices"][1]]);
    own["indices"][0]["names"] = json!(["search-*", ".search-acl-filter-search-*"]);
    assert_eq!(trouble(url, &daemons, Some(&own)).await, None);
    assert!(trouble(url, &daemons, None).await.is_some(), "the daemon may not write the index");
}

/// What a check asks for is what the page names.
#[test]
fn the_page_names_the_rights_that_are_asked_for() {
    let page = rights();
    assert_eq!(page["cluster"], json!([MONITOR, READ_PIPELINE]));
    assert_eq!(page["indices"][0]["privileges"], json!(PROTOCOL_INDICES));
    assert_eq!(page["indices"][1]["privileges"], json!(CONTENT_INDICES));
}

/// The protocol's indices are created by whoever may manage them, and only needed by the others.
async fn somebody_creates_the_indices(url: &str) {
    let refused = limited(url, "early", &rights()).await.ensure_protocol_indices().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let mut more = rights();
    more["indices"][0]["privileges"].as_array_mut().unwrap().push("manage".into());
    limited(url, "first", &more).await.ensure_protocol_indices().await.unwrap();
}

async fn story(major: Major) {
    let server = Elasticsearch::start_secured(major, &[("xpack.license.self_generated.type", "trial")]);
    let url = server.url();
    somebody_creates_the_indices(url).await;
    whole_story(url).await;
    each_right_is_needed(url).await;
    rights_can_be_split(url).await;
}

async fn whole_story(url: &str) {
    let world = World::new("secured").with_documents(40);
    world.share_out();
    let ours = limited(url, "tributary", &rights()).await;

    // Create and configure, with the same key.
    let mut rig = Rig::on(ours, &world).await;
    let features = json!({"document_level_security": {"enabled": true}});
    rig.client.update_connector(&rig.connector, &json!({"features": features}), None).await.unwrap();
    // Schedule: a slot that was missed runs once the daemon is there.
    let scheduling = json!({"full": {"enabled": true, "interval": "0 0 0 1 1 ?"}});
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
        // A whole cluster renders the template itself; the one of the tests lacks that module. It has no parameters.
        let query = &identity["_source"]["query"]["template"]["source"];
        let rights = json!({"indices": [{"names": [index], "privileges": ["read"], "query": query}]});
        let reader = limited(url, user, &rights).await;
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
    // To its end this would take minutes.
    world.set_pause(Duration::from_millis(50));
    let id = rig.ask(JobType::Full).await;
    let before = world.listed();
    until("listing", || world.listed() > before).await;
    let asked = Instant::now();
    rig.client.cancel_job(&id).await.unwrap();
    rig.job_is(&id, SyncStatus::Canceled).await;
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());

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
async fn everything_works_with_the_documented_rights_on_elasticsearch_8() {
    story(Major::Eight).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_with_the_documented_rights_on_elasticsearch_9() {
    story(Major::Nine).await;
}
