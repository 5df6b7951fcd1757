//! The durable key-value store: opening, committing, what happens when the disk fails, and opening again.

mod record;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable,
    Snapshot,
};

pub(crate) use record::{
    Counters, IdEntry, LogRecord, PRIMARY_TERM, blob_key, blob_prefix, id_key, index_of_meta_key, log_key,
    meta_key, retired_key, seq_of_key, seq_of_retired, seq_of_tombstone, tombstone_key, write_of_retired,
};

use crate::error::{ErrorKind, Result, StoreError};
use crate::model::{StoreOptions, SyncMode};
use crate::sync::{lock, read, write};

/// Memory of the tables that collect writes before they go to disk. Writes are slower while one is read for that and let go
/// of, which takes the longer, for each entry too, the more entries it has: those of small tables are still in the
/// processor's cache. Bulk loads are as fast with them.
const LOG_MEMTABLE: u64 = 2 << 20;
const IDS_MEMTABLE: u64 = 256 << 10;
const META_MEMTABLE: u64 = 256 << 10;
/// For how long a look that found room on the disk holds: too short for anybody to write what is kept in reserve. A look takes
/// a system call, and hundreds of small writes may want one at the same time.
const ROOM_LASTS: Duration = Duration::from_millis(10);
/// The journal's size at which the tables are forced to disk.
const MAX_JOURNAL: u64 = 192 << 20;

/// The open database.
pub(crate) struct Db {
    database: Database,
    pub(crate) meta: Keyspace,
    pub(crate) ids: Keyspace,
    pub(crate) log: Keyspace,
}

impl Db {
    fn open(path: &Path, cache_bytes: usize) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(cache_bytes as u64)
            .max_journaling_size(MAX_JOURNAL)
            .max_cached_files(Some(256))
            // Of several, fjall keeps one for flushes, which spins as long as the others compact.
            .worker_threads(1)
            .open()?;
        // From the first level on: most documents come to rest there.
        let options = |memtable: u64, block: u32| {
            KeyspaceCreateOptions::default()
                .max_memtable_size(memtable)
                .data_block_size_policy(BlockSizePolicy::all(block))
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        };
        let meta = database.keyspace("meta", || options(META_MEMTABLE, 4 << 10))?;
        let ids = database.keyspace("ids", || options(IDS_MEMTABLE, 4 << 10))?;
        let log = database.keyspace("log", || options(LOG_MEMTABLE, 16 << 10))?;
        Ok(Self { database, meta, ids, log })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    pub(crate) fn batch(&self, capacity: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), capacity)
    }

    pub(crate) fn id_entry(&self, index: u32, id: &str) -> Result<Option<IdEntry>> {
        match self.ids.get(id_key(index, id)).map_err(read_error)? {
            Some(bytes) => IdEntry::decode(&bytes).map(Some),
            None => Ok(None),
        }
    }

    /// An index's counters; those of an empty index when there are none.
    pub(crate) fn counters(&self, index: u32) -> Result<Counters> {
        match self.meta.get(meta_key(b'c', index)).map_err(read_error)? {
            Some(bytes) => Counters::decode(&bytes),
            None => Ok(Counters::default()),
        }
    }

    pub(crate) fn log_record(&self, index: u32, seq: u64) -> Result<Option<LogRecord>> {
        match self.log.get(log_key(index, seq)).map_err(read_error)? {
            Some(bytes) => LogRecord::decode(bytes.into()).map(Some),
            None => Ok(None),
        }
    }
}

/// What `ids` says of a document as a snapshot has it.
pub(crate) fn snapshot_entry(db: &Db, snapshot: &Snapshot, index: u32, id: &str) -> Result<Option<IdEntry>> {
    match snapshot.get(&db.ids, id_key(index, id)).map_err(read_error)? {
        Some(bytes) => IdEntry::decode(&bytes).map(Some),
        None => Ok(None),
    }
}

/// The record of a sequence number as a snapshot has it.
pub(crate) fn snapshot_record(
    db: &Db,
    snapshot: &Snapshot,
    index: u32,
    seq: u64,
) -> Result<Option<LogRecord>> {
    match snapshot.get(&db.log, log_key(index, seq)).map_err(read_error)? {
        Some(bytes) => LogRecord::decode(bytes.into()).map(Some),
        None => Ok(None),
    }
}

