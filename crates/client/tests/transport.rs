//! What goes over the wire, and what is done when it fails.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, Server, fast};
use tributary_client::{Auth, BulkBuilder, Client, ClientError, ClientOptions, ErrorKind, Gzip};
use tributary_protocol::IndexName;

fn index(name: &str) -> IndexName {
    IndexName::try_from(name.to_owned()).unwrap()
}

async fn get(client: &Client) -> Result<Value, ClientError> {
    client.raw("GET", "/_cluster/health", None).await
}

#[tokio::test]
async fn every_request_says_who_asks_and_from_which_product() {
    let server = Server::start([]).await;
    let mut options = fast([&server.url]).auth(Auth::ApiKey("ZW5jb2RlZA==".into()));
    options.headers = vec![("X-Tenant".into(), "one".into())];
    get(&Client::new(options).unwrap()).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), Some("ApiKey ZW5jb2RlZA=="));
    assert_eq!(asked.header("x-elastic-product-origin"), Some("connectors"));
    assert_eq!(asked.header("x-tenant"), Some("one"));
    assert!(asked.header("user-agent").unwrap().starts_with("tributary/"));
    assert_eq!(asked.header("accept"), Some("application/json"));
}

#[tokio::test]
async fn credentials_come_as_key_pair_user_or_part_of_the_address() {
    let server = Server::start([]).await;
    let with_user = server.url.replace("http://", "http://elastic:p%40ss@");
    for (url, auth, expected) in [
        (&server.url, Auth::ApiKey("id:key".into()), "ApiKey aWQ6a2V5"),
        (
            &server.url,
            Auth::Basic { user: "elastic".into(), password: "p@ss".into() },
            "Basic ZWxhc3RpYzpwQHNz",
        ),
        (&with_user, Auth::None, "Basic ZWxhc3RpYzpwQHNz"),
        (&with_user, Auth::ApiKey("id:key".into()), "ApiKey aWQ6a2V5"),
    ] {
        get(&Client::new(fast([url]).auth(auth)).unwrap()).await.unwrap();
        assert_eq!(server.asked().last().unwrap().header("authorization"), Some(expected));
    }
}

