//! `terms`: a bucket for each value.

use std::collections::HashMap;

use serde_json::json;
use tantivy::DocId;
use xxhash_rust::xxh3::xxh3_64;

use super::acc::{Acc, Bucket, Groups, Object, bucket_list, sort_buckets};
use super::cx::{Cx, End, Learned};
use super::field::{Field, Key};
use super::request::{AggRequest, BucketOrder, Kind, OrderBy, Pick, Terms};
use crate::error::{Cause, ErrorKind, Result, StoreError};

/// Refuses what does not fit the field, and orders that lead nowhere.
pub(super) fn check(request: &AggRequest, terms: &Terms, field: &Field) -> Result<()> {
    let patterns = [&terms.filter.include, &terms.filter.exclude];
    if patterns.iter().any(|pick| matches!(pick, Some(Pick::Pattern(_))))
        && field.is_mapped()
        && !field.is_text()
    {
        return Err(StoreError::illegal(format!(
            "Aggregation [{}] cannot support regular expression style include/exclude settings as they can only be applied to \
             string fields. Use an array of numeric values for include/exclude clauses used to filter numeric fields",
            request.name
        )));
    }
    check_order(&terms.order, &request.subs)
}

/// Refuses an order by something that is not there.
pub(super) fn check_order(order: &[BucketOrder], subs: &[AggRequest]) -> Result<()> {
    for part in order {
        let OrderBy::Path { names, value } = &part.by else { continue };
        check_path(names, value.as_deref(), subs)?;
    }
    Ok(())
}

fn check_path(names: &[String], value: Option<&str>, mut subs: &[AggRequest]) -> Result<()> {
    let mut path = names.join(">");
    if let Some(value) = value {
        path = format!("{path}.{value}");
    }
    let bad = |why: String| {
        let reason = format!("Invalid aggregation order path [{path}]. {why}");
        let error = StoreError::new(ErrorKind::InvalidPath, reason);
        Err(error.because(Cause::new("illegal_argument_exception", why)))
    };
    for (at, name) in names.iter().enumerate() {
        let Some(request) = subs.iter().find(|request| request.name == *name) else {
            return bad(format!(
                "The provided aggregation [{name}] either does not exist, or is a pipeline aggregation and cannot be used to \
                 sort the buckets."
            ));
        };
        let last = at + 1 == names.len();
        match &request.kind {
            kind if kind.is_single_bucket() => subs = &request.subs,
            Kind::Metric(metric, _) if last => {
                if metric.has_many_values() && value.is_none() {
                    return bad(
                        "Missing value key in [null] which refers to a multi-value metric aggregation"
                            .to_owned(),
                    );
                }
            }
            kind => {
                return bad(format!(
                    "The aggregation [{name}] of type [{}] has no single value to order by",
                    kind.name()
                ));
            }
        }
    }
    Ok(())
}

/// Decides which terms count in one index.
struct Chooser<'s> {
    terms: &'s Terms,
    include: Option<Vec<Key>>,
    exclude: Vec<Key>,
}

impl<'s> Chooser<'s> {
    fn new(terms: &'s Terms, field: &Field, learned: &Learned, now_ms: i64) -> Result<Self> {
        let keys = |pick: &Option<Pick>| match pick {
            Some(Pick::Exact(list)) => {
                let keys: Result<Vec<Key>> =
                    list.iter().map(|value| field.key(value, &learned.show, now_ms)).collect();
                keys.map(Some)
            }
            _ => Ok(None),
        };
        let filter = &terms.filter;
        Ok(Self {
            terms,
            include: keys(&filter.include)?,
            exclude: keys(&filter.exclude)?.unwrap_or_default(),
        })
    }

    fn is_open(&self) -> bool {
        let filter = &self.terms.filter;
        filter.include.is_none() && filter.exclude.is_none() && filter.partition.is_none()
    }

