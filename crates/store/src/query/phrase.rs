//! Phrases: terms that stand together, in order, with some slack if wanted.

use std::sync::Arc;

use tantivy::postings::{Postings, SegmentPostings};
use tantivy::query::{EmptyScorer, Scorer};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED, Term};

use super::leaf::for_terms;
use super::score::{Bm25, LengthColumn};

/// What stands at one place of a phrase.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// One of these terms.
    Terms(Vec<Term>),
    /// Any term that begins so; the second number is where its text begins.
    Prefix { bytes: Vec<u8>, skip: usize, most: usize },
}

/// A phrase in a text field.
#[derive(Debug, Clone)]
pub(super) struct Phrase {
    pub(super) field: Field,
    /// Each with its distance from the phrase's beginning.
    pub(super) slots: Vec<(Slot, u32)>,
    pub(super) slop: u32,
    pub(super) bm25: Option<Arc<Bm25>>,
}

impl Phrase {
    pub(super) fn scorer(
        &self,
        reader: &SegmentReader,
        boost: Score,
        scored: bool,
    ) -> tantivy::Result<Box<dyn Scorer>> {
        let index = reader.inverted_index(self.field)?;
        let option = IndexRecordOption::WithFreqsAndPositions;
        let mut lists = Vec::with_capacity(self.slots.len());
        for (slot, offset) in &self.slots {
            let mut postings = Vec::new();
            match slot {
                Slot::Terms(terms) => {
                    for term in terms {
                        postings.extend(index.read_postings(term, option)?);
                    }
                }
                Slot::Prefix { bytes, skip, most } => {
                    let mut found = Vec::new();
                    for_terms(reader, self.field, bytes, *skip, |_, info| {
                        found.push(info.clone());
                        found.len() < *most
                    })?;
                    for info in &found {
                        postings.push(index.read_postings_from_terminfo(info, option)?);
                    }
                }
            }
            if postings.is_empty() {
                return Ok(Box::new(EmptyScorer));
            }
            lists.push(Place { postings, offset: *offset, positions: Vec::new() });
        }
        let bm25 = self.bm25.clone().filter(|_| scored);
        let lengths = LengthColumn::open(reader, bm25.as_ref().and_then(|bm25| bm25.lengths.as_deref()))?;
        let mut scorer = PhraseScorer {
            places: lists,
            slop: self.slop,
            doc: 0,
            frequency: 0.0,
            bm25,
            lengths,
            boost,
            scratch: Vec::new(),
        };
        scorer.find(0);
        Ok(Box::new(scorer))
    }
}

/// The postings of one place, and the positions in the present document less the place's offset.
struct Place {
    postings: Vec<SegmentPostings>,
    offset: u32,
    positions: Vec<i64>,
}

impl Place {
    fn seek(&mut self, target: DocId) -> DocId {
        let docs = self.postings.iter_mut().map(|p| if p.doc() < target { p.seek(target) } else { p.doc() });
        docs.min().unwrap_or(TERMINATED)
    }

    fn load(&mut self, doc: DocId, scratch: &mut Vec<u32>) {
        self.positions.clear();
        for postings in self.postings.iter_mut().filter(|postings| postings.doc() == doc) {
            scratch.clear();
            postings.append_positions_with_offset(0, scratch);
            self.positions.extend(scratch.iter().map(|at| i64::from(*at) - i64::from(self.offset)));
        }
        if self.postings.len() > 1 {
            self.positions.sort_unstable();
            self.positions.dedup();
        }
    }

    fn size(&self) -> u32 {
        self.postings.iter().map(DocSet::size_hint).fold(0, u32::saturating_add)
    }
}

struct PhraseScorer {
    places: Vec<Place>,
    slop: u32,
    doc: DocId,
    frequency: f32,
    bm25: Option<Arc<Bm25>>,
    lengths: LengthColumn,
    boost: Score,
    scratch: Vec<u32>,
}

impl PhraseScorer {
    /// Goes to the first document from `target` on that has the phrase.
    fn find(&mut self, target: DocId) -> DocId {
        let mut target = target;
        'documents: loop {
            if target >= TERMINATED {
                self.doc = TERMINATED;
                return self.doc;
            }
            for place in &mut self.places {
                let doc = place.seek(target);
                if doc > target {
                    target = doc;
                    continue 'documents;
                }
            }
            for place in &mut self.places {
                place.load(target, &mut self.scratch);
            }
            self.frequency = self.occurrences();
            if self.frequency > 0.0 {
                self.doc = target;
                return self.doc;
            }
            target += 1;
        }
    }

    /// How often the phrase occurs, occurrences with gaps counting less.
    fn occurrences(&self) -> f32 {
        let Some((first, others)) = self.places.split_first() else { return 0.0 };
        if self.slop == 0 {
            let everywhere = |at: &&i64| others.iter().all(|place| place.positions.binary_search(at).is_ok());
            return first.positions.iter().filter(everywhere).count() as f32;
        }
        sloppy_frequency(
            &self.places.iter().map(|place| place.positions.as_slice()).collect::<Vec<_>>(),
            self.slop,
        )
    }
}

/// Slides over all places at once, always moving the one furthest behind; the spread of the positions is the distance.
fn sloppy_frequency(places: &[&[i64]], slop: u32) -> f32 {
    let mut cursors = vec![0usize; places.len()];
    let mut frequency = 0.0;
    let mut best: Option<i64> = None;
    loop {
        let mut present = Vec::with_capacity(places.len());
        for (place, cursor) in places.iter().zip(&cursors) {
            let Some(at) = place.get(*cursor) else {
                if let Some(distance) = best {
                    frequency += 1.0 / (1.0 + distance as f32);
                }
                return frequency;
            };
            present.push(*at);
        }
        let (Some(low), Some(high)) = (present.iter().min(), present.iter().max()) else { return frequency };
        let distance = high - low;
        if distance <= i64::from(slop) {
            match best {
                Some(known) if known <= distance => {
                    frequency += 1.0 / (1.0 + known as f32);
                    best = None;
                }
                _ => best = Some(distance),
            }
        } else if let Some(known) = best.take() {
            frequency += 1.0 / (1.0 + known as f32);
        }
        let Some(behind) = present.iter().position(|at| at == low) else { return frequency };
        cursors[behind] += 1;
    }
}

impl DocSet for PhraseScorer {
    fn advance(&mut self) -> DocId {
        if self.doc >= TERMINATED { TERMINATED } else { self.find(self.doc + 1) }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target { self.doc } else { self.find(target) }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.places.iter().map(Place::size).min().unwrap_or(0)
    }

    fn cost(&self) -> u64 {
        u64::from(self.size_hint()) * 10
    }
}

impl Scorer for PhraseScorer {
    fn score(&mut self) -> Score {
        match &self.bm25 {
            None => self.boost,
            Some(bm25) => bm25.score(self.frequency, self.lengths.get(self.doc), self.boost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_count_less_and_not_beyond_the_slop() {
        // "quick fox" in "the quick brown fox": quick at 1, fox at 3 less its offset 1.
        assert_eq!(sloppy_frequency(&[&[1], &[2]], 1), 0.5);
        assert_eq!(sloppy_frequency(&[&[1], &[3]], 1), 0.0);
        assert_eq!(sloppy_frequency(&[&[1, 10], &[1, 10]], 2), 2.0);
    }
}
