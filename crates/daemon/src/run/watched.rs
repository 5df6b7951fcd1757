use std::time::Duration;

use tokio::time::Instant;
use tributary_engine::{Figures, Progress};

use crate::metrics::Metrics;

/// Shortest time between two lines of progress in the log.
const PAUSE: Duration = Duration::from_secs(10);

/// What is remembered of a running sync from one look to the next.
#[derive(Debug)]
pub(crate) struct Watched {
    begun: Instant,
    limit: Option<Duration>,
    /// What this attempt had done when it was counted last.
    counted: Figures,
    /// Which log lines the job's document has.
    pub(crate) log_seen: u64,
    told: u64,
    told_at: Instant,
}

impl Watched {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { begun: now, limit, counted: Figures::default(), log_seen: 0, told: 0, told_at: now }
    }

    pub(crate) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Counts what was done since the last time.
    pub(crate) fn count(&mut self, progress: &Progress, metrics: &Metrics) {
        let done = of_this_attempt(&progress.snapshot(), &progress.restored());
        metrics.moved_on(&self.counted, &done);
        self.counted = done;
    }

    /// Logs the progress after every so many documents.
    pub(crate) fn tell(&mut self, progress: &Progress, every: u64) {
        let figures = progress.snapshot();
        let reached = figures.listed.checked_div(every).unwrap_or(0);
        if reached > self.told && self.told_at.elapsed() >= PAUSE {
            (self.told, self.told_at) = (reached, Instant::now());
            let Figures { listed, unchanged, deleted, skipped, failed, .. } = figures;
            let indexed = figures.indexed();
            tracing::info!(listed, indexed, unchanged, deleted, skipped, failed, "the sync goes on");
        }
    }

    pub(crate) fn is_out_of_time(&self) -> bool {
        self.limit.is_some_and(|limit| self.begun.elapsed() >= limit)
    }

    /// Why the sync was stopped, where that is because of its time.
    pub(crate) fn too_long(&self) -> Option<String> {
        let limit = self.limit.filter(|_| self.is_out_of_time())?.as_secs();
        Some(format!(
            "the sync took longer than the {limit} s that a job may take (raise tributary.job_limits.time, or sync less \
             at a time with sync rules or incremental syncs)"
        ))
    }
}

fn of_this_attempt(now: &Figures, before: &Figures) -> Figures {
    let less = u64::saturating_sub;
    Figures {
        listed: less(now.listed, before.listed),
        created: less(now.created, before.created),
        updated: less(now.updated, before.updated),
        unchanged: less(now.unchanged, before.unchanged),
        deleted: less(now.deleted, before.deleted),
        skipped: less(now.skipped, before.skipped),
        filtered: less(now.filtered, before.filtered),
        failed: less(now.failed, before.failed),
        duplicates: less(now.duplicates, before.duplicates),
        bodies: less(now.bodies, before.bodies),
        wire_bytes: less(now.wire_bytes, before.wire_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_attempt_did_is_not_counted_again() {
        let figures = |listed| Figures { listed, ..Figures::default() };
        assert_eq!(of_this_attempt(&figures(10), &figures(7)).listed, 3);
    }
}
