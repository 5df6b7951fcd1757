//! Publications and replication slots.

use std::collections::BTreeSet;
use std::time::Duration;

use md5::{Digest as _, Md5};
use tokio_postgres::Client;
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{Table, TableName};

use super::gone;
use crate::catalog::get;
use crate::connect::{ASKING, in_time};
use crate::error::told;
use crate::statement;

/// How long transactions that were under way are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// Reading a large log takes a while.
const ADVANCING: Duration = Duration::from_secs(1_800);

pub(super) fn digest(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a slot for these.
pub(super) fn name(parts: &[&str]) -> String {
    format!("tributary_{}", digest(&parts.join("\0")))
}

/// Whether the server can be followed by this role.
pub(super) async fn look(client: &Client) -> Result<()> {
    let what = "the server's settings cannot be read";
    let sql =
        "SELECT current_setting('wal_level') = 'logical', rolreplication OR rolsuper, pg_is_in_recovery()
        FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = in_time(what, ASKING, client.query_one(sql, &[])).await?;
    if get::<bool>(&row, 2)? {
        let message = "the server is a standby: its log cannot be followed";
        return Err(Error::new(ErrorKind::Config, message).hint("connect to the primary"));
    }
    if !get::<bool>(&row, 0)? {
        let message =
            "the server's log does not hold what logical replication needs (wal_level is not logical)";
        return Err(
            Error::new(ErrorKind::Config, message).hint("set wal_level = logical and restart the server")
        );
    }
    if !get::<bool>(&row, 1)? {
        let message = "the role may not use replication slots";
        return Err(Error::new(ErrorKind::Permission, message).hint("ALTER ROLE … REPLICATION"));
    }
    Ok(())
}

/// Makes sure that the publication tells of all these tables, and that the log identifies their rows.
pub(super) async fn publish(client: &Client, publication: &str, tables: &[Table]) -> Result<()> {
    look(client).await?;
    identified(client, tables).await?;
    let what = format!("the publication '{publication}' cannot be read");
    let exists = "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $1)";
    let exists: bool = get(&in_time(&what, ASKING, client.query_one(exists, &[&publication])).await?, 0)?;
    let published =
        "SELECT schemaname::text, tablename::text FROM pg_catalog.pg_publication_tables WHERE pubname = $1";
    let rows = in_time(&what, ASKING, client.query(published, &[&publication])).await?;
    let mut published = BTreeSet::new();
    for row in rows {
        published.insert(TableName::new(get::<String>(&row, 0)?, get::<String>(&row, 1)?));
    }
    // A parent's rows are published under the names of its parts.
    let parents = parents(client, tables).await?;
    let missing: Vec<String> = tables
        .iter()
        .filter(|table| !published.contains(&table.name) && !parents.contains(&table.name))
        .map(|table| statement::place(&table.name))
        .collect();
    if exists && missing.is_empty() {
        return Ok(());
    }
    let verb = if exists { "ALTER" } else { "CREATE" };
    let quoted = statement::quoted(publication);
    let sql = match (exists, missing.is_empty()) {
        (true, _) => format!("ALTER PUBLICATION {quoted} ADD TABLE {}", missing.join(", ")),
        (false, true) => format!("CREATE PUBLICATION {quoted}"),
        (false, false) => format!("CREATE PUBLICATION {quoted} FOR TABLE {}", missing.join(", ")),
    };
    let changed = client.batch_execute(&sql);
    in_time(
        &format!("the publication '{publication}' does not tell of all tables and cannot be changed"),
        ASKING,
        changed,
    )
    .await
    .map_err(|error| {
        let shown = if sql.len() > 400 { format!("{verb} PUBLICATION {quoted} …") } else { sql.clone() };
        Error::new(error.kind(), error.to_string()).hint(format!("let the owner of the tables run: {shown}"))
    })?;
    tracing::info!(publication, "the publication tells of all tables now");
    Ok(())
}

async fn parents(client: &Client, tables: &[Table]) -> Result<BTreeSet<TableName>> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p' AND n.nspname = ANY($1)";
    let schemas: Vec<&str> = tables.iter().map(|table| table.name.schema.as_str()).collect();
    let rows = in_time("the list of tables cannot be read", ASKING, client.query(sql, &[&schemas])).await?;
    rows.iter().map(|row| Ok(TableName::new(get::<String>(row, 0)?, get::<String>(row, 1)?))).collect()
}

/// The log must hold a removed row's key: publishing a table without an identity would make the server refuse its users'
/// updates.
async fn identified(client: &Client, tables: &[Table]) -> Result<()> {
    let sql = "SELECT c.relreplident::text,
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int2[])
                  WHERE i.indrelid = c.oid
                    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2";
    for Table { name, key, .. } in tables {
        let what = format!("the replica identity of {name} cannot be read");
        let Some(row) = in_time(&what, ASKING, client.query_opt(sql, &[&name.schema, &name.name])).await?
        else {
            continue;
        };
        let (identity, columns): (String, Vec<String>) = (get(&row, 0)?, get(&row, 1)?);
        let key: &[String] = key.as_ref().map_or(&[], |key| &key.columns);
        if identity != "f" && !key.iter().all(|column| columns.contains(column)) {
            let message = format!(
                "the log would not tell which row of {name} was removed: its replica identity lacks {}",
                key.join(", ")
            );
            let place = statement::place(name);
            return Err(Error::new(ErrorKind::Config, message).hint(format!(
                "ALTER TABLE {place} REPLICA IDENTITY USING INDEX … (the unique index of these columns), or leave the table out"
            )));
        }
    }
    Ok(())
}

