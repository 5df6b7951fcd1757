//! `date`: a text or number becomes an instant in ISO-8601.
//!
//! Formats are `ISO8601`, `UNIX`, `UNIX_MS` and patterns of years, months, days, hours, minutes, seconds and zones in numbers.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::doc::IngestDoc;
use super::processor::{Options, property};
use super::template::shown;
use crate::http::{ApiError, Result};

#[derive(Debug)]
enum Format {
    Iso,
    Unix,
    UnixMillis,
    /// A pattern in the form of `chrono`; whether it has a time of day, and a zone.
    Pattern {
        form: String,
        time: bool,
        zone: bool,
    },
}

#[derive(Debug)]
pub(super) struct Date {
    field: String,
    target: String,
    formats: Vec<Format>,
}

impl Date {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let target = options.text("target_field")?.unwrap_or_else(|| "@timestamp".to_owned());
        let formats =
            options.texts("formats")?.ok_or_else(|| property("formats", "required property is missing"))?;
        if let Some(zone) = options.text("timezone")?.filter(|zone| !matches!(zone.as_str(), "UTC" | "Z")) {
            return Err(property(
                "timezone",
                &format!("[{zone}] is not served by this node; accepted is UTC"),
            ));
        }
        let read = |format: String| match format.as_str() {
            "ISO8601" => Ok(Format::Iso),
            "UNIX" => Ok(Format::Unix),
            "UNIX_MS" => Ok(Format::UnixMillis),
            other => pattern(other).ok_or_else(|| {
                let accepted =
                    "ISO8601, UNIX, UNIX_MS and patterns of y, M, d, H, m, s, S, X, x, Z in numbers";
                property("formats", &format!("[{other}] is not served by this node; accepted are {accepted}"))
            }),
        };
        Ok(Self { field, target, formats: formats.into_iter().map(read).collect::<Result<_>>()? })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let text = shown(&doc.require(&self.field)?);
        let instant = self.formats.iter().find_map(|format| format.read(&text));
        let instant = instant.ok_or_else(|| ApiError::illegal(format!("unable to parse date [{text}]")))?;
        doc.set(&self.target, Value::String(instant.to_rfc3339_opts(SecondsFormat::Millis, true)))
    }
}

/// A pattern as Java writes it.
fn pattern(java: &str) -> Option<Format> {
    let (mut form, mut rest, mut time, mut zone) = (String::new(), java, false, false);
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let end = rest[1..].find('\'')?;
            let literal = &rest[1..=end];
            form.push_str(&if literal.is_empty() { "'".to_owned() } else { literal.replace('%', "%%") });
            rest = &rest[end + 2..];
            continue;
        }
        let count = rest.chars().take_while(|c| *c == first).count();
        let letter = match (first, count) {
            ('y' | 'u', 1 | 4) => "%Y",
            ('y' | 'u', 2) => "%y",
            ('M', 1 | 2) => "%m",
            ('d', 1 | 2) => "%d",
            ('H', 1 | 2) => "%H",
            ('m', 1 | 2) => "%M",
            ('s', 1 | 2) => "%S",
            ('S', 1..=9) => "%f",
            ('X' | 'x' | 'Z', 1..=3) => "%#z",
            (letter, _) if letter.is_alphabetic() => return None,
            ('%', _) => "%%",
            _ => "",
        };
        time |= first == 'H';
        zone |= letter == "%#z";
        match letter {
            // `chrono` counts a bare fraction in nanoseconds, but knows one behind a dot.
            "%f" => {
                form.truncate(form.strip_suffix('.')?.len());
                form.push_str("%.f");
            }
            "" => form.extend(std::iter::repeat_n(first, count)),
            letter => form.push_str(letter),
        }
        rest = &rest[count * first.len_utf8()..];
    }
    (form.contains("%Y") || form.contains("%y")).then_some(Format::Pattern { form, time, zone })
}

impl Format {
    fn read(&self, text: &str) -> Option<DateTime<Utc>> {
        match self {
            Self::Unix => {
                let seconds: f64 = text.parse().ok()?;
                DateTime::from_timestamp_millis((seconds * 1000.0) as i64)
            }
            Self::UnixMillis => DateTime::from_timestamp_millis(text.parse().ok()?),
            Self::Pattern { form, zone: true, .. } => {
                // Java writes UTC as Z, which is no offset to `chrono`.
                let text =
                    text.strip_suffix('Z').map_or_else(|| text.to_owned(), |rest| format!("{rest}+00:00"));
                DateTime::parse_from_str(&text, form).ok().map(|instant| instant.with_timezone(&Utc))
            }
            Self::Pattern { form, time: true, .. } => {
                NaiveDateTime::parse_from_str(text, form).ok().map(|naive| naive.and_utc())
            }
            Self::Pattern { form, .. } => {
                Some(NaiveDate::parse_from_str(text, form).ok()?.and_hms_opt(0, 0, 0)?.and_utc())
            }
            Self::Iso => {
                let zoned =
                    DateTime::parse_from_rfc3339(text).map(|instant| instant.with_timezone(&Utc)).ok();
                let naive = || {
                    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                        .ok()
                        .map(|naive| naive.and_utc())
                };
                let day = || {
                    NaiveDate::parse_from_str(text, "%Y-%m-%d")
                        .ok()?
                        .and_hms_opt(0, 0, 0)
                        .map(|naive| naive.and_utc())
                };
                zoned.or_else(naive).or_else(day)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_java_writes_them() {
        for (java, text, expected) in [
            ("dd/MM/yyyy", "05/02/2020", "2020-02-05T00:00:00.000Z"),
            ("yyyy-MM-dd HH:mm", "2020-01-02 03:04", "2020-01-02T03:04:00.000Z"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2020-01-02T03:04:05.678+01:00", "2020-01-02T02:04:05.678Z"),
            ("yyyy-MM-dd'T'HH:mm:ssX", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05.000Z"),
            ("d.M.yy", "5.2.20", "2020-02-05T00:00:00.000Z"),
        ] {
            let found = pattern(java).and_then(|format| format.read(text));
            assert_eq!(
                found.map(|i| i.to_rfc3339_opts(SecondsFormat::Millis, true)).as_deref(),
                Some(expected),
                "{java}"
            );
        }
        assert!(pattern("dd/MM/yyyy").unwrap().read("x").is_none());
        for java in ["EEE, dd MMM yyyy", "HH:mm", "yyyy-MM-dd'T"] {
            assert!(pattern(java).is_none(), "{java}");
        }
    }
}
