//! The queries that read the search index: terms, patterns, ranges, existence, phrases.

use std::fmt;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnIndex, DynamicColumn};
use tantivy::query::{
    AllScorer, BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, DocSet, Score, SegmentReader, TERMINATED, Term};

use super::bounds::NumberRange;
use super::phrase::Phrase;
use super::score::{Bm25, LengthColumn, TermScorer};

type Result<T> = tantivy::Result<T>;

/// Decides on the text of a term.
pub(super) type Matcher = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A query on one field.
#[derive(Clone)]
pub(super) enum Leaf {
    /// One term, scored.
    Term {
        term: Term,
        bm25: Option<Arc<Bm25>>,
    },
    /// Any of these terms.
    Set {
        field: Field,
        terms: Arc<Vec<Term>>,
    },
    /// Terms that begin so and match.
    Pattern {
        field: Field,
        prefix: Vec<u8>,
        skip: usize,
        matcher: Option<Matcher>,
    },
    /// Numbers in a range.
    Numbers {
        column: String,
        range: NumberRange,
    },
    /// Keywords in a range; bounds with whether they are included.
    Keywords {
        column: String,
        lower: Option<(Vec<u8>, bool)>,
        upper: Option<(Vec<u8>, bool)>,
    },
    /// A value in any of these columns.
    Exists {
        columns: Vec<String>,
    },
    Phrase(Arc<Phrase>),
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Term { .. } => "Term",
            Self::Set { .. } => "Set",
            Self::Pattern { .. } => "Pattern",
            Self::Numbers { .. } => "Numbers",
            Self::Keywords { .. } => "Keywords",
            Self::Exists { .. } => "Exists",
            Self::Phrase(_) => "Phrase",
        })
    }
}

impl Query for Leaf {
    fn weight(&self, scoring: EnableScoring<'_>) -> Result<Box<dyn Weight>> {
        Ok(Box::new(LeafWeight { leaf: self.clone(), scored: scoring.is_scoring_enabled() }))
    }
}

struct LeafWeight {
    leaf: Leaf,
    scored: bool,
}

impl Weight for LeafWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> Result<Box<dyn Scorer>> {
        match &self.leaf {
            Leaf::Term { term, bm25 } => {
                term_scorer(reader, term, bm25.as_ref().filter(|_| self.scored), boost)
            }
            Leaf::Set { field, terms } => set_scorer(reader, *field, terms, boost),
            Leaf::Pattern { field, prefix, skip, matcher } => {
                pattern_scorer(reader, *field, prefix, *skip, matcher.as_ref(), boost)
            }
            Leaf::Numbers { column, range } => Ok(docs_scorer(number_docs(reader, column, range)?, boost)),
            Leaf::Keywords { column, lower, upper } => {
                Ok(docs_scorer(keyword_docs(reader, column, lower.as_ref(), upper.as_ref())?, boost))
            }
            Leaf::Exists { columns } => exists_scorer(reader, columns, boost),
            Leaf::Phrase(phrase) => phrase.scorer(reader, boost, self.scored),
        }
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> Result<Explanation> {
        Ok(Explanation::new("leaf", 1.0))
    }
}

fn term_scorer(
    reader: &SegmentReader,
    term: &Term,
    bm25: Option<&Arc<Bm25>>,
    boost: Score,
) -> Result<Box<dyn Scorer>> {
    let index = reader.inverted_index(term.field())?;
    let option = if bm25.is_some() { IndexRecordOption::WithFreqs } else { IndexRecordOption::Basic };
    let Some(postings) = index.read_postings(term, option)? else { return Ok(Box::new(EmptyScorer)) };
    match bm25 {
        None => Ok(Box::new(ConstScorer::new(postings, boost))),
        Some(bm25) => {
            let lengths = LengthColumn::open(reader, bm25.lengths.as_deref())?;
            Ok(Box::new(TermScorer::new(postings, Arc::clone(bm25), lengths, boost)))
        }
    }
}

/// Collects the documents of some terms.
struct Union {
    docs: BitSet,
    block: bool,
}

impl Union {
    fn new(reader: &SegmentReader) -> Self {
        Self { docs: BitSet::with_max_value(reader.max_doc()), block: false }
    }

    fn add(&mut self, mut postings: tantivy::postings::BlockSegmentPostings) {
        loop {
            let docs = postings.docs();
            if docs.is_empty() {
                return;
            }
            for doc in docs {
                self.docs.insert(*doc);
            }
            self.block = true;
            postings.advance();
        }
    }

