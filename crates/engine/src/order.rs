use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use crate::prepare::Key;

/// Keeps two changes of one document from overlapping: while one is anywhere between reading and acknowledgement,
/// the next waits here, and a later one takes its place.
#[derive(Debug)]
pub(crate) struct Order<T> {
    /// Few wait, so they stand apart: the table is small and quick.
    busy: HashMap<Key, Option<Box<T>>, BuildHasherDefault<KeyHasher>>,
}

/// What became of a change that wanted to enter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered<T> {
    /// It goes on.
    Now(T),
    /// It waits for an earlier change of the same document.
    Waits,
    /// It waits, and this one, which waited for the same, is dropped for it.
    Replaces(T),
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { busy: HashMap::default() }
    }
}

impl<T> Order<T> {
    pub(crate) fn enter(&mut self, key: Key, change: T) -> Entered<T> {
        match self.busy.entry(key) {
            Entry::Vacant(free) => {
                free.insert(None);
                Entered::Now(change)
            }
            Entry::Occupied(mut busy) => match busy.get_mut().replace(Box::new(change)) {
                None => Entered::Waits,
                Some(older) => Entered::Replaces(*older),
            },
        }
    }

    /// The change under way is settled. The one that waited for it, if any, is under way now.
    pub(crate) fn settle(&mut self, key: Key) -> Option<T> {
        let Entry::Occupied(mut busy) = self.busy.entry(key) else { return None };
        let next = busy.get_mut().take();
        if next.is_none() {
            busy.remove();
        }
        next.map(|next| *next)
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_waits_for_the_earlier_one_of_the_same_document_and_the_last_wins() {
        let mut order = Order::default();
        assert_eq!(order.enter(Key(2), "first"), Entered::Now("first"));
        assert_eq!(order.enter(Key(4), "other"), Entered::Now("other"));
        assert_eq!(order.enter(Key(2), "second"), Entered::Waits);
        assert_eq!(order.enter(Key(2), "third"), Entered::Replaces("second"));
        assert_eq!(order.settle(Key(2)), Some("third"));
        assert_eq!(order.enter(Key(2), "fourth"), Entered::Waits);
        assert_eq!(order.settle(Key(2)), Some("fourth"));
        assert_eq!(order.settle(Key(2)), None);
        assert_eq!(order.settle(Key(4)), None);
        assert!(order.busy.is_empty());
    }
}
