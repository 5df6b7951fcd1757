//! What single writes and bulk items share: conditions from parameters, running pipelines, and how a write is answered.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_store::{Action, Condition, Outcome, VersionType, WriteOp, WriteResult};

use crate::http::{ApiError, Params, Result};
use crate::ingest::{IngestDoc, Ingested, Pipelines};
use crate::writes::{Refresh, Target, shards};

/// The longest id in bytes.
const MAX_ID_BYTES: usize = 512;

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

/// What a write states about the document it expects.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stated<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) if_seq_no: Option<u64>,
    pub(super) if_primary_term: Option<u64>,
    pub(super) version: Option<i64>,
    /// `None` is internal versioning.
    pub(super) version_type: Option<VersionType>,
}

/// The type of a version.
pub(super) fn version_type(text: Option<&str>) -> Result<Option<VersionType>> {
    match text {
        None | Some("internal") => Ok(None),
        Some("external" | "external_gt") => Ok(Some(VersionType::External)),
        Some("external_gte") => Ok(Some(VersionType::ExternalGte)),
        Some(other) => Err(ApiError::illegal(format!("No version type match [{other}]"))),
    }
}

/// A sequence number or primary term that a caller gives.
pub(super) fn sequence(name: &str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| {
        // Only one of the two texts has a full stop.
        ApiError::illegal(match name {
            "if_seq_no" => format!("sequence numbers must be non negative. got [{number}]."),
            _ => format!("primary term must be non negative. got [{number}]"),
        })
    })
}

impl<'a> Stated<'a> {
    /// From parameters.
    pub(super) fn of(params: &Params, id: Option<&'a str>) -> Result<Self> {
        let number = |name: &str| params.long(name)?.map(|number| sequence(name, number)).transpose();
        Ok(Self {
            id,
            if_seq_no: number("if_seq_no")?,
            if_primary_term: number("if_primary_term")?,
            version: params.long("version")?,
            version_type: version_type(params.get("version_type"))?,
        })
    }

    /// The rules of writes that are broken, in Elasticsearch's words and order.
    pub(super) fn faults(&self, creates: bool) -> Vec<String> {
        let term = self.if_primary_term.filter(|term| *term > 0);
        let mut faults = Vec::new();
        if creates {
            let why = match self {
                Self { version_type: Some(_), .. } => "only support internal versioning",
                Self { version: Some(_), .. } => "do not support explicit versions",
                _ if self.if_seq_no.is_some() || term.is_some() => "do not support compare and set",
                _ => return self.long_id(),
            };
            return vec![format!("create operations {why}. use index instead")];
        }
        match (self.version_type, self.version) {
            (Some(kind), version) if version.is_none_or(|version| version < 0) => {
                let kind = if kind == VersionType::External { "EXTERNAL" } else { "EXTERNAL_GTE" };
                // The number that Elasticsearch takes for a version that was not given.
                faults.push(format!("illegal version value [{}] for version type [{kind}]", version.unwrap_or(-3)));
            }
            (None, Some(_)) => faults.push(
                "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and \
                 `if_primary_term` instead"
                    .to_owned(),
            ),
            _ => {}
        }
        if self.if_seq_no.is_some() && (self.version_type.is_some() || self.version.is_some()) {
            faults.push("compare and write operations can not use versioning".to_owned());
        }
        match (self.if_seq_no, term) {
            (Some(_), None) => faults.push("ifSeqNo is set, but primary term is [0]".to_owned()),
            (None, Some(term)) => faults.push(format!("ifSeqNo is unassigned, but primary term is [{term}]")),
            _ => {}
        }
        faults.extend(self.long_id());
        faults
    }

    fn long_id(&self) -> Vec<String> {
        let long = self.id.filter(|id| id.len() > MAX_ID_BYTES);
        let told = long.map(|id| {
            format!(
                "id [{id}] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {}",
                id.len()
            )
        });
        told.into_iter().collect()
    }

    /// As a condition of the store.
    pub(super) fn condition(&self) -> Condition {
        let version = self.version.and_then(|version| u64::try_from(version).ok());
        Condition {
            if_seq_no: self.if_seq_no,
            if_primary_term: self.if_primary_term,
            version: version.zip(self.version_type),
        }
    }

    /// The condition, if no rule is broken.
    pub(super) fn checked(&self, creates: bool) -> Result<Condition> {
        let faults = self.faults(creates);
        if faults.is_empty() { Ok(self.condition()) } else { Err(ApiError::validation(faults)) }
    }
}

/// For how many copies a call is to wait, of which an index has `all`.
pub(super) fn active_copies(params: &Params, all: u64) -> Result<Option<u64>> {
    match params.text("wait_for_active_shards") {
        None => Ok(None),
        Some("all") => Ok(Some(all)),
        Some(text) => text.parse::<u32>().map(|copies| Some(copies.into())).map_err(|_| {
            ApiError::illegal(format!("cannot parse ActiveShardCount[{text}]"))
                .because("number_format_exception", format!("For input string: \"{text}\""))
        }),
    }
}

/// Checks for how many copies a write is to wait: there is one, so more never come.
pub(super) fn check_waiting(params: &Params, target: &Target) -> Result<()> {
    let Some(copies) = active_copies(params, target.copies)? else { return Ok(()) };
    if copies <= 1 {
        return Ok(());
    }
    let reason = format!(
        "[{}][0] Not enough active copies to meet shard count of [{}] (have 1, needed {copies})",
        target.index,
        params.text("wait_for_active_shards").unwrap_or_default().to_ascii_uppercase()
    );
    Err(ApiError::new(503, "unavailable_shards_exception", reason))
}

/// The pipeline that the request's parameters ask for.
pub(super) fn asked_pipeline(params: &Params) -> Result<Option<&str>> {
    match params.get("pipeline") {
        Some("") => Err(ApiError::validation(["pipeline cannot be an empty string"])),
        asked => Ok(asked),
    }
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
        return Err(ApiError::new(
            400,
            "document_parsing_exception",
            "Malformed content, must start with an object",
        ));
    };
    match pipelines.run(names, IngestDoc::new(index, id, object))? {
        Ingested::Keep(doc) => {
            // Exactly as long as it is: thousands of these wait to be durable and searchable.
            let text = Value::Object(doc.source).to_string().into_boxed_str();
            let source = Bytes::from(text.into_boxed_bytes());
            Ok(Piped::Write { index: doc.index, id: doc.id, source })
        }
        Ingested::Drop => Ok(Piped::Dropped),
    }
}

/// A write of the store.
pub(super) fn op(index: String, id: Option<String>, action: Action, condition: Condition) -> WriteOp {
    WriteOp { index, id, action, condition }
}

/// How a write is answered, without its HTTP status. An update that changes nothing reaches no shard when it comes
/// alone, but does as a part of a bulk.
pub(super) fn answer(
    written: &WriteResult,
    copies: u64,
    refresh: Refresh,
    alone: bool,
) -> Map<String, Value> {
    let idle = alone && written.result == Outcome::Noop;
    let mut body = Map::new();
    body.insert("_index".into(), written.index.clone().into());
    body.insert("_id".into(), written.id.clone().into());
    body.insert("_version".into(), written.version.into());
    body.insert("result".into(), written.result.as_str().into());
    if refresh == Refresh::Now && !idle {
        body.insert("forced_refresh".into(), true.into());
    }
    let done = if idle { shards(0, 0) } else { shards(copies, 1) };
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
