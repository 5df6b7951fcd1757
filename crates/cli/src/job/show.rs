//! A job as people and programs see it.

use serde_json::{Value, json};
use tributary_client::Versioned;
use tributary_protocol::{SyncJob, SyncJobId};

use crate::connector::{masked, named, time};
use crate::error::{Result, one_line};
use crate::output::{self, Format};
use crate::source::plain;

pub(super) const HEADER: [&str; 8] =
    ["ID", "CONNECTOR", "TYPE", "STATUS", "CREATED", "INDEXED", "DELETED", "ERROR"];
/// Characters of an error that a list shows.
const SHORT: usize = 60;

pub(super) fn row(job: &Versioned<SyncJobId, SyncJob>) -> Vec<String> {
    let doc = &job.doc;
    vec![
        job.id.to_string(),
        doc.connector.id.to_string(),
        doc.job_type.as_str().to_owned(),
        doc.status.to_string(),
        time(doc.created_at),
        doc.indexed_document_count.to_string(),
        doc.deleted_document_count.to_string(),
        doc.error.as_deref().map(short).unwrap_or_default(),
    ]
}

fn short(error: &str) -> String {
    let line = one_line(error);
    if line.chars().count() <= SHORT { line } else { line.chars().take(SHORT).chain(['…']).collect() }
}

/// The document as programs get it: as stored, with the connector's sensitive values masked.
pub(super) fn document(job: &Versioned<SyncJobId, SyncJob>) -> Value {
    let mut shown = job.doc.clone();
    shown.connector.configuration =
        masked(&shown.connector.configuration, shown.connector.service_type.as_deref());
    let mut document = json!({ "id": job.id.as_str() });
    if let (Value::Object(document), Ok(Value::Object(fields))) =
        (&mut document, serde_json::to_value(&shown))
    {
        document.extend(fields);
    }
    document
}

/// Prints one job.
pub(super) fn print(job: &Versioned<SyncJobId, SyncJob>, format: Format) -> Result<()> {
    if format == Format::Json {
        return output::json(&document(job));
    }
    let doc = &job.doc;
    let volume = u64::try_from(doc.indexed_document_volume).unwrap_or(0);
    let rows = [
        ("id", job.id.to_string()),
        ("connector", doc.connector.id.to_string()),
        ("index", named(doc.connector.index_name.as_deref())),
        ("type", doc.job_type.as_str().to_owned()),
        ("status", doc.status.to_string()),
        ("error", named(doc.error.as_deref())),
        ("worker", named(doc.worker_hostname.as_deref())),
        ("created", time(doc.created_at)),
        ("started", time(doc.started_at)),
        ("last seen", time(doc.last_seen)),
        ("completed", time(doc.completed_at)),
        ("canceled", time(doc.canceled_at)),
        ("indexed", format!("{} documents, {volume} MiB", doc.indexed_document_count)),
        ("deleted", format!("{} documents", doc.deleted_document_count)),
        (
            "in the index",
            doc.total_document_count.map_or_else(|| "-".to_owned(), |count| format!("{count} documents")),
        ),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| value != "-") {
        output::line(format!("{name:<12}  {}", one_line(value)))?;
    }
    let ours = doc.metadata.as_ref().map_or(&Value::Null, |metadata| &metadata["tributary"]);
    for warning in ours["warnings"].as_array().into_iter().flatten() {
        output::line(format!("{:<12}  {}", "warning", one_line(&plain(warning))))?;
    }
    refused(&ours["refused"])
}

/// The documents that were left out, with their reasons: the daemon keeps them in the job's metadata.
fn refused(refused: &Value) -> Result<()> {
    let named = refused["samples"].as_array().or(refused["last"].as_array());
    let rows: Vec<Vec<String>> = named.into_iter().flatten().map(refusal).collect();
    let counts = refused["counts"].as_object().into_iter().flat_map(|counts| counts.values());
    let all: u64 = counts.filter_map(Value::as_u64).sum();
    if all == 0 && rows.is_empty() {
        return Ok(());
    }
    if rows.is_empty() {
        // They have dead letters, which name them.
        return output::line(format!("\nleft out: {all} documents"));
    }
    output::line(format!("\nleft out: {all} documents, {} of them named here", rows.len()))?;
    output::line(output::table(&["DOCUMENT", "KIND", "REASON"], &rows))
}

fn refusal(sample: &Value) -> Vec<String> {
    ["id", "kind", "reason"].iter().map(|name| one_line(&plain(&sample[*name]))).collect()
}