    fn scorer(self, boost: Score) -> Box<dyn Scorer> {
        if self.block {
            Box::new(ConstScorer::new(BitSetDocSet::from(self.docs), boost))
        } else {
            Box::new(EmptyScorer)
        }
    }
}

fn set_scorer(reader: &SegmentReader, field: Field, terms: &[Term], boost: Score) -> Result<Box<dyn Scorer>> {
    let index = reader.inverted_index(field)?;
    let mut union = Union::new(reader);
    for term in terms {
        if let Some(postings) = index.read_block_postings(term, IndexRecordOption::Basic)? {
            union.add(postings);
        }
    }
    Ok(union.scorer(boost))
}

/// The first key after all keys that begin with the prefix.
pub(super) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Calls back with each term below a prefix, and what the dictionary says of it.
pub(super) fn for_terms(
    reader: &SegmentReader,
    field: Field,
    prefix: &[u8],
    skip: usize,
    mut found: impl FnMut(&str, &tantivy::postings::TermInfo) -> bool,
) -> Result<()> {
    let index = reader.inverted_index(field)?;
    let range = index.terms().range().ge(prefix);
    let range = match prefix_end(prefix) {
        Some(end) => range.lt(end),
        None => range,
    };
    let mut stream = range.into_stream()?;
    while let Some((key, info)) = stream.next() {
        let Some(text) = key.get(skip..).and_then(|bytes| std::str::from_utf8(bytes).ok()) else { continue };
        if !found(text, info) {
            break;
        }
    }
    Ok(())
}

fn pattern_scorer(
    reader: &SegmentReader,
    field: Field,
    prefix: &[u8],
    skip: usize,
    matcher: Option<&Matcher>,
    boost: Score,
) -> Result<Box<dyn Scorer>> {
    let index = reader.inverted_index(field)?;
    let mut union = Union::new(reader);
    let mut failed = None;
    for_terms(reader, field, prefix, skip, |text, info| {
        if matcher.is_none_or(|matcher| matcher(text)) {
            match index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic) {
                Ok(postings) => union.add(postings),
                Err(error) => failed = Some(error),
            }
        }
        failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(union.scorer(boost)),
    }
}

fn docs_scorer(docs: Vec<DocId>, boost: Score) -> Box<dyn Scorer> {
    if docs.is_empty() {
        Box::new(EmptyScorer)
    } else {
        Box::new(ConstScorer::new(SortedDocs { docs, at: 0 }, boost))
    }
}

/// The column of this name, whatever its type.
pub(crate) fn open_column(reader: &SegmentReader, name: &str) -> Result<Option<DynamicColumn>> {
    let handles = reader.fast_fields().dynamic_column_handles(name)?;
    match handles.into_iter().next() {
        Some(handle) => Ok(Some(handle.open()?)),
        None => Ok(None),
    }
}

fn in_range<T: PartialOrd + Copy + fmt::Debug + Send + Sync + 'static>(
    column: &Column<T>,
    bounds: Option<(T, T)>,
    max_doc: DocId,
) -> Vec<DocId> {
    let Some((low, high)) = bounds.filter(|(low, high)| low <= high) else { return Vec::new() };
    // The column takes a range below its least value for that value.
    if high < column.values.min_value() || low > column.values.max_value() {
        return Vec::new();
    }
    let mut docs = Vec::new();
    column.get_docids_for_value_range(low..=high, 0..max_doc, &mut docs);
    docs.sort_unstable();
    docs.dedup();
    docs
}

fn number_docs(reader: &SegmentReader, name: &str, range: &NumberRange) -> Result<Vec<DocId>> {
    let max_doc = reader.max_doc();
    Ok(match open_column(reader, name)? {
        Some(DynamicColumn::I64(column)) => in_range(&column, range.as_i64(), max_doc),
        Some(DynamicColumn::U64(column)) => in_range(&column, range.as_u64(), max_doc),
        Some(DynamicColumn::F64(column)) => in_range(&column, range.as_f64(), max_doc),
        _ => Vec::new(),
    })
}

