//! Running a compiled query over a view: counting, keeping the best, handing documents to aggregations.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;
use tantivy::query::{AllScorer, EnableScoring, Query as TantivyQuery, Scorer, Weight};
use tantivy::{BitSet, DocId, DocSet, SegmentReader, TERMINATED};

use super::sort::{Plan, SortValue};
use super::sort_code::SegmentKey;
use crate::error::Result;
use crate::indexing::{View, search_error};

/// A document that may become a hit.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(super) keys: Vec<SortValue>,
    pub(super) score: f32,
    /// Which index, segment and document.
    pub(crate) index: usize,
    pub(crate) segment: usize,
    pub(super) doc: DocId,
    /// Place over all indices.
    pub(super) place: u64,
}

/// One index's part of a search.
pub(super) struct Job<'a> {
    pub(super) view: &'a View,
    pub(super) index: usize,
    /// The place of its first document.
    pub(super) base: u64,
    pub(super) query: &'a dyn TantivyQuery,
    /// The query matches everything, with the score 1.
    pub(super) all: bool,
    pub(super) scored: bool,
    pub(super) filter: Option<&'a dyn TantivyQuery>,
    pub(super) plans: &'a [Plan],
    pub(super) after: Option<&'a [Value]>,
    pub(super) want: usize,
    pub(super) min_score: Option<f32>,
    /// Count until this many; `None` counts nothing.
    pub(super) count_to: Option<u64>,
    /// Look at no more than this many documents.
    pub(super) limit: Option<u64>,
    /// Whether aggregations want the documents.
    pub(super) keep_docs: bool,
    /// Whether they want the scores too.
    pub(super) keep_scores: bool,
}

/// What a job found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) count: u64,
    pub(super) max_score: Option<f32>,
    /// Whether there was more than the limit.
    pub(super) cut: bool,
    /// Documents by segment, for aggregations.
    pub(super) docs: Vec<Vec<DocId>>,
    /// Their scores, when wanted.
    pub(super) scores: Vec<Vec<f32>>,
}

/// A candidate within a segment; the greatest is the worst.
#[derive(PartialEq, Eq)]
struct Ranked {
    codes: Vec<u64>,
    doc: DocId,
    score: u32,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.codes.cmp(&other.codes).then(self.doc.cmp(&other.doc))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The documents of a query in a segment, as bits.
pub(crate) fn matching(weight: &dyn Weight, segment: &SegmentReader) -> Result<BitSet> {
    let mut bits = BitSet::with_max_value(segment.max_doc());
    let mut scorer = weight.scorer(segment, 1.0).map_err(|error| search_error(&error))?;
    let mut doc = scorer.doc();
    while doc != TERMINATED {
        bits.insert(doc);
        doc = scorer.advance();
    }
    Ok(bits)
}

/// Sorts candidates of any index.
pub(crate) fn order(plans: &[Plan], candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let keys = plans.iter().zip(a.keys.iter().zip(&b.keys));
        let by_keys = keys.map(|(plan, (a, b))| plan.compare(a, b)).find(|order| order.is_ne());
        by_keys.unwrap_or_else(|| a.place.cmp(&b.place))
    });
}

/// The best of some documents of a segment whose first document has this place. Index and segment are left to the caller.
pub(crate) fn best(
    plans: &[Plan],
    segment: &SegmentReader,
    base: u64,
    docs: &[(DocId, f32)],
    want: usize,
) -> Result<Vec<Candidate>> {
    let keys = plans.iter().map(|plan| plan.open(segment, base)).collect::<Result<Vec<_>>>()?;
    let ranked = docs.iter().map(|(doc, score)| {
        let codes = keys.iter().map(|key| key.code(*doc, *score)).collect();
        Ranked { codes, doc: *doc, score: score.to_bits() }
    });
    let mut ranked: Vec<Ranked> = ranked.collect();
    ranked.sort();
    ranked.truncate(want);
    let candidate = |ranked: Ranked| {
        let decode = |((plan, key), code): ((&Plan, &SegmentKey), &u64)| plan.decode(key, *code);
        let keys = plans.iter().zip(&keys).zip(&ranked.codes).map(decode).collect::<Result<Vec<_>>>()?;
        let (score, place) = (f32::from_bits(ranked.score), base + u64::from(ranked.doc));
        Ok(Candidate { keys, score, index: 0, segment: 0, doc: ranked.doc, place })
    };
    ranked.into_iter().map(candidate).collect()
}