/// The database with what is needed to open it again.
pub(crate) struct Kv {
    root: PathBuf,
    cache_bytes: usize,
    sync: SyncMode,
    min_free: u64,
    /// When the disk was last seen to have room.
    had_room: Mutex<Option<Instant>>,
    current: RwLock<Option<Arc<Db>>>,
    /// A commit failed: nothing can be written before the database was opened again.
    broken: AtomicBool,
    last_commit: Mutex<Option<Instant>>,
    /// Held from the decision which records a group retires until it is stored.
    storing: Mutex<()>,
}

impl Kv {
    /// Opens or creates the database below the data folder.
    pub(crate) fn open(options: &StoreOptions) -> Result<Self> {
        let root = options.path.clone();
        std::fs::create_dir_all(root.join("documents")).map_err(|error| io_error(&error, &root))?;
        let db = Db::open(&root.join("documents"), options.cache_bytes)
            .map_err(|error| open_error(&error, &root))?;
        Ok(Self {
            root,
            cache_bytes: options.cache_bytes,
            sync: options.sync,
            min_free: options.min_free_bytes,
            had_room: Mutex::new(None),
            current: RwLock::new(Some(Arc::new(db))),
            broken: AtomicBool::new(false),
            last_commit: Mutex::new(None),
            storing: Mutex::new(()),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The open database.
    pub(crate) fn db(&self) -> Result<Arc<Db>> {
        read(&self.current).clone().ok_or_else(StoreError::closed)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// To be held from the decision which records a group of writes retires until the group is stored.
    pub(crate) fn storing(&self) -> MutexGuard<'_, ()> {
        lock(&self.storing)
    }

    /// Waits for a group of writes that is being stored: it may not know of a reader that has just begun.
    pub(crate) fn wait_for_group(&self) {
        drop(self.storing());
    }

    /// Commits a batch; `durable` waits for the disk as the options say.
    pub(crate) fn commit(&self, batch: OwnedWriteBatch, durable: bool) -> Result<()> {
        if self.is_broken() {
            return Err(self.broken_error());
        }
        let mode = match (durable, self.sync) {
            (false, _) => None,
            (true, SyncMode::Fsync) => Some(PersistMode::SyncData),
            (true, SyncMode::None) => Some(PersistMode::Buffer),
        };
        *lock(&self.last_commit) = Some(Instant::now());
        batch.durability(mode).commit().map_err(|error| {
            self.broken.store(true, Ordering::Release);
            tracing::error!(path = %self.root.display(), %error, "writing to the document store failed");
            write_error(&error, &self.root)
        })
    }

    fn broken_error(&self) -> StoreError {
        StoreError::new(
            ErrorKind::NoSpace,
            format!(
                "the document store in [{}] refuses writes because an earlier one failed; free space on that disk or mend \
                 it: the store recovers by itself",
                self.root.display()
            ),
        )
    }

    /// Refuses writes while the disk is nearly full, so that what is acknowledged can still be worked up. That there is room
    /// holds for some milliseconds; that there is none is looked at anew each time.
    pub(crate) fn check_space(&self) -> Result<()> {
        let mut had_room = lock(&self.had_room);
        if had_room.is_some_and(|at| at.elapsed() < ROOM_LASTS) {
            return Ok(());
        }
        *had_room = None;
        self.look_for_space()?;
        *had_room = Some(Instant::now());
        Ok(())
    }

    /// As [`Kv::check_space`], by a look at this moment.
    pub(crate) fn look_for_space(&self) -> Result<()> {
        let Some((free, total)) = disk_space(&self.root) else { return Ok(()) };
        let reserve = self.min_free.min(total / 10);
        if free >= reserve {
            return Ok(());
        }
        Err(StoreError::new(
            ErrorKind::NoSpace,
            format!(
                "the disk that holds [{}] has {} MB free, less than the {} MB kept in reserve: writes are refused until \
                 space is freed, reads go on",
                self.root.display(),
                free >> 20,
                reserve >> 20
            ),
        ))
    }

    /// Opens the database again after a failed commit. All other users must have let go of it; waits a while for them.
    pub(crate) fn reopen(&self) -> Result<()> {
        let mut current = write(&self.current);
        if let Some(old) = current.take()
            && !wait_for_others(&old, Duration::from_secs(10))
        {
            *current = Some(old);
            return Err(self.broken_error());
        }
        let db = Db::open(&self.root.join("documents"), self.cache_bytes)
            .map_err(|error| open_error(&error, &self.root))?;
        *current = Some(Arc::new(db));
        self.broken.store(false, Ordering::Release);
        tracing::info!(path = %self.root.display(), "the document store accepts writes again");
        Ok(())
    }

    /// Writes the tables in memory to disk when nothing was written for a while, so that little memory is held and little
    /// is to be replayed after a crash.
    pub(crate) fn flush_when_idle(&self, idle: Duration) {
        let mut last = lock(&self.last_commit);
        if self.is_broken() || !last.is_some_and(|at| at.elapsed() >= idle) {
            return;
        }
        *last = None;
        drop(last);
        self.flush();
    }

    /// Writes the tables in memory to disk.
    pub(crate) fn flush(&self) {
        let Ok(db) = self.db() else { return };
        for keyspace in [&db.log, &db.ids, &db.meta] {
            if let Err(error) = keyspace.rotate_memtable() {
                tracing::warn!(%error, "flushing the document store failed");
            }
        }
    }

    /// Lets the database go. Waits a while for searches that still read it, so that it can be opened again at once.
    pub(crate) fn close(&self) {
        let taken = write(&self.current).take();
        if let Some(db) = taken {
            let _ = db.database.persist(PersistMode::SyncAll);
            wait_for_others(&db, Duration::from_secs(5));
        }
    }
}

/// Waits until nobody else uses the database; false when that takes too long.
fn wait_for_others(db: &Arc<Db>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Arc::strong_count(db) > 1 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    Arc::strong_count(db) == 1
}

/// Free and total bytes of the disk a path is on.
fn disk_space(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge
    )
}

/// A failure of the operating system on a path.
pub(crate) fn io_error(error: &std::io::Error, path: &Path) -> StoreError {
    if is_full(error) {
        return full_error(path);
    }
    StoreError::new(ErrorKind::Io, format!("[{}]: {error}", path.display()))
}

fn full_error(path: &Path) -> StoreError {
    let reason = format!(
        "the disk that holds [{}] is full: free space there; writes are refused until then, reads go on",
        path.display()
    );
    StoreError::new(ErrorKind::NoSpace, reason)
}

fn io_cause(error: &fjall::Error) -> Option<&std::io::Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        source = error.source();
    }
    match error {
        fjall::Error::Io(io) => Some(io),
        fjall::Error::Storage(fjall::LsmError::Io(io)) => Some(io),
        _ => None,
    }
}

