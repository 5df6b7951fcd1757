//! What aggregations know of the index they run on, and of what all indices had in common when they end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tantivy::{BitSet, DocId, SegmentReader};

use super::field::{Field, Key, Opened};
use super::request::{AggRequest, Histogram, Interval, Kind, Metric, Ranges};
use super::show::Show;
use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::View;
use crate::mapping::{FieldType, Mapping};
use crate::query::{Compiler, Query};
use crate::search::{Candidate, Hit, Plan, SearchRequest, matching, weigh};

/// Buckets one search may return.
pub(crate) const MAX_BUCKETS: usize = 65_536;

/// What is known of an aggregation from the indices seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Learned {
    pub(super) show: Show,
    /// Which values its terms are.
    values: ValueKind,
    /// Some index has the field.
    mapped: bool,
    /// Texts are internet addresses.
    pub(super) addresses: bool,
    /// The ends of its ranges, infinite when open.
    pub(super) ranges: Vec<(f64, f64)>,
    /// `extended_bounds` and `hard_bounds`.
    pub(super) extended: (Option<f64>, Option<f64>),
    pub(super) hard: (Option<f64>, Option<f64>),
}

/// The kinds of values that Elasticsearch tells apart by the type of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ValueKind {
    #[default]
    Unmapped,
    Text,
    Whole,
    Fraction,
}

/// What was learned, by the aggregation's number.
#[derive(Debug, Default)]
pub(super) struct Lessons(HashMap<usize, Learned>);

impl Lessons {
    pub(super) fn of(&self, request: &AggRequest) -> Learned {
        self.0.get(&request.id).cloned().unwrap_or_default()
    }
}

/// What a search found in one index, for aggregations.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// For the queries inside aggregations.
    pub(crate) compiler: &'a Compiler<'a>,
    pub(crate) view: &'a View,
    pub(crate) mapping: &'a Mapping,
    /// The index's name, and which of the search's indices it is.
    pub(crate) index: &'a str,
    pub(crate) at: usize,
    /// The place of its first document.
    pub(crate) base: u64,
    /// The documents, by segment, and their scores when [`super::needs_scores`].
    pub(crate) docs: &'a [Vec<DocId>],
    pub(crate) scores: &'a [Vec<f32>],
    /// Every document that the search may see, when [`super::needs_all`].
    pub(crate) all: &'a [Vec<DocId>],
}

/// One index while aggregations run on it.
pub(super) struct Cx<'a> {
    pub(super) input: Input<'a>,
    pub(super) now_ms: i64,
    plans: HashMap<usize, Rc<Vec<Plan>>>,
    fields: HashMap<String, Rc<Field>>,
    learned: HashMap<usize, Rc<Learned>>,
    columns: RefCell<HashMap<(String, usize), Rc<Opened>>>,
    filters: RefCell<HashMap<(usize, usize), Rc<BitSet>>>,
}

