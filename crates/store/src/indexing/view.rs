//! What a search reads: one generation of the search index with the documents as they were then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tantivy::index::SegmentId;
use tantivy::{Searcher, SegmentReader};

use crate::document::fields;
use crate::error::{ErrorKind, Result, StoreError};
use crate::kv::{Db, LogRecord};
use crate::readers::Reader;
use crate::sync::lock;

/// An unchanging state of one index.
pub(crate) struct View {
    pub(crate) searcher: Searcher,
    /// The sequence number up to which (excluded) writes are visible.
    pub(crate) next: u64,
    pub(crate) taken: Instant,
    /// Keeps the documents of this state in the document store.
    _reader: Reader,
    db: Arc<Db>,
    index: u32,
    pub(crate) lengths: Arc<LengthCache>,
}

impl View {
    pub(super) fn new(
        searcher: Searcher,
        next: u64,
        reader: Reader,
        db: Arc<Db>,
        index: u32,
        lengths: Arc<LengthCache>,
    ) -> Self {
        Self { searcher, next, taken: Instant::now(), _reader: reader, db, index, lengths }
    }

    /// The document of a hit.
    pub(crate) fn record(&self, seq: u64) -> Result<LogRecord> {
        self.db.log_record(self.index, seq)?.ok_or_else(|| {
            let reason = format!(
                "the search index names sequence number {seq}, which the document store does not hold"
            );
            StoreError::new(ErrorKind::Corrupt, reason)
        })
    }

    /// The sequence number column of a segment.
    pub(crate) fn seq_column(segment: &SegmentReader) -> Result<tantivy::columnar::Column<u64>> {
        segment.fast_fields().u64("s").map_err(|error| super::search_error(&error))
    }
}

/// How long the texts of a field are, by segment: counted once, as segments never change.
#[derive(Default)]
pub(crate) struct LengthCache(Mutex<HashMap<(SegmentId, u32), FieldLengths>>);

/// Documents with a field, and the words in it over all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct FieldLengths {
    pub(crate) docs: u64,
    pub(crate) words: u64,
}

impl LengthCache {
    const MAX_ENTRIES: usize = 20_000;

    /// The lengths of a field over all segments.
    pub(crate) fn total(&self, searcher: &Searcher, leaf: u32, key: &str) -> Result<FieldLengths> {
        let mut total = FieldLengths::default();
        for segment in searcher.segment_readers() {
            let known = lock(&self.0).get(&(segment.segment_id(), leaf)).copied();
            let lengths = match known {
                Some(lengths) => lengths,
                None => {
                    let lengths = count_lengths(segment, key)?;
                    let mut cache = lock(&self.0);
                    if cache.len() >= Self::MAX_ENTRIES {
                        cache.clear();
                    }
                    cache.insert((segment.segment_id(), leaf), lengths);
                    lengths
                }
            };
            total.docs += lengths.docs;
            total.words += lengths.words;
        }
        Ok(total)
    }
}

fn count_lengths(segment: &SegmentReader, key: &str) -> Result<FieldLengths> {
    let _ = fields::NUMBER;
    let column = segment
        .fast_fields()
        .column_opt::<i64>(&format!("n.{key}"))
        .map_err(|error| super::search_error(&error))?;
    let Some(column) = column else { return Ok(FieldLengths::default()) };
    let mut lengths = FieldLengths::default();
    for row in 0..column.values.num_vals() {
        let words = u64::try_from(column.values.get_val(row)).unwrap_or(0);
        // A text without words is no text, as in Lucene.
        lengths.docs += u64::from(words > 0);
        lengths.words += words;
    }
    Ok(lengths)
}
