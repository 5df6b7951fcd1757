//! The connector of a quickstart: made once, found again later.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tributary_client::{Client, ConnectorSelector, ErrorKind, NewConnector};
use tributary_protocol::{Connector, ConnectorId, JobType, SyncJobId, TriggerMethod};

use super::Start;
use super::folder::Folder;
use crate::error::{CliError, Result};
use crate::{source, target};

/// The kind of source that lists folders.
const SERVICE_TYPE: &str = "dir";
/// When it syncs by itself.
const EVERY_30_S: &str = "0/30 * * * * ?";

/// What is there once the connector is.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) connector: ConnectorId,
    pub(crate) index: String,
    pub(crate) job: SyncJobId,
}

/// Makes or finds the connector and a job of it that is not over.
pub(super) async fn prepare(client: &Client, start: &Start<'_>) -> Result<Ready> {
    let folder = start.folder;
    client.ensure_protocol_indices().await?;
    let connector = ConnectorId::from(folder.id());
    let found = client.connector(&connector).await?.map(|found| found.doc).filter(|doc| !doc.deleted);
    let index = match found.as_ref().and_then(|doc| doc.index_name.clone()) {
        Some(index) => index,
        None => create(client, &connector, folder).await?,
    };
    configure(client, &connector, found.as_ref(), start).await?;
    let job = open_job(client, &connector).await?;
    Ok(Ready { connector, index, job })
}

async fn create(client: &Client, id: &ConnectorId, folder: &Folder) -> Result<String> {
    let index = free_index(client, folder).await?;
    let new = NewConnector {
        name: Some(folder.slug()),
        description: Some(format!("files of {}", folder.path.display())),
        index_name: Some(index.clone()),
        service_type: Some(SERVICE_TYPE.to_owned()),
        ..NewConnector::default()
    };
    match client.create_connector(Some(id), &new).await {
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error.into()),
        // There is one without an index, or the first answer was lost.
        Err(_) => {
            client.update_index_name(id, Some(&index)).await?;
            Ok(index)
        }
        Ok(_) => Ok(index),
    }
}

/// The folder's name where it is free, else with what tells it apart: two connectors of one index would delete each
/// other's documents.
async fn free_index(client: &Client, folder: &Folder) -> Result<String> {
    let slug = folder.slug();
    let others = client.connectors(&ConnectorSelector::all()).await?;
    let used = others.iter().any(|other| other.doc.index_name.as_deref() == Some(slug.as_str()));
    let taken = used || client.index_exists(&target::index_name(&slug)?).await?;
    Ok(if taken { folder.id() } else { slug })
}

/// The configuration is written last, so that a connector that has one lacks nothing else.
async fn configure(
    client: &Client,
    id: &ConnectorId,
    found: Option<&Connector>,
    start: &Start<'_>,
) -> Result<()> {
    let wanted = values(start);
    if let Some(found) = found.filter(|found| !found.configuration.is_empty()) {
        let same = |(name, value): (&String, &Value)| {
            found.configuration.get(name).is_some_and(|field| field.value == *value)
        };
        if !wanted.iter().all(same) {
            client.update_configuration_values(id, &wanted).await?;
        }
        return Ok(());
    }
    let registry = tributary_connectors::registry();
    let kind = source::known(&registry, SERVICE_TYPE)?;
    client.update_scheduling(id, &json!({"full": {"enabled": true, "interval": EVERY_30_S}})).await?;
    client.update_features(id, &kind.features().to_value()).await?;
    let mut schema = kind.schema();
    for (name, value) in wanted {
        match schema.get_mut(&name) {
            Some(field) => field.value = value,
            None => return Err(CliError::ours(format!("source '{SERVICE_TYPE}' has no field '{name}'"))),
        }
    }
    client.update_configuration(id, &schema).await?;
    Ok(())
}

fn values(start: &Start<'_>) -> Map<String, Value> {
    let Start { args, settings, folder } = start;
    let mut values = Map::new();
    values.insert("directory".to_owned(), folder.path.to_string_lossy().into());
    values.insert("pattern".to_owned(), args.pattern.clone().into());
    if let Ok(data) = fs::canonicalize(&settings.tributary.data_dir)
        && let Ok(inside) = data.strip_prefix(&folder.path)
    {
        // Where the node's data lies inside the folder, it would change with every sync.
        values.insert("exclude".to_owned(), exclusion(inside).into());
    }
    values
}

/// A path below the folder as a pattern of a .gitignore file; what means something there, or ends a pattern, stands for
/// any character.
fn exclusion(inside: &Path) -> String {
    let plain = |c: char| if "*?[]\\!#, ".contains(c) { '?' } else { c };
    format!("/{}", inside.to_string_lossy().chars().map(plain).collect::<String>())
}

/// The job that an earlier start left unfinished, else a new one.
async fn open_job(client: &Client, connector: &ConnectorId) -> Result<SyncJobId> {
    let open = client.open_jobs().await?;
    let unfinished =
        open.into_iter().find(|job| job.doc.connector.id == *connector && job.doc.job_type == JobType::Full);
    match unfinished {
        Some(job) => Ok(job.id),
        None => Ok(client.create_job(connector, JobType::Full, TriggerMethod::OnDemand).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_pattern_that_matches_it() {
        assert_eq!(exclusion(Path::new("a/data")), "/a/data");
        assert_eq!(exclusion(Path::new("my data, [1]")), "/my?data???1?");
    }
}
