//! The store's front: opening, closing, and the calls that concern documents.

mod analyze;
mod blobs;
mod handle;
mod indices;
mod open;
mod pit;
mod searching;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fjall::Readable;
use tokio::sync::oneshot;

pub use analyze::{AnalyzeBy, AnalyzedToken};
use handle::Handle;
pub(crate) use handle::Shared;

use crate::error::{ErrorKind, Result, StoreError};
use crate::kv::{LogRecord, log_key, read_error, seq_of_key, snapshot_entry, snapshot_record};
use crate::model::{Action, Doc, StoreOptions, UpdateAction, UpdateFn, WriteOp, WriteResult};
use crate::names::check_id;
use crate::recent::Updated;
use crate::state::IndexState;
use crate::writer::{Ahead, Prepared, PreparedAction, Request, decided};

/// Bytes of documents read and checked before other tasks get a turn.
const YIELD_BYTES: usize = 128 << 10;
/// What a write weighs in the bounds, besides its source.
const WRITE_OVERHEAD: usize = 200;

/// An open store. Cheap to clone; the last clone closes it when dropped.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

/// One page of [`Store::scan`].
#[derive(Debug, Clone)]
pub struct ScanPage {
    /// Documents in the order of their sequence numbers.
    pub docs: Vec<Doc>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

impl Store {
    /// Opens the folder, creating it when missing. Search indices are opened when first needed.
    ///
    /// # Errors
    /// `Locked` when another process uses the folder, `Io`, `NoSpace` or `Corrupt`.
    pub fn open(options: StoreOptions) -> Result<Self> {
        Ok(Self { handle: Arc::new(open::open(options)?) })
    }

    /// Waits for running writes, commits, stops all threads. Idempotent; later calls answer `Closed`.
    pub fn close(&self) {
        self.handle.close();
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn open_shared(&self) -> Result<&Shared> {
        let shared = self.shared();
        if shared.closed.load(Ordering::Acquire) { Err(StoreError::closed()) } else { Ok(shared) }
    }

    /// Whether the disk has room for writes. A look at the file system: cheap enough for once a second.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] while less is free than is kept in reserve ([`StoreOptions::min_free_bytes`], at most a
    /// tenth of the disk), and so every write is refused.
    pub fn check_space(&self) -> Result<()> {
        self.shared().kv.check_space()
    }

    /// The cluster's UUID, made when the folder was created.
    #[must_use]
    pub fn cluster_uuid(&self) -> &str {
        &self.shared().cluster_uuid
    }

    /// The document as it is now, whether or not search can see it.
    ///
    /// # Errors
    /// `index_not_found_exception`; `Io` and `Corrupt` of the disk.
    pub fn get(&self, index: &str, id: &str) -> Result<Option<Doc>> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        let db = shared.kv.db()?;
        let snapshot = db.snapshot();
        let entry = snapshot_entry(&db, &snapshot, state.num, id)?;
        let Some(entry) = entry.filter(|entry| !entry.deleted) else { return Ok(None) };
        let record = snapshot_record(&db, &snapshot, state.num, entry.seq)?.ok_or_else(|| {
            let reason = format!("the document [{id}] of [{index}] is missing from the document store");
            StoreError::new(ErrorKind::Corrupt, reason)
        })?;
        Ok(Some(record.into_doc(entry.seq)))
    }

    /// A page of all live documents of an index in the order of their sequence numbers, real-time: start with `None`
    /// and go on with [`ScanPage::next`]. A document written while scanning comes again in its new form; those with a
    /// sequence number above the `max_seq_no` that [`Store::index`] gave before are the ones to skip.
    ///
    /// # Errors
    /// `index_not_found_exception`; `Io` and `Corrupt` of the disk.
    pub fn scan(&self, index: &str, from: Option<u64>, limit: usize) -> Result<ScanPage> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        let db = shared.kv.db()?;
        let range = log_key(state.num, from.unwrap_or(0))..log_key(state.num, u64::MAX);
        let snapshot = db.snapshot();
        let mut docs = Vec::new();
        for guard in snapshot.range(&db.log, range) {
            let (key, value) = guard.into_inner().map_err(read_error)?;
            let seq = seq_of_key(&key).unwrap_or(0);
            if docs.len() >= limit {
                return Ok(ScanPage { docs, next: Some(seq) });
            }
            let record = LogRecord::decode(value.into())?;
            // A replaced document may be there as long as somebody reads a state from before.
            let live = || snapshot_entry(&db, &snapshot, state.num, &record.id);
            if !record.tombstone && live()?.is_some_and(|entry| entry.seq == seq) {
                docs.push(record.into_doc(seq));
            }
        }
        Ok(ScanPage { docs, next: None })
    }

