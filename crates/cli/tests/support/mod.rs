//! What the end-to-end tests share.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "support for tests, of which each uses a part"
)]

pub(crate) mod collector;
pub(crate) mod disk;
pub(crate) mod hostile;
pub(crate) mod monitoring;
pub(crate) mod writers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_client::{Client, ClientOptions};
use tributary_harness::{Binary, Process};

/// Time that is long enough on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// The binary under test.
pub(crate) fn tributary() -> Binary {
    // What the machine's user has logged in to is not for tests.
    Binary::new(env!("CARGO_BIN_EXE_tributary")).env("XDG_CONFIG_HOME", "/nonexistent")
}

/// A folder of files beside a data folder.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        Self { folder }
    }

    /// The folder to sync.
    pub(crate) fn files(&self) -> PathBuf {
        // As the program sees it.
        fs::canonicalize(self.folder.path()).unwrap().join("files")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.files().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.files().join(name)).unwrap();
    }

    /// Starts quickstart on the folder, on a free port.
    pub(crate) fn quickstart(&self) -> Process {
        tributary().start(self.quickstart_args())
    }

    pub(crate) fn quickstart_args(&self) -> Vec<String> {
        let (files, data) = (self.files().display().to_string(), self.data().display().to_string());
        ["quickstart", &files, "--listen", "127.0.0.1:0", "--data", &data].map(str::to_owned).to_vec()
    }

    /// Starts a node on the data folder, on a free port.
    pub(crate) fn serve(&self) -> Process {
        let data = self.data().display().to_string();
        tributary().start(["serve", "--listen", "127.0.0.1:0", "--data", &data])
    }

    /// The folder's files: path to text.
    pub(crate) fn on_disk(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.files()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.insert(path.display().to_string(), fs::read_to_string(&path).unwrap());
                }
            }
        }
        found
    }
}

/// Ends a process as Ctrl-C does and asserts that it ended well.
pub(crate) fn stop(mut process: Process) {
    process.interrupt();
    let status = process.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "a process that is asked to stop exits with 0");
}

pub(crate) fn client(url: &str) -> Client {
    Client::new(ClientOptions::new([url])).unwrap()
}

/// A document as the index has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Indexed {
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) version: i64,
    pub(crate) seq_no: i64,
}

/// Every document of an index, by id.
pub(crate) async fn indexed(client: &Client, index: &str) -> BTreeMap<String, Indexed> {
    client.raw("POST", &format!("/{index}/_refresh"), None).await.unwrap();
    let body =
        json!({"size": 10000, "version": true, "seq_no_primary_term": true, "query": {"match_all": {}}});
    let answer = client.raw("POST", &format!("/{index}/_search"), Some(&body)).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |hit: &Value| {
        let indexed = Indexed {
            path: text(&hit["_source"]["path"]),
            body: text(&hit["_source"]["body"]),
            version: hit["_version"].as_i64().unwrap(),
            seq_no: hit["_seq_no"].as_i64().unwrap(),
        };
        (text(&hit["_id"]), indexed)
    };
    answer["hits"]["hits"].as_array().unwrap().iter().map(read).collect()
}

/// Path to text of every document of an index.
pub(crate) async fn in_index(client: &Client, index: &str) -> BTreeMap<String, String> {
    indexed(client, index).await.into_values().map(|document| (document.path, document.body)).collect()
}

/// What of the folder is not in the index as it should be, and the reverse; empty when they are equal.
pub(crate) async fn differences(client: &Client, index: &str, world: &World) -> Vec<String> {
    let (indexed, on_disk) = (in_index(client, index).await, world.on_disk());
    let paths: std::collections::BTreeSet<&String> = indexed.keys().chain(on_disk.keys()).collect();
    let differs = |path: &&String| indexed.get(*path) != on_disk.get(*path);
    let short = |text: Option<&String>| {
        text.map_or_else(|| "nothing".to_owned(), |text| text.chars().take(60).collect())
    };
    let tell = |path: &String| {
        format!("{path}: '{}' in the index, '{}' on disk", short(indexed.get(path)), short(on_disk.get(path)))
    };
    paths.into_iter().filter(differs).map(tell).take(20).collect()
}

/// Waits until `holds` does.
pub(crate) async fn eventually<F: AsyncFn() -> bool>(what: &str, holds: F) {
    let end = Instant::now() + LONG;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}
