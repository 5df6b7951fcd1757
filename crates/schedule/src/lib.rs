//! Quartz cron expressions as Elasticsearch reads them: parsing and firing times. Pure.
//!
//! The grammar, its leniencies and its error texts are those of connector-api 9.2. Everything is computed here, with one
//! bit per value, so that no date library has to agree with Quartz about weekdays, `L`, `W` or `#`
//! (`docs/adr/0002-own-quartz-calendar.md`).
//!
//! ```
//! use chrono::{TimeZone, Utc};
//! use tributary_schedule::Schedule;
//!
//! let schedule: Schedule = "0 0 12 LW * ?".parse()?;
//! let after = Utc.with_ymd_and_hms(2026, 5, 1, 0, 0, 0).unwrap();
//! // 31 May 2026 is a Sunday: the nearest weekday within the month is the Friday before.
//! assert_eq!(schedule.next_after(after), Utc.with_ymd_and_hms(2026, 5, 29, 12, 0, 0).single());
//! # Ok::<(), tributary_schedule::CronError>(())
//! ```

mod days;
mod error;
mod field;
mod fire;
mod item;
mod parse;
mod years;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::days::DayRule;
pub use crate::error::CronError;
pub use crate::field::Field;
use crate::years::Years;

/// A cron expression that was accepted, ready to be asked for its firing times.
///
/// Two schedules are equal when their upper-cased sources are.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The expression upper-cased, its spacing as given (connector-api 9.1: this is what is stored).
    source: Box<str>,
    /// Bit n set: fires in second n.
    seconds: u64,
    /// Bit n set: fires in minute n.
    minutes: u64,
    /// Bit n set: fires in hour n.
    hours: u64,
    /// Bit n set: fires in month n (1 = January).
    months: u64,
    days: DayRule,
    years: Years,
}

impl Schedule {
    /// Reads an expression: six or seven fields separated by spaces or tabs, in any letter case.
    ///
    /// # Errors
    /// The first rule of connector-api 9.2 that the expression breaks, in the words of that section.
    pub fn parse(expression: &str) -> Result<Self, CronError> {
        parse::schedule(expression)
    }

    /// The first firing strictly after `instant`, at whole seconds in UTC.
    ///
    /// `None` when there is none in the 100 years after `instant`: the year limit of connector-api 9.2.
    #[must_use]
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.first_from(instant.timestamp().checked_add(1)?)
    }

    /// The first firing at or after `instant`; otherwise as [`next_after`](Self::next_after).
    #[must_use]
    pub fn next_from(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let whole = instant.timestamp();
        self.first_from(if instant.timestamp_subsec_nanos() == 0 { whole } else { whole.checked_add(1)? })
    }

    /// The last firing strictly before `instant`. `None` when there is none since 1970 (or since the first year that the
    /// expression names).
    #[must_use]
    pub fn previous_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let whole = instant.timestamp();
        self.last_until(if instant.timestamp_subsec_nanos() == 0 { whole.checked_sub(1)? } else { whole })
    }

    /// The expression as Elasticsearch stores it: upper-cased, spacing unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl FromStr for Schedule {
    type Err = CronError;

    fn from_str(expression: &str) -> Result<Self, Self::Err> {
        Self::parse(expression)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Schedule {}

impl Hash for Schedule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}
