//! `tributary connector configure` and `delete`.

use serde_json::Map;
use tributary_protocol::config::ConfigSchema;

use super::fields;
use crate::args::TargetArgs;
use crate::error::{CliError, Result};
use crate::{output, target};

pub(crate) async fn configure(id: &str, pairs: &[String], args: &TargetArgs) -> Result<()> {
    let pairs = fields::parse(pairs)?;
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    let registry = tributary_connectors::registry();
    let kind = found.doc.service_type.as_deref().and_then(|service_type| registry.get(service_type));
    let declared = kind.map(|kind| kind.schema()).unwrap_or_default();
    let stored = &found.doc.configuration;
    // Fields that nobody has registered yet are registered with the values.
    let registered = ConfigSchema::registered(stored, &declared);
    let mut schema = registered.clone().unwrap_or_else(|| stored.clone());
    let values = fields::apply(&mut schema, pairs, Map::new())?;
    let bad: Vec<_> =
        schema.check().into_iter().filter(|problem| values.contains_key(&problem.field)).collect();
    if !bad.is_empty() {
        return Err(CliError::all(bad));
    }
    if registered.is_some() {
        client.update_configuration(&found.id, &schema).await?;
    } else {
        client.update_configuration_values(&found.id, &values).await?;
    }
    output::line(format!("configured connector '{id}'"))?;
    for problem in fields::problems(&schema) {
        output::note(format!("still to be mended: {problem}"));
    }
    Ok(())
}

pub(crate) async fn delete(id: &str, hard: bool, sync_jobs: bool, args: &TargetArgs) -> Result<()> {
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    client.delete_connector(&found.id, hard, sync_jobs).await?;
    if let Err(error) = tributary_daemon::forget_dead_letters(&client, &found.id).await {
        output::note(format!("its dead letters stay: {error}"));
    }
    output::line(format!("deleted connector '{id}'"))?;
    if let Some(index) = &found.doc.index_name {
        output::note(format!("index '{index}' stays; delete it with `tributary index delete {index}`"));
    }
    Ok(())
}
