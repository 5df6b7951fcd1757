//! `tributary run` as a service: metrics and health, reload, traces, logs of jobs, and no secret anywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use support::{LONG, World, client, eventually, parse, stop, tributary};
use tributary_harness::Process;

fn config(world: &World, more: &str) -> String {
    let path = world.path().join("config.yml");
    let text = format!(
        "tributary:\n  data_dir: {}\n  node.listen: 127.0.0.1:0\n  poll_interval: 200ms\n  lease: 3s\n{more}",
        world.data().display()
    );
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Creates connector `c` for the world's files.
fn create(world: &World, url: &str) {
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "i", "--set", &directory];
    tributary().run(args.iter().copied().chain(["--host", url])).success();
}

/// Syncs connector `c` and gives the job's id.
fn sync(url: &str) -> String {
    let ended = tributary().run(["job", "start", "c", "--wait", "--host", url, "--output", "json"]).success();
    parse(&ended)["id"].as_str().unwrap().to_owned()
}

/// Status and body of an answer.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The address of `/metrics`, from the log.
fn monitoring(process: &mut Process) -> String {
    let line = process.wait_for("metrics and health at http://", LONG);
    line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn metrics_and_health_are_served_where_the_configuration_says() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "  monitoring.listen: 127.0.0.1:0\n")]);
    let url = running.url();
    let address = monitoring(&mut running);
    create(&world, &url);
    sync(&url);
    assert_eq!(get(&address, "/healthz").0, 200);
    eventually("ready", async || get(&address, "/readyz").0 == 200).await;
    // Gauges are of the last look.
    let connected = "tributary_connectors{status=\"connected\"} 1";
    eventually("the look shows", async || get(&address, "/metrics").1.contains(connected)).await;
    let (status, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    for line in [
        "tributary_jobs_finished_total{job_type=\"full\",status=\"completed\"} 1",
        "tributary_documents_total{outcome=\"created\"} 1",
        "tributary_request_failures_total{kind=\"throttled\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert_eq!(get(&address, "/other").0, 404);
    stop(running);
}

#[test]
fn a_daemon_without_its_cluster_is_alive_and_not_ready() {
    let world = World::new();
    let nobody = tributary_harness::free_address();
    let path = world.path().join("config.yml");
    let text = format!(
        "elasticsearch: {{host: 'http://{nobody}', max_wait_duration: 60}}\n\
         tributary: {{state_dir: {}, monitoring.listen: '127.0.0.1:0'}}\n",
        world.data().display()
    );
    fs::write(&path, text).unwrap();
    let mut running = tributary().start(["run", "-c", path.to_str().unwrap()]);
    let address = monitoring(&mut running);
    assert_eq!(get(&address, "/healthz").0, 200);
    let (status, body) = get(&address, "/readyz");
    assert_eq!(status, 503);
    assert!(parse(&body)["reason"].as_str().unwrap().contains("could not be looked at"), "{body}");
    stop(running);
}

#[tokio::test]
async fn a_reload_tells_what_changed_and_what_needs_a_restart_and_a_broken_file_changes_nothing() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create(&world, &url);

    config(&world, "  log_format: json\nservice: {heartbeat: 7, log_level: debug}\n");
    running.hang_up();
    running.wait_for("changed: service.heartbeat: 5m -> 7s", LONG);
    running.wait_for("changed, but needs a restart: tributary.log_format: human -> json", LONG);
    running.wait_for("going on with the new configuration", LONG);
    let id = sync(&url);
    assert!(!id.is_empty());
    eventually("debug lines come", async || running.lines().iter().any(|line| line.contains("DEBUG"))).await;

    config(&world, "nonsense: 1\nservice: {heartbeat: often}\n");
    running.hang_up();
    running.wait_for("refused and the former one goes on", LONG);
    let refused = running.lines().iter().filter(|line| line.contains("refused and the former")).count();
    assert_eq!(refused, 2, "each problem has its line");
    sync(&url);

    config(&world, "service: {heartbeat: 7, log_level: debug}\nconnectors: [{connector_id: other}]\n");
    running.hang_up();
    running.wait_for("changed: connectors: none -> other", LONG);
    let started = tributary().run(["job", "start", "c", "--host", &url, "--output", "json"]).success();
    let id = parse(&started)["id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let job = client(&url).raw("GET", &format!("/_connector/_sync_job/{id}"), None).await.unwrap();
    assert_eq!(job["status"], "pending", "the connector is not served any more");
    stop(running);
}

#[tokio::test]
async fn the_log_of_a_job_is_seen_from_anywhere() {
    let world = World::new();
    world.write("a.md", "text");
    let mut running = tributary().start(["run", "-c", &config(&world, "")]);
    let url = running.url();
    create(&world, &url);
    let id = sync(&url);
    let text = tributary().run(["job", "view", &id, "--logs", "--follow", "--host", &url]).success();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.first().unwrap().contains("INFO the sync begins attempt=1"), "{text}");
    assert!(lines.last().unwrap().contains("INFO the sync ended status=\"completed\" created=1"), "{text}");
    let document = tributary().run(["job", "view", &id, "--logs", "--host", &url, "--output", "json"]);
    assert_eq!(parse(&document.success())["log"].as_array().unwrap().len(), lines.len());
    stop(running);
}