/// A failure while reading. By value, the form `map_err` takes.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn read_error(error: fjall::Error) -> StoreError {
    match io_cause(&error) {
        Some(io) => StoreError::new(ErrorKind::Io, format!("reading the document store failed: {io}")),
        None => StoreError::new(ErrorKind::Corrupt, format!("reading the document store failed: {error:?}")),
    }
}

fn write_error(error: &fjall::Error, path: &Path) -> StoreError {
    match (error, io_cause(error)) {
        (_, Some(io)) => io_error(io, path),
        (fjall::Error::Poisoned, _) => full_error(path),
        _ => StoreError::new(ErrorKind::Io, format!("writing to [{}] failed: {error:?}", path.display())),
    }
}

fn open_error(error: &fjall::Error, path: &Path) -> StoreError {
    let shown = path.display();
    match (error, io_cause(error)) {
        (fjall::Error::Locked, _) => StoreError::new(
            ErrorKind::Locked,
            format!(
                "the data folder [{shown}] is in use by another process: stop that one, or choose another folder"
            ),
        ),
        (_, Some(io)) => io_error(io, path),
        _ => StoreError::new(
            ErrorKind::Corrupt,
            format!("the data folder [{shown}] cannot be opened: {error:?}"),
        ),
    }
}

/// A value as shared bytes.
pub(crate) fn bytes_of(value: fjall::UserValue) -> Bytes {
    value.into()
}
