//! The Connector APIs (connector-api 6 to 10).

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_protocol::ops::{self, ConnectorOp};
use tributary_protocol::request::{ConnectorRequest, CreateConnector, check_index_names};
use tributary_protocol::{Outcome, ProtocolError};
use tributary_store::{Action, Query, SearchRequest, SortKey, WriteOp};

use super::Table;
use super::protocol_docs::{Decision, Kind, Page, Refusal, result, shown};
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result};
use crate::node::Node;

const LIST: &[&str] =
    &["from", "size", "index_name", "connector_name", "service_type", "query", "include_deleted"];
/// Jobs that are read at once when those of a connector are removed.
const JOBS_AT_ONCE: usize = 500;

pub(super) fn routes(table: &mut Table) {
    let optional = BodyRule::Optional;
    let creation = |call: &Call| CreateConnector::parse(&call.body).map(drop).map_err(ApiError::from);
    table.judged("POST,PUT", &["/_connector"], &[], optional, creation, create);
    table.judged("PUT", &["/_connector/{connector_id}"], &[], optional, creation, create);
    let listing = |call: &Call| Page::of(&call.params).and(list_query(&call.params)).map(drop);
    table.judged("GET", &["/_connector"], LIST, BodyRule::None, listing, list);
    table.on("GET", &["/_connector/{connector_id}"], &["include_deleted"], BodyRule::None, get);
    table.on(
        "DELETE",
        &["/_connector/{connector_id}"],
        &["hard", "delete_sync_jobs"],
        BodyRule::None,
        delete,
    );
    for op in ConnectorOp::ALL {
        let body = if op.takes_body() { BodyRule::Required } else { BodyRule::None };
        let judge = move |call: &Call| {
            let id = call.var("connector_id");
            ConnectorRequest::parse(op, id, &call.body, chrono::DateTime::UNIX_EPOCH)
                .map(drop)
                .map_err(ApiError::from)
        };
        table.judged("PUT", &[op.path()], &[], body, judge, move |node, call| change(node, call, op));
    }
}

async fn create(node: Arc<Node>, call: Call) -> Result<Reply> {
    let request = CreateConnector::parse(&call.body)?;
    let id = call.maybe_var("connector_id").map(str::to_owned);
    let source = ops::connector::create(&request, node.now())?;
    let index = node.ensure_protocol_index(Kind::Connectors).await?;
    let _held = node.index_names.lock().await;
    check_free(&node, request.index_name.as_deref(), id.as_deref()).await?;
    let written = node.protocol_put(index, id, &source).await?;
    let status = if written.result == tributary_store::Outcome::Created { 201 } else { 200 };
    Ok(Reply::status(status, json!({"id": written.id, "result": written.result.as_str()})))
}

/// Refuses an index name that another connector has which is not deleted.
async fn check_free(node: &Node, name: Option<&str>, own: Option<&str>) -> Result<()> {
    let (Some(name), Some(index)) = (name, node.protocol_index(Kind::Connectors)) else { return Ok(()) };
    let mut request = SearchRequest::new(vec![index]);
    let own = Query::ids(own.map(str::to_owned).into_iter().collect());
    request.query = Query::all_of(vec![
        Query::term("index_name", name),
        Query::term("deleted", true).negate(),
        own.negate(),
    ]);
    request.size = 1;
    request.source.enabled = false;
    let found = node.store.search(request).await?;
    if found.hits.is_empty() { Ok(()) } else { Err(ops::connector::index_name_taken(name).into()) }
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let include_deleted = call.params.flag_or("include_deleted", false)?;
    let id = call.var("connector_id");
    let found = match node.protocol_index(Kind::Connectors) {
        Some(index) => node.protocol_source(index, id).await?,
        None => None,
    };
    match found.filter(|source| include_deleted || !ops::connector::is_deleted(source)) {
        Some(source) => Ok(Reply::ok(shown(id, source))),
        None => Err(ProtocolError::connector_not_found(id).into()),
    }
}

async fn list(node: Arc<Node>, call: Call) -> Result<Reply> {
    let page = Page::of(&call.params)?;
    let query = list_query(&call.params)?;
    Ok(node.protocol_list(Kind::Connectors, query, SortKey::new("index_name"), page).await?.reply())
}

