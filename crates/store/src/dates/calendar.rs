//! Calendar arithmetic on milliseconds since 1970.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};

/// A unit of date math and of `calendar_interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalendarUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl CalendarUnit {
    /// The length of units that always have the same one.
    pub(crate) fn fixed_millis(self) -> Option<i64> {
        match self {
            Self::Second => Some(1_000),
            Self::Minute => Some(60_000),
            Self::Hour => Some(3_600_000),
            Self::Day => Some(86_400_000),
            Self::Week => Some(7 * 86_400_000),
            Self::Month | Self::Quarter | Self::Year => None,
        }
    }

    /// How many months the others have.
    pub(crate) fn months(self) -> i64 {
        match self {
            Self::Quarter => 3,
            Self::Year => 12,
            _ => 1,
        }
    }
}

/// Year, month, day, hour, minute, second, millisecond.
pub(crate) type Fields = (i32, u32, u32, u32, u32, u32, u32);

/// Milliseconds since 1970 of calendar fields; `None` for a day that does not exist.
pub(crate) fn millis_of(fields: Fields) -> Option<i64> {
    let (year, month, day, hour, minute, second, milli) = fields;
    let time =
        NaiveDate::from_ymd_opt(year, month, day)?.and_hms_milli_opt(hour, minute, second.min(59), milli)?;
    Some(time.and_utc().timestamp_millis())
}

/// The calendar fields of a time; times beyond the calendar are clamped.
pub(crate) fn fields_of(millis: i64) -> Fields {
    const LIMIT: i64 = 8_000_000_000_000_000;
    let time = DateTime::from_timestamp_millis(millis.clamp(-LIMIT, LIMIT)).unwrap_or_default();
    (
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.timestamp_subsec_millis(),
    )
}

/// Adds months, keeping the day where the month has it.
pub(crate) fn add_months(millis: i64, months: i64) -> i64 {
    let (year, month, day, hour, minute, second, milli) = fields_of(millis);
    let total = i64::from(year) * 12 + i64::from(month) - 1 + months;
    let (year, month) = (total.div_euclid(12) as i32, total.rem_euclid(12) as u32 + 1);
    (1..=day)
        .rev()
        .find_map(|day| millis_of((year, month, day, hour, minute, second, milli)))
        .unwrap_or(if months < 0 { i64::MIN } else { i64::MAX })
}

/// The beginning of the unit that holds the time. Weeks begin on Monday.
pub(crate) fn floor_to(millis: i64, unit: CalendarUnit) -> i64 {
    const FIRST_MONDAY: i64 = -3 * 86_400_000;
    if unit == CalendarUnit::Week {
        let week = 7 * 86_400_000;
        return (millis - FIRST_MONDAY).div_euclid(week) * week + FIRST_MONDAY;
    }
    if let Some(length) = unit.fixed_millis() {
        return millis.div_euclid(length) * length;
    }
    let (year, month, ..) = fields_of(millis);
    let month = match unit {
        CalendarUnit::Year => 1,
        CalendarUnit::Quarter => (month - 1) / 3 * 3 + 1,
        _ => month,
    };
    millis_of((year, month, 1, 0, 0, 0, 0)).unwrap_or(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> i64 {
        millis_of((year, month, day, 0, 0, 0, 0)).unwrap()
    }

    #[test]
    fn floors_to_the_calendar() {
        let time = day(2024, 8, 15) + 3_723_004;
        assert_eq!(floor_to(time, CalendarUnit::Hour), day(2024, 8, 15) + 3_600_000);
        assert_eq!(floor_to(time, CalendarUnit::Week), day(2024, 8, 12));
        assert_eq!(floor_to(time, CalendarUnit::Month), day(2024, 8, 1));
        assert_eq!(floor_to(time, CalendarUnit::Quarter), day(2024, 7, 1));
        assert_eq!(floor_to(time, CalendarUnit::Year), day(2024, 1, 1));
        assert_eq!(floor_to(-1, CalendarUnit::Day), -86_400_000);
    }

    #[test]
    fn adding_months_keeps_the_day_where_it_exists() {
        assert_eq!(add_months(day(2024, 1, 31), 1), day(2024, 2, 29));
        assert_eq!(add_months(day(2024, 1, 31), -2), day(2023, 11, 30));
        assert_eq!(add_months(day(2024, 12, 1), 1), day(2025, 1, 1));
    }
}
