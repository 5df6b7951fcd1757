//! Reading the aggregations that make many buckets.

use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::Value;

use super::parse::{Body, malformed};
use super::request::{
    BoundsRequest, BucketOrder, Histogram, Interval, OrderBy, Pick, RangeRequest, Ranges, TermFilter, Terms,
};
use crate::dates::CalendarUnit;
use crate::error::{Result, StoreError};
use crate::query::{scalar_text, token_name};

pub(super) fn terms(body: Body<'_>) -> Result<Terms> {
    let (mut size, mut min_doc_count, mut show_error) = (10, 1, false);
    let mut order = vec![BucketOrder::new(OrderBy::Count, true)];
    let mut filter = TermFilter::default();
    let values = body.values(|key, value| {
        match key {
            "size" | "shard_size" => {
                let number = body.count(key, value)?;
                if number == 0 {
                    let why = format!("[{key}] must be greater than 0. Found [0] in [{}]", body.name);
                    return Err(body.failed(key, why));
                }
                if key == "size" {
                    size = usize::try_from(number).unwrap_or(usize::MAX);
                }
            }
            "min_doc_count" => min_doc_count = body.count(key, value)?,
            "show_term_doc_count_error" => show_error = body.flag(key, value)?,
            "order" => order = orders(body, value)?,
            "include" => include(body, value, &mut filter)?,
            "exclude" => filter.exclude = Some(pick(body, key, value)?),
            "shard_min_doc_count" | "collect_mode" | "execution_hint" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Terms { values, size, min_doc_count, order, filter, show_error })
}

fn include(body: Body<'_>, value: &Value, filter: &mut TermFilter) -> Result<()> {
    let Value::Object(object) = value else {
        filter.include = Some(pick(body, "include", value)?);
        return Ok(());
    };
    let part = |key: &str| {
        let value = object.get(key).ok_or_else(|| {
            body.failed("include", format!("Missing [{key}] parameter for partition-based include"))
        });
        body.count(key, value?)
    };
    let (partition, of) = (part("partition")?, part("num_partitions")?);
    if partition >= of {
        let why =
            format!("The partition index [{partition}] must be lower than the number of partitions [{of}]");
        return Err(body.failed("include", why));
    }
    filter.partition = Some((partition, of));
    Ok(())
}

fn pick(body: Body<'_>, key: &str, value: &Value) -> Result<Pick> {
    match value {
        Value::Array(list) => Ok(Pick::Exact(list.clone())),
        Value::String(pattern) => {
            let regex = RegexBuilder::new(&format!("^(?:{pattern})$"))
                .dot_matches_new_line(true)
                .size_limit(1 << 20)
                .build();
            let why = |_| body.failed(key, format!("invalid regular expression [{pattern}]"));
            Ok(Pick::Pattern(Arc::new(regex.map_err(why)?)))
        }
        other => Err(malformed(format!("Unrecognized token for an {key} [{}]", token_name(other)))),
    }
}

fn orders(body: Body<'_>, value: &Value) -> Result<Vec<BucketOrder>> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut orders = Vec::with_capacity(list.len());
    for entry in list {
        let object = body.object("order", entry)?;
        let mut members = object.iter();
        let (Some((path, direction)), None) = (members.next(), members.next()) else {
            return Err(StoreError::parsing("Must specify at least one field for [order]"));
        };
        let descending = match scalar_text(direction).to_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            _ => {
                return Err(StoreError::parsing(format!(
                    "Unknown order direction [{}]",
                    scalar_text(direction)
                )));
            }
        };
        orders.push(BucketOrder::new(order_by(path), descending));
    }
    Ok(orders)
}

/// Reads `_count`, `_key`, `name`, `name.value`, `name[value]` and `outer>inner.value`.
fn order_by(path: &str) -> OrderBy {
    match path {
        "_count" => return OrderBy::Count,
        "_key" | "_term" | "_time" => return OrderBy::Key,
        _ => {}
    }
    let mut names: Vec<String> = path.split('>').map(str::to_owned).collect();
    let last = names.pop().unwrap_or_default();
    let bracketed = last.strip_suffix(']').and_then(|inner| inner.split_once('['));
    let (name, value) = match bracketed.or_else(|| last.split_once('.')) {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (last, None),
    };
    names.push(name);
    OrderBy::Path { names, value }
}

fn bounds(body: Body<'_>, key: &str, value: &Value) -> Result<BoundsRequest> {
    let mut bounds = BoundsRequest::default();
    for (name, value) in body.object(key, value)? {
        let value = Some(value.clone()).filter(|value| !value.is_null());
        match name.as_str() {
            "min" => bounds.min = value,
            "max" => bounds.max = value,
            other => return Err(malformed(format!("[{key}] unknown field [{other}]"))),
        }
    }
    Ok(bounds)
}

impl Histogram {
    fn new() -> Self {
        Self {
            values: super::request::Values::default(),
            interval: Interval::None,
            offset: 0.0,
            min_doc_count: 0,
            keyed: false,
            order: vec![BucketOrder::new(OrderBy::Key, false)],
            extended: None,
            hard: None,
        }
    }

    /// Reads the members that both histograms have.
    fn member(&mut self, body: Body<'_>, key: &str, value: &Value) -> Result<bool> {
        match key {
            "min_doc_count" => self.min_doc_count = body.count(key, value)?,
            "keyed" => self.keyed = body.flag(key, value)?,
            "order" => self.order = orders(body, value)?,
            "extended_bounds" => self.extended = Some(bounds(body, key, value)?),
            "hard_bounds" => self.hard = Some(bounds(body, key, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

pub(super) fn histogram(body: Body<'_>) -> Result<Histogram> {
    let mut histogram = Histogram::new();
    let values = body.values(|key, value| {
        match key {
            "interval" => {
                let interval = body.number(key, value)?;
                if interval <= 0.0 {
                    return Err(body.failed(
                        key,
                        format!("[interval] must be >0 for histogram aggregation [{}]", body.name),
                    ));
                }
                histogram.interval = Interval::Number(interval);
            }
            "offset" => histogram.offset = body.number(key, value)?,
            _ => return histogram.member(body, key, value),
        }
        Ok(true)
    })?;
    if histogram.interval == Interval::None {
        return Err(StoreError::illegal("[interval] must be >0 for histogram aggregation [0.0]"));
    }
    Ok(Histogram { values, ..histogram })
}

fn calendar_unit(text: &str) -> Option<CalendarUnit> {
    Some(match text {
        "1s" | "second" => CalendarUnit::Second,
        "1m" | "minute" => CalendarUnit::Minute,
        "1h" | "hour" => CalendarUnit::Hour,
        "1d" | "day" => CalendarUnit::Day,
        "1w" | "week" => CalendarUnit::Week,
        "1M" | "month" => CalendarUnit::Month,
        "1q" | "quarter" => CalendarUnit::Quarter,
        "1y" | "year" => CalendarUnit::Year,
        _ => return None,
    })
}

/// Reads a length of time such as `90m`, in milliseconds.
fn duration(text: &str) -> Option<i64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim() {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" | "H" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit) as i64)
}

fn no_time_value(setting: &str, text: &str) -> String {
    format!(
        "failed to parse setting [{setting}] with value [{text}] as a time value: unit is missing or unrecognized"
    )
}

pub(super) fn date_histogram(body: Body<'_>) -> Result<Histogram> {
    let mut histogram = Histogram::new();
    let values = body.values(|key, value| {
        match key {
            "calendar_interval" | "fixed_interval" if histogram.interval != Interval::None => {
                return Err(StoreError::illegal(
                    "Cannot use [fixed_interval] with [calendar_interval] configuration option.",
                ));
            }
            "calendar_interval" => {
                let text = scalar_text(value);
                let unit = calendar_unit(&text);
                let why =
                    || format!("The supplied interval [{text}] could not be parsed as a calendar interval.");
                histogram.interval = Interval::Calendar(unit.ok_or_else(|| body.failed(key, why()))?);
            }
            "fixed_interval" => {
                let text = scalar_text(value);
                let millis = duration(&text)
                    .ok_or_else(|| body.failed(key, no_time_value("date_histogram.fixedInterval", &text)))?;
                if millis < 1 {
                    return Err(body.failed(key, "Zero or negative time interval not supported"));
                }
                histogram.interval = Interval::Fixed(millis);
            }
            "offset" => {
                let text = scalar_text(value);
                let (sign, length) = match text.strip_prefix('-') {
                    Some(rest) => (-1, rest),
                    None => (1, text.strip_prefix('+').unwrap_or(&text)),
                };
                let plain = || value.as_i64().filter(|_| value.is_number());
                let millis = duration(length).map(|millis| sign * millis).or_else(plain);
                histogram.offset = millis.ok_or_else(|| {
                    body.failed(key, no_time_value("DateHistogramAggregationBuilder.parseOffset", &text))
                })? as f64;
            }
            _ => return histogram.member(body, key, value),
        }
        Ok(true)
    })?;
    Ok(Histogram { values, ..histogram })
}

pub(super) fn ranges(body: Body<'_>) -> Result<Ranges> {
    let (mut list, mut keyed) = (Vec::new(), false);
    let values = body.values(|key, value| {
        match key {
            "keyed" => keyed = body.flag(key, value)?,
            "ranges" => {
                list = body
                    .list(key, value)?
                    .iter()
                    .map(|range| one_range(body, range))
                    .collect::<Result<_>>()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if list.is_empty() {
        return Err(StoreError::illegal(format!(
            "No [ranges] specified for the [{}] aggregation",
            body.name
        )));
    }
    Ok(Ranges { values, dates: body.kind == "date_range", ranges: list, keyed })
}

fn one_range(body: Body<'_>, value: &Value) -> Result<RangeRequest> {
    let mut range = RangeRequest { key: None, from: None, to: None };
    for (key, value) in body.object("ranges", value)? {
        let bound = match value {
            Value::Null => None,
            Value::String(_) | Value::Number(_) => Some(value.clone()),
            other => {
                return Err(malformed(format!(
                    "[range] {key} doesn't support values of type: {}",
                    token_name(other)
                )));
            }
        };
        match key.as_str() {
            "key" => range.key = bound.as_ref().map(scalar_text),
            "from" => range.from = bound,
            "to" => range.to = bound,
            other => return Err(malformed(format!("[range] unknown field [{other}]"))),
        }
    }
    Ok(range)
}
