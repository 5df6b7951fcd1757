//! Reading aggregations in Elasticsearch's form.

use serde_json::{Map, Value};

use super::request::{AggRequest, Filters, Kind, Metric, TopHits, Values};
use super::{parse_buckets, parse_composite};
use crate::dates::Zone;
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::query::{Query, scalar_text, token_name};
use crate::search::SearchRequest;

pub(super) type Object = Map<String, Value>;

/// What Elasticsearch can do and this store cannot.
const UNSUPPORTED: [&str; 53] = [
    "adjacency_matrix",
    "auto_date_histogram",
    "avg_bucket",
    "boxplot",
    "bucket_correlation",
    "bucket_count_ks_test",
    "bucket_script",
    "bucket_selector",
    "bucket_sort",
    "categorize_text",
    "change_point",
    "children",
    "cumulative_cardinality",
    "cumulative_sum",
    "derivative",
    "diversified_sampler",
    "extended_stats_bucket",
    "frequent_item_sets",
    "geo_bounds",
    "geo_centroid",
    "geo_distance",
    "geo_line",
    "geohash_grid",
    "geotile_grid",
    "inference",
    "ip_prefix",
    "ip_range",
    "matrix_stats",
    "max_bucket",
    "median_absolute_deviation",
    "min_bucket",
    "moving_fn",
    "nested",
    "multi_terms",
    "parent",
    "percentiles_bucket",
    "random_sampler",
    "rare_terms",
    "rate",
    "reverse_nested",
    "sampler",
    "scripted_metric",
    "serial_diff",
    "significant_terms",
    "significant_text",
    "stats_bucket",
    "string_stats",
    "sum_bucket",
    "t_test",
    "time_series",
    "top_metrics",
    "variable_width_histogram",
    "weighted_avg",
];

/// Aggregations inside aggregations may go this deep.
const MAX_DEPTH: usize = 20;

pub(super) fn malformed(reason: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::XContentParse, reason)
}

/// The definition of one aggregation: its type, its name and the members of its object.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) members: &'a Object,
}

impl Body<'_> {
    pub(super) fn unknown(&self, key: &str) -> StoreError {
        malformed(format!("[{}] unknown field [{key}]", self.kind))
    }

    /// The error for a member that cannot be read.
    pub(super) fn failed(&self, key: &str, why: impl Into<String>) -> StoreError {
        let error = malformed(format!("[{}] failed to parse field [{key}]", self.kind));
        error.because(Cause::new("illegal_argument_exception", why))
    }

    fn wrong(&self, key: &str, value: &Value) -> StoreError {
        malformed(format!("[{}] {key} doesn't support values of type: {}", self.kind, token_name(value)))
    }

    pub(super) fn number(&self, key: &str, value: &Value) -> Result<f64> {
        let text = value.as_str().and_then(|text| text.trim().parse().ok());
        value
            .as_f64()
            .or(text)
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.wrong(key, value))
    }

    pub(super) fn count(&self, key: &str, value: &Value) -> Result<u64> {
        let number = self.number(key, value)?;
        if number < 0.0 {
            let why =
                format!("[{key}] must be greater than or equal to 0. Found [{number}] in [{}]", self.name);
            return Err(self.failed(key, why));
        }
        Ok(number as u64)
    }

    pub(super) fn flag(&self, key: &str, value: &Value) -> Result<bool> {
        match scalar_text(value).as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong(key, value)),
        }
    }

    pub(super) fn text(&self, key: &str, value: &Value) -> Result<String> {
        value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key, value))
    }

    pub(super) fn object<'v>(&self, key: &str, value: &'v Value) -> Result<&'v Object> {
        value.as_object().ok_or_else(|| self.wrong(key, value))
    }

    pub(super) fn list<'v>(&self, key: &str, value: &'v Value) -> Result<&'v Vec<Value>> {
        value.as_array().ok_or_else(|| self.wrong(key, value))
    }

    /// Reads which values are meant; `other` takes the members that are not about that and tells whether it knows them.
    pub(super) fn values(&self, mut other: impl FnMut(&str, &Value) -> Result<bool>) -> Result<Values> {
        let mut values = Values::default();
        for (key, value) in self.members {
            match key.as_str() {
                "field" => values.field = self.text(key, value)?,
                "missing" => values.missing = Some(value.clone()),
                "format" => values.format = Some(self.text(key, value)?),
                "value_type" => {}
                "script" => {
                    let reason = format!("[script] in [{}] is not supported by the embedded node", self.kind);
                    return Err(StoreError::new(ErrorKind::Unsupported, reason));
                }
                "time_zone" => {
                    let text = scalar_text(value);
                    let zone = Zone::parse(&text);
                    let why = || format!("Unknown time-zone ID: {text}");
                    values.zone = Some(zone.ok_or_else(|| self.failed(key, why()))?);
                }
                _ if other(key, value)? => {}
                _ => return Err(self.unknown(key)),
            }
        }
        if values.field.is_empty() {
            return Err(StoreError::illegal(
                "Required one of fields [field, script], but none were specified.",
            ));
        }
        Ok(values)
    }
}

