//! `kill -9` in the middle of a table: the next daemon goes on behind the rows that were written already.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{World, client, parse, stop, tributary};
use tributary_client::Client;
use tributary_harness::Process;
use tributary_testkit::{DatabaseServer, Proxy};

const ROWS: usize = 8_000;
/// Rows that lie before every checkpoint: one is told after each thousand.
const FIRST: usize = 900;

/// A table `items` with the columns `id` and `note`, in a database of its own.
struct Table {
    server: &'static DatabaseServer,
    database: String,
    service_type: &'static str,
    /// Keys of the configuration that sources call by other names.
    account: &'static str,
    more: &'static [&'static str],
    /// What comes before the row's number in ids.
    id: String,
    note: &'static str,
}

impl Table {
    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }

    /// Id to note, as documents have them.
    fn rows(&self) -> BTreeMap<String, String> {
        let rows = self.sql("SELECT concat(id, ' ', note) FROM items");
        let row = |line: &str| {
            let (id, note) = line.split_once(' ').unwrap();
            (format!("{}{id}", self.id), note.to_owned())
        };
        rows.lines().map(row).collect()
    }

    async fn indexed(&self, node: &Client) -> BTreeMap<String, String> {
        node.raw("POST", "/i/_refresh", None).await.unwrap();
        let answer = node.raw("POST", "/i/_search", Some(&json!({"size": 10_000}))).await.unwrap();
        let read = |hit: &Value| {
            let note = hit["_source"][self.note].as_str().unwrap_or_default();
            (hit["_id"].as_str().unwrap().to_owned(), note.to_owned())
        };
        answer["hits"]["hits"].as_array().unwrap().iter().map(read).collect()
    }

    fn daemon(&self, world: &World, url: &str) -> Process {
        let config = world.path().join("config.yml");
        let text = format!(
            "elasticsearch.host: {url}\nservice: {{worker_mode: true, service_types: [{}]}}\ntributary:\n  \
             poll_interval: 300ms\n  lease: 5s\n  state_dir: {}\n",
            self.service_type,
            state(world).display()
        );
        fs::write(&config, text).unwrap();
        tributary().start(["run", "-c", &config.display().to_string()])
    }

    fn create(&self, url: &str, port: u16) {
        let values = [
            format!("host=127.0.0.1,port={port}",),
            format!("{}={}", self.account, DatabaseServer::USER),
            format!("password={}", DatabaseServer::PASSWORD),
            format!("database={}", self.database),
        ];
        let values = values.iter().flat_map(|value| value.split(','));
        let mut args = vec!["connector", "create", "--service-type", self.service_type, "--id", "c"];
        args.extend(["--index", "i", "--host", url]);
        args.extend(values.chain(self.more.iter().copied()).flat_map(|value| ["--set", value]));
        tributary().run(args).success();
    }
}

fn state(world: &World) -> std::path::PathBuf {
    world.path().join("state")
}

/// Whether a file of this name is in a folder or below.
fn holds(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name() == name || holds(&entry.path(), name))
}

fn start(url: &str) -> String {
    let started = tributary().run(["job", "start", "c", "--host", url, "--output", "json"]).success();
    parse(&started)["id"].as_str().unwrap().to_owned()
}

fn ended(url: &str, job: &str) -> Value {
    let shown = tributary().run(["job", "view", job, "--watch", "--host", url, "--output", "json"]);
    parse(&shown.success())
}

async fn goes_on_after_a_kill(table: Table) {
    let note = "repeat('filler ', 90)";
    let numbers = match table.service_type {
        "mysql" => format!("SELECT seq, concat(seq, ' ', {note}) FROM seq_1_to_{ROWS}"),
        _ => format!("SELECT n, concat(n, ' ', {note}) FROM generate_series(1, {ROWS}) n"),
    };
    table.sql("CREATE TABLE items (id int PRIMARY KEY, note text)");
    table.sql(&format!("INSERT INTO items {numbers}"));
    let before = table.rows();
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    let node_client = client(&url);
    let proxy = Proxy::to(table.server.address).await;
    table.create(&url, proxy.address().port());

    proxy.slow_down(Duration::from_millis(50));
    let mut first = table.daemon(&world, &url);
    let job = start(&url);
    let kept = async || holds(&state(&world), "manifest.json");
    support::eventually("a checkpoint is stored", kept).await;
    first.kill();
    let written = table.indexed(&node_client).await;
    assert!((FIRST..ROWS).contains(&written.len()), "{} documents were written by then", written.len());

    // Whoever read them again would see this.
    table.sql(&format!("UPDATE items SET note = 'changed' WHERE id <= {FIRST}"));
    proxy.slow_down(Duration::ZERO);
    let second = table.daemon(&world, &url);
    let shown = ended(&url, &job);
    assert_eq!(shown["status"], "completed", "{shown}");
    assert_eq!(shown["metadata"]["tributary"]["takeovers"], 1, "{shown}");
    let resumed = table.indexed(&node_client).await;
    assert_eq!(resumed.len(), ROWS);
    let differ = before.iter().filter(|(id, note)| resumed.get(*id) != Some(note)).count();
    assert_eq!(differ, 0, "of {FIRST} rows before the checkpoint");

    let shown = ended(&url, &start(&url));
    assert_eq!(shown["status"], "completed", "{shown}");
    assert_eq!(shown["indexed_document_count"], FIRST, "{shown}");
    assert!(table.indexed(&node_client).await == table.rows(), "the index equals the table");
    stop(second);
    stop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_table_is_read_on_behind_the_last_row() {
    let server = DatabaseServer::postgresql();
    let database = server.next_database();
    server.sql("postgres", &format!("CREATE DATABASE \"{database}\""));
    let id = format!("{database}_public_items_");
    let (account, more) = ("username", &["schema=public", "ssl_mode=disable"][..]);
    let service_type = "postgresql";
    goes_on_after_a_kill(Table {
        server,
        database,
        service_type,
        account,
        more,
        id,
        note: "public_items_note",
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_table_is_read_on_behind_the_last_row() {
    let server = DatabaseServer::mariadb();
    let database = server.next_database();
    server.sql("mysql", &format!("CREATE DATABASE {database}"));
    let id = "items_".to_owned();
    let (account, more) = ("user", &[][..]);
    goes_on_after_a_kill(Table { server, database, service_type: "mysql", account, more, id, note: "note" })
        .await;
}
