use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{ClientError, Result};

/// A document of an index.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hit {
    /// Its `_id`.
    pub id: String,
    /// When it was last written; absent in a scan.
    pub version: Option<DocVersion>,
    /// The asked-for part of its source, as JSON text; absent where nothing was asked for.
    pub source: Option<Box<RawValue>>,
}

impl Hit {
    /// The source as `T`. An absent one is read as an empty object.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadAnswer`] when it is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.source.as_ref().map_or("{}", |source| source.get());
        serde_json::from_str(text).map_err(|error| {
            ClientError::bad_answer(format!("document [{}] is not as expected: {error}", self.id))
        })
    }
}

/// When a document was last written: the condition of a guarded write (`if_seq_no`, `if_primary_term`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DocVersion {
    /// Sequence number of the write.
    pub seq_no: u64,
    /// Term of the primary shard that did it.
    pub primary_term: u64,
}

/// A document as search, get and mget answer it.
#[derive(Deserialize)]
pub(crate) struct RawHit {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    #[serde(rename = "_seq_no", default)]
    pub(crate) seq_no: Option<u64>,
    #[serde(rename = "_primary_term", default)]
    pub(crate) primary_term: Option<u64>,
    #[serde(rename = "_source", default)]
    pub(crate) source: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) found: Option<bool>,
    #[serde(default)]
    pub(crate) error: Option<HitError>,
    #[serde(default)]
    pub(crate) sort: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(crate) struct HitError {
    #[serde(rename = "type", default)]
    pub(crate) es_type: String,
    #[serde(default)]
    pub(crate) reason: String,
}

impl RawHit {
    pub(crate) fn version(&self) -> Option<DocVersion> {
        Some(DocVersion { seq_no: self.seq_no?, primary_term: self.primary_term? })
    }
}

impl From<RawHit> for Hit {
    fn from(raw: RawHit) -> Self {
        Self { version: raw.version(), id: raw.id, source: raw.source }
    }
}

/// `{"hits": {"hits": [...]}}`.
#[derive(Deserialize)]
pub(crate) struct SearchAnswer {
    #[serde(default)]
    pub(crate) pit_id: Option<String>,
    #[serde(default)]
    pub(crate) timed_out: bool,
    #[serde(rename = "_shards", default)]
    pub(crate) shards: Shards,
    pub(crate) hits: Hits,
}

#[derive(Default, Deserialize)]
pub(crate) struct Shards {
    #[serde(default)]
    pub(crate) failed: u32,
    #[serde(default)]
    pub(crate) failures: Vec<ShardFailure>,
}

#[derive(Deserialize)]
pub(crate) struct ShardFailure {
    #[serde(default)]
    pub(crate) reason: Option<HitError>,
}

#[derive(Deserialize)]
pub(crate) struct Hits {
    pub(crate) hits: Vec<RawHit>,
}

impl SearchAnswer {
    /// The hits, unless some shard's are missing: a part must never be taken for the whole.
    pub(crate) fn complete(self) -> Result<(Vec<RawHit>, Option<String>)> {
        if self.shards.failed > 0 {
            let why = self.shards.failures.into_iter().find_map(|failure| failure.reason);
            let why = why.map_or_else(String::new, |why| format!(": {}: {}", why.es_type, why.reason));
            let reason = format!("{} shards did not answer{why}", self.shards.failed);
            return Err(ClientError::new(crate::ErrorKind::Unavailable, reason));
        }
        if self.timed_out {
            return Err(ClientError::new(crate::ErrorKind::Timeout, "the search timed out on the cluster"));
        }
        Ok((self.hits.hits, self.pit_id))
    }
}
