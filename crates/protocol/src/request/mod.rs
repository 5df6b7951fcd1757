//! Bodies of the Connector, Sync Job and Secret APIs, read as strictly as Elasticsearch reads them and refused in its
//! words: unknown keys at the top are errors, in nested objects they are dropped (connector-api 2.3).

pub(crate) mod configuration;
mod connector;
mod fault;
mod filtering;
mod json;
mod object;
mod secret;
mod settings;
mod suggest;
mod sync_job;
mod syntax;

pub(crate) use connector::MANAGED_PREFIX;
pub use connector::{ConnectorRequest, CreateConnector};
pub use json::malformed;
pub use secret::SecretRequest;
pub use sync_job::{CreateSyncJob, SyncJobRequest};

use crate::{IndexName, ProtocolError};

/// Checks names of indices as the filter `index_name` of the list has them (connector-api 6.3).
///
/// # Errors
/// All names that cannot be an index's, in one error.
pub fn check_index_names<S: AsRef<str>>(names: &[S]) -> Result<(), ProtocolError> {
    no_broken_rule(names.iter().filter_map(|name| bad_index_name(name.as_ref())).collect())
}

/// The message about a name that cannot be an index's (connector-api 2.5).
fn bad_index_name(name: &str) -> Option<String> {
    let why = IndexName::fault(name)?;
    Some(format!(
        "[{name}] org.elasticsearch.indices.InvalidIndexNameException: Invalid index name [{name}], {why}"
    ))
}

/// Refuses a request that breaks rules; all of them at once.
fn no_broken_rule(broken: Vec<String>) -> Result<(), ProtocolError> {
    if broken.is_empty() { Ok(()) } else { Err(ProtocolError::validation(broken)) }
}

/// A request that was read must be there unless a rule is broken.
fn not_understood() -> ProtocolError {
    ProtocolError::new(500, "illegal_state_exception", "the request was not understood")
}