/// Makes sure that there is a slot, and says where a full listing that starts now begins in the log.
pub(super) async fn begin(client: &Client, slot: &str, most_bytes: u64) -> Result<String> {
    let what = format!("the replication slot '{slot}' cannot be made");
    match state(client, slot).await? {
        Some(state) if state.is_lost || state.kept > most_bytes => {
            let kept = state.kept >> 20;
            tracing::warn!(slot, kept_mib = kept, "the slot held back too much of the log: it is made anew");
            drop_idle(client, slot).await?;
            create(client, slot, &what).await?;
        }
        Some(_) => {}
        None => create(client, slot, &what).await?,
    }
    let now = "SELECT pg_current_wal_flush_lsn()::text, txid_snapshot_xmax(txid_current_snapshot())";
    let row = in_time(&what, ASKING, client.query_one(now, &[])).await?;
    let (lsn, next): (String, i64) = (get(&row, 0)?, get(&row, 1)?);
    // A transaction that is in the log already may not show yet. Until it does, the slot's own place is the safe one.
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let oldest = "SELECT txid_snapshot_xmin(txid_current_snapshot())";
        let oldest: i64 = get(&in_time(&what, ASKING, client.query_one(oldest, &[])).await?, 0)?;
        if oldest >= next {
            return Ok(lsn);
        }
        if tokio::time::Instant::now() > until {
            let state = state(client, slot).await?;
            return Ok(state.map_or(lsn, |state| state.confirmed));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn create(client: &Client, slot: &str, what: &str) -> Result<()> {
    let sql = "SELECT pg_create_logical_replication_slot($1::text::name, 'pgoutput')";
    in_time(what, ADVANCING, client.query_one(sql, &[&slot])).await.map_err(|error| {
        if error.hint_text().is_some() {
            return error;
        }
        Error::new(error.kind(), error.to_string()).hint(
            "see max_replication_slots of the server; slots that nobody uses are dropped with pg_drop_replication_slot",
        )
    })?;
    tracing::info!(slot, "made a replication slot");
    Ok(())
}

struct State {
    confirmed: String,
    /// Bytes of the log that it holds back.
    kept: u64,
    is_lost: bool,
    plugin: String,
    is_active: bool,
}

async fn state(client: &Client, slot: &str) -> Result<Option<State>> {
    let what = format!("the replication slot '{slot}' cannot be looked at");
    // The server says since version 13 whether a slot's log is gone.
    let sql = "SELECT confirmed_flush_lsn::text,
            greatest(0, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0))::int8,
            restart_lsn IS NULL OR coalesce(to_jsonb(s) ->> 'wal_status' = 'lost', false),
            coalesce(plugin::text, ''), active
        FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1::text::name";
    let Some(row) = in_time(&what, ASKING, client.query_opt(sql, &[&slot])).await? else { return Ok(None) };
    Ok(Some(State {
        confirmed: get::<Option<String>>(&row, 0)?.unwrap_or_default(),
        kept: get::<i64>(&row, 1)?.unsigned_abs(),
        is_lost: get(&row, 2)?,
        plugin: get(&row, 3)?,
        is_active: get(&row, 4)?,
    }))
}

/// Drops the slot if it is there and nobody uses it.
pub(super) async fn drop_idle(client: &Client, slot: &str) -> Result<bool> {
    let Some(State { plugin, is_active, .. }) = state(client, slot).await? else { return Ok(false) };
    if plugin != "pgoutput" || is_active {
        return Ok(false);
    }
    let what = format!("the replication slot '{slot}' cannot be dropped");
    in_time(&what, ASKING, client.query_one("SELECT pg_drop_replication_slot($1::text::name)", &[&slot]))
        .await?;
    Ok(true)
}

/// Gives up the log before `lsn`, which was stored. `PositionGone` when the log from there on is not kept.
pub(super) async fn give_up(client: &Client, slot: &str, lsn: &str) -> Result<()> {
    let state = state(client, slot).await?;
    let Some(state) = state else { return Err(gone(format!("the replication slot '{slot}' is not there"))) };
    if state.is_lost {
        return Err(gone(format!("the server has removed the log that the replication slot '{slot}' needs")));
    }
    let what = format!("the replication slot '{slot}' cannot be moved");
    let compared =
        "SELECT $1::text::pg_lsn < $2::text::pg_lsn, $1::text::pg_lsn > pg_current_wal_flush_lsn()";
    let row = in_time(&what, ASKING, client.query_one(compared, &[&lsn, &state.confirmed])).await?;
    if get::<bool>(&row, 0)? {
        return Err(gone(format!(
            "the replication slot '{slot}' has moved on without this connector: does another one use it?"
        )));
    }
    if get::<bool>(&row, 1)? {
        return Err(gone("the server's log ends before the stored position: it was restored or replaced"));
    }
    let sql = "SELECT end_lsn::text FROM pg_replication_slot_advance($1::text::name, $2::text::pg_lsn)";
    match tokio::time::timeout(ADVANCING, client.query_one(sql, &[&slot, &lsn])).await {
        Ok(moved) => moved.map(drop).map_err(|error| told(&what, error)),
        Err(_) => Err(tributary_sql::late(&what)),
    }
}
