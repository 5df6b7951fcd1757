use std::sync::Arc;

use chrono::{DateTime, Utc};
use tributary_client::Client;
use tributary_protocol::ConnectorId;
use tributary_sdk::{Context, Cursor, Env, Registry};
use tributary_tasks::{Clock, Shutdown};

use crate::lease::LeaseTerms;
use crate::observe::Observer;
use crate::options::DaemonOptions;

/// What all tasks of a process share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) registry: Registry,
    pub(crate) options: DaemonOptions,
    pub(crate) observer: Observer,
    pub(crate) shutdown: Shutdown,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Service {
    pub(crate) fn new(
        client: Client,
        registry: Registry,
        options: DaemonOptions,
        shutdown: Shutdown,
    ) -> Self {
        let observer = Observer::new(client.clone(), options.connectors.clone(), &registry);
        let clock = Arc::new(tributary_tasks::SystemClock);
        Self { client, registry, options: options.usable(), observer, shutdown, clock }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn terms(&self) -> LeaseTerms {
        LeaseTerms { length: self.options.lease }
    }

    pub(crate) fn env(&self) -> Env {
        Env { clock: Arc::clone(&self.clock) }
    }

    /// What a source gets for one listing or check.
    pub(crate) fn context(&self, cursor: Option<Cursor>) -> Context {
        Context {
            cursor,
            advanced_rules: None,
            max_body_bytes: self.options.sync.max_body_bytes,
            clock: Arc::clone(&self.clock),
        }
    }

    /// The client for the connector's content.
    pub(crate) fn content_client(&self, connector: &ConnectorId) -> &Client {
        let own = self.options.connectors.listed(connector).and_then(|listed| listed.content_client.as_ref());
        own.unwrap_or(&self.client)
    }
}
