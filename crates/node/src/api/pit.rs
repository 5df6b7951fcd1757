//! Points in time: open and close. Searches with them are in `search`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, parse_time_ms};
use crate::node::Node;
use crate::writes::resolve_options;

const OPEN: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "keep_alive",
    "preference",
    "routing",
    "allow_partial_search_results",
    "max_concurrent_shard_requests",
];

pub(super) fn routes(table: &mut Table) {
    table.on("POST", &["/{index}/_pit"], OPEN, BodyRule::Optional, open);
    table.on("POST", &["/_pit"], OPEN, BodyRule::Optional, |_, _| async {
        Err(ApiError::validation(["[index] is not specified"]))
    });
    table.on("DELETE", &["/_pit"], &[], BodyRule::Optional, close);
}

async fn open(node: Arc<Node>, call: Call) -> Result<Reply> {
    let body = call.object()?;
    match body.keys().next().map(String::as_str) {
        None => {}
        Some("index_filter") => return Err(ApiError::not_served("an [index_filter] of a point in time")),
        Some(unknown) => {
            return Err(call.unknown_field("open_point_in_time_request", unknown));
        }
    }
    let Some(text) = call.params.text("keep_alive") else {
        return Err(ApiError::validation(["[keep_alive] is not specified"]));
    };
    let keep_alive_ms = parse_time_ms(text, "keep_alive")?;
    let indices = node.resolve_names(call.var("index"), resolve_options(&call)?)?;
    let id = node.store.open_pit(&indices, keep_alive_ms).await?;
    let shards = indices.len();
    Ok(Reply::ok(json!({
        "id": id,
        "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0},
    })))
}

async fn close(node: Arc<Node>, call: Call) -> Result<Reply> {
    if !call.has_body() {
        return Err(ApiError::parse("request body or source parameter is required"));
    }
    let body = call.object()?;
    if let Some(unknown) = body.keys().find(|key| *key != "id") {
        return Err(call.unknown_field("ClosePointInTimeRequest", unknown));
    }
    let Some(id) = body.get("id").and_then(Value::as_str) else {
        return Err(ApiError::illegal("search context id is is not provided"));
    };
    if let Some(error) = not_an_id(id) {
        return Err(error);
    }
    // One context for each index, as Elasticsearch has one for each shard.
    let freed = node.store.pit_indices(id).map_or(0, |indices| indices.len().max(1));
    let closed = node.store.close_pit(id);
    let body = json!({"succeeded": closed, "num_freed": if closed { freed } else { 0 }});
    Ok(Reply::status(if closed { 200 } else { 404 }, body))
}

/// Why a text cannot be the id of a context, in Elasticsearch's words.
pub(super) fn not_an_id(id: &str) -> Option<ApiError> {
    let foreign = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='));
    id.bytes().find(foreign).map(|byte| ApiError::illegal(format!("Illegal base64 character {byte:x}")))
}
