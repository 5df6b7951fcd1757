//! Reading documents by id, as they are now.

use std::sync::Arc;

use futures::StreamExt;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tributary_store::{Doc, ErrorKind, ResolveOptions, SourceFilter, StoreError};

use super::Table;
use super::search::source_of_params;
use super::written::version_type;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, to_json, token_name};
use crate::node::Node;

const GET: &[&str] = &[
    "preference",
    "realtime",
    "refresh",
    "routing",
    "_source",
    "_source_includes",
    "_source_excludes",
    "version",
    "version_type",
    "stored_fields",
    "force_synthetic_source",
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
        let unreadable =
            |_| ApiError::internal(format!("the document [{}] of [{index}] cannot be read", doc.id));
        let source = filter
            .apply(&doc.source)
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(unreadable)?;
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
    let version = call.params.long("version")?;
    version_type(call.params.get("version_type"))?;
    let index = node.read_index(call.var("index"))?;
    if call.params.flag_or("refresh", false)? {
        node.store.refresh(std::slice::from_ref(&index)).await?;
    }
    let doc = node.get_as_caller(&index, call.var("id")).await?;
    check_version(node, &index, doc.as_ref(), version)?;
    Ok((index, doc))
}

/// A document of another version than the one asked for is a conflict.
fn check_version(node: &Node, index: &str, doc: Option<&Doc>, version: Option<i64>) -> Result<()> {
    let (Some(doc), Some(version)) = (doc, version) else { return Ok(()) };
    if u64::try_from(version) == Ok(doc.version) {
        return Ok(());
    }
    let reason = format!(
        "[{}]: version conflict, current version [{}] is different than the one provided [{version}]",
        doc.id, doc.version
    );
    let uuid = node.store.index(index).map(|info| info.uuid).unwrap_or_default();
    Err(StoreError::new(ErrorKind::VersionConflict, reason).in_shard(index, &uuid).into())
}

/// What is shown of a source. No field is stored on its own, so asking for such fields leaves the source out.
fn shown_source(given: Option<SourceFilter>, stored_fields: bool) -> SourceFilter {
    given.unwrap_or(SourceFilter { enabled: !stored_fields, ..SourceFilter::default() })
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let filter = shown_source(source_of_params(&call.params)?, call.params.has("stored_fields"));
    let (index, doc) = find(&node, &call).await?;
    match &doc {
        Some(doc) => Ok(Reply::raw(200, to_json(&Shown::of(&index, doc, &filter)?)?)),
        None => Ok(Reply::raw(404, to_json(&Shown::missing(&index, call.var("id")))?)),
    }
}

async fn get_source(node: Arc<Node>, call: Call) -> Result<Reply> {
    let filter = source_of_params(&call.params)?.unwrap_or_default();
    if !filter.enabled {
        return Err(ApiError::validation(["fetching source can not be disabled"]));
    }
    let (index, doc) = find(&node, &call).await?;
    let id = call.var("id");
    let doc = doc.ok_or_else(|| ApiError::not_found(format!("Document not found [{index}]/[{id}]")))?;
    Ok(Reply::raw(200, filter.apply(&doc.source).unwrap_or_default().to_vec()))
}

/// One document that an `_mget` asks for.
struct Wanted {
    index: String,
    id: String,
    filter: SourceFilter,
    version: Option<i64>,
}

/// What the path and the parameters say about all documents of an `_mget`.
struct Defaults<'c> {
    index: Option<&'c str>,
    source: Option<SourceFilter>,
    stored_fields: bool,
}

impl Wanted {
    /// One of `ids`.
    fn of_id(at: usize, value: &Value, defaults: &Defaults<'_>) -> Result<Self, Fault> {
        let id =
            scalar(value).ok_or_else(|| ApiError::illegal("ids array element should only contain ids"))?;
        let index = defaults.index.ok_or_else(|| format!("index is missing for doc {at}"))?.to_owned();
        Ok(Self {
            index,
            id,
            filter: shown_source(defaults.source.clone(), defaults.stored_fields),
            version: None,
        })
    }

    /// One of `docs`.
    fn of_object(at: usize, value: &Value, defaults: &Defaults<'_>) -> Result<Self, Fault> {
        let Value::Object(members) = value else {
            return Err(ApiError::illegal("docs array element should include an object").into());
        };
        let (mut index, mut id) = (defaults.index.map(str::to_owned), None);
        let (mut source, mut stored_fields, mut version) =
            (defaults.source.clone(), defaults.stored_fields, None);
        for (key, value) in members {
            match key.as_str() {
                "_index" => index = value.as_str().map(str::to_owned).or(index),
                "_id" => id = scalar(value),
                "_source" => source = Some(SourceFilter::parse(value).map_err(ApiError::from)?),
                "stored_fields" => stored_fields = true,
                "version" => version = value.as_i64(),
                "version_type" => drop(version_type(value.as_str())?),
                // One shard holds everything.
                "routing" => {}
                _ => {
                    let reason = format!("failed to parse multi get request. unknown field [{key}]");
                    return Err(ApiError::parse(reason).into());
                }
            }
        }
        let index = index.ok_or_else(|| format!("index is missing for doc {at}"))?;
        let id = id.ok_or_else(|| format!("id is missing for doc {at}"))?;
        Ok(Self { index, id, filter: shown_source(source, stored_fields), version })
    }
}

