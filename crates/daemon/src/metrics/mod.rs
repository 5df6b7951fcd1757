//! What a daemon counts, for Prometheus.

mod book;
mod names;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tributary_client::ClientStats;
use tributary_engine::Figures;
use tributary_protocol::{JobType, SyncStatus};

use book::Book;
pub(crate) use names::Metric;

/// The figures of a process's daemon. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    book: Arc<Mutex<Book>>,
    client: Arc<ClientStats>,
}

impl Metrics {
    /// Figures that include those of the clients with these statistics.
    #[must_use]
    pub fn with_client(client: Arc<ClientStats>) -> Self {
        Self { client, ..Self::default() }
    }

    /// The statistics to give to clients ([`tributary_client::ClientOptions::stats`]).
    #[must_use]
    pub fn client(&self) -> Arc<ClientStats> {
        Arc::clone(&self.client)
    }

    /// All figures as Prometheus reads them (text format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        let figures = self.client.figures();
        self.with(|book| {
            begin(book);
            book.set(Metric::Requests, &[], whole(figures.attempts));
            book.set(Metric::Retries, &[], whole(figures.retries));
            for (kind, count) in [
                ("throttled", figures.throttled),
                ("unreachable", figures.unreachable),
                ("timeout", figures.timeouts),
                ("refused", figures.refused),
            ] {
                book.set(Metric::RequestFailures, &[("kind", kind)], whole(count));
            }
            book.render()
        })
    }

    pub(crate) fn count(&self, metric: Metric, labels: &[(&'static str, &str)], more: u64) {
        self.with(|book| book.add(metric, labels, whole(more)));
    }

    /// Replaces all values of a metric.
    pub(crate) fn show<'l>(
        &self,
        metric: Metric,
        values: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, usize)>,
    ) {
        self.with(|book| {
            book.clear(metric);
            for (labels, value) in values {
                book.set(metric, &labels, whole(value as u64));
            }
        });
    }

    pub(crate) fn took(&self, metric: Metric, labels: &[(&'static str, &str)], time: Duration) {
        self.with(|book| book.observe(metric, labels, time.as_secs_f64()));
    }

    /// Counts what a sync did since it was looked at last.
    pub(crate) fn moved_on(&self, from: &Figures, to: &Figures) {
        let documents = [
            ("listed", from.listed, to.listed),
            ("created", from.created, to.created),
            ("updated", from.updated, to.updated),
            ("unchanged", from.unchanged, to.unchanged),
            ("deleted", from.deleted, to.deleted),
            ("skipped", from.skipped, to.skipped),
            ("filtered", from.filtered, to.filtered),
            ("failed", from.failed, to.failed),
        ];
        for (outcome, from, to) in documents {
            self.count(Metric::Documents, &[("outcome", outcome)], to.saturating_sub(from));
        }
        self.count(Metric::Bytes, &[], to.wire_bytes.saturating_sub(from.wire_bytes));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows what has not happened yet as 0: `rate` of a counter that appears with 1 tells nothing, and an alert on it would miss
/// the first time.
fn begin(book: &mut Book) {
    for job_type in [JobType::Full, JobType::Incremental, JobType::AccessControl] {
        let label = ("job_type", job_type.as_str());
        for metric in [Metric::Started, Metric::Scheduled, Metric::Lost] {
            book.add(metric, &[label], 0.0);
        }
        for status in [SyncStatus::Completed, SyncStatus::Error, SyncStatus::Canceled, SyncStatus::Suspended]
        {
            book.add(Metric::Finished, &[label, ("status", status.as_str())], 0.0);
        }
    }
    for metric in [Metric::TakenOver, Metric::PollFailures, Metric::Reloads] {
        book.add(metric, &[], 0.0);
    }
}

/// Counts are exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn whole(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_happened_yet_is_shown_as_zero() {
        let metrics = Metrics::default();
        metrics.count(Metric::Lost, &[("job_type", "full")], 2);
        for _ in 0..2 {
            let text = metrics.render();
            for line in [
                "tributary_jobs_lost_total{job_type=\"full\"} 2",
                "tributary_jobs_lost_total{job_type=\"access_control\"} 0",
                "tributary_jobs_finished_total{job_type=\"full\",status=\"error\"} 0",
                "tributary_poll_failures_total 0",
            ] {
                assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
            }
        }
    }
}
