//! `tributary connector`: create, list, show, configure, schedule and delete connectors.

mod change;
mod create;
mod fields;
mod rules;
mod schedule;
mod show;

use tributary_client::{ConnectorSelector, Versioned};
use tributary_protocol::{Connector, ConnectorId};

pub(crate) use fields::masked;
pub(crate) use schedule::never_fires;
pub(crate) use show::{named, time};

use crate::args::{ConnectorCommand, TargetArgs};
use crate::error::Result;
use crate::output::{self, Format};
use crate::target;

pub(crate) async fn run(command: ConnectorCommand) -> Result<()> {
    match command {
        ConnectorCommand::Create(args) => create::run(args).await,
        ConnectorCommand::List { target, output } => list(&target, output.output).await,
        ConnectorCommand::Show { id, target, output } => show::run(&id, &target, output.output).await,
        ConnectorCommand::Configure { id, values, target } => change::configure(&id, &values, &target).await,
        ConnectorCommand::Schedule { id, schedule, target } => schedule::run(&id, &schedule, &target).await,
        ConnectorCommand::Rules(command) => rules::run(command).await,
        ConnectorCommand::Delete { id, hard, sync_jobs, target } => {
            change::delete(&id, hard, sync_jobs, &target).await
        }
    }
}

async fn list(args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let connectors = client.connectors(&ConnectorSelector::all()).await?;
    if format == Format::Json {
        return output::json(&connectors.iter().map(|found| show::document(&found.id, &found.doc)).collect());
    }
    let rows: Vec<Vec<String>> = connectors.iter().map(row).collect();
    output::line(output::table(&["ID", "NAME", "INDEX", "TYPE", "STATUS", "LAST SYNC", "AT"], &rows))
}

fn row(found: &Versioned<ConnectorId, Connector>) -> Vec<String> {
    let doc = &found.doc;
    vec![
        found.id.to_string(),
        named(doc.name.as_deref()),
        named(doc.index_name.as_deref()),
        named(doc.service_type.as_deref()),
        doc.status.to_string(),
        doc.last_sync_status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        time(doc.last_synced),
    ]
}
