//! `date`: a text or number becomes an instant in ISO-8601.

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
        let formats = options.texts("formats")?.ok_or_else(|| property("formats", "required property is missing"))?;
        if let Some(zone) = options.text("timezone")?.filter(|zone| !matches!(zone.as_str(), "UTC" | "Z")) {
            return Err(property("timezone", &format!("[{zone}] is not served by this node; accepted is UTC")));
        }
        let read = |format: String| match format.as_str() {
            "ISO8601" => Ok(Format::Iso),
            "UNIX" => Ok(Format::Unix),
            "UNIX_MS" => Ok(Format::UnixMillis),
            other => Err(property(
                "formats",
                &format!("[{other}] is not served by this node; accepted are ISO8601, UNIX, UNIX_MS"),
            )),
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

impl Format {
    fn read(&self, text: &str) -> Option<DateTime<Utc>> {
        match self {
            Self::Unix => {
                let seconds: f64 = text.parse().ok()?;
                DateTime::from_timestamp_millis((seconds * 1000.0) as i64)
            }
            Self::UnixMillis => DateTime::from_timestamp_millis(text.parse().ok()?),
            Self::Iso => {
                let zoned = DateTime::parse_from_rfc3339(text).map(|instant| instant.with_timezone(&Utc)).ok();
                let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|naive| naive.and_utc());
                let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|naive| naive.and_utc());
                zoned.or_else(naive).or_else(day)
            }
        }
    }
}