/// Requests by head and body.
type Received = Mutex<Vec<(String, Vec<u8>)>>;

/// A collector that keeps what it is sent.
struct Collector {
    url: String,
    received: Arc<Received>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                std::thread::spawn(move || take(&stream, &into));
            }
        });
        Self { url, received }
    }

    /// The spans received so far: name, attributes, and the head of their request.
    fn spans(&self) -> Vec<(String, String, String)> {
        let mut spans = Vec::new();
        for (head, body) in self.received.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for resource in request.resource_spans {
                let service = format!("{:?}", resource.resource);
                assert!(service.contains("tributary"), "{service}");
                let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (span.name.clone(), format!("{span:?}"), head.clone())));
            }
        }
        spans
    }
}

fn take(stream: &TcpStream, into: &Received) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        into.lock().unwrap().push((head, body));
        let mut answer = stream;
        answer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

#[tokio::test]
async fn spans_of_jobs_are_sent_to_a_collector() {
    let world = World::new();
    world.write("a.md", "text");
    let collector = Collector::start();
    let otlp =
        format!("  otlp: {{endpoint: '{}', headers: {{authorization: Bearer tok-12345}}}}\n", collector.url);
    let mut running = tributary().start(["run", "-c", &config(&world, &otlp)]);
    let url = running.url();
    create(&world, &url);
    let id = sync(&url);
    // What is left is sent at the end.
    stop(running);
    let spans = collector.spans();
    let job = spans.iter().find(|(name, attributes, _)| name == "job" && attributes.contains(&id));
    let (_, attributes, head) = job.unwrap_or_else(|| panic!("no span of the job among {spans:#?}"));
    assert!(attributes.contains("connector_id") && attributes.contains("the sync ended"), "{attributes}");
    assert!(head.starts_with("POST /v1/traces"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer tok-12345"), "{head}");
    assert!(spans.iter().any(|(name, ..)| name == "bulk"), "{spans:#?}");
}

/// Planted in a source's field, as password, in headers, and as keys; the last is the password as it goes over the wire.
const SECRETS: [&str; 7] = [
    "Sour-ce\"Pass 1",
    "es-PASS-word-2",
    "header-SECRET-3",
    "otlp-TOKEN-4",
    "conn-KEY-5",
    "other-KEY-6",
    "dTplcy1QQVNTLXdvcmQtMg==",
];

/// What the process may not say: each secret in the forms in which it could stand in text.
fn leaks(text: &str) -> Vec<&'static str> {
    let escaped = |secret: &str| serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    SECRETS.into_iter().filter(|secret| text.contains(secret) || text.contains(&escaped(secret))).collect()
}

#[tokio::test]
async fn no_secret_shows_in_logs_documents_figures_traces_or_arguments() {
    for format in ["human", "json", "ecs"] {
        let world = World::new();
        let collector = Collector::start();
        // The node is elsewhere, so that the daemon has a host with credentials.
        let mut node = world.serve();
        let url = node.url();
        // A source whose error text has its secret: the folder is named after it.
        let folder = format!("/nonexistent/{}", SECRETS[0]);
        create(&world, &url);
        let node_client = client(&url);
        let sensitive = json!({"configuration": {
            "directory": {"value": folder, "sensitive": true},
            "token": {"label": "Token", "type": "str", "sensitive": true, "value": SECRETS[0]},
        }, "status": "configured"});
        let update = json!({"doc": sensitive});
        node_client.raw("POST", "/.elastic-connectors/_update/c", Some(&update)).await.unwrap();

        let password = world.path().join("password");
        fs::write(&password, SECRETS[1]).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "elasticsearch:\n  host: {url}\n  username: u\n  password_file: {}\n  headers: {{x-token: {}}}\n\
             connectors:\n- {{connector_id: c, service_type: dir, api_key: {}}}\n\
             service: {{log_level: trace}}\n\
             tributary:\n  log_format: {format}\n  state_dir: {}\n  poll_interval: 200ms\n\
             \x20 monitoring.listen: 127.0.0.1:0\n\
             \x20 otlp: {{endpoint: '{}', headers: {{authorization: Bearer {}}}}}\n",
            password.display(),
            SECRETS[2],
            SECRETS[4],
            world.path().join("state").display(),
            collector.url,
            SECRETS[3],
        );
        let path = world.path().join("service.yml");
        fs::write(&path, &text).unwrap();
        let mut running =
            tributary().start(["--log", "trace,tributary=trace", "run", "-c", path.to_str().unwrap()]);
        let address = monitoring(&mut running);
        let id = node_client
            .raw("POST", "/_connector/_sync_job", Some(&json!({"id": "c", "job_type": "full"})))
            .await
            .unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut job = Value::Null;
        let end = Instant::now() + LONG;
        while job["status"] != "error" {
            assert!(Instant::now() < end, "the job ends: {job} {:?}", running.lines());
            tokio::time::sleep(Duration::from_millis(100)).await;
            job = node_client.raw("GET", &format!("/_connector/_sync_job/{id}"), None).await.unwrap();
        }
        let error = job["error"].as_str().unwrap();
        assert!(error.contains("***"), "the source's error is told without its secret: {error}");
        // A reload tells of changed secrets.
        fs::write(&path, text.replace(SECRETS[4], SECRETS[5])).unwrap();
        running.hang_up();
        running.wait_for("changed: connectors", LONG);
        let arguments = fs::read_to_string(format!("/proc/{}/cmdline", running.id())).unwrap();
        let (_, figures) = get(&address, "/metrics");
        running.terminate();
        running.wait(Duration::from_secs(30));
        let log = running.lines().join("\n");
        assert!(log.contains("***"), "{log}");
        assert!(log.lines().count() > 20, "{log}");
        let connector = node_client.raw("GET", "/_connector/c", None).await.unwrap();
        let told = [&connector["error"], &connector["last_sync_error"], &job["error"], &job["metadata"]];
        let told = told.map(ToString::to_string).join("\n");
        let spans = format!("{:?}", collector.spans().iter().map(|(_, span, _)| span).collect::<Vec<_>>());
        for (what, text) in [
            ("log", &log),
            ("arguments", &arguments),
            ("figures", &figures),
            ("documents", &told),
            ("spans", &spans),
        ] {
            assert_eq!(leaks(text), [""; 0], "{format}: {what}: {text}");
        }
        stop(node);
    }
}
