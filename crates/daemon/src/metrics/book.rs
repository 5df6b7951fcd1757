use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::names::{Metric, Shape};

/// Upper bounds of the buckets in seconds: from a bulk request on the same machine to a sync of a day.
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// The values of all metrics by their labels.
#[derive(Debug, Default)]
pub(crate) struct Book {
    values: BTreeMap<(Metric, String), f64>,
    histograms: BTreeMap<(Metric, String), Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Of each bucket alone; the last is for what is above all bounds.
    counts: [u64; BUCKETS.len() + 1],
    sum: f64,
}

impl Book {
    pub(crate) fn add(&mut self, metric: Metric, labels: &[(&'static str, &str)], more: f64) {
        *self.values.entry((metric, label_text(labels))).or_default() += more;
    }

    pub(crate) fn set(&mut self, metric: Metric, labels: &[(&'static str, &str)], value: f64) {
        self.values.insert((metric, label_text(labels)), value);
    }

    pub(crate) fn clear(&mut self, metric: Metric) {
        self.values.retain(|(known, _), _| *known != metric);
    }

    pub(crate) fn observe(&mut self, metric: Metric, labels: &[(&'static str, &str)], seconds: f64) {
        let histogram = self.histograms.entry((metric, label_text(labels))).or_default();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        histogram.counts[bucket] += 1;
        histogram.sum += seconds;
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for metric in Metric::ALL {
            // Writing to a text cannot fail.
            let (name, shape) = (metric.name(), metric.shape());
            let _written =
                write!(text, "# HELP {name} {}\n# TYPE {name} {}\n", metric.help(), shape.as_str());
            if shape == Shape::Histogram {
                let of_metric = self.histograms.iter().filter(|((known, _), _)| known == metric);
                of_metric.for_each(|((_, labels), histogram)| histogram.render(&mut text, name, labels));
                continue;
            }
            for ((_, labels), value) in self.values.iter().filter(|((known, _), _)| known == metric) {
                let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let _written = writeln!(text, "{name}{braced} {value}");
            }
        }
        text
    }
}

impl Histogram {
    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let mut below = 0;
        let bounds = BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(self.counts) {
            below += count;
            let _written = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}");
        }
        let _written = writeln!(text, "{name}_sum{braced} {}\n{name}_count{braced} {below}", self.sum);
    }
}

fn label_text(labels: &[(&'static str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_as_prometheus_reads_them() {
        let mut book = Book::default();
        book.add(Metric::Finished, &[("job_type", "full"), ("status", "completed")], 2.0);
        book.add(Metric::Finished, &[("job_type", "full"), ("status", "completed")], 1.0);
        book.set(Metric::Connectors, &[("status", "a\"b\\c\n")], 4.0);
        book.observe(Metric::BulkSeconds, &[("outcome", "ok")], 0.02);
        book.observe(Metric::BulkSeconds, &[("outcome", "ok")], 1e9);
        let text = book.render();
        for line in [
            "# TYPE tributary_jobs_finished_total counter",
            "tributary_jobs_finished_total{job_type=\"full\",status=\"completed\"} 3",
            "tributary_connectors{status=\"a\\\"b\\\\c\\n\"} 4",
            "# TYPE tributary_bulk_duration_seconds histogram",
            "tributary_bulk_duration_seconds_bucket{outcome=\"ok\",le=\"0.01\"} 0",
            "tributary_bulk_duration_seconds_bucket{outcome=\"ok\",le=\"0.025\"} 1",
            "tributary_bulk_duration_seconds_bucket{outcome=\"ok\",le=\"+Inf\"} 2",
            "tributary_bulk_duration_seconds_count{outcome=\"ok\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_metric_that_is_cleared_keeps_no_old_labels() {
        let mut book = Book::default();
        book.set(Metric::Connectors, &[("status", "error")], 1.0);
        book.clear(Metric::Connectors);
        assert!(!book.render().contains("status=\"error\""));
    }
}
