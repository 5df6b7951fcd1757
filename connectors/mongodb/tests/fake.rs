//! A replica set of one, as far as this source asks: MongoDB's wire protocol with change streams. No server that has
//! them can be installed here; what it answers is what MongoDB's documentation of the protocol says.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; each test file uses its part"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Bson, Document, Timestamp, doc};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub const DATABASE: &str = "shop";
pub const COLLECTION: &str = "customers";
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2_004;
const OP_MSG: i32 = 2_013;
/// Events in one batch of a change stream.
const BATCH: usize = 3;

#[derive(Default)]
struct State {
    documents: BTreeMap<i32, Document>,
    /// Everything that ever happened; positions are places in it.
    log: Vec<Document>,
    /// Positions before this one are forgotten.
    oldest: usize,
    /// Open change streams: how far they have read.
    streams: BTreeMap<i64, usize>,
    /// Happens as soon as a change stream was opened.
    surprise: Option<(i32, String)>,
    has_streams: bool,
}

/// The server.
pub struct Fake {
    pub port: u16,
    state: Arc<Mutex<State>>,
    _work: JoinSet<()>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { has_streams: true, ..State::default() }));
        let mut work = JoinSet::new();
        let served = Arc::clone(&state);
        work.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&served);
                connections.spawn(async move {
                    let _ended = serve(stream, port, &state).await;
                });
            }
        });
        Self { port, state, _work: work }
    }

    pub fn config(&self) -> Map<String, Value> {
        let values = json!({
            "host": format!("mongodb://127.0.0.1:{}/?replicaSet=rs0&serverSelectionTimeoutMS=2000", self.port),
            "database": DATABASE, "collection": COLLECTION, "direct_connection": false, "ssl_enabled": false,
        });
        let Value::Object(values) = values else { unreachable!() };
        values
    }

    pub fn put(&self, id: i32, name: &str) {
        self.state.lock().unwrap().put(id, name);
    }

    pub fn remove(&self, id: i32) {
        let mut state = self.state.lock().unwrap();
        state.documents.remove(&id);
        state.log("delete", Some(id), false);
    }

    /// Something happens to the collection as a whole.
    pub fn happen(&self, kind: &str) {
        self.state.lock().unwrap().log(kind, None, false);
    }

    /// Changes a document right after the next change stream was opened.
    pub fn surprise(&self, id: i32, name: &str) {
        self.state.lock().unwrap().surprise = Some((id, name.to_owned()));
    }

    /// Forgets all positions up to now.
    pub fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.oldest = state.log.len();
    }

    /// As a server that is no member of a replica set.
    pub fn without_streams(&self) {
        self.state.lock().unwrap().has_streams = false;
    }
}

impl State {
    fn put(&mut self, id: i32, name: &str) {
        let document = doc! { "_id": id, "name": name };
        let kind = if self.documents.insert(id, document).is_some() { "update" } else { "insert" };
        self.log(kind, Some(id), true);
    }

    fn log(&mut self, kind: &str, id: Option<i32>, has_document: bool) {
        let place = self.log.len() + 1;
        let mut event = doc! {
            "_id": token(place), "operationType": kind, "clusterTime": time(place),
            "ns": { "db": DATABASE, "coll": COLLECTION },
        };
        if let Some(id) = id {
            event.insert("documentKey", doc! { "_id": id });
        }
        if has_document {
            event.insert("fullDocument", Bson::Null);
        }
        self.log.push(event);
    }

    /// An event as it is told now: updates with the document as it is by now.
    fn told(&self, place: usize) -> Document {
        let mut event = self.log[place].clone();
        if event.contains_key("fullDocument") {
            let id = event.get_document("documentKey").unwrap().get_i32("_id").unwrap();
            event.insert("fullDocument", self.documents.get(&id).cloned());
        }
        event
    }