    /// Performs writes in order and returns when they are durable; one result for each, in order.
    ///
    /// Documents are read and checked on the caller's task; a bulk of any size is fine, but its answer comes when all of
    /// it is done. Dropping the future does not take back what was already handed to the writer.
    pub async fn write(&self, ops: Vec<WriteOp>) -> Vec<Result<WriteResult>> {
        let count = ops.len();
        match self.try_write(ops).await {
            Ok(results) => results,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn try_write(&self, ops: Vec<WriteOp>) -> Result<Vec<Result<WriteResult>>> {
        let shared = self.open_shared()?;
        let sender = shared.sender()?;
        let bytes: usize = ops.iter().map(weight).sum();
        let permit = shared.reserve(bytes).await?;
        let (mut slots, mut writes, mut since_yield) =
            (Vec::with_capacity(ops.len()), Vec::with_capacity(ops.len()), 0);
        for op in ops {
            since_yield += weight(&op);
            if since_yield > YIELD_BYTES {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
            match prepare(shared, op) {
                Ok(write) => {
                    writes.push(write);
                    slots.push(None);
                }
                Err(error) => slots.push(Some(error)),
            }
        }
        let mut answers = Vec::new();
        if !writes.is_empty() {
            let mut states: Vec<_> = writes.iter().map(|write: &Prepared| Arc::clone(&write.state)).collect();
            states.dedup_by_key(|state| state.num);
            shared.wait_for_search(&states).await;
            let (reply, answer) = oneshot::channel();
            let request = Request { writes, bytes: bytes as u64, reply, permit: Some(permit) };
            sender.send(request).await.map_err(|_| StoreError::closed())?;
            answers = answer.await.map_err(|_| StoreError::closed())?;
        }
        let mut answers = answers.into_iter();
        let take = |slot| match slot {
            Some(error) => Err(error),
            None => answers.next().unwrap_or_else(|| Err(StoreError::closed())),
        };
        Ok(slots.into_iter().map(take).collect())
    }
}

fn weight(op: &WriteOp) -> usize {
    WRITE_OVERHEAD
        + match &op.action {
            Action::Index(source) | Action::Create(source) => source.len(),
            Action::Delete | Action::Update(_) => 0,
        }
}

fn prepare(shared: &Shared, op: WriteOp) -> Result<Prepared> {
    let state = shared.catalog.require(&op.index)?;
    if let Some(id) = &op.id {
        check_id(id)?;
    }
    let put = |source: &Bytes, create| {
        let flat = Arc::new(state.prepare(&shared.kv, op.id.as_deref(), source)?);
        Ok::<_, StoreError>(PreparedAction::Put { flat, create })
    };
    let action = match op.action {
        Action::Index(source) => put(&source, false)?,
        Action::Create(source) => put(&source, true)?,
        Action::Delete | Action::Update(_) if op.id.is_none() => {
            return Err(StoreError::new(
                ErrorKind::ActionRequestValidation,
                "Validation Failed: 1: id is missing;",
            ));
        }
        Action::Delete => PreparedAction::Delete,
        Action::Update(decide) => {
            let ahead = op.id.as_deref().and_then(|id| work_ahead(shared, &state, id, &decide));
            PreparedAction::Update { decide, ahead }
        }
    };
    Ok(Prepared { state, id: op.id, action, condition: op.condition })
}

/// What an update makes of a document that was written lately. Whatever is not simply a new source is left to the writer.
fn work_ahead(shared: &Shared, state: &IndexState, id: &str, decide: &UpdateFn) -> Option<Ahead> {
    let Updated { doc, flat: before } = shared.recent.take(state.num, id)?;
    let Ok(UpdateAction::Put(source)) = decided(decide, Some(&doc)) else { return None };
    let flat = state.prepare_update(&shared.kv, id, &source, Some(&before)).ok()?;
    Some(Ahead { seq: doc.seq_no, flat: Arc::new(flat) })
}
