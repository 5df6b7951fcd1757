//! Documents on their way from the writer to the search index. A cache: what it does not hold is read again from the
//! document store, so it may drop whatever exceeds its bound.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use crate::document::FlatDoc;
use crate::sync::lock;

/// Bytes of documents one index's queue holds at most.
const MAX_BYTES: usize = 8 << 20;

/// What the search index must do for one sequence number.
#[derive(Debug)]
pub(crate) enum Change {
    /// Add the document; `replaces` says that its id may be there already.
    Put { flat: Arc<FlatDoc>, replaces: bool },
    /// Remove the id.
    Delete,
}

/// A durable write that search does not know yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seq: u64,
    /// The first of the sequence numbers up to `seq` that this settles: those before it were replaced since.
    pub(crate) from: u64,
    pub(crate) id: String,
    pub(crate) change: Change,
}

impl Pending {
    pub(crate) fn new(seq: u64, id: String, change: Change) -> Self {
        Self { seq, from: seq, id, change }
    }

    /// Whether what was there of the document before is removed.
    fn replaces(&self) -> bool {
        matches!(self.change, Change::Delete | Change::Put { replaces: true, .. })
    }

    fn weight(&self) -> usize {
        match &self.change {
            Change::Put { flat, .. } => flat.weight() + self.id.len(),
            Change::Delete => self.id.len() + 64,
        }
    }
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Pending>,
    bytes: usize,
}

/// A bounded queue in the order of sequence numbers, with gaps where items were dropped.
#[derive(Default)]
pub(crate) struct PendingQueue(Mutex<Inner>);

impl PendingQueue {
    /// Adds items; those beyond the bound are dropped.
    pub(crate) fn push(&self, items: Vec<Pending>) {
        let mut inner = lock(&self.0);
        for item in items {
            if inner.bytes < MAX_BYTES {
                inner.bytes += item.weight();
                inner.items.push_back(item);
            }
        }
    }

    /// Takes up to `count` items with a sequence number below `end`.
    pub(crate) fn pop(&self, count: usize, end: u64) -> Vec<Pending> {
        let mut inner = lock(&self.0);
        let count = inner.items.iter().take(count).take_while(|item| item.seq < end).count();
        let taken: Vec<Pending> = inner.items.drain(..count).collect();
        inner.bytes -= taken.iter().map(Pending::weight).sum::<usize>();
        if inner.items.is_empty() {
            inner.items.shrink_to(64);
        }
        taken
    }

    /// Drops what later changes of the same documents replace: it need not go through the search index. To be called
    /// before the state is taken up to which search is brought, as that holds only the last of these changes.
    pub(crate) fn drop_replaced(&self) {
        let mut inner = lock(&self.0);
        let mut later = HashSet::new();
        let mut replaced: Vec<bool> = Vec::with_capacity(inner.items.len());
        for item in inner.items.iter().rev() {
            replaced.push(later.contains(item.id.as_str()));
            if item.replaces() {
                later.insert(item.id.as_str());
            }
        }
        drop(later);
        if !replaced.contains(&true) {
            return;
        }
        let mut dropped: Option<(u64, u64)> = None;
        for mut item in std::mem::take(&mut inner.items) {
            let from = dropped.filter(|(_, end)| *end == item.from).map_or(item.from, |(from, _)| from);
            if replaced.pop() == Some(true) {
                inner.bytes -= item.weight();
                dropped = Some((from, item.seq + 1));
            } else {
                item.from = from;
                dropped = None;
                inner.items.push_back(item);
            }
        }
    }

    pub(crate) fn clear(&self) {
        *lock(&self.0) = Inner::default();
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(seq: u64, id: &str) -> Pending {
        Pending::new(seq, id.to_owned(), Change::Delete)
    }

    fn held(queue: &PendingQueue) -> Vec<(u64, u64, String)> {
        queue.pop(usize::MAX, u64::MAX).into_iter().map(|item| (item.from, item.seq, item.id)).collect()
    }

    #[test]
    fn only_the_last_change_of_a_document_is_kept_and_settles_those_before_it() {
        let queue = PendingQueue::default();
        // 5 is missing, as if it had not fitted.
        let ids = [(0, "a"), (1, "b"), (2, "a"), (3, "c"), (4, "c"), (6, "c"), (7, "a")];
        queue.push(ids.iter().map(|(seq, id)| delete(*seq, id)).collect());
        queue.drop_replaced();
        let kept = |from, seq, id: &str| (from, seq, id.to_owned());
        assert_eq!(held(&queue), [kept(0, 1, "b"), kept(6, 6, "c"), kept(7, 7, "a")]);
        assert_eq!(lock(&queue.0).bytes, 0);
        queue.push(vec![delete(8, "a"), delete(9, "a"), delete(10, "b")]);
        queue.drop_replaced();
        assert_eq!(held(&queue), [kept(8, 9, "a"), kept(10, 10, "b")]);
    }
}
