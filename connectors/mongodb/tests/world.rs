//! A real server of MongoDB's wire protocol, FerretDB, started for one test.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; each test file uses its part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use mongodb::{Client, Collection};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tributary_testkit::{Authority, World};

pub const DATABASE: &str = "shop";
pub const COLLECTION: &str = "customers";

/// The server's program; built by the first test that wants it.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ferretdb/build");
        let built = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(
            built.status.success(),
            "the test server cannot be built; it needs Go (Debian package golang-go)"
        );
        PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
    })
}

/// A server process on free ports, stopped when it is dropped.
pub struct Server {
    process: Child,
    pub home: TempDir,
    pub port: u16,
    pub encrypted: u16,
}

impl Server {
    pub async fn start() -> Self {
        Self::launch(None).await
    }

    /// A server that is encrypted on [`Server::encrypted`] as well.
    pub async fn with(authority: &Authority) -> Self {
        Self::launch(Some(authority)).await
    }

    async fn launch(authority: Option<&Authority>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (port, encrypted) = (free_port(), free_port());
        let data = home.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new(program());
        command.arg(format!("127.0.0.1:{port}")).arg(&data);
        if let Some(authority) = authority {
            let certificate = authority.issue(&["localhost", "127.0.0.1"]);
            command.arg(format!("127.0.0.1:{encrypted}"));
            let files = [("srv.crt", certificate.certificate), ("srv.key", certificate.key)];
            for (name, text) in files {
                let path = home.path().join(name);
                std::fs::write(&path, text).unwrap();
                command.arg(path);
            }
        }
        let process = command.current_dir(&home).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { process, home, port, encrypted };
        server.wait().await;
        server
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(self.process.try_wait().unwrap().is_none(), "the test server ended");
            assert!(Instant::now() < deadline, "the test server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn address(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?serverSelectionTimeoutMS=1000", self.port)
    }

    pub async fn client(&self) -> Client {
        Client::with_uri_str(format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port))
            .await
            .unwrap()
    }

    pub async fn collection(&self, name: &str) -> Collection<Document> {
        self.client().await.database(DATABASE).collection(name)
    }

    pub fn stop(&mut self) {
        let _stopped_already = self.process.kill();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A collection with documents of many types.
pub struct MongodbWorld {
    pub server: Server,
    pub customers: Collection<Document>,
    /// The ids of what is listed, by their texts.
    ids: BTreeMap<String, Bson>,
    made: u32,
}

impl MongodbWorld {
    pub async fn put(&mut self, document: Document) -> String {
        let id = document.get("_id").unwrap().clone();
        let text = match &id {
            Bson::ObjectId(id) => id.to_hex(),
            Bson::String(text) => text.clone(),
            other => other.clone().into_relaxed_extjson().to_string(),
        };
        self.customers.insert_one(document).await.unwrap();
        self.ids.insert(text.clone(), id);
        text
    }

    /// The id behind a text.
    pub fn bson(&self, text: &str) -> Bson {
        self.ids[text].clone()
    }

    fn make(&mut self) -> (String, Document) {
        self.made += 1;
        // Made in the order of their numbers, so that listings of many are listings of many batches.
        let id = ObjectId::from_parts(1_700_000_000 + self.made, [1; 5], [0; 3]);
        self.ids.insert(id.to_hex(), id.into());
        (id.to_hex(), doc! { "_id": id, "id": self.made, "name": format!("Customer {}", self.made) })
    }
}

impl World for MongodbWorld {
    fn prepare() {
        program();
    }

    async fn start() -> Self {
        let server = Server::start().await;
        let customers = server.collection(COLLECTION).await;
        let mut world = Self { server, customers, ids: BTreeMap::new(), made: 0 };
        for document in [
            doc! { "_id": "text", "name": "Ann", "age": 42_i64, "tags": ["a", { "b": Bson::Null }] },
            doc! { "_id": 7, "at": DateTime::from_millis(1_577_840_523_456), "weight": 1.5 },
            doc! { "_id": { "a": 1, "b": "x" }, "id": "own" },
        ] {
            world.put(document).await;
        }
        world.add().await;
        world
    }

    fn config(&self) -> Map<String, Value> {
        let values = json!({
            "host": self.server.address(), "database": DATABASE, "collection": COLLECTION,
            "direct_connection": true, "ssl_enabled": false, "user": "", "password": "",
        });
        let Value::Object(values) = values else { unreachable!() };
        values
    }

    async fn ids(&self) -> BTreeSet<String> {
        self.ids.keys().cloned().collect()
    }

    async fn add(&mut self) -> String {
        let (id, document) = self.make();
        self.customers.insert_one(document).await.unwrap();
        id
    }

    async fn change(&mut self, id: &str) {
        let filter = doc! { "_id": self.ids[id].clone() };
        let changed = self.customers.update_one(filter, doc! { "$set": { "name": "Other" } }).await.unwrap();
        assert_eq!(changed.modified_count, 1);
    }

    async fn remove(&mut self, id: &str) {
        let filter = doc! { "_id": self.ids.remove(id).unwrap() };
        assert_eq!(self.customers.delete_one(filter).await.unwrap().deleted_count, 1);
    }

    async fn go_away(&mut self) {
        self.server.stop();
    }

    /// The collection is gone, which is no empty one.
    async fn break_part(&mut self) -> bool {
        self.customers.drop().await.unwrap();
        true
    }

    /// A date that no text is known for.
    async fn add_unreadable(&mut self) -> Option<String> {
        Some(self.put(doc! { "_id": "odd", "at": DateTime::from_millis(253_402_300_800_000) }).await)
    }

    async fn fill(&mut self, count: usize) {
        let documents: Vec<Document> = (0..count).map(|_| self.make().1).collect();
        if !documents.is_empty() {
            self.customers.insert_many(documents).await.unwrap();
        }
    }
}
