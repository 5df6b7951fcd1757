//! A search from beginning to end: compile, run on every index, merge, fetch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tantivy::query::Weight;
use tantivy::{DocId, DocSet, SegmentReader};

use super::collect::{Candidate, Found, Job, weigh};
use super::highlight::Highlighter;
use super::request::{HighlightField, SearchRequest, SortKey, TrackTotal};
use super::response::{Hit, SearchResponse, Total};
use super::sort::Plan;
use super::source::field_values;
use crate::aggs;
use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::{View, search_error};
use crate::mapping::Mapping;
use crate::query::ast::{BoolNode, Node};
use crate::query::{Compiler, Query};
use crate::state::IndexState;

type Views = [(Arc<IndexState>, Arc<View>)];

/// The query with the restriction that comes from elsewhere.
fn restricted(request: &SearchRequest) -> Query {
    match &request.filter {
        None => request.query.clone(),
        Some(filter) if filter.is_all() => request.query.clone(),
        Some(filter) => Query(Node::Bool(BoolNode {
            must: vec![request.query.0.clone()],
            filter: vec![filter.0.clone()],
            ..BoolNode::default()
        })),
    }
}

/// Counts matching documents.
pub(crate) fn count(views: &Views, query: &Query, now_ms: i64) -> Result<u64> {
    let mut total = 0;
    for (state, view) in views {
        if query.is_all() {
            total += view.searcher.num_docs();
            continue;
        }
        let mapping = state.mapping();
        let compiled =
            Compiler::new(&state.name, &state.uuid, &mapping, view, now_ms, false).compile(&query.0)?;
        let weight = weigh(&*compiled, view, false)?;
        for segment in view.searcher.segment_readers() {
            total += u64::from(weight.count(segment).map_err(|error| search_error(&error))?);
        }
    }
    Ok(total)
}

fn check_window(views: &Views, request: &SearchRequest) -> Result<()> {
    let wanted = request.from.saturating_add(request.size);
    if request.search_after.is_some() && request.from > 0 {
        let reason = "Validation Failed: 1: [from] parameter must be set to 0 when [search_after] is used;";
        return Err(StoreError::new(ErrorKind::ActionRequestValidation, reason));
    }
    for (state, _) in views {
        let window = state.meta().settings.max_result_window();
        if wanted > window {
            let reason = format!(
                "Result window is too large, from + size must be less than or equal to: [{window}] but was [{wanted}]. See the \
                 scroll api for a more efficient way to request large data sets. This limit can be set by changing the \
                 [index.max_result_window] index level setting."
            );
            return Err(StoreError::illegal(reason).in_search(&state.name, &state.uuid));
        }
    }
    Ok(())
}

/// The sort keys of a request; a point in time adds the place, so that pages never overlap.
fn sort_keys(request: &SearchRequest) -> Vec<SortKey> {
    let mut keys = request.sort.clone();
    let placed = keys.iter().any(|key| key.field == "_shard_doc" || key.field == "_doc");
    if request.pit.is_some() && !placed && !(keys.is_empty() && request.search_after.is_none()) {
        keys.push(SortKey::new("_shard_doc"));
    }
    keys
}

struct Prepared<'a> {
    state: &'a IndexState,
    view: &'a View,
    mapping: Arc<Mapping>,
    plans: Vec<Plan>,
    query: Box<dyn tantivy::query::Query>,
    post_filter: Option<Box<dyn tantivy::query::Query>>,
}

fn prepare<'a>(
    state: &'a IndexState,
    view: &'a View,
    request: &SearchRequest,
    keys: &[SortKey],
    query: &Query,
    now_ms: i64,
) -> Result<Prepared<'a>> {
    let mapping = state.mapping();
    let in_search = |error: StoreError| error.in_search(&state.name, &state.uuid);
    let plans = super::sort::plans(keys, &mapping, &state.name).map_err(in_search)?;
    if let Some(after) = &request.search_after {
        let shorter =
            request.pit.is_some() && after.len() + 1 == keys.len() && keys.len() > request.sort.len();
        if keys.is_empty() {
            return Err(in_search(StoreError::illegal("Sort must contain at least one field.")));
        }
        if after.len() != keys.len() && !shorter {
            let reason = format!("search_after has {} value(s) but sort has {}.", after.len(), keys.len());
            return Err(in_search(StoreError::illegal(reason)));
        }
    }
    check_shown(request, &mapping, &state.name).map_err(in_search)?;
    let scored = needs_score(&plans, request);
    let compile = |query: &Query, scored: bool| {
        Compiler::new(&state.name, &state.uuid, &mapping, view, now_ms, scored).compile(&query.0)
    };
    let compiled = compile(query, scored)?;
    let post_filter = request.post_filter.as_ref().map(|filter| compile(filter, false)).transpose()?;
    Ok(Prepared { state, view, plans, query: compiled, post_filter, mapping })
}

