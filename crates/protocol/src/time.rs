//! Instants as the protocol's documents have them (connector-api 2.10).

use chrono::{DateTime, Datelike, NaiveDateTime, SecondsFormat, Timelike, Utc};

use crate::Time;

/// In UTC with `Z` and 3 to 9 digits after the second, without needless zeros.
#[must_use]
pub fn format(instant: Time) -> String {
    let nanos = instant.nanosecond() % 1_000_000_000;
    if nanos.is_multiple_of(1_000_000) {
        return instant.to_rfc3339_opts(SecondsFormat::Millis, true);
    }
    let text = instant.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let digits = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{digits}Z")
}

/// Reads what anybody may have written: an offset or `Z`, or none, which counts as UTC (sync-runtime 4.1), or
/// milliseconds since 1970 as text. `None` for anything else, and for years that have not four digits: no reader of
/// the documents takes them.
#[must_use]
pub fn parse(text: &str) -> Option<Time> {
    read(text.trim()).filter(|instant| (0..=9999).contains(&instant.year()))
}

fn read(text: &str) -> Option<Time> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc));
    }
    for pattern in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(naive) = NaiveDateTime::parse_from_str(text, pattern) {
            return Some(naive.and_utc());
        }
    }
    text.parse().ok().and_then(DateTime::from_timestamp_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_have_three_to_nine_digits() {
        for (text, expected) in [
            ("2023-05-25T12:30:00Z", "2023-05-25T12:30:00.000Z"),
            ("2023-05-25T12:30:00.567149Z", "2023-05-25T12:30:00.567149Z"),
            ("2023-05-25T12:30:00.120Z", "2023-05-25T12:30:00.120Z"),
            ("2023-05-25T14:30:00.1200+02:00", "2023-05-25T12:30:00.120Z"),
            ("2023-05-25T12:30:00.123456789Z", "2023-05-25T12:30:00.123456789Z"),
            ("2023-05-25T12:30:00", "2023-05-25T12:30:00.000Z"),
            ("1685017800000", "2023-05-25T12:30:00.000Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "yesterday",
            "2023-05-25",
            "2023-13-01T00:00:00Z",
            "1e12",
            "999999999999999",
            "-99999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_survives_being_written(seconds in -62_000_000_000..250_000_000_000_i64, nanos in 0..1_000_000_000_u32) {
            let instant = Time::from_timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(parse(&format(instant)), Some(instant));
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,40}", shaped in "[0-9]{4,6}-[0-9T:.Z+-]{0,24}") {
            let _ = (parse(&text), parse(&shaped));
        }
    }
}
