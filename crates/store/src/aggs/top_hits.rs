//! `top_hits`: the best documents of a bucket.

use std::rc::Rc;

use serde_json::{Value, json};
use tantivy::DocId;

use super::acc::{Acc, Object};
use super::cx::{Cx, End};
use super::request::{AggRequest, TopHits};
use crate::error::Result;
use crate::search::{Candidate, Hit, Plan, best, order};

pub(super) struct TopHitsAcc<'r> {
    request: &'r AggRequest,
    spec: &'r TopHits,
    /// The order in each of the search's indices seen so far.
    plans: Vec<Rc<Vec<Plan>>>,
    kept: Vec<Candidate>,
    total: u64,
    max_score: Option<f32>,
}

impl<'r> TopHitsAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r TopHits) -> Self {
        Self { request, spec, plans: Vec::new(), kept: Vec::new(), total: 0, max_score: None }
    }
}

/// A hit as answers have it.
fn shown(hit: Hit) -> Value {
    let mut out = Object::new();
    out.insert("_index".into(), json!(hit.index));
    out.insert("_id".into(), json!(hit.id));
    let numbers = [("_version", hit.version), ("_seq_no", hit.seq_no), ("_primary_term", hit.primary_term)];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.insert(name.into(), json!(number));
        }
    }
    out.insert(
        "_score".into(),
        hit.score.map_or(Value::Null, |score| crate::search::single_value(f64::from(score))),
    );
    if let Some(source) = hit.source {
        out.insert("_source".into(), serde_json::from_slice(&source).unwrap_or(Value::Null));
    }
    for (name, content) in [("fields", hit.fields), ("highlight", hit.highlight)] {
        if let Some(content) = content {
            out.insert(name.into(), Value::Object(content));
        }
    }
    if let Some(sort) = hit.sort {
        out.insert("sort".into(), Value::Array(sort));
    }
    Value::Object(out)
}

impl<'r> Acc<'r> for TopHitsAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let search = &self.spec.search;
        let want = search.from + search.size;
        let plans = cx.plans(self.request);
        self.plans.resize(self.plans.len().max(cx.input.at + 1), Rc::clone(&plans));
        self.plans[cx.input.at] = Rc::clone(&plans);
        self.total += docs.len() as u64;
        let (reader, base) = cx.segment(segment);
        let scored: Vec<(DocId, f32)> = docs.iter().map(|doc| (*doc, cx.score(segment, *doc))).collect();
        for (_, score) in &scored {
            self.max_score = Some(self.max_score.map_or(*score, |max| max.max(*score)));
        }
        for mut candidate in best(&plans, reader, base, &scored, want)? {
            candidate.index = cx.input.at;
            candidate.segment = segment;
            self.kept.push(candidate);
        }
        order(&plans, &mut self.kept);
        self.kept.truncate(want);
        Ok(())
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let search = &self.spec.search;
        let by_score = match search.sort.as_slice() {
            [] => true,
            [only] => only.field == "_score" || search.track_scores,
            _ => search.track_scores,
        };
        let page = self.kept.into_iter().skip(search.from).take(search.size).collect();
        let hits = (end.fetch)(search, page, &self.plans)?;
        let max_score =
            self.max_score.filter(|_| by_score).map(|score| crate::search::single_value(f64::from(score)));
        let hits: Vec<Value> = hits.into_iter().map(shown).collect();
        let content =
            json!({"total": {"value": self.total, "relation": "eq"}, "max_score": max_score, "hits": hits});
        Ok(Object::from_iter([("hits".to_owned(), content)]))
    }
}
