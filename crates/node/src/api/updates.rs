//! `_update`: partial updates of one document.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_store::{
    Condition, ErrorKind, Outcome, SourceFilter, Store, StoreError, UpdateAction, WriteResult,
};

use super::Table;
use super::search::source_of_params;
use super::written::{Piped, Stated, answer, check_waiting, op, pipe, pipeline_names, status};
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;
use crate::update::{Finish, UpdateRequest, Updated};
use crate::writes::{Refresh, Target};

/// How often pipelines run ahead of an update's write; when the document changed that often, they run within it.
const MOST_RUNS: usize = 8;

const UPDATE: &[&str] = &[
    "refresh",
    "routing",
    "timeout",
    "wait_for_active_shards",
    "if_seq_no",
    "if_primary_term",
    "retry_on_conflict",
    "version",
    "version_type",
    "require_alias",
    "_source",
    "_source_includes",
    "_source_excludes",
    "include_source_on_error",
];

pub(super) fn routes(table: &mut Table) {
    table.on("POST", &["/{index}/_update/{id}"], UPDATE, BodyRule::Optional, update);
}

async fn update(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut request = UpdateRequest::parse(&call.body)?;
    request.check_served()?;
    let refresh = Refresh::of(&call)?;
    let id = call.var("id");
    let stated = Stated::of(&call.params, Some(id))?;
    // One that has a version, of whatever type, is refused: updates know sequence numbers only.
    let version = stated.version.or(stated.version_type.map(|_| 0));
    let stated = Stated {
        if_seq_no: stated.if_seq_no.or(request.if_seq_no),
        if_primary_term: stated.if_primary_term.or(request.if_primary_term),
        version,
        version_type: None,
        ..stated
    };
    let faults = faults(&stated, &request, call.params.int("retry_on_conflict")?.unwrap_or(0) > 0);
    if !faults.is_empty() {
        return Err(ApiError::validation(faults));
    }
    (request.if_seq_no, request.if_primary_term) = (stated.if_seq_no, stated.if_primary_term);
    let target = node.target(call.var("index"), call.params.flag_or("require_alias", false)?).await?;
    check_waiting(&call.params, &target)?;
    node.check_update(
        &target.index,
        "Can't execute an update request if field or document level security is enabled",
    )?;
    let wanted = match source_of_params(&call.params)? {
        Some(filter) => Some(filter),
        None => request.source.as_ref().map(SourceFilter::parse).transpose()?,
    };
    let (written, updated) = if pipeline_names(None, &target).is_empty() {
        write(&node, request, &target, id, None).await?
    } else {
        piped(&node, request, &target, id).await?
    };
    if written.result != Outcome::Noop {
        node.refresh_after(refresh, std::slice::from_ref(&written.index)).await?;
    }
    let mut body = answer(&written, target.copies, refresh, true);
    if let Some(get) = wanted.as_ref().and_then(|filter| shown(&updated, filter, &body)) {
        body.insert("get".into(), get);
    }
    Ok(Reply::status(status(written.result), body.into()).at_document(&written.index, &written.id))
}

/// The rules that an update breaks.
pub(super) fn faults(stated: &Stated<'_>, request: &UpdateRequest, retries: bool) -> Vec<String> {
    let mut faults = stated.faults(false);
    if stated.if_seq_no.is_some() {
        if retries {
            faults.push("compare and write operations can not be retried".to_owned());
        }
        if request.upserts() {
            faults.push("compare and write operations can not be used with upsert".to_owned());
        }
    }
    faults
}

/// Runs pipelines over what an update writes when the document is missing.
pub(super) fn pipe_upsert(
    node: &Node,
    request: &mut UpdateRequest,
    target: &Target,
    asked: Option<&str>,
    id: &str,
) -> Result<()> {
    let names = pipeline_names(asked, target);
    let Some(source) = request.upsert_source().filter(|_| !names.is_empty()) else { return Ok(()) };
    match pipe(&node.pipelines, &names, target.index.clone(), Some(id.to_owned()), source)? {
        Piped::Write { index, id: piped_id, source }
            if index == target.index && piped_id.as_deref() == Some(id) =>
        {
            if let Value::Object(source) = crate::http::parse_json(&source)? {
                request.set_upsert_source(source);
            }
            Ok(())
        }
        Piped::Write { .. } => {
            Err(ApiError::not_served("an update whose pipeline changes [_index] or [_id]"))
        }
        Piped::Dropped => Err(ApiError::not_served("an update whose pipeline drops the document")),
    }
}

