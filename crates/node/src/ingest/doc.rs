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

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, path: &str) -> Option<Value> {
        let path = path.strip_prefix("_source.").unwrap_or(path);
        let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
        // A key may hold the dots itself.
        if let Some(value) = self.source.shift_remove(path) {
            return Some(value);
        }
        let mut object = &mut self.source;
        for part in parents.split('.').filter(|part| !part.is_empty()) {
            object = object.get_mut(part)?.as_object_mut()?;
        }
        object.shift_remove(last)
    }
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
    let mut object = root;
    let mut parts = rest.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            object.insert(part.to_owned(), value);
            return Ok(());
        }
        let next = object.entry(part.to_owned()).or_insert_with(|| json!({}));
        object = next.as_object_mut().ok_or_else(|| {
            ApiError::illegal(format!("cannot set [{part}] with parent object of another type as part of path [{path}]"))
        })?;
    }
    Ok(())
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
        assert_eq!(doc.require("q.z").unwrap_err().reason(), "field [z] not present as part of path [q.z]");
    }
}
