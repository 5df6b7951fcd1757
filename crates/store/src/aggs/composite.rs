//! `composite`: a bucket for each combination of values, in order, a page at a time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use tantivy::DocId;

use super::acc::{Acc, Bucket, Groups, Object};
use super::cx::{Cx, End, Learned};
use super::field::{Field, Key, Opened};
use super::histogram::Rounding;
use super::request::{AggRequest, Composite, Interval, Kind, Source};
use crate::error::{Cause, ErrorKind, Result, StoreError};

/// A value's place among those of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// Nothing when the document has no value.
    key: Option<Key>,
    /// Whether the absent value comes before all others.
    absent_first: bool,
    descending: bool,
    addresses: bool,
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        let (absent, ordering) = match (&self.key, &other.key) {
            (Some(a), Some(b)) => (false, a.compare(b, self.addresses)),
            (a, b) => (true, a.is_some().cmp(&b.is_some())),
        };
        let reversed = if absent { !self.absent_first } else { self.descending };
        if reversed { ordering.reverse() } else { ordering }
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a source's aggregation would be alone.
fn rounding(source: &Source) -> Option<Rounding> {
    match &source.request.kind {
        Kind::Histogram(spec) => Some(Rounding::new(spec)),
        _ => None,
    }
}

fn part(source: &Source, addresses: bool, key: Option<Key>) -> Part {
    let absent_first = source.absent_first.unwrap_or(!source.descending);
    Part { key, absent_first, descending: source.descending, addresses }
}

pub(super) struct CompositeAcc<'r> {
    request: &'r AggRequest,
    spec: &'r Composite,
    /// The first `size` combinations behind `after`.
    buckets: BTreeMap<Vec<Part>, Bucket<'r>>,
}

/// A source's values in a segment.
struct Column<'r> {
    source: &'r Source,
    opened: std::rc::Rc<Opened>,
    rounding: Option<Rounding>,
    addresses: bool,
}

impl Column<'_> {
    /// A code for each value of a document, `None` where there is none and that counts.
    fn codes(&self, doc: DocId) -> Vec<Option<u64>> {
        let mut codes = Vec::new();
        match self.rounding {
            Some(rounding) => self.opened.numbers(doc, |value| codes.push(Some(rounding.key(value) as u64))),
            None => self.opened.codes(doc, |code| codes.push(Some(code))),
        }
        if codes.is_empty() && self.source.missing_bucket {
            codes.push(None);
        }
        codes
    }

    fn part(&self, code: Option<u64>) -> Result<Part> {
        let key = match (code, self.rounding) {
            (None, _) => None,
            (Some(code), Some(_)) => Some(Key::Int(code as i64)),
            (Some(code), None) => Some(self.opened.key_of(code)?),
        };
        Ok(part(self.source, self.addresses, key))
    }
}

impl<'r> CompositeAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r Composite) -> Self {
        Self { request, spec, buckets: BTreeMap::new() }
    }

    /// The combination behind which the page begins.
    fn after(&self, cx: &Cx<'_>) -> Result<Option<Vec<Part>>> {
        let Some(after) = &self.spec.after else { return Ok(None) };
        let mut parts = Vec::with_capacity(after.len());
        for (at, source) in self.spec.sources.iter().enumerate() {
            let Some(field) = source.field().and_then(|name| cx.field(name)) else { return Ok(None) };
            let learned = cx.learned(&source.request);
            let key = match after.get(&source.request.name).unwrap_or(&Value::Null) {
                Value::Null => None,
                value => {
                    let key = after_key(source, field, &learned, value, cx.now_ms);
                    Some(key.map_err(|error| incompatible(&self.request.name, at, &error))?)
                }
            };
            parts.push(part(source, learned.addresses, key));
        }
        Ok(Some(parts))
    }

    fn add(
        &mut self,
        cx: &Cx<'_>,
        segment: usize,
        place: Vec<Part>,
        group: &super::acc::Group,
    ) -> Result<()> {
        let full = self.buckets.len() >= self.spec.size;
        if !self.buckets.contains_key(&place) {
            // What is behind a full page stays there, as keys only come in before.
            if full && self.buckets.last_key_value().is_some_and(|(last, _)| *last < place) {
                return Ok(());
            }
            if full {
                self.buckets.pop_last();
            }
        }
        let request = self.request;
        self.buckets.entry(place).or_insert_with(|| Bucket::new(request)).add_group(cx, segment, group)
    }
}

