//! Single documents: create, replace, delete.

use std::sync::Arc;

use tributary_store::{Action, Store, StoreError, WriteOp, WriteResult};

use super::Table;
use super::written::{
    OpType, Piped, Stated, answer, asked_pipeline, check_waiting, dropped, op, pipe, pipeline_names, status,
};
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;
use crate::security::WriteNeed;
use crate::writes::{Refresh, Target};

const WRITE: &[&str] = &[
    "refresh",
    "routing",
    "timeout",
    "wait_for_active_shards",
    "version",
    "version_type",
    "if_seq_no",
    "if_primary_term",
    "pipeline",
    "op_type",
    "require_alias",
    "require_data_stream",
    "include_source_on_error",
];

pub(super) fn routes(table: &mut Table) {
    table.on("PUT,POST", &["/{index}/_doc/{id}"], WRITE, BodyRule::Required, |node, call| {
        put(node, call, OpType::Index)
    });
    table.on("POST", &["/{index}/_doc"], WRITE, BodyRule::Required, |node, call| {
        put(node, call, OpType::Index)
    });
    table.on("PUT,POST", &["/{index}/_create/{id}"], WRITE, BodyRule::Required, |node, call| {
        put(node, call, OpType::Create)
    });
    table.on("DELETE", &["/{index}/_doc/{id}"], WRITE, BodyRule::None, delete);
}

impl Node {
    /// Performs one write.
    pub(super) async fn write_one(&self, op: WriteOp) -> Result<WriteResult> {
        Ok(self.store.write(vec![op]).await.pop().unwrap_or_else(|| Err(StoreError::closed()))?)
    }
}

fn op_type(call: &Call, fixed: OpType) -> Result<OpType> {
    match call.params.get("op_type") {
        None => Ok(fixed),
        Some("index") if fixed == OpType::Index => Ok(OpType::Index),
        Some("create") => Ok(OpType::Create),
        Some(other) => {
            Err(ApiError::illegal(format!("opType must be 'create' or 'index', found: [{other}]")))
        }
    }
}

async fn put(node: Arc<Node>, call: Call, fixed: OpType) -> Result<Reply> {
    let op_type = op_type(&call, fixed)?;
    let refresh = Refresh::of(&call)?;
    asked_pipeline(&call.params)?;
    let id = call.maybe_var("id");
    let condition = Stated::of(&call.params, id)?.checked(op_type == OpType::Create || id.is_none())?;
    let id = id.map(str::to_owned);
    let target = node.target(call.var("index"), call.params.flag_or("require_alias", false)?).await?;
    check_waiting(&call.params, &target)?;
    let creates = op_type == OpType::Create || id.is_none();
    let need = if creates { WriteNeed::CREATE } else { WriteNeed::INDEX };
    node.check_write(&target.index, need)?;
    let (index, id, source) = match piped(&node, &call, &target, id).await? {
        Piped::Write { index, id, source } => (index, id, source),
        Piped::Dropped => return Ok(Reply::ok(dropped(&target.index, call.maybe_var("id")).into())),
    };
    let target = if index == target.index {
        target
    } else {
        let other = node.target(&index, false).await?;
        node.check_write(&other.index, need)?;
        other
    };
    let written = node.write_one(op(target.index, id, op_type.action(source), condition)).await?;
    node.refresh_after(refresh, std::slice::from_ref(&written.index)).await?;
    let reply = Reply::status(status(written.result), answer(&written, target.copies, refresh, true).into());
    Ok(reply.at_document(&written.index, &written.id))
}

/// Runs the document's pipelines, if it has any, where they hold up nobody.
async fn piped(node: &Node, call: &Call, target: &Target, id: Option<String>) -> Result<Piped> {
    let names = pipeline_names(asked_pipeline(&call.params)?, target);
    let (index, source) = (target.index.clone(), call.body.clone());
    if names.is_empty() {
        return Ok(Piped::Write { index, id, source });
    }
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let pipelines = Arc::clone(&node.pipelines);
    let run = move |_: &Store| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        pipe(&pipelines, &names, index, id, source)
    };
    node.blocking(run).await
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let refresh = Refresh::of(&call)?;
    let condition = Stated::of(&call.params, Some(call.var("id")))?.checked(false)?;
    let index = match condition.version {
        // The version of what is not there yet must be remembered, so the index is made.
        Some(_) => call.var("index").to_owned(),
        None => node.read_index(call.var("index"))?,
    };
    let target = node.target(&index, false).await?;
    check_waiting(&call.params, &target)?;
    let copies = target.copies;
    let written =
        node.write_one(op(target.index, Some(call.var("id").to_owned()), Action::Delete, condition)).await?;
    node.refresh_after(refresh, std::slice::from_ref(&written.index)).await?;
    Ok(Reply::status(status(written.result), answer(&written, copies, refresh, true).into()))
}