/// Refuses what cannot be shown of hits.
fn check_shown(request: &SearchRequest, mapping: &Mapping, index: &str) -> Result<()> {
    for pattern in &request.columns {
        let meant = mapping.leaves().iter().filter(|leaf| crate::names::simple_match(pattern, &leaf.path));
        for leaf in meant.filter(|leaf| leaf.ty.is_text()) {
            super::sort::value_column(leaf, index)?;
        }
    }
    let fields = request.highlight.iter().flat_map(|highlight| &highlight.fields);
    match fields.into_iter().find(|field| !HIGHLIGHTERS.contains(&field.kind.as_str())) {
        Some(HighlightField { kind, pattern, .. }) => {
            Err(StoreError::illegal(format!("unknown highlighter type [{kind}] for the field [{pattern}]")))
        }
        None => Ok(()),
    }
}

/// The highlighters that Elasticsearch has.
const HIGHLIGHTERS: [&str; 4] = ["unified", "plain", "fvh", "semantic"];

fn needs_score(plans: &[Plan], request: &SearchRequest) -> bool {
    plans.iter().any(Plan::needs_score)
        || request.track_scores
        || request.min_score.is_some()
        || aggs::needs_scores(&request.aggs)
}

/// Every document that the search may see in an index, for aggregations that look beyond the query.
fn everything(part: &Prepared<'_>, request: &SearchRequest, now_ms: i64) -> Result<Vec<Vec<tantivy::DocId>>> {
    if !aggs::needs_all(&request.aggs) {
        return Ok(Vec::new());
    }
    let all = Query(Node::All);
    let filter = request.filter.as_ref().unwrap_or(&all);
    let compiled = Compiler::new(&part.state.name, &part.state.uuid, &part.mapping, part.view, now_ms, false)
        .compile(&filter.0)?;
    Job::documents(part.view, &*compiled).run().map(|found| found.docs)
}

