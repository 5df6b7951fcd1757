//! `_update`: partial updates of one document.

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value, json};
use tributary_store::{Outcome, SourceFilter};

use super::Table;
use super::search::source_of_params;
use super::written::{answer, condition_of, op, status};
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;
use crate::update::{UpdateRequest, Updated};
use crate::writes::Refresh;

const UPDATE: &[&str] = &[
    "refresh", "routing", "timeout", "wait_for_active_shards", "if_seq_no", "if_primary_term", "retry_on_conflict",
    "require_alias", "_source", "_source_includes", "_source_excludes", "lang", "include_source_on_error",
];

pub(super) fn routes(table: &mut Table) {
    table.on("POST", &["/{index}/_update/{id}"], UPDATE, BodyRule::Optional, update);
}

async fn update(node: Arc<Node>, call: Call) -> Result<Reply> {
    let request = UpdateRequest::parse(&call.body)?;
    request.check_served()?;
    let refresh = Refresh::of(&call)?;
    let number = |name: &str, of_body: Option<u64>| -> Result<Option<u64>> {
        let given = call.params.long(name)?.and_then(|number| u64::try_from(number).ok());
        Ok(given.or(of_body))
    };
    let condition = condition_of(
        number("if_seq_no", request.if_seq_no)?,
        number("if_primary_term", request.if_primary_term)?,
        None,
        None,
    )?;
    if condition.if_seq_no.is_some() && request.upserts() {
        return Err(ApiError::validation(["upsert requests don't support `if_seq_no` and `if_primary_term`"]));
    }
    if condition.if_seq_no.is_some() && call.params.long("retry_on_conflict")?.unwrap_or(0) > 0 {
        return Err(ApiError::validation(["compare and write operations can not be retried"]));
    }
    let target = node.target(call.var("index"), call.params.flag_or("require_alias", false)?).await?;
    node.check_update(&target.index)?;
    let wanted = match source_of_params(&call.params)? {
        Some(filter) => Some(filter),
        None => request.source.as_ref().map(SourceFilter::parse).transpose()?,
    };
    let id = call.var("id");
    let (action, updated) = request.into_action(id);
    let written = node.write_one(op(target.index, Some(id.to_owned()), action, condition)).await?;
    if written.result != Outcome::Noop {
        node.refresh_after(refresh, std::slice::from_ref(&written.index)).await?;
    }
    let mut body = answer(&written, target.copies, refresh);
    if let Some(get) = wanted.as_ref().and_then(|filter| shown(&updated, filter, &body)) {
        body.insert("get".into(), get);
    }
    Ok(Reply::status(status(written.result), body.into()))
}

/// The document as the update left it, as far as it was asked for.
pub(super) fn shown(updated: &Updated, filter: &SourceFilter, answer: &Map<String, Value>) -> Option<Value> {
    let source = updated.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let source = filter.apply(&source)?;
    let source: Value = serde_json::from_slice(&source).ok()?;
    Some(json!({"_seq_no": answer.get("_seq_no"), "_primary_term": answer.get("_primary_term"), "found": true, "_source": source}))
}
