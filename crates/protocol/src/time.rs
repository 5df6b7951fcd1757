//! Instants as the protocol's documents have them (connector-api 2.10).

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Timelike, Utc};

use crate::Time;

/// In UTC with `Z` and 3 to 9 digits after the second, without needless zeros.
#[must_use]
pub fn format(instant: Time) -> String {
    let nanos = instant.nanosecond() % 1_000_000_000;
    if nanos % 1_000_000 == 0 {
        return instant.to_rfc3339_opts(SecondsFormat::Millis, true);
    }
    let text = instant.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let digits = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{digits}Z")
}

/// Reads what anybody may have written: an offset or `Z`, or none, which counts as UTC (sync-runtime 4.1), or
/// milliseconds since 1970 as text. `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<Time> {
    let text = text.trim();
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
        assert_eq!(parse("yesterday"), None);
    }
}
