use std::fmt::Write as _;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A point in time, as databases count it. Any year can be written, also those that no date type of a language holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970.
    pub micros: i64,
    /// Whether it is a time of the world, in UTC, or one without a zone.
    pub utc: bool,
}

impl Moment {
    /// ISO 8601, with `T`: `2024-01-02T03:04:05.678000+00:00`.
    #[must_use]
    pub fn iso(self) -> String {
        self.written('T')
    }

    /// As it stands in an id: with a blank.
    #[must_use]
    pub fn in_id(self) -> String {
        self.written(' ')
    }

    fn written(self, between: char) -> String {
        let mut text = date(self.micros.div_euclid(MICROS_PER_DAY));
        text.push(between);
        push_time(&mut text, self.micros.rem_euclid(MICROS_PER_DAY));
        if self.utc {
            text.push_str("+00:00");
        }
        text
    }
}

/// The day so many days after 1970-01-01, in ISO 8601; years beyond 9999 have a sign and all their digits.
#[must_use]
pub fn date(days: i64) -> String {
    // Days are counted in eras of 400 years that begin on 1 March, so that the leap day comes last.
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut text = String::with_capacity(33);
    match year {
        0..=9_999 => {
            two_digits(&mut text, year / 100);
            two_digits(&mut text, year % 100);
        }
        10_000.. => drop(write!(text, "+{year}")),
        _ => drop(write!(text, "-{:04}", -year)),
    }
    text.push('-');
    two_digits(&mut text, month);
    text.push('-');
    two_digits(&mut text, day);
    text
}

/// A time of day: `10:11:12.500000`; midnight at the day's end is `24:00:00`.
#[must_use]
pub fn time_of_day(micros: i64) -> String {
    let mut text = String::with_capacity(15);
    push_time(&mut text, micros);
    text
}

fn push_time(text: &mut String, micros: i64) {
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    match seconds / 3_600 {
        hours @ 0..=99 => two_digits(text, hours),
        hours => drop(write!(text, "{hours:02}")),
    }
    text.push(':');
    two_digits(text, seconds / 60 % 60);
    text.push(':');
    two_digits(text, seconds % 60);
    if rest != 0 {
        text.push('.');
        two_digits(text, rest / 10_000);
        two_digits(text, rest / 100 % 100);
        two_digits(text, rest % 100);
    }
}

/// A number below 100. Every row has times: the formatter of the standard library takes several times as long.
fn two_digits(text: &mut String, number: i64) {
    let digit = |number: i64| char::from(b'0' + (number % 10).unsigned_abs() as u8);
    text.push(digit(number / 10));
    text.push(digit(number));
}

/// A distance to UTC in seconds east of it: `+02:00`, `-03:30:15`.
#[must_use]
pub fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let mut text = format!("{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _written = write!(text, ":{:02}", seconds % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_of_any_year_can_be_written() {
        let moment = |micros, utc| Moment { micros, utc }.iso();
        assert_eq!(moment(0, true), "1970-01-01T00:00:00+00:00");
        assert_eq!(moment(-1, false), "1969-12-31T23:59:59.999999");
        assert_eq!(Moment { micros: 1_500_000, utc: true }.in_id(), "1970-01-01 00:00:01.500000+00:00");
        assert_eq!(date(2_932_896), "9999-12-31");
        assert_eq!(date(2_932_897), "+10000-01-01");
        assert_eq!(date(-719_528 - 1), "-0001-12-31");
        assert!(!moment(i64::MAX, false).is_empty() && !moment(i64::MIN, false).is_empty());
        assert!(!date(i64::MAX).is_empty() && !date(i64::MIN).is_empty());
    }

    #[test]
    fn times_and_offsets() {
        assert_eq!(time_of_day(36_672_500_000), "10:11:12.500000");
        assert_eq!(time_of_day(MICROS_PER_DAY), "24:00:00");
        assert_eq!((offset(7_200), offset(-12_615)), ("+02:00".to_owned(), "-03:30:15".to_owned()));
    }

    proptest! {
        #[test]
        fn dates_are_those_of_the_calendar(days in 0_u64..2_932_896) {
            let expected = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + Days::new(days);
            prop_assert_eq!(date(days as i64), expected.to_string());
        }
    }
}
