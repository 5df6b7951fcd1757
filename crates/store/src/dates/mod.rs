//! Dates as Elasticsearch reads and writes them: formats, rounding, date math. Milliseconds since 1970, UTC.

mod calendar;
mod iso;
mod math;
mod pattern;
mod zone;

#[cfg(test)]
pub(crate) use calendar::millis_of;
pub(crate) use calendar::{CalendarUnit, floor_to};
pub(crate) use math::{add, resolve_math};
pub(crate) use zone::Zone;

use pattern::Pattern;

/// The default `format` of date fields.
pub(crate) const DEFAULT_FORMAT: &str = "strict_date_optional_time||epoch_millis";

#[derive(Debug, Clone, PartialEq)]
enum DateFormat {
    /// `strict_date_optional_time` and its relatives.
    Iso {
        strict: bool,
        nanos: bool,
    },
    EpochMillis,
    EpochSecond,
    Pattern(Pattern),
}

/// A `format` setting: alternatives tried in order; the first one writes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DateFormats {
    spec: String,
    list: Vec<DateFormat>,
}

impl Default for DateFormats {
    fn default() -> Self {
        Self {
            spec: DEFAULT_FORMAT.to_owned(),
            list: vec![DateFormat::Iso { strict: true, nanos: false }, DateFormat::EpochMillis],
        }
    }
}

impl DateFormats {
    /// Reads a `format` setting.
    ///
    /// # Errors
    /// The text Elasticsearch gives for an unknown pattern.
    pub(crate) fn parse_spec(spec: &str) -> Result<Self, String> {
        let mut list = Vec::new();
        for part in spec.split("||") {
            list.push(parse_one(part).map_err(|why| format!("Invalid format: [{part}]: {why}"))?);
        }
        Ok(Self { spec: spec.to_owned(), list })
    }

    /// The setting as written.
    pub(crate) fn spec(&self) -> &str {
        &self.spec
    }

    /// Reads a date; `round_up` fills what is missing with its greatest value, `offset_ms` is the zone of dates that
    /// name none.
    pub(crate) fn parse(&self, text: &str, round_up: bool, offset_ms: i64) -> Option<i64> {
        self.list.iter().find_map(|format| match format {
            DateFormat::Iso { strict, .. } => iso::parse(text, *strict, round_up, offset_ms),
            DateFormat::EpochMillis => parse_epoch(text, 1.0),
            DateFormat::EpochSecond => parse_epoch(text, 1000.0),
            DateFormat::Pattern(pattern) => pattern.parse(text, round_up, offset_ms),
        })
    }

    /// Writes a date in the first format.
    pub(crate) fn format(&self, millis: i64) -> String {
        self.format_at(millis, 0)
    }

    /// Writes a date in the first format, as clocks show it that are so many milliseconds ahead of UTC.
    pub(crate) fn format_at(&self, millis: i64, offset_ms: i64) -> String {
        match self.list.first() {
            Some(DateFormat::EpochMillis) => millis.to_string(),
            Some(DateFormat::EpochSecond) => format_seconds(millis),
            Some(DateFormat::Pattern(pattern)) => pattern.format(millis, offset_ms),
            Some(DateFormat::Iso { .. }) | None => iso::format(millis, offset_ms),
        }
    }
}

fn format_seconds(millis: i64) -> String {
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    if rest == 0 { seconds.to_string() } else { format!("{seconds}.{rest:03}") }
}

fn parse_epoch(text: &str, unit: f64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit as i64);
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') && text.contains('.');
    let value: f64 = text.parse().ok().filter(|_| plain)?;
    Some((value * unit).floor() as i64)
}

