//! A document on its way through pipelines, and the fields in it.

use chrono::Utc;
use serde_json::{Map, Value, json};

use crate::http::{ApiError, Result};

/// A document on its way into an index.
#[derive(Debug, Clone)]
pub(crate) struct IngestDoc {
    pub(crate) index: String,
    pub(crate) id: Option<String>,
    pub(crate) source: Map<String, Value>,
    /// `_ingest`: the time, and what the last failure was.
    pub(super) ingest: Map<String, Value>,
}

impl IngestDoc {
    pub(crate) fn new(index: String, id: Option<String>, source: Map<String, Value>) -> Self {
        Self { index, id, source, ingest: Map::new() }
    }

    /// Sets the time of ingestion.
    pub(super) fn begin(&mut self) {
        let now = Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
        self.ingest.insert("timestamp".into(), now.into());
    }

    /// A field's value; paths have dots, and begin with `_ingest.` for what pipelines know, or are `_index` or `_id`.
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        match path {
            "_index" => Some(json!(self.index)),
            "_id" => self.id.as_ref().map(|id| json!(id)),
            _ => {
                let (root, path) = self.root(path);
                look(root, path).cloned()
            }
        }
    }

    fn root<'p>(&self, path: &'p str) -> (&Map<String, Value>, &'p str) {
        match path.strip_prefix("_ingest.") {
            Some(rest) => (&self.ingest, rest),
            None => (&self.source, path.strip_prefix("_source.").unwrap_or(path)),
        }
    }

    /// As [`IngestDoc::get`], but a missing field is an error.
    pub(super) fn require(&self, path: &str) -> Result<Value> {
        self.get(path).ok_or_else(|| missing(path))
    }

    /// Sets a field; objects on the way are made.
    pub(super) fn set(&mut self, path: &str, value: Value) -> Result<()> {
        match path {
            "_index" => self.index = text_of(path, value)?,
            "_id" => self.id = Some(text_of(path, value)?),
            // One shard holds everything.
            "_routing" => {}
            _ => {
                let (root, rest) = match path.strip_prefix("_ingest.") {
                    Some(rest) => (&mut self.ingest, rest),
                    None => (&mut self.source, path.strip_prefix("_source.").unwrap_or(path)),
                };
                put(root, rest, path, value)?;
            }
        }
        Ok(())
    }

    /// Removes a field and gives what it held.
    pub(super) fn remove(&mut self, path: &str) -> Option<Value> {
        if path == "_id" {
            return self.id.take().map(Value::String);
        }
        let (root, path) = match path.strip_prefix("_ingest.") {
            Some(rest) => (&mut self.ingest, rest),
            None => (&mut self.source, path.strip_prefix("_source.").unwrap_or(path)),
        };
        // A key may hold the dots itself.
        if let Some(value) = root.shift_remove(path) {
            return Some(value);
        }
        let (parents, last) = path.rsplit_once('.')?;
        let (first, rest) =
            parents.split_once('.').map_or((parents, None), |(first, rest)| (first, Some(rest)));
        let mut value = root.get_mut(first)?;
        for part in rest.into_iter().flat_map(|rest| rest.split('.')) {
            value = child(value, part)?;
        }
        match value {
            Value::Object(object) => object.shift_remove(last),
            Value::Array(items) => {
                last.parse().ok().filter(|at| *at < items.len()).map(|at: usize| items.remove(at))
            }
            _ => None,
        }
    }
}

fn child<'v>(value: &'v mut Value, part: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(object) => object.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The name that Elasticsearch gives to a value's type.
pub(super) fn java_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_f64() => "java.lang.Double",
        Value::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
            "java.lang.Integer"
        }
        Value::Number(_) => "java.lang.Long",
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "java.util.ArrayList",
        Value::Object(_) => "java.util.HashMap",
    }
}

/// The error of a field whose value has the wrong type.
pub(super) fn not_a(path: &str, value: &Value, wanted: &str) -> ApiError {
    ApiError::illegal(format!("field [{path}] of type [{}] cannot be cast to [{wanted}]", java_type(value)))
}

