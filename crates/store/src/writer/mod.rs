//! The one thread that writes documents. It takes whatever waits, decides all of it in order, stores it as one group with
//! one `fsync`, and answers.

mod eval;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use eval::Group;
pub(crate) use eval::{Ahead, Prepared, PreparedAction, decided};

use crate::error::{ErrorKind, Result, StoreError};
use crate::kv::{IdEntry, Kv, id_key, log_key, read_error, retired_key, seq_of_tombstone, tombstone_key};
use crate::model::WriteResult;
use crate::names::now_ms;
use crate::recent::Recent;
use crate::sync::lock;

/// Bytes of requests after which a group is closed.
const GROUP_BYTES: u64 = 8 << 20;
const GROUP_REQUESTS: usize = 1_024;
/// How long the version of a deleted document is remembered, as Elasticsearch does.
const TOMBSTONE_MS: i64 = 60_000;
/// Tombstones looked at, at once, and how often.
const PRUNE_BATCH: usize = 20_000;
const PRUNE_EVERY: Duration = Duration::from_secs(20);

/// One caller's writes.
pub(crate) struct Request {
    pub(crate) writes: Vec<Prepared>,
    pub(crate) bytes: u64,
    pub(crate) reply: oneshot::Sender<Vec<Result<WriteResult>>>,
    /// Its share of the bytes in flight.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// Writes nothing, but has the document store opened again where it is broken.
    pub(crate) fn nothing() -> Self {
        Self { writes: Vec::new(), bytes: 0, reply: oneshot::channel().0, permit: None }
    }
}

type Changed = dyn Fn(&[Arc<crate::state::IndexState>]) + Send;

/// What the writer needs of the rest of the store.
pub(crate) struct WriterContext {
    pub(crate) kv: Arc<Kv>,
    /// Where documents that were updated are kept.
    pub(crate) recent: Arc<Recent>,
    /// Held while a group is decided and stored; an index is deleted under it.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Called with the indices a group changed.
    pub(crate) changed: Box<Changed>,
    /// Lets go of the database and loads the counters anew after it was opened again.
    pub(crate) recover: Box<dyn Fn() -> Result<()> + Send>,
    /// How far search is, by the index's number; `None` for an index that is gone.
    pub(crate) searchable: Box<dyn Fn(u32) -> Option<u64> + Send>,
}

/// Runs until all senders are gone.
pub(crate) fn run(context: &WriterContext, mut requests: mpsc::Receiver<Request>) {
    let mut pruned = Instant::now();
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while bytes < GROUP_BYTES && group.len() < GROUP_REQUESTS {
            let Ok(next) = requests.try_recv() else { break };
            bytes += next.bytes;
            group.push(next);
        }
        process(context, group);
        if pruned.elapsed() > PRUNE_EVERY {
            pruned = Instant::now();
            if let Err(error) = prune(context) {
                tracing::debug!(%error, "forgetting deleted documents failed");
            }
        }
    }
}

type Answered = (oneshot::Sender<Vec<Result<WriteResult>>>, Vec<Result<WriteResult>>);

fn process(context: &WriterContext, group: Vec<Request>) {
    let mut answers: Vec<Answered> = Vec::with_capacity(group.len());
    let mut permits = Vec::with_capacity(group.len());
    let mut writes = Vec::with_capacity(group.len());
    for request in group {
        answers.push((request.reply, Vec::with_capacity(request.writes.len())));
        permits.push(request.permit);
        writes.push(request.writes);
    }
    let counts: Vec<usize> = writes.iter().map(Vec::len).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| store(context, writes, &mut answers)));
    let failure = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(StoreError::new(
            ErrorKind::Internal,
            "the writer failed unexpectedly; the writes were not stored",
        )),
    };
    drop(permits);
    for ((reply, results), count) in answers.into_iter().zip(counts) {
        let results = match &failure {
            None => results,
            Some(error) => (0..count).map(|_| Err(error.clone())).collect(),
        };
        // A caller that gave up does not want the answer.
        let _ = reply.send(results);
    }
}

fn store(context: &WriterContext, writes: Vec<Vec<Prepared>>, answers: &mut [Answered]) -> Result<()> {
    let _gate = lock(&context.gate);
    context.kv.check_space()?;
    if context.kv.is_broken() {
        (context.recover)()?;
    }
    let db = context.kv.db()?;
    let mut group = Group::new(&context.kv, &db, now_ms());
    for (writes, (_, results)) in writes.into_iter().zip(answers.iter_mut()) {
        for write in writes {
            results.push(group.apply(write));
        }
    }
    let changed = group.commit(&context.recent)?;
    (context.changed)(&changed);
    Ok(())
}

/// Removes what is kept of documents that were deleted long enough ago.
fn prune(context: &WriterContext) -> Result<()> {
    let _gate = lock(&context.gate);
    let db = context.kv.db()?;
    let oldest = now_ms() - TOMBSTONE_MS;
    let mut batch = db.batch(64);
    let mut count = 0;
    for guard in db.meta.prefix(b"t").take(PRUNE_BATCH) {
        let (key, value) = guard.into_inner().map_err(read_error)?;
        let (Some(index), Some(seq)) = (crate::kv::index_of_meta_key(&key), seq_of_tombstone(&key)) else {
            continue;
        };
        let at = value.get(..8).and_then(|b| b.try_into().ok()).map_or(0, i64::from_be_bytes);
        let searchable = (context.searchable)(index).is_none_or(|visible| seq < visible);
        // As long as the deleted document is kept for a reader, so is that it was deleted.
        let kept = db.meta.contains_key(retired_key(index, seq)).map_err(read_error)?;
        if at > oldest || !searchable || kept {
            continue;
        }
        let id = value.get(8..).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
        let entry =
            db.ids.get(id_key(index, id)).map_err(read_error)?.map(|b| IdEntry::decode(&b)).transpose()?;
        if entry.is_some_and(|entry| entry.deleted && entry.seq == seq) {
            batch.remove(&db.ids, id_key(index, id));
        }
        batch.remove_weak(&db.log, log_key(index, seq));
        batch.remove(&db.meta, tombstone_key(index, seq));
        count += 1;
    }
    if count > 0 { context.kv.commit(batch, false) } else { Ok(()) }
}