async fn write(
    node: &Node,
    request: UpdateRequest,
    target: &Target,
    id: &str,
    finish: Option<Finish>,
) -> Result<(WriteResult, Updated)> {
    let (action, updated) = request.into_action(id, finish);
    let op = op(target.index.clone(), Some(id.to_owned()), action, Condition::default());
    Ok((node.write_one(op).await?, updated))
}

/// An update of an index with pipelines. They run before the write and not in the middle of it, where all other writes
/// would wait for them; they run again when the document has changed in the meantime.
async fn piped(
    node: &Arc<Node>,
    mut request: UpdateRequest,
    target: &Target,
    id: &str,
) -> Result<(WriteResult, Updated)> {
    let (shared, upserted, owned) = (Arc::clone(node), target.clone(), id.to_owned());
    let upsert = move |_: &Store| {
        pipe_upsert(&shared, &mut request, &upserted, None, &owned)?;
        Ok(request)
    };
    let request = node.blocking(upsert).await?;
    let mut runs = 0;
    loop {
        let moved = Arc::new(AtomicBool::new(false));
        let finish = if runs < MOST_RUNS {
            ahead(node, &request, target, id, &moved).await?
        } else {
            finish(node, target, id)
        };
        match write(node, request.clone(), target, id, Some(finish)).await {
            Err(_) if moved.load(Ordering::Acquire) => runs += 1,
            done => return done,
        }
    }
}

/// What the pipelines make of the document as it will be when nobody else changes it. Sets `moved` when somebody did.
async fn ahead(
    node: &Arc<Node>,
    request: &UpdateRequest,
    target: &Target,
    id: &str,
    moved: &Arc<AtomicBool>,
) -> Result<Finish> {
    let (finish, request) = (finish(node, target, id), request.clone());
    let (index, id) = (target.index.clone(), id.to_owned());
    let run = move |store: &Store| {
        let Some(doc) = store.get(&index, &id)? else { return Ok(None) };
        let UpdateAction::Put(source) = request.decide(Some(&doc), &id)? else { return Ok(None) };
        let outcome = finish(source.clone())?;
        Ok(Some((source, outcome)))
    };
    let (known, moved) = (node.blocking(run).await?, Arc::clone(moved));
    Ok(Box::new(move |source| match &known {
        Some((seen, outcome)) if *seen == source => Ok(outcome.clone()),
        _ => {
            moved.store(true, Ordering::Release);
            Err(StoreError::new(ErrorKind::VersionConflict, "the document changed while its pipelines ran"))
        }
    }))
}

/// Runs the index's pipelines over a document that an update has changed.
fn finish(node: &Node, target: &Target, id: &str) -> Finish {
    let names: Vec<String> = pipeline_names(None, target).into_iter().map(str::to_owned).collect();
    let (pipelines, index, id) = (Arc::clone(&node.pipelines), target.index.clone(), id.to_owned());
    Box::new(move |source: Bytes| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match pipe(&pipelines, &names, index.clone(), Some(id.clone()), source) {
            Ok(Piped::Write { source, .. }) => Ok(Some(source)),
            Ok(Piped::Dropped) => Ok(None),
            Err(error) => Err(StoreError::new(ErrorKind::IllegalArgument, error.reason())),
        }
    })
}

/// The document as the update left it, as far as it was asked for.
pub(super) fn shown(updated: &Updated, filter: &SourceFilter, answer: &Map<String, Value>) -> Option<Value> {
    let source = updated.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let source = filter.apply(&source)?;
    let source: Value = serde_json::from_slice(&source).ok()?;
    Some(
        json!({"_seq_no": answer.get("_seq_no"), "_primary_term": answer.get("_primary_term"), "found": true, "_source": source}),
    )
}
