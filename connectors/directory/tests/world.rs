//! A folder in the tests' temporary place.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::new_without_default,
    clippy::unwrap_used,
    reason = "each test file uses its part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tributary_testkit::World;

/// The longest path that the system takes.
const LONGEST_PATH: usize = 4_096;

/// A folder with files, and a place where it goes when it is away.
pub struct DirectoryWorld {
    home: TempDir,
    /// The folder.
    pub root: PathBuf,
    /// The files that are listed, by id.
    files: BTreeMap<String, PathBuf>,
    made: usize,
}

impl DirectoryWorld {
    /// An empty folder.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        fs::create_dir(&root).unwrap();
        Self { home, root, files: BTreeMap::new(), made: 0 }
    }

    /// Writes a file that is listed; returns its id.
    pub fn write(&mut self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let id = id(&path);
        self.files.insert(id.clone(), path);
        id
    }

    /// A file or folder whose whole path is longer than the system takes, so that nobody can look at it, not even the
    /// superuser: it is made elsewhere, and moved with the folder it is in.
    fn beyond_reach(&self, is_folder: bool) -> PathBuf {
        let part = "d".repeat(200);
        let mut near = self.root.join("deep");
        while near.as_os_str().len() + part.len() + 10 < LONGEST_PATH {
            near.push(&part);
        }
        fs::create_dir_all(near.parent().unwrap()).unwrap();
        let elsewhere = self.home.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let name = format!("{}.txt", "f".repeat(200));
        if is_folder { fs::create_dir(elsewhere.join(&name)) } else { fs::write(elsewhere.join(&name), "x") }
            .unwrap();
        fs::rename(&elsewhere, &near).unwrap();
        near.join(name)
    }
}

/// MD5 of the whole path.
pub fn id(path: &Path) -> String {
    let digest = Md5::digest(path.as_os_str().as_encoded_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl World for DirectoryWorld {
    async fn start() -> Self {
        let mut world = Self::new();
        world.write("readme.md", "# Read me");
        world.write("a/b/deep.txt", "deep");
        world.write("a/picture.bin", [0, 159, 146, 150]);
        world.write("report.PDF", "%PDF-1.7");
        world.write(".hidden.txt", "hidden");
        // Not listed: no dot, a link to nothing, a pipe.
        fs::write(world.root.join("Makefile"), "all:").unwrap();
        std::os::unix::fs::symlink("nowhere", world.root.join("dangling.txt")).unwrap();
        world
    }

    fn config(&self) -> Map<String, Value> {
        let Value::Object(values) = json!({"directory": self.root, "pattern": "**/*.*"}) else {
            unreachable!()
        };
        values
    }

    async fn ids(&self) -> BTreeSet<String> {
        self.files.keys().cloned().collect()
    }

    async fn add(&mut self) -> String {
        self.made += 1;
        let name = format!("made/{}/file {}.txt", self.made % 7, self.made);
        self.write(&name, format!("file {}", self.made))
    }

    async fn change(&mut self, id: &str) {
        fs::write(&self.files[id], "something else").unwrap();
    }

    async fn remove(&mut self, id: &str) {
        fs::remove_file(self.files.remove(id).unwrap()).unwrap();
    }

    async fn go_away(&mut self) {
        if self.root.exists() {
            fs::rename(&self.root, self.home.path().join("away")).unwrap();
        }
    }

    async fn break_part(&mut self) -> bool {
        self.beyond_reach(true);
        true
    }

    async fn add_unreadable(&mut self) -> Option<String> {
        let path = self.beyond_reach(false);
        let id = id(&path);
        self.files.insert(id.clone(), path);
        Some(id)
    }
}
