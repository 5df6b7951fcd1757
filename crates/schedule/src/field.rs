//! The seven fields: their ranges, names and words.

use std::fmt;

/// A field of the expression, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// 0–59.
    Second,
    /// 0–59.
    Minute,
    /// 0–23.
    Hour,
    /// 1–31, with `?`, `L` and `W`.
    DayOfMonth,
    /// 1–12 or JAN–DEC.
    Month,
    /// 1–7 or SUN–SAT, Sunday being 1, with `?`, `L` and `#`.
    DayOfWeek,
    /// Any year; may be left out.
    Year,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// All fields, as they are written.
    pub(crate) const ALL: [Self; 7] =
        [Self::Second, Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek, Self::Year];

    /// The smallest value; for years the one from which `*` counts.
    pub(crate) fn min(self) -> u32 {
        match self {
            Self::Second | Self::Minute | Self::Hour => 0,
            Self::DayOfMonth | Self::Month | Self::DayOfWeek => 1,
            Self::Year => crate::years::FIRST_YEAR,
        }
    }

    /// The largest value; `None` for years, whose end is open.
    pub(crate) fn max(self) -> Option<u32> {
        match self {
            Self::Second | Self::Minute => Some(59),
            Self::Hour => Some(23),
            Self::DayOfMonth => Some(31),
            Self::Month => Some(12),
            Self::DayOfWeek => Some(7),
            Self::Year => None,
        }
    }

    /// The largest n of `*/n` and the figure that the refusal shows, which is not the same for the clock's fields.
    pub(crate) fn max_increment(self) -> Option<(u32, u32)> {
        match self {
            Self::Second | Self::Minute => Some((59, 60)),
            Self::Hour => Some((23, 24)),
            Self::DayOfMonth => Some((31, 31)),
            Self::Month => Some((12, 12)),
            Self::DayOfWeek => Some((7, 7)),
            Self::Year => None,
        }
    }

    /// What is said of a value outside the range.
    pub(crate) fn range_text(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "Minute and Second values must be between 0 and 59",
            Self::Hour => "Hour values must be between 0 and 23",
            Self::DayOfMonth => "Day of month values must be between 1 and 31",
            Self::Month => "Month values must be between 1 and 12",
            Self::DayOfWeek => "Day-of-Week values must be between 1 and 7",
            Self::Year => "Year values must be whole numbers below 2147483648",
        }
    }

    /// The value that a three-letter name stands for.
    pub(crate) fn named(self, name: &str) -> Option<u32> {
        let names: &[&str] = match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => return None,
        };
        names.iter().position(|known| *known == name).and_then(|at| u32::try_from(at + 1).ok())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
        })
    }
}
