//! What the protocol's documents say that were written lately. A daemon updates the same ones again and again, and reading one
//! costs as much as all the rest of its update.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use serde_json::Value;

/// Bytes of all sources kept, about; what they say takes a few times as much.
const MOST_BYTES: usize = 256 << 10;
/// A document with a larger source is not kept.
const LARGEST: usize = 16 << 10;

#[derive(Debug)]
struct Kept {
    documents: LruCache<String, (Bytes, Value)>,
    bytes: usize,
}

/// Documents by their ids, as their last update left them.
///
/// A source is known by where it lies in memory, which nobody else gets as long as it is held here. So nothing that is kept
/// can be taken for a document that is not the very same.
#[derive(Debug)]
pub(crate) struct Parsed(Mutex<Kept>);

impl Default for Parsed {
    fn default() -> Self {
        Self(Mutex::new(Kept { documents: LruCache::unbounded(), bytes: 0 }))
    }
}

impl Parsed {
    /// Takes out what a source says, if that is known.
    pub(super) fn take(&self, id: &str, source: &Bytes) -> Option<Value> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, value) = kept.documents.pop(id)?;
        kept.bytes = kept.bytes.saturating_sub(held.len());
        (held.as_ptr() == source.as_ptr() && held.len() == source.len()).then_some(value)
    }

    /// Keeps what the source of a document says.
    pub(super) fn keep(&self, id: &str, source: Bytes, value: Value) {
        if source.len() > LARGEST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += source.len();
        if let Some((before, _)) = kept.documents.put(id.to_owned(), (source, value)) {
            kept.bytes = kept.bytes.saturating_sub(before.len());
        }
        while kept.bytes > MOST_BYTES {
            let Some((_, (oldest, _))) = kept.documents.pop_lru() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_very_source_that_was_kept_is_known() {
        let parsed = Parsed::default();
        let source = Bytes::from(r#"{"a":1}"#.to_owned());
        parsed.keep("1", source.clone(), json!({"a": 1}));
        assert_eq!(parsed.take("2", &source), None);
        assert_eq!(parsed.take("1", &source.clone()), Some(json!({"a": 1})));
        assert_eq!(parsed.take("1", &source), None, "it was taken out");
        parsed.keep("1", source.clone(), json!({"a": 1}));
        assert_eq!(parsed.take("1", &Bytes::copy_from_slice(&source)), None, "equal, but another");
    }

    #[test]
    fn what_was_kept_longest_makes_room() {
        let parsed = Parsed::default();
        let sources: Vec<Bytes> = (0..40).map(|n| Bytes::from(vec![b' '; LARGEST - n])).collect();
        for (n, source) in sources.iter().enumerate() {
            parsed.keep(&n.to_string(), source.clone(), json!(n));
        }
        let known = (0..40).filter(|n| parsed.take(&n.to_string(), &sources[*n]).is_some()).count();
        assert_eq!(known, MOST_BYTES / LARGEST);
        assert_eq!(parsed.0.lock().unwrap().bytes, 0);
        parsed.keep("large", Bytes::from(vec![b' '; LARGEST + 1]), json!(null));
        assert_eq!(parsed.0.lock().unwrap().documents.len(), 0);
    }
}
