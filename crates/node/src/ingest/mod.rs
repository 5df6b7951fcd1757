//! Ingest pipelines: stored durably, compiled once, run over documents on their way into an index.

mod attachment;
mod built_in;
mod condition;
mod convert;
mod date;
mod doc;
mod markup;
mod pipeline;
mod processor;
mod simple;
mod template;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use serde_json::{Map, Value};
use tributary_store::Store;

pub(crate) use doc::IngestDoc;
pub(crate) use pipeline::{Pipeline, Trace, shown as simulated};
pub(crate) use processor::names as processor_names;

use crate::error::NodeError;
use crate::http::{ApiError, Result, wildcard_matches};
use pipeline::Run;

const SPACE: &str = "ingest_pipelines";

/// A document after its pipelines.
pub(crate) enum Ingested {
    /// It is to be written.
    Keep(IngestDoc),
    /// A pipeline dropped it.
    Drop,
}

/// All pipelines, in memory and in the store. Those of the default ingestion are there from the start.
#[derive(Debug)]
pub(crate) struct Pipelines {
    all: RwLock<BTreeMap<String, Known>>,
}

/// A pipeline as it was given and as it runs.
#[derive(Debug, Clone)]
struct Known {
    given: Value,
    ready: Arc<Pipeline>,
}

impl Known {
    fn new(name: &str, given: Value) -> Result<Self> {
        let ready = Arc::new(Pipeline::compile(name, &given)?);
        Ok(Self { given, ready })
    }
}

impl Pipelines {
    pub(crate) fn load(store: &Store) -> Result<Self, NodeError> {
        let mut all = BTreeMap::new();
        let mut add = |name: &str, given: Value| {
            let known = Known::new(name, given).map_err(|error| {
                NodeError::Store(format!("pipeline '{name}' cannot be used: {}", error.reason()))
            })?;
            all.insert(name.to_owned(), known);
            Ok::<_, NodeError>(())
        };
        for (name, given) in built_in::pipelines() {
            add(name, given)?;
        }
        for (name, bytes) in store.meta_list(SPACE).map_err(|error| NodeError::Store(error.to_string()))? {
            let given = serde_json::from_slice(&bytes)
                .map_err(|error| NodeError::Store(format!("pipeline '{name}' is damaged: {error}")))?;
            add(&name, given)?;
        }
        Ok(Self { all: RwLock::new(all) })
    }

    fn get(&self, name: &str) -> Option<Arc<Pipeline>> {
        self.all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .map(|known| Arc::clone(&known.ready))
    }

    /// A pipeline by its name.
    pub(crate) fn require(&self, name: &str) -> Result<Arc<Pipeline>> {
        self.get(name).ok_or_else(|| ApiError::illegal(format!("pipeline with id [{name}] does not exist")))
    }

    /// The pipelines whose names match one of the comma-separated patterns, as they were given.
    pub(crate) fn list(&self, patterns: &str) -> Vec<(String, Value)> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = |name: &str| patterns.split(',').any(|pattern| wildcard_matches(pattern, name));
        all.iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, known)| (name.clone(), known.given.clone()))
            .collect()
    }

    /// Stores a pipeline. With `if_version` only if the stored one has that version.
    pub(crate) fn put(&self, store: &Store, name: &str, given: Value, if_version: Option<i64>) -> Result<()> {
        let known = Known::new(name, given)?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(wanted) = if_version {
            let version = all.get(name).and_then(|known| known.given.get("version")).and_then(Value::as_i64);
            if version != Some(wanted) {
                let found = version.map_or("null".to_owned(), |version| version.to_string());
                return Err(ApiError::illegal(format!(
                    "version conflict, required version [{wanted}] for pipeline [{name}] but current version is [{found}]"
                )));
            }
        }
        store.meta_put(SPACE, name, Bytes::from(known.given.to_string()))?;
        all.insert(name.to_owned(), known);
        Ok(())
    }

    /// Removes pipelines; one that is built in takes its first form again.
    pub(crate) fn delete(&self, store: &Store, pattern: &str) -> Result<()> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = all.keys().filter(|name| wildcard_matches(pattern, name)).cloned().collect();
        if names.is_empty() && pattern != "*" {
            return Err(ApiError::not_found(format!("pipeline [{pattern}] is missing")));
        }
        names.iter().try_for_each(|name| check_unused(store, name))?;
        for name in names {
            store.meta_delete(SPACE, &name)?;
            all.remove(&name);
        }
        for (name, given) in built_in::pipelines() {
            if !all.contains_key(name) {
                all.insert(name.to_owned(), Known::new(name, given)?);
            }
        }
        Ok(())
    }

    /// Runs pipelines in order over a document.
    ///
    /// # Errors
    /// A pipeline that does not exist, or the failure that no `on_failure` of it caught.
    pub(crate) fn run(&self, names: &[&str], document: IngestDoc) -> Result<Ingested> {
        let mut document = document;
        document.begin();
        for name in names {
            let pipeline = self.require(name)?;
            let kept = Run::new(self).pipeline(&pipeline, &mut document)?;
            if !kept {
                return Ok(Ingested::Drop);
            }
        }
        Ok(Ingested::Keep(document))
    }

    /// Runs one pipeline that need not be stored; every step is told to `trace`.
    pub(crate) fn simulate(
        &self,
        pipeline: &Pipeline,
        document: &mut IngestDoc,
        trace: Option<&mut Trace>,
    ) -> Result<bool> {
        document.begin();
        Run::traced(self, trace).pipeline(pipeline, document)
    }
}

/// A pipeline that an index sends its documents through must stay.
fn check_unused(store: &Store, name: &str) -> Result<()> {
    let indices = store.indices();
    for (setting, what) in [("default_pipeline", "default"), ("final_pipeline", "final")] {
        let uses = |info: &&tributary_store::IndexInfo| {
            info.settings.get(setting).and_then(Value::as_str) == Some(name)
        };
        let users: Vec<&str> = indices.iter().filter(uses).map(|info| info.name.as_str()).collect();
        if !users.is_empty() {
            return Err(ApiError::illegal(format!(
                "pipeline [{name}] cannot be deleted because it is the {what} pipeline for {} index(es) including [{}]",
                users.len(),
                users[..users.len().min(3)].join(",")
            )));
        }
    }
    Ok(())
}

/// The object of a document that a call gives to `_simulate`.
pub(crate) fn document_of(value: &Value) -> Result<IngestDoc> {
    let source = value.get("_source").and_then(Value::as_object);
    let source = source.ok_or_else(|| {
        ApiError::parse("[_source] required property is missing").with("property_name", "_source")
    })?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = |name: &str| text(name).unwrap_or_else(|| name.to_owned());
    Ok(IngestDoc::new(named("_index"), Some(named("_id")), source.clone()))
}

/// Reads an option of a processor, taking it out.
fn take(options: &mut Map<String, Value>, name: &str) -> Option<Value> {
    options.remove(name).filter(|value| !value.is_null())
}
