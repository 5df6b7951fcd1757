//! Secrets stay secret: whatever is planted shows in no log, document, figure, trace, argument or output.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::collector::Collector;
use support::hostile::hostile_server;
use support::monitoring::{get, monitoring};
use support::{LONG, World, client, stop, tributary};
use tributary_client::{Client, NewConnector};
use tributary_protocol::config::{ConfigField, ConfigSchema, FieldType};
use tributary_protocol::{ConnectorId, JobType, TriggerMethod};
use tributary_sdk::AnyConnector;

/// What dependencies say too, which is more than is logged by default.
const ALL: &str = "trace,tributary=trace";

/// Planted in a source's field, as password, in headers, as keys, and in a proxy's address; the last two are passwords as
/// they go over the wire.
const SECRETS: [&str; 10] = [
    "Sour-ce\"Pass 1",
    "es-PASS-word-2",
    "header-SECRET-3",
    "otlp-TOKEN-4",
    "conn-KEY-5",
    "other-KEY-6",
    "es-api-KEY-7",
    "proxy-PASS-8",
    "dTplcy1QQVNTLXdvcmQtMg==",
    "cDpwcm94eS1QQVNTLTg=",
];

/// What the process may not say: each secret in the forms in which it could stand in text.
fn leaks(text: &str) -> Vec<&'static str> {
    let escaped = |secret: &str| serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    SECRETS.into_iter().filter(|secret| text.contains(secret) || text.contains(&escaped(secret))).collect()
}

