//! Writers of many small requests, which remember what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest_of_elasticsearch::blocking;
use serde_json::{Value, json};

/// What a request does to a document: the step it is to hold, or none when it is to be gone.
type Change = (String, Option<u64>);

/// The index that all write to.
pub(crate) const INDEX: &str = "written";

/// Calls to a node, each from its own thread.
#[derive(Clone)]
pub(crate) struct Http {
    client: blocking::Client,
    url: String,
}

impl Http {
    pub(crate) fn new(url: &str) -> Self {
        let client = blocking::Client::builder().timeout(Duration::from_secs(120)).build().unwrap();
        Self { client, url: url.to_owned() }
    }

    /// The status and the answer; `None` when none came.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<String>) -> Option<(u16, Value)> {
        let kind = if path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body);
        }
        let answer = request.send().ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().ok()?;
        Some((status, serde_json::from_str(&text).ok()?))
    }

    /// The answer to a call that must succeed.
    pub(crate) fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body.map(Value::to_string));
        let (status, answer) = answer.unwrap_or_else(|| panic!("{method} {path}: no answer"));
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// All of it was acknowledged.
    Done,
    /// It was refused, all or in part.
    Refused,
    /// No answer came.
    Nothing,
}

/// Writes single documents and bulks of several, one request after the other, to documents of its own.
pub(crate) struct Writer {
    number: usize,
    step: u64,
    size: usize,
    /// What each document may be.
    may: BTreeMap<String, BTreeSet<Option<u64>>>,
    /// What the request without an answer was to do.
    open: Vec<Change>,
}

/// What a document holds: all of it follows from the step, so that a mix of two is noticed.
fn source(id: &str, step: u64, size: usize) -> Value {
    let mut state = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ id.len() as u64;
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{:012x} ", state >> 16));
    }
    json!({"id": id, "step": step, "text": text})
}

impl Writer {
    /// `size` is that of a document's text.
    pub(crate) fn new(number: usize, size: usize) -> Self {
        Self { number, step: 0, size, may: BTreeMap::new(), open: Vec::new() }
    }

    fn id(&self, name: impl std::fmt::Display) -> String {
        format!("{}-{name}", self.number)
    }

    /// Sends the next request.
    pub(crate) fn write(&mut self, http: &Http) -> Told {
        self.step += 1;
        let step = self.step;
        match step % 4 {
            1 => self.single(http, (self.id("single"), Some(step))),
            3 if step % 8 == 3 => self.single(http, (self.id("single"), None)),
            _ => {
                let mut changes: Vec<Change> =
                    ["a", "b", "c"].map(|name| (self.id(name), Some(step))).to_vec();
                changes.push((self.id(step), Some(step)));
                changes.push((self.id(step.saturating_sub(12)), None));
                self.bulk(http, changes)
            }
        }
    }

    fn single(&mut self, http: &Http, change: Change) -> Told {
        let path = format!("/{INDEX}/_doc/{}", change.0);
        let answer = match change.1 {
            Some(step) => http.call("PUT", &path, Some(source(&change.0, step, self.size).to_string())),
            None => http.call("DELETE", &path, None),
        };
        self.note(vec![change], answer.map(|(status, answer)| vec![(status, answer.to_string())]))
    }

    fn bulk(&mut self, http: &Http, changes: Vec<Change>) -> Told {
        let mut lines = String::new();
        for (id, step) in &changes {
            let action = match step {
                None => "delete",
                // The one that is there once.
                Some(step) if *id == self.id(step) => "create",
                Some(_) => "index",
            };
            lines.push_str(&format!("{}\n", json!({action: {"_id": id}})));
            if let Some(step) = step {
                lines.push_str(&format!("{}\n", source(id, *step, self.size)));
            }
        }
        let answer = http.call("POST", &format!("/{INDEX}/_bulk"), Some(lines));
        let answers = answer.map(|(status, answer)| match answer["items"].as_array() {
            Some(items) if status == 200 => items.iter().map(item).collect(),
            _ => vec![(status.max(300), answer.to_string()); changes.len()],
        });
        self.note(changes, answers)
    }

    fn note(&mut self, changes: Vec<Change>, answers: Option<Vec<(u16, String)>>) -> Told {
        let Some(answers) = answers else {
            for (id, step) in &changes {
                self.may_be(id).insert(*step);
            }
            self.open = changes;
            return Told::Nothing;
        };
        assert_eq!(answers.len(), changes.len(), "{answers:?}");
        let mut told = Told::Done;
        for ((id, step), (status, answer)) in changes.into_iter().zip(answers) {
            match (status, step) {
                (200..300, _) | (404, None) => *self.may_be(&id) = BTreeSet::from([step]),
                // Who refuses says that it is the node's fault, and what is to be done.
                (500.., _) => {
                    assert!(answer.contains("disk"), "{answer}");
                    self.may_be(&id).insert(step);
                    told = Told::Refused;
                }
                _ => panic!("{id} at {step:?}: {status} {answer}"),
            }
        }
        told
    }

    fn may_be(&mut self, id: &str) -> &mut BTreeSet<Option<u64>> {
        self.may.entry(id.to_owned()).or_insert_with(|| BTreeSet::from([None]))
    }

    /// Looks at all documents: each is what was acknowledged, or what a later request without a success left, and a
    /// request without an answer was done as a whole or not at all. How many documents there are.
    pub(crate) fn check(&mut self, http: &Http) -> u64 {
        let ids: Vec<&String> = self.may.keys().collect();
        let mut found: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for some in ids.chunks(200) {
            let answer = http.must("POST", &format!("/{INDEX}/_mget"), Some(&json!({"ids": some})));
            for doc in answer["docs"].as_array().unwrap() {
                let (id, held) = (doc["_id"].as_str().unwrap(), &doc["_source"]);
                let step = held["step"].as_u64();
                if let Some(step) = step {
                    assert_eq!(*held, source(id, step, self.size), "{id} is whole");
                }
                assert_eq!(doc["found"], step.is_some(), "{doc}");
                found.insert(id.to_owned(), step);
            }
        }
        for (id, may) in &self.may {
            assert!(may.contains(&found[id]), "{id} is {:?} and may be {may:?}", found[id]);
        }
        let done = self.open.iter().filter(|(id, step)| found[id] == *step && self.may[id].len() > 1).count();
        let all = self.open.iter().filter(|(id, _)| self.may[id].len() > 1).count();
        assert!(done == 0 || done == all, "{done} of {all} changes were kept: {:?} {found:?}", self.open);
        self.open.clear();
        let live = found.values().flatten().count();
        self.may = found.into_iter().map(|(id, step)| (id, BTreeSet::from([step]))).collect();
        u64::try_from(live).unwrap()
    }
}

/// The status of a bulk's item, and the item.
fn item(item: &Value) -> (u16, String) {
    let status = item.as_object().and_then(|item| item.values().next()?["status"].as_u64());
    (u16::try_from(status.unwrap()).unwrap(), item.to_string())
}

/// Looks at the documents of all writers, by reading them and by searching.
pub(crate) fn check_all(writers: &mut [Writer], http: &Http) {
    let live: u64 = writers.iter_mut().map(|writer| writer.check(http)).sum();
    http.must("POST", &format!("/{INDEX}/_refresh"), None);
    let query = json!({"query": {"exists": {"field": "step"}}});
    let count = http.must("POST", &format!("/{INDEX}/_count"), Some(&query));
    assert_eq!(count["count"], live, "search finds what is there");
}
