//! The search side of the indices: background threads that bring the derived search indices up to the documents.

mod engine;
mod pool;
mod purge;
mod queue;
mod retired;
mod schema;
mod view;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use tokio::sync::watch;

pub(crate) use engine::Engine;
pub(crate) use pool::Pool;
pub(crate) use queue::{Change, Pending, PendingQueue};
pub(crate) use view::{LengthCache, View};

use crate::error::{ErrorKind, StoreError};
use crate::readers::Readers;
use crate::sync::{lock, read, write};

/// How far an index's search is, for those who wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Writes below this sequence number are visible.
    pub(crate) visible: u64,
    /// Counts failures.
    pub(crate) failures: u64,
    /// The last failure.
    pub(crate) error: Option<StoreError>,
}

/// What belongs to the search side of one index.
pub(crate) struct SearchState {
    pub(crate) queue: PendingQueue,
    pub(crate) lengths: Arc<LengthCache>,
    /// Who reads earlier states of the documents.
    pub(crate) readers: Arc<Readers>,
    engine: Mutex<Engine>,
    view: RwLock<Option<Arc<View>>>,
    /// The next sequence number after the last durable write.
    pub(crate) durable: AtomicU64,
    /// The next sequence number to be handed to the search index.
    pub(crate) fed: AtomicU64,
    /// Writes below this must be visible to the next search.
    pub(crate) wanted: AtomicU64,
    pub(crate) progress: watch::Sender<Progress>,
    /// Notified when the search index has caught up a bit, for writers that wait.
    pub(crate) room: tokio::sync::Notify,
    /// Searches that wait for a view.
    pub(crate) waiters: AtomicUsize,
    /// 0 idle, 1 waiting for a thread, 2 running, 3 running and to be run again.
    schedule: AtomicU8,
    failing: AtomicBool,
    epoch: Instant,
    /// Milliseconds since `epoch`; negative for never.
    last_search: AtomicI64,
    last_write: AtomicI64,
    last_commit: AtomicI64,
}

impl SearchState {
    pub(crate) fn new(dir: PathBuf, buffer: usize, next_seq: u64) -> Self {
        Self {
            queue: PendingQueue::default(),
            lengths: Arc::default(),
            readers: Arc::new(Readers::new(next_seq)),
            engine: Mutex::new(Engine::new(dir, buffer)),
            view: RwLock::new(None),
            durable: AtomicU64::new(next_seq),
            // Nothing waits for the search index before it was opened: the lag of an index at rest is not known yet.
            fed: AtomicU64::new(next_seq),
            wanted: AtomicU64::new(0),
            progress: watch::Sender::new(Progress::default()),
            room: tokio::sync::Notify::new(),
            waiters: AtomicUsize::new(0),
            schedule: AtomicU8::new(0),
            failing: AtomicBool::new(false),
            epoch: Instant::now(),
            last_search: AtomicI64::new(-1),
            last_write: AtomicI64::new(-1),
            last_commit: AtomicI64::new(-1),
        }
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn since(&self, at: &AtomicI64) -> Option<u64> {
        let at = at.load(Ordering::Relaxed);
        u64::try_from(at).ok().map(|at| u64::try_from(self.millis()).unwrap_or(0).saturating_sub(at))
    }

    /// Takes over durable writes.
    pub(crate) fn publish(&self, pending: Vec<Pending>, next_seq: u64) {
        self.queue.push(pending);
        self.durable.store(next_seq, Ordering::Release);
        self.last_write.store(self.millis(), Ordering::Relaxed);
    }

    /// Durable writes not yet handed to the search index; 0 while that fails, so that nobody waits for what does not come.
    pub(crate) fn lag(&self) -> u64 {
        if self.failing.load(Ordering::Relaxed) {
            return 0;
        }
        self.durable.load(Ordering::Acquire).saturating_sub(self.fed.load(Ordering::Acquire))
    }

    /// Whether bringing search up to date failed last because the disk is full.
    pub(crate) fn lacks_space(&self) -> bool {
        self.progress.borrow().error.as_ref().is_some_and(|error| error.kind() == ErrorKind::NoSpace)
    }

    pub(crate) fn view(&self) -> Option<Arc<View>> {
        read(&self.view).clone()
    }

    pub(crate) fn set_view(&self, view: Option<Arc<View>>) {
        *write(&self.view) = view;
    }

    /// Whether search lacks durable writes.
    pub(crate) fn dirty(&self) -> bool {
        self.view().is_none_or(|view| view.next < self.durable.load(Ordering::Acquire))
    }

    /// Notes a search and tells how many milliseconds ago the last one was.
    pub(crate) fn note_search(&self) -> Option<u64> {
        let before = self.since(&self.last_search);
        self.last_search.store(self.millis(), Ordering::Relaxed);
        before
    }

    /// Bytes of the search index on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let dir = match self.engine.try_lock() {
            Ok(engine) => engine.dir().to_owned(),
            Err(_) => return 0,
        };
        Engine::disk_bytes(&dir)
    }

    /// Lets go of everything that holds the document store open.
    pub(crate) fn release(&self) {
        let mut engine = lock(&self.engine);
        engine.abandon();
        self.queue.clear();
        self.set_view(None);
    }
}

/// A failure of tantivy as the store's.
pub(crate) fn search_error(error: &tantivy::TantivyError) -> StoreError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = error.to_string();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            text = io.to_string();
            if io.kind() == std::io::ErrorKind::StorageFull || io.kind() == std::io::ErrorKind::QuotaExceeded
            {
                return StoreError::new(
                    ErrorKind::NoSpace,
                    format!("the search index cannot be written, the disk is full: {io}"),
                );
            }
        }
        source = error.source();
    }
    if text.contains("No space left") {
        return StoreError::new(
            ErrorKind::NoSpace,
            format!("the search index cannot be written, the disk is full: {text}"),
        );
    }
    StoreError::new(ErrorKind::Io, format!("the search index failed: {text}"))
}
