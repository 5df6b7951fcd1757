use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use tributary_sdk::emit::{Emitter, Stop};
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{Attempts, Database as _, Table, TableName, late};

use super::pgoutput::{self, Message, Relation, Tuple};
use super::reread::Changed;
use super::{Place, Replication, gone, shapes, slot};
use crate::catalog::get;
use crate::connect::{ASKING, Link, in_time};
use crate::database::PgDatabase;
use crate::error::told;
use crate::session::raw;

/// How long the server may take until the next change comes: it reads its log first.
const NEXT_CHANGE: Duration = Duration::from_secs(1_800);

/// Tells of everything that changed since `place`.
pub(super) async fn follow(
    replication: &Replication,
    database: &PgDatabase,
    slot: &str,
    place: &Place,
    emit: &Emitter,
) -> Result<Place, Stop> {
    let mut attempts = Attempts::new(replication.plan.attempts);
    loop {
        match try_follow(replication, database, slot, place, emit).await {
            Err(Stop::Failed(error)) => attempts.again(error).await?,
            followed => return followed,
        }
    }
}

async fn try_follow(
    replication: &Replication,
    database: &PgDatabase,
    slot: &str,
    place: &Place,
    emit: &Emitter,
) -> Result<Place, Stop> {
    let mut session = database.open().await?;
    let tables = replication.tables(&mut session).await?;
    let now = shapes(&tables);
    if now != place.tables {
        return Err(
            gone(format!("tables, columns or keys changed: {}", difference(&place.tables, &now))).into()
        );
    }
    slot::publish(session.client(), &replication.publication, &tables).await?;
    slot::give_up(session.client(), slot, &place.lsn).await?;
    let what = format!("the log behind the replication slot '{slot}' cannot be read");
    let end = "SELECT pg_current_wal_flush_lsn()::text";
    let end: String = get(&in_time(&what, ASKING, session.client().query_one(end, &[])).await?, 0)?;
    // Rows are read again over a connection of their own while the log comes in.
    let log = database.server.connect(&database.name).await?;
    let known = Known::new(&log, &tables).await?;
    let mut changed = Changed::new(database, session);
    let sql = "SELECT data FROM pg_logical_slot_peek_binary_changes($1::text::name, $2::text::pg_lsn, NULL,
        'proto_version', '1', 'publication_names', $3::text)";
    let publication = quoted_list(&replication.publication);
    let parameters = [slot, end.as_str(), publication.as_str()];
    let reading = tokio::time::timeout(NEXT_CHANGE, log.client.query_raw(sql, parameters));
    let rows = reading.await.map_err(|_| late(&what))?.map_err(|error| told(&what, error))?;
    let mut rows = pin!(rows);
    let mut relations: HashMap<u32, Option<(usize, Relation)>> = HashMap::new();
    loop {
        let row = tokio::time::timeout(NEXT_CHANGE, rows.next()).await.map_err(|_| late(&what))?;
        let Some(row) = row else { break };
        let row = row.map_err(|error| told(&what, error))?;
        let message = raw(&row, 0).and_then(pgoutput::read).ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, format!("{what}: a message is not of the expected form"))
        })?;
        match message {
            Message::Relation(id, relation) => {
                drop(relations.insert(id, known.find(&relation).map(|table| (table, relation))));
            }
            Message::Rows(id, tuples) => {
                let Some(Some((table, relation))) = relations.get(&id) else { continue };
                let Some(table) = tables.get(*table) else { continue };
                for tuple in tuples {
                    note(&mut changed, table, relation, &tuple)?;
                }
                if changed.is_full() {
                    changed.tell(emit).await?;
                }
            }
            Message::Truncate(ids) => {
                if let Some((_, relation)) = ids.iter().find_map(|id| relations.get(id)?.as_ref()) {
                    return Err(gone(format!(
                        "the table {}.{} was emptied with TRUNCATE",
                        relation.schema, relation.name
                    ))
                    .into());
                }
            }
            Message::Other => {}
        }
    }
    changed.tell(emit).await?;
    Ok(Place { lsn: end, tables: now })
}

/// The name as an item of a list.
fn quoted_list(name: &str) -> String {
    crate::statement::quoted(name)
}

/// Notes the key of a row. The old row of an update whose key did not change is not in the log.
fn note(changed: &mut Changed<'_>, table: &Table, relation: &Relation, tuple: &Tuple) -> Result<()> {
    let Some(key) = &table.key else { return Ok(()) };
    let mut values = Vec::with_capacity(key.columns.len());
    for column in &key.columns {
        let place = relation.columns.iter().position(|name| name == column);
        match place.and_then(|place| tuple.get(place)?.clone()) {
            Some(value) => values.push(value),
            None => {
                return Err(gone(format!(
                    "the log does not tell the key of a row of {}: {column} is missing",
                    table.name
                )));
            }
        }
    }
    changed.note(table, values);
    Ok(())
}

fn difference(
    old: &std::collections::BTreeMap<String, String>,
    new: &std::collections::BTreeMap<String, String>,
) -> String {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let names: Vec<&str> =
        names.filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect();
    names.join(", ")
}

/// Which of the followed tables a table of the log is: itself, or the parent whose part it is.
struct Known {
    places: HashMap<TableName, usize>,
}

impl Known {
    async fn new(link: &Link, tables: &[Table]) -> Result<Self> {
        let mut places: HashMap<TableName, usize> =
            tables.iter().enumerate().map(|(place, table)| (table.name.clone(), place)).collect();
        let sql = "SELECT n.nspname::text, c.relname::text
            FROM pg_catalog.pg_partition_tree($1::text::regclass) p
            JOIN pg_catalog.pg_class c ON c.oid = p.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE p.isleaf";
        for (place, table) in tables.iter().enumerate() {
            let name = crate::statement::place(&table.name);
            let what = format!("the parts of {} cannot be listed", table.name);
            for row in in_time(&what, ASKING, link.client.query(sql, &[&name])).await? {
                let part = TableName::new(get::<String>(&row, 0)?, get::<String>(&row, 1)?);
                places.entry(part).or_insert(place);
            }
        }
        Ok(Self { places })
    }

    fn find(&self, relation: &Relation) -> Option<usize> {
        self.places.get(&TableName::new(relation.schema.as_str(), relation.name.as_str())).copied()
    }
}
