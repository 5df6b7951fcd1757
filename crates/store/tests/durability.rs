//! What was acknowledged is there after the process was killed, whatever it was doing.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Fixture, index_op, options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_store::{Action, CreateIndex, Query, Store, StoreOptions, SyncMode, WriteOp};

const FOLDER: &str = "TRIBUTARY_STORE_TEST_FOLDER";
/// Ids that the child writes again and again.
const IDS: u64 = 40;

/// What write number `step` does: mostly puts, now and then a delete.
fn operation(step: u64) -> (String, Option<Value>) {
    let id = format!("id{}", step * 7 % IDS);
    let source = (!step.is_multiple_of(11)).then(|| json!({"step": step, "text": "x".repeat(200)}));
    (id, source)
}

fn write_op(step: u64) -> WriteOp {
    let (id, source) = operation(step);
    match source {
        Some(source) => index_op("docs", &id, &source),
        None => WriteOp::new("docs", Some(id), Action::Delete),
    }
}

/// Not a test: what the killed process does. It tells each write that was acknowledged.
#[tokio::test]
#[ignore = "run by other tests"]
async fn child_writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Store::open(StoreOptions::new(folder).sync(SyncMode::None)).unwrap();
    if store.index("docs").is_none() {
        store.create_index("docs", CreateIndex::default()).unwrap();
    }
    let mut out = std::io::stdout();
    let mut step =
        store.index("docs").and_then(|info| info.max_seq_no).map_or(0, |seq| (seq / 100 + 1) * 100);
    loop {
        let size = step % 5 + 1;
        let results = store.write((step..step + size).map(write_op).collect()).await;
        assert!(results.iter().all(Result::is_ok));
        for done in step..step + size {
            writeln!(out, "acknowledged {done}").unwrap();
        }
        out.flush().unwrap();
        step += size;
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the child until it has acknowledged so many writes, and kills it. Gives the first and last of them.
fn run_and_kill(folder: &Path, writes: usize) -> (u64, u64) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let number = |line: &str| line.split("acknowledged ").nth(1).and_then(|n| n.trim().parse::<u64>().ok());
    let mut seen = Vec::new();
    while seen.len() < writes {
        let Some(line) = lines.next() else { break };
        seen.extend(number(&line.unwrap()));
    }
    child.0.kill().unwrap();
    // What it said before it died counts too.
    seen.extend(lines.map_while(Result::ok).filter_map(|line| number(&line)));
    child.0.wait().unwrap();
    assert!(seen.len() >= writes, "the child stopped after {} writes", seen.len());
    (seen[0], *seen.last().unwrap())
}

/// Every document is in the state of its last acknowledged write, or of one that followed.
fn assert_nothing_lost(store: &Store, first: u64, last: u64) {
    let mut latest: HashMap<String, u64> = HashMap::new();
    for step in first..=last {
        latest.insert(operation(step).0, step);
    }
    for (id, step) in latest {
        let found = store.get("docs", &id).unwrap();
        let is =
            found.map(|doc| serde_json::from_slice::<Value>(&doc.source).unwrap()["step"].as_u64().unwrap());
        // The child may have stored one bulk more than it told.
        let later =
            std::iter::once(step).chain((last + 1..last + 10).filter(|later| operation(*later).0 == id));
        let allowed: Vec<Option<u64>> = later.map(|later| operation(later).1.map(|_| later)).collect();
        assert!(allowed.contains(&is), "{id}: wrote {step}, found {is:?}");
    }
}

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    let dir = TempDir::new().unwrap();
    for writes in [1, 150, 700] {
        let (first, last) = run_and_kill(dir.path(), writes);
        let store = Store::open(options(&dir)).unwrap();
        assert_nothing_lost(&store, first, last);
        // Search is brought up to what is stored.
        store.refresh(&["docs".to_owned()]).await.unwrap();
        let found = store.count(&["docs".to_owned()], &Query::match_all()).await.unwrap();
        let live = store.scan("docs", None, 10_000).unwrap().docs.len() as u64;
        assert_eq!([found, store.index("docs").unwrap().doc_count], [live, live]);
        store.close();
    }
}

