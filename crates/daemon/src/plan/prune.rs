//! Which finished jobs are deleted, and when they are looked for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tributary_protocol::{SyncJob, SyncJobId};

use super::{Action, View};
use crate::lease::delta;
use crate::options::JobRetention;

/// Bounds of the pause between two looks for old jobs of a connector.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The connectors whose old jobs are to be deleted. Each look is followed by a pause.
pub(super) fn prunes<'v>(view: &View<'v>) -> impl Iterator<Item = Action> + use<'v> {
    let all = view.rules.retention.age.map(|_| view.connectors);
    all.into_iter().flatten().map(|connector| Action::Prune { connector: connector.id.clone() })
}

/// The pause after all old jobs of a connector were deleted.
pub(crate) fn pause(retention: JobRetention) -> Duration {
    retention.age.map_or(LONGEST_PAUSE, |age| (age / 12).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

/// Those of the jobs that go. The jobs are those that come after the latest ones which stay in any case.
pub(crate) fn expired<'j>(
    now: DateTime<Utc>,
    retention: JobRetention,
    older: impl IntoIterator<Item = (&'j SyncJobId, &'j SyncJob)>,
) -> Vec<SyncJobId> {
    let Some(age) = retention.age else { return Vec::new() };
    let end = |job: &SyncJob| job.completed_at.or(job.canceled_at).or(job.last_seen).or(job.created_at);
    older
        .into_iter()
        // What does not say when it was is kept: nothing is deleted on a guess.
        .filter(|(_, job)| job.status.is_final() && end(job).is_some_and(|end| end + delta(age) <= now))
        .map(|(id, _)| id.clone())
        .collect()
}
