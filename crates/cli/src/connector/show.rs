//! `tributary connector show`.

use serde_json::{Value, json};
use tributary_protocol::{Connector, ConnectorId, JobType, Time};

use super::fields;
use super::schedule::never_fires;
use crate::args::TargetArgs;
use crate::error::Result;
use crate::output::{self, Format};
use crate::source::plain;
use crate::target;

pub(crate) async fn run(id: &str, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    match format {
        Format::Json => output::json(&document(&found.id, &found.doc)),
        Format::Text => print(&found.id, &found.doc),
    }
}

/// The document as programs get it: as stored, with sensitive values masked.
pub(crate) fn document(id: &ConnectorId, connector: &Connector) -> Value {
    let mut shown = connector.clone();
    shown.configuration = fields::masked(&connector.configuration, connector.service_type.as_deref());
    let mut document = json!({ "id": id.as_str() });
    if let (Value::Object(document), Ok(Value::Object(fields))) =
        (&mut document, serde_json::to_value(&shown))
    {
        document.extend(fields);
    }
    document
}

fn print(id: &ConnectorId, connector: &Connector) -> Result<()> {
    let mut rows = vec![
        ("id", id.to_string()),
        ("name", named(connector.name.as_deref())),
        ("description", named(connector.description.as_deref())),
        ("type", named(connector.service_type.as_deref())),
        ("index", named(connector.index_name.as_deref())),
        ("status", connector.status.to_string()),
        ("error", named(connector.error.as_deref())),
        ("last seen", time(connector.last_seen)),
        ("last sync", last_sync(connector)),
    ];
    for job_type in JobType::ALL {
        if let Some(entry) = connector.schedule(job_type) {
            let name = match job_type {
                JobType::Full => "full syncs",
                JobType::Incremental => "incremental syncs",
                JobType::AccessControl => "access control syncs",
            };
            let when = match entry.enabled {
                true if never_fires(&entry.interval, chrono::Utc::now()) => {
                    format!("{} (never fires)", entry.interval)
                }
                true => format!("{} (UTC)", entry.interval),
                false => "off".to_owned(),
            };
            rows.push((name, when));
        }
    }
    for (name, value) in rows.into_iter().filter(|(_, value)| value != "-") {
        output::line(format!("{name:<20}  {}", crate::error::one_line(&value)))?;
    }
    let shown = fields::masked(&connector.configuration, connector.service_type.as_deref());
    if shown.is_empty() {
        return Ok(());
    }
    let row = |name: &str, value: &Value, label: &str| vec![name.to_owned(), plain(value), label.to_owned()];
    let rows: Vec<Vec<String>> =
        shown.iter().map(|(name, field)| row(name, &field.value, &field.label)).collect();
    output::line(format!("\n{}", output::table(&["FIELD", "VALUE", "MEANING"], &rows)))
}

fn last_sync(connector: &Connector) -> String {
    let Some(status) = connector.last_sync_status else { return "-".to_owned() };
    let count = |count: Option<i64>| count.unwrap_or_default();
    let mut text = format!(
        "{status}, {} indexed, {} deleted, {}",
        count(connector.last_indexed_document_count),
        count(connector.last_deleted_document_count),
        time(connector.last_synced),
    );
    if let Some(error) = &connector.last_sync_error {
        text.push_str(&format!(": {error}"));
    }
    text
}

/// A text that may be missing.
pub(crate) fn named(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// A moment that may be missing.
pub(crate) fn time(time: Option<Time>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}
