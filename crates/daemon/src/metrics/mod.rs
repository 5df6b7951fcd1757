//! What a daemon counts, for Prometheus.

mod book;
mod names;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tributary_client::ClientStats;
use tributary_engine::Figures;

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

/// Counts are exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn whole(count: u64) -> f64 {
    count as f64
}
