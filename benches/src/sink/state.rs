use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

/// What a [`super::Sink`] has been through.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) operations: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) lookups: AtomicU64,
    pub(super) throttled: AtomicU64,
}

/// The counters at one moment, as `GET /_sink` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Bulk requests that were done.
    pub requests: u64,
    /// Operations in them.
    pub operations: u64,
    /// Bytes of them, unpacked.
    pub bytes: u64,
    /// Ids that were looked up.
    pub lookups: u64,
    /// Bulk requests refused with 429.
    pub throttled: u64,
}

impl Counters {
    pub(super) fn now(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            requests: get(&self.requests),
            operations: get(&self.operations),
            bytes: get(&self.bytes),
            lookups: get(&self.lookups),
            throttled: get(&self.throttled),
        }
    }
}

/// The indices of a sink.
#[derive(Debug, Default)]
pub(super) struct Indices(Mutex<HashMap<String, Arc<Index>>>);

impl Indices {
    pub(super) fn get(&self, name: &str) -> Option<Arc<Index>> {
        lock(&self.0).get(name).cloned()
    }

    pub(super) fn create(&self, name: &str) -> Arc<Index> {
        Arc::clone(lock(&self.0).entry(name.to_owned()).or_default())
    }

    pub(super) fn delete(&self, name: &str) -> bool {
        lock(&self.0).remove(name).is_some()
    }
}

/// What is kept of the documents of an index: id and fingerprint, never the document.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: Mutex<Kept>,
    /// Operations so far: gives sequence numbers.
    pub(super) operations: AtomicU64,
}

impl Index {
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// In the order they came; a walk over them goes on from a place.
    slots: Vec<Slot>,
    by_id: HashMap<u128, u32, BuildHasherDefault<AsIs>>,
    live: u64,
}

#[derive(Debug)]
struct Slot {
    id: Box<str>,
    fingerprint: Option<u128>,
    live: bool,
}

impl Kept {
    pub(super) fn live(&self) -> u64 {
        self.live
    }

    /// Notes a document; whether it is new.
    pub(super) fn put(&mut self, id: &str, fingerprint: Option<u128>) -> bool {
        // So many would not fit into memory.
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let at = *self.by_id.entry(xxh3_128(id.as_bytes())).or_insert(next);
        if at == next {
            self.slots.push(Slot { id: id.into(), fingerprint, live: true });
            self.live += 1;
            return true;
        }
        let Some(slot) = self.slots.get_mut(at as usize) else { return false };
        slot.fingerprint = fingerprint;
        let is_new = !std::mem::replace(&mut slot.live, true);
        self.live += u64::from(is_new);
        is_new
    }

    /// Forgets a document; whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let slot = self.by_id.get(&xxh3_128(id.as_bytes())).and_then(|at| self.slots.get_mut(*at as usize));
        let was_live = slot.is_some_and(|slot| std::mem::replace(&mut slot.live, false));
        self.live -= u64::from(was_live);
        was_live
    }

    /// The fingerprint of a document; the outer `None`: there is no such document.
    pub(super) fn get(&self, id: &str) -> Option<Option<u128>> {
        let at = self.by_id.get(&xxh3_128(id.as_bytes()))?;
        self.slots.get(*at as usize).filter(|slot| slot.live).map(|slot| slot.fingerprint)
    }

    /// Up to `most` documents from place `from` on, each with the place after it.
    pub(super) fn walk(&self, from: usize, most: usize) -> impl Iterator<Item = (usize, &str)> {
        let rest = self.slots.iter().enumerate().skip(from);
        rest.filter(|(_, slot)| slot.live).map(|(at, slot)| (at + 1, &*slot.id)).take(most)
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_there_from_its_writing_to_its_deletion() {
        let mut kept = Kept::default();
        assert!(kept.put("a", Some(1)) && kept.put("b", None) && !kept.put("a", Some(2)));
        assert_eq!((kept.get("a"), kept.get("b"), kept.get("c")), (Some(Some(2)), Some(None), None));
        assert!(kept.remove("a") && !kept.remove("a") && !kept.remove("c"));
        assert_eq!((kept.get("a"), kept.live()), (None, 1));
        assert!(kept.put("a", Some(3)));
        assert_eq!(kept.live(), 2);
    }

    #[test]
    fn a_walk_meets_every_live_document_once() {
        let mut kept = Kept::default();
        (0..100).for_each(|n| assert!(kept.put(&n.to_string(), None)));
        (0..100).step_by(3).for_each(|n| assert!(kept.remove(&n.to_string())));
        let (mut from, mut met) = (0, Vec::new());
        loop {
            let page: Vec<_> = kept.walk(from, 10).collect();
            let Some((next, _)) = page.last() else { break };
            from = *next;
            met.extend(page.into_iter().map(|(_, id)| id.parse::<u32>().unwrap()));
        }
        assert_eq!(met, (0..100).filter(|n| n % 3 != 0).collect::<Vec<_>>());
    }
}
