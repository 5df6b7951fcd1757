//! Other options for a running daemon.

use std::sync::Arc;

use tokio::time::Instant;

use super::Loop;
use crate::budget::ErrorBudget;
use crate::metrics::Metric;
use crate::options::DaemonOptions;
use crate::plan::PlanRules;
use crate::service::Service;

impl Loop {
    /// Goes on with other options. Tasks that run keep what they began with.
    pub(super) fn reload(&mut self) {
        let Some(other) = self.reloads.borrow_and_update().clone() else { return };
        let (client, options) = (other.0.clone(), other.1.clone());
        let old = &self.service;
        let options = DaemonOptions {
            state_dir: old.options.state_dir.clone(),
            worker_name: old.options.worker_name.clone(),
            ..options
        };
        let service = Service::new(client, old.registry.clone(), options, old.shutdown.clone());
        self.rules = PlanRules::of(&service.options);
        self.budget = ErrorBudget::new(service.options.max_errors, service.options.max_errors_span);
        service.options.metrics.count(Metric::Reloads, &[], 1);
        self.service = Arc::new(service);
        // It would show what is served no more.
        self.look = None;
        self.next_connectors = Instant::now();
        self.next_jobs = Instant::now();
        tracing::info!("going on with the new configuration");
    }
}
