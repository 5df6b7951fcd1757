//! What a look and the running syncs are shown as.

use std::collections::BTreeMap;

use tributary_protocol::JobType;

use super::Loop;
use crate::metrics::Metric;
use crate::observe::Served;

impl Loop {
    /// The secrets of new and changed configurations are hidden from now on.
    pub(super) fn learn_secrets(&self, connectors: &[Served]) {
        for connector in connectors {
            if self.memory.connector(&connector.id).is_some_and(|seen| seen.version() == connector.version) {
                continue;
            }
            let declared = connector.declared.as_ref().map(|declared| declared.schema.as_ref());
            self.service.options.redactor.learn_configuration(&connector.doc.configuration, declared);
        }
    }

    /// Shows what was seen in the figures.
    pub(super) fn show(&self) {
        let metrics = &self.service.options.metrics;
        let mut connectors: BTreeMap<&str, usize> = BTreeMap::new();
        for connector in &self.connectors {
            *connectors.entry(connector.doc.status.as_str()).or_default() += 1;
        }
        metrics.show(
            Metric::Connectors,
            connectors.into_iter().map(|(status, count)| (vec![("status", status)], count)),
        );
        let mut jobs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for job in &self.jobs {
            *jobs.entry((job.doc.status.as_str(), job.doc.job_type.as_str())).or_default() += 1;
        }
        let labels = |(status, kind)| vec![("status", status), ("job_type", kind)];
        metrics.show(Metric::OpenJobs, jobs.into_iter().map(|(job, count)| (labels(job), count)));
    }

    /// Shows the syncs that run in the figures.
    pub(super) fn show_running(&self) {
        let running = self.status.running();
        let of = |kind: JobType| running.iter().filter(|sync| sync.job_type == kind).count();
        let kinds = JobType::ALL.map(|kind| (vec![("job_type", kind.as_str())], of(kind)));
        self.service.options.metrics.show(Metric::Running, kinds);
    }
}
