//! `histogram` and `date_histogram`: buckets of equal width, or of calendar units.

use std::collections::BTreeMap;

use serde_json::json;
use tantivy::DocId;

use super::acc::{Acc, Bucket, Groups, Object, bucket_list, sort_buckets};
use super::cx::{Cx, End, Learned};
use super::request::{AggRequest, Histogram, Interval};
use crate::dates::{CalendarUnit, Zone, add, floor_to};
use crate::error::Result;

/// Gives values their bucket. Keys are whole numbers: milliseconds, or multiples of the interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    interval: Interval,
    offset: f64,
    zone: Zone,
}

impl Rounding {
    pub(super) fn new(spec: &Histogram) -> Self {
        Self { interval: spec.interval, offset: spec.offset, zone: spec.values.zone.unwrap_or_default() }
    }

    pub(super) fn key(self, value: f64) -> i64 {
        match self.interval {
            Interval::Number(width) => ((value - self.offset) / width).floor() as i64,
            Interval::Fixed(width) => self.local(value, |local| local.div_euclid(width) * width),
            Interval::Calendar(unit) => self.local(value, |local| floor_to(local, unit)),
            Interval::None => 0,
        }
    }

    /// Rounds as clocks in the zone show it.
    fn local(self, value: f64, round: impl Fn(i64) -> i64) -> i64 {
        let offset = self.offset as i64;
        let utc = (value as i64).saturating_sub(offset);
        let ahead = self.zone.offset_at(utc);
        let rounded = round(utc.saturating_add(ahead));
        // Units below a day stay apart when clocks show an hour twice.
        let result = if self.is_short() { rounded - ahead } else { self.zone.to_utc(rounded) };
        result.saturating_add(offset)
    }

    fn is_short(self) -> bool {
        match self.interval {
            Interval::Calendar(unit) => {
                matches!(unit, CalendarUnit::Second | CalendarUnit::Minute | CalendarUnit::Hour)
            }
            Interval::Fixed(width) => width < 86_400_000,
            Interval::Number(_) | Interval::None => false,
        }
    }

    /// The key after a key.
    fn next(self, key: i64) -> i64 {
        let after = |length: i64| {
            let next = key.saturating_add(length);
            // A change of clocks makes some units shorter or longer.
            let rounded = self.key(next as f64);
            if rounded > key { rounded } else { self.key(next.saturating_add(length / 2) as f64) }
        };
        match self.interval {
            Interval::Number(_) | Interval::None => key.saturating_add(1),
            Interval::Fixed(width) if matches!(self.zone, Zone::Fixed(_)) => key.saturating_add(width),
            Interval::Fixed(width) => after(width),
            Interval::Calendar(unit) => {
                let offset = self.offset as i64;
                let utc = key.saturating_sub(offset);
                let local = utc.saturating_add(self.zone.offset_at(utc));
                match (self.is_short(), unit.fixed_millis()) {
                    (true, Some(length)) => after(length),
                    _ => {
                        let next = add(local, 1, unit).unwrap_or(i64::MAX);
                        self.zone.to_utc(next).saturating_add(offset).max(key.saturating_add(1))
                    }
                }
            }
        }
    }

    /// The number a key stands for.
    pub(super) fn shown(self, key: i64) -> f64 {
        match self.interval {
            Interval::Number(width) => key as f64 * width + self.offset,
            _ => key as f64,
        }
    }
}

pub(super) struct HistogramAcc<'r> {
    request: &'r AggRequest,
    spec: &'r Histogram,
    rounding: Rounding,
    buckets: BTreeMap<i64, Bucket<'r>>,
}

impl<'r> HistogramAcc<'r> {
    pub(super) fn new(request: &'r AggRequest, spec: &'r Histogram) -> Self {
        Self { request, spec, rounding: Rounding::new(spec), buckets: BTreeMap::new() }
    }

    /// Whether `hard_bounds` allow a key.
    fn allows(&self, learned: &Learned, key: i64) -> bool {
        let (min, max) = learned.hard;
        match self.spec.interval {
            Interval::Number(_) => {
                let shown = self.rounding.shown(key);
                min.is_none_or(|min| shown >= min) && max.is_none_or(|max| shown <= max)
            }
            _ => {
                min.is_none_or(|min| key >= self.rounding.key(min))
                    && max.is_none_or(|max| (key as f64) < max)
            }
        }
    }

