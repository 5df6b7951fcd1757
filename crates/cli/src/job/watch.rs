//! Staying until a job has ended.

use std::time::{Duration, Instant};

use tributary_client::{Client, Versioned};
use tributary_protocol::{SyncJob, SyncJobId, SyncStatus};

use crate::error::{CliError, Result};
use crate::output;
use crate::progress::{self, Meter};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// After this time a job that nobody takes is worth a word.
const NOBODY: Duration = Duration::from_secs(15);

/// Shows the job's progress until it has ended, and gives it as it ended.
pub(crate) async fn until_ended(client: &Client, id: &SyncJobId) -> Result<Versioned<SyncJobId, SyncJob>> {
    until_ended_seen(client, id, || None).await
}

/// The same where more may be seen of the job than its document says.
pub(crate) async fn until_ended_seen(
    client: &Client,
    id: &SyncJobId,
    seen: impl Fn() -> Option<String>,
) -> Result<Versioned<SyncJobId, SyncJob>> {
    let mut meter = Meter::new(format!("job {id}"));
    let (begin, mut told) = (Instant::now(), false);
    loop {
        let job = client.job(id).await?.ok_or_else(|| CliError::user(format!("job '{id}' was deleted")))?;
        if job.doc.status.is_final() {
            return Ok(job);
        }
        meter.show(seen().unwrap_or_else(|| progress::of_job(&job.doc)));
        if job.doc.status == SyncStatus::Pending && !told && begin.elapsed() >= NOBODY {
            told = true;
            progress::beside(|| {
                output::note(
                    "nobody has taken the job yet: is a daemon running (`tributary run`) that serves this connector?",
                );
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
