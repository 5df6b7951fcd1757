//! Opening a store: what is on disk becomes what is in memory, and the threads begin.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use super::handle::{Handle, Shared};
use super::pit::Pits;
use crate::catalog::Catalog;
use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::Pool;
use crate::kv::{Db, Kv, index_of_meta_key, meta_key, read_error};
use crate::model::StoreOptions;
use crate::names::new_uuid;
use crate::readers::Readers;
use crate::recent::Recent;
use crate::state::IndexState;
use crate::writer::{self, Request, WriterContext};

/// Requests that may wait for the writer; their bytes are bounded too.
const WRITER_QUEUE: usize = 1_024;

const CLUSTER_KEY: &[u8] = b"cluster";
pub(super) const NEXT_NUM_KEY: &[u8] = b"next";

pub(super) fn open(options: StoreOptions) -> Result<Handle> {
    let kv = Arc::new(Kv::open(&options)?);
    let db = kv.db()?;
    let cluster_uuid = cluster_uuid(&kv, &db)?;
    let next_num = stored_number(&db, NEXT_NUM_KEY)?;
    let catalog = Arc::new(Catalog::default());
    let behind = load_indices(&kv, &db, &catalog, options.index_buffer_bytes)?;
    let orphans = keys_of(&db, b'd')?;
    drop(db);

    let pits = Arc::new(Pits::new(options.max_open_pits));
    let (sender, requests) = mpsc::channel(WRITER_QUEUE);
    let (listed, expiring) = (Arc::clone(&catalog), Arc::clone(&pits));
    let (mending, writer) = (Arc::clone(&kv), sender.downgrade());
    let looking = move || {
        expiring.expire();
        // The search index and readers need an open document store, also when nobody writes.
        if mending.is_broken()
            && mending.check_space().is_ok()
            && let Some(writer) = writer.upgrade()
        {
            // A full queue has requests that do the same.
            let _ = writer.try_send(Request::nothing());
        }
    };
    let pool = Pool::start(Arc::clone(&kv), Box::new(move || listed.all()), Box::new(looking))?;
    let gate = Arc::new(Mutex::new(()));
    let recent = Arc::new(Recent::default());
    let context = writer_context(&kv, &recent, &catalog, &pool, &pits, &gate);
    let writer = std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer::run(&context, requests))
        .map_err(|error| StoreError::new(ErrorKind::Io, format!("starting a thread failed: {error}")))?;
    for index in orphans {
        pool.purge(index, Arc::new(Readers::new(0)));
    }
    remove_stray_folders(&kv, &catalog);
    for state in behind {
        state.search.wanted.store(state.counters().next_seq, Ordering::Release);
        pool.schedule(&state, false);
    }
    let shared = Shared {
        cluster_uuid,
        kv,
        recent,
        catalog,
        pool,
        pits,
        searches: Arc::new(Semaphore::new(options.max_concurrent_searches.max(1))),
        gate,
        next_num: Mutex::new(next_num),
        closed: AtomicBool::new(false),
        sender: Mutex::new(Some(sender)),
        in_flight: Arc::new(Semaphore::new(Shared::permits(options.in_flight_bytes))),
        options,
    };
    Ok(Handle { shared: Arc::new(shared), writer: Mutex::new(Some(writer)) })
}

fn writer_context(
    kv: &Arc<Kv>,
    recent: &Arc<Recent>,
    catalog: &Arc<Catalog>,
    pool: &Arc<Pool>,
    pits: &Arc<Pits>,
    gate: &Arc<Mutex<()>>,
) -> WriterContext {
    let changed_pool = Arc::clone(pool);
    let (recover_kv, recover_catalog, recover_pits) = (Arc::clone(kv), Arc::clone(catalog), Arc::clone(pits));
    let searchable_catalog = Arc::clone(catalog);
    WriterContext {
        kv: Arc::clone(kv),
        recent: Arc::clone(recent),
        gate: Arc::clone(gate),
        changed: Box::new(move |states| {
            for state in states {
                changed_pool.written(state);
            }
        }),
        recover: Box::new(move || recover(&recover_kv, &recover_catalog, &recover_pits)),
        searchable: Box::new(move |num| {
            let state = searchable_catalog.all().into_iter().find(|state| state.num == num)?;
            Some(state.search.progress.borrow().visible)
        }),
    }
}

/// Opens the database again after a failure. Everything that reads an old state of it lets go first.
fn recover(kv: &Kv, catalog: &Catalog, pits: &Pits) -> Result<()> {
    pits.clear();
    for state in catalog.all() {
        state.search.release();
    }
    kv.reopen()?;
    let db = kv.db()?;
    for state in catalog.all() {
        let counters = db.counters(state.num)?;
        state.set_counters(counters);
        state.search.publish(Vec::new(), counters.next_seq);
    }
    Ok(())
}

fn cluster_uuid(kv: &Kv, db: &Db) -> Result<String> {
    if let Some(stored) = db.meta.get(CLUSTER_KEY).map_err(read_error)? {
        return Ok(String::from_utf8_lossy(&stored).into_owned());
    }
    let uuid = new_uuid();
    let mut batch = db.batch(1);
    batch.insert(&db.meta, CLUSTER_KEY, uuid.as_bytes());
    kv.commit(batch, true)?;
    Ok(uuid)
}

fn stored_number(db: &Db, key: &[u8]) -> Result<u32> {
    let stored = db.meta.get(key).map_err(read_error)?;
    Ok(stored.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u32::from_be_bytes))
}

/// The index numbers under a kind of key.
fn keys_of(db: &Db, kind: u8) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for guard in db.meta.prefix([kind]) {
        let key = guard.key().map_err(read_error)?;
        if key.len() == 5 {
            found.extend(index_of_meta_key(&key));
        }
    }
    Ok(found)
}

/// Loads all indices and returns those whose search index lacks documents.
fn load_indices(kv: &Kv, db: &Db, catalog: &Catalog, buffer: usize) -> Result<Vec<Arc<IndexState>>> {
    let mut behind = Vec::new();
    for num in keys_of(db, b'i')? {
        let Some(stored) = db.meta.get(meta_key(b'i', num)).map_err(read_error)? else { continue };
        let damaged = |why: &str| {
            StoreError::new(ErrorKind::Corrupt, format!("the record of index number {num} is damaged: {why}"))
        };
        let value: Value = serde_json::from_slice(&stored).map_err(|error| damaged(&error.to_string()))?;
        let counters = db.counters(num)?;
        let parts = IndexState::parts_from_stored(num, &value, counters)
            .ok_or_else(|| damaged("a part is missing"))?;
        let state = Arc::new(IndexState::new(parts, kv.root(), buffer)?);
        let noted = db.meta.get(meta_key(b's', num)).map_err(read_error)?;
        let noted = noted.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes);
        if noted < counters.next_seq {
            behind.push(Arc::clone(&state));
        }
        catalog.insert(state);
    }
    Ok(behind)
}

/// Removes search indices that belong to no index.
fn remove_stray_folders(kv: &Kv, catalog: &Catalog) {
    let known: BTreeSet<String> = catalog.all().iter().map(|state| state.num.to_string()).collect();
    let Ok(entries) = std::fs::read_dir(kv.root().join("search")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(&name) && name.parse::<u32>().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