#[tokio::test]
async fn credentials_are_in_no_debug_text_and_no_error() {
    let mut options =
        ClientOptions::new(["http://user:hunter2@127.0.0.1:1/"]).auth(Auth::ApiKey("id:hunter2".into()));
    options.headers = vec![("X-Secret".into(), "hunter2".into())];
    options.proxy = None;
    options.retry = tributary_client::RetryPolicy::NEVER;
    let shown = format!("{options:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let client = Client::new(options).unwrap();
    let error = get(&client).await.unwrap_err();
    for text in [format!("{client:?}"), format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.may_have_happened());
    assert_eq!(error.host(), Some("http://127.0.0.1:1"));
}

#[tokio::test]
async fn a_request_without_body_sends_none() {
    let server = Server::start([]).await;
    let client = server.client();
    client.raw("PUT", "/_connector/a/_check_in", None).await.unwrap();
    client.raw("POST", "/a/_refresh", Some(&json!({}))).await.unwrap();
    let asked = server.asked();
    assert!(asked[0].body.is_empty());
    assert_eq!(asked[1].body, "{}");
}

#[tokio::test]
async fn a_failing_cluster_is_asked_again_until_it_can_answer() {
    for answer in [
        Answer::fault(429, "es_rejected_execution_exception", "full"),
        Answer::new(502, "x"),
        Answer::new(503, ""),
        Answer::new(504, ""),
    ] {
        let server = Server::start([answer.clone(), answer, Answer::json(json!({"ok": true}))]).await;
        assert_eq!(get(&server.client()).await.unwrap(), json!({"ok": true}));
        assert_eq!(server.asked().len(), 3);
    }
}

#[tokio::test]
async fn what_will_not_pass_by_itself_is_asked_once() {
    for status in [400, 401, 403, 404, 405, 409, 413, 500, 501] {
        let server = Server::start([Answer::new(status, "{}")]).await;
        let error = get(&server.client()).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = Server::start([Answer::new(429, "").header("retry-after", "1")]).await;
    let start = Instant::now();
    get(&server.client()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_wait_beyond_the_budget_is_not_begun_but_told() {
    let server = Server::start([Answer::new(503, "").header("retry-after", "60")]).await;
    let start = Instant::now();
    let error = get(&server.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_timeout_is_an_error_of_its_own() {
    let server = Server::start([Answer::new(200, "{}").delay(Duration::from_secs(5))]).await;
    let mut options = fast([&server.url]);
    options.request_timeout = Duration::from_millis(100);
    options.retry = tributary_client::RetryPolicy::NEVER;
    let error = get(&Client::new(options).unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.may_have_happened());
    assert_eq!(error.reason(), "no answer within 0.1 s");
}

#[tokio::test]
async fn what_must_not_happen_twice_is_not_sent_again_after_an_unknown_outcome() {
    let server = Server::start([Answer::new(504, "")]).await;
    let error = server.client().raw("POST", "/_connector", Some(&json!({}))).await.unwrap_err();
    assert!(error.may_have_happened());
    assert_eq!(server.asked().len(), 1);
    let server = Server::start([Answer::fault(429, "es_rejected_execution_exception", "full")]).await;
    server.client().raw("POST", "/_connector", Some(&json!({}))).await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn several_hosts_take_turns_and_a_dead_one_is_passed_over_without_a_pause() {
    let (a, b) = (Server::start([]).await, Server::start([]).await);
    let dead = "http://127.0.0.1:1".to_owned();
    let mut options = fast([&dead, &a.url, &b.url]);
    options.retry.base = Duration::from_secs(4);
    options.retry.cap = Duration::from_secs(4);
    let client = Client::new(options).unwrap();
    let start = Instant::now();
    for _ in 0..6 {
        get(&client).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let served = |server: &Server| server.lines().iter().filter(|line| line.contains("health")).count();
    assert_eq!((served(&a), served(&b)), (3, 3));
}

#[tokio::test]
async fn a_host_that_goes_away_is_replaced_by_the_other() {
    let (a, b) = (Server::start([]).await, Server::start([]).await);
    let client = Client::new(fast([&a.url, &b.url])).unwrap();
    for _ in 0..4 {
        get(&client).await.unwrap();
    }
    a.stop().await;
    for _ in 0..4 {
        get(&client).await.unwrap();
    }
    assert!(b.asked().len() >= 6);
}

#[tokio::test]
async fn a_bulk_request_goes_as_lines_and_its_answer_is_read() {
    let items = json!({"took": 3, "errors": false, "items": [{"index": {"_id": "1", "status": 201, "result": "created"}}]});
    let server = Server::start([Answer::json(items)]).await;
    let mut builder = BulkBuilder::new(index("search-docs"), 1000, 10);
    builder.index("1", &json!({"t": 1})).unwrap();
    let body = builder.take().unwrap();
    let answer = server.client().bulk(&body, Some("my pipeline")).await.unwrap();
    assert_eq!(answer.sent_bytes, body.bytes() as u64);
    assert!(answer.items[0].is_done());
    let asked = &server.asked()[0];
    assert_eq!(asked.line(), "POST /search-docs/_bulk?pipeline=my+pipeline");
    assert_eq!(asked.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(asked.text(), "{\"index\":{\"_id\":\"1\"}}\n{\"t\":1}\n");
}

#[tokio::test]
async fn a_bulk_request_that_is_too_large_asks_for_a_split() {
    let server = Server::start([Answer::new(413, "")]).await;
    let mut builder = BulkBuilder::new(index("a"), 1000, 10);
    builder.delete("1").unwrap();
    let error = server.client().bulk(&builder.take().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_with_another_number_of_items_is_refused() {
    let server = Server::start([Answer::json(json!({"took": 3, "errors": false, "items": []}))]).await;
    let mut builder = BulkBuilder::new(index("a"), 1000, 10);
    builder.delete("1").unwrap();
    let error = server.client().bulk(&builder.take().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadAnswer);
}

#[tokio::test]
async fn large_bodies_are_compressed_where_it_pays() {
    for (gzip, expected) in [(Gzip::Auto, None), (Gzip::Never, None), (Gzip::Always, Some("gzip"))] {
        let server = Server::start([Answer::new(429, "")]).await;
        let mut options = fast([&server.url]);
        options.gzip = gzip;
        let body = json!({"text": "abc ".repeat(50_000)});
        Client::new(options).unwrap().search("a", &body).await.unwrap();
        for asked in server.asked() {
            assert_eq!(asked.header("content-encoding"), expected, "{gzip:?}");
            assert_eq!(asked.header("accept-encoding"), expected.or(Some("identity")), "{gzip:?}");
            assert_eq!(asked.json(), body);
        }
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn no_path_leads_to_another_host_or_endpoint() {
    let server = Server::start([]).await;
    let client = server.client();
    for path in ["//evil.example/x", "/http://evil.example/x"] {
        client.raw("GET", path, None).await.unwrap();
    }
    assert_eq!(server.lines(), ["GET /evil.example/x", "GET /http://evil.example/x"]);
    assert_eq!(client.raw("GET", "http://evil.example/", None).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(client.raw("PATCH", "/", None).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(client.pipeline("..").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(client.pipeline("").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_page_is_told_from_an_answer_of_another_form() {
    for (body, expected) in [
        ("<html>Please log in</html>", ErrorKind::Foreign),
        ("", ErrorKind::Foreign),
        ("{\"version\": 1}", ErrorKind::BadAnswer),
    ] {
        let server = Server::start([Answer::new(200, body)]).await;
        let error = server.client().probe().await.unwrap_err();
        assert_eq!(error.kind(), expected, "{body}: {error}");
        assert_eq!(error.hint().is_some(), expected == ErrorKind::Foreign);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_an_answer() {
    let other = Server::start([]).await;
    let server = Server::start([Answer::new(302, "").header("location", format!("{}/x", other.url))]).await;
    let client = Client::new(fast([&server.url]).auth(Auth::ApiKey("secret".into()))).unwrap();
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(other.asked().iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn waiting_ends_when_the_cluster_answers_and_tells_of_each_failure() {
    let info = json!({"cluster_name": "c", "cluster_uuid": "u", "version": {"number": "9.4.3", "build_flavor": "default"}});
    let missing = Answer::fault(400, "invalid_index_name_exception", "Invalid index name [_connector]");
    let server = Server::start([Answer::new(503, ""), Answer::json(info), missing]).await;
    let mut heard = 0;
    let told = server.client().wait_until_ready(Duration::from_secs(5), |_, _| heard += 1).await.unwrap();
    assert_eq!(heard, 1);
    assert_eq!(told.version_pair(), Some((9, 4)));
    assert!(told.says_product && !told.abilities.connector_api && !told.abilities.serverless);
    assert!(told.warnings().is_empty());
}

#[tokio::test]
async fn waiting_ends_at_once_when_it_cannot_help() {
    let server =
        Server::start([Answer::fault(401, "security_exception", "unable to authenticate user [elastic]")])
            .await;
    let error = server.client().wait_until_ready(Duration::from_secs(60), |_, _| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.hint().unwrap().contains("api_key"));
}

#[tokio::test]
async fn waiting_gives_up_when_time_is_up() {
    let options = fast([&"http://127.0.0.1:1".to_owned()]);
    let client = Client::new(options).unwrap();
    let error = client.wait_until_ready(Duration::from_millis(600), |_, _| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}
