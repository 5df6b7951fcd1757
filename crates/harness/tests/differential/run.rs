//! Sends the requests of a script to both and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest_of_elasticsearch::{Client, Method};
use serde_json::{Value, json};
use tributary_harness::{Major, OPERATOR};

use crate::compare::{Comparison, Gap, matches};
use crate::script::{self, Difference, Form, Sender, Step};

/// Headers that are part of an answer's meaning.
const HEADERS: [&str; 5] = ["content-type", "location", "allow", "x-elastic-product", "www-authenticate"];

/// Values this long, in bytes, do not stand in answers by chance.
const LONG: usize = 12;

/// A request that takes longer is told.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: usize,
    /// How many of them are answered otherwise than they should be.
    pub(crate) differing: usize,
    /// What differs where it should not, or does not where it is said to.
    pub(crate) found: Vec<String>,
    /// Differences that are told, and those of them that were seen.
    pub(crate) told: BTreeSet<String>,
    pub(crate) seen: BTreeSet<String>,
    /// Parts that are said to differ and do not, with this major version at least.
    pub(crate) stale: Vec<String>,
    /// What differs as it is said to.
    pub(crate) held: Vec<String>,
}

/// One of the two servers.
struct Side {
    http: Client,
    address: String,
    /// What earlier answers of this server gave.
    variables: BTreeMap<String, String>,
}

/// Runs one script, from a state without indices.
pub(crate) async fn script(major: Major, path: &Path, real: &str, node: &str, report: &mut Report) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let steps = script::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut real, mut node) = (Side::new(real), Side::new(node));
    let (stale, held) = (report.stale.len(), report.held.len());
    real.empty().await;
    node.empty().await;
    for step in steps.iter().filter(|step| step.only.is_none_or(|only| is(major, only))) {
        report.requests += 1;
        let (left, right) = (real.take(step).await, node.take(step).await);
        let problems = judge(major, step, &left, &right, report);
        if !problems.is_empty() {
            let head = format!("{name}:{} ({major}) {} {}", step.line, step.method, shorten(&step.target));
            report.differing += 1;
            report.found.push(format!("{head}\n    {}", shorten(&step.body)));
            report.found.extend(problems);
        }
    }
    for part in report.stale[stale..].iter_mut().chain(&mut report.held[held..]) {
        part.insert_str(0, &format!("{name}:"));
    }
}

fn is(major: Major, only: char) -> bool {
    major.to_string().starts_with(only)
}

/// What is wrong with a pair of answers.
fn judge(major: Major, step: &Step, real: &Value, node: &Value, report: &mut Report) -> Vec<String> {
    let mut ignored = step.ignored.clone();
    let differences: Vec<&Difference> =
        step.differences.iter().filter(|known| known.only.is_none_or(|only| is(major, only))).collect();
    let mut problems = Vec::new();
    for Difference { id, form, .. } in differences {
        report.told.insert(id.clone());
        let refusal = node["body"]["error"]["type"].as_str().unwrap_or("-");
        let holds = match form {
            Form::Parts(parts) => {
                let gaps = gaps(step, &[], real, node);
                let holds = |part: &&String| gaps.iter().any(|(path, ..)| matches(part, path));
                if parts.iter().any(|part| holds(&part)) {
                    report.seen.insert(id.clone());
                }
                for part in parts.iter().filter(|part| !holds(part)) {
                    report.stale.push(format!("{}:{id}:{part}", step.line));
                }
                for (path, ..) in
                    gaps.iter().filter(|(path, ..)| parts.iter().any(|part| matches(part, path)))
                {
                    report.held.push(format!("{}:{id}:{path}", step.line));
                }
                ignored.extend(parts.iter().cloned());
                continue;
            }
            Form::Refused(status, kind) => {
                node["status"] == *status && kind == refusal && real["status"] != *status
            }
            Form::Served(status) => node["status"] == *status && real["status"] != *status,
        };
        if holds {
            report.seen.insert(id.clone());
            return Vec::new();
        }
        problems.push(format!("  {id} tells another answer of the node ({form:?})"));
    }
    let gaps = gaps(step, &ignored, real, node);
    problems.extend(
        gaps.into_iter().map(|(path, real, node)| format!("  {path}\n    es   {real}\n    node {node}")),
    );
    problems
}

