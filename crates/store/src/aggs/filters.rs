//! Buckets by query: `filter`, `filters`, `missing` and `global`.

use serde_json::json;
use tantivy::DocId;

use super::acc::{Acc, Bucket, Object, bucket_list};
use super::cx::{Cx, End};
use super::request::{AggRequest, Filters, Kind};
use crate::error::Result;

/// One bucket.
pub(super) struct SingleAcc<'r> {
    request: &'r AggRequest,
    bucket: Bucket<'r>,
}

impl<'r> SingleAcc<'r> {
    pub(super) fn new(request: &'r AggRequest) -> Self {
        Self { request, bucket: Bucket::new(request) }
    }
}

impl<'r> Acc<'r> for SingleAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let chosen: Vec<DocId> = match &self.request.kind {
            Kind::Filter(query) => {
                let bits = cx.filter(query, segment)?;
                docs.iter().copied().filter(|doc| bits.contains(*doc)).collect()
            }
            Kind::Missing(values) if values.missing.is_none() => {
                let opened = cx.open(&values.field, segment)?;
                docs.iter().copied().filter(|doc| !opened.has(*doc)).collect()
            }
            // With a value for what is missing, nothing is.
            Kind::Missing(_) => Vec::new(),
            _ => cx.input.all.get(segment).cloned().unwrap_or_default(),
        };
        self.bucket.add(cx, segment, &chosen)
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        end.add_buckets(1)?;
        let mut out = Object::new();
        self.bucket.finish(end, &mut out)?;
        Ok(out)
    }

    fn bucket(&self) -> Option<&Bucket<'r>> {
        Some(&self.bucket)
    }
}

/// A bucket for each filter, and perhaps one for the rest.
pub(super) struct FiltersAcc<'r> {
    spec: &'r Filters,
    buckets: Vec<Bucket<'r>>,
    rest: Bucket<'r>,
}

impl<'r> FiltersAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r Filters) -> Self {
        let buckets = spec.filters.iter().map(|_| Bucket::new(request)).collect();
        Self { spec, buckets, rest: Bucket::new(request) }
    }
}

impl<'r> Acc<'r> for FiltersAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let mut rest = docs.to_vec();
        for ((_, query), bucket) in self.spec.filters.iter().zip(&mut self.buckets) {
            let bits = cx.filter(query, segment)?;
            let chosen: Vec<DocId> = docs.iter().copied().filter(|doc| bits.contains(*doc)).collect();
            bucket.add(cx, segment, &chosen)?;
            rest.retain(|doc| !bits.contains(*doc));
        }
        if self.spec.other.is_some() {
            self.rest.add(cx, segment, &rest)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let Self { spec, buckets, rest } = *self;
        let named = spec.filters.iter().map(|(name, _)| name.clone()).zip(buckets);
        let all: Vec<_> = named.chain(spec.other.clone().map(|name| (name, rest))).collect();
        end.add_buckets(all.len())?;
        let mut buckets = Vec::with_capacity(all.len());
        for (name, bucket) in all {
            let mut out = Object::new();
            if spec.named && !spec.keyed {
                out.insert("key".into(), json!(name));
            }
            bucket.finish(end, &mut out)?;
            buckets.push((name, out));
        }
        Ok(bucket_list(buckets, spec.named && spec.keyed))
    }
}
