//! What all aggregations do: take in documents segment by segment, index by index, and answer at the end.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tantivy::DocId;

use super::cx::{Cx, End};
use super::request::{AggRequest, BucketOrder, Kind, OrderBy};
use super::{composite, filters, histogram, metric, range, terms, top_hits};
use crate::error::Result;

pub(super) type Object = Map<String, Value>;

/// An aggregation that is being computed.
pub(super) trait Acc<'r> {
    /// Takes in documents of a segment, in order, none twice.
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()>;

    /// The answer.
    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object>;

    /// One of its numbers, to order buckets by.
    fn number(&self, _value: Option<&str>) -> Option<f64> {
        None
    }

    /// What is inside its only bucket.
    fn bucket(&self) -> Option<&Bucket<'r>> {
        None
    }
}

fn start(request: &AggRequest) -> Box<dyn Acc<'_> + '_> {
    match &request.kind {
        Kind::Terms(spec) => Box::new(terms::TermsAcc::new(request, spec)),
        Kind::Histogram(spec) => Box::new(histogram::HistogramAcc::new(request, spec)),
        Kind::Range(spec) => Box::new(range::RangeAcc::new(request, spec)),
        Kind::Composite(spec) => Box::new(composite::CompositeAcc::new(request, spec)),
        Kind::Filters(spec) => Box::new(filters::FiltersAcc::new(request, spec)),
        Kind::Filter(_) | Kind::Missing(_) | Kind::Global => Box::new(filters::SingleAcc::new(request)),
        Kind::Metric(metric, values) => metric::start(request, metric, values),
        Kind::TopHits(spec) => Box::new(top_hits::TopHitsAcc::new(request, spec)),
    }
}

/// The aggregations of one level, for one bucket.
pub(super) struct Level<'r> {
    requests: &'r [AggRequest],
    accs: Vec<Box<dyn Acc<'r> + 'r>>,
}

impl<'r> Level<'r> {
    pub(super) fn new(requests: &'r [AggRequest]) -> Self {
        Self { requests, accs: requests.iter().map(start).collect() }
    }

    pub(super) fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        self.accs.iter_mut().try_for_each(|acc| acc.collect(cx, segment, docs))
    }

    pub(super) fn finish(self, end: &mut End<'_>, out: &mut Object) -> Result<()> {
        for (request, acc) in self.requests.iter().zip(self.accs) {
            let mut answer = Object::new();
            if let Some(meta) = &request.meta {
                answer.insert("meta".into(), meta.clone());
            }
            answer.extend(acc.finish(end)?);
            out.insert(end.name(request), Value::Object(answer));
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&dyn Acc<'r>> {
        let at = self.requests.iter().position(|request| request.name == name)?;
        self.accs.get(at).map(|acc| &**acc)
    }
}

/// Documents that belong together.
pub(super) struct Bucket<'r> {
    pub(super) count: u64,
    level: Level<'r>,
}

impl<'r> Bucket<'r> {
    pub(super) fn new(request: &'r AggRequest) -> Self {
        Self { count: 0, level: Level::new(&request.subs) }
    }

    pub(super) fn add(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        self.count += docs.len() as u64;
        self.level.collect(cx, segment, docs)
    }

    pub(super) fn add_group(&mut self, cx: &Cx<'_>, segment: usize, group: &Group) -> Result<()> {
        self.count += group.count;
        if self.level.accs.is_empty() { Ok(()) } else { self.level.collect(cx, segment, &group.docs) }
    }

    /// Writes `doc_count` and what is inside.
    pub(super) fn finish(self, end: &mut End<'_>, out: &mut Object) -> Result<()> {
        out.insert("doc_count".into(), json!(self.count));
        self.level.finish(end, out)
    }

    /// The number that an order's path leads to.
    fn number(&self, names: &[String], value: Option<&str>) -> Option<f64> {
        let (first, rest) = names.split_first()?;
        let acc = self.level.find(first)?;
        if !rest.is_empty() {
            return acc.bucket()?.number(rest, value);
        }
        match acc.bucket() {
            Some(bucket) => Some(bucket.count as f64),
            None => acc.number(value),
        }
    }
}

/// The documents of a segment that have one value.
#[derive(Default)]
pub(super) struct Group {
    count: u64,
    last: Option<DocId>,
    docs: Vec<DocId>,
}

/// A segment's documents by value.
pub(super) struct Groups<K> {
    map: HashMap<K, Group>,
    /// Whether the documents themselves are needed.
    keep: bool,
}

impl<K: std::hash::Hash + Eq> Groups<K> {
    pub(super) fn new(request: &AggRequest) -> Self {
        Self { map: HashMap::new(), keep: !request.subs.is_empty() }
    }

    /// Adds a document, once for each value.
    pub(super) fn add(&mut self, value: K, doc: DocId) {
        let group = self.map.entry(value).or_default();
        if group.last == Some(doc) {
            return;
        }
        group.last = Some(doc);
        group.count += 1;
        if self.keep {
            group.docs.push(doc);
        }
    }

    pub(super) fn into_map(self) -> HashMap<K, Group> {
        self.map
    }
}

/// A bucket with what it is sorted by.
pub(super) struct Sortable<'r, K> {
    pub(super) key: K,
    pub(super) bucket: Bucket<'r>,
    numbers: Vec<f64>,
}

/// Sorts buckets; equal ones by key.
pub(super) fn sort_buckets<'r, K>(
    buckets: impl IntoIterator<Item = (K, Bucket<'r>)>,
    order: &[BucketOrder],
    by_key: impl Fn(&K, &K) -> std::cmp::Ordering,
) -> Vec<Sortable<'r, K>> {
    let number = |bucket: &Bucket<'r>, order: &BucketOrder| match &order.by {
        OrderBy::Path { names, value } => bucket.number(names, value.as_deref()).unwrap_or(f64::NAN),
        OrderBy::Count | OrderBy::Key => 0.0,
    };
    let prepare = |(key, bucket)| {
        let numbers = order.iter().map(|order| number(&bucket, order)).collect();
        Sortable { key, bucket, numbers }
    };
    let mut list: Vec<Sortable<'r, K>> = buckets.into_iter().map(prepare).collect();
    list.sort_by(|a, b| {
        for (at, part) in order.iter().enumerate() {
            let ordering = match &part.by {
                OrderBy::Count => a.bucket.count.cmp(&b.bucket.count),
                OrderBy::Key => by_key(&a.key, &b.key),
                OrderBy::Path { .. } => {
                    let (a, b) = (a.numbers[at], b.numbers[at]);
                    // What has no number comes last in both directions.
                    match (a.is_nan(), b.is_nan()) {
                        (false, false) => a.total_cmp(&b),
                        (a_lacks, b_lacks) if part.descending => b_lacks.cmp(&a_lacks),
                        (a_lacks, b_lacks) => a_lacks.cmp(&b_lacks),
                    }
                }
            };
            let ordering = if part.descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        by_key(&a.key, &b.key)
    });
    list
}

/// A list of buckets, or an object of them by key.
pub(super) fn bucket_list(buckets: Vec<(String, Object)>, keyed: bool) -> Object {
    let content = if keyed {
        Value::Object(buckets.into_iter().map(|(key, bucket)| (key, Value::Object(bucket))).collect())
    } else {
        Value::Array(buckets.into_iter().map(|(_, bucket)| Value::Object(bucket)).collect())
    };
    let mut out = Object::new();
    out.insert("buckets".into(), content);
    out
}