#[tokio::test]
async fn no_secret_of_the_configuration_shows_in_logs_documents_figures_traces_or_arguments() {
    for format in ["human", "json", "ecs"] {
        let world = World::new();
        let collector = Collector::start();
        // The node is elsewhere, so that the daemon has a host with credentials.
        let mut node = world.serve();
        let url = node.url();
        // A source whose error text has its secret: the folder is named after it.
        let folder = format!("/nonexistent/{}", SECRETS[0]);
        let directory = format!("directory={}", world.files().display());
        let args = [
            "connector",
            "create",
            "--service-type",
            "dir",
            "--id",
            "c",
            "--index",
            "i",
            "--set",
            &directory,
        ];
        tributary().run(args.iter().copied().chain(["--host", &url])).success();
        let node_client = client(&url);
        let sensitive = json!({"configuration": {
            "directory": {"value": folder, "sensitive": true},
            "token": {"label": "Token", "type": "str", "sensitive": true, "value": SECRETS[0]},
        }, "status": "configured"});
        let update = json!({"doc": sensitive});
        node_client.raw("POST", "/.elastic-connectors/_update/c", Some(&update)).await.unwrap();

        // With the one the other is not used.
        let password = world.path().join("password");
        fs::write(&password, SECRETS[1]).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = match format {
            "human" => format!("  username: u\n  password_file: {}\n", password.display()),
            "json" => format!("  username: u\n  password: {}\n", SECRETS[1]),
            _ => format!("  api_key: {}\n", SECRETS[6]),
        };
        // The node takes requests as a proxy does, and looks at nothing but their paths.
        let proxy = url.replace("://", &format!("://p:{}@", SECRETS[7]));
        let text = format!(
            "elasticsearch:\n  host: {url}\n{credentials}  headers: {{x-token: {}}}\n\
             connectors:\n- {{connector_id: c, service_type: dir, api_key: {}}}\n\
             service: {{log_level: trace}}\n\
             tributary:\n  log_format: {format}\n  state_dir: {}\n  poll_interval: 200ms\n\
             \x20 monitoring.listen: 127.0.0.1:0\n  proxy: '{proxy}'\n\
             \x20 otlp: {{endpoint: '{}', headers: {{authorization: Bearer {}}}}}\n",
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

/// The part of a planted secret that no way of escaping changes.
fn core(kind: &str, field: &str) -> String {
    format!("Pl4nt-{kind}-{}", field.replace('_', "-"))
}

fn must_be_given(field: &ConfigField) -> bool {
    let empty = |value: &Value| value.is_null() || value == "";
    field.required && empty(&field.value) && empty(&field.default_value)
}

/// An optional text without a default, such as the name of the user whose password is planted.
fn may_be_given(field: &ConfigField) -> bool {
    !field.sensitive && field.kind == FieldType::Str && field.value.is_null() && field.default_value.is_null()
}

/// A configuration of the source whose sensitive field is planted, whose fields that this one depends on are as they
/// must be, and whose server is at the port.
fn planted(kind: &dyn AnyConnector, sensitive: &str, port: u16) -> ConfigSchema {
    let mut schema = kind.schema();
    let names: Vec<String> = schema.iter().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        let field = schema.get_mut(name).unwrap();
        field.value = match name.as_str() {
            "host" if kind.service_type() == "mongodb" => {
                json!(format!("mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=1000"))
            }
            "host" => json!("127.0.0.1"),
            "port" => json!(port),
            "retry_count" => json!(1),
            _ if name == sensitive || (field.sensitive && must_be_given(field)) => {
                json!(format!("\"{}/ 1", core(kind.service_type(), name)))
            }
            _ if must_be_given(field) || may_be_given(field) => json!("x"),
            _ => continue,
        };
    }
    let mut open = vec![sensitive.to_owned()];
    while let Some(name) = open.pop() {
        for needed in schema.get(&name).unwrap().depends_on.clone() {
            schema.get_mut(&needed.field).unwrap().value = needed.value;
            open.push(needed.field);
        }
    }
    schema
}

/// Creates connectors with a secret in every sensitive field of every source, by the ids of the jobs that fail.
async fn plant(client: &Client) -> BTreeMap<String, String> {
    let registry = tributary_connectors::registry();
    let (hostile, nobody) = (hostile_server(), tributary_harness::free_address().port());
    let mut jobs = BTreeMap::new();
    for kind in registry.iter() {
        let schema = kind.schema();
        for (field, _) in schema.iter().filter(|(_, field)| field.sensitive) {
            for (server, port) in [("hostile", hostile), ("nobody", nobody)] {
                let name = format!("{}-{}-{server}", kind.service_type(), field.replace('_', "-"));
                let new = NewConnector {
                    index_name: Some(format!("search-{name}")),
                    service_type: Some(kind.service_type().to_owned()),
                    ..NewConnector::default()
                };
                let id = ConnectorId::from(name);
                client.create_connector(Some(&id), &new).await.unwrap();
                let configuration = planted(kind.as_ref(), field, port);
                let doc = json!({"configuration": configuration, "status": "configured"});
                client.update_connector(&id, &doc, None).await.unwrap();
                let job = client.create_job(&id, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
                jobs.insert(job.as_str().to_owned(), id.as_str().to_owned());
            }
        }
    }
    assert!(
        jobs.len() >= 2 * 7,
        "PostgreSQL, MySQL, MongoDB and Redis have seven sensitive fields: {jobs:?}"
    );
    jobs
}

/// The document without what must have the secret: the source's configuration.
fn without_configuration(mut document: Value) -> Value {
    document["configuration"].take();
    document["connector"]["configuration"].take();
    document
}

#[tokio::test]
async fn no_sensitive_field_of_any_source_shows_when_its_syncs_fail() {
    let types = tributary_connectors::registry().service_types().join(", ");
    for format in ["human", "json", "ecs"] {
        let (world, collector) = (World::new(), Collector::start());
        let data = world.data().display().to_string();
        let mut node = tributary().start(["--log", ALL, "serve", "--listen", "127.0.0.1:0", "--data", &data]);
        let url = node.url();
        let node_client = client(&url);
        node_client.ensure_protocol_indices().await.unwrap();
        let jobs = plant(&node_client).await;
        let config = world.path().join("service.yml");
        let text = format!(
            "elasticsearch.host: {url}\n\
             service:\n  worker_mode: true\n  service_types: [{types}]\n  log_level: trace\n\
             \x20 max_concurrent_content_syncs: 20\n  max_concurrent_scheduling_tasks: 20\n\
             tributary:\n  log_format: {format}\n  state_dir: '{}'\n  monitoring.listen: 127.0.0.1:0\n\
             \x20 otlp: {{endpoint: '{}'}}\n",
            world.path().join("state").display(),
            collector.url,
        );
        fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        let mut daemon = tributary().start(["--log", ALL, "run", "-c", config]);
        let address = monitoring(&mut daemon);

        let mut said = Vec::new();
        for (job, connector) in &jobs {
            let end = Instant::now() + LONG;
            let ended = loop {
                let path = format!("/_connector/_sync_job/{job}");
                let found = node_client.raw("GET", &path, None).await.unwrap();
                if found["status"] == "error" {
                    break found;
                }
                assert!(Instant::now() < end, "the job of {connector} ends: {found}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            said.push((format!("job of {connector}"), without_configuration(ended).to_string()));
            let path = format!("/_connector/{connector}");
            let found = node_client.raw("GET", &path, None).await.unwrap();
            said.push((format!("connector {connector}"), without_configuration(found).to_string()));
        }
        if format == "human" {
            said.extend(told_by_commands(&url, config, &jobs));
        }
        said.push(("figures".to_owned(), get(&address, "/metrics").1));
        for (what, id) in [("arguments of the node", node.id()), ("arguments of the daemon", daemon.id())] {
            said.push((what.to_owned(), fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap()));
        }
        daemon.terminate();
        daemon.wait(Duration::from_secs(30));
        let lines = daemon.lines();
        assert!(lines.len() > 20 * jobs.len(), "everything is logged: {}", lines.len());
        said.push(("log of the daemon".to_owned(), lines.join("\n")));
        said.push(("log of the node".to_owned(), node.lines().join("\n")));
        let spans: Vec<String> = collector.spans().into_iter().map(|(_, span, _)| span).collect();
        said.push(("spans".to_owned(), spans.join("\n")));
        stop(node);
        let shown: Vec<String> = said.iter().filter_map(|(what, text)| shown(what, text)).collect();
        assert!(shown.is_empty(), "{format}:\n{}", shown.join("\n"));
        // Servers did say the passwords, so there was something to hide.
        let errors: Vec<&str> = said.iter().filter_map(|(_, text)| text.split("\"error\":").nth(1)).collect();
        let hidden = errors.iter().filter(|error| error.contains("***")).count();
        assert!(hidden >= 2, "{errors:#?}");
    }
}

/// Where a secret shows in a text.
fn shown(what: &str, text: &str) -> Option<String> {
    let at = text.find("Pl4nt-")?;
    let around: String = text[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[at..].chars().take(100).collect();
    Some(format!("{what}: ...{around}{after}..."))
}

/// What commands print about the connectors, on both outputs.
fn told_by_commands(url: &str, config: &str, jobs: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let mut tell = |args: &[&str]| {
        let mut all = vec!["--log", ALL];
        all.extend(args);
        if args[0] != "check" {
            all.extend(["--host", url]);
        }
        let ended = tributary().run(&all);
        assert!(!ended.stdout.is_empty() || !ended.stderr.is_empty(), "{args:?}");
        said.push((args.join(" "), format!("{}\n{}", ended.stdout, ended.stderr)));
    };
    tell(&["check", "-c", config]);
    tell(&["check", "-c", config, "--output", "json"]);
    tell(&["connector", "list", "--output", "json"]);
    for (job, connector) in jobs.iter().filter(|(_, connector)| connector.ends_with("hostile")) {
        tell(&["job", "view", job, "--output", "json"]);
        tell(&["job", "view", job, "--logs"]);
        tell(&["connector", "show", connector]);
        tell(&["connector", "show", connector, "--output", "json"]);
        tell(&["sync", connector]);
    }
    said
}
