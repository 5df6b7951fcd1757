use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tributary_sdk::{Cursor, Error};

use crate::letters::Letters;
use crate::progress::Figures;

/// What one sync is to do. [`SyncSpec::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct SyncSpec {
    /// Id of the sync job; names its spool.
    pub job_id: String,
    /// What is listed, and so whether leftovers are deleted.
    pub kind: SyncKind,
    /// Write, or only tell what would be written.
    pub mode: Mode,
    /// The switches of the job's ingest pipeline, written into every document (sync-runtime 6.2). `None` writes
    /// none; not used for identities.
    pub pipeline: Option<PipelineFlags>,
    /// Whether contents that must be extracted ([`tributary_sdk::BodyKind::Binary`]) are fetched and sent as
    /// `_attachment`.
    pub extracts_attachments: bool,
    /// Extracts the text of such contents instead: it becomes `body`, and nothing is sent as `_attachment`. Only used with
    /// `extracts_attachments`.
    pub extractor: Option<Arc<dyn TextExtractor>>,
    /// The basic sync rules; not used for identities.
    pub rules: Option<Arc<dyn Rules>>,
    /// Whether documents carry a fingerprint and unchanged ones are left alone. Default true.
    pub fingerprint: bool,
    /// Protection from mass deletion.
    pub delete_guard: DeleteGuard,
    /// When refused documents fail the job.
    pub error_limits: ErrorLimits,
    /// Bounds on memory, sizes, concurrency and time.
    pub limits: Limits,
    /// Whether documents stay that a full listing did not tell of: the listing is a part of what belongs into the
    /// index. Default false.
    pub keeps_leftovers: bool,
    /// Folder for spools; the job's own is a folder in it. Created when missing.
    pub spool_dir: PathBuf,
    /// Go on where an earlier attempt of this job stopped.
    pub resume: Option<Resume>,
    /// Where documents that were not written are noted, and those that are noted already; not used by a dry run.
    pub letters: Option<Letters>,
}

impl SyncSpec {
    /// A full sync with default limits that writes no pipeline switches.
    pub fn new(job_id: impl Into<String>, spool_dir: impl Into<PathBuf>) -> Self {
        Self {
            job_id: job_id.into(),
            kind: SyncKind::Full,
            mode: Mode::Run,
            pipeline: None,
            extracts_attachments: false,
            extractor: None,
            rules: None,
            fingerprint: true,
            delete_guard: DeleteGuard::default(),
            error_limits: ErrorLimits::default(),
            limits: Limits::default(),
            keeps_leftovers: false,
            spool_dir: spool_dir.into(),
            resume: None,
            letters: None,
        }
    }

    /// Whether only the documents of known dead letters are dealt with.
    pub(crate) fn retries(&self) -> bool {
        self.letters.as_ref().is_some_and(|letters| letters.retry)
    }
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncKind {
    /// All documents; what the source no longer has is deleted.
    Full,
    /// What changed since the cursor in the context, deletions included. A source without an incremental listing
    /// is listed in full, as with [`SyncKind::Full`].
    Incremental,
    /// Identities (sync-runtime section 9), into the index of access-control documents; leftovers are deleted.
    AccessControl,
}

/// Whether the index is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    #[default]
    Run,
    /// Dry run: reads source and index, writes nothing, fetches no contents, and tells what would be done.
    Plan,
}

/// A service that extracts text from files (sync-runtime 7).
pub trait TextExtractor: fmt::Debug + Send + Sync {
    /// The text of a file. [`Extraction::Nothing`] where the service looked at it and has none to give.
    ///
    /// An error means that it could not be asked: what is indexed of the document stays, and the next sync asks again.
    fn extract(&self, file: Bytes) -> BoxFuture<'static, Result<Extraction, Error>>;
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// Its text.
    Text(String),
    /// None, for this reason.
    Nothing(String),
}

/// Decides which documents are synced.
pub trait Rules: fmt::Debug + Send + Sync {
    /// Whether the prepared document (its fields, `id`, `_timestamp` and pipeline switches) is synced.
    fn admits(&self, document: &Map<String, Value>) -> bool;
}

/// Switches of the default ingest pipelines (sync-runtime 6.2 and 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineFlags {
    /// `_extract_binary_content`: text is extracted from `_attachment`.
    pub extract_binary_content: bool,
    /// `_reduce_whitespace`: runs of white space in `body` become one space.
    pub reduce_whitespace: bool,
    /// `_run_ml_inference`: inference processors run.
    pub run_ml_inference: bool,
}

impl Default for PipelineFlags {
    /// All on (sync-runtime 5.1).
    fn default() -> Self {
        Self { extract_binary_content: true, reduce_whitespace: true, run_ml_inference: true }
    }
}