    /// Adds the buckets without documents.
    fn fill(&mut self, learned: &Learned, end: &mut End<'_>) -> Result<()> {
        let rounding = self.rounding;
        let (low, high) =
            (learned.extended.0.map(|v| rounding.key(v)), learned.extended.1.map(|v| rounding.key(v)));
        let first = self.buckets.keys().next().copied().into_iter().chain(low).min();
        let last = self.buckets.keys().next_back().copied().into_iter().chain(high).max();
        let (Some(mut key), Some(last)) = (first, last) else { return Ok(()) };
        if self.buckets.is_empty() && (low.is_none() || high.is_none()) {
            return Ok(());
        }
        while key <= last {
            if !self.buckets.contains_key(&key) {
                end.add_buckets(1)?;
                self.buckets.insert(key, Bucket::new(self.request));
            }
            let next = rounding.next(key);
            if next <= key {
                break;
            }
            key = next;
        }
        Ok(())
    }

    fn bucket(
        &self,
        key: i64,
        bucket: Bucket<'r>,
        learned: &Learned,
        end: &mut End<'_>,
    ) -> Result<(String, Object)> {
        let number = self.rounding.shown(key);
        let mut out = Object::new();
        let text = learned.show.text(number);
        if let Some(text) = &text {
            out.insert("key_as_string".into(), json!(text));
        }
        let dates = !matches!(self.spec.interval, Interval::Number(_));
        out.insert("key".into(), if dates { json!(key) } else { json!(number) });
        bucket.finish(end, &mut out)?;
        let name = text.unwrap_or_else(|| if dates { key.to_string() } else { learned.show.key(number) });
        Ok((name, out))
    }
}

impl<'r> Acc<'r> for HistogramAcc<'r> {
    fn collect(&mut self, cx: &Cx<'_>, segment: usize, docs: &[DocId]) -> Result<()> {
        let opened = cx.open(&self.spec.values.field, segment)?;
        let learned = cx.learned(self.request);
        let missing = cx.missing_number(self.request)?;
        let mut groups = Groups::new(self.request);
        for doc in docs {
            let mut any = false;
            opened.numbers(*doc, |value| {
                any = true;
                groups.add(self.rounding.key(value), *doc);
            });
            if let (false, Some(value)) = (any, missing) {
                groups.add(self.rounding.key(value), *doc);
            }
        }
        for (key, group) in groups.into_map() {
            if self.allows(&learned, key) {
                let request = self.request;
                self.buckets
                    .entry(key)
                    .or_insert_with(|| Bucket::new(request))
                    .add_group(cx, segment, &group)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, end: &mut End<'_>) -> Result<Object> {
        let learned = end.learned(self.request);
        let least = self.spec.min_doc_count;
        self.buckets.retain(|_, bucket| bucket.count >= least);
        end.add_buckets(self.buckets.len())?;
        if least == 0 {
            self.fill(&learned, end)?;
        }
        let sorted = sort_buckets(std::mem::take(&mut self.buckets), &self.spec.order, i64::cmp);
        let buckets = sorted
            .into_iter()
            .map(|s| self.bucket(s.key, s.bucket, &learned, end))
            .collect::<Result<Vec<_>>>()?;
        Ok(bucket_list(buckets, self.spec.keyed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::millis_of;

    fn at(month: u32, day: u32, hour: u32) -> i64 {
        millis_of((2024, month, day, hour, 0, 0, 0)).unwrap()
    }

    #[test]
    fn days_follow_the_clock_of_the_zone() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let rounding = Rounding { interval: Interval::Calendar(CalendarUnit::Day), offset: 0.0, zone };
        // 31 March has 23 hours there.
        let day = rounding.key(at(3, 31, 12) as f64);
        assert_eq!(day, at(3, 30, 23));
        assert_eq!(rounding.next(day), at(3, 31, 22));
        assert_eq!(rounding.next(rounding.next(day)), at(4, 1, 22));
    }

    #[test]
    fn hours_stay_apart_when_clocks_show_one_twice() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let rounding = Rounding { interval: Interval::Calendar(CalendarUnit::Hour), offset: 0.0, zone };
        let first = rounding.key(at(10, 27, 0) as f64 + 5.0);
        let second = rounding.key(at(10, 27, 1) as f64 + 5.0);
        assert_eq!((first, second), (at(10, 27, 0), at(10, 27, 1)));
        assert_eq!(rounding.next(first), second);
    }

    #[test]
    fn numbers_below_zero_round_down() {
        let rounding = Rounding { interval: Interval::Number(5.0), offset: 1.0, zone: Zone::default() };
        assert_eq!(rounding.shown(rounding.key(-3.0)), -4.0);
        assert_eq!(rounding.shown(rounding.key(1.0)), 1.0);
        assert_eq!(rounding.shown(rounding.next(rounding.key(1.0))), 6.0);
    }
}
