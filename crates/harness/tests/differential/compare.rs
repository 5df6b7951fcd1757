//! Compares two answers member by member.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Members whose values are another's in every run, wherever they stand; that they are there and of which kind they are
/// is compared.
const UNDEFINED: [&str; 9] = [
    "took",
    "ingest_took",
    "_scroll_id",
    "pit_id",
    "index_uuid",
    "uuid",
    "creation_date",
    "node",
    "cluster_uuid",
];

/// Floating point numbers this near are equal: the last digits depend on the order of additions.
const NEAR: f64 = 1e-5;

/// One part that differs: where, Elasticsearch's, the node's.
pub(crate) type Gap = (String, String, String);

pub(crate) struct Comparison<'a> {
    pub(crate) ignored: &'a [String],
    pub(crate) unordered: &'a [String],
    pub(crate) gaps: Vec<Gap>,
}

impl Comparison<'_> {
    /// Compares what stands at `path`.
    pub(crate) fn values(&mut self, path: &str, real: &Value, node: &Value) {
        if self.ignored.iter().any(|pattern| matches(pattern, path)) {
            return;
        }
        match (real, node) {
            (Value::Object(left), Value::Object(right)) => {
                for (key, value) in left {
                    match right.get(key) {
                        Some(other) if undefined(key) && same_kind(value, other) => {}
                        Some(other) => self.values(&join(path, key), value, other),
                        None => self.gap(&join(path, key), &shown(value), "nothing"),
                    }
                }
                for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                    self.gap(&join(path, key), "nothing", &shown(value));
                }
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                let (mut left, mut right) = (left.clone(), right.clone());
                if self.unordered.iter().any(|pattern| matches(pattern, path)) {
                    left.sort_by_key(Value::to_string);
                    right.sort_by_key(Value::to_string);
                }
                for (at, (one, other)) in left.iter().zip(&right).enumerate() {
                    self.values(&join(path, &at.to_string()), one, other);
                }
            }
            _ if equal(real, node) => {}
            _ => self.gap(path, &shown(real), &shown(node)),
        }
    }

    fn gap(&mut self, path: &str, real: &str, node: &str) {
        if !self.ignored.iter().any(|pattern| matches(pattern, path)) {
            self.gaps.push((path.to_owned(), real.to_owned(), node.to_owned()));
        }
    }
}

fn undefined(key: &str) -> bool {
    UNDEFINED.contains(&key)
}

fn same_kind(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other || steady(one) == steady(other),
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            (a - b).abs() <= NEAR * a.abs().max(b.abs())
        }
        _ => one == other,
    }
}

/// The text without what another run would print otherwise.
fn steady(text: &str) -> String {
    static UUID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[([^\[\]/]+)/[\w-]{20,22}\]").unwrap());
    static IDENTITY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"@[0-9a-f]{5,8}\b").unwrap());
    // A set, which Java lists in another order in every process.
    let text = text.replace("[Content-Type, Accept]", "[Accept, Content-Type]");
    let text = UUID.replace_all(&text, "[$1/UUID]");
    IDENTITY.replace_all(&text, "@ID").into_owned()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(700) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Whether a pattern names a path: `*` is any one part, and parts below are covered.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let mut parts = path.split('.');
    pattern.split('.').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}
