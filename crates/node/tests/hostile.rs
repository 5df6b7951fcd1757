//! Requests that are made to hurt: they are refused, and the node goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use kit::Kit;
use kit::live::{Live, request};
use serde_json::{Value, json};

const DEEP: usize = 100_000;

fn nested(open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP))
}

#[tokio::test]
async fn deeply_nested_bodies_are_refused_by_every_endpoint() {
    let live = Live::start(|_| {}).await;
    live.call("PUT", "/i/_doc/1", Some(r#"{"t":"x"}"#)).await;
    let bodies = [nested("[", "]"), nested(r#"{"a":"#, "}"), nested(r#"{"query":{"bool":{"must":"#, "}}}")];
    for (method, path) in [
        ("PUT", "/i/_doc/2"),
        ("POST", "/i/_doc"),
        ("PUT", "/i/_create/3"),
        ("POST", "/i/_update/1"),
        ("POST", "/i/_search"),
        ("POST", "/i/_count"),
        ("POST", "/i/_delete_by_query"),
        ("POST", "/i/_update_by_query"),
        ("POST", "/_mget"),
        ("POST", "/_search/scroll"),
        ("PUT", "/j"),
        ("PUT", "/i/_mapping"),
        ("PUT", "/i/_settings"),
        ("POST", "/_aliases"),
        ("PUT", "/_ingest/pipeline/p"),
        ("PUT", "/_index_template/t"),
        ("POST", "/_connector"),
        ("PUT", "/_connector/c"),
        ("PUT", "/_connector/c/_configuration"),
        ("PUT", "/_connector/c/_filtering"),
        ("PUT", "/_connector/c/_scheduling"),
        ("POST", "/_connector/_sync_job"),
        ("PUT", "/_connector/_sync_job/j/_stats"),
        ("POST", "/_connector/_secret"),
        ("POST", "/_security/api_key"),
        ("POST", "/_security/user/_has_privileges"),
    ] {
        for body in &bodies {
            let (status, answer) = live.call(method, path, Some(body)).await;
            assert!((400..500).contains(&status), "{method} {path} {}: {status} {answer}", &body[..8]);
        }
    }
    for body in &bodies {
        for (path, head) in [
            ("/_bulk", r#"{"index":{"_index":"i","_id":"9"}}"#),
            ("/_bulk", r#"{"update":{"_index":"i","_id":"1"}}"#),
            ("/_msearch", r#"{"index":"i"}"#),
        ] {
            let (status, answer) = live.call("POST", path, Some(&format!("{head}\n{body}\n"))).await;
            let item = &answer["items"][0];
            let item =
                item.as_object().and_then(|item| item.values().next()).unwrap_or(&answer["responses"][0]);
            let refused = (400..500).contains(&status) || item["status"] == json!(400);
            assert!(refused, "{path} {}: {status} {answer}", &body[..8]);
        }
        let (status, answer) = live.call("POST", "/_bulk", Some(&format!("{body}\n{{}}\n"))).await;
        assert!((400..500).contains(&status), "{status} {answer}");
    }
    let (status, count) = live.call("GET", "/i/_count", None).await;
    assert_eq!((status, &count["count"]), (200, &json!(1)), "nothing of it was written");
    live.stop().await;
}

#[tokio::test]
async fn texts_that_are_parsed_by_recursion_have_an_end() {
    let live = Live::start(|_| {}).await;
    live.call("PUT", "/i/_doc/1", Some(r#"{"t":"x"}"#)).await;
    for text in [
        "(".repeat(DEEP),
        "NOT ".repeat(DEEP),
        "a AND (".repeat(DEEP),
        "+-!".repeat(DEEP),
        "t:(".repeat(DEEP),
    ] {
        for kind in ["query_string", "simple_query_string"] {
            let body = json!({"query": {kind: {"query": text}}}).to_string();
            let (status, answer) = live.call("POST", "/i/_search", Some(&body)).await;
            assert!(
                status == 200 || (400..500).contains(&status),
                "{kind} {}: {status} {answer}",
                &text[..6]
            );
        }
    }
    for condition in ["!".repeat(DEEP) + "ctx.a", "(".repeat(DEEP), "ctx.a == 1 || ".repeat(DEEP) + "ctx.b"] {
        let body = json!({"processors": [{"set": {"field": "a", "value": 1, "if": condition}}]}).to_string();
        let (status, answer) = live.call("PUT", "/_ingest/pipeline/p", Some(&body)).await;
        assert_eq!(status, 400, "{answer}");
    }
    let stars = "**.".repeat(10_000);
    let (status, _) = live.call("GET", &format!("/i/_doc/1?filter_path={stars}a"), None).await;
    assert_eq!(status, 200);
    live.stop().await;
}

async fn refused_search(kit: &Kit, query: Value) -> String {
    let (status, answer) = kit.json("POST", "/i/_search", json!({"query": query})).await;
    assert_eq!(status, 400, "{answer}");
    answer.to_string()
}

#[tokio::test]
async fn patterns_and_queries_have_limits_of_size() {
    let kit = Kit::open();
    let mappings = json!({"properties": {"k": {"type": "keyword"}, "t": {"type": "text"}}});
    let words = "a".repeat(5000);
    kit.index("i", mappings, &[("1", json!({"k": words, "t": "a b c"}))]).await;
    let told = refused_search(&kit, json!({"regexp": {"k": "a".repeat(1001)}})).await;
    assert!(told.contains("index.max_regex_length"), "{told}");
    // Small to write, huge to run.
    refused_search(&kit, json!({"regexp": {"k": "((a{1,100}){1,100}){1,100}"}})).await;
    refused_search(&kit, json!({"query_string": {"query": "k:/((a{1,100}){1,100}){1,100}/"}})).await;
    let terms: Vec<String> = (0..65_537).map(|n| n.to_string()).collect();
    let told = refused_search(&kit, json!({"terms": {"k": terms}})).await;
    assert!(told.contains("index.max_terms_count"), "{told}");
    let (status, answer) = kit.json("POST", "/i/_search", json!({"from": 9_999, "size": 2})).await;
    assert_eq!(status, 400, "{answer}");
    // What backtracks does not explode.
    let begun = Instant::now();
    for pattern in ["*a".repeat(500) + "*b", "*".repeat(100_000) + "b", "?".repeat(100_000)] {
        let (status, answer) =
            kit.json("POST", "/i/_search", json!({"query": {"wildcard": {"k": pattern}}})).await;
        assert_eq!(status, 200, "{answer}");
    }
    let (status, answer) =
        kit.json("POST", "/i/_search", json!({"query": {"regexp": {"k": "(a|aa)*b"}}})).await;
    assert_eq!(status, 200, "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(30), "a pattern takes {:?}", begun.elapsed());
}

fn zeros(mib: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mib {
        gzip.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_huge_one_is_refused_before_it_takes_the_memory() {
    let live = Live::start(|options| {
        options.max_body_bytes = 8 << 20;
        options.body_budget_bytes = 16 << 20;
    })
    .await;
    let bomb = zeros(512);
    assert!(bomb.len() < 1 << 20);
    let gzip = "Content-Encoding: gzip\r\n";
    for path in ["/i/_doc/1", "/_bulk", "/_search", "/_connector/c"] {
        let mut wire = live.connect().await;
        wire.send(&request("PUT", path, gzip, &bomb)).await.unwrap();
        let (status, _, answer) = wire.answer().await.unwrap();
        assert!([413, 405].contains(&status), "{path}: {status} {}", String::from_utf8_lossy(&answer));
    }
    // Many at once are too much together before each is too much for itself.
    let many = (0..12).map(|_| async {
        let mut wire = live.connect().await;
        wire.send(&request("PUT", "/i/_doc/1", gzip, &bomb)).await.unwrap();
        wire.answer().await.unwrap().0
    });
    let statuses = futures::future::join_all(many).await;
    assert!(statuses.iter().all(|status| [413, 429].contains(status)), "{statuses:?}");
    let good = request("PUT", "/i/_doc/1", gzip, &{
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(br#"{"t":"x"}"#).unwrap();
        gzip.finish().unwrap()
    });
    let mut wire = live.connect().await;
    wire.send(&good).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().0, 201, "the memory was given back");
    live.stop().await;
}