/// Refuses an `after` that is not of the sources.
pub(super) fn check(spec: &Composite) -> Result<()> {
    let Some(after) = &spec.after else { return Ok(()) };
    if after.len() != spec.sources.len() {
        let reason = format!("[after] has {} value(s) but [sources] has {}", after.len(), spec.sources.len());
        return Err(StoreError::illegal(reason));
    }
    for source in &spec.sources {
        let name = &source.request.name;
        match after.get(name) {
            None => return Err(StoreError::illegal(format!("Missing value for [after.{name}]"))),
            Some(Value::Null) if !source.missing_bucket => {
                let reason = format!("Invalid value for [after.{name}], expected comparable, got [null]");
                return Err(StoreError::illegal(reason));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Refuses one inside another aggregation, where its pages would be of each bucket.
pub(super) fn check_place(outer: &AggRequest) -> Result<()> {
    let inside = outer.subs.iter().any(|sub| matches!(sub.kind, Kind::Composite(_)));
    if !inside || matches!(outer.kind, Kind::Filter(_)) {
        return Ok(());
    }
    let mut class = outer.kind.name().split('_').fold(String::new(), |mut class, word| {
        class.extend(word.get(..1).map(str::to_uppercase));
        class.push_str(word.get(1..).unwrap_or_default());
        class
    });
    class.push_str("AggregatorFactory");
    Err(StoreError::illegal(format!(
        "[composite] aggregation cannot be used with a parent aggregation of type: [{class}]"
    )))
}

/// The error for a value of `after` that is none of its source.
fn incompatible(name: &str, at: usize, error: &StoreError) -> StoreError {
    let why = format!("incompatible value in the position {at}: {}", error.reason());
    let mut cause = Cause::new("illegal_argument_exception", why.clone());
    cause.caused_by = Some(Box::new(Cause::new(error.es_type(), error.reason())));
    let reason = format!("Cannot set after key in the composite aggregation [{name}] - {why}");
    StoreError::new(ErrorKind::Parse, reason).because(cause)
}

/// Reads a value of `after`.
fn after_key(source: &Source, field: &Field, learned: &Learned, value: &Value, now_ms: i64) -> Result<Key> {
    let Kind::Histogram(spec) = &source.request.kind else {
        return field.key(value, &learned.show, now_ms);
    };
    let number = || field.number(value, &learned.show, now_ms);
    match (spec.interval, value.as_i64()) {
        (Interval::Number(_), _) => Ok(Key::Int(Rounding::new(spec).key(number()?))),
        (_, Some(millis)) => Ok(Key::Int(millis)),
        (_, None) => Ok(Key::Int(number()? as i64)),
    }
}

/// All combinations of one value of each list.
fn combinations(lists: &[Vec<Option<u64>>], mut found: impl FnMut(Vec<Option<u64>>)) {
    if lists.iter().any(Vec::is_empty) {
        return;
    }
    let mut at = vec![0; lists.len()];
    loop {
        found(lists.iter().zip(&at).map(|(list, at)| list[*at]).collect());
        let Some(turn) = (0..lists.len()).rev().find(|turn| at[*turn] + 1 < lists[*turn].len()) else {
            return;
        };
        at[turn] += 1;
        at[turn + 1..].fill(0);
    }
}

impl<'r> Acc<'r> for CompositeAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let mut columns = Vec::with_capacity(self.spec.sources.len());
        for source in &self.spec.sources {
            let opened = cx.open(source.field().unwrap_or_default(), segment)?;
            let addresses = cx.learned(&source.request).addresses;
            columns.push(Column { source, opened, rounding: rounding(source), addresses });
        }
        let after = self.after(cx)?;
        let mut groups = Groups::new(self.request);
        for doc in docs {
            let lists: Vec<_> = columns.iter().map(|column| column.codes(*doc)).collect();
            combinations(&lists, |codes| groups.add(codes, *doc));
        }
        let mut known: HashMap<(usize, Option<u64>), Part> = HashMap::new();
        for (codes, group) in groups.into_map() {
            let mut place = Vec::with_capacity(codes.len());
            for (at, code) in codes.into_iter().enumerate() {
                let part = match known.get(&(at, code)) {
                    Some(part) => part.clone(),
                    None => {
                        let part = columns[at].part(code)?;
                        known.insert((at, code), part.clone());
                        part
                    }
                };
                place.push(part);
            }
            if after.as_ref().is_none_or(|after| place > *after) {
                self.add(cx, segment, place, &group)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let spec = self.spec;
        let learned: Vec<Learned> = spec.sources.iter().map(|source| end.learned(&source.request)).collect();
        end.add_buckets(self.buckets.len())?;
        let (mut out, mut buckets, mut last) = (Object::new(), Vec::with_capacity(self.buckets.len()), None);
        for (place, bucket) in self.buckets {
            let parts = place.iter().zip(&spec.sources).zip(&learned);
            let key: Object = parts
                .map(|((part, source), learned)| (source.request.name.clone(), shown(part, source, learned)))
                .collect();
            let mut one = Object::new();
            one.insert("key".into(), json!(key));
            bucket.finish(end, &mut one)?;
            buckets.push(Value::Object(one));
            last = Some(key);
        }
        if let Some(last) = last {
            out.insert("after_key".into(), json!(last));
        }
        out.insert("buckets".into(), json!(buckets));
        Ok(out)
    }
}

fn shown(part: &Part, source: &Source, learned: &Learned) -> Value {
    let Some(key) = &part.key else { return Value::Null };
    match (&source.request.kind, key) {
        (Kind::Histogram(spec), Key::Int(number)) => {
            let number = Rounding::new(spec).shown(*number);
            match (&spec.interval, &spec.values.format) {
                (Interval::Number(_), _) => json!(number),
                (_, Some(_)) => json!(learned.show.key(number)),
                (_, None) => json!(number as i64),
            }
        }
        (Kind::Terms(_), Key::Int(number)) if learned.show.is_truth() => json!(*number != 0),
        (_, key) => key.to_value(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_take_one_of_each() {
        let mut all = Vec::new();
        combinations(&[vec![Some(1), Some(2)], vec![None, Some(3)]], |codes| all.push(codes));
        assert_eq!(
            all,
            [[Some(1), None], [Some(1), Some(3)], [Some(2), None], [Some(2), Some(3)]].map(Vec::from)
        );
        combinations(&[vec![Some(1)], vec![]], |_| panic!("nothing is to be combined with nothing"));
    }

    #[test]
    fn an_absent_value_stands_where_it_is_told_to() {
        let part = |key: Option<i64>, absent_first, descending| Part {
            key: key.map(Key::Int),
            absent_first,
            descending,
            addresses: false,
        };
        assert!(part(None, true, false) < part(Some(1), true, false));
        assert!(part(None, false, false) > part(Some(1), false, false));
        assert!(part(Some(2), true, true) < part(Some(1), true, true));
        assert!(part(None, true, true) < part(Some(1), true, true));
        assert!(part(None, false, true) > part(Some(1), false, true));
    }
}