/// What is wrong with one of the documents: the request is malformed, or breaks a rule that is told with all others.
enum Fault {
    Malformed(ApiError),
    Broken(String),
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Malformed(error)
    }
}

impl From<String> for Fault {
    fn from(rule: String) -> Self {
        Self::Broken(rule)
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
    let misplaced = |reason: String| ApiError::new(400, "parsing_exception", reason);
    let body = match call.json()? {
        Value::Object(body) => body,
        other => {
            let found = token_name(&other);
            return Err(misplaced(format!("unexpected token [{found}], expected [START_OBJECT]")));
        }
    };
    let defaults = Defaults {
        index: call.maybe_var("index"),
        source: source_of_params(&call.params)?,
        stored_fields: call.params.has("stored_fields"),
    };
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    for (key, value) in &body {
        let Value::Array(items) = value else {
            let found = token_name(value);
            return Err(misplaced(format!(
                "unexpected token [{found}], expected [FIELD_NAME] or [START_ARRAY]"
            )));
        };
        let read = match key.as_str() {
            "docs" => Wanted::of_object,
            "ids" => Wanted::of_id,
            _ => {
                return Err(misplaced(format!(
                    "unknown key [{key}] for a START_ARRAY, expected [docs] or [ids]"
                )));
            }
        };
        for (at, item) in items.iter().enumerate() {
            match read(at, item, &defaults) {
                Ok(one) => all.push(one),
                Err(Fault::Broken(rule)) => broken.push(rule),
                Err(Fault::Malformed(error)) => return Err(error),
            }
        }
    }
    if all.is_empty() && broken.is_empty() {
        broken.push("no documents to get".to_owned());
    }
    if broken.is_empty() { Ok(all) } else { Err(ApiError::validation(broken)) }
}

async fn mget(node: Arc<Node>, call: Call) -> Result<Reply> {
    let wanted = wanted(&call)?;
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
    let all_of_one = chunk
        .first()
        .map(|first| first.index.clone())
        .filter(|name| chunk.iter().all(|one| one.index == *name && one.version.is_none()));
    if let Some(name) = all_of_one {
        let unlimited = node
            .read_index(&name)
            .ok()
            .filter(|index| matches!(node.visible_to_caller(std::slice::from_ref(index)), Ok(None)));
        // The usual case: one index, no limits. All are read in one go.
        if let Some(index) = unlimited {
            return node
                .blocking(move |store| {
                    chunk.iter().map(|one| raw(&index, one, store.get(&index, &one.id)?.as_ref())).collect()
                })
                .await;
        }
    }
    let mut answers = Vec::with_capacity(chunk.len());
    for one in &chunk {
        // What is not there is told even to those who would not be let in.
        let lenient = ResolveOptions { ignore_unavailable: true, ..ResolveOptions::default() };
        let read = match node.store.resolve(&one.index, lenient)?.is_empty() {
            true => Err(StoreError::no_such_index(&one.index).into()),
            false => node.read_index(&one.index),
        };
        let found = match read {
            Ok(index) => match node.get_as_caller(&index, &one.id).await {
                Ok(doc) => check_version(&node, &index, doc.as_ref(), one.version).map(|()| (index, doc)),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        answers.push(match found {
            Ok((index, doc)) => raw(&index, one, doc.as_ref())?,
            Err(error) => refused(one, &error)?,
        });
    }
    Ok(answers)
}

fn raw(index: &str, one: &Wanted, doc: Option<&Doc>) -> Result<Box<RawValue>> {
    let shown = match doc {
        Some(doc) => Shown::of(index, doc, &one.filter)?,
        None => Shown::missing(index, &one.id),
    };
    serde_json::value::to_raw_value(&shown)
        .map_err(|error| ApiError::internal(format!("cannot write the answer: {error}")))
}

fn refused(one: &Wanted, error: &ApiError) -> Result<Box<RawValue>> {
    let value = json!({"_index": one.index, "_id": one.id, "error": error.error_value()});
    serde_json::value::to_raw_value(&value)
        .map_err(|error| ApiError::internal(format!("cannot write the answer: {error}")))
}
