//! The rights that a daemon needs on a cluster with security (docs/operate.md, "Rights").

use std::fmt;

use tributary_client::{Client, ClientError, IndexPrivileges, MissingPrivileges};
use tributary_protocol::mappings::{CONNECTORS_ALIAS, SYNC_JOBS_ALIAS};
use tributary_protocol::{Connector, JobType};

use crate::letters::DEAD_LETTERS;

/// On the cluster, to see what it is.
pub const MONITOR: &str = "monitor";
/// On the cluster, to see that a connector's pipeline exists.
pub const READ_PIPELINE: &str = "read_pipeline";
/// On the cluster, where it has the Connector APIs.
pub const MANAGE_CONNECTOR: &str = "manage_connector";
/// On the protocol's indices.
pub const PROTOCOL_INDICES: &[&str] = &["read", "write", "view_index_metadata"];
/// On content indices, on those of access control, and on [`DEAD_LETTERS`].
pub const CONTENT_INDICES: &[&str] = &["read", "write", "create_index", "view_index_metadata", "maintenance"];

/// Rights that a user or API key lacks; shown, they are named one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking(Vec<MissingPrivileges>);

impl Lacking {
    /// What the daemon's client lacks whatever its connectors are.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn for_service(client: &Client, connector_apis: bool) -> Result<Self, ClientError> {
        let protocol =
            IndexPrivileges { names: &[CONNECTORS_ALIAS, SYNC_JOBS_ALIAS], privileges: PROTOCOL_INDICES };
        let letters = IndexPrivileges { names: &[DEAD_LETTERS], privileges: CONTENT_INDICES };
        let mut lacking = client.missing_privileges(&[MONITOR], &[protocol, letters]).await?;
        if connector_apis {
            // By itself: a cluster that does not know this right refuses the question.
            lacking.extend(client.missing_privileges(&[MANAGE_CONNECTOR], &[]).await?);
        }
        Ok(Self(lacking))
    }

    /// What the client of a connector's content lacks for that connector.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn for_content(client: &Client, connector: &Connector) -> Result<Self, ClientError> {
        let secured = connector.features.as_ref().is_some_and(|features| features.document_level_security());
        let kinds = [Some(JobType::Full), secured.then_some(JobType::AccessControl)];
        let names: Vec<String> =
            kinds.into_iter().flatten().filter_map(|kind| connector.target_index(kind)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if names.is_empty() {
            return Ok(Self::default());
        }
        let content = IndexPrivileges { names: &names, privileges: CONTENT_INDICES };
        client.missing_privileges(&[READ_PIPELINE], &[content]).await.map(Self)
    }

    /// Those without which nothing can be synced, and those without which something else is missing: to see that a pipeline
    /// exists, and to keep dead letters. The keys that Elastic's tools make for a connector lack these (connector-api 3).
    #[must_use]
    pub fn split(self) -> (Self, Self) {
        let (dispensable, needed) = self.0.into_iter().partition(|missing| match &missing.index {
            Some(index) => index == DEAD_LETTERS,
            None => missing.privileges == [READ_PIPELINE],
        });
        (Self(needed), Self(dispensable))
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, missing) in self.0.iter().enumerate() {
            let place = missing.index.as_ref().map_or("the cluster".to_owned(), |name| format!("'{name}'"));
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{} on {place}", missing.privileges.join(", "))?;
        }
        Ok(())
    }
}
