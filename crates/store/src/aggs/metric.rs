//! Numbers computed of values.

use std::collections::HashSet;

use serde_json::{Value, json};
use tantivy::DocId;

use super::acc::{Acc, Object};
use super::cx::{Cx, End};
use super::request::{AggRequest, Metric, Values};
use super::show::{Show, java_double};
use crate::error::Result;

pub(super) fn start<'r>(
    request: &'r AggRequest,
    metric: &'r Metric,
    values: &'r Values,
) -> Box<dyn Acc<'r> + 'r> {
    match metric {
        Metric::Cardinality => Box::new(Distinct { request, values, seen: HashSet::new() }),
        Metric::ValueCount => Box::new(Count { values, count: 0 }),
        Metric::Percentiles { .. } | Metric::PercentileRanks { .. } => {
            Box::new(Distribution { request, metric, values, numbers: Vec::new() })
        }
        _ => Box::new(Summary { request, metric, values, stats: Stats::default() }),
    }
}

/// Calls back with all numbers of the documents.
fn each_number(
    cx: &Cx<'_>,
    request: &AggRequest,
    values: &Values,
    segment: usize,
    docs: &[DocId],
    mut found: impl FnMut(f64),
) -> Result<()> {
    let opened = cx.open(&values.field, segment)?;
    let missing = cx.missing_number(request)?;
    for doc in docs {
        let mut any = false;
        opened.numbers(*doc, |value| {
            any = true;
            found(value);
        });
        if let (false, Some(value)) = (any, missing) {
            found(value);
        }
    }
    Ok(())
}

/// A sum that keeps what rounding loses.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    value: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        if !value.is_finite() || !self.value.is_finite() {
            self.value += value;
            return;
        }
        let corrected = value + self.lost;
        let next = self.value + corrected;
        self.lost = corrected - (next - self.value);
        self.value = next;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Stats {
    count: u64,
    sum: Sum,
    squares: Sum,
    min: Option<f64>,
    max: Option<f64>,
}

impl Stats {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.squares.add(value * value);
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value / self.count as f64)
    }

    fn variance(&self, divisor: f64) -> Option<f64> {
        let count = self.count as f64;
        let variance = (self.squares.value - self.sum.value * self.sum.value / count) / divisor;
        (self.count > 0 && !variance.is_nan()).then_some(variance.max(0.0))
    }

    fn population(&self) -> Option<f64> {
        self.variance(self.count as f64)
    }

    fn sampling(&self) -> Option<f64> {
        if self.count < 2 { None } else { self.variance(self.count as f64 - 1.0) }
    }

    fn number(&self, name: &str) -> Option<f64> {
        match name {
            "count" => Some(self.count as f64),
            "min" => self.min,
            "max" => self.max,
            "avg" => self.avg(),
            "sum" => Some(self.sum.value),
            "sum_of_squares" => (self.count > 0).then_some(self.squares.value),
            "variance" | "variance_population" => self.population(),
            "variance_sampling" => self.sampling(),
            "std_deviation" | "std_deviation_population" => self.population().map(f64::sqrt),
            "std_deviation_sampling" => self.sampling().map(f64::sqrt),
            _ => None,
        }
    }

    /// The ends of the usual range of values.
    fn bound(&self, name: &str, sigma: f64) -> Option<f64> {
        let deviation = if name.ends_with("sampling") { self.sampling() } else { self.population() };
        let distance = deviation?.sqrt() * sigma;
        Some(if name.starts_with("upper") { self.avg()? + distance } else { self.avg()? - distance })
    }
}

const SIMPLE: [&str; 4] = ["min", "max", "avg", "sum"];
const EXTENDED: [&str; 7] = [
    "sum_of_squares",
    "variance",
    "variance_population",
    "variance_sampling",
    "std_deviation",
    "std_deviation_population",
    "std_deviation_sampling",
];
const BOUNDS: [&str; 6] =
    ["upper", "lower", "upper_population", "lower_population", "upper_sampling", "lower_sampling"];

/// A number, or NaN and infinity as texts, which JSON has no numbers for.
fn shown(number: Option<f64>) -> Value {
    match number {
        Some(number) if !number.is_finite() => json!(java_double(number)),
        other => json!(other),
    }
}

/// `min`, `max`, `sum`, `avg`, `stats` and `extended_stats`.
struct Summary<'r> {
    request: &'r AggRequest,
    metric: &'r Metric,
    values: &'r Values,
    stats: Stats,
}

