//! The control path: connectors and sync jobs.

mod connectors;
mod documents;
mod indices;
mod jobs;
mod read;
mod rules;

pub use connectors::NewConnector;
pub use documents::Created;
pub use jobs::JobStats;
pub(crate) use read::Unreadable;
pub use read::{ConnectorSelector, JobFilter, Versioned};
pub use rules::Written;

/// Alias of the connectors' documents (connector-api 4).
const CONNECTORS: &str = ".elastic-connectors";
/// Alias of the sync jobs' documents.
const JOBS: &str = ".elastic-connectors-sync-jobs";
/// The index behind [`CONNECTORS`].
const CONNECTORS_INDEX: &str = ".elastic-connectors-v1";
/// The index behind [`JOBS`].
const JOBS_INDEX: &str = ".elastic-connectors-sync-jobs-v1";

/// How the protocol's documents are written: one set of rules, two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// The cluster applies the rules, behind its Connector APIs.
    Api,
    /// We apply the rules (`tributary_protocol::ops`) and write the documents.
    Documents,
}