    fn admits(&self, key: &Key) -> bool {
        let filter = &self.terms.filter;
        let matches = |pick: &Option<Pick>| match (pick, key) {
            (Some(Pick::Pattern(regex)), Key::Text(text)) => Some(regex.is_match(text)),
            _ => None,
        };
        if matches(&filter.include) == Some(false) || matches(&filter.exclude) == Some(true) {
            return false;
        }
        if self.include.as_ref().is_some_and(|keys| !keys.contains(key)) || self.exclude.contains(key) {
            return false;
        }
        filter.partition.is_none_or(|(part, of)| match key {
            Key::Text(text) => xxh3_64(text.as_bytes()) % of == part,
            other => other.hash() % of == part,
        })
    }
}

pub(super) struct TermsAcc<'r> {
    request: &'r AggRequest,
    spec: &'r Terms,
    buckets: HashMap<Key, Bucket<'r>>,
}

impl<'r> TermsAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r Terms) -> Self {
        Self { request, spec, buckets: HashMap::new() }
    }

    fn bucket(&mut self, key: Key) -> &mut Bucket<'r> {
        let request = self.request;
        self.buckets.entry(key).or_insert_with(|| Bucket::new(request))
    }

    /// Adds buckets for the terms that none of the documents has.
    fn add_empty(&mut self, cx: &Cx<'_>, segment: usize, chooser: &Chooser<'_>) -> Result<()> {
        let opened = cx.open(&self.spec.values.field, segment)?;
        let mut codes = std::collections::HashSet::new();
        match opened.terms() {
            Some(ords) => codes.extend(ords),
            None => {
                for doc in cx.segment(segment).0.doc_ids_alive() {
                    opened.codes(doc, |code| {
                        codes.insert(code);
                    });
                }
            }
        }
        for code in codes {
            let key = opened.key_of(code)?;
            if chooser.admits(&key) {
                self.bucket(key);
            }
        }
        Ok(())
    }
}

impl<'r> Acc<'r> for TermsAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let name = &self.spec.values.field;
        let opened = cx.open(name, segment)?;
        let missing = cx.missing_key(self.request)?;
        let mut groups = Groups::new(self.request);
        let mut without = Groups::new(self.request);
        for doc in docs {
            let mut any = false;
            opened.codes(*doc, |code| {
                any = true;
                groups.add(code, *doc);
            });
            if !any && missing.is_some() {
                without.add((), *doc);
            }
        }
        let Some(field) = cx.field(name) else { return Ok(()) };
        let chooser = Chooser::new(self.spec, field, &cx.learned(self.request), cx.now_ms)?;
        let open = chooser.is_open();
        for (code, group) in groups.into_map() {
            let key = opened.key_of(code)?;
            if open || chooser.admits(&key) {
                self.bucket(key).add_group(cx, segment, &group)?;
            }
        }
        if let Some(key) = missing.filter(|key| open || chooser.admits(key)) {
            for group in without.into_map().into_values() {
                self.bucket(key.clone()).add_group(cx, segment, &group)?;
            }
        }
        if self.spec.min_doc_count == 0 {
            self.add_empty(cx, segment, &chooser)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let learned = end.learned(self.request);
        let spec = self.spec;
        let enough = self.buckets.into_iter().filter(|(_, bucket)| bucket.count >= spec.min_doc_count);
        let mut list = sort_buckets(enough, &spec.order, |a, b| a.compare(b, learned.addresses));
        let rest = list.split_off(spec.size.min(list.len()));
        let others: u64 = rest.iter().map(|sorted| sorted.bucket.count).sum();
        drop(rest);
        end.add_buckets(list.len())?;
        let mut buckets = Vec::with_capacity(list.len());
        for sorted in list {
            let mut out = Object::new();
            out.insert("key".into(), sorted.key.to_value());
            if let Some(text) = sorted.key.as_f64().and_then(|number| learned.show.text(number)) {
                out.insert("key_as_string".into(), json!(text));
            }
            let mut inner = Object::new();
            sorted.bucket.finish(end, &mut inner)?;
            for (at, (name, value)) in inner.into_iter().enumerate() {
                out.insert(name, value);
                if at == 0 && spec.show_error {
                    out.insert("doc_count_error_upper_bound".into(), json!(0));
                }
            }
            buckets.push((String::new(), out));
        }
        let mut out = Object::new();
        out.insert("doc_count_error_upper_bound".into(), json!(0));
        out.insert("sum_other_doc_count".into(), json!(others));
        out.extend(bucket_list(buckets, false));
        Ok(out)
    }
}
