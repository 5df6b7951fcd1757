//! Aggregations: what a search computes over all matching documents. Exact, over documents and not over samples of them.

mod acc;
mod composite;
mod cx;
mod field;
mod filters;
mod histogram;
mod metric;
mod parse;
mod parse_buckets;
mod parse_composite;
mod range;
mod request;
mod show;
mod terms;
mod top_hits;

use serde_json::{Map, Value};

use acc::Level;
use cx::{Cx, End, Lessons};
pub(crate) use cx::{Fetch, Input, MAX_BUCKETS};
pub(crate) use parse::parse;
pub use request::AggRequest;
use request::Kind;

use crate::error::Result;

/// Whether some aggregation shows or sorts by scores.
pub(crate) fn needs_scores(requests: &[AggRequest]) -> bool {
    requests.iter().any(|request| match &request.kind {
        Kind::TopHits(spec) => {
            let sort = &spec.search.sort;
            sort.is_empty() || spec.search.track_scores || sort.iter().any(|key| key.field == "_score")
        }
        _ => needs_scores(&request.subs),
    })
}

/// Whether some aggregation looks at documents that do not match.
pub(crate) fn needs_all(requests: &[AggRequest]) -> bool {
    requests.iter().any(|request| matches!(request.kind, Kind::Global))
}

/// Gathers what the aggregations of a search need, index by index.
pub(crate) struct Collector<'r> {
    requests: &'r [AggRequest],
    level: Level<'r>,
    lessons: Lessons,
}

impl<'r> Collector<'r> {
    pub(crate) fn new(requests: &'r [AggRequest]) -> Self {
        Self { requests, level: Level::new(requests), lessons: Lessons::default() }
    }

    /// Takes in what was found in an index.
    pub(crate) fn collect(&mut self, input: Input<'_>) -> Result<()> {
        let mut cx = Cx::new(input);
        cx.learn(self.requests, &mut self.lessons)?;
        for segment in 0..input.view.searcher.segment_readers().len() {
            let docs = input.docs.get(segment).map_or(&[][..], Vec::as_slice);
            self.level.collect(&cx, segment, docs)?;
        }
        Ok(())
    }

    /// The content of `aggregations`.
    pub(crate) fn finish(self, fetch: &Fetch<'_>, typed: bool) -> Result<Map<String, Value>> {
        let mut out = Map::new();
        self.level.finish(&mut End::new(&self.lessons, fetch, typed), &mut out)?;
        Ok(out)
    }
}
