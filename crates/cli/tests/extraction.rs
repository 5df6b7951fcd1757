//! A sync whose files' text comes from a data extraction service.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{World, parse, tributary};

/// Answers each file with its text in upper case; a ping too. Counts the files.
fn service() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                let line = line.to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if first.starts_with("PUT /extract_text/ ") {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            let text = serde_json::json!({"extracted_text": String::from_utf8_lossy(&body).to_uppercase()})
                .to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            stream.write_all((head + &text).as_bytes()).unwrap();
        }
    });
    (host, count)
}

#[test]
fn files_get_their_text_from_the_service_where_the_connector_asks_for_it() {
    let world = World::new();
    world.write("a.pdf", "not really a pdf");
    world.write("b.md", "plain text");
    let mut node = world.serve();
    let url = node.url();
    let (host, asked) = service();
    let config = world.path().join("config.yml");
    let state = world.path().join("state");
    let text = format!(
        "elasticsearch: {{host: '{url}', api_key: a2V5}}\nextraction_service.host: '{host}'\n\
         tributary.state_dir: '{}'\n",
        state.display()
    );
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    tributary().run(["check", "-c", config]).success();

    let directory = format!("directory={}", world.files().display());
    let create = ["connector", "create", "-c", config, "--service-type", "dir", "--id", "c", "--index", "c"];
    let values = ["--set", &directory, "--set", "use_text_extraction_service=true"];
    tributary().run(create.iter().chain(&values).copied()).success();
    tributary().run(["sync", "c", "-c", config]).success();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "texts need no service");
    let found = tributary().run(["search", "c", "REALLY", "-c", config, "-o", "json"]).success();
    assert!(found.contains("NOT REALLY A PDF"), "{found}");
    assert!(!found.contains("_attachment"), "{found}");

    // Without the service the documents are there, and the job says what they lack.
    fs::write(
        config,
        format!(
            "elasticsearch: {{host: '{url}', api_key: a2V5}}\ntributary.state_dir: '{}'\n",
            state.display()
        ),
    )
    .unwrap();
    world.write("c.pdf", "another");
    let synced = tributary().run(["sync", "c", "-c", config]).success();
    let job = parse(&tributary().run(["job", "list", "c", "-c", config, "-o", "json"]).success());
    assert!(job[0].to_string().contains("no extraction_service is configured"), "{job} {synced}");
    support::stop(node);
}
