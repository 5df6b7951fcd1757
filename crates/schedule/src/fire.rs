//! Firing times: the day by month masks, the time of day by bits. Every search is bounded by the years looked at.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};

use crate::Schedule;

impl Schedule {
    /// The first firing at or after a second since the epoch.
    pub(crate) fn first_from(&self, second: i64) -> Option<DateTime<Utc>> {
        let from = DateTime::<Utc>::from_timestamp(second, 0)?.naive_utc();
        let (today, time) = match self.time_from(from.time()) {
            Some(time) => (from.date(), time),
            None => (from.date().succ_opt()?, self.first_time()?),
        };
        let day = self.day_from(today, from.year())?;
        let time = if day == from.date() { time } else { self.first_time()? };
        Some(day.and_time(time).and_utc())
    }

    /// The last firing at or before a second since the epoch.
    pub(crate) fn last_until(&self, second: i64) -> Option<DateTime<Utc>> {
        let until = DateTime::<Utc>::from_timestamp(second, 0)?.naive_utc();
        let (today, time) = match self.time_until(until.time()) {
            Some(time) => (until.date(), time),
            None => (until.date().pred_opt()?, self.last_time()?),
        };
        let day = self.day_until(today, until.year())?;
        let time = if day == until.date() { time } else { self.last_time()? };
        Some(day.and_time(time).and_utc())
    }

    /// The first firing day at or after `from`.
    fn day_from(&self, from: NaiveDate, asked: i32) -> Option<NaiveDate> {
        let (mut month, mut day) = (from.month(), from.day());
        let mut year = self.years.at_or_after(from.year(), asked)?;
        if year > from.year() {
            (month, day) = (1, 1);
        }
        loop {
            while let Some(found) = lowest_from(self.months, month) {
                if found > month {
                    day = 1;
                }
                if let Some(day) = lowest_from(self.days.in_month(year, found), day) {
                    return NaiveDate::from_ymd_opt(year, found, day);
                }
                (month, day) = (found + 1, 1);
            }
            year = self.years.at_or_after(year + 1, asked)?;
            (month, day) = (1, 1);
        }
    }

    /// The last firing day at or before `until`.
    fn day_until(&self, until: NaiveDate, asked: i32) -> Option<NaiveDate> {
        let (mut month, mut day) = (until.month(), until.day());
        let mut year = self.years.at_or_before(until.year(), asked)?;
        if year < until.year() {
            (month, day) = (12, 31);
        }
        loop {
            while let Some(found) = highest_until(self.months, month) {
                if found < month {
                    day = 31;
                }
                if let Some(day) = highest_until(self.days.in_month(year, found), day) {
                    return NaiveDate::from_ymd_opt(year, found, day);
                }
                (month, day) = (found - 1, 31);
            }
            year = self.years.at_or_before(year - 1, asked)?;
            (month, day) = (12, 31);
        }
    }

    fn time_from(&self, from: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute, second) = (from.hour(), from.minute(), from.second());
        let same_minute = || {
            let second = lowest_from(self.seconds, second)?;
            (self.hours & 1 << hour != 0 && self.minutes & 1 << minute != 0).then_some((hour, minute, second))
        };
        let same_hour = || {
            let minute = lowest_from(self.minutes, minute + 1)?;
            (self.hours & 1 << hour != 0).then_some((hour, minute, lowest_from(self.seconds, 0)?))
        };
        let same_day = || {
            let hour = lowest_from(self.hours, hour + 1)?;
            Some((hour, lowest_from(self.minutes, 0)?, lowest_from(self.seconds, 0)?))
        };
        let (hour, minute, second) = same_minute().or_else(same_hour).or_else(same_day)?;
        NaiveTime::from_hms_opt(hour, minute, second)
    }

    fn time_until(&self, until: NaiveTime) -> Option<NaiveTime> {
        let (hour, minute, second) = (until.hour(), until.minute(), until.second());
        let same_minute = || {
            let second = highest_until(self.seconds, second)?;
            (self.hours & 1 << hour != 0 && self.minutes & 1 << minute != 0).then_some((hour, minute, second))
        };
        let same_hour = || {
            let minute = highest_until(self.minutes, minute.checked_sub(1)?)?;
            (self.hours & 1 << hour != 0).then_some((hour, minute, highest_until(self.seconds, 59)?))
        };
        let same_day = || {
            let hour = highest_until(self.hours, hour.checked_sub(1)?)?;
            Some((hour, highest_until(self.minutes, 59)?, highest_until(self.seconds, 59)?))
        };
        let (hour, minute, second) = same_minute().or_else(same_hour).or_else(same_day)?;
        NaiveTime::from_hms_opt(hour, minute, second)
    }

    fn first_time(&self) -> Option<NaiveTime> {
        self.time_from(NaiveTime::MIN)
    }

    fn last_time(&self) -> Option<NaiveTime> {
        self.time_until(NaiveTime::from_hms_opt(23, 59, 59)?)
    }
}

/// The lowest set bit at or above `from`.
fn lowest_from(bits: u64, from: u32) -> Option<u32> {
    let rest = bits & u64::MAX.checked_shl(from)?;
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The highest set bit at or below `until`, which is below 63.
fn highest_until(bits: u64, until: u32) -> Option<u32> {
    let rest = bits & ((1_u64 << (until + 1)) - 1);
    (rest != 0).then(|| rest.ilog2())
}