/// Weighs a query for a view.
pub(crate) fn weigh(query: &dyn TantivyQuery, view: &View, scored: bool) -> Result<Box<dyn Weight>> {
    let scoring = if scored {
        EnableScoring::enabled_from_searcher(&view.searcher)
    } else {
        EnableScoring::disabled_from_searcher(&view.searcher)
    };
    query.weight(scoring).map_err(|error| search_error(&error))
}

impl<'a> Job<'a> {
    /// All documents of a query, without counting or sorting.
    pub(super) fn documents(view: &'a View, query: &'a dyn TantivyQuery) -> Self {
        Self {
            view,
            index: 0,
            base: 0,
            query,
            all: false,
            scored: false,
            filter: None,
            plans: &[],
            after: None,
            want: 0,
            min_score: None,
            count_to: None,
            limit: None,
            keep_docs: true,
            keep_scores: false,
        }
    }

    /// Whether documents come in order and nothing is lost by stopping early.
    fn in_order(&self) -> bool {
        self.min_score.is_none()
            && (self.plans.first().is_some_and(Plan::is_place)
                || (self.all && self.plans.len() == 1 && self.plans[0].needs_score() && self.after.is_none()))
    }

    pub(super) fn run(&self) -> Result<Found> {
        let mut found = Found::default();
        let weight = if self.all { None } else { Some(weigh(self.query, self.view, self.scored)?) };
        let filter = self.filter.map(|filter| weigh(filter, self.view, false)).transpose()?;
        let known =
            (self.all && filter.is_none() && self.min_score.is_none()).then(|| self.view.searcher.num_docs());
        let mut base = self.base;
        for (at, segment) in self.view.searcher.segment_readers().iter().enumerate() {
            let mut run = SegmentRun {
                job: self,
                segment,
                at,
                base,
                in_order: self.in_order(),
                known: known.is_some(),
            };
            run.run(weight.as_deref(), filter.as_deref(), &mut found)?;
            base += u64::from(segment.max_doc());
        }
        if let Some(count) = known {
            found.count = count;
        }
        Ok(found)
    }
}

struct SegmentRun<'a> {
    job: &'a Job<'a>,
    segment: &'a SegmentReader,
    at: usize,
    base: u64,
    in_order: bool,
    /// The count is known already.
    known: bool,
}

