//! `_explain`: whether one document matches a query, and with which score.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::{Hit, Query, SearchRequest, StoreError};

use super::Table;
use super::search::{query_of_params, source_of_params};
use crate::http::{ApiError, BodyRule, Call, Reply, Result, position_of, to_json};
use crate::node::Node;

const EXPLAIN: &[&str] = &[
    "q",
    "df",
    "analyzer",
    "default_operator",
    "lenient",
    "analyze_wildcard",
    "routing",
    "preference",
    "stored_fields",
    "_source",
    "_source_includes",
    "_source_excludes",
];

pub(super) fn routes(table: &mut Table) {
    table.on("GET,POST", &["/{index}/_explain/{id}"], EXPLAIN, BodyRule::Optional, explain);
}

/// The query of the parameters or of the body.
fn read(call: &Call) -> Result<Query> {
    if let Some(query) = query_of_params(&call.params)? {
        return Ok(query);
    }
    let missing = || ApiError::validation(["query is missing"]);
    if !call.has_body() {
        return Err(missing());
    }
    let body = call.json()?;
    let members = body.as_object().ok_or_else(missing)?;
    if let Some(unknown) = members.keys().find(|key| *key != "query") {
        let (line, col) = position_of(unknown, &call.body);
        let reason = format!("request does not support [{unknown}]");
        return Err(ApiError::new(400, "parsing_exception", reason).with("line", line).with("col", col));
    }
    let query = members.get("query").ok_or_else(missing)?;
    Ok(Query::parse(query).map_err(|error| error.located(&body, &call.body))?)
}

/// The document as the query finds it.
async fn found(node: &Node, index: &str, id: &str, query: Query) -> Result<Option<Hit>> {
    let mut request = SearchRequest::new(vec![index.to_owned()]);
    request.query = query;
    request.post_filter = Some(Query::ids(vec![id.to_owned()]));
    request.filter = node.visible_to_caller(&request.indices)?;
    request.size = 1;
    request.source.enabled = false;
    request.now_ms = Some(node.now_ms());
    let found = node.store.search(request).await.map_err(StoreError::out_of_search)?;
    Ok(found.hits.into_iter().next())
}

async fn explain(node: Arc<Node>, call: Call) -> Result<Reply> {
    let query = read(&call)?;
    let source = source_of_params(&call.params)?;
    let index = node.read_index(call.var("index"))?;
    let id = call.var("id");
    let all = query == Query::match_all();
    let hit = found(&node, &index, id, query).await?;
    let mut answer = json!({"_index": index, "_id": id, "matched": hit.is_some()});
    // A document that the query does not find may not be there at all.
    if hit.is_none() && found(&node, &index, id, Query::match_all()).await?.is_none() {
        return Ok(Reply::status(404, answer));
    }
    let text = match &hit {
        Some(_) if all => "*:*",
        Some(_) => "score of the query",
        None => "no match",
    };
    let score = hit.and_then(|hit| hit.score).unwrap_or_default();
    answer["explanation"] = json!({"value": score, "description": text, "details": []});
    let wanted = source.as_ref().is_some_and(|filter| filter.enabled);
    if (wanted || call.params.has("stored_fields"))
        && let Some(doc) = node.get_as_caller(&index, id).await?
    {
        let mut get = Map::new();
        get.insert("_seq_no".into(), json!(doc.seq_no));
        get.insert("_primary_term".into(), json!(doc.primary_term));
        get.insert("found".into(), json!(true));
        if let Some(bytes) = source.filter(|_| wanted).and_then(|filter| filter.apply(&doc.source)) {
            let shown: Value = serde_json::from_slice(&bytes).map_err(|_| {
                ApiError::internal(format!("the document [{id}] of [{index}] cannot be read"))
            })?;
            get.insert("_source".into(), shown);
        }
        answer["get"] = Value::Object(get);
    }
    Ok(Reply::raw(200, to_json(&answer)?))
}
