//! Many clients at once, and clients that behave badly, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kit::live::{Live, Wire, request};
use serde_json::json;
use tokio::task::JoinSet;

const CLIENTS: usize = 200;
/// Documents that all clients count up.
const COUNTERS: usize = 20;
/// How often each client counts one up.
const ROUNDS: usize = 3;

/// Counts a document up by optimistic locking; the sequence number of the write and the number written.
async fn count_up(wire: &mut Wire, id: usize) -> (u64, u64) {
    loop {
        let (status, found) = wire.call("GET", &format!("/counters/_doc/{id}"), None).await.unwrap();
        assert_eq!(status, 200, "{found}");
        let number = found["_source"]["n"].as_u64().unwrap() + 1;
        let path = format!(
            "/counters/_doc/{id}?if_seq_no={}&if_primary_term={}",
            found["_seq_no"], found["_primary_term"]
        );
        let body = json!({"n": number}).to_string();
        let (status, written) = wire.call("PUT", &path, Some(&body)).await.unwrap();
        match status {
            200 => return (written["_seq_no"].as_u64().unwrap(), number),
            409 => {}
            other => panic!("{other}: {written}"),
        }
    }
}

/// One client's work; its successful counts.
async fn client(live: &Live, number: usize) -> Vec<(usize, u64, u64)> {
    let mut wire = live.connect().await;
    let mut counts = Vec::new();
    for round in 0..ROUNDS {
        let body = json!({"client": number, "round": round}).to_string();
        let path = format!("/own/_doc/{number}-{round}");
        let (status, answer) = wire.call("PUT", &path, Some(&body)).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        let (status, answer) = wire.call("GET", &path, None).await.unwrap();
        assert_eq!((status, &answer["_source"]["client"]), (200, &json!(number)));
        let id = (number + round) % COUNTERS;
        let (seq_no, count) = count_up(&mut wire, id).await;
        counts.push((id, seq_no, count));
        let (status, answer) = wire.call("GET", "/own/_search?size=1", None).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_clients_lose_no_request_and_no_update() {
    let live = Arc::new(Live::start(|_| {}).await);
    live.call("PUT", "/own", None).await;
    for id in 0..COUNTERS {
        live.call("PUT", &format!("/counters/_doc/{id}"), Some(r#"{"n":0}"#)).await;
    }
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let live = Arc::clone(&live);
        clients.spawn(async move { client(&live, number).await });
    }
    let mut by_document: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
    for (id, seq_no, count) in clients.join_all().await.into_iter().flatten() {
        by_document.entry(id).or_default().push((seq_no, count));
    }
    for (id, mut writes) in by_document {
        writes.sort_unstable();
        let counted: Vec<u64> = writes.iter().map(|(_, count)| *count).collect();
        let wanted: Vec<u64> = (1..=writes.len() as u64).collect();
        assert_eq!(counted, wanted, "document {id}: each write counts on from the one before it");
        let (_, found) = live.call("GET", &format!("/counters/_doc/{id}"), None).await;
        assert_eq!(found["_source"]["n"], json!(writes.len()));
    }
    live.call("POST", "/own/_refresh", None).await;
    let (_, count) = live.call("GET", "/own/_count", None).await;
    assert_eq!(count["count"], json!(CLIENTS * ROUNDS));
}

/// A node that is quick to give up on clients, with few connections.
async fn impatient(connections: usize) -> Live {
    Live::start(|options| {
        options.header_timeout = Duration::from_secs(2);
        options.body_timeout = Duration::from_secs(2);
        options.max_connections = connections;
    })
    .await
}

const ANNOUNCED: &[u8] =
    b"PUT /i/_doc/1 HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";

#[tokio::test]
async fn a_client_that_says_nothing_or_too_little_is_let_go() {
    let live = impatient(100).await;
    let mut silent = live.connect().await;
    let mut half = live.connect().await;
    half.send(b"GET / HTTP/1.1\r\nHost: no").await.unwrap();
    let mut stalled = live.connect().await;
    stalled.send(ANNOUNCED).await.unwrap();
    assert_eq!(silent.closed().await, b"");
    assert!(!String::from_utf8_lossy(&half.closed().await).contains("200 OK"));
    let (status, header, body) = stalled.answer().await.unwrap();
    assert_eq!(status, 408, "{}", String::from_utf8_lossy(&body));
    assert!(header.contains("connection: close"), "{header}");
    live.stop().await;
}

#[tokio::test]
async fn a_client_that_drips_is_let_go_and_disturbs_nobody() {
    let live = impatient(100).await;
    let drip = async |first: &'static [u8]| {
        let mut wire = live.connect().await;
        wire.send(first).await.unwrap();
        let mut drops = 0;
        // It never pauses for long, so only a limit for the whole ends it.
        while wire.send(b" ").await.is_ok() && drops < 300 {
            drops += 1;
            let mut byte = [0];
            if tokio::time::timeout(Duration::from_millis(100), wire.0.peek(&mut byte)).await.is_ok() {
                break;
            }
        }
        assert!(drops < 300, "the node still listens after {drops} drops");
    };
    let others = async {
        for number in 0..50 {
            let (status, answer) = live.call("PUT", &format!("/i/_doc/{number}"), Some("{}")).await;
            assert_eq!(status, 201, "{answer}");
        }
    };
    tokio::join!(drip(ANNOUNCED), drip(b"GET / HTTP/1.1\r\nX-Slow: "), others);
    live.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_let_go() {
    let live = impatient(1).await;
    let big = json!({"t": "x".repeat(4 << 20)}).to_string();
    live.call("PUT", "/i/_doc/1", Some(&big)).await;
    let mut wire = live.connect().await;
    for _ in 0..8 {
        wire.send(&request("GET", "/i/_doc/1", "", b"")).await.unwrap();
    }
    // The only connection there may be is busy with an answer that nobody takes.
    let (status, _) = live.call("GET", "/", None).await;
    assert_eq!(status, 200);
    live.stop().await;
}

#[tokio::test]
async fn connections_that_break_off_give_their_places_back() {
    let live = impatient(2).await;
    for round in 0..30 {
        let mut wire = live.connect().await;
        match round % 3 {
            0 => drop(wire),
            1 => {
                wire.send(b"GET / HT").await.unwrap();
                drop(wire);
            }
            _ => {
                wire.send(ANNOUNCED).await.unwrap();
                wire.reset();
            }
        }
    }
    let (status, _) = live.call("GET", "/", None).await;
    assert_eq!(status, 200);
    live.stop().await;
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one_and_a_busy_one_does_not() {
    let live = Live::start(|options| options.max_connections = 4).await;
    let mut busy = live.connect().await;
    busy.send(&ANNOUNCED[..ANNOUNCED.len() - 1]).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut wire = live.connect().await;
        assert_eq!(wire.call("GET", "/", None).await.unwrap().0, 200);
        idle.push(wire);
    }
    assert_eq!(idle[0].closed().await, b"");
    let (status, _) = idle[19].call("GET", "/", None).await.unwrap();
    assert_eq!(status, 200, "the youngest stays");
    busy.send(format!("{:1$}", "{}", 1000).as_bytes()).await.unwrap();
    assert_eq!(busy.answer().await.unwrap().0, 201);
    live.stop().await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_not_sent_take_no_memory_from_others() {
    let live = Live::start(|options| {
        options.max_body_bytes = 4 << 20;
        options.body_budget_bytes = 8 << 20;
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut wire = live.connect().await;
        let header = "PUT /i/_doc/1 HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n";
        wire.send(format!("{header}Content-Length: {}\r\n\r\n{{", 4 << 20).as_bytes()).await.unwrap();
        waiting.push(wire);
    }
    let body = json!({"t": "x".repeat(2 << 20)}).to_string();
    let (status, answer) = live.call("PUT", "/i/_doc/2", Some(&body)).await;
    assert_eq!(status, 201, "{answer}");
    live.stop().await;
}

#[tokio::test]
async fn a_refused_body_is_answered_even_while_it_is_sent() {
    let live = Live::start(|options| options.max_body_bytes = 1 << 20).await;
    let body = vec![b' '; 32 << 20];
    for (path, status) in [("/i/_doc/1", 413), ("/nowhere/at/all/x", 400)] {
        let mut wire = live.connect().await;
        wire.send(&request("PUT", path, "", &body)).await.unwrap();
        let (got, header, answer) = wire.answer().await.unwrap();
        assert_eq!(got, status, "{}", String::from_utf8_lossy(&answer));
        assert!(header.contains("x-elastic-product: elasticsearch"), "{header}");
    }
    // Without a length it is found out on the way.
    let mut wire = live.connect().await;
    let header = "PUT /i/_doc/1 HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    wire.send(header.as_bytes()).await.unwrap();
    for _ in 0..4 {
        wire.send(b"80000\r\n").await.unwrap();
        wire.send(&vec![b' '; 0x80000]).await.unwrap();
        wire.send(b"\r\n").await.unwrap();
    }
    assert_eq!(wire.answer().await.unwrap().0, 413);
    live.stop().await;
}
