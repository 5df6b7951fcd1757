//! What the daemon sees: served connectors and open jobs.

use std::collections::HashMap;
use std::sync::Arc;

use tributary_client::{Client, ConnectorSelector, DocVersion, Result, Versioned};
use tributary_protocol::config::ConfigSchema;
use tributary_protocol::{Connector, ConnectorId, JobType, SyncJob, SyncJobId};
use tributary_sdk::{FeatureSet, Registry};

use crate::lease::{Holder, Lease};
use crate::options::Selection;

/// What a kind of source says about itself, as far as planning needs it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) schema: Arc<ConfigSchema>,
    pub(crate) features: FeatureSet,
}

/// A connector that is served.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) id: ConnectorId,
    pub(crate) version: DocVersion,
    pub(crate) doc: Connector,
    /// Whether it was asked for by its id.
    pub(crate) listed: bool,
    /// Its service type: as listed, else as its document says.
    pub(crate) service_type: Option<String>,
    /// Its kind of source, where that is built in.
    pub(crate) declared: Option<Declared>,
}

impl Served {
    /// Whether its documents carry and its source knows this kind of sync.
    pub(crate) fn can(&self, kind: JobType) -> bool {
        let Some(declared) = &self.declared else { return false };
        let asked = self.doc.features.as_ref();
        match kind {
            JobType::Full => true,
            JobType::Incremental => {
                declared.features.incremental_sync
                    && asked.is_some_and(|features| features.incremental_sync())
            }
            JobType::AccessControl => {
                declared.features.document_level_security
                    && asked.is_some_and(|features| features.document_level_security())
            }
        }
    }
}

/// A job that is not over.
#[derive(Clone, Debug)]
pub(crate) struct OpenJob {
    pub(crate) id: SyncJobId,
    pub(crate) version: DocVersion,
    pub(crate) doc: SyncJob,
    pub(crate) lease: Lease,
}

impl OpenJob {
    pub(crate) fn of(job: Versioned<SyncJobId, SyncJob>) -> Self {
        let lease = Lease::read(job.doc.metadata.as_ref());
        Self { id: job.id, version: job.version, doc: job.doc, lease }
    }

    pub(crate) fn holder(&self) -> Holder {
        Holder::of(&self.lease, self.doc.worker_hostname.as_deref(), self.doc.last_seen)
    }

    pub(crate) fn connector(&self) -> &ConnectorId {
        &self.doc.connector.id
    }

    pub(crate) fn lock(&self) -> Lock {
        Lock::of(self.doc.job_type)
    }
}

/// Jobs under the same lock of a connector exclude each other (sync-runtime 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// Full and incremental syncs.
    Content,
    /// Access-control syncs.
    AccessControl,
}

impl Lock {
    pub(crate) const ALL: [Self; 2] = [Self::Content, Self::AccessControl];

    pub(crate) fn of(kind: JobType) -> Self {
        if kind.is_content() { Self::Content } else { Self::AccessControl }
    }

    /// The kinds of jobs under it.
    pub(crate) fn kinds(self) -> &'static [JobType] {
        match self {
            Self::Content => &[JobType::Full, JobType::Incremental],
            Self::AccessControl => &[JobType::AccessControl],
        }
    }

    /// Names of the connector's fields that tell of the last sync: its status and its error.
    pub(crate) fn fields(self) -> (&'static str, &'static str) {
        match self {
            Self::Content => ("last_sync_status", "last_sync_error"),
            Self::AccessControl => ("last_access_control_sync_status", "last_access_control_sync_error"),
        }
    }
}

/// Looks at the cluster.
#[derive(Debug)]
pub(crate) struct Observer {
    client: Client,
    selection: Selection,
    select: ConnectorSelector,
    declared: HashMap<String, Declared>,
}

impl Observer {
    pub(crate) fn new(client: Client, selection: Selection, registry: &Registry) -> Self {
        let select = ConnectorSelector {
            ids: selection.ids.iter().map(|listed| listed.id.clone()).collect(),
            service_types: selection.service_types.clone(),
            all: selection.all,
            include_deleted: false,
        };
        let declared = registry
            .iter()
            .map(|kind| {
                let declared = Declared { schema: Arc::new(kind.schema()), features: kind.features() };
                (kind.service_type().to_owned(), declared)
            })
            .collect();
        Self { client, selection, select, declared }
    }

    /// The served connectors, by one search.
    pub(crate) async fn connectors(&self) -> Result<Vec<Served>> {
        let found = self.client.connectors(&self.select).await?;
        Ok(found.into_iter().filter_map(|connector| self.served(connector)).collect())
    }

    /// The open jobs of all connectors, by one search.
    pub(crate) async fn jobs(&self) -> Result<Vec<OpenJob>> {
        Ok(self.client.open_jobs().await?.into_iter().map(OpenJob::of).collect())
    }

    /// The connector where it is ours to serve. One that was not asked for by its id is left to others when its kind is
    /// not built in, or when it is managed by Elastic (sync-runtime 1.6).
    pub(crate) fn served(&self, connector: Versioned<ConnectorId, Connector>) -> Option<Served> {
        let Versioned { id, version, doc } = connector;
        if doc.deleted {
            return None;
        }
        let listed = self.selection.listed(&id);
        let named = listed.and_then(|listed| listed.service_type.clone());
        let service_type = named.or_else(|| doc.service_type.clone());
        let declared = service_type.as_ref().and_then(|kind| self.declared.get(kind)).cloned();
        let listed = listed.is_some();
        let wanted_by_type = !doc.is_native
            && service_type.as_ref().is_some_and(|kind| self.selection.service_types.contains(kind));
        let wanted = listed || ((self.selection.all || wanted_by_type) && declared.is_some());
        wanted.then_some(Served { id, version, doc, listed, service_type, declared })
    }
}