    fn answer(&mut self, port: u16, command: &Document) -> Document {
        let name = command.keys().next().unwrap().as_str();
        match name {
            "hello" | "isMaster" | "ismaster" => {
                let me = format!("127.0.0.1:{port}");
                doc! {
                    "ok": 1, "helloOk": true, "isWritablePrimary": true, "ismaster": true, "setName": "rs0",
                    "hosts": [&me], "me": &me, "primary": &me, "setVersion": 1, "maxBsonObjectSize": 16_777_216,
                    "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0,
                    "maxWireVersion": 21, "logicalSessionTimeoutMinutes": 30, "readOnly": false,
                }
            }
            "ping" => doc! { "ok": 1, "operationTime": time(self.log.len()) },
            "listCollections" => first_batch(0, vec![doc! { "name": COLLECTION, "type": "collection" }]),
            "listDatabases" => doc! { "ok": 1, "databases": [{ "name": DATABASE }] },
            "find" => first_batch(0, self.documents.values().cloned().collect()),
            "aggregate" => self.watch(command),
            "getMore" => self.more(command.get_i64("getMore").unwrap()),
            "killCursors" | "endSessions" => doc! { "ok": 1 },
            other => refusal(59, &format!("no such command: '{other}'")),
        }
    }

    fn watch(&mut self, command: &Document) -> Document {
        if !self.has_streams {
            return refusal(40_573, "The $changeStream stage is only supported on replica sets");
        }
        let stage = command.get_array("pipeline").unwrap()[0].as_document().unwrap();
        let stage = stage.get_document("$changeStream").unwrap();
        let place = match stage.get_document("resumeAfter") {
            Ok(token) => token.get_str("_data").unwrap().parse().unwrap(),
            Err(_) => self.log.len(),
        };
        if place < self.oldest {
            return refusal(
                286,
                "Resume of change stream was not possible, as the resume point may no longer be in the oplog.",
            );
        }
        let id = i64::try_from(self.streams.len()).unwrap() + 1;
        self.streams.insert(id, place);
        if let Some((id, name)) = self.surprise.take() {
            self.put(id, &name);
        }
        let mut answer = first_batch(id, Vec::new());
        answer.get_document_mut("cursor").unwrap().insert("postBatchResumeToken", token(place));
        answer
    }

    fn more(&mut self, id: i64) -> Document {
        let from = self.streams[&id];
        let to = self.log.len().min(from + BATCH);
        let events: Vec<Document> = (from..to).map(|place| self.told(place)).collect();
        self.streams.insert(id, to);
        doc! {
            "ok": 1,
            "cursor": {
                "id": id, "ns": format!("{DATABASE}.{COLLECTION}"), "nextBatch": events,
                "postBatchResumeToken": token(to),
            },
        }
    }
}

fn token(place: usize) -> Document {
    doc! { "_data": place.to_string() }
}

fn time(place: usize) -> Timestamp {
    Timestamp { time: u32::try_from(place).unwrap(), increment: 1 }
}

fn first_batch(id: i64, batch: Vec<Document>) -> Document {
    doc! { "ok": 1, "cursor": { "id": id, "ns": format!("{DATABASE}.{COLLECTION}"), "firstBatch": batch } }
}

fn refusal(code: i32, message: &str) -> Document {
    doc! { "ok": 0, "code": code, "codeName": "Refused", "errmsg": message }
}

async fn serve(mut stream: TcpStream, port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    loop {
        let length = stream.read_i32_le().await?;
        let mut message = vec![0; usize::try_from(length).unwrap() - 4];
        stream.read_exact(&mut message).await?;
        let number = |at: usize| i32::from_le_bytes(message[at..at + 4].try_into().unwrap());
        let (request, kind) = (number(0), number(8));
        let body = if kind == OP_MSG {
            &message[17..]
        } else {
            assert_eq!(kind, OP_QUERY);
            let name = message[16..].iter().position(|byte| *byte == 0).unwrap();
            &message[16 + name + 1 + 8..]
        };
        let command = Document::from_reader(body).unwrap();
        let answer = state.lock().unwrap().answer(port, &command);
        if command.contains_key("getMore") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut reply = Vec::new();
        if kind == OP_MSG {
            reply.extend([0; 5]);
        } else {
            // Flags, cursor, start, number of documents.
            reply.extend(8_i32.to_le_bytes());
            reply.extend([0; 12]);
            reply.extend(1_i32.to_le_bytes());
        }
        reply.extend(answer.to_vec().unwrap());
        let mut header = Vec::new();
        header.extend(i32::try_from(reply.len() + 16).unwrap().to_le_bytes());
        header.extend(1_i32.to_le_bytes());
        header.extend(request.to_le_bytes());
        header.extend(if kind == OP_MSG { OP_MSG } else { OP_REPLY }.to_le_bytes());
        stream.write_all(&header).await?;
        stream.write_all(&reply).await?;
    }
}
