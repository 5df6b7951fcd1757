//! Changes from the server's log, over an ordinary connection: what a slot holds is looked at, and given up only when the
//! position behind it was stored. Of a change only the key counts: rows are read again as they are now, so documents
//! are those of a full sync, whatever the log left out, and coming twice does no harm.

mod follow;
mod pgoutput;
mod reread;
mod slot;

use std::collections::BTreeMap;

use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;
use tributary_sdk::{Error, ErrorKind, Event, Result, emit};
use tributary_sql::{Database as _, Log, Plan, Session as _, Table};

use crate::config::{IncrementalBy, PostgresqlConfig};
use crate::database::PgDatabase;
use crate::session::PgSession;

/// What is needed to follow the log.
#[derive(Clone)]
pub struct Replication {
    plan: Plan,
    publication: String,
    slot: String,
    most_bytes: u64,
}

/// Where a database's log was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Everything before this is in the index.
    lsn: String,
    /// The tables that were followed, with their columns and keys.
    tables: BTreeMap<String, String>,
}

impl Replication {
    pub(crate) fn new(config: &PostgresqlConfig, plan: Plan) -> Self {
        Self {
            plan,
            publication: config.publication.clone(),
            slot: slot_name(config),
            most_bytes: u64::from(config.replication_max_log_mb) << 20,
        }
    }

    /// Slots are known by their name in the whole server.
    fn slot_of(&self, database: &PgDatabase, of: usize) -> String {
        if of > 1 { slot::name(&[&self.slot, &database.name]) } else { self.slot.clone() }
    }

    /// The tables that are followed: those that are read and have a key.
    async fn tables(&self, session: &mut PgSession) -> Result<Vec<Table>> {
        let found = session.tables().await?;
        let mut tables = Vec::new();
        for name in self.plan.selection.of(&found).tables {
            let Some(mut table) = session.describe(&name).await? else { continue };
            let key = self.plan.keys.of(&table).map_err(|problem| Error::new(ErrorKind::Config, problem))?;
            if table.kind == tributary_sql::Kind::View || key.is_none() {
                tracing::debug!(table = %name, "not followed in the log: a view, or without a key");
                continue;
            }
            table.key = key;
            tables.push(table);
        }
        Ok(tables)
    }
}

impl Log<PgDatabase> for Replication {
    /// Makes sure that the log is kept from here on; the place to go on from after a full listing.
    async fn begin(&self, databases: &[PgDatabase]) -> Result<Value> {
        let mut places = BTreeMap::new();
        for database in databases {
            let mut session = database.open().await?;
            let tables = self.tables(&mut session).await?;
            slot::publish(session.client(), &self.publication, &tables).await?;
            let lsn =
                slot::begin(session.client(), &self.slot_of(database, databases.len()), self.most_bytes)
                    .await?;
            places.insert(database.name.clone(), Place { lsn, tables: shapes(&tables) });
        }
        serde_json::to_value(places).map_err(unkept)
    }

    /// Lists what changed since `log`; the last event is the checkpoint behind it.
    fn changes(self, databases: Vec<PgDatabase>, log: Value) -> BoxStream<'static, Result<Event>> {
        emit::stream(move |emit| async move {
            let old: BTreeMap<String, Place> = serde_json::from_value(log).map_err(|error| {
                Error::new(ErrorKind::PositionGone, "the stored position cannot be read").because(error)
            })?;
            let mut places = BTreeMap::new();
            for database in &databases {
                let place = old.get(&database.name).ok_or_else(|| {
                    gone(format!("the database '{}' was not followed so far", database.name))
                })?;
                let slot = self.slot_of(database, databases.len());
                let next = follow::follow(&self, database, &slot, place, &emit).await?;
                places.insert(database.name.clone(), next);
            }
            let log = serde_json::to_value(places).map_err(unkept)?;
            let start = tributary_sql::Start { log, ..Default::default() };
            let cursor = tributary_sql::Position::finished(&self.plan, start)?;
            Ok(emit.send(Event::Checkpoint(cursor)).await?)
        })
    }
}

fn unkept(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a position in the log cannot be kept").because(error)
}

fn gone(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::PositionGone, reason)
}

/// Columns and keys of tables, to see whether they are the same later.
fn shapes(tables: &[Table]) -> BTreeMap<String, String> {
    let shape = |table: &Table| {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("{} {}", column.name, column.type_name)).collect();
        let key = table.key.as_ref().map(|key| key.columns.join(",")).unwrap_or_default();
        slot::digest(&format!("{}\0{key}", columns.join(",")))
    };
    tables.iter().map(|table| (table.name.to_string(), shape(table))).collect()
}

/// The configured name, or one that stays the same as long as database and schema do.
fn slot_name(config: &PostgresqlConfig) -> String {
    if config.replication_slot.is_empty() {
        slot::name(&[config.database.trim(), config.schema.trim()])
    } else {
        config.replication_slot.clone()
    }
}

/// Drops the slot that an earlier configuration left behind, so that the server keeps no log for nobody.
pub(crate) async fn clean_up(config: &PostgresqlConfig, databases: &[PgDatabase]) {
    if config.incremental_by == IncrementalBy::LogicalReplication {
        return;
    }
    let own = slot::name(&[config.database.trim(), config.schema.trim()]);
    for database in databases {
        let name = if databases.len() > 1 { slot::name(&[&own, &database.name]) } else { own.clone() };
        let dropped = async {
            let session = database.open().await?;
            slot::drop_idle(session.client(), &name).await
        };
        match dropped.await {
            Ok(true) => tracing::info!(slot = name, "dropped a replication slot that is not used any more"),
            Ok(false) => {}
            // The listing itself meets whatever this was.
            Err(error) => tracing::debug!("a replication slot could not be looked for: {}", error.report()),
        }
    }
}

/// Whether the server can do what the configuration asks for.
pub(crate) async fn look(config: &PostgresqlConfig, client: &Client) -> Result<()> {
    match config.incremental_by {
        IncrementalBy::LogicalReplication => slot::look(client).await,
        IncrementalBy::CommitTimestamp if !crate::catalog::has_commit_timestamps(client).await? => {
            let message = "the server keeps no commit timestamps (track_commit_timestamp is off)";
            Err(Error::new(ErrorKind::Config, message)
                .hint("set track_commit_timestamp = on and restart the server, or choose another 'Incremental sync by'"))
        }
        _ => Ok(()),
    }
}
