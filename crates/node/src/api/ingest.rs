//! Ingest pipelines over HTTP.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::ingest::{IngestDoc, Pipeline, Trace, document_of, simulated};
use crate::node::Node;

const PARAMS: &[&str] = &["master_timeout", "timeout", "summary", "if_version"];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on("PUT", &["/_ingest/pipeline/{id}"], PARAMS, BodyRule::Required, put);
    table.on("GET", &["/_ingest/pipeline", "/_ingest/pipeline/{id}"], PARAMS, none, get);
    table.on("DELETE", &["/_ingest/pipeline/{id}"], PARAMS, none, delete);
    let simulate_paths = &["/_ingest/pipeline/_simulate", "/_ingest/pipeline/{id}/_simulate"];
    table.on("GET,POST", simulate_paths, &["verbose"], BodyRule::Required, simulate);
}

async fn put(node: Arc<Node>, call: Call) -> Result<Reply> {
    let given = Value::Object(call.object()?);
    let if_version = call.params.long("if_version")?;
    let (shared, name) = (Arc::clone(&node), call.var("id").to_owned());
    node.blocking(move |store| shared.pipelines.put(store, &name, given, if_version)).await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let patterns = call.maybe_var("id").unwrap_or("*");
    let summary = call.params.flag_or("summary", false)?;
    let found: Map<String, Value> = node
        .pipelines
        .list(patterns)
        .into_iter()
        .map(|(name, given)| (name, if summary { json!({}) } else { given }))
        .collect();
    let status = if found.is_empty() && patterns != "*" { 404 } else { 200 };
    Ok(Reply::status(status, Value::Object(found)))
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let (shared, pattern) = (Arc::clone(&node), call.var("id").to_owned());
    node.blocking(move |store| shared.pipelines.delete(store, &pattern)).await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

async fn simulate(node: Arc<Node>, call: Call) -> Result<Reply> {
    let body = call.object()?;
    let verbose = call.params.flag_or("verbose", false)?;
    let pipeline = match (call.maybe_var("id"), body.get("pipeline")) {
        (Some(name), _) => {
            let missing = |_| ApiError::illegal(format!("pipeline [{name}] does not exist"));
            node.pipelines.require(name).map_err(missing)?
        }
        (None, Some(given)) => Arc::new(Pipeline::compile("_simulate_pipeline", given)?),
        (None, None) => {
            return Err(
                ApiError::parse("[pipeline] required property is missing").with("property_name", "pipeline")
            );
        }
    };
    let docs = match body.get("docs") {
        None => {
            return Err(ApiError::parse("[docs] required property is missing").with("property_name", "docs"));
        }
        Some(docs) => docs.as_array().filter(|docs| !docs.is_empty()),
    };
    let docs = docs.ok_or_else(|| ApiError::illegal("must specify at least one document in [docs]"))?;
    let docs: Vec<IngestDoc> = docs.iter().map(document_of).collect::<Result<_>>()?;
    let shared = Arc::clone(&node);
    let answers = node
        .blocking(move |_| {
            Ok(docs.into_iter().map(|doc| one(&shared, &pipeline, doc, verbose)).collect::<Vec<_>>())
        })
        .await?;
    Ok(Reply::ok(json!({"docs": answers})))
}

fn one(node: &Node, pipeline: &Pipeline, mut doc: IngestDoc, verbose: bool) -> Value {
    let mut trace = Trace::default();
    let ended = node.pipelines.simulate(pipeline, &mut doc, verbose.then_some(&mut trace));
    if verbose {
        return json!({"processor_results": trace.results});
    }
    match ended {
        Ok(true) => json!({"doc": simulated(&doc, false)}),
        Ok(false) => Value::Null,
        Err(error) => json!({"error": error.error_value()}),
    }
}