/// Gives out numbers.
pub(super) struct Parser {
    next: usize,
}

/// Reads `aggs`.
pub(crate) fn parse(value: &Value) -> Result<Vec<AggRequest>> {
    let Value::Object(object) = value else {
        return Err(StoreError::parsing(format!("Unknown key for a {} in [aggs].", token_name(value))));
    };
    Parser { next: 0 }.level(object, 0)
}

impl Parser {
    fn level(&mut self, object: &Object, depth: usize) -> Result<Vec<AggRequest>> {
        if depth > MAX_DEPTH {
            return Err(StoreError::illegal(format!(
                "aggregations may not be nested deeper than [{MAX_DEPTH}]"
            )));
        }
        object.iter().map(|(name, value)| self.one(name, value, depth)).collect()
    }

    fn one(&mut self, name: &str, value: &Value, depth: usize) -> Result<AggRequest> {
        if name.is_empty() || name.contains(['[', ']', '>']) {
            let reason = format!(
                "Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and '>'"
            );
            return Err(StoreError::parsing(reason));
        }
        let Value::Object(object) = value else {
            let reason = format!(
                "Aggregation definition for [{name} starts with a [{}], expected a [START_OBJECT].",
                token_name(value)
            );
            return Err(StoreError::parsing(reason));
        };
        let id = self.next;
        self.next += 1;
        let (mut kind, mut kind_name, mut meta, mut subs) = (None, "", None, Vec::new());
        for (key, value) in object {
            match key.as_str() {
                "meta" => meta = Some(value.clone()),
                "aggs" | "aggregations" => {
                    let Value::Object(inner) = value else {
                        let token = token_name(value);
                        let reason =
                            format!("Expected [START_OBJECT] under [{key}], but got a [{token}] in [{name}]");
                        return Err(StoreError::parsing(reason));
                    };
                    subs = self.level(inner, depth + 1)?;
                }
                key => {
                    let Value::Object(members) = value else {
                        let token = token_name(value);
                        let reason =
                            format!("Expected [START_OBJECT] under [{key}], but got a [{token}] in [{name}]");
                        return Err(StoreError::parsing(reason));
                    };
                    if kind.is_some() {
                        let reason = format!(
                            "Found two aggregation type definitions in [{name}]: [{kind_name}] and [{key}]"
                        );
                        return Err(StoreError::parsing(reason));
                    }
                    kind_name = key;
                    kind = Some(parse_kind(Body { kind: key, name, members })?);
                }
            }
        }
        let missing = || StoreError::parsing(format!("Missing definition for aggregation [{name}]"));
        let mut kind = kind.ok_or_else(missing)?;
        if let Kind::Composite(composite) = &mut kind {
            for source in &mut composite.sources {
                source.request.id = self.next;
                self.next += 1;
            }
        }
        if !subs.is_empty() && matches!(kind, Kind::Metric(..) | Kind::TopHits(_)) {
            let reason = format!("Aggregator [{name}] of type [{kind_name}] cannot accept sub-aggregations");
            return Err(StoreError::illegal(reason));
        }
        if depth > 0 && matches!(kind, Kind::Global) {
            let reason = format!("Aggregator [{name}] of type [global] can only stand at the top level");
            return Err(StoreError::illegal(reason));
        }
        Ok(AggRequest { name: name.to_owned(), id, kind, meta, subs })
    }
}

fn parse_kind(body: Body<'_>) -> Result<Kind> {
    Ok(match body.kind {
        "terms" => Kind::Terms(Box::new(parse_buckets::terms(body)?)),
        "histogram" => Kind::Histogram(Box::new(parse_buckets::histogram(body)?)),
        "date_histogram" => Kind::Histogram(Box::new(parse_buckets::date_histogram(body)?)),
        "range" | "date_range" => Kind::Range(parse_buckets::ranges(body)?),
        "composite" => Kind::Composite(Box::new(parse_composite::composite(body)?)),
        "filter" => Kind::Filter(Query::parse(&Value::Object(body.members.clone()))?),
        "filters" => Kind::Filters(filters(body)?),
        "missing" => Kind::Missing(body.values(|_, _| Ok(false))?),
        "global" => match body.members.keys().next() {
            Some(key) => return Err(body.unknown(key)),
            None => Kind::Global,
        },
        "top_hits" => Kind::TopHits(Box::new(top_hits(body)?)),
        "min" | "max" | "sum" | "avg" | "value_count" | "stats" => {
            let metric = match body.kind {
                "min" => Metric::Min,
                "max" => Metric::Max,
                "sum" => Metric::Sum,
                "avg" => Metric::Avg,
                "value_count" => Metric::ValueCount,
                _ => Metric::Stats,
            };
            Kind::Metric(metric, body.values(|_, _| Ok(false))?)
        }
        "extended_stats" => extended_stats(body)?,
        "cardinality" => {
            let values =
                body.values(|key, _| Ok(matches!(key, "precision_threshold" | "rehash" | "execution_hint")))?;
            Kind::Metric(Metric::Cardinality, values)
        }
        "percentiles" | "percentile_ranks" => percentiles(body)?,
        other if UNSUPPORTED.contains(&other) => return Err(unsupported(other)),
        other => {
            let cause = Cause::new("named_object_not_found_exception", format!("unknown field [{other}]"));
            return Err(StoreError::parsing(format!("Unknown aggregation type [{other}]")).because(cause));
        }
    })
}

