//! Documents on their way from the writer to the search index. A cache: what it does not hold is read again from the
//! document store, so it may drop whatever exceeds its bound.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::document::FlatDoc;
use crate::sync::lock;

/// Bytes of documents one index's queue holds at most.
const MAX_BYTES: usize = 8 << 20;

/// What the search index must do for one sequence number.
#[derive(Debug)]
pub(crate) enum Change {
    /// Add the document; `replaces` says that its id may be there already.
    Put { flat: Box<FlatDoc>, replaces: bool },
    /// Remove the id.
    Delete,
}

/// A durable write that search does not know yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) change: Change,
}

impl Pending {
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

    pub(crate) fn clear(&self) {
        *lock(&self.0) = Inner::default();
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).items.len()
    }
}
