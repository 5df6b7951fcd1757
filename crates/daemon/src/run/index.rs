use std::borrow::Cow;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::Instrument as _;
use tributary_client::{BulkAnswer, BulkBody, BulkItem, BulkResult, Client, ClientError, ErrorKind, Hit};
use tributary_engine::{
    Batch, BulkAck, IndexPort, ItemAck, ItemError, ItemResult, Known, PortError, PortErrorKind,
};
use tributary_protocol::IndexName;

use super::fence::Fence;
use super::rate::Rate;
use crate::metrics::{Metric, Metrics};

/// Ids per request of a scan.
const SCAN_PAGE: usize = 10_000;
/// The field of a document that holds its fingerprint.
const FINGERPRINT: &str = "_tributary.fingerprint";

/// The engine's index: one index of the cluster, written to only while the job is ours.
#[derive(Debug)]
pub struct ClusterIndex {
    pub(crate) client: Client,
    pub(crate) name: IndexName,
    /// Ingest pipeline of every write.
    pub(crate) pipeline: Option<String>,
    /// `None`: nobody else can hold the job (a dry run).
    pub(crate) fence: Option<Fence>,
    /// What is counted, logged and held back.
    pub(crate) watch: Watch,
}

/// How the writes of an index are watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) metrics: Option<Metrics>,
    /// Holds writes back.
    pub(crate) rate: Option<Rate>,
    /// Whether every operation is logged.
    pub(crate) operations: bool,
}

impl Watch {
    fn answered(&self, answer: &Result<BulkAnswer, ClientError>, took: Duration) {
        let Some(metrics) = &self.metrics else { return };
        let outcome = match answer {
            Ok(_) => "ok",
            Err(error) => match error.kind() {
                ErrorKind::Throttled => "throttled",
                ErrorKind::TooLarge => "too_large",
                ErrorKind::Timeout => "timeout",
                ErrorKind::Unreachable | ErrorKind::Unavailable | ErrorKind::Server => "unavailable",
                _ => "refused",
            },
        };
        metrics.took(Metric::BulkSeconds, &[("outcome", outcome)], took);
    }

    fn log(&self, ids: impl Iterator<Item = (String, u16)>) {
        if self.operations {
            ids.for_each(|(id, status)| tracing::debug!(id, status, "operation"));
        }
    }
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow, default)]
    _tributary: Option<Mark<'a>>,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow, default)]
    fingerprint: Option<Cow<'a, str>>,
}

impl ClusterIndex {
    /// An index that no job is needed for, written through the ingest pipeline where one is given.
    #[must_use]
    pub fn new(client: Client, name: IndexName, pipeline: Option<String>) -> Self {
        Self { client, name, pipeline, fence: None, watch: Watch::default() }
    }

    /// Does a write with all its attempts, as long as the job is ours.
    async fn guard<T>(&self, write: impl Future<Output = T>) -> Result<T, PortError> {
        match &self.fence {
            Some(fence) => fence.guard(write).await,
            None => Ok(write.await),
        }
    }
}

impl IndexPort for ClusterIndex {
    async fn lookup(&self, ids: &[String]) -> Result<Vec<Option<Known>>, PortError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let found =
            self.client.mget(&self.name, &ids, &[FINGERPRINT]).await.map_err(|error| port_error(&error))?;
        Ok(found.iter().map(|hit| hit.as_ref().map(known)).collect())
    }

    async fn bulk(&self, batch: &Batch) -> Result<BulkAck, PortError> {
        if let Some(rate) = &self.watch.rate {
            rate.turn(batch.len()).await;
        }
        let body = BulkBody::from_lines(self.name.clone(), batch.payload().clone(), batch.len());
        // Unsigned numbers become texts in traces.
        let operations = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let (begun, span) = (Instant::now(), tracing::info_span!("bulk", operations));
        let sent = |at: usize| batch.ops().get(at).map(|op| op.id.as_str());
        let bulk = self.client.bulk_of(&body, self.pipeline.as_deref(), sent);
        let answer = self.guard(bulk.instrument(span)).await?;
        self.watch.answered(&answer, begun.elapsed());
        let answer = answer.map_err(|error| port_error(&error))?;
        self.watch
            .log(batch.ops().iter().map(|op| op.id.clone()).zip(answer.items.iter().map(|item| item.status)));
        let items = answer.items.into_iter().map(ack).collect();
        Ok(BulkAck { items, wire_bytes: answer.sent_bytes })
    }

    fn scan_ids(&self) -> BoxStream<'_, Result<String, PortError>> {
        let hits = self.client.scan(&self.name, &[], SCAN_PAGE);
        hits.map(|hit| hit.map(|hit| hit.id).map_err(|error| port_error(&error))).boxed()
    }

    async fn refresh(&self) -> Result<(), PortError> {
        self.client.refresh(&self.name).await.map_err(|error| port_error(&error))
    }

    async fn count(&self) -> Result<u64, PortError> {
        self.client.count(&self.name).await.map_err(|error| port_error(&error))
    }
}

/// What the index holds. A fingerprint in another form was written by somebody else.
fn known(hit: &Hit) -> Known {
    let source = hit.source.as_ref().map_or("{}", |source| source.get());
    let mark = serde_json::from_str::<Marked<'_>>(source).ok().and_then(|marked| marked._tributary);
    Known { fingerprint: mark.and_then(|mark| mark.fingerprint?.parse().ok()) }
}

fn ack(item: BulkItem) -> ItemAck {
    let result = item.result.map(|result| match result {
        BulkResult::Created => ItemResult::Created,
        BulkResult::Updated => ItemResult::Updated,
        BulkResult::Deleted => ItemResult::Deleted,
        BulkResult::NotFound => ItemResult::NotFound,
        BulkResult::Noop => ItemResult::Noop,
    });
    ItemAck {
        status: item.status,
        result,
        error: item.error.map(|error| Box::new(ItemError { kind: error.kind, reason: error.reason })),
        changed_id: item.id,
    }
}

pub(crate) fn port_error(error: &ClientError) -> PortError {
    let kind = match error.kind() {
        ErrorKind::TooLarge => PortErrorKind::TooLarge,
        ErrorKind::Throttled => PortErrorKind::Throttled,
        // A cluster that fails may have recovered a moment later.
        ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Server => {
            PortErrorKind::Unavailable
        }
        ErrorKind::NotFound => PortErrorKind::Gone,
        // What stands before the cluster lets nothing through; no document is to blame.
        ErrorKind::Auth | ErrorKind::Forbidden | ErrorKind::Foreign => PortErrorKind::Denied,
        _ => PortErrorKind::Rejected,
    };
    PortError {
        kind,
        message: error.to_string(),
        hint: error.hint().map(str::to_owned),
        retry_after: error.retry_after(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_ridden_out() {
        for (kind, retryable) in [
            (ErrorKind::Unreachable, true),
            (ErrorKind::Server, true),
            (ErrorKind::Throttled, true),
            (ErrorKind::TooLarge, false),
            (ErrorKind::Forbidden, false),
            (ErrorKind::Rejected, false),
            (ErrorKind::BadAnswer, false),
        ] {
            assert_eq!(port_error(&ClientError::new(kind, "x")).is_retryable(), retryable, "{kind:?}");
        }
    }
}
