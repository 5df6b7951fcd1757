//! What a group of writes does to the documents, decided one after another before anything is stored.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::document::FlatDoc;
use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::{Change, Pending};
use crate::kv::{
    Counters, Db, IdEntry, Kv, LogRecord, PRIMARY_TERM, id_key, log_key, meta_key, retired_key, tombstone_key,
};
use crate::model::{Condition, Doc, Outcome, UpdateAction, UpdateFn, VersionType, WriteResult};
use crate::names::new_id;
use crate::recent::{Recent, Updated};
use crate::state::IndexState;

/// A write that was checked and read on the caller's thread.
pub(crate) struct Prepared {
    pub(crate) state: Arc<IndexState>,
    pub(crate) id: Option<String>,
    pub(crate) action: PreparedAction,
    pub(crate) condition: Condition,
}

pub(crate) enum PreparedAction {
    Put { flat: Arc<FlatDoc>, create: bool },
    Delete,
    Update { decide: UpdateFn, ahead: Option<Ahead> },
}

/// What an update makes of a document, if it is still at this sequence number.
pub(crate) struct Ahead {
    pub(crate) seq: u64,
    pub(crate) flat: Arc<FlatDoc>,
}

/// A document's state as the group sees it.
#[derive(Clone)]
struct Seen {
    entry: Option<IdEntry>,
    /// Where its source is, when this group wrote it.
    slot: Option<usize>,
    changed: bool,
}

/// One log entry to be stored, unless a later write of the group replaces it.
struct Slot {
    index: u32,
    seq: u64,
    record: Option<LogRecord>,
    /// The document's values if an update wrote it; others may follow.
    updated: Option<Arc<FlatDoc>>,
}

/// A stored log entry that a write of the group replaces.
struct Obsolete {
    /// Which of the touched indices it is of.
    at: usize,
    seq: u64,
    /// The write that replaces it.
    by: u64,
}

/// An index's part in the group.
struct Touched {
    state: Arc<IndexState>,
    counters: Counters,
    pending: Vec<Pending>,
}

/// Everything a group changes.
pub(super) struct Group<'a> {
    kv: &'a Kv,
    db: &'a Db,
    now_ms: i64,
    ids: HashMap<(u32, String), Seen>,
    fresh: Vec<(u32, String, IdEntry)>,
    slots: Vec<Slot>,
    /// Log entries of earlier groups that are replaced.
    obsolete: Vec<Obsolete>,
    tombstones: Vec<(u32, u64, String)>,
    touched: Vec<Touched>,
}

/// A document's place for one write.
struct Target {
    at: usize,
    index: u32,
    id: String,
    entry: Option<IdEntry>,
    slot: Option<usize>,
    fresh: bool,
}

impl Target {
    fn live(&self) -> Option<IdEntry> {
        self.entry.filter(|entry| !entry.deleted)
    }
}

impl<'a> Group<'a> {
    pub(super) fn new(kv: &'a Kv, db: &'a Db, now_ms: i64) -> Self {
        Self {
            kv,
            db,
            now_ms,
            ids: HashMap::new(),
            fresh: Vec::new(),
            slots: Vec::new(),
            obsolete: Vec::new(),
            tombstones: Vec::new(),
            touched: Vec::new(),
        }
    }

    fn touch(&mut self, state: &Arc<IndexState>) -> usize {
        match self.touched.iter().position(|touched| touched.state.num == state.num) {
            Some(at) => at,
            None => {
                let counters = state.counters();
                self.touched.push(Touched { state: Arc::clone(state), counters, pending: Vec::new() });
                self.touched.len() - 1
            }
        }
    }

