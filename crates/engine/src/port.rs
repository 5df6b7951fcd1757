use std::time::Duration;

use futures::stream::BoxStream;

use crate::batch::Batch;
use crate::fingerprint::Fingerprint;

/// The index that a sync writes to, as the engine sees it. An adapter over a real client implements it; tests run
/// on one in memory.
///
/// Every method may be called concurrently. Dropping a returned future cancels the call.
pub trait IndexPort: Send + Sync + 'static {
    /// Looks up documents by id, with realtime semantics (a write that was acknowledged is visible). The answer
    /// has one entry per id, in order; `None` means that there is no such document.
    fn lookup(&self, ids: &[String]) -> impl Future<Output = Result<Vec<Option<Known>>, PortError>> + Send;

    /// Makes one bulk request. Retries of the transport are the adapter's affair; answers to single operations come
    /// back as they are, in the order of [`Batch::ops`].
    fn bulk(&self, batch: &Batch) -> impl Future<Output = Result<BulkAck, PortError>> + Send;

    /// Every `_id` in the index, in any order, each once. Must show everything acknowledged before the last
    /// [`IndexPort::refresh`].
    fn scan_ids(&self) -> BoxStream<'_, Result<String, PortError>>;

    /// Makes acknowledged writes visible to [`IndexPort::scan_ids`] and [`IndexPort::count`].
    fn refresh(&self) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Number of documents in the index.
    fn count(&self) -> impl Future<Output = Result<u64, PortError>> + Send;
}

/// What the index holds under an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Value of the document's field `_tributary.fingerprint`; `None` when it has none or one that is not 32 hex
    /// digits (it was written by somebody else, or with fingerprints switched off).
    pub fingerprint: Option<Fingerprint>,
}

/// Answer to one bulk request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkAck {
    /// One answer per operation, in the order of [`Batch::ops`].
    pub items: Vec<ItemAck>,
    /// Bytes of the request's body as sent (compressed, where it was compressed).
    pub wire_bytes: u64,
}

/// Answer to one operation of a bulk request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemAck {
    /// HTTP status of the operation.
    pub status: u16,
    /// What was done; `None` when it failed.
    pub result: Option<ItemResult>,
    /// Why it failed.
    pub error: Option<Box<ItemError>>,
    /// The `_id` in the answer, only when an ingest pipeline changed it to something else than was sent.
    pub changed_id: Option<Box<str>>,
}

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// A new document.
    Created,
    /// An existing document was replaced.
    Updated,
    /// The document was deleted.
    Deleted,
    /// A delete found nothing.
    NotFound,
    /// Nothing was written: a pipeline dropped the document.
    Noop,
}

/// Why an operation failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemError {
    /// Type of the error, as `document_parsing_exception`.
    pub kind: String,
    /// Its reason, for people.
    pub reason: String,
}

/// A whole call to the index failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// Chooses the engine's reaction.
    pub kind: PortErrorKind,
    /// One line for people, with the reason the index gave.
    pub message: String,
    /// What the person should do next, if known.
    pub hint: Option<String>,
    /// How long the index asks to wait, where it said so.
    pub retry_after: Option<Duration>,
}

/// Why a call to the index failed, as far as the engine reacts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortErrorKind {
    /// The request is larger than the index takes (413): it is sent again in halves.
    TooLarge,
    /// The index asks to slow down (429): the call is made again later.
    Throttled,
    /// The index cannot be reached or answers "later", and the client's own retries are used up: ridden out.
    Unavailable,
    /// The index is gone.
    Gone,
    /// The credentials are not accepted or do not allow this.
    Denied,
    /// The request was refused for another reason; sending it again would not help.
    Rejected,
}

impl PortError {
    /// An error of `kind`.
    pub fn new(kind: PortErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after: None }
    }

    /// Adds what the person should do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the same call may work later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, PortErrorKind::Throttled | PortErrorKind::Unavailable)
    }
}