impl<'a> Cx<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self {
            input,
            now_ms: input.compiler.now_ms,
            plans: HashMap::new(),
            fields: HashMap::new(),
            learned: HashMap::new(),
            columns: RefCell::default(),
            filters: RefCell::default(),
        }
    }

    /// Finds the fields of all aggregations and refuses what does not fit them.
    pub(super) fn learn(&mut self, requests: &[AggRequest], lessons: &mut Lessons) -> Result<()> {
        for request in requests {
            if let Some(values) = request.kind.values() {
                let field = Field::find(&values.field, self.input.mapping, self.input.index)?;
                field.check(&values.field, &request.kind)?;
                let learned = Learned {
                    show: field.show(&request.kind)?,
                    values: field.value_kind(),
                    mapped: field.is_mapped(),
                    addresses: field.ty == Some(FieldType::Ip),
                    ..Learned::default()
                };
                let learned = self.details(request, &field, learned)?;
                let known = lessons.0.get(&request.id).is_some_and(|known| known.mapped);
                if !known {
                    lessons.0.insert(request.id, learned.clone());
                }
                self.learned.insert(request.id, Rc::new(learned));
                self.fields.insert(values.field.clone(), Rc::new(field));
            }
            if let Kind::TopHits(spec) = &request.kind {
                let plans = crate::search::plans(&spec.search.sort, self.input.mapping, self.input.index)?;
                self.plans.insert(request.id, Rc::new(plans));
            }
            if let Kind::Composite(composite) = &request.kind {
                check_size(composite.size)?;
                super::composite::check(composite)?;
            }
            super::composite::check_place(request)?;
            for source in request.kind.sources() {
                self.learn(std::slice::from_ref(&source.request), lessons)?;
            }
            self.learn(&request.subs, lessons)?;
        }
        Ok(())
    }

    fn details(&self, request: &AggRequest, field: &Field, mut learned: Learned) -> Result<Learned> {
        match &request.kind {
            Kind::Range(ranges) => learned.ranges = self.ends(ranges, field, &learned.show)?,
            Kind::Histogram(histogram) => self.histogram(histogram, field, &mut learned)?,
            Kind::Terms(terms) => super::terms::check(request, terms, field)?,
            _ => {}
        }
        Ok(learned)
    }

    fn ends(&self, ranges: &Ranges, field: &Field, show: &Show) -> Result<Vec<(f64, f64)>> {
        let number = |value: &Option<serde_json::Value>, open: f64| match value {
            None => Ok(open),
            Some(value) => field.number(value, show, self.now_ms),
        };
        let ends = |range: &super::request::RangeRequest| {
            Ok((number(&range.from, f64::NEG_INFINITY)?, number(&range.to, f64::INFINITY)?))
        };
        ranges.ranges.iter().map(ends).collect()
    }

    fn histogram(&self, histogram: &Histogram, field: &Field, learned: &mut Learned) -> Result<()> {
        if histogram.interval == Interval::None {
            return Err(StoreError::illegal("Invalid interval specified, must be non-null and non-empty"));
        }
        for (bounds, known) in
            [(&histogram.extended, &mut learned.extended), (&histogram.hard, &mut learned.hard)]
        {
            let Some(bounds) = bounds else { continue };
            let number = |value: &Option<serde_json::Value>| {
                value.as_ref().map(|value| field.number(value, &learned.show, self.now_ms)).transpose()
            };
            *known = (number(&bounds.min)?, number(&bounds.max)?);
            if let (Some(min), Some(max)) = *known
                && min > max
            {
                let text = |value| learned.show.key(value);
                let reason = format!(
                    "[extended_bounds.min][{}] cannot be greater than [extended_bounds.max][{}]",
                    text(min),
                    text(max)
                );
                return Err(StoreError::illegal(reason));
            }
        }
        Ok(())
    }

    pub(super) fn learned(&self, request: &AggRequest) -> Rc<Learned> {
        self.learned.get(&request.id).map_or_else(Rc::default, Rc::clone)
    }

    pub(super) fn field(&self, name: &str) -> Option<&Rc<Field>> {
        self.fields.get(name)
    }

    /// The order of an aggregation's hits.
    pub(super) fn plans(&self, request: &AggRequest) -> Rc<Vec<Plan>> {
        self.plans.get(&request.id).map_or_else(Rc::default, Rc::clone)
    }

    /// The segment and the place of its first document.
    pub(super) fn segment(&self, segment: usize) -> (&SegmentReader, u64) {
        let readers = self.input.view.searcher.segment_readers();
        let before: u64 = readers.iter().take(segment).map(|reader| u64::from(reader.max_doc())).sum();
        (&readers[segment], self.input.base + before)
    }

    /// The score of a document.
    pub(super) fn score(&self, segment: usize, doc: DocId) -> f32 {
        let at = self.input.docs.get(segment).and_then(|docs| docs.binary_search(&doc).ok());
        at.and_then(|at| self.input.scores.get(segment)?.get(at).copied()).unwrap_or(1.0)
    }

    /// A field's values in a segment.
    pub(super) fn open(&self, name: &str, segment: usize) -> Result<Rc<Opened>> {
        let key = (name.to_owned(), segment);
        if let Some(opened) = self.columns.borrow().get(&key) {
            return Ok(Rc::clone(opened));
        }
        let lost = || {
            StoreError::new(
                ErrorKind::Internal,
                format!("the field [{name}] of an aggregation was not looked up"),
            )
        };
        let field = self.fields.get(name).ok_or_else(lost)?;
        let opened = Rc::new(field.open(self.segment(segment).0)?);
        self.columns.borrow_mut().insert(key, Rc::clone(&opened));
        Ok(opened)
    }

    /// The key that documents without a value have.
    pub(super) fn missing_key(&self, request: &AggRequest) -> Result<Option<Key>> {
        let Some(values) = request.kind.values() else { return Ok(None) };
        let (Some(value), Some(field)) = (&values.missing, self.field(&values.field)) else {
            return Ok(None);
        };
        field.key(value, &self.learned(request).show, self.now_ms).map(Some)
    }

    /// The number that documents without a value have.
    pub(super) fn missing_number(&self, request: &AggRequest) -> Result<Option<f64>> {
        let Some(values) = request.kind.values() else { return Ok(None) };
        let (Some(value), Some(field)) = (&values.missing, self.field(&values.field)) else {
            return Ok(None);
        };
        field.number(value, &self.learned(request).show, self.now_ms).map(Some)
    }

    /// The documents of a query in a segment.
    pub(super) fn filter(&self, query: &Query, segment: usize) -> Result<Rc<BitSet>> {
        // Requests stay where they are while the search runs.
        let key = (std::ptr::from_ref(query) as usize, segment);
        if let Some(bits) = self.filters.borrow().get(&key) {
            return Ok(Rc::clone(bits));
        }
        let compiled = self.input.compiler.compile(&query.0)?;
        let weight = weigh(&*compiled, self.input.view, false)?;
        let bits = Rc::new(matching(&*weight, self.segment(segment).0)?);
        self.filters.borrow_mut().insert(key, Rc::clone(&bits));
        Ok(bits)
    }
}

