//! What single writes and bulk items share: conditions from parameters, running pipelines, and how a write is answered.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_store::{Action, Condition, Outcome, VersionType, WriteOp, WriteResult};

use crate::http::{ApiError, Params, Result};
use crate::ingest::{IngestDoc, Ingested, Pipelines};
use crate::writes::{Refresh, Target, shards};

/// Whether a write creates only, or replaces too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpType {
    Index,
    Create,
}

impl OpType {
    /// The write of this source.
    pub(super) fn action(self, source: Bytes) -> Action {
        match self {
            Self::Index => Action::Index(source),
            Self::Create => Action::Create(source),
        }
    }
}

/// The condition that parameters state.
pub(super) fn condition(params: &Params) -> Result<Condition> {
    let number = |name: &str| -> Result<Option<u64>> {
        let Some(number) = params.long(name)? else { return Ok(None) };
        u64::try_from(number).map(Some).map_err(|_| {
            let what = match name {
                "if_seq_no" => "sequence numbers must be non negative. got",
                "if_primary_term" => "primary term must be non negative. got",
                _ => "illegal version value",
            };
            ApiError::illegal(format!("{what} [{number}]."))
        })
    };
    let version_type = params.text("version_type");
    condition_of(number("if_seq_no")?, number("if_primary_term")?, number("version")?, version_type)
}

/// The condition that these values state together.
pub(super) fn condition_of(
    if_seq_no: Option<u64>,
    if_primary_term: Option<u64>,
    version: Option<u64>,
    version_type: Option<&str>,
) -> Result<Condition> {
    let mut faults = Vec::new();
    if if_seq_no.is_some() != if_primary_term.is_some() {
        let (seq_no, term) = (if_seq_no.map_or("-2".to_owned(), |n| n.to_string()), if_primary_term.unwrap_or(0));
        faults.push(if if_seq_no.is_some() {
            format!("ifSeqNo is set, but primary term is [{term}]")
        } else {
            format!("ifSeqNo is unassigned, but primary term is [{term}], sequence number is [{seq_no}]")
        });
    }
    let kind = match version_type {
        None | Some("internal") => None,
        Some("external" | "external_gt") => Some(VersionType::External),
        Some("external_gte") => Some(VersionType::ExternalGte),
        Some(other) => return Err(ApiError::illegal(format!("No version type match [{other}]"))),
    };
    let version = match (kind, version) {
        (Some(kind), Some(version)) => Some((version, kind)),
        (None, Some(_)) => {
            faults.push(
                "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and \
                 `if_primary_term` instead"
                    .to_owned(),
            );
            None
        }
        _ => None,
    };
    if faults.is_empty() { Ok(Condition { if_seq_no, if_primary_term, version }) } else { Err(ApiError::validation(faults)) }
}

/// The pipelines that a document goes through: the one asked for, else the index's default; then its final one.
pub(super) fn pipeline_names<'a>(asked: Option<&'a str>, target: &'a Target) -> Vec<&'a str> {
    let first = match asked {
        Some("_none") => None,
        Some(name) => Some(name),
        None => target.default_pipeline.as_deref(),
    };
    first.into_iter().chain(target.final_pipeline.as_deref()).collect()
}

/// A document after its pipelines.
pub(super) enum Piped {
    /// Write this, under this id, into this index.
    Write { index: String, id: Option<String>, source: Bytes },
    /// A pipeline dropped it.
    Dropped,
}

/// Runs pipelines over a source; without any it stays as it is, byte for byte.
pub(super) fn pipe(
    pipelines: &Pipelines,
    names: &[&str],
    index: String,
    id: Option<String>,
    source: Bytes,
) -> Result<Piped> {
    if names.is_empty() {
        return Ok(Piped::Write { index, id, source });
    }
    let Value::Object(object) = crate::http::parse_json(&source)? else {
        return Err(ApiError::new(400, "document_parsing_exception", "[1:1] failed to parse: the document is no object"));
    };
    match pipelines.run(names, IngestDoc::new(index, id, object))? {
        Ingested::Keep(doc) => {
            let source = Bytes::from(Value::Object(doc.source).to_string());
            Ok(Piped::Write { index: doc.index, id: doc.id, source })
        }
        Ingested::Drop => Ok(Piped::Dropped),
    }
}

/// A write of the store.
pub(super) fn op(index: String, id: Option<String>, action: Action, condition: Condition) -> WriteOp {
    WriteOp { index, id, action, condition }
}

/// How a write is answered, without its HTTP status.
pub(super) fn answer(written: &WriteResult, copies: u64, refresh: Refresh) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("_index".into(), written.index.clone().into());
    body.insert("_id".into(), written.id.clone().into());
    body.insert("_version".into(), written.version.into());
    body.insert("result".into(), written.result.as_str().into());
    if refresh == Refresh::Now && written.result != Outcome::Noop {
        body.insert("forced_refresh".into(), true.into());
    }
    let done = if written.result == Outcome::Noop { shards(0, 0) } else { shards(copies, 1) };
    body.insert("_shards".into(), done);
    body.insert("_seq_no".into(), written.seq_no.into());
    body.insert("_primary_term".into(), written.primary_term.into());
    body
}

/// The answer to a document that a pipeline dropped.
pub(super) fn dropped(index: &str, id: Option<&str>) -> Map<String, Value> {
    let value = json!({
        "_index": index, "_id": id.unwrap_or("auto-generated"), "_version": -3, "result": "noop",
        "_shards": shards(0, 0), "_seq_no": -2, "_primary_term": 0,
    });
    match value {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}

/// The HTTP status that goes with a write.
pub(super) fn status(result: Outcome) -> u16 {
    match result {
        Outcome::Created => 201,
        Outcome::NotFound => 404,
        _ => 200,
    }
}
