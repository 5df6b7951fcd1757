//! Operations on connectors and jobs, by the Connector APIs and as documents.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server, fast};
use tributary_client::{Client, ControlChoice, ErrorKind, JobStats, NewConnector, Written};
use tributary_protocol::{ConnectorId, ConnectorStatus, JobType, SyncJobId, TriggerMethod};

const CONNECTOR: &str = "/.elastic-connectors/_doc/c";
const JOB: &str = "/.elastic-connectors-sync-jobs/_doc/j";
const GUARD: &str = "if_seq_no=7&if_primary_term=1&require_alias=true&refresh=true";

fn client(server: &Server, control: ControlChoice) -> Client {
    Client::new(fast([&server.url]).control(control)).unwrap()
}

fn c() -> ConnectorId {
    ConnectorId::from("c")
}

fn j() -> SyncJobId {
    SyncJobId::from("j")
}

fn result(result: &str) -> Answer {
    Answer::json(json!({"result": result}))
}

fn doc(source: Value) -> Answer {
    Answer::json(json!({"_id": "x", "_seq_no": 7, "_primary_term": 1, "found": true, "_source": source}))
}

fn no_doc() -> Answer {
    Answer::new(404, json!({"_index": "i", "_id": "x", "found": false}).to_string())
}

fn written() -> Answer {
    Answer::json(json!({"_id": "x", "_seq_no": 8, "_primary_term": 1, "result": "updated"}))
}

fn conflict() -> Answer {
    Answer::fault(409, "version_conflict_engine_exception", "[x]: version conflict")
}

fn nothing_found() -> Answer {
    Answer::json(json!({"hits": {"hits": []}}))
}

#[tokio::test]
async fn by_the_api_every_operation_is_one_call() {
    let server = Server::start((0..8).map(|_| result("updated"))).await;
    let client = client(&server, ControlChoice::Api);
    client.check_in(&c()).await.unwrap();
    client.update_status(&c(), ConnectorStatus::Error).await.unwrap();
    client.update_error(&c(), None).await.unwrap();
    client.update_index_name(&c(), Some("docs")).await.unwrap();
    client.activate_filtering(&c()).await.unwrap();
    client.cancel_job(&j()).await.unwrap();
    client.fail_job(&j(), "boom").await.unwrap();
    let stats = JobStats { indexed_document_count: 1, ..JobStats::default() };
    client.update_job_stats(&j(), &stats).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "PUT /_connector/c/_check_in",
            "PUT /_connector/c/_status",
            "PUT /_connector/c/_error",
            "PUT /_connector/c/_index_name",
            "PUT /_connector/c/_filtering/_activate",
            "PUT /_connector/_sync_job/j/_cancel",
            "PUT /_connector/_sync_job/j/_error",
            "PUT /_connector/_sync_job/j/_stats",
        ]
    );
    let asked = server.asked();
    assert!(asked[0].body.is_empty() && asked[4].body.is_empty() && asked[5].body.is_empty());
    assert_eq!(asked[1].json(), json!({"status": "error"}));
    assert_eq!(asked[2].json(), json!({"error": null}));
    let counts =
        json!({"indexed_document_count": 1, "indexed_document_volume": 0, "deleted_document_count": 0});
    assert_eq!(asked[7].json(), counts);
}