fn look<'v>(root: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = root.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let mut value = root.get(first)?;
    for part in rest.split('.') {
        value = match value {
            Value::Object(object) => object.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn put(root: &mut Map<String, Value>, rest: &str, path: &str, value: Value) -> Result<()> {
    let (first, below) = match rest.split_once('.') {
        // A key that holds the dots itself.
        _ if root.contains_key(rest) => (rest, None),
        Some((first, below)) => (first, Some(below)),
        None => (rest, None),
    };
    let Some(below) = below else {
        root.insert(first.to_owned(), value);
        return Ok(());
    };
    let mut parent = root.entry(first.to_owned()).or_insert_with(|| json!({}));
    let mut parts = below.split('.').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let slot = match parent {
            Value::Object(object) => object.entry(part.to_owned()).or_insert_with(|| json!({})),
            Value::Array(items) => item(items, part, path)?,
            other => {
                let found = java_type(other);
                return Err(ApiError::illegal(format!(
                    "cannot set [{part}] with parent object of type [{found}] as part of path [{path}]"
                )));
            }
        };
        if last {
            *slot = value;
            return Ok(());
        }
        parent = slot;
    }
    Ok(())
}

fn item<'v>(items: &'v mut [Value], part: &str, path: &str) -> Result<&'v mut Value> {
    let at: usize = part.parse().map_err(|_| {
        let reason =
            format!("[{part}] is not an integer, cannot be used as an index as part of path [{path}]");
        ApiError::illegal(reason).because("number_format_exception", format!("For input string: \"{part}\""))
    })?;
    let length = items.len();
    items.get_mut(at).ok_or_else(|| {
        ApiError::illegal(format!(
            "[{at}] is out of bounds for array with length [{length}] as part of path [{path}]"
        ))
    })
}

fn text_of(path: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(ApiError::illegal(format!("[{path}] must be a text, not [{other}]"))),
    }
}

/// The error of a field that is not there.
pub(super) fn missing(path: &str) -> ApiError {
    let last = path.rsplit('.').next().unwrap_or(path);
    ApiError::illegal(format!("field [{last}] not present as part of path [{path}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_into_objects_arrays_and_keys_with_dots() {
        let source = json!({"a": {"b": [1, {"c": 2}]}, "x.y": 3});
        let mut doc = IngestDoc::new("i".into(), None, source.as_object().unwrap().clone());
        assert_eq!(doc.get("a.b.1.c"), Some(json!(2)));
        assert_eq!(doc.get("x.y"), Some(json!(3)));
        assert_eq!(doc.get("_index"), Some(json!("i")));
        doc.set("n.m", json!(1)).unwrap();
        doc.set("_id", json!("7")).unwrap();
        assert_eq!((doc.get("n.m"), doc.id.as_deref()), (Some(json!(1)), Some("7")));
        assert_eq!(doc.remove("n.m"), Some(json!(1)));
        assert_eq!(doc.remove("x.y"), Some(json!(3)));
        assert!(doc.set("a.b.c", json!(1)).is_err());
        doc.set("a.b.0", json!(9)).unwrap();
        doc.set("a.b.1.c", json!(8)).unwrap();
        assert_eq!(doc.get("a"), Some(json!({"b": [9, {"c": 8}]})));
        assert_eq!(doc.remove("a.b.0"), Some(json!(9)));
        let out = doc.set("a.b.7", json!(1)).unwrap_err().reason();
        assert_eq!(out, "[7] is out of bounds for array with length [1] as part of path [a.b.7]");
        doc.set("t", json!("x")).unwrap();
        let wrong = doc.set("t.b", json!(1)).unwrap_err().reason();
        assert_eq!(
            wrong,
            "cannot set [b] with parent object of type [java.lang.String] as part of path [t.b]"
        );
        assert_eq!(doc.require("q.z").unwrap_err().reason(), "field [z] not present as part of path [q.z]");
    }
}