/// Searches the views.
pub(crate) fn execute(views: &Views, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse> {
    let begin = Instant::now();
    check_window(views, request)?;
    let keys = sort_keys(request);
    let query = restricted(request);
    let all = query.is_all() && matches!(query.0, Node::All | Node::Bool(_));
    let mut prepared = Vec::with_capacity(views.len());
    for (state, view) in views {
        prepared.push(prepare(state, view, request, &keys, &query, now_ms)?);
    }
    let scored = prepared.first().is_some_and(|part| needs_score(&part.plans, request));
    let count_to = match request.track_total_hits {
        TrackTotal::Exact => Some(u64::MAX),
        TrackTotal::UpTo(limit) => Some(limit),
        TrackTotal::No => None,
    };
    let mut collector = aggs::Collector::new(&request.aggs);
    let mut total = Found::default();
    let mut base = 0;
    for (at, part) in prepared.iter().enumerate() {
        let job = Job {
            view: part.view,
            index: at,
            base,
            query: &*part.query,
            all: all && unscored_all(&query),
            scored,
            filter: part.post_filter.as_deref().filter(|_| request.aggs.is_empty()),
            plans: &part.plans,
            after: request.search_after.as_deref(),
            want: request.from + request.size,
            min_score: request.min_score,
            count_to,
            limit: request.terminate_after,
            keep_docs: !request.aggs.is_empty(),
            keep_scores: aggs::needs_scores(&request.aggs),
        };
        let found = run(&job, part, request)?;
        if !request.aggs.is_empty() {
            let compiler =
                Compiler::new(&part.state.name, &part.state.uuid, &part.mapping, part.view, now_ms, false);
            let all = everything(part, request, now_ms)?;
            let input = aggs::Input {
                compiler: &compiler,
                view: part.view,
                mapping: &part.mapping,
                index: &part.state.name,
                at,
                base,
                docs: &found.docs,
                scores: &found.scores,
                all: &all,
            };
            collector.collect(input).map_err(|error| error.in_search(&part.state.name, &part.state.uuid))?;
        }
        total.count += found.count;
        total.cut |= found.cut;
        total.max_score = match (total.max_score, found.max_score) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        total.candidates.extend(found.candidates);
        base += part.view.searcher.segment_readers().iter().map(|s| u64::from(s.max_doc())).sum::<u64>();
    }
    let page = merge(&prepared, total.candidates, request);
    let hits = Fetching { prepared: &prepared, request, keys: &keys, query: &request.query, scored, now_ms }
        .fetch(page, |at| &prepared[at].plans)?;
    let fetch = |search: &SearchRequest, page: Vec<Candidate>, plans: &[std::rc::Rc<Vec<Plan>>]| {
        let fetching = Fetching {
            prepared: &prepared,
            request: search,
            keys: &search.sort,
            query: &request.query,
            scored: true,
            now_ms,
        };
        fetching.fetch(page, |at| &plans[at])
    };
    // Without an index there is nothing to aggregate, and Elasticsearch leaves the member out.
    let aggregations = (!request.aggs.is_empty() && !views.is_empty())
        .then(|| collector.finish(&fetch, request.typed_keys))
        .transpose()?;
    let by_score = only_by_score(&keys) || request.track_scores;
    let empty = total.count == 0 && hits.is_empty();
    Ok(SearchResponse {
        took_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        shards: views.len(),
        total: total_of(request.track_total_hits, total.count),
        max_score: total.max_score.filter(|_| by_score && request.size > 0 && !empty),
        hits,
        aggregations,
        pit_id: request.pit.clone(),
        terminated_early: request.terminate_after.map(|_| total.cut),
    })
}

/// Whether hits come in the order of their scores and nothing else.
fn only_by_score(keys: &[SortKey]) -> bool {
    keys.is_empty() || (keys.len() == 1 && keys[0].field == "_score")
}

/// Whether the query gives every document the score 1.
fn unscored_all(query: &Query) -> bool {
    match &query.0 {
        Node::All => true,
        Node::Bool(parts) => parts.must.is_empty() && parts.filter.is_empty() && parts.should.is_empty(),
        _ => false,
    }
}

/// Runs a job. Aggregations see what the post filter hides, so with both, the job runs once for each.
fn run(job: &Job<'_>, part: &Prepared<'_>, request: &SearchRequest) -> Result<Found> {
    let Some(filter) = part.post_filter.as_deref().filter(|_| !request.aggs.is_empty()) else {
        return job.run();
    };
    let unfiltered = Job { want: 0, count_to: None, plans: &[], after: None, ..*job }.run()?;
    let filtered = Job { filter: Some(filter), keep_docs: false, keep_scores: false, ..*job }.run()?;
    let cut = unfiltered.cut || filtered.cut;
    Ok(Found { docs: unfiltered.docs, scores: unfiltered.scores, cut, ..filtered })
}

fn total_of(track: TrackTotal, count: u64) -> Option<Total> {
    match track {
        TrackTotal::No => None,
        TrackTotal::Exact => Some(Total { value: count, exact: true }),
        TrackTotal::UpTo(limit) => Some(Total { value: count.min(limit), exact: count <= limit }),
    }
}

/// The wanted page of all candidates.
fn merge(
    prepared: &[Prepared<'_>],
    mut candidates: Vec<Candidate>,
    request: &SearchRequest,
) -> Vec<Candidate> {
    let Some(first) = prepared.first() else { return Vec::new() };
    super::collect::order(&first.plans, &mut candidates);
    candidates.into_iter().skip(request.from).take(request.size).collect()
}

/// A query's name, and the query for one index.
type Named<'a> = (&'a str, Box<dyn Weight>);

/// The names of those queries that a document matches, each once.
fn matched(named: &[Named<'_>], segment: &SegmentReader, doc: DocId) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (name, weight) in named {
        let mut scorer = weight.scorer(segment, 1.0).map_err(|error| search_error(&error))?;
        if (scorer.doc() == doc || scorer.doc() < doc && scorer.seek(doc) == doc)
            && !names.iter().any(|known| known == name)
        {
            names.push((*name).to_owned());
        }
    }
    Ok(names)
}

/// How candidates become hits.
struct Fetching<'a> {
    prepared: &'a [Prepared<'a>],
    request: &'a SearchRequest,
    keys: &'a [SortKey],
    /// What is highlighted.
    query: &'a Query,
    scored: bool,
    now_ms: i64,
}