impl Summary<'_> {
    fn single(&self) -> Option<f64> {
        match self.metric {
            Metric::Min => self.stats.min,
            Metric::Max => self.stats.max,
            Metric::Avg => self.stats.avg(),
            _ => Some(self.stats.sum.value),
        }
    }

    /// `false` and `true` stay what they are in `stats`, as Elasticsearch has it.
    fn text(show: &Show, number: f64) -> Value {
        match show {
            Show::Boolean => json!(number != 0.0),
            other => json!(other.text(number)),
        }
    }

    fn stats(&self, show: &Show) -> Object {
        let stats = &self.stats;
        let mut out = Object::new();
        out.insert("count".into(), json!(stats.count));
        for name in SIMPLE {
            out.insert(name.into(), shown(stats.number(name)));
        }
        if !show.is_raw() && stats.count > 0 {
            for name in SIMPLE {
                out.insert(
                    format!("{name}_as_string"),
                    stats.number(name).map_or(Value::Null, |n| Self::text(show, n)),
                );
            }
        }
        out
    }

    fn extended(&self, sigma: f64, show: &Show) -> Object {
        let stats = &self.stats;
        let mut out = self.stats(show);
        let number = |name: &str| {
            stats.number(name).or((stats.count == 1 && name.ends_with("sampling")).then_some(f64::NAN))
        };
        let bound = |name: &str| stats.bound(name, sigma).or((stats.count == 1).then_some(f64::NAN));
        for name in EXTENDED {
            out.insert(name.into(), shown(number(name)));
        }
        let bounds: Object = BOUNDS.iter().map(|name| ((*name).to_owned(), shown(bound(name)))).collect();
        out.insert("std_deviation_bounds".into(), Value::Object(bounds));
        if !show.is_raw() && stats.count > 0 {
            for name in EXTENDED {
                let text = number(name).map_or(Value::Null, |number| {
                    if name.starts_with("std") { json!(show.text(number)) } else { Self::text(show, number) }
                });
                out.insert(format!("{name}_as_string"), text);
            }
            let text = |name: &str| json!(bound(name).and_then(|number| show.text(number)));
            let bounds: Object = BOUNDS.iter().map(|name| ((*name).to_owned(), text(name))).collect();
            out.insert("std_deviation_bounds_as_string".into(), Value::Object(bounds));
        }
        out
    }
}

impl<'r> Acc<'r> for Summary<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let stats = &mut self.stats;
        each_number(cx, self.request, self.values, segment, docs, |value| stats.add(value))
    }

    fn finish(self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let show = end.learned(self.request).show;
        match self.metric {
            Metric::Stats => return Ok(self.stats(&show)),
            Metric::ExtendedStats { sigma } => return Ok(self.extended(*sigma, &show)),
            _ => {}
        }
        let value = self.single();
        let mut out = Object::new();
        out.insert("value".into(), shown(value));
        if let Some(text) = value.and_then(|value| show.text(value)).filter(|_| self.stats.count > 0) {
            out.insert("value_as_string".into(), json!(text));
        }
        Ok(out)
    }

    fn number(&self, value: Option<&str>) -> Option<f64> {
        match (self.metric, value) {
            (Metric::ExtendedStats { sigma }, Some(name))
                if name.starts_with("std_") && name.contains("upper") =>
            {
                self.stats.bound("upper", *sigma)
            }
            (Metric::Stats | Metric::ExtendedStats { .. }, Some(name)) => self.stats.number(name),
            _ => self.single(),
        }
    }
}

/// `value_count`.
struct Count<'r> {
    values: &'r Values,
    count: u64,
}

impl<'r> Acc<'r> for Count<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let opened = cx.open(&self.values.field, segment)?;
        for doc in docs {
            self.count += match opened.count(*doc) {
                0 if self.values.missing.is_some() => 1,
                count => count,
            };
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _end: &mut End<'_>) -> Result<Object> {
        Ok(Object::from_iter([("value".to_owned(), json!(self.count))]))
    }

    fn number(&self, _value: Option<&str>) -> Option<f64> {
        Some(self.count as f64)
    }
}

/// `cardinality`, exactly.
struct Distinct<'r> {
    request: &'r AggRequest,
    values: &'r Values,
    seen: HashSet<u64>,
}

impl<'r> Acc<'r> for Distinct<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let opened = cx.open(&self.values.field, segment)?;
        let missing = cx.missing_key(self.request)?;
        let mut codes = HashSet::new();
        for doc in docs {
            let mut any = false;
            opened.codes(*doc, |code| {
                any = true;
                codes.insert(code);
            });
            if let (false, Some(key)) = (any, &missing) {
                self.seen.insert(key.hash());
            }
        }
        for code in codes {
            self.seen.insert(opened.key_of(code)?.hash());
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _end: &mut End<'_>) -> Result<Object> {
        Ok(Object::from_iter([("value".to_owned(), json!(self.seen.len()))]))
    }

    fn number(&self, _value: Option<&str>) -> Option<f64> {
        Some(self.seen.len() as f64)
    }
}

