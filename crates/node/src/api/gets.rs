//! Reading documents by id, as they are now.

use std::sync::Arc;

use futures::StreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tributary_store::{Doc, SourceFilter};

use super::Table;
use super::search::source_of_params;
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result, to_json};
use crate::node::Node;

const GET: &[&str] = &[
    "preference", "realtime", "refresh", "routing", "_source", "_source_includes", "_source_excludes", "version",
    "version_type", "stored_fields", "force_synthetic_source",
];
/// Documents of one `_mget` that are read at the same time.
const AT_ONCE: usize = 4;
/// Documents of one `_mget` that are read in one go.
const CHUNK: usize = 256;

pub(super) fn routes(table: &mut Table) {
    table.on("GET,HEAD", &["/{index}/_doc/{id}"], GET, BodyRule::None, get);
    table.on("GET,HEAD", &["/{index}/_source/{id}"], GET, BodyRule::None, get_source);
    table.on("GET,POST", &["/_mget", "/{index}/_mget"], GET, BodyRule::Required, mget);
}

/// A document as gets show it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_version", skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(rename = "_seq_no", skip_serializing_if = "Option::is_none")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term", skip_serializing_if = "Option::is_none")]
    primary_term: Option<u64>,
    found: bool,
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<Box<RawValue>>,
}

impl<'a> Shown<'a> {
    fn missing(index: &'a str, id: &'a str) -> Self {
        Self { index, id, version: None, seq_no: None, primary_term: None, found: false, source: None }
    }

    fn of(index: &'a str, doc: &'a Doc, filter: &SourceFilter) -> Result<Self> {
        let unreadable = |_| ApiError::internal(format!("the document [{}] of [{index}] cannot be read", doc.id));
        let source = filter.apply(&doc.source).map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(unreadable)?;
        Ok(Self {
            index,
            id: &doc.id,
            version: Some(doc.version),
            seq_no: Some(doc.seq_no),
            primary_term: Some(doc.primary_term),
            found: true,
            source,
        })
    }
}

/// The document that a call names, and the index it was looked for in.
async fn find(node: &Node, call: &Call) -> Result<(String, Option<Doc>)> {
    if let Some(version) = call.params.long("version")? {
        return Err(ApiError::not_served(&format!("reading a document by version ([version={version}])")));
    }
    let index = node.read_index(call.var("index"))?;
    if call.params.flag_or("refresh", false)? {
        node.store.refresh(std::slice::from_ref(&index)).await?;
    }
    let doc = node.get_as_caller(&index, call.var("id")).await?;
    Ok((index, doc))
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let filter = source_of_params(&call.params)?.unwrap_or_default();
    let (index, doc) = find(&node, &call).await?;
    match &doc {
        Some(doc) => Ok(Reply::raw(200, to_json(&Shown::of(&index, doc, &filter)?)?)),
        None => Ok(Reply::raw(404, to_json(&Shown::missing(&index, call.var("id")))?)),
    }
}

async fn get_source(node: Arc<Node>, call: Call) -> Result<Reply> {
    let filter = source_of_params(&call.params)?.unwrap_or_default();
    let (index, doc) = find(&node, &call).await?;
    let id = call.var("id");
    let doc = doc.ok_or_else(|| ApiError::not_found(format!("Document not found [{index}]/[{id}]")))?;
    match filter.apply(&doc.source) {
        Some(source) => Ok(Reply::raw(200, source.to_vec())),
        None => Err(ApiError::validation(["fetching source can not be disabled"])),
    }
}

/// One document that an `_mget` asks for.
struct Wanted {
    index: String,
    id: String,
    filter: SourceFilter,
}