#[tokio::test]
async fn a_process_killed_while_a_lot_waits_for_search_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let (first, last) = run_and_kill(dir.path(), 6_000);
    let store = Store::open(options(&dir)).unwrap();
    assert_nothing_lost(&store, first, last);
    store.refresh(&["docs".to_owned()]).await.unwrap();
    let live: Vec<u64> =
        store.scan("docs", None, 10_000).unwrap().docs.iter().map(|doc| doc.seq_no).collect();
    for doc in store.scan("docs", None, 10_000).unwrap().docs {
        let step = serde_json::from_slice::<Value>(&doc.source).unwrap()["step"].clone();
        assert_eq!(store.count(&["docs".to_owned()], &Query::term("step", step)).await.unwrap(), 1);
    }
    assert_eq!(store.count(&["docs".to_owned()], &Query::match_all()).await.unwrap(), live.len() as u64);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            // A file may be replaced while it is copied.
            let _ = fs::copy(entry.path(), target);
        }
    }
}

/// The journal that was written last.
fn journal(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "jnl") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.pop().unwrap()
}

/// Where the journal's content ends: it is followed by zeros that were reserved.
fn content_length(journal: &Path) -> u64 {
    let bytes = fs::read(journal).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
}

#[tokio::test]
async fn a_torn_last_write_is_dropped_and_all_before_it_is_kept() {
    let fixture = Fixture::with_index("docs", json!({}));
    for n in 0..20 {
        fixture.put("docs", &format!("id{n}"), json!({"n": n})).await.unwrap();
    }
    let before = TempDir::new().unwrap();
    copy(fixture.dir.path(), before.path());
    let whole = content_length(&journal(before.path()));
    fixture.put("docs", "last", json!({"text": "y".repeat(300)})).await.unwrap();
    let crashed = TempDir::new().unwrap();
    copy(fixture.dir.path(), crashed.path());
    let end = content_length(&journal(crashed.path()));
    assert!(end > whole + 50, "the journal holds the last write: {whole} to {end}");
    for cut in [end - 1, end - 40, whole + 30, whole + 3, whole] {
        let torn = TempDir::new().unwrap();
        copy(crashed.path(), torn.path());
        let path = journal(torn.path());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let store = Store::open(options(&torn)).unwrap();
        for n in 0..20 {
            assert!(store.get("docs", &format!("id{n}")).unwrap().is_some(), "id{n} after a cut at {cut}");
        }
        assert_eq!(store.get("docs", "last").unwrap(), None, "cut at {cut}");
        // The store goes on as if the torn write had never been.
        let written = store.write(vec![index_op("docs", "last", &json!({"n": 21}))]).await.remove(0).unwrap();
        assert_eq!((written.version, written.seq_no), (1, 20));
        store.refresh(&["docs".to_owned()]).await.unwrap();
        assert_eq!(store.count(&["docs".to_owned()], &Query::match_all()).await.unwrap(), 21);
        store.close();
        let store = Store::open(options(&torn)).unwrap();
        assert!(store.get("docs", "last").unwrap().is_some());
    }
}

#[tokio::test]
async fn a_search_index_that_was_lost_is_made_again() {
    let mut fixture = Fixture::with_index("docs", json!({"properties": {"k": {"type": "keyword"}}}));
    let sources: Vec<Value> = (0..50).map(|n| json!({"k": format!("v{}", n % 5)})).collect();
    fixture.fill("docs", &sources).await;
    assert_eq!(fixture.ids("docs", json!({"term": {"k": "v1"}})).await.len(), 10);
    fixture.store.close();
    fs::remove_dir_all(fixture.dir.path().join("search")).unwrap();
    fixture.reopen();
    fixture.refresh("docs").await;
    assert_eq!(fixture.ids("docs", json!({"term": {"k": "v1"}})).await.len(), 10);
}

#[tokio::test]
async fn a_folder_in_use_is_refused() {
    let fixture = Fixture::new();
    let error = Store::open(options(&fixture.dir)).err().unwrap();
    assert_eq!(error.kind(), tributary_store::ErrorKind::Locked);
}
