//! One index's search index on disk. It is derived: it remembers up to which sequence number it holds the documents,
//! takes the rest from the document store, and is built anew when it is missing or damaged.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::store::Compressor;
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Term};

use super::queue::{Change, Pending};
use super::schema::{schema, tokenizers};
use super::search_error;
use super::view::View;
use crate::document::{FlatDoc, Flattened, IndexDoc, Release, fields, flatten};
use crate::error::Result;
use crate::kv::{Db, Kv, LogRecord, io_error, log_key, meta_key, read_error, seq_of_key};
use crate::state::IndexState;
use crate::sync::lock;

/// Part of every commit's payload; another number makes the index be built anew.
const FORMAT: &str = "1";
/// Bytes of documents handed to tantivy but not yet taken in.
const MAX_IN_FLIGHT: usize = 8 << 20;
/// Documents handed to tantivy at once.
const FEED: usize = 128;
/// Documents in a segment that is not merged any more.
const MAX_MERGED_DOCS: usize = 2_000_000;

/// Bounds what is handed to tantivy: its own channel counts groups, not bytes.
#[derive(Default)]
struct Gate {
    bytes: Mutex<usize>,
    freed: Condvar,
}

impl Gate {
    /// Waits until there is room. A writer that died drops its documents, which makes room too; the time limit is for
    /// what nobody thought of.
    fn enter(&self, weight: usize) {
        let mut bytes = lock(&self.bytes);
        let deadline = Instant::now() + Duration::from_secs(30);
        while *bytes > MAX_IN_FLIGHT && Instant::now() < deadline {
            bytes = self
                .freed
                .wait_timeout(bytes, Duration::from_secs(1))
                .map_or_else(|e| e.into_inner().0, |(b, _)| b);
        }
        *bytes += weight;
    }
}

impl Gate {
    /// Whether nothing more should be gathered before what was gathered is handed over.
    fn is_full(&self) -> bool {
        *lock(&self.bytes) > MAX_IN_FLIGHT
    }
}

impl Release for Gate {
    fn release(&self, weight: usize) {
        let mut bytes = lock(&self.bytes);
        *bytes = bytes.saturating_sub(weight);
        if *bytes <= MAX_IN_FLIGHT {
            self.freed.notify_all();
        }
    }
}

struct Open {
    index: Index,
    reader: IndexReader,
    writer: Option<IndexWriter<IndexDoc>>,
}

/// The search index of one index, used by one thread at a time.
pub(crate) struct Engine {
    dir: PathBuf,
    buffer: usize,
    open: Option<Open>,
    /// The next sequence number to hand to tantivy.
    fed: u64,
    /// The sequence number up to which (excluded) the last commit reaches.
    committed: u64,
    /// Operations since the last commit.
    changes: u64,
    /// The last `committed` noted in the document store.
    noted: u64,
    gate: Arc<Gate>,
    pub(super) last_commit: Instant,
    pub(super) last_fed: Instant,
}

fn durable(state: &IndexState) -> u64 {
    state.search.durable.load(std::sync::atomic::Ordering::Acquire)
}

fn id_term(id: &str) -> Term {
    Term::from_field_text(fields::ID, id)
}

impl Engine {
    pub(crate) fn new(dir: PathBuf, buffer: usize) -> Self {
        Self {
            dir,
            buffer: buffer.max(15_000_000),
            open: None,
            fed: 0,
            committed: 0,
            changes: 0,
            noted: 0,
            gate: Arc::default(),
            last_commit: Instant::now(),
            last_fed: Instant::now(),
        }
    }

    pub(super) fn fed(&self) -> u64 {
        self.fed
    }

    pub(super) fn committed(&self) -> u64 {
        self.committed
    }

    pub(super) fn has_changes(&self) -> bool {
        self.changes > 0
    }