/// Refuses pages of more buckets than a search may return.
fn check_size(size: usize) -> Result<()> {
    if size <= MAX_BUCKETS {
        return Ok(());
    }
    let reason = format!(
        "Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but was [{size}]. This limit can be \
         set by changing the [search.max_buckets] cluster level setting."
    );
    Err(StoreError::new(ErrorKind::TooManyBuckets, reason))
}

/// Turns what `top_hits` chose into hits; the plans are those of the search's indices, in their order.
pub(crate) type Fetch<'l> = dyn Fn(&SearchRequest, Vec<Candidate>, &[Rc<Vec<Plan>>]) -> Result<Vec<Hit>> + 'l;

/// What the answer is made with.
pub(super) struct End<'l> {
    lessons: &'l Lessons,
    pub(super) fetch: &'l Fetch<'l>,
    buckets: usize,
    typed: bool,
}

impl<'l> End<'l> {
    /// `typed`: names of answers begin with their type.
    pub(super) fn new(lessons: &'l Lessons, fetch: &'l Fetch<'l>, typed: bool) -> Self {
        Self { lessons, fetch, buckets: 0, typed }
    }

    /// The name under which an aggregation is answered.
    pub(super) fn name(&self, request: &AggRequest) -> String {
        if !self.typed {
            return request.name.clone();
        }
        let kind = match (&request.kind, self.learned(request).values) {
            (Kind::Terms(_), ValueKind::Unmapped | ValueKind::Text) => "sterms",
            (Kind::Terms(_), ValueKind::Whole) => "lterms",
            (Kind::Terms(_), ValueKind::Fraction) => "dterms",
            (Kind::Metric(Metric::Percentiles { .. }, _), _) => "tdigest_percentiles",
            (Kind::Metric(Metric::PercentileRanks { .. }, _), _) => "tdigest_percentile_ranks",
            (kind, _) => kind.name(),
        };
        format!("{kind}#{}", request.name)
    }

    pub(super) fn learned(&self, request: &AggRequest) -> Learned {
        self.lessons.of(request)
    }

    /// Counts buckets of the answer.
    ///
    /// # Errors
    /// `too_many_buckets_exception`.
    pub(super) fn add_buckets(&mut self, count: usize) -> Result<()> {
        self.buckets = self.buckets.saturating_add(count);
        if self.buckets > MAX_BUCKETS {
            let reason = format!(
                "Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}] but this number of buckets was \
                 exceeded. This limit can be set by changing the [search.max_buckets] cluster level setting."
            );
            return Err(StoreError::new(ErrorKind::TooManyBuckets, reason));
        }
        Ok(())
    }
}
