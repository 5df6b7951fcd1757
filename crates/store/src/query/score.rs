//! BM25 as Elasticsearch computes it, field lengths in Lucene's one-byte precision included.

use std::sync::Arc;

use tantivy::columnar::{Column, DynamicColumn};
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::Scorer;
use tantivy::{DocId, DocSet, Score, SegmentReader};

use super::leaf::open_column;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// What the score of a term is made of, apart from the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bm25 {
    /// Inverse document frequency times `k1 + 1`.
    weight: f32,
    /// The inverse of `k1 * (1 - b + b * length / average)` by encoded length.
    norms: Vec<f32>,
    /// The column of field lengths; without it all fields are equally long.
    pub(super) lengths: Option<String>,
}

/// `ln(1 + (N - n + 0.5) / (n + 0.5))`.
pub(super) fn idf(docs: u64, with_term: u64) -> f32 {
    let (docs, with_term) = (docs.max(with_term) as f64, with_term as f64);
    ((docs - with_term + 0.5) / (with_term + 0.5)).ln_1p() as f32
}

impl Bm25 {
    /// For a field with lengths: the sum of the terms' inverse frequencies, and the average length.
    pub(super) fn with_lengths(idf: f32, average: f32, column: String) -> Self {
        let average = if average > 0.0 { average } else { 1.0 };
        let norm = |code: u8| 1.0 / (K1 * ((1.0 - B) + B * byte4_to_int(code) as f32 / average));
        Self { weight: idf * (K1 + 1.0), norms: (0..=u8::MAX).map(norm).collect(), lengths: Some(column) }
    }

    /// For a field without: every document counts as one word long, measured by the average number of values.
    pub(super) fn without_lengths(idf: f32, average: f32) -> Self {
        let norm = 1.0 / (K1 * ((1.0 - B) + B / average.max(1.0)));
        Self { weight: idf * (K1 + 1.0), norms: vec![norm], lengths: None }
    }

    pub(super) fn score(&self, frequency: f32, length: u64, boost: f32) -> f32 {
        let code = if self.lengths.is_some() { int_to_byte4(length) as usize } else { 0 };
        let norm = self.norms.get(code).copied().unwrap_or(1.0);
        let weight = self.weight * boost;
        weight - weight / (1.0 + frequency * norm)
    }
}

/// Lucene's `SmallFloat`: lengths up to 39 exactly, longer ones with four significant bits.
fn int_to_byte4(length: u64) -> u8 {
    const FREE: u64 = 24;
    if length < FREE {
        return length as u8;
    }
    (FREE + long_to_int4(length.min(i32::MAX as u64) - FREE)) as u8
}

fn long_to_int4(value: u64) -> u64 {
    let bits = 64 - value.leading_zeros();
    if bits < 4 {
        return value;
    }
    let shift = bits - 4;
    let encoded = (value >> shift) & 0x07;
    encoded | (u64::from(shift + 1) << 3)
}

fn byte4_to_int(code: u8) -> u64 {
    const FREE: u64 = 24;
    let code = u64::from(code);
    if code < FREE { code } else { FREE + int4_to_long(code - FREE) }
}

fn int4_to_long(code: u64) -> u64 {
    let bits = code & 0x07;
    match (code >> 3).checked_sub(1) {
        None => bits,
        Some(shift) => (bits | 0x08) << shift,
    }
}

/// The lengths of a field in a segment.
pub(super) struct LengthColumn(Option<Column<i64>>);

impl LengthColumn {
    pub(super) fn open(reader: &SegmentReader, name: Option<&str>) -> tantivy::Result<Self> {
        let Some(name) = name else { return Ok(Self(None)) };
        Ok(Self(match open_column(reader, name)? {
            Some(DynamicColumn::I64(column)) => Some(column),
            _ => None,
        }))
    }

    pub(super) fn get(&self, doc: DocId) -> u64 {
        let first = self.0.as_ref().and_then(|column| column.first(doc));
        first.and_then(|length| u64::try_from(length).ok()).unwrap_or(1)
    }
}

/// The documents with a term, scored.
pub(super) struct TermScorer {
    postings: SegmentPostings,
    bm25: Arc<Bm25>,
    lengths: LengthColumn,
    boost: Score,
}

impl TermScorer {
    pub(super) fn new(
        postings: SegmentPostings,
        bm25: Arc<Bm25>,
        lengths: LengthColumn,
        boost: Score,
    ) -> Self {
        Self { postings, bm25, lengths, boost }
    }
}

impl DocSet for TermScorer {
    fn advance(&mut self) -> DocId {
        self.postings.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.postings.seek(target)
    }

    fn doc(&self) -> DocId {
        self.postings.doc()
    }

    fn size_hint(&self) -> u32 {
        self.postings.size_hint()
    }
}

impl Scorer for TermScorer {
    fn score(&mut self) -> Score {
        let frequency = if self.bm25.lengths.is_some() { self.postings.term_freq() as f32 } else { 1.0 };
        self.bm25.score(frequency, self.lengths.get(self.postings.doc()), self.boost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_encoded_as_lucene_does() {
        for length in 0..40 {
            assert_eq!(byte4_to_int(int_to_byte4(length)), length);
        }
        // From Lucene's SmallFloat: decoded values below 100 and around powers of two.
        for (length, wanted) in [(40, 40), (41, 40), (42, 42), (100, 96), (1_000, 984), (100_000, 98_328)] {
            assert_eq!(byte4_to_int(int_to_byte4(length)), wanted, "{length}");
        }
        assert!((0..=254u8).all(|code| byte4_to_int(code) < byte4_to_int(code + 1)));
    }

    #[test]
    fn a_scarce_term_weighs_more() {
        assert!(idf(100, 1) > idf(100, 50) && idf(100, 100) > 0.0);
    }
}