    /// Decides one write.
    pub(super) fn apply(&mut self, write: Prepared) -> Result<WriteResult> {
        let Prepared { state, id, action, condition } = write;
        if state.is_deleted() {
            return Err(StoreError::no_such_index(&state.name));
        }
        let at = self.touch(&state);
        let target = self.target(at, &state, id)?;
        check(&state, &target, &condition)?;
        match action {
            PreparedAction::Put { flat, create } => {
                if let Some(live) = target.live().filter(|_| create) {
                    let why = format!("document already exists (current version [{}])", live.version);
                    return Err(conflict(&state, &target.id, &why));
                }
                Ok(self.put(&state, target, flat, &condition))
            }
            PreparedAction::Delete => Ok(self.delete(&state, target, &condition)),
            PreparedAction::Update { decide, ahead } => {
                self.update(&state, target, &decide, ahead, &condition)
            }
        }
    }

    fn target(&mut self, at: usize, state: &IndexState, id: Option<String>) -> Result<Target> {
        let index = state.num;
        let Some(id) = id else {
            return Ok(Target { at, index, id: new_id(), entry: None, slot: None, fresh: true });
        };
        let key = (index, id);
        let seen = match self.ids.get(&key) {
            Some(seen) => seen.clone(),
            None => Seen { entry: self.db.id_entry(index, &key.1)?, slot: None, changed: false },
        };
        Ok(Target { at, index, id: key.1, entry: seen.entry, slot: seen.slot, fresh: false })
    }

    fn put(
        &mut self,
        state: &IndexState,
        target: Target,
        flat: Arc<FlatDoc>,
        condition: &Condition,
    ) -> WriteResult {
        let source = flat.source().clone();
        let (live, replaces) = (target.live(), target.entry.is_some());
        let old_bytes = live.map_or(0, |entry| self.retire(&target, entry));
        let length = u32::try_from(source.len()).unwrap_or(u32::MAX);
        let counters = &mut self.touched[target.at].counters;
        let seq = counters.next_seq;
        counters.next_seq += 1;
        counters.bytes = (counters.bytes + source.len() as u64).saturating_sub(old_bytes);
        if live.is_some() {
            counters.deleted += 1;
        } else {
            counters.docs += 1;
        }
        let version = next_version(target.entry, condition);
        let record = LogRecord { id: target.id.clone(), version, tombstone: false, replaces, source };
        self.slots.push(Slot { index: target.index, seq, record: Some(record), updated: None });
        let change = Change::Put { flat, replaces };
        self.touched[target.at].pending.push(Pending::new(seq, target.id.clone(), change));
        let outcome = if live.is_some() { Outcome::Updated } else { Outcome::Created };
        self.finish(state, target, IdEntry { seq, version, deleted: false, length }, outcome)
    }

    fn delete(&mut self, state: &IndexState, target: Target, condition: &Condition) -> WriteResult {
        let live = target.live();
        let old_bytes = live.map_or(0, |entry| self.retire(&target, entry));
        let counters = &mut self.touched[target.at].counters;
        let seq = counters.next_seq;
        counters.next_seq += 1;
        let version = next_version(target.entry, condition);
        if live.is_some() {
            counters.docs = counters.docs.saturating_sub(1);
            counters.deleted += 1;
            counters.bytes = counters.bytes.saturating_sub(old_bytes);
            let record = LogRecord {
                id: target.id.clone(),
                version,
                tombstone: true,
                replaces: true,
                source: Bytes::new(),
            };
            self.slots.push(Slot { index: target.index, seq, record: Some(record), updated: None });
            self.touched[target.at].pending.push(Pending::new(seq, target.id.clone(), Change::Delete));
        }
        self.tombstones.push((target.index, seq, target.id.clone()));
        let outcome = if live.is_some() { Outcome::Deleted } else { Outcome::NotFound };
        self.finish(state, target, IdEntry { seq, version, deleted: true, length: 0 }, outcome)
    }

