//! On which days of a month a schedule fires.

use chrono::{Datelike, NaiveDate};

use crate::field::Field;
use crate::item::Item;
use crate::parse::bits;

/// The day field that is not `?`. Bit n stands for day n, or weekday n with Sunday as 1.
#[derive(Clone, Debug)]
pub(crate) enum DayRule {
    OfMonth { days: u64, nearest_weekdays: u64, last: Option<LastDay> },
    OfWeek { weekdays: u64, last_weekdays: u64, nth: Option<Nth> },
}

/// Days before the last of the month, moved to the nearest weekday or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastDay {
    offset: u32,
    nearest_weekday: bool,
}

/// The k-th such weekday of the month.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nth {
    weekday: u32,
    nth: u32,
}

/// The rule of a day-of-month field.
pub(crate) fn of_month(items: &[Item]) -> DayRule {
    let (mut nearest_weekdays, mut last) = (0, None);
    for item in items {
        match *item {
            Item::NearestWeekday(day) => nearest_weekdays |= 1 << day,
            Item::LastDay { offset, nearest_weekday } => last = Some(LastDay { offset, nearest_weekday }),
            _ => {}
        }
    }
    DayRule::OfMonth { days: bits(items, Field::DayOfMonth), nearest_weekdays, last }
}

/// The rule of a day-of-week field.
pub(crate) fn of_week(items: &[Item]) -> DayRule {
    let (mut last_weekdays, mut nth_weekday) = (0, None);
    for item in items {
        match *item {
            Item::LastWeekday(weekday) => last_weekdays |= 1 << weekday,
            Item::NthWeekday { weekday, nth } => nth_weekday = Some(Nth { weekday, nth }),
            _ => {}
        }
    }
    DayRule::OfWeek { weekdays: bits(items, Field::DayOfWeek), last_weekdays, nth: nth_weekday }
}

impl DayRule {
    /// The firing days of a month, one bit each; 0 for a month that the calendar does not reach.
    pub(crate) fn in_month(&self, year: i32, month: u32) -> u64 {
        let Some(month) = Month::new(year, month) else { return 0 };
        match self {
            Self::OfMonth { days, nearest_weekdays, last } => {
                let nearest = ones(*nearest_weekdays & month.days())
                    .fold(0, |found, day| found | 1 << month.nearest_weekday(day));
                let last = last.map_or(0, |last| month.last(last));
                (days & month.days()) | nearest | last
            }
            Self::OfWeek { weekdays, last_weekdays, nth } => {
                let weekly = (1..=month.length).filter(|day| weekdays & 1 << month.weekday(*day) != 0);
                let last = (month.length - 6..=month.length)
                    .filter(|day| last_weekdays & 1 << month.weekday(*day) != 0);
                let nth = nth.and_then(|nth| month.nth(nth));
                weekly.chain(last).chain(nth).fold(0, |found, day| found | 1 << day)
            }
        }
    }
}

/// A month of a year.
struct Month {
    length: u32,
    /// The weekday of the first, counted from Sunday as 0.
    first: u32,
}

impl Month {
    fn new(year: i32, month: u32) -> Option<Self> {
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        let length = u32::from(first.num_days_in_month());
        Some(Self { length, first: first.weekday().num_days_from_sunday() })
    }

    /// All days, one bit each.
    fn days(&self) -> u64 {
        (1 << (self.length + 1)) - 2
    }

    /// Quartz's number of a day's weekday: Sunday is 1.
    fn weekday(&self, day: u32) -> u32 {
        (self.first + day - 1) % 7 + 1
    }

    /// The weekday nearest to a day without leaving the month.
    fn nearest_weekday(&self, day: u32) -> u32 {
        match self.weekday(day) {
            7 if day == 1 => day + 2,
            7 => day - 1,
            1 if day == self.length => day - 2,
            1 => day + 1,
            _ => day,
        }
    }

    fn last(&self, last: LastDay) -> u64 {
        match self.length.checked_sub(last.offset) {
            None | Some(0) => 0,
            Some(day) if last.nearest_weekday => 1 << self.nearest_weekday(day),
            Some(day) => 1 << day,
        }
    }

    fn nth(&self, nth: Nth) -> Option<u32> {
        let first = 1 + (nth.weekday + 6 - self.first) % 7;
        Some(first + 7 * (nth.nth - 1)).filter(|day| *day <= self.length)
    }
}

/// The numbers of the bits that are set, upwards.
fn ones(bits: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |n| bits & 1 << n != 0)
}
