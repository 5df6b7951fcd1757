//! Who reads earlier states of an index: the state that searches see, and points in time.
//!
//! A write that replaces or deletes a document takes the earlier record out of the log, unless a reader can still find it.
//! Then the record is *retired*: it stays, with a note in `meta` that names it, until nobody reads a state from before
//! that write. The storage engine's own snapshots would do the same, but they hold every table that was in memory since.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// A reader whose state is not settled yet may find everything, and may not find the latest writes.
const UNSETTLED: u64 = u64::MAX;

#[derive(Debug)]
struct State {
    /// How many readers there are of a state, by the sequence number up to which (excluded) it holds the writes.
    open: BTreeMap<u64, usize>,
    /// Notes of retired records are at sequence numbers from here ..
    noted_from: u64,
    /// .. to here, excluded. That there is one is not certain.
    noted_to: u64,
}

/// The readers of one index.
#[derive(Debug)]
pub(crate) struct Readers(Mutex<State>);

impl Readers {
    /// No readers of an index with writes up to `next` (excluded), of which earlier ones may have left retired records.
    pub(crate) fn new(next: u64) -> Self {
        Self(Mutex::new(State { open: BTreeMap::new(), noted_from: 0, noted_to: next }))
    }

    /// A reader that has yet to find out which state it reads.
    ///
    /// A group of writes that is being stored may not know of it: see [`Kv::wait_for_group`](crate::kv::Kv::wait_for_group).
    pub(crate) fn begin(self: &Arc<Self>) -> Reader {
        *lock(&self.0).open.entry(UNSETTLED).or_default() += 1;
        Reader { readers: Arc::clone(self), next: UNSETTLED }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).open.is_empty()
    }

    /// Retires the record `seq` that the write `by` replaces if a reader finds it; `false` when nobody does.
    pub(crate) fn retire(&self, seq: u64, by: u64) -> bool {
        let mut state = lock(&self.0);
        let seen = state.open.last_key_value().is_some_and(|(next, _)| *next > seq);
        if seen {
            state.noted_to = state.noted_to.max(by + 1);
        }
        seen
    }

    /// The sequence numbers of writes whose retired records nobody reads any more.
    pub(crate) fn released(&self) -> std::ops::Range<u64> {
        let state = lock(&self.0);
        let oldest = match state.open.first_key_value() {
            Some(_) if state.open.contains_key(&UNSETTLED) => 0,
            Some((next, _)) => *next,
            None => u64::MAX,
        };
        state.noted_from..state.noted_to.min(oldest).max(state.noted_from)
    }

    /// Takes note that the retired records of writes below `by` are gone.
    pub(crate) fn forgotten(&self, by: u64) {
        let mut state = lock(&self.0);
        state.noted_from = state.noted_from.max(by);
    }

    fn leave(&self, next: u64) {
        let mut state = lock(&self.0);
        if let Some(count) = state.open.get_mut(&next) {
            *count -= 1;
            if *count == 0 {
                state.open.remove(&next);
            }
        }
    }
}

/// Keeps what one state of an index holds, as long as it lives.
#[derive(Debug)]
pub(crate) struct Reader {
    readers: Arc<Readers>,
    next: u64,
}

impl Reader {
    /// From now on only writes below `next` are read.
    pub(crate) fn settle(&mut self, next: u64) {
        *lock(&self.readers.0).open.entry(next).or_default() += 1;
        self.readers.leave(std::mem::replace(&mut self.next, next));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.leave(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(readers: &Arc<Readers>, next: u64) -> Reader {
        let mut reader = readers.begin();
        reader.settle(next);
        reader
    }

    #[test]
    fn only_what_a_reader_finds_is_retired() {
        let readers = Arc::new(Readers::new(0));
        assert!(!readers.retire(3, 10) && readers.is_empty() && readers.released().is_empty());
        let early = reader(&readers, 5);
        let late = reader(&readers, 20);
        assert!(readers.retire(4, 21) && readers.retire(19, 22) && !readers.retire(20, 23));
        drop(late);
        assert!(readers.retire(4, 24) && !readers.retire(5, 25));
        drop(early);
        assert!(!readers.retire(0, 26) && readers.is_empty());
    }

    #[test]
    fn a_reader_that_is_not_settled_finds_everything() {
        let readers = Arc::new(Readers::new(0));
        let begun = readers.begin();
        assert!(readers.retire(1_000_000, 1_000_001));
        assert!(readers.released().is_empty());
        drop(begun);
        assert_eq!(readers.released(), 0..1_000_002);
    }

    #[test]
    fn records_are_released_when_all_readers_came_after_the_write() {
        let readers = Arc::new(Readers::new(0));
        let early = reader(&readers, 10);
        assert!(readers.retire(9, 12));
        let late = reader(&readers, 20);
        assert!(readers.retire(12, 25));
        assert_eq!(readers.released(), 0..10);
        drop(early);
        assert_eq!(readers.released(), 0..20);
        readers.forgotten(20);
        assert_eq!(readers.released(), 20..20);
        drop(late);
        assert_eq!(readers.released(), 20..26);
        readers.forgotten(26);
        assert!(readers.released().is_empty());
    }

    #[test]
    fn what_an_earlier_process_retired_is_released_at_once() {
        let readers = Arc::new(Readers::new(7));
        assert_eq!(readers.released(), 0..7);
    }
}
