use serde_json::Value;
use tributary_client::{Client, ErrorKind, Result, Versioned};
use tributary_protocol::{Connector, ConnectorId};

/// How often a change is decided anew because somebody else wrote the document in between.
const TRIES: usize = 5;

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// There is no such connector, or it is marked as deleted.
    Gone,
    /// There was nothing to change.
    Left(Versioned<ConnectorId, Connector>),
    /// The document as it was, with the version it has now.
    Written(Versioned<ConnectorId, Connector>),
}

impl Changed {
    /// The connector, with the version it has now.
    pub(crate) fn connector(&self) -> Option<&Versioned<ConnectorId, Connector>> {
        match self {
            Self::Gone => None,
            Self::Left(connector) | Self::Written(connector) => Some(connector),
        }
    }
}

/// Reads the connector, asks what to change, and writes that unless somebody wrote the connector in between; then all
/// over again.
pub(crate) async fn change_connector(
    client: &Client,
    id: &ConnectorId,
    mut decide: impl FnMut(&Versioned<ConnectorId, Connector>) -> Option<Value>,
) -> Result<Changed> {
    let mut tries = 1;
    loop {
        let Some(mut connector) = client.connector(id).await?.filter(|connector| !connector.doc.deleted)
        else {
            return Ok(Changed::Gone);
        };
        let Some(change) = decide(&connector) else { return Ok(Changed::Left(connector)) };
        match client.update_connector(id, &change, Some(connector.version)).await {
            Ok(version) => {
                connector.version = version;
                return Ok(Changed::Written(connector));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Changed::Gone),
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}