#[tokio::test]
async fn an_id_is_escaped_in_the_path() {
    let server = Server::start([result("updated")]).await;
    client(&server, ControlChoice::Api).check_in(&ConnectorId::from("a/b c")).await.unwrap();
    assert_eq!(server.lines(), ["PUT /_connector/a%2Fb%20c/_check_in"]);
    let error = client(&server, ControlChoice::Api).check_in(&ConnectorId::from("")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn as_documents_the_same_operation_is_written_under_its_condition() {
    let server = Server::start([doc(json!({"status": "configured", "foreign": [1]})), written()]).await;
    let client = client(&server, ControlChoice::Documents);
    assert_eq!(client.update_status(&c(), ConnectorStatus::Connected).await.unwrap(), Written::Updated);
    assert_eq!(server.lines(), [format!("GET {CONNECTOR}"), format!("PUT {CONNECTOR}?{GUARD}")]);
    assert_eq!(server.asked()[1].json(), json!({"status": "connected", "foreign": [1]}));
}

#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let server = Server::start([doc(json!({"name": "n"}))]).await;
    let done = client(&server, ControlChoice::Documents).update_name(&c(), Some("n"), None).await.unwrap();
    assert_eq!((done, server.asked().len()), (Written::Noop, 1));
}

#[tokio::test]
async fn a_lost_race_is_decided_anew() {
    let answers =
        [doc(json!({"status": "pending"})), conflict(), doc(json!({"status": "in_progress"})), written()];
    let server = Server::start(answers).await;
    client(&server, ControlChoice::Documents).cancel_job(&j()).await.unwrap();
    assert_eq!(server.lines()[3], format!("PUT {JOB}?{GUARD}"));
    assert_eq!(server.asked()[3].json()["status"], "canceling");
    let server = Server::start([conflict(), result("updated")]).await;
    assert_eq!(client(&server, ControlChoice::Api).check_in(&c()).await.unwrap(), Written::Updated);
}

#[tokio::test]
async fn a_refusal_by_the_rules_reads_like_the_clusters_own() {
    let server = Server::start([doc(json!({"status": "completed"}))]).await;
    let error = client(&server, ControlChoice::Documents).cancel_job(&j()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.es_type()),
        (ErrorKind::Rejected, Some(400), Some("status_exception"))
    );
    assert!(
        error.reason().starts_with("Invalid transition attempt from [completed] to [canceling]."),
        "{error}"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    for control in [ControlChoice::Api, ControlChoice::Documents] {
        let missing = || match control {
            ControlChoice::Api => Answer::fault(404, "document_missing_exception", "[x]: document missing"),
            _ => no_doc(),
        };
        let server = Server::start((0..7).map(|_| missing())).await;
        let client = client(&server, control);
        let errors = [
            (client.check_in(&c()).await.unwrap_err(), "connector [c] not found"),
            (client.delete_connector(&c(), true, false).await.unwrap_err(), "connector [c] not found"),
            (
                client.create_job(&c(), JobType::Full, TriggerMethod::OnDemand).await.unwrap_err(),
                "connector [c] not found",
            ),
            (client.claim_job(&j(), "w", None).await.unwrap_err(), "connector sync job [j] not found"),
            (client.cancel_job(&j()).await.unwrap_err(), "connector sync job [j] not found"),
            (client.check_in_job(&j()).await.unwrap_err(), "connector sync job [j] not found"),
            (client.delete_job(&j()).await.unwrap_err(), "connector sync job [j] not found"),
        ];
        for (error, reason) in errors {
            assert_eq!((error.kind(), error.reason()), (ErrorKind::NotFound, reason), "{control:?} {error}");
        }
    }
}

#[tokio::test]
async fn a_cluster_that_lacks_one_endpoint_gets_the_document() {
    let old = Answer::new(
        400,
        json!({"error": "no handler found for uri [/_connector/c/_features] and method [PUT]"}).to_string(),
    );
    let server = Server::start([old, doc(json!({})), written()]).await;
    let client = client(&server, ControlChoice::Api);
    client.update_features(&c(), &json!({"incremental_sync": {"enabled": true}})).await.unwrap();
    assert_eq!(server.asked()[2].json(), json!({"features": {"incremental_sync": {"enabled": true}}}));
}

#[tokio::test]
async fn a_job_is_claimed_once() {
    let server =
        Server::start([doc(json!({"status": "pending", "connector": {"id": "c"}})), written()]).await;
    let api = client(&server, ControlChoice::Api);
    api.claim_job(&j(), "w", Some(&json!({"a": 1}))).await.unwrap();
    assert_eq!(server.lines(), [format!("GET {JOB}"), format!("PUT {JOB}?{GUARD}")]);
    let claimed = server.asked()[1].json();
    assert_eq!(
        (claimed["status"].as_str(), claimed["worker_hostname"].as_str()),
        (Some("in_progress"), Some("w"))
    );
    assert_eq!(claimed["connector"], json!({"id": "c", "sync_cursor": {"a": 1}}));
    for status in ["in_progress", "completed", "canceled", "canceling", "error"] {
        let server = Server::start([doc(json!({"status": status}))]).await;
        let error = client(&server, ControlChoice::Api).claim_job(&j(), "w", None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{status}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_existing_connector_is_never_overwritten() {
    let server = Server::start([nothing_found(), conflict(), doc(json!({"deleted": false}))]).await;
    let new = NewConnector { index_name: Some("docs".into()), ..NewConnector::default() };
    let error = client(&server, ControlChoice::Api).create_connector(Some(&c()), &new).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.reason().contains("connector [c] exists already"), "{error}");
    assert_eq!(server.lines()[1], "PUT /.elastic-connectors/_create/c?require_alias=true&refresh=true");

    let server = Server::start([conflict(), doc(json!({"deleted": true})), written()]).await;
    let id = client(&server, ControlChoice::Documents)
        .create_connector(Some(&c()), &NewConnector::default())
        .await;
    assert_eq!(id.unwrap(), c());
    assert_eq!(server.lines()[2], format!("PUT {CONNECTOR}?{GUARD}"));
    assert_eq!(server.asked()[2].json()["status"], "created");
}

#[tokio::test]
async fn an_index_belongs_to_one_connector() {
    let taken = || Answer::json(json!({"hits": {"hits": [{"_id": "other"}]}}));
    let server = Server::start([taken(), taken()]).await;
    let client = client(&server, ControlChoice::Documents);
    let new = NewConnector { index_name: Some("docs".into()), ..NewConnector::default() };
    for error in [
        client.create_connector(None, &new).await.unwrap_err(),
        client.update_index_name(&c(), Some("docs")).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Rejected, "Index name [docs] is used by another connector.")
        );
    }
}

#[tokio::test]
async fn a_connector_without_an_id_gets_one() {
    let server =
        Server::start([Answer::new(201, json!({"id": "made", "result": "created"}).to_string())]).await;
    let new = NewConnector { name: Some("n".into()), ..NewConnector::default() };
    let id = client(&server, ControlChoice::Api).create_connector(None, &new).await.unwrap();
    assert_eq!(id.as_str(), "made");
    assert_eq!(server.asked()[0].json(), json!({"name": "n", "is_native": false}));

    let server = Server::start([written()]).await;
    let id = client(&server, ControlChoice::Documents).create_connector(None, &new).await.unwrap();
    assert_eq!(
        server.lines(),
        [format!("PUT /.elastic-connectors/_create/{id}?require_alias=true&refresh=true")]
    );
}

#[tokio::test]
async fn the_indices_are_made_on_the_first_write() {
    let missing = Answer::fault(404, "index_not_found_exception", "no such index [.elastic-connectors]");
    let not_there = || Answer::new(404, "");
    let server = Server::start([
        missing,
        not_there(),
        not_there(),
        Answer::json(json!({})),
        Answer::new(200, ""),
        written(),
    ])
    .await;
    let client = client(&server, ControlChoice::Documents);
    client.create_connector(Some(&c()), &NewConnector::default()).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "PUT /.elastic-connectors/_create/c?require_alias=true&refresh=true",
            "HEAD /.elastic-connectors",
            "HEAD /.elastic-connectors-v1",
            "PUT /.elastic-connectors-v1",
            "HEAD /.elastic-connectors-sync-jobs",
            "PUT /.elastic-connectors/_create/c?require_alias=true&refresh=true",
        ]
    );
    let body = server.asked()[3].json();
    assert_eq!(body["aliases"], json!({".elastic-connectors": {}}));
    assert_eq!(body["mappings"]["dynamic"], "false");
    assert_eq!(body["mappings"]["properties"]["index_name"]["type"], "keyword");
}