    fn update(
        &mut self,
        state: &Arc<IndexState>,
        target: Target,
        decide: &UpdateFn,
        ahead: Option<Ahead>,
        condition: &Condition,
    ) -> Result<WriteResult> {
        let current = target.live().map(|entry| entry.seq);
        if let Some(ahead) = ahead.filter(|ahead| Some(ahead.seq) == current) {
            return Ok(self.put_updated(state, target, ahead.flat, condition));
        }
        let doc = match target.live() {
            Some(entry) => Some(self.current(&target, entry)?),
            None => None,
        };
        match decided(decide, doc.as_ref()).map_err(|error| located(error, state))? {
            UpdateAction::Put(source) => {
                let before = target.slot.and_then(|slot| self.slots[slot].updated.as_deref());
                let flat = state.prepare_update(self.kv, &target.id, &source, before)?;
                Ok(self.put_updated(state, target, Arc::new(flat), condition))
            }
            UpdateAction::Delete => Ok(self.delete(state, target, condition)),
            UpdateAction::Noop => Ok(WriteResult {
                id: target.id,
                index: state.name.clone(),
                seq_no: doc.as_ref().map_or(0, |doc| doc.seq_no),
                primary_term: PRIMARY_TERM,
                version: doc.as_ref().map_or(0, |doc| doc.version),
                result: if doc.is_some() { Outcome::Noop } else { Outcome::NotFound },
            }),
        }
    }

    /// Stores what an update made of a document.
    fn put_updated(
        &mut self,
        state: &IndexState,
        target: Target,
        flat: Arc<FlatDoc>,
        condition: &Condition,
    ) -> WriteResult {
        let result = self.put(state, target, Arc::clone(&flat), condition);
        if let Some(slot) = self.slots.last_mut() {
            slot.updated = Some(flat);
        }
        result
    }

    /// The present document.
    fn current(&self, target: &Target, entry: IdEntry) -> Result<Doc> {
        let staged = target.slot.and_then(|slot| self.slots[slot].record.clone());
        let record = match staged {
            Some(record) => record,
            None => self
                .db
                .log_record(target.index, entry.seq)?
                .ok_or_else(|| missing(target.index, entry.seq))?,
        };
        Ok(record.into_doc(entry.seq))
    }

    /// Takes the log entry out that the next write replaces, and returns the length of its source.
    fn retire(&mut self, target: &Target, entry: IdEntry) -> u64 {
        let staged = target.slot.and_then(|slot| self.slots[slot].record.take());
        if staged.is_none() {
            let by = self.touched[target.at].counters.next_seq;
            self.obsolete.push(Obsolete { at: target.at, seq: entry.seq, by });
        }
        u64::from(entry.length)
    }

    fn finish(&mut self, state: &IndexState, target: Target, entry: IdEntry, result: Outcome) -> WriteResult {
        let slot = match result {
            Outcome::NotFound => None,
            _ => self.slots.len().checked_sub(1),
        };
        if target.fresh {
            self.fresh.push((target.index, target.id.clone(), entry));
        } else {
            let seen = Seen { entry: Some(entry), slot: slot.filter(|_| !entry.deleted), changed: true };
            self.ids.insert((target.index, target.id.clone()), seen);
        }
        WriteResult {
            id: target.id,
            index: state.name.clone(),
            seq_no: entry.seq,
            primary_term: PRIMARY_TERM,
            version: entry.version,
            result,
        }
    }

