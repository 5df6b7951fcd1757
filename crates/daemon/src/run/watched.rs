use std::time::Duration;

use tokio::time::Instant;
use tributary_engine::{Figures, Progress};

use crate::metrics::Metrics;

/// Shortest time between two lines of progress in the log.
const PAUSE: Duration = Duration::from_secs(10);

/// Limits of a sync's time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// For all of it, in one go.
    pub(crate) time: Option<Duration>,
    /// In which the source tells nothing while only it is waited for.
    pub(crate) silence: Option<Duration>,
}

/// What is remembered of a running sync from one look to the next.
#[derive(Debug)]
pub(crate) struct Watched {
    begun: Instant,
    limits: Limits,
    /// Since when only the source is waited for, and how often it was heard until then.
    waits: Option<(u64, Instant)>,
    /// Which limit the sync was stopped at.
    over: Option<String>,
    /// What this attempt had done when it was counted last.
    counted: Figures,
    /// Which log lines the job's document has.
    pub(crate) log_seen: u64,
    told: u64,
    told_at: Instant,
}

impl Watched {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            limits,
            waits: None,
            over: None,
            counted: Figures::default(),
            log_seen: 0,
            told: 0,
            told_at: now,
        }
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

    /// Which limit is reached, told once: the sync is to be stopped.
    pub(crate) fn reaches_limit(&mut self, progress: &Progress, now: Instant) -> Option<&str> {
        let silent = self.silence(progress.waiting_for_source(), now);
        if self.over.is_some() {
            return None;
        }
        let reached = |limit: Option<Duration>, time: Duration| limit.filter(|limit| time >= *limit);
        let why = if let Some(limit) = reached(self.limits.time, now - self.begun) {
            format!(
                "the sync took longer than the {} s that a job may take (raise tributary.job_limits.time, or sync less at \
                 a time with sync rules or incremental syncs)",
                limit.as_secs()
            )
        } else {
            let limit = reached(self.limits.silence, silent)?;
            format!(
                "the source told nothing for {} s, and its sync waited for nothing else (see whether it works; if it needs so \
                 long to answer, raise tributary.job_limits.silence)",
                limit.as_secs()
            )
        };
        Some(self.over.insert(why))
    }

    /// The limit the sync was stopped at.
    pub(crate) fn over(&mut self) -> Option<String> {
        self.over.take()
    }

    /// For how long only the source is waited for, by how often it has been heard now.
    fn silence(&mut self, heard: Option<u64>, now: Instant) -> Duration {
        self.waits = heard.map(|heard| match self.waits {
            Some((before, since)) if before == heard => (heard, since),
            _ => (heard, now),
        });
        self.waits.map_or(Duration::ZERO, |(_, since)| now - since)
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
    fn a_source_is_silent_while_only_it_is_waited_for_and_it_is_not_heard() {
        let (mut watched, begun) = (Watched::new(Limits::default()), Instant::now());
        let seen =
            [(Some(7), 0), (Some(7), 1), (Some(7), 2), (Some(8), 0), (Some(8), 1), (None, 0), (Some(8), 0)];
        for (second, (heard, silent)) in (0..).zip(seen) {
            let now = begun + Duration::from_secs(second);
            assert_eq!(watched.silence(heard, now).as_secs(), silent, "{heard:?} at {second} s");
        }
    }

    #[test]
    fn a_limit_is_told_once_and_kept_for_the_end() {
        let (minute, progress) = (Duration::from_secs(60), Progress::new());
        let mut watched = Watched::new(Limits { time: Some(minute), silence: Some(minute) });
        let now = Instant::now();
        assert_eq!(watched.reaches_limit(&progress, now), None);
        // What waits for nothing is not silent.
        let why = watched.reaches_limit(&progress, now + minute);
        assert!(why.is_some_and(|why| why.contains("longer than the 60 s")));
        assert_eq!(watched.reaches_limit(&progress, now + minute), None);
        assert!(watched.over().is_some());
    }

    #[test]
    fn what_an_earlier_attempt_did_is_not_counted_again() {
        let figures = |listed| Figures { listed, ..Figures::default() };
        assert_eq!(of_this_attempt(&figures(10), &figures(7)).listed, 3);
    }
}