impl Wanted {
    fn read(item: &Value, call: &Call, default: &SourceFilter) -> Result<Self> {
        let index_of_path = call.maybe_var("index");
        let Value::Object(item) = item else {
            let id = scalar(item).ok_or_else(|| ApiError::illegal("docs array element should include an object"))?;
            let index = index_of_path.ok_or_else(|| ApiError::validation(["index is missing for doc 0"]))?;
            return Ok(Self { index: index.to_owned(), id, filter: default.clone() });
        };
        let index = item.get("_index").and_then(Value::as_str).or(index_of_path);
        let index = index.ok_or_else(|| ApiError::validation(["index is missing for doc 0"]))?.to_owned();
        let id = item.get("_id").and_then(scalar).ok_or_else(|| ApiError::validation(["id is missing for doc 0"]))?;
        const KEYS: [&str; 8] =
            ["_index", "_id", "routing", "_routing", "_source", "version", "version_type", "stored_fields"];
        if let Some(key) = item.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ApiError::parse(format!("unknown parameter [{key}] in request body or parameter is of the wrong type[VALUE_STRING] ")));
        }
        let filter = item.get("_source").map(SourceFilter::parse).transpose()?.unwrap_or_else(|| default.clone());
        Ok(Self { index, id, filter })
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn wanted(call: &Call) -> Result<Vec<Wanted>> {
    let body = call.object()?;
    let default = source_of_params(&call.params)?.unwrap_or_default();
    let mut all = Vec::new();
    for (key, value) in &body {
        match (key.as_str(), value) {
            ("docs" | "ids", Value::Array(items)) => {
                for item in items {
                    all.push(Wanted::read(item, call, &default)?);
                }
            }
            _ => {
                return Err(ApiError::parse(format!(
                    "unexpected token [START_OBJECT], expected [FIELD_NAME] or [START_ARRAY]: [{key}] is neither docs nor ids"
                )));
            }
        }
    }
    if all.is_empty() { Err(ApiError::validation(["no documents to get"])) } else { Ok(all) }
}

async fn mget(node: Arc<Node>, call: Call) -> Result<Reply> {
    let wanted = wanted(&call)?;
    check_params(&call.params)?;
    if call.params.flag_or("refresh", false)? {
        for index in distinct_indices(&wanted) {
            node.store.refresh(&[node.read_index(&index)?]).await?;
        }
    }
    let chunks: Vec<Vec<Wanted>> = in_chunks(wanted);
    let answers: Vec<Vec<Box<RawValue>>> = futures::stream::iter(chunks)
        .map(|chunk| answer_chunk(Arc::clone(&node), chunk))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    #[derive(Serialize)]
    struct Answer {
        docs: Vec<Box<RawValue>>,
    }
    Ok(Reply::raw(200, to_json(&Answer { docs: answers.into_iter().flatten().collect() })?))
}

fn check_params(params: &Params) -> Result<()> {
    if params.has("version") { Err(ApiError::not_served("reading documents by version ([version])")) } else { Ok(()) }
}

fn distinct_indices(wanted: &[Wanted]) -> Vec<String> {
    let mut names: Vec<String> = wanted.iter().map(|one| one.index.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn in_chunks(wanted: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let mut chunks = Vec::with_capacity(wanted.len() / CHUNK + 1);
    let mut rest = wanted.into_iter().peekable();
    while rest.peek().is_some() {
        chunks.push(rest.by_ref().take(CHUNK).collect());
    }
    chunks
}

async fn answer_chunk(node: Arc<Node>, chunk: Vec<Wanted>) -> Result<Vec<Box<RawValue>>> {
    let all_of_one = chunk.first().map(|first| first.index.clone()).filter(|name| chunk.iter().all(|one| one.index == *name));
    if let Some(name) = all_of_one {
        let unlimited = node.read_index(&name).ok().filter(|index| {
            matches!(node.visible_to_caller(std::slice::from_ref(index)), Ok(None))
        });
        // The usual case: one index, no limits. All are read in one go.
        if let Some(index) = unlimited {
            return node.blocking(move |store| {
                chunk.iter().map(|one| raw(&index, one, store.get(&index, &one.id)?)).collect()
            }).await;
        }
    }
    let mut answers = Vec::with_capacity(chunk.len());
    for one in &chunk {
        let found = match node.read_index(&one.index) {
            Ok(index) => node.get_as_caller(&index, &one.id).await.map(|doc| (index, doc)),
            Err(error) => Err(error),
        };
        answers.push(match found {
            Ok((index, doc)) => raw(&index, one, doc)?,
            Err(error) => refused(one, &error)?,
        });
    }
    Ok(answers)
}

fn raw(index: &str, one: &Wanted, doc: Option<Doc>) -> Result<Box<RawValue>> {
    let shown = match &doc {
        Some(doc) => Shown::of(index, doc, &one.filter)?,
        None => Shown::missing(index, &one.id),
    };
    serde_json::value::to_raw_value(&shown).map_err(|error| ApiError::internal(format!("cannot write the answer: {error}")))
}

fn refused(one: &Wanted, error: &ApiError) -> Result<Box<RawValue>> {
    let value = json!({"_index": one.index, "_id": one.id, "error": error.error_value()});
    serde_json::value::to_raw_value(&value).map_err(|error| ApiError::internal(format!("cannot write the answer: {error}")))
}
