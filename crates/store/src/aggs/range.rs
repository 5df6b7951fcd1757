//! `range` and `date_range`: a bucket for each range, the upper end excluded.

use serde_json::json;
use tantivy::DocId;

use super::acc::{Acc, Bucket, Groups, Object, bucket_list};
use super::cx::{Cx, End, Learned};
use super::request::{AggRequest, Ranges};
use crate::error::Result;

pub(super) struct RangeAcc<'r> {
    request: &'r AggRequest,
    spec: &'r Ranges,
    buckets: Vec<Bucket<'r>>,
}

impl<'r> RangeAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r Ranges) -> Self {
        Self { request, spec, buckets: spec.ranges.iter().map(|_| Bucket::new(request)).collect() }
    }
}

/// The ends of a range, as far as they are open shown as `*`.
fn describe(learned: &Learned, (from, to): (f64, f64), key: Option<&String>) -> (String, Object) {
    let text = |end: f64| if end.is_finite() { learned.show.key(end) } else { "*".to_owned() };
    let key = key.cloned().unwrap_or_else(|| format!("{}-{}", text(from), text(to)));
    let mut out = Object::new();
    for (name, end) in [("from", from), ("to", to)] {
        if end.is_finite() {
            out.insert(name.into(), json!(end));
            if let Some(text) = learned.show.text(end) {
                out.insert(format!("{name}_as_string"), json!(text));
            }
        }
    }
    (key, out)
}

impl<'r> Acc<'r> for RangeAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let name = &self.spec.values.field;
        let opened = cx.open(name, segment)?;
        let learned = cx.learned(self.request);
        let missing = cx.missing_number(self.request)?;
        let single = cx.field(name).is_some_and(|field| field.is_single());
        let narrow = |end: f64| if single { f64::from(end as f32) } else { end };
        let ends: Vec<(f64, f64)> =
            learned.ranges.iter().map(|(from, to)| (narrow(*from), narrow(*to))).collect();
        let mut groups = Groups::new(self.request);
        for doc in docs {
            let mut any = false;
            let mut put = |value: f64| {
                for (at, (from, to)) in ends.iter().enumerate() {
                    if value >= *from && value < *to {
                        groups.add(at, *doc);
                    }
                }
            };
            opened.numbers(*doc, |value| {
                any = true;
                put(value);
            });
            if let (false, Some(value)) = (any, missing) {
                put(value);
            }
        }
        for (at, group) in groups.into_map() {
            if let Some(bucket) = self.buckets.get_mut(at) {
                bucket.add_group(cx, segment, &group)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let learned = end.learned(self.request);
        end.add_buckets(self.buckets.len())?;
        let ends =
            learned.ranges.iter().copied().chain(std::iter::repeat((f64::NEG_INFINITY, f64::INFINITY)));
        let mut list: Vec<_> = ends.zip(&self.spec.ranges).zip(self.buckets).collect();
        list.sort_by(|((a, _), _), ((b, _), _)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut buckets = Vec::with_capacity(list.len());
        for ((ends, range), bucket) in list {
            let (key, described) = describe(&learned, ends, range.key.as_ref());
            let mut out = Object::new();
            if !self.spec.keyed {
                out.insert("key".into(), json!(key));
            }
            out.extend(described);
            bucket.finish(end, &mut out)?;
            buckets.push((key, out));
        }
        Ok(bucket_list(buckets, self.spec.keyed))
    }
}
