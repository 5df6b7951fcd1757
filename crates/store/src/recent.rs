//! Documents that updates wrote lately, so that the next update of one is worked out on its caller's thread while the
//! writer is busy with others.
//!
//! What is kept here decides nothing. The writer takes what was worked out ahead only when the document still has the
//! sequence number it was worked out from, and works it out itself otherwise.

use std::sync::{Arc, Mutex};

use lru::LruCache;

use crate::document::FlatDoc;
use crate::model::Doc;
use crate::sync::lock;

/// Bytes of all documents kept, about.
const MOST_BYTES: usize = 2 << 20;
/// A document larger than this is not kept.
const LARGEST: usize = 64 << 10;
/// What a document takes beside its id and source.
const OVERHEAD: usize = 160;

type Key = (u32, String);

/// A document as an update left it.
#[derive(Debug, Clone)]
pub(crate) struct Updated {
    pub(crate) doc: Doc,
    /// Its values, along which its next version is read.
    pub(crate) flat: Arc<FlatDoc>,
}

#[derive(Debug)]
struct Kept {
    docs: LruCache<Key, Updated>,
    bytes: usize,
}

/// The documents, by the number of their index and their id.
#[derive(Debug)]
pub(crate) struct Recent(Mutex<Kept>);

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new(Kept { docs: LruCache::unbounded(), bytes: 0 }))
    }
}

fn weight(updated: &Updated) -> usize {
    OVERHEAD + 2 * updated.doc.id.len() + updated.flat.weight()
}

impl Recent {
    /// Takes a document out. Of many that update it at once only one works ahead, as only one of them can be right.
    pub(crate) fn take(&self, index: u32, id: &str) -> Option<Updated> {
        let mut kept = lock(&self.0);
        let doc = kept.docs.pop(&(index, id.to_owned()))?;
        kept.bytes = kept.bytes.saturating_sub(weight(&doc));
        Some(doc)
    }

    /// Keeps documents as a group of writes left them, once it is stored.
    pub(crate) fn keep(&self, docs: impl Iterator<Item = (u32, Updated)>) {
        let mut kept = lock(&self.0);
        for (index, updated) in docs.filter(|(_, updated)| updated.doc.source.len() <= LARGEST) {
            kept.bytes += weight(&updated);
            if let Some(before) = kept.docs.put((index, updated.doc.id.clone()), updated) {
                kept.bytes = kept.bytes.saturating_sub(weight(&before));
            }
        }
        while kept.bytes > MOST_BYTES {
            let Some((_, oldest)) = kept.docs.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(weight(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::mapping::Limits;

    fn doc(id: &str, seq_no: u64, bytes: usize) -> Updated {
        let source = bytes::Bytes::from(vec![b' '; bytes]);
        let mapping = crate::mapping::Mapping::new(
            &serde_json::json!({}),
            BTreeMap::new(),
            Arc::default(),
            Limits::default(),
        );
        let flat = Arc::new(FlatDoc::bare(Arc::new(mapping.unwrap()), source.clone()));
        Updated { doc: Doc { id: id.to_owned(), seq_no, primary_term: 1, version: 1, source }, flat }
    }

    #[test]
    fn a_document_is_given_to_one_and_kept_as_it_was_written_last() {
        let recent = Recent::default();
        recent.keep([(1, doc("a", 1, 10)), (1, doc("a", 2, 10)), (2, doc("a", 7, 10))].into_iter());
        assert_eq!(recent.take(1, "a").unwrap().doc.seq_no, 2);
        assert!(recent.take(1, "a").is_none());
        assert_eq!(recent.take(2, "a").unwrap().doc.seq_no, 7);
        assert_eq!(lock(&recent.0).bytes, 0);
    }

    #[test]
    fn the_oldest_go_first_and_large_ones_are_not_kept() {
        let recent = Recent::default();
        recent.keep((0..100).map(|n| (1, doc(&n.to_string(), n, LARGEST))));
        recent.keep(std::iter::once((1, doc("large", 100, LARGEST + 1))));
        assert!(lock(&recent.0).bytes <= MOST_BYTES);
        assert!(recent.take(1, "0").is_none() && recent.take(1, "large").is_none());
        assert!(recent.take(1, "99").is_some());
    }
}
