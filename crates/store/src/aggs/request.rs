//! Aggregations as the caller states them.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use crate::dates::{CalendarUnit, Zone};
use crate::query::Query;
use crate::search::SearchRequest;

/// One aggregation of a search, with those inside it.
#[derive(Debug, Clone)]
pub struct AggRequest {
    pub(super) name: String,
    /// Unique within the search.
    pub(super) id: usize,
    pub(super) kind: Kind,
    /// Returned as it was given.
    pub(super) meta: Option<Value>,
    pub(super) subs: Vec<AggRequest>,
}

/// Which values an aggregation looks at and how it shows them.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    pub(super) field: String,
    /// What documents without a value count as.
    pub(super) missing: Option<Value>,
    pub(super) format: Option<String>,
    pub(super) zone: Option<Zone>,
}

/// What an aggregation computes.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Terms(Box<Terms>),
    Histogram(Box<Histogram>),
    Range(Ranges),
    Composite(Box<Composite>),
    Filter(Query),
    Filters(Filters),
    Missing(Values),
    Global,
    Metric(Metric, Values),
    TopHits(Box<TopHits>),
}

impl Kind {
    /// The values it reads.
    pub(super) fn values(&self) -> Option<&Values> {
        match self {
            Self::Terms(terms) => Some(&terms.values),
            Self::Histogram(histogram) => Some(&histogram.values),
            Self::Range(ranges) => Some(&ranges.values),
            Self::Missing(values) | Self::Metric(_, values) => Some(values),
            Self::Composite(_) | Self::Filter(_) | Self::Filters(_) | Self::Global | Self::TopHits(_) => None,
        }
    }

    /// The aggregations that it is made of.
    pub(super) fn sources(&self) -> &[Source] {
        match self {
            Self::Composite(composite) => &composite.sources,
            _ => &[],
        }
    }

    /// Elasticsearch's name of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Terms(_) => "terms",
            Self::Histogram(histogram) if matches!(histogram.interval, Interval::Number(_)) => "histogram",
            Self::Histogram(_) => "date_histogram",
            Self::Range(ranges) if ranges.dates => "date_range",
            Self::Range(_) => "range",
            Self::Composite(_) => "composite",
            Self::Filter(_) => "filter",
            Self::Filters(_) => "filters",
            Self::Missing(_) => "missing",
            Self::Global => "global",
            Self::Metric(metric, _) => metric.name(),
            Self::TopHits(_) => "top_hits",
        }
    }

    /// Whether it reads numbers, dates and booleans only.
    pub(super) fn wants_numbers(&self) -> bool {
        match self {
            Self::Histogram(_) | Self::Range(_) => true,
            Self::Metric(metric, _) => !matches!(metric, Metric::ValueCount | Metric::Cardinality),
            _ => false,
        }
    }

    /// Whether it puts documents into one bucket.
    pub(super) fn is_single_bucket(&self) -> bool {
        matches!(self, Self::Filter(_) | Self::Missing(_) | Self::Global)
    }
}

/// A key of a bucket order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OrderBy {
    Count,
    Key,
    /// Names of aggregations inside the bucket, and which of its values.
    Path {
        names: Vec<String>,
        value: Option<String>,
    },
}

/// One part of a bucket order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BucketOrder {
    pub(super) by: OrderBy,
    pub(super) descending: bool,
}

impl BucketOrder {
    pub(super) fn new(by: OrderBy, descending: bool) -> Self {
        Self { by, descending }
    }
}

/// Which terms count.
#[derive(Debug, Clone, Default)]
pub(super) struct TermFilter {
    pub(super) include: Option<Pick>,
    pub(super) exclude: Option<Pick>,
    /// The part and of how many.
    pub(super) partition: Option<(u64, u64)>,
}

/// A choice of terms.
#[derive(Debug, Clone)]
pub(super) enum Pick {
    Pattern(Arc<Regex>),
    Exact(Vec<Value>),
}

#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) values: Values,
    pub(super) size: usize,
    pub(super) min_doc_count: u64,
    pub(super) order: Vec<BucketOrder>,
    pub(super) filter: TermFilter,
    /// `show_term_doc_count_error`.
    pub(super) show_error: bool,
}

/// How wide the buckets of a histogram are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Interval {
    Number(f64),
    Calendar(CalendarUnit),
    /// Milliseconds.
    Fixed(i64),
    /// `date_histogram` without one: an error when it runs.
    None,
}

/// Both ends may be open.
#[derive(Debug, Clone, Default)]
pub(super) struct BoundsRequest {
    pub(super) min: Option<Value>,
    pub(super) max: Option<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub(super) values: Values,
    pub(super) interval: Interval,
    /// In the unit of the keys.
    pub(super) offset: f64,
    pub(super) min_doc_count: u64,
    pub(super) keyed: bool,
    pub(super) order: Vec<BucketOrder>,
    /// Buckets that are there even when empty.
    pub(super) extended: Option<BoundsRequest>,
    /// Buckets outside are left out.
    pub(super) hard: Option<BoundsRequest>,
}

#[derive(Debug, Clone)]
pub(super) struct RangeRequest {
    pub(super) key: Option<String>,
    pub(super) from: Option<Value>,
    pub(super) to: Option<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Ranges {
    pub(super) values: Values,
    pub(super) dates: bool,
    pub(super) ranges: Vec<RangeRequest>,
    pub(super) keyed: bool,
}

/// Combinations of values.
#[derive(Debug, Clone)]
pub(super) struct Composite {
    pub(super) sources: Vec<Source>,
    pub(super) size: usize,
    /// A value for each source by its name, behind which the page begins.
    pub(super) after: Option<Map<String, Value>>,
}

/// One of the values that a combination is of.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The aggregation that it would be alone: `terms`, `histogram` or `date_histogram`.
    pub(super) request: AggRequest,
    /// Whether documents without a value count.
    pub(super) missing_bucket: bool,
    /// Whether those come first; by default when the order is not descending.
    pub(super) absent_first: Option<bool>,
    pub(super) descending: bool,
}

impl Source {
    pub(super) fn field(&self) -> Option<&str> {
        self.request.kind.values().map(|values| values.field.as_str())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// Names are empty for a list of filters.
    pub(super) filters: Vec<(String, Query)>,
    pub(super) named: bool,
    /// Buckets as an object, only for named filters.
    pub(super) keyed: bool,
    pub(super) other: Option<String>,
}

/// Numbers computed of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Metric {
    Min,
    Max,
    Sum,
    Avg,
    ValueCount,
    Stats,
    ExtendedStats { sigma: f64 },
    Cardinality,
    Percentiles { percents: Vec<f64>, keyed: bool },
    PercentileRanks { values: Vec<f64>, keyed: bool },
}

impl Metric {
    fn name(&self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::ValueCount => "value_count",
            Self::Stats => "stats",
            Self::ExtendedStats { .. } => "extended_stats",
            Self::Cardinality => "cardinality",
            Self::Percentiles { .. } => "percentiles",
            Self::PercentileRanks { .. } => "percentile_ranks",
        }
    }

    /// Whether it has several values, one of which an order must name.
    pub(super) fn has_many_values(&self) -> bool {
        !matches!(self, Self::Min | Self::Max | Self::Sum | Self::Avg | Self::ValueCount | Self::Cardinality)
    }
}

#[derive(Debug, Clone)]
pub(super) struct TopHits {
    /// Of which only the part that concerns hits is used.
    pub(super) search: SearchRequest,
}

impl AggRequest {
    /// The name under which the answer has its result.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
