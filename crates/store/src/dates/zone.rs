//! Time zones: fixed offsets and the names of the IANA database.

use chrono::{DateTime, LocalResult, Offset, TimeZone};
use chrono_tz::Tz;

use super::math::parse_offset;

const HOUR: i64 = 3_600_000;

/// A zone as requests name it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Zone {
    /// Milliseconds ahead of UTC.
    Fixed(i64),
    Named(Tz),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Zone {
    /// Reads `+01:00`, `UTC`, `Europe/Berlin` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse_offset(text).map(Self::Fixed).or_else(|| text.parse().ok().map(Self::Named))
    }

    /// Milliseconds that the zone is ahead of UTC at a time.
    pub(crate) fn offset_at(self, millis: i64) -> i64 {
        match self {
            Self::Fixed(offset) => offset,
            Self::Named(zone) => DateTime::from_timestamp_millis(millis).map_or(0, |time| {
                i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc()) * 1_000
            }),
        }
    }

    /// The time at which clocks in the zone show this. The first of two such times; where clocks skip it, the time they
    /// go on with.
    pub(crate) fn to_utc(self, local: i64) -> i64 {
        let zone = match self {
            Self::Fixed(offset) => return local - offset,
            Self::Named(zone) => zone,
        };
        let Some(time) = DateTime::from_timestamp_millis(local) else { return local };
        match zone.offset_from_local_datetime(&time.naive_utc()) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
                local - i64::from(offset.fix().local_minus_utc()) * 1_000
            }
            LocalResult::None => self.after_gap(local),
        }
    }

    /// The change of offset around a local time that does not exist.
    fn after_gap(self, local: i64) -> i64 {
        let guess = local - self.offset_at(local);
        let (mut low, mut high) = (guess - 26 * HOUR, guess + 26 * HOUR);
        let before = self.offset_at(low);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset_at(middle) == before { low = middle } else { high = middle }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dates::millis_of;

    #[test]
    fn names_and_offsets_are_zones() {
        assert_eq!(Zone::parse("+01:30"), Some(Zone::Fixed(90 * 60_000)));
        assert_eq!(Zone::parse("UTC"), Some(Zone::Fixed(0)));
        assert!(matches!(Zone::parse("Europe/Berlin"), Some(Zone::Named(_))));
        assert_eq!(Zone::parse("Mars/Olympus"), None);
    }

    #[test]
    fn local_times_become_utc_across_changes_of_the_clock() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let at = |month, day, hour| millis_of((2024, month, day, hour, 0, 0, 0)).unwrap();
        assert_eq!(zone.to_utc(at(1, 1, 0)), at(1, 1, 0) - HOUR);
        assert_eq!(zone.to_utc(at(7, 1, 0)), at(7, 1, 0) - 2 * HOUR);
        // Clocks went from 2:00 to 3:00 on 31 March, and on 27 October showed 2:00 twice.
        assert_eq!(zone.to_utc(at(3, 31, 2) + HOUR / 2), at(3, 31, 1));
        assert_eq!(zone.to_utc(at(10, 27, 2)), at(10, 27, 0));
    }
}