fn keyword_docs(
    reader: &SegmentReader,
    name: &str,
    lower: Option<&(Vec<u8>, bool)>,
    upper: Option<&(Vec<u8>, bool)>,
) -> Result<Vec<DocId>> {
    use tantivy::columnar::TermOrdHit;
    let Some(DynamicColumn::Str(column)) = open_column(reader, name)? else { return Ok(Vec::new()) };
    let dictionary = column.dictionary();
    if dictionary.num_terms() == 0 {
        return Ok(Vec::new());
    }
    let low = match lower {
        None => 0,
        Some((text, included)) => match dictionary.term_ord_or_next(text)? {
            TermOrdHit::Exact(ord) => ord + u64::from(!included),
            TermOrdHit::Next(ord) => ord,
        },
    };
    let end = match upper {
        None => dictionary.num_terms() as u64,
        Some((text, included)) => match dictionary.term_ord_or_next(text)? {
            TermOrdHit::Exact(ord) => ord + u64::from(*included),
            TermOrdHit::Next(ord) => ord.min(dictionary.num_terms() as u64),
        },
    };
    let bounds = end.checked_sub(1).map(|high| (low, high));
    Ok(in_range(column.ords(), bounds, reader.max_doc()))
}

fn exists_scorer(reader: &SegmentReader, names: &[String], boost: Score) -> Result<Box<dyn Scorer>> {
    let max_doc = reader.max_doc();
    let mut docs = BitSet::with_max_value(max_doc);
    let mut any = false;
    for name in names {
        for handle in reader.fast_fields().dynamic_column_handles(name)? {
            match handle.open()?.column_index() {
                ColumnIndex::Empty { .. } => {}
                ColumnIndex::Full => return Ok(Box::new(ConstScorer::new(AllScorer::new(max_doc), boost))),
                index => {
                    for doc in (0..max_doc).filter(|doc| index.has_value(*doc)) {
                        docs.insert(doc);
                        any = true;
                    }
                }
            }
        }
    }
    Ok(if any { Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)) } else { Box::new(EmptyScorer) })
}

/// Document numbers in order.
struct SortedDocs {
    docs: Vec<DocId>,
    at: usize,
}

impl DocSet for SortedDocs {
    fn advance(&mut self) -> DocId {
        self.at = (self.at + 1).min(self.docs.len());
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        // Near targets are the common case.
        let near = (self.at + 8).min(self.docs.len());
        if self.docs.get(near).is_some_and(|doc| *doc < target) {
            self.at = near + self.docs[near..].partition_point(|doc| *doc < target);
        } else {
            while self.docs.get(self.at).is_some_and(|doc| *doc < target) {
                self.at += 1;
            }
        }
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.docs.get(self.at).copied().unwrap_or(TERMINATED)
    }

    fn size_hint(&self) -> u32 {
        self.docs.len() as u32
    }
}

/// `boosting`: what also matches the second query counts less.
#[derive(Debug)]
pub(super) struct Boosting {
    pub(super) positive: Box<dyn Query>,
    pub(super) negative: Box<dyn Query>,
    pub(super) factor: f32,
}

impl Clone for Boosting {
    fn clone(&self) -> Self {
        Self { positive: self.positive.box_clone(), negative: self.negative.box_clone(), factor: self.factor }
    }
}

impl Query for Boosting {
    fn weight(&self, scoring: EnableScoring<'_>) -> Result<Box<dyn Weight>> {
        let positive = self.positive.weight(scoring)?;
        if !scoring.is_scoring_enabled() {
            return Ok(positive);
        }
        let negative = self.negative.weight(scoring)?;
        Ok(Box::new(BoostingWeight { positive, negative, factor: self.factor }))
    }
}

struct BoostingWeight {
    positive: Box<dyn Weight>,
    negative: Box<dyn Weight>,
    factor: f32,
}

impl Weight for BoostingWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> Result<Box<dyn Scorer>> {
        let mut negative = self.negative.scorer(reader, 1.0)?;
        let mut demoted = BitSet::with_max_value(reader.max_doc());
        let mut doc = negative.doc();
        while doc != TERMINATED {
            demoted.insert(doc);
            doc = negative.advance();
        }
        let inner = self.positive.scorer(reader, boost)?;
        Ok(Box::new(BoostingScorer { inner, demoted, factor: self.factor }))
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> Result<Explanation> {
        Ok(Explanation::new("boosting", 1.0))
    }
}

struct BoostingScorer {
    inner: Box<dyn Scorer>,
    demoted: BitSet,
    factor: f32,
}

impl DocSet for BoostingScorer {
    fn advance(&mut self) -> DocId {
        self.inner.advance()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.inner.seek(target)
    }

    fn doc(&self) -> DocId {
        self.inner.doc()
    }

    fn size_hint(&self) -> u32 {
        self.inner.size_hint()
    }
}

impl Scorer for BoostingScorer {
    fn score(&mut self) -> Score {
        let doc = self.inner.doc();
        let score = self.inner.score();
        if self.demoted.contains(doc) { score * self.factor } else { score }
    }
}