impl SegmentRun<'_> {
    /// Whether the rest of the documents makes no difference.
    fn done(&self, kept: usize, found: &Found) -> bool {
        let job = self.job;
        if found.cut || job.limit.is_some() && (job.want > 0 || job.keep_docs) {
            return found.cut;
        }
        let counted = self.known || job.count_to.is_none_or(|limit| found.count > limit);
        let filled = job.want == 0 || (self.in_order && found.candidates.len() + kept >= job.want);
        counted && filled && !job.keep_docs
    }

    fn run(
        &mut self,
        weight: Option<&dyn Weight>,
        filter: Option<&dyn Weight>,
        found: &mut Found,
    ) -> Result<()> {
        let job = self.job;
        if self.done(0, found) {
            return Ok(());
        }
        let filter = filter.map(|filter| matching(filter, self.segment)).transpose()?;
        let keys =
            job.plans.iter().map(|plan| plan.open(self.segment, self.base)).collect::<Result<Vec<_>>>()?;
        let after = match job.after {
            None => None,
            Some(values) => Some(
                job.plans
                    .iter()
                    .zip(&keys)
                    .zip(values)
                    .map(|((plan, key), value)| plan.after(key, value))
                    .collect::<Result<Vec<u64>>>()?,
            ),
        };
        let mut scorer: Box<dyn Scorer> = match weight {
            Some(weight) => weight.scorer(self.segment, 1.0).map_err(|error| search_error(&error))?,
            None => Box::new(AllScorer::new(self.segment.max_doc())),
        };
        self.skip_to(&mut *scorer, after.as_deref());
        let alive = self.segment.alive_bitset();
        let mut heap: BinaryHeap<Ranked> = BinaryHeap::new();
        let mut codes = Vec::with_capacity(keys.len());
        let (mut docs, mut scores) = (Vec::new(), Vec::new());
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            let live = alive.is_none_or(|alive| alive.is_alive(doc))
                && filter.as_ref().is_none_or(|f| f.contains(doc));
            if live {
                let score = if job.scored { scorer.score() } else { 1.0 };
                if job.min_score.is_none_or(|least| score >= least) {
                    if job.limit.is_some_and(|limit| found.count >= limit) {
                        found.cut = true;
                        break;
                    }
                    found.count += 1;
                    if job.scored && found.max_score.is_none_or(|max| score > max) {
                        found.max_score = Some(score);
                    }
                    if job.keep_docs {
                        docs.push(doc);
                    }
                    if job.keep_scores {
                        scores.push(score);
                    }
                    if job.want > 0 {
                        self.offer(&keys, after.as_deref(), doc, score, &mut codes, &mut heap);
                    }
                }
                if self.done(heap.len(), found) {
                    break;
                }
            }
            doc = scorer.advance();
        }
        self.keep(&keys, heap, found)?;
        if job.keep_docs {
            found.docs.resize(self.at, Vec::new());
            found.docs.push(docs);
        }
        if job.keep_scores {
            found.scores.resize(self.at, Vec::new());
            found.scores.push(scores);
        }
        Ok(())
    }

    /// With documents in order and no need to count, goes straight to where the last page ended.
    fn skip_to(&self, scorer: &mut dyn Scorer, after: Option<&[u64]>) {
        let counting = !self.known && self.job.count_to.is_some();
        if counting || self.job.keep_docs || !self.job.plans.first().is_some_and(Plan::is_place) {
            return;
        }
        let Some(place) = after.and_then(|codes| codes.first()) else { return };
        let start = place.saturating_add(1).saturating_sub(self.base).min(u64::from(TERMINATED));
        let start = start as DocId;
        if scorer.doc() < start {
            scorer.seek(start);
        }
    }

    fn offer(
        &self,
        keys: &[SegmentKey],
        after: Option<&[u64]>,
        doc: DocId,
        score: f32,
        codes: &mut Vec<u64>,
        heap: &mut BinaryHeap<Ranked>,
    ) {
        codes.clear();
        codes.extend(keys.iter().map(|key| key.code(doc, score)));
        if let Some(after) = after
            && codes[..after.len()] <= *after
        {
            return;
        }
        if heap.len() >= self.job.want {
            // Equal codes come in the order of documents, and this one comes later.
            if heap.peek().is_some_and(|worst| *codes >= worst.codes) {
                return;
            }
            heap.pop();
        }
        heap.push(Ranked { codes: codes.clone(), doc, score: score.to_bits() });
    }

    fn keep(&self, keys: &[SegmentKey], heap: BinaryHeap<Ranked>, found: &mut Found) -> Result<()> {
        for ranked in heap.into_sorted_vec() {
            let decode = |((plan, key), code): ((&Plan, &SegmentKey), &u64)| plan.decode(key, *code);
            let values =
                self.job.plans.iter().zip(keys).zip(&ranked.codes).map(decode).collect::<Result<Vec<_>>>()?;
            found.candidates.push(Candidate {
                keys: values,
                score: f32::from_bits(ranked.score),
                index: self.job.index,
                segment: self.at,
                doc: ranked.doc,
                place: self.base + u64::from(ranked.doc),
            });
        }
        Ok(())
    }
}