/// Stops a sync that would delete suspiciously much. Everything else is written; nothing is deleted; the job fails
/// and says how to allow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeleteGuard {
    /// Largest share of the documents that were in the index before the sync; 0 to 1. Default 0.2.
    pub max_share: f64,
    /// Fewer deletions than this always pass. Default 100.
    pub min_documents: u64,
    /// When the listing was empty: fewer documents in the index than this may all be deleted. Default 10.
    pub min_documents_when_empty: u64,
    /// Lets this one sync delete whatever it finds. Default false.
    pub allow_once: bool,
}

impl Default for DeleteGuard {
    fn default() -> Self {
        Self { max_share: 0.2, min_documents: 100, min_documents_when_empty: 10, allow_once: false }
    }
}

/// When refused documents fail the job (sync-runtime 6.8; its defaults).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorLimits {
    /// Whether the limits apply; otherwise refused documents are only counted.
    pub enabled: bool,
    /// Refused documents in all. Default 1000.
    pub max_total: u64,
    /// Refused documents in a row. Default 10.
    pub max_consecutive: u64,
    /// Share of refused among the last [`ErrorLimits::window`] documents. Default 0.15.
    pub max_rate: f64,
    /// Length of the window; 0 switches the rate off. Default 100.
    pub window: usize,
    /// Last refused documents that the report names ([`crate::Refusals::last`]). Default 10.
    pub queue: usize,
}

impl Default for ErrorLimits {
    fn default() -> Self {
        Self { enabled: true, max_total: 1000, max_consecutive: 10, max_rate: 0.15, window: 100, queue: 10 }
    }
}

/// Bounds of one sync.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of documents, contents and requests held at once, in all stages together. One larger item passes
    /// alone. Default 24 MiB.
    pub in_flight_bytes: usize,
    /// Bytes of one bulk request; a larger document goes alone. Default 3 MiB.
    pub batch_bytes: usize,
    /// Operations of one bulk request. Default 1000.
    pub batch_items: usize,
    /// Operations in gathered requests that wait for their turn; reading stops there. Default 100,000.
    pub queued_items: usize,
    /// Bulk requests on their way at once; fewer when the index asks to slow down. Default 5.
    pub concurrent_bulks: usize,
    /// Contents fetched at once. Default 10.
    pub concurrent_bodies: usize,
    /// Larger documents (JSON bytes, without `_attachment`) are skipped. Default 3 MiB; `None` has no limit.
    pub max_text_document_bytes: Option<usize>,
    /// Documents looked up at once. Default 1000.
    pub lookup_chunk: usize,
    /// Lookups on their way at once. Default 3.
    pub concurrent_lookups: usize,
    /// How long to ride out an index that is away or overloaded, without any progress. Default 10 minutes.
    pub patience: Duration,
    /// How long a document waits for its bulk request to fill up. Default 1 s.
    pub linger: Duration,
    /// How long a suspended sync may take to write what it has read. Default 10 s.
    pub suspend_grace: Duration,
    /// How long a cancelled sync waits for the answers to requests on their way. Default 800 ms.
    pub cancel_grace: Duration,
    /// Shortest time between two stored resume points. Default 5 s.
    pub checkpoint_interval: Duration,
    /// Refused and skipped documents kept with id and reason in the report. Default 1000.
    pub samples: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_bytes: 24 << 20,
            batch_bytes: 3 << 20,
            batch_items: 1000,
            queued_items: 100_000,
            concurrent_bulks: 5,
            concurrent_bodies: 10,
            max_text_document_bytes: Some(3 << 20),
            lookup_chunk: 1000,
            concurrent_lookups: 3,
            patience: Duration::from_secs(600),
            linger: Duration::from_secs(1),
            suspend_grace: Duration::from_secs(10),
            cancel_grace: Duration::from_millis(800),
            checkpoint_interval: Duration::from_secs(5),
            samples: 1000,
        }
    }
}

impl Limits {
    /// The same limits with every zero that would stop the sync for ever raised to one.
    pub(crate) fn usable(mut self) -> Self {
        for limit in [
            &mut self.in_flight_bytes,
            &mut self.batch_bytes,
            &mut self.batch_items,
            &mut self.queued_items,
            &mut self.concurrent_bulks,
            &mut self.concurrent_bodies,
            &mut self.lookup_chunk,
            &mut self.concurrent_lookups,
        ] {
            *limit = (*limit).max(1);
        }
        self
    }
}

/// Where an interrupted job goes on. Ignored for sources that cannot continue a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one for each job, never in a collection")]
pub enum Resume {
    /// From what the job's spool says, if it is there and whole; otherwise from the beginning. Right after a crash.
    Spool,
    /// From this checkpoint or a later one in the job's spool; from the beginning when the spool is missing, broken
    /// or of another attempt.
    From(Checkpoint),
}

/// A point a job can go on from; opaque to everybody but the engine. Store it as JSON with the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where the source goes on.
    pub cursor: Cursor,
    /// Documents listed before it.
    pub position: u64,
    /// The job's numbers so far.
    #[serde(default)]
    pub figures: Figures,
    /// How many documents were left out so far, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// Which spool holds the ids seen before it; `None` for listings that need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool: Option<String>,
}