    pub(super) fn has_writer(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.writer.is_some())
    }

    /// Opens what is on disk, or begins anew. `end` is the document store's next sequence number.
    fn ensure_open(&mut self, state: &IndexState, end: u64) -> Result<&mut Open> {
        if self.open.is_none() {
            let opened = self.open_existing(state, end);
            let (open, committed) = match opened {
                Some(found) => found,
                None => (self.create(state)?, 0),
            };
            (self.fed, self.committed, self.changes) = (committed, committed, 0);
            self.open = Some(open);
        }
        self.open.as_mut().ok_or_else(crate::StoreError::closed)
    }

    fn open_existing(&self, state: &IndexState, end: u64) -> Option<(Open, u64)> {
        if !self.dir.join("meta.json").exists() {
            return None;
        }
        let attempt = || -> tantivy::Result<(Open, Option<u64>)> {
            let directory = MmapDirectory::open(&self.dir)?;
            let mut index = Index::open(directory)?;
            if index.schema() != schema(&state.analyzers) {
                return Ok((Self::finish_open(index)?, None));
            }
            index.set_tokenizers(tokenizers(&state.analyzers));
            let metas = index.load_metas()?;
            let committed = match metas.payload {
                Some(payload) => payload
                    .split_once(':')
                    .filter(|(format, _)| *format == FORMAT)
                    .and_then(|(_, n)| n.parse().ok()),
                // The process ended between making the index and its first commit: it holds nothing, and fits.
                None => metas.segments.is_empty().then_some(0),
            };
            Ok((Self::finish_open(index)?, committed))
        };
        match attempt() {
            Ok((open, Some(committed))) if committed <= end => Some((open, committed)),
            Ok(_) => {
                tracing::info!(
                    index = state.name,
                    "the search index does not fit the documents; it is built anew"
                );
                None
            }
            Err(error) => {
                tracing::warn!(index = state.name, %error, "the search index is damaged; it is built anew");
                None
            }
        }
    }

    fn finish_open(index: Index) -> tantivy::Result<Open> {
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(0)
            .try_into()?;
        Ok(Open { index, reader, writer: None })
    }

    fn create(&self, state: &IndexState) -> Result<Open> {
        if self.dir.exists() {
            std::fs::remove_dir_all(&self.dir).map_err(|error| io_error(&error, &self.dir))?;
        }
        std::fs::create_dir_all(&self.dir).map_err(|error| io_error(&error, &self.dir))?;
        let settings = IndexSettings {
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let build = || -> tantivy::Result<Open> {
            let directory = MmapDirectory::open(&self.dir)?;
            let mut index = Index::create(directory, schema(&state.analyzers), settings)?;
            index.set_tokenizers(tokenizers(&state.analyzers));
            Self::finish_open(index)
        };
        build().map_err(|error| search_error(&error))
    }

    fn writer(&mut self, state: &IndexState, end: u64) -> Result<&mut IndexWriter<IndexDoc>> {
        let buffer = self.buffer;
        let open = self.ensure_open(state, end)?;
        if open.writer.is_none() {
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .num_merge_threads(1)
                .memory_budget_per_thread(buffer)
                .build();
            let writer: IndexWriter<IndexDoc> =
                open.index.writer_with_options(options).map_err(|error| search_error(&error))?;
            let mut policy = LogMergePolicy::default();
            policy.set_max_docs_before_merge(MAX_MERGED_DOCS);
            policy.set_min_layer_size(5_000);
            writer.set_merge_policy(Box::new(policy));
            // What a killed process or a failed commit left would be in the way of files of the same names.
            writer.garbage_collect_files().wait().map_err(|error| search_error(&error))?;
            open.writer = Some(writer);
        }
        open.writer.as_mut().ok_or_else(crate::StoreError::closed)
    }

    /// Hands over writes in the order of their sequence numbers; gaps are read from the document store.
    pub(super) fn feed(&mut self, state: &IndexState, db: &Db, pending: Vec<Pending>) -> Result<()> {
        let end = pending.last().map_or(self.fed, |last| last.seq + 1);
        self.ensure_open(state, durable(state))?;
        let mut operations = Vec::with_capacity(pending.len() + 8);
        for item in pending {
            if item.seq < self.fed {
                continue;
            }
            if item.from > self.fed {
                self.run(state, std::mem::take(&mut operations))?;
                self.replay(state, db, item.from)?;
            }
            self.fed = item.seq + 1;
            self.make_room(state, &mut operations)?;
            self.push_operations(&mut operations, item);
        }
        self.run(state, operations)?;
        self.fed = self.fed.max(end);
        Ok(())
    }

    /// Hands over what was gathered when it takes all the room: only then can there be room again.
    fn make_room(&mut self, state: &IndexState, operations: &mut Vec<UserOperation<IndexDoc>>) -> Result<()> {
        if self.gate.is_full() { self.run(state, std::mem::take(operations)) } else { Ok(()) }
    }

    fn push_operations(&self, operations: &mut Vec<UserOperation<IndexDoc>>, item: Pending) {
        match item.change {
            Change::Delete => operations.push(UserOperation::Delete(id_term(&item.id))),
            Change::Put { flat, replaces } => {
                if replaces {
                    operations.push(UserOperation::Delete(id_term(&item.id)));
                }
                let gate = Arc::clone(&self.gate) as Arc<dyn Release>;
                let doc = IndexDoc::new(Arc::unwrap_or_clone(flat), item.id, item.seq, gate);
                self.gate.enter(doc.weight());
                operations.push(UserOperation::Add(doc));
            }
        }
    }

    fn run(&mut self, state: &IndexState, operations: Vec<UserOperation<IndexDoc>>) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        self.changes += operations.len() as u64;
        self.last_fed = Instant::now();
        let writer = self.writer(state, durable(state))?;
        writer.run(operations).map(|_| ()).map_err(|error| search_error(&error))
    }

    /// Reads `fed..end` from the document store.
    pub(super) fn replay(&mut self, state: &IndexState, db: &Db, end: u64) -> Result<()> {
        let mut operations = Vec::new();
        let range = log_key(state.num, self.fed)..log_key(state.num, end);
        for guard in db.log.range(range) {
            let (key, value) = guard.into_inner().map_err(read_error)?;
            let seq = seq_of_key(&key).unwrap_or(self.fed);
            let record = LogRecord::decode(value.into())?;
            let change = if record.tombstone {
                Change::Delete
            } else {
                Change::Put { flat: Arc::new(flat_of(state, &record)), replaces: record.replaces }
            };
            self.make_room(state, &mut operations)?;
            self.push_operations(&mut operations, Pending::new(seq, record.id, change));
            self.fed = seq + 1;
            if operations.len() >= FEED {
                self.run(state, std::mem::take(&mut operations))?;
            }
        }
        self.run(state, operations)?;
        self.fed = self.fed.max(end);
        Ok(())
    }

    /// Brings the search index up to the document store's present state and returns a view of exactly that state.
    pub(super) fn commit(&mut self, state: &IndexState, kv: &Kv) -> Result<View> {
        let db = kv.db()?;
        state.search.queue.drop_replaced();
        let mut reader = state.search.readers.begin();
        kv.wait_for_group();
        let target = db.counters(state.num)?.next_seq;
        reader.settle(target);
        self.ensure_open(state, target)?;
        loop {
            let batch = state.search.queue.pop(FEED, target);
            if batch.is_empty() {
                break;
            }
            self.feed(state, &db, batch)?;
        }
        if self.fed < target {
            self.replay(state, &db, target)?;
        }
        if self.changes > 0 {
            let writer = self.writer(state, target)?;
            let mut prepared = writer.prepare_commit().map_err(|error| search_error(&error))?;
            prepared.set_payload(&format!("{FORMAT}:{target}"));
            prepared.commit().map_err(|error| search_error(&error))?;
            self.changes = 0;
        }
        self.committed = target;
        self.last_commit = Instant::now();
        let open = self.ensure_open(state, target)?;
        open.reader.reload().map_err(|error| search_error(&error))?;
        let searcher = open.reader.searcher();
        if self.noted != target {
            let mut note = db.batch(1);
            note.insert(&db.meta, meta_key(b's', state.num), target.to_be_bytes());
            kv.commit(note, false)?;
            self.noted = target;
        }
        Ok(View::new(searcher, target, reader, db, state.num, Arc::clone(&state.search.lengths)))
    }

    /// Commits what was handed over, without looking for more.
    pub(super) fn commit_fed(&mut self) -> Result<()> {
        let Some(writer) = self.open.as_mut().and_then(|open| open.writer.as_mut()) else { return Ok(()) };
        let mut prepared = writer.prepare_commit().map_err(|error| search_error(&error))?;
        prepared.set_payload(&format!("{FORMAT}:{}", self.fed));
        prepared.commit().map_err(|error| search_error(&error))?;
        (self.committed, self.changes) = (self.fed, 0);
        Ok(())
    }

    /// Gives up what was not committed; it comes again from the document store.
    pub(super) fn abandon(&mut self) {
        self.open = None;
        (self.fed, self.changes) = (self.committed, 0);
        self.gate = Arc::default();
    }

    /// Ends the writer, after its merges.
    pub(super) fn close_writer(&mut self) {
        let writer = self.open.as_mut().and_then(|open| open.writer.take());
        if let Some(Err(error)) = writer.map(IndexWriter::wait_merging_threads) {
            tracing::warn!(%error, "merging the search index failed");
        }
    }

    /// Forgets everything in memory.
    pub(super) fn close(&mut self) {
        self.close_writer();
        self.open = None;
    }

    /// Removes the search index from disk.
    pub(super) fn remove(&mut self) {
        self.open = None;
        if self.dir.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(path = %self.dir.display(), %error, "removing a deleted index's search index failed");
        }
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(dir: &std::path::Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }
}

/// A stored document's fields. It was checked when it was written; should it not fit any more, it stays findable by id and
/// by queries for everything.
fn flat_of(state: &IndexState, record: &LogRecord) -> FlatDoc {
    match flatten(&state.mapping(), Some(&record.id), &record.source) {
        Ok(Flattened::Ready(flat)) => flat,
        Ok(Flattened::NewFields(_)) | Err(_) => {
            tracing::error!(index = state.name, id = record.id, "a stored document does not fit its mapping");
            FlatDoc::bare(state.mapping(), record.source.clone())
        }
    }
}
