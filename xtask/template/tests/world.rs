//! A faithful fake of the remote side, or the start of a real one.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tributary_testkit::World;

/// A file with items.
pub struct SampleWorld {
    home: TempDir,
    items: BTreeMap<String, Value>,
    made: u32,
}

impl SampleWorld {
    fn file(&self) -> PathBuf {
        self.home.path().join("items.json")
    }

    fn make(&mut self) -> String {
        self.made += 1;
        let id = format!("{:08}", self.made);
        self.put(&id, "2026-01-01T00:00:00Z");
        id
    }

    fn put(&mut self, id: &str, changed: &str) {
        let item = json!({"id": id, "title": format!("Item {id}"), "text": "text", "changed": changed});
        self.items.insert(id.to_owned(), item);
    }

    fn save(&self) {
        let items: Vec<&Value> = self.items.values().collect();
        fs::write(self.file(), serde_json::to_vec(&items).unwrap()).unwrap();
    }
}

impl World for SampleWorld {
    const MANY: usize = 450;

    async fn start() -> Self {
        let mut world = Self { home: tempfile::tempdir().unwrap(), items: BTreeMap::new(), made: 0 };
        world.fill(3).await;
        world
    }

    fn config(&self) -> Map<String, Value> {
        let Value::Object(values) = json!({"file": self.file()}) else { unreachable!() };
        values
    }

    async fn ids(&self) -> BTreeSet<String> {
        self.items.keys().cloned().collect()
    }

    async fn add(&mut self) -> String {
        let id = self.make();
        self.save();
        id
    }

    async fn change(&mut self, id: &str) {
        self.put(id, "2026-02-02T00:00:00Z");
        self.save();
    }

    async fn remove(&mut self, id: &str) {
        self.items.remove(id);
        self.save();
    }

    async fn go_away(&mut self) {
        let _gone_already = fs::remove_file(self.file());
    }

    async fn break_part(&mut self) -> bool {
        fs::write(self.file(), "[{").unwrap();
        true
    }

    async fn add_unreadable(&mut self) -> Option<String> {
        let id = self.make();
        self.put(&id, "no date");
        self.save();
        Some(id)
    }

    async fn fill(&mut self, count: usize) {
        for _ in 0..count {
            self.make();
        }
        self.save();
    }
}