impl Fetching<'_> {
    /// Reads the documents of candidates; `plans` gives those of an index.
    fn fetch<'p>(&self, page: Vec<Candidate>, plans: impl Fn(usize) -> &'p [Plan]) -> Result<Vec<Hit>> {
        let Self { request, keys, .. } = *self;
        let parts = self.prepared.iter().filter(|_| !page.is_empty());
        let highlighters: Vec<Highlighter<'_>> = match &request.highlight {
            None => Vec::new(),
            Some(wanted) => {
                parts.map(|part| Highlighter::new(wanted, self.query, &part.mapping, self.now_ms)).collect()
            }
        };
        let sorted = !only_by_score(keys);
        let show_score =
            self.scored && (!sorted || keys.iter().any(|key| key.field == "_score") || request.track_scores);
        let mut named = HashMap::new();
        let mut columns = HashMap::new();
        let mut hits = Vec::with_capacity(page.len());
        for candidate in page {
            let part = &self.prepared[candidate.index];
            let segment = &part.view.searcher.segment_readers()[candidate.segment];
            let column = match columns.entry((candidate.index, candidate.segment)) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(View::seq_column(segment)?),
            };
            let seq = column.first(candidate.doc).unwrap_or(u64::MAX);
            let plans = plans(candidate.index);
            let sort =
                sorted.then(|| plans.iter().zip(&candidate.keys).map(|(plan, key)| plan.show(key)).collect());
            let mut hit = self.hit(part, seq, highlighters.get(candidate.index))?;
            hit.score = show_score.then_some(candidate.score);
            hit.sort = sort;
            if !request.named.is_empty() {
                let weights = match named.entry(candidate.index) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(self.named(part)?),
                };
                hit.matched_queries = matched(weights, segment, candidate.doc)?;
            }
            hits.push(hit);
        }
        Ok(hits)
    }

    /// The queries with a name, ready for an index.
    fn named(&self, part: &Prepared<'_>) -> Result<Vec<Named<'_>>> {
        let state = part.state;
        let compiler = Compiler::new(&state.name, &state.uuid, &part.mapping, part.view, self.now_ms, false);
        let mut ready = Vec::with_capacity(self.request.named.len());
        for (name, query) in &self.request.named {
            let compiled = compiler.compile(&query.0)?;
            ready.push((name.as_str(), weigh(&*compiled, part.view, false)?));
        }
        Ok(ready)
    }

    /// The hit of a document, without score and sort values.
    fn hit(&self, part: &Prepared<'_>, seq: u64, highlighter: Option<&Highlighter<'_>>) -> Result<Hit> {
        let request = self.request;
        let record = part.view.record(seq)?;
        let parsed: Option<Value> = (!request.fields.is_empty() || highlighter.is_some())
            .then(|| serde_json::from_slice(&record.source).unwrap_or(Value::Null));
        let fields = parsed.as_ref().filter(|_| !request.fields.is_empty());
        let fields = fields
            .map(|source| field_values(&part.mapping, &request.fields, source))
            .filter(|f| !f.is_empty());
        let highlight = highlighter.zip(parsed.as_ref());
        let highlight = highlight.map(|(h, source)| h.highlight(source)).filter(|found| !found.is_empty());
        Ok(Hit {
            index: part.state.name.clone(),
            id: record.id,
            score: None,
            version: request.version.then_some(record.version),
            seq_no: request.seq_no_primary_term.then_some(seq),
            primary_term: request.seq_no_primary_term.then_some(crate::kv::PRIMARY_TERM),
            source: if part.mapping.source_enabled() { request.source.apply(&record.source) } else { None },
            fields,
            highlight,
            sort: None,
            matched_queries: Vec::new(),
        })
    }
}