fn unsupported(kind: &str) -> StoreError {
    let reason = format!("aggregations of type [{kind}] are not supported by the embedded node");
    StoreError::new(ErrorKind::Unsupported, reason)
}

fn extended_stats(body: Body<'_>) -> Result<Kind> {
    let mut sigma = 2.0;
    let values = body.values(|key, value| {
        if key != "sigma" {
            return Ok(false);
        }
        sigma = body.number(key, value)?;
        if sigma < 0.0 {
            let why =
                format!("[sigma] must be greater than or equal to 0. Found [{sigma}] in [{}]", body.name);
            return Err(body.failed(key, why));
        }
        Ok(true)
    })?;
    Ok(Kind::Metric(Metric::ExtendedStats { sigma }, values))
}

fn percentiles(body: Body<'_>) -> Result<Kind> {
    let ranks = body.kind == "percentile_ranks";
    let mut list = if ranks { Vec::new() } else { vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0] };
    let mut keyed = true;
    let values = body.values(|key, value| {
        match key {
            "keyed" => keyed = body.flag(key, value)?,
            "tdigest" | "hdr" => {}
            "percents" if !ranks => {
                list = body.list(key, value)?.iter().map(|v| body.number(key, v)).collect::<Result<_>>()?;
            }
            "values" if ranks => {
                list = body.list(key, value)?.iter().map(|v| body.number(key, v)).collect::<Result<_>>()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let what = if ranks { "values" } else { "percents" };
    let unbuilt = |why: String| {
        let reason = format!("Failed to build [{}] after last required field arrived", body.kind);
        malformed(reason).because(Cause::new("illegal_argument_exception", why))
    };
    if list.is_empty() {
        return Err(unbuilt(format!("[{what}] must not be an empty array: [{}]", body.name)));
    }
    if !ranks && let Some(bad) = list.iter().find(|percent| !(0.0..=100.0).contains(*percent)) {
        return Err(unbuilt(format!("percent must be in [0,100], got [{bad}]: [{}]", body.name)));
    }
    list.sort_by(f64::total_cmp);
    let metric = if ranks {
        Metric::PercentileRanks { values: list, keyed }
    } else {
        Metric::Percentiles { percents: list, keyed }
    };
    Ok(Kind::Metric(metric, values))
}

fn filters(body: Body<'_>) -> Result<Filters> {
    let mut filters = Filters { filters: Vec::new(), named: true, keyed: true, other: None };
    let (mut other, mut other_key) = (None, None);
    for (key, value) in body.members {
        match key.as_str() {
            "filters" => match value {
                Value::Object(named) => {
                    filters.filters = named
                        .iter()
                        .map(|(name, query)| Ok((name.clone(), Query::parse(query)?)))
                        .collect::<Result<_>>()?;
                    filters.filters.sort_by(|a, b| a.0.cmp(&b.0));
                }
                Value::Array(list) => {
                    filters.named = false;
                    filters.filters = list
                        .iter()
                        .map(|query| Ok((String::new(), Query::parse(query)?)))
                        .collect::<Result<_>>()?;
                }
                other => return Err(body.wrong(key, other)),
            },
            "other_bucket" => other = Some(body.flag(key, value)?),
            "other_bucket_key" => other_key = Some(body.text(key, value)?),
            "keyed" => filters.keyed = body.flag(key, value)?,
            _ => return Err(body.unknown(key)),
        }
    }
    if filters.filters.is_empty() {
        return Err(StoreError::illegal("[filters] cannot be empty."));
    }
    if other.unwrap_or(other_key.is_some()) {
        filters.other = Some(other_key.unwrap_or_else(|| "_other_".to_owned()));
    }
    Ok(filters)
}

/// The members of a search that concern hits.
const HIT_MEMBERS: [&str; 13] = [
    "from",
    "size",
    "sort",
    "_source",
    "fields",
    "docvalue_fields",
    "stored_fields",
    "highlight",
    "explain",
    "version",
    "seq_no_primary_term",
    "track_scores",
    "script_fields",
];

fn top_hits(body: Body<'_>) -> Result<TopHits> {
    if let Some(key) = body.members.keys().find(|key| !HIT_MEMBERS.contains(&key.as_str())) {
        return Err(StoreError::parsing(format!("Unknown key for a VALUE in [{}]: [{key}].", body.name)));
    }
    let mut members = body.members.clone();
    members.entry("size").or_insert(Value::from(3));
    let search = SearchRequest::parse(&Value::Object(members))?;
    if search.from + search.size > 100 {
        let reason = format!(
            "Top hits result window is too large, the top hits aggregator [{}]'s from + size must be less than or equal to: \
             [100] but was [{}]. This limit can be set by changing the [index.max_inner_result_window] index level setting.",
            body.name,
            search.from + search.size
        );
        return Err(StoreError::illegal(reason));
    }
    Ok(TopHits { search })
}