fn parse_one(name: &str) -> Result<DateFormat, String> {
    let strict = name.starts_with("strict_");
    let bare = name.strip_prefix("strict_").unwrap_or(name);
    let pattern = match bare {
        "date_optional_time" | "dateOptionalTime" => return Ok(DateFormat::Iso { strict, nanos: false }),
        "date_optional_time_nanos" | "iso8601" => return Ok(DateFormat::Iso { strict, nanos: true }),
        "epoch_millis" => return Ok(DateFormat::EpochMillis),
        "epoch_second" => return Ok(DateFormat::EpochSecond),
        "date" | "year_month_day" => "yyyy-MM-dd",
        "date_time" => "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "date_time_no_millis" => "yyyy-MM-dd'T'HH:mm:ssXXX",
        "date_hour" => "yyyy-MM-dd'T'HH",
        "date_hour_minute" => "yyyy-MM-dd'T'HH:mm",
        "date_hour_minute_second" => "yyyy-MM-dd'T'HH:mm:ss",
        "date_hour_minute_second_millis" | "date_hour_minute_second_fraction" => "yyyy-MM-dd'T'HH:mm:ss.SSS",
        "basic_date" => "yyyyMMdd",
        "basic_date_time" => "yyyyMMdd'T'HHmmss.SSSXX",
        "basic_date_time_no_millis" => "yyyyMMdd'T'HHmmssXX",
        "year" => "yyyy",
        "year_month" => "yyyy-MM",
        "hour" => "HH",
        "hour_minute" => "HH:mm",
        "hour_minute_second" => "HH:mm:ss",
        "time" => "HH:mm:ss.SSSXXX",
        "time_no_millis" => "HH:mm:ssXXX",
        other => other,
    };
    Pattern::compile(pattern).map(DateFormat::Pattern)
}

/// The date a string of a document has when its field is not mapped yet (`date_detection`). Plain numbers never count
/// as dates.
pub(crate) fn detect(text: &str) -> Option<Detected> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.parse::<f64>().is_ok() {
        return None;
    }
    if iso::parse(text, true, false, 0).is_some() {
        return Some(Detected::Iso);
    }
    let slashed = DateFormats::parse_spec("yyyy/MM/dd HH:mm:ss||yyyy/MM/dd").ok()?;
    slashed.parse(text, false, 0).map(|_| Detected::Slashes)
}

/// Which of the default dynamic date formats matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detected {
    Iso,
    Slashes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(spec: &str, text: &str) -> Option<i64> {
        DateFormats::parse_spec(spec).unwrap().parse(text, false, 0)
    }

    #[test]
    fn default_format_reads_iso_and_milliseconds() {
        let table = [
            ("1970-01-01", Some(0)),
            ("1970", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-01T00:00:00.123456789Z", Some(123)),
            ("1970-01-02T00", Some(86_400_000)),
            ("1500", Some(-14_831_769_600_000)),
            ("15001", Some(15_001)),
            ("-5", Some(-5)),
            ("1970-1-1", None),
            ("1970-13-01", None),
            ("1970-02-30", None),
            ("tomorrow", None),
            ("", None),
            ("1970-01-01 00:00:00", None),
        ];
        for (text, wanted) in table {
            assert_eq!(ms(DEFAULT_FORMAT, text), wanted, "{text}");
        }
    }

    #[test]
    fn patterns_read_and_write() {
        let formats = DateFormats::parse_spec("yyyy/MM/dd HH:mm:ss||yyyy/MM/dd").unwrap();
        assert_eq!(formats.parse("1970/01/02", false, 0), Some(86_400_000));
        assert_eq!(formats.parse("1970/01/02 00:00:01", false, 0), Some(86_401_000));
        assert_eq!(formats.format(86_401_000), "1970/01/02 00:00:01");
        assert_eq!(ms("dd MMM yyyy", "02 Jan 1970"), Some(86_400_000));
        assert_eq!(ms("epoch_second", "1.5"), Some(1_500));
        assert_eq!(ms("basic_date", "19700102"), Some(86_400_000));
    }

    #[test]
    fn rounding_up_fills_what_is_missing() {
        let formats = DateFormats::default();
        assert_eq!(formats.parse("1970-01-01", true, 0), Some(86_399_999));
        // Only the time of day is filled, as Elasticsearch does it.
        assert_eq!(formats.parse("1970-01", true, 0), Some(86_399_999));
        assert_eq!(formats.parse("1970", true, 0), Some(86_399_999));
        assert_eq!(formats.parse("1970-01-01T00:00:00Z", true, 0), Some(999));
    }

    #[test]
    fn output_has_milliseconds_and_zone() {
        assert_eq!(DateFormats::default().format(1_500), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn detection_refuses_plain_numbers() {
        assert_eq!(detect("2020"), None);
        assert_eq!(detect("20.5"), None);
        assert_eq!(detect("2020-01-01"), Some(Detected::Iso));
        assert_eq!(detect("2020/01/01"), Some(Detected::Slashes));
        assert_eq!(detect("2020-01-01 x"), None);
    }
}