/// `percentiles` and `percentile_ranks`, exactly.
struct Distribution<'r> {
    request: &'r AggRequest,
    metric: &'r Metric,
    values: &'r Values,
    numbers: Vec<f64>,
}

/// The value below which so many percent of the (sorted) numbers lie, between two of them in proportion.
fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = percent / 100.0 * last as f64;
    let low = (at.floor() as usize).min(last);
    let high = (low + 1).min(last);
    Some(sorted[low] + (at - low as f64) * (sorted[high] - sorted[low]))
}

/// How many percent of the (sorted) numbers lie below a value: equal ones are counted half, and between two of them the
/// share grows in proportion.
fn rank(sorted: &[f64], value: f64) -> Option<f64> {
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let below = sorted.partition_point(|number| *number < value);
    let upto = sorted.partition_point(|number| *number <= value);
    let place = if value < first || value > last || below < upto {
        (below + upto) as f64 / 2.0
    } else {
        let (low, high) = (sorted[upto - 1], sorted[upto]);
        upto as f64 - 0.5 + (value - low) / (high - low)
    };
    Some(place / sorted.len() as f64 * 100.0)
}

impl<'r> Acc<'r> for Distribution<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let numbers = &mut self.numbers;
        each_number(cx, self.request, self.values, segment, docs, |value| numbers.push(value))
    }

    fn finish(mut self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let show = end.learned(self.request).show;
        self.numbers.sort_by(f64::total_cmp);
        let (wanted, keyed, ranks) = match self.metric {
            Metric::PercentileRanks { values, keyed } => (values, *keyed, true),
            Metric::Percentiles { percents, keyed } => (percents, *keyed, false),
            _ => return Ok(Object::new()),
        };
        let result = |key: f64| if ranks { rank(&self.numbers, key) } else { percentile(&self.numbers, key) };
        let text = |value: Option<f64>| value.filter(|_| !ranks).and_then(|value| show.text(value));
        let content = if keyed {
            let mut values = Object::new();
            for key in wanted {
                let value = result(*key);
                let name = java_double(*key);
                values.insert(name.clone(), shown(value));
                if let Some(text) = text(value) {
                    values.insert(format!("{name}_as_string"), json!(text));
                }
            }
            Value::Object(values)
        } else {
            let one = |key: &f64| {
                let value = result(*key);
                let mut out =
                    Object::from_iter([("key".to_owned(), json!(key)), ("value".to_owned(), shown(value))]);
                if let Some(text) = text(value) {
                    out.insert("value_as_string".into(), json!(text));
                }
                Value::Object(out)
            };
            Value::Array(wanted.iter().map(one).collect())
        };
        Ok(Object::from_iter([("values".to_owned(), content)]))
    }

    fn number(&self, value: Option<&str>) -> Option<f64> {
        let key: f64 = value?.parse().ok()?;
        let mut sorted = self.numbers.clone();
        sorted.sort_by(f64::total_cmp);
        if matches!(self.metric, Metric::PercentileRanks { .. }) {
            rank(&sorted, key)
        } else {
            percentile(&sorted, key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values taken from a real Elasticsearch 9.4.
    #[test]
    fn percentiles_lie_between_values_in_proportion() {
        let sorted = [-3.0, 1.0, 2.0, 2.0, 7.0, 12.0];
        let wanted =
            [(1.0, -2.8), (5.0, -2.0), (25.0, 1.25), (50.0, 2.0), (75.0, 5.75), (95.0, 10.75), (99.0, 11.75)];
        for (percent, value) in wanted {
            assert!((percentile(&sorted, percent).unwrap() - value).abs() < 1e-9, "{percent}");
        }
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(rank(&sorted, 2.0), Some(50.0));
        assert_eq!(rank(&sorted, 7.0), Some(75.0));
        assert!((rank(&sorted, 5.0).unwrap() - 68.333_333_333).abs() < 1e-6);
        assert_eq!([rank(&sorted, -4.0), rank(&sorted, 13.0)], [Some(0.0), Some(100.0)]);
    }

    #[test]
    fn sums_keep_what_rounding_loses() {
        let mut sum = Sum::default();
        [1e16, 1.0, 1.0, -1e16].iter().for_each(|value| sum.add(*value));
        assert!((sum.value - 2.0).abs() < f64::EPSILON);
    }
}
