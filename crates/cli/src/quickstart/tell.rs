//! What quickstart tells: what the first sync did, what to try, and what later syncs changed.

use std::time::Duration;

use tributary_client::{Client, JobFilter, Versioned};
use tributary_protocol::{SyncJob, SyncJobId, SyncStatus};

use super::completed;
use super::setup::Ready;
use crate::args::DEFAULT_LISTEN;
use crate::embedded::Embedded;
use crate::error::Result;
use crate::{job, output, search, target};

/// Pause between two looks for later syncs.
const PAUSE: Duration = Duration::from_secs(1);
/// Jobs looked at: more than run between two looks.
const RECENT: usize = 10;

type Job = Versioned<SyncJobId, SyncJob>;

/// The first sync's figures, and lines that search what it brought.
pub(super) async fn first(client: &Client, ended: &Job, ready: &Ready, node: &Embedded) -> Result<()> {
    job::judge(ended)?;
    let index = target::index_name(&ready.index)?;
    let exists = client.index_exists(&index).await?;
    if exists {
        client.refresh(&index).await?;
    }
    let total = client.count(&index).await?;
    let doc = &ended.doc;
    output::line(format!(
        "synced: {} indexed, {} deleted, {total} documents in index '{}'",
        doc.indexed_document_count, doc.deleted_document_count, ready.index
    ))?;
    if !exists {
        return output::line("the folder holds no file that matches the pattern; see --pattern");
    }
    let word = search::example_word(client, &ready.index).await;
    output::line("\ntry:")?;
    let query = word.as_ref().map_or_else(String::new, |word| format!("q=body:{word}&"));
    output::line(format!(
        "  curl{} '{}/{}/_search?{query}pretty'",
        curl_flags(node),
        node.url(),
        ready.index
    ))?;
    let word = word.map_or_else(String::new, |word| format!(" {word}"));
    output::line(format!("  tributary search {}{word}{}", ready.index, search_flags(node)))
}

/// What curl needs to be let in.
fn curl_flags(node: &Embedded) -> String {
    let certificate = node.certificate().map(|file| format!(" --cacert '{}'", file.display()));
    let user = node.user().map(|user| format!(" -u '{user}'"));
    [certificate, user].into_iter().flatten().collect()
}

/// The same for this program.
fn search_flags(node: &Embedded) -> String {
    let elsewhere = node.address().to_string() != DEFAULT_LISTEN || node.certificate().is_some();
    let host = elsewhere.then(|| format!(" --host {}", node.url()));
    let certificate = node.certificate().map(|file| format!(" --ca-certs '{}'", file.display()));
    let user = node.user().map(|user| format!(" --username '{user}'"));
    [host, certificate, user].into_iter().flatten().collect()
}

/// Tells of every later sync that changed something or failed. Ends only with an error.
pub(super) async fn later(client: &Client, ready: &Ready, first: Job) -> Result<()> {
    let filter = JobFilter {
        connector_id: Some(ready.connector.clone()),
        statuses: SyncStatus::ALL.into_iter().filter(|status| status.is_final()).collect(),
        size: Some(RECENT),
        ..JobFilter::default()
    };
    let mut since = first.doc.created_at;
    loop {
        tokio::time::sleep(PAUSE).await;
        let mut fresh = match client.jobs(&filter).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(%error, "the latest syncs cannot be read");
                continue;
            }
        };
        fresh.retain(|job| job.id != first.id && job.doc.created_at > since);
        for job in fresh.iter().rev() {
            tell(job)?;
            since = job.doc.created_at;
        }
    }
}

fn tell(job: &Job) -> Result<()> {
    let doc = &job.doc;
    if !completed(job) {
        output::note(format!(
            "sync {}: {}",
            doc.status,
            doc.error.as_deref().unwrap_or("no reason is known")
        ));
        return Ok(());
    }
    if doc.indexed_document_count + doc.deleted_document_count == 0 {
        return Ok(());
    }
    output::line(format!(
        "synced: {} indexed, {} deleted",
        doc.indexed_document_count, doc.deleted_document_count
    ))
}
