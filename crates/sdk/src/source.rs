use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tributary_tasks::{Clock, SystemClock};

use crate::{DocId, Document, Error, Result};

/// What the runtime hands to a source for one listing.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where to go on: for a full listing the position of the last [`Event::Checkpoint`] (only for sources with the
    /// facet `resumable`), for an incremental one the cursor of the last completed sync. `None` means: from the
    /// beginning.
    pub cursor: Option<Cursor>,
    /// The value of the active advanced sync rule, when there is one; only for sources with that facet.
    pub advanced_rules: Option<Value>,
    /// Bodies larger than this many bytes are not fetched. Default 10 MiB (sync-runtime 2.2,
    /// `service.max_file_download_size`).
    pub max_body_bytes: u64,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Default for Context {
    fn default() -> Self {
        Self { cursor: None, advanced_rules: None, max_body_bytes: 10 << 20, clock: Arc::new(SystemClock) }
    }
}

/// A position in a source's listing; its content is the source's own affair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub Value);

/// One step of a listing.
#[derive(Debug)]
pub enum Event {
    /// This document exists, as it is now.
    Upsert(Document),
    /// This document is gone; only in incremental listings.
    Delete(DocId),
    /// This document exists but cannot be read now: it counts as seen, what is indexed of it stays, and the reason
    /// is recorded.
    Skipped {
        /// The document.
        id: DocId,
        /// Why it was left out.
        error: Error,
    },
    /// A part of the source could not be listed. The listing goes on, but nothing will be deleted and the sync
    /// ends with this error. Use it where the rest is still worth having; otherwise end the stream with `Err`.
    Incomplete(Error),
    /// Everything before this is complete: a later sync may go on from here once all of it is acknowledged.
    Checkpoint(Cursor),
}

/// A connected source.
///
/// Dropping the returned stream cancels the listing. Implementations must not hold more than a few documents at
/// once, and never end the stream early without an error: the end of the stream means that everything was listed.
#[async_trait]
pub trait DataSource: Send + Sync + 'static {
    /// Checks that the source can be reached with its configuration.
    ///
    /// # Errors
    /// What keeps it from being synced, with a hint.
    async fn ping(&self, cx: &Context) -> Result<()>;

    /// Lists all documents. `None` means complete; a failure is an `Err` item, never a short stream.
    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>>;
}

/// A source that can list only what changed since a cursor.
pub trait Incremental: DataSource {
    /// Lists changes and deletions since `cx.cursor`. The last event must be the [`Event::Checkpoint`] to start from
    /// next time.
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>>;
}

/// A source that can list who may see what.
pub trait AccessControl: DataSource {
    /// Lists identity documents (sync-runtime section 9).
    fn identities<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>>;
}

/// A source with advanced sync rules.
#[async_trait]
pub trait AdvancedRules: DataSource {
    /// Checks an advanced snippet; returns one message per fault, none when it is good.
    ///
    /// # Errors
    /// When the check itself could not be made.
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>>;
}

/// A source whose full listing has a stable order and goes on from [`Context::cursor`].
pub trait Resumable: DataSource {}
