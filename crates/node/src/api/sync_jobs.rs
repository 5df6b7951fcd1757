//! The Sync Job APIs (connector-api 12).

use std::sync::Arc;

use serde_json::{Value, json};
use tributary_protocol::ops::{self, SyncJobOp};
use tributary_protocol::request::{CreateSyncJob, SyncJobRequest};
use tributary_protocol::{JobType, ProtocolError, SyncStatus, time};
use tributary_store::{SortKey, StoreError};

use super::Table;
use super::protocol_docs::{Decision, Kind, Page, Refusal, result, shown};
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result};
use crate::node::Node;

const JOB: &[&str] = &["/_connector/_sync_job/{connector_sync_job_id}"];
const LIST: &[&str] = &["from", "size", "status", "connector_id", "job_type"];

pub(super) fn routes(table: &mut Table) {
    let creation = |call: &Call| CreateSyncJob::parse(&call.body).map(drop).map_err(ApiError::from);
    table.judged("POST", &["/_connector/_sync_job"], &[], BodyRule::Required, creation, create);
    let listing = |call: &Call| Page::of(&call.params).and(list_query(&call.params)).map(drop);
    table.judged("GET", &["/_connector/_sync_job"], LIST, BodyRule::None, listing, list);
    table.on("GET", JOB, &[], BodyRule::None, get);
    table.on("DELETE", JOB, &[], BodyRule::None, delete);
    for op in SyncJobOp::ALL {
        let body = if op.takes_body() { BodyRule::Required } else { BodyRule::None };
        let judge = move |call: &Call| {
            SyncJobRequest::parse(op, call.var("connector_sync_job_id"), &call.body)
                .map(drop)
                .map_err(ApiError::from)
        };
        table.judged("PUT", &[op.path()], &[], body, judge, move |node, call| change(node, call, op));
    }
}

async fn create(node: Arc<Node>, call: Call) -> Result<Reply> {
    let request = CreateSyncJob::parse(&call.body)?;
    let connectors = node
        .protocol_index(Kind::Connectors)
        .ok_or_else(|| StoreError::no_such_index(Kind::Connectors.concrete()))?;
    let stored = node.protocol_source(connectors, request.id.as_str()).await?;
    let stored = stored.ok_or_else(|| ops::sync_job::no_connector(&request.id))?;
    let job =
        ops::sync_job::create(&request.id, &stored, request.job_type, request.trigger_method, node.now())?;
    let index = node.ensure_protocol_index(Kind::SyncJobs).await?;
    let written = node.protocol_put(index, None, &job).await?;
    Ok(Reply::status(201, json!({"id": written.id})))
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let id = call.var("connector_sync_job_id");
    let Some(index) = node.protocol_index(Kind::SyncJobs) else {
        return Err(ops::sync_job::not_found(id).into());
    };
    match node.protocol_source(index, id).await? {
        Some(source) => Ok(Reply::ok(shown(id, source))),
        None => Err(ProtocolError::not_found(id).into()),
    }
}

async fn list(node: Arc<Node>, call: Call) -> Result<Reply> {
    let page = Page::of(&call.params)?;
    let query = list_query(&call.params)?;
    let newest_first = SortKey { descending: true, ..SortKey::new("created_at") };
    let mut listed = node.protocol_list(Kind::SyncJobs, query, newest_first, page).await?;
    // The index sorts by milliseconds, which two jobs may share.
    listed.results.sort_by_key(|job| std::cmp::Reverse(job["created_at"].as_str().and_then(time::parse)));
    Ok(listed.reply())
}

fn list_query(params: &Params) -> Result<Value> {
    let mut filter = Vec::new();
    if let Some(status) = params.text("status") {
        let status: SyncStatus = status.parse()?;
        filter.push(json!({"term": {"status": status.as_str()}}));
    }
    if let Some(types) = params.list("job_type").filter(|types| !types.is_empty()) {
        let types = types.iter().map(|name| name.parse::<JobType>()).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&str> = types.into_iter().map(JobType::as_str).collect();
        filter.push(json!({"terms": {"job_type": names}}));
    }
    if let Some(connector) = params.text("connector_id") {
        filter.push(json!({"term": {"connector.id": connector}}));
    }
    Ok(json!({"bool": {"filter": filter}}))
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let id = call.var("connector_sync_job_id").to_owned();
    let Some(index) = node.protocol_index(Kind::SyncJobs) else {
        return Err(ops::sync_job::not_found(&id).into());
    };
    let name = id.clone();
    let decide = move |stored: Option<Value>| match stored {
        Some(_) => Ok(Decision::Remove),
        None => Err(Refusal::Rule(ProtocolError::not_found(name.clone()))),
    };
    node.protocol_update(index, &id, decide).await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

/// The endpoints that change one job.
async fn change(node: Arc<Node>, call: Call, op: SyncJobOp) -> Result<Reply> {
    let now = node.now();
    let id = call.var("connector_sync_job_id").to_owned();
    let request = SyncJobRequest::parse(op, &id, &call.body)?;
    let Some(index) = node.protocol_index(Kind::SyncJobs) else {
        return Err(ops::sync_job::not_found(&id).into());
    };
    let name = id.clone();
    let decide = move |stored: Option<Value>| match stored {
        Some(stored) => Ok(Decision::Write(ops::sync_job::apply(&request, stored, now)?)),
        None => Err(Refusal::Rule(op.missing(&name))),
    };
    Ok(result(node.protocol_update(index, &id, decide).await?))
}
