//! The answer to a search, written straight from what the store found.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tributary_store::{Hit, SearchResponse, Total, TrackTotal};

use crate::http::{ApiError, Reply, Result, to_json};

/// How an answer is to look.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// `hits.total` as a bare number (`rest_total_hits_as_int`).
    pub(super) total_as_int: bool,
    pub(super) scroll_id: Option<String>,
    /// How many sort values of each hit are shown; `None` shows all.
    pub(super) sort_values: Option<usize>,
}

impl Look {
    /// A bare number cannot say that it is a lower bound.
    pub(super) fn check(&self, track: TrackTotal) -> Result<()> {
        match track {
            TrackTotal::UpTo(limit) if self.total_as_int => Err(ApiError::illegal(format!(
                "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got {limit}"
            ))),
            _ => Ok(()),
        }
    }

    fn total(&self, total: Option<Total>) -> Option<Value> {
        match (self.total_as_int, total) {
            (true, total) => Some(total.map_or(json!(-1), |total| json!(total.value))),
            (false, Some(total)) => {
                Some(json!({"value": total.value, "relation": if total.exact { "eq" } else { "gte" }}))
            }
            (false, None) => None,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(rename = "_scroll_id", skip_serializing_if = "Option::is_none")]
    scroll_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pit_id: Option<&'a str>,
    took: u64,
    timed_out: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminated_early: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Value,
    hits: Hits<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregations: Option<&'a Map<String, Value>>,
    /// Only in the answers of `_msearch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

#[derive(Serialize)]
struct Hits<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Value>,
    max_score: Option<f32>,
    hits: Vec<OneHit<'a>>,
}

#[derive(Serialize)]
struct OneHit<'a> {
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
    #[serde(rename = "_score")]
    score: Option<f32>,
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<&'a [Value]>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    matched_queries: &'a [String],
}

impl<'a> OneHit<'a> {
    fn of(hit: &'a Hit, look: &Look) -> Result<Self> {
        let unreadable =
            |_| ApiError::internal(format!("the document [{}] of [{}] cannot be read", hit.id, hit.index));
        let source = hit.source.as_deref().map(serde_json::from_slice).transpose().map_err(unreadable)?;
        let shown = |values: &'a Vec<Value>| {
            let count = look.sort_values.unwrap_or(values.len()).min(values.len());
            values.get(..count).filter(|values| !values.is_empty())
        };
        Ok(Self {
            index: &hit.index,
            id: &hit.id,
            version: hit.version,
            seq_no: hit.seq_no,
            primary_term: hit.primary_term,
            score: hit.score,
            source,
            fields: hit.fields.as_ref(),
            highlight: hit.highlight.as_ref(),
            sort: hit.sort.as_ref().and_then(shown),
            matched_queries: &hit.matched_queries,
        })
    }
}

/// An answer as bytes; `status` is for `_msearch`.
pub(super) fn answer(found: &SearchResponse, look: &Look, status: Option<u16>) -> Result<Vec<u8>> {
    // Elasticsearch tells no score as 0.0 when there was no index at all to search.
    let max_score = if found.shards == 0 && found.pit_id.is_none() { Some(0.0) } else { found.max_score };
    to_json(&Answer {
        scroll_id: look.scroll_id.as_deref(),
        pit_id: found.pit_id.as_deref().filter(|_| look.scroll_id.is_none()),
        took: found.took_ms,
        timed_out: false,
        terminated_early: found.terminated_early,
        shards: json!({"total": found.shards, "successful": found.shards, "skipped": 0, "failed": 0}),
        hits: Hits {
            total: look.total(found.total),
            max_score,
            hits: found.hits.iter().map(|hit| OneHit::of(hit, look)).collect::<Result<_>>()?,
        },
        aggregations: found.aggregations.as_ref(),
        status,
    })
}

/// The reply to a search.
pub(super) fn render(found: &SearchResponse, look: &Look) -> Result<Reply> {
    Ok(Reply::raw(200, answer(found, look, None)?))
}
