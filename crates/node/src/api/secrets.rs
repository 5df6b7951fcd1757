//! Secrets of connectors (connector-api 13). They are in the vault, not in an index: no search can show them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use serde_json::json;
use tributary_protocol::ProtocolError;
use tributary_protocol::request::SecretRequest;

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;

const SECRET: &[&str] = &["/_connector/_secret/{id}"];
/// Makes an id of 20 characters.
const ID_BYTES: usize = 15;

pub(super) fn routes(table: &mut Table) {
    let posting = |call: &Call| SecretRequest::parse_post(&call.body).map(drop).map_err(ApiError::from);
    table.judged("POST", &["/_connector/_secret"], &[], BodyRule::Required, posting, post);
    let putting = |call: &Call| SecretRequest::parse_put(&call.body).map(drop).map_err(ApiError::from);
    table.judged("PUT", SECRET, &[], BodyRule::Required, putting, put);
    table.on("GET", SECRET, &[], BodyRule::None, get);
    table.on("DELETE", SECRET, &[], BodyRule::None, delete);
}

async fn store(node: &Node, id: String, secret: SecretRequest) -> Result<bool> {
    let vault = Arc::clone(&node.vault);
    node.blocking(move |store| vault.put(store, &id, secret.reveal())).await
}

async fn post(node: Arc<Node>, call: Call) -> Result<Reply> {
    let secret = SecretRequest::parse_post(&call.body)?;
    let mut bytes = [0u8; ID_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    let id = URL_SAFE_NO_PAD.encode(bytes);
    store(&node, id.clone(), secret).await?;
    Ok(Reply::ok(json!({"id": id})))
}

async fn put(node: Arc<Node>, call: Call) -> Result<Reply> {
    let secret = SecretRequest::parse_put(&call.body)?;
    let created = store(&node, call.var("id").to_owned(), secret).await?;
    let (status, result) = if created { (201, "created") } else { (200, "updated") };
    Ok(Reply::status(status, json!({"result": result})))
}

fn absent(id: &str) -> ProtocolError {
    ProtocolError::not_found(format!("No secret with id [{id}]"))
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let (vault, id) = (Arc::clone(&node.vault), call.var("id").to_owned());
    match node.blocking(move |store| vault.get(store, &id)).await? {
        Some(value) => Ok(Reply::ok(json!({"id": call.var("id"), "value": value}))),
        None => Err(absent(call.var("id")).into()),
    }
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let (vault, id) = (Arc::clone(&node.vault), call.var("id").to_owned());
    if node.blocking(move |store| vault.delete(store, &id)).await? {
        Ok(Reply::ok(json!({"deleted": true})))
    } else {
        Err(absent(call.var("id")).into())
    }
}