#[tokio::test]
async fn an_index_without_its_alias_gets_it() {
    let answers = [Answer::new(404, ""), Answer::new(200, ""), Answer::json(json!({})), Answer::new(200, "")];
    let server = Server::start(answers).await;
    client(&server, ControlChoice::Documents).ensure_protocol_indices().await.unwrap();
    assert_eq!(server.lines()[2], "PUT /.elastic-connectors-v1/_alias/.elastic-connectors");
}

#[tokio::test]
async fn deleting_tells_only_what_is_asked_for() {
    let server = Server::start([]).await;
    let api = client(&server, ControlChoice::Api);
    api.delete_connector(&c(), false, false).await.unwrap();
    api.delete_connector(&c(), true, true).await.unwrap();
    assert_eq!(
        server.lines(),
        ["DELETE /_connector/c", "DELETE /_connector/c?hard=true&delete_sync_jobs=true"]
    );

    let server = Server::start([doc(json!({})), written(), Answer::json(json!({"deleted": 2}))]).await;
    client(&server, ControlChoice::Documents).delete_connector(&c(), false, true).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[1].json(), json!({"deleted": true}));
    assert_eq!(asked[2].json(), json!({"query": {"term": {"connector.id": "c"}}}));
    assert!(
        asked[2].line().starts_with("POST /.elastic-connectors-sync-jobs/_delete_by_query?"),
        "{}",
        asked[2].line()
    );
}

#[tokio::test]
async fn a_job_is_made_of_its_connector() {
    let source = json!({"index_name": "docs", "service_type": "s", "configuration": {}});
    let server = Server::start([doc(source), written()]).await;
    let id = client(&server, ControlChoice::Documents)
        .create_job(&c(), JobType::Incremental, TriggerMethod::Scheduled)
        .await
        .unwrap();
    let asked = &server.asked()[1];
    let line = format!("PUT /.elastic-connectors-sync-jobs/_create/{id}?require_alias=true&refresh=true");
    assert_eq!(asked.line(), line);
    assert_eq!(
        (asked.json()["connector"]["id"].clone(), asked.json()["job_type"].clone()),
        (json!("c"), json!("incremental"))
    );

    let server = Server::start([Answer::new(201, json!({"id": "made"}).to_string())]).await;
    let id = client(&server, ControlChoice::Api)
        .create_job(&c(), JobType::Full, TriggerMethod::OnDemand)
        .await
        .unwrap();
    assert_eq!(id.as_str(), "made");
    assert_eq!(
        server.asked()[0].json(),
        json!({"id": "c", "job_type": "full", "trigger_method": "on_demand"})
    );
}