fn list_query(params: &Params) -> Result<Value> {
    let mut filter = Vec::new();
    for (param, field) in
        [("index_name", "index_name"), ("connector_name", "name"), ("service_type", "service_type")]
    {
        let Some(values) = params.list(param).filter(|values| !values.is_empty()) else { continue };
        if param == "index_name" {
            check_index_names(&values)?;
        }
        filter.push(json!({"terms": {field: values}}));
    }
    if let Some(text) = params.text("query") {
        let pattern = format!("*{text}*");
        let on = |field: &str| json!({"wildcard": {field: {"value": pattern}}});
        // The words of a description are kept in lower case, and the pattern is compared with them as it is.
        let either = ["index_name", "name", "description"].map(on);
        filter.push(json!({"bool": {"should": either, "minimum_should_match": 1}}));
    }
    let include_deleted = params.flag_or("include_deleted", false)?;
    let hidden = if include_deleted { json!([]) } else { json!([{"term": {"deleted": true}}]) };
    Ok(json!({"bool": {"filter": filter, "must_not": hidden}}))
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let hard = call.params.flag_or("hard", false)?;
    let with_jobs = call.params.flag_or("delete_sync_jobs", false)?;
    let id = call.var("connector_id").to_owned();
    let Some(index) = node.protocol_index(Kind::Connectors) else {
        return Err(ProtocolError::connector_not_found(&id).into());
    };
    let name = id.clone();
    let decide = move |stored: Option<Value>| {
        let Some(stored) = stored else { return Err(ProtocolError::connector_not_found(&name).into()) };
        if hard {
            Ok(Decision::Remove)
        } else {
            Ok(Decision::Write(ops::connector::soft_delete(&name, stored)?))
        }
    };
    node.protocol_update(index, &id, decide).await?;
    if with_jobs {
        delete_jobs(&node, &id).await?;
    }
    Ok(Reply::ok(json!({"acknowledged": true})))
}

/// Removes every job of a connector, also those that no search sees yet.
async fn delete_jobs(node: &Node, connector: &str) -> Result<()> {
    let Some(index) = node.protocol_index(Kind::SyncJobs) else { return Ok(()) };
    let mut from = None;
    loop {
        let (name, at) = (index.clone(), from);
        let page = node.blocking(move |store| Ok(store.scan(&name, at, JOBS_AT_ONCE)?)).await?;
        let jobs = page.docs.iter().filter(|doc| is_job_of(&doc.source, connector));
        let removals: Vec<WriteOp> =
            jobs.map(|doc| WriteOp::new(index.clone(), Some(doc.id.clone()), Action::Delete)).collect();
        for removed in node.store.write(removals).await {
            removed?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    Ok(node.store.refresh(&[index]).await?)
}

fn is_job_of(source: &[u8], connector: &str) -> bool {
    let source: Value = serde_json::from_slice(source).unwrap_or_default();
    source["connector"]["id"] == connector
}

/// The endpoints that change one connector.
async fn change(node: Arc<Node>, call: Call, op: ConnectorOp) -> Result<Reply> {
    let now = node.now();
    let id = call.var("connector_id").to_owned();
    let request = ConnectorRequest::parse(op, &id, &call.body, now)?;
    let Some(index) = node.protocol_index(Kind::Connectors) else {
        return Err(ProtocolError::connector_not_found(&id).into());
    };
    let _held = match &request {
        ConnectorRequest::IndexName(Some(name)) => {
            let held = node.index_names.lock().await;
            check_free(&node, Some(name), Some(&id)).await?;
            Some(held)
        }
        _ => None,
    };
    let name = id.clone();
    let decide = move |stored: Option<Value>| match stored {
        Some(stored) => Ok(Decision::Write(ops::connector::apply(&name, &request, stored, now)?)),
        None => Err(ops::connector::missing(&name, &request).map_or(Refusal::Missing, Refusal::Rule)),
    };
    let outcome: Outcome = node.protocol_update(index, &id, decide).await?;
    Ok(result(outcome))
}