    /// Stores the group, durably, then hands it to search. What updates wrote is kept for the next ones.
    pub(super) fn commit(self, recent: &Recent) -> Result<Vec<Arc<IndexState>>> {
        if self.touched.iter().all(|touched| touched.counters == touched.state.counters()) {
            return Ok(Vec::new());
        }
        let db = self.db;
        let mut batch = db.batch(2 * self.slots.len() + 8);
        for slot in &self.slots {
            if let Some(record) = &slot.record {
                batch.insert(&db.log, log_key(slot.index, slot.seq), record.encode());
            }
        }
        let storing = self.kv.storing();
        for Obsolete { at, seq, by } in &self.obsolete {
            let state = &self.touched[*at].state;
            if state.search.readers.retire(*seq, *by) {
                batch.insert(&db.meta, retired_key(state.num, *by), seq.to_be_bytes());
            } else {
                // Each sequence number is written once, so that nothing of it needs to be stored where both meet.
                batch.remove_weak(&db.log, log_key(state.num, *seq));
            }
        }
        for (index, id, entry) in &self.fresh {
            batch.insert(&db.ids, id_key(*index, id), entry.encode());
        }
        for ((index, id), seen) in &self.ids {
            if let (true, Some(entry)) = (seen.changed, seen.entry) {
                batch.insert(&db.ids, id_key(*index, id), entry.encode());
            }
        }
        for (index, seq, id) in &self.tombstones {
            let mut note = self.now_ms.to_be_bytes().to_vec();
            note.extend_from_slice(id.as_bytes());
            batch.insert(&db.meta, tombstone_key(*index, *seq), note);
        }
        for touched in &self.touched {
            batch.insert(&db.meta, meta_key(b'c', touched.state.num), touched.counters.encode());
        }
        self.kv.commit(batch, true)?;
        drop(storing);
        recent.keep(self.slots.into_iter().filter_map(|slot| {
            let doc = slot.record?.into_doc(slot.seq);
            Some((slot.index, Updated { doc, flat: slot.updated? }))
        }));
        let mut changed = Vec::with_capacity(self.touched.len());
        for touched in self.touched {
            touched.state.set_counters(touched.counters);
            touched.state.search.publish(touched.pending, touched.counters.next_seq);
            changed.push(touched.state);
        }
        Ok(changed)
    }
}

/// What the update makes of the document. Its code is the caller's, and a panic in it ends only the update.
pub(crate) fn decided(decide: &UpdateFn, doc: Option<&Doc>) -> Result<UpdateAction> {
    catch_unwind(AssertUnwindSafe(|| decide(doc)))
        .unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Internal, "the update failed unexpectedly")))
}

fn missing(index: u32, seq: u64) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("document {seq} of index number {index} is missing from the document store"),
    )
}

fn conflict(state: &IndexState, id: &str, why: &str) -> StoreError {
    StoreError::new(ErrorKind::VersionConflict, format!("[{id}]: version conflict, {why}"))
        .in_shard(&state.name, &state.uuid)
}

/// Errors of an update function get the index they belong to.
fn located(error: StoreError, state: &IndexState) -> StoreError {
    if error.index().is_some()
        || !matches!(error.kind(), ErrorKind::VersionConflict | ErrorKind::DocumentMissing)
    {
        return error;
    }
    error.in_shard(&state.name, &state.uuid)
}

fn check(state: &IndexState, target: &Target, condition: &Condition) -> Result<()> {
    if condition.if_seq_no.is_some() || condition.if_primary_term.is_some() {
        let live = target.live();
        let seq = condition.if_seq_no.unwrap_or_else(|| live.map_or(0, |entry| entry.seq));
        let term = condition.if_primary_term.unwrap_or(PRIMARY_TERM);
        let required = format!("required seqNo [{seq}], primary term [{term}].");
        match live {
            None => {
                return Err(conflict(state, &target.id, &format!("{required} but no document was found")));
            }
            Some(entry) if entry.seq != seq || term != PRIMARY_TERM => {
                let found =
                    format!("current document has seqNo [{}] and primary term [{PRIMARY_TERM}]", entry.seq);
                return Err(conflict(state, &target.id, &format!("{required} {found}")));
            }
            Some(_) => {}
        }
    }
    if let (Some((version, kind)), Some(entry)) = (condition.version, target.entry) {
        let (refused, words) = match kind {
            VersionType::External => (entry.version >= version, "higher or equal to"),
            VersionType::ExternalGte => (entry.version > version, "higher than"),
        };
        if refused {
            let why = format!("current version [{}] is {words} the one provided [{version}]", entry.version);
            return Err(conflict(state, &target.id, &why));
        }
    }
    Ok(())
}

fn next_version(entry: Option<IdEntry>, condition: &Condition) -> u64 {
    match condition.version {
        Some((version, _)) => version,
        None => entry.map_or(1, |entry| entry.version + 1),
    }
}