fn gaps(step: &Step, ignored: &[String], real: &Value, node: &Value) -> Vec<Gap> {
    let mut comparison = Comparison { ignored, unordered: &step.unordered, gaps: Vec::new() };
    comparison.values("", real, node);
    comparison.gaps
}

impl Side {
    fn new(address: &str) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        Self { http, address: address.to_owned(), variables: BTreeMap::new() }
    }

    /// Deletes all indices.
    async fn empty(&self) {
        let all = "/_cat/indices?format=json&h=index";
        let answer = self.send("GET", all, "", &[], &operator()).await;
        let indices = answer["body"].as_array().unwrap_or_else(|| panic!("no list of indices: {answer}"));
        let names = indices.iter().filter_map(|index| index["index"].as_str());
        // The index of the API keys is not to be deleted.
        for name in names.filter(|name| !name.starts_with(".security")) {
            let deleted = self.send("DELETE", &format!("/{name}"), "", &[], &operator()).await;
            assert_eq!(deleted["status"], 200, "{} cannot be emptied: {deleted}", self.address);
        }
    }

    /// Sends a step with this server's own variables.
    async fn take(&mut self, step: &Step) -> Value {
        let fill = |text: &str| {
            // The last first: one name may begin with another.
            let names = self.variables.iter().rev();
            names.fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        };
        let (target, body) = (fill(&step.target), fill(&step.body));
        let sender = match step.sender.clone() {
            None => operator(),
            Some(Sender::Key(key)) => Sender::Key(fill(&key)),
            Some(other) => other,
        };
        let answer = self.send(&step.method, &target, &body, &step.headers, &sender).await;
        for (name, path) in &step.kept {
            let value = path.split('.').fold(&answer["body"], |value, part| match value {
                Value::Array(list) => {
                    part.parse().ok().and_then(|at: usize| list.get(at)).unwrap_or(&Value::Null)
                }
                other => &other[part],
            });
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.variables.insert(name.clone(), text);
        }
        self.own_names(answer)
    }

    /// The answer with the names of this server's variables instead of their values, which are another's.
    fn own_names(&self, value: Value) -> Value {
        match value {
            Value::Object(object) => {
                Value::Object(object.into_iter().map(|(key, value)| (key, self.own_names(value))).collect())
            }
            Value::Array(list) => Value::Array(list.into_iter().map(|value| self.own_names(value)).collect()),
            Value::String(text) => Value::String(self.own_text(text)),
            Value::Number(number) => match self.own_text(number.to_string()) {
                name if name.starts_with('$') => Value::String(name),
                _ => Value::Number(number),
            },
            other => other,
        }
    }

    fn own_text(&self, text: String) -> String {
        let long = self.variables.iter().filter(|(_, value)| value.len() >= LONG);
        long.fold(text, |text, (name, value)| text.replace(value, name))
    }

    /// Status, headers and body.
    async fn send(
        &self,
        method: &str,
        target: &str,
        body: &str,
        headers: &[(String, String)],
        sender: &Sender,
    ) -> Value {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{target}", self.address));
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !body.is_empty() {
            if !typed {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body.to_owned());
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request = match sender {
            Sender::Nobody => request,
            Sender::User(name, password) => request.basic_auth(name, Some(password)),
            Sender::Key(key) => request.header("authorization", format!("ApiKey {key}")),
        };
        let started = Instant::now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return json!({"no answer": format!("{error:?}")}),
        };
        if started.elapsed() > SLOW {
            eprintln!("{:?} for {} {}", started.elapsed(), self.address, shorten(target));
        }
        let status = response.status().as_u16();
        let named = |name: &&str| {
            let all = response.headers().get_all(*name).iter().filter_map(|value| value.to_str().ok());
            let all: Vec<&str> = all.collect();
            if all.is_empty() { None } else { Some(((*name).to_owned(), json!(all.join("; ")))) }
        };
        let headers: serde_json::Map<String, Value> = HEADERS.iter().filter_map(named).collect();
        let text = response.text().await.unwrap_or_else(|error| format!("cut off: {error:?}"));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        json!({"status": status, "headers": headers, "body": body})
    }
}

/// Who sends what says nothing else; servers without security do not ask.
fn operator() -> Sender {
    Sender::User(OPERATOR.0.to_owned(), OPERATOR.1.to_owned())
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}
