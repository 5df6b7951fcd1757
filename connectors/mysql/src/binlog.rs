//! Changes from the server's binary log. Of a change only the key counts: rows are read again as they are now, so
//! documents are those of a full sync, and a change that comes twice does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::{EventData, TableMapEvent};
use mysql_async::binlog::row::BinlogRow;
use mysql_async::binlog::value::BinlogValue;
use mysql_async::prelude::Queryable as _;
use mysql_async::{BinlogStreamRequest, Conn, Error as MysqlError, Row as ServerRow, Value as Raw};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tributary_sdk::emit::{self, Emitter};
use tributary_sdk::{Error, ErrorKind, Event, Result};
use tributary_sql::{
    Attempts, Database as _, KeyValue, Kind as TableKind, Origin, Plan, Session as _, Shape, Table, TableName,
};

use crate::connect::{ASKING, Server, in_time, late};
use crate::database::MysqlDatabase;
use crate::decode::Kind;
use crate::error::told;
use crate::session::{positional, read_row};
use crate::statement::{self, Conditions};

/// Keys that are held before their rows are read.
const MOST: usize = 200;
/// How long the server may take until the next change comes.
const NEXT_CHANGE: Duration = Duration::from_secs(600);

/// What is needed to follow the log.
#[derive(Clone)]
pub(crate) struct Binlog {
    server: Server,
    id: u32,
    plan: Plan,
}

/// Where the log was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Which server's log it is.
    server: String,
    file: String,
    at: u64,
    /// The transactions up to there: tells a log that was begun anew under the same names.
    #[serde(default)]
    gtids: Option<String>,
    /// The tables that were followed, with their columns and keys.
    tables: BTreeMap<String, String>,
}

/// A table that is followed.
struct Followed {
    database: usize,
    table: Table,
    /// The places of the key's columns among the table's.
    key: Vec<usize>,
}

/// Keys of changed rows, by the place of their table.
type Changed = BTreeMap<usize, BTreeSet<Vec<(String, String)>>>;

impl Binlog {
    pub(crate) fn new(server: Server, id: u32, plan: Plan) -> Self {
        Self { server, id, plan }
    }

    /// Whether the server writes such a log and this account may read it.
    pub(crate) async fn look(&self) -> Result<()> {
        let mut conn = self.server.connect(None).await?;
        let (on, format, image) = settings(&mut conn).await?;
        let wrong = |message: String| {
            Err(Error::new(ErrorKind::Config, message).hint(
                "start the server with log_bin, binlog_format=ROW and binlog_row_image=FULL, or choose another \
                 'Incremental sync by'",
            ))
        };
        if !on {
            return wrong("the server writes no binary log (log_bin is off)".to_owned());
        }
        if format != "ROW" || image != "FULL" {
            return wrong(format!("the binary log has the format {format} with the row image {image}"));
        }
        here(&mut conn).await.map(drop)
    }

    /// The place to go on from after a full listing that begins now.
    pub(crate) async fn begin(&self, databases: &[MysqlDatabase]) -> Result<Value> {
        self.look().await?;
        let mut conn = self.server.connect(None).await?;
        let (server, file, at) = here(&mut conn).await?;
        let gtids = gtids(&mut conn, &file, at).await?;
        let tables = shapes(&self.tables(databases).await?);
        serde_json::to_value(Place { server, file, at, gtids, tables }).map_err(unkept)
    }

    /// The tables that are followed: those that are read and have a key.
    async fn tables(&self, databases: &[MysqlDatabase]) -> Result<Vec<Followed>> {
        let mut followed = Vec::new();
        for (place, database) in databases.iter().enumerate() {
            let mut session = database.open().await?;
            let found = session.tables().await?;
            for name in self.plan.selection.of(&found).tables {
                let Some(mut table) = session.describe(&name).await? else { continue };
                let key =
                    self.plan.keys.of(&table).map_err(|problem| Error::new(ErrorKind::Config, problem))?;
                let Some(key) = key.filter(|_| table.kind == TableKind::Table) else {
                    tracing::debug!(table = %name, "not followed in the log: a view, or without a key");
                    continue;
                };
                let of = |name: &String| table.columns.iter().position(|column| column.name == *name);
                let places = key.columns.iter().filter_map(of).collect();
                table.key = Some(key);
                followed.push(Followed { database: place, table, key: places });
            }
        }
        Ok(followed)
    }

    /// Lists what changed since `log`; the last event is the checkpoint behind it.
    pub(crate) fn changes(
        self,
        databases: Vec<MysqlDatabase>,
        log: Value,
    ) -> BoxStream<'static, Result<Event>> {
        emit::stream(move |emit| async move {
            let place: Place = serde_json::from_value(log).map_err(|error| {
                Error::new(ErrorKind::PositionGone, "the stored position cannot be read").because(error)
            })?;
            let mut attempts = Attempts::new(self.plan.attempts);
            let next = loop {
                match self.follow(&databases, &place, &emit).await {
                    Ok(Some(next)) => break next,
                    // Nobody reads any more.
                    Ok(None) => return Ok(()),
                    Err(error) => attempts.again(error).await?,
                }
            };
            let log = serde_json::to_value(next).map_err(unkept)?;
            let start = tributary_sql::Start { log, ..Default::default() };
            let cursor = tributary_sql::Position::finished(&self.plan, start)?;
            // A reader that has gone wants no checkpoint either.
            let _gone = emit.send(Event::Checkpoint(cursor)).await;
            Ok(())
        })
    }

    async fn follow(
        &self,
        databases: &[MysqlDatabase],
        place: &Place,
        emit: &Emitter,
    ) -> Result<Option<Place>> {
        let tables = self.tables(databases).await?;
        let now = shapes(&tables);
        if now != place.tables {
            return Err(gone("tables, columns or keys changed"));
        }
        let mut conn = self.server.connect(None).await?;
        if let Some(name) = cascaded(&mut conn, &tables).await? {
            return Err(gone(format!(
                "rows of {name} change through a foreign key with CASCADE or SET NULL, which the log does not tell"
            )));
        }
        let (server, file, at) = here(&mut conn).await?;
        if server != place.server {
            return Err(gone("the log is that of another server"));
        }
        if !holds(&mut conn, place).await? {
            return Err(gone("the log was begun anew, or no longer reaches back to the last sync"));
        }
        let gtids = gtids(&mut conn, &file, at).await?;
        let end = (file.clone(), at);
        let known: BTreeMap<&TableName, usize> =
            tables.iter().enumerate().map(|(n, followed)| (&followed.table.name, n)).collect();
        let what = "the server's log cannot be read";
        let request = BinlogStreamRequest::new(self.id)
            .with_non_blocking()
            .with_filename(place.file.as_bytes())
            .with_pos(place.at);
        let log = self.server.connect(None).await?;
        let mut log = in_time(what, ASKING, log.get_binlog_stream(request)).await.map_err(of_log)?;
        let mut changed = Changed::new();
        let mut at_file = place.file.clone();
        loop {
            let event = tokio::time::timeout(NEXT_CHANGE, log.next()).await.map_err(|_| late(what))?;
            let Some(event) = event else { break };
            let event = event.map_err(|error| of_log_error(what, error))?;
            let position = u64::from(event.header().log_pos());
            let odd = |error: std::io::Error| {
                Error::new(ErrorKind::InvalidData, format!("{what}: an event is not of the expected form"))
                    .because(error)
            };
            // Those of other servers have numbers of their own, and tell nothing of rows.
            let Ok(kind) = event.header().event_type() else {
                // MariaDB's compressed forms of statements and rows.
                if (165..=171).contains(&event.header().event_type_raw()) {
                    return Err(gone("the log is compressed (log_bin_compress)"));
                }
                continue;
            };
            if kind == EventType::INCIDENT_EVENT {
                return Err(gone("the log tells that something is missing in it"));
            }
            match event.read_data().map_err(odd)? {
                Some(EventData::RotateEvent(rotate)) => at_file = rotate.name().into_owned(),
                Some(EventData::QueryEvent(query)) => {
                    if let Some(name) = touched(&query.query(), &query.schema(), &tables) {
                        return Err(gone(format!("{name} was changed by a statement that names no rows")));
                    }
                }
                Some(EventData::RowsEvent(rows)) => {
                    let Some(map) = log.get_tme(rows.table_id()) else {
                        return Err(gone("the log names a table that it did not describe"));
                    };
                    let name = TableName::new(map.database_name(), map.table_name());
                    let Some(&n) = known.get(&name) else { continue };
                    let Some(followed) = tables.get(n) else { continue };
                    if map.columns_count() != followed.table.columns.len() as u64 {
                        return Err(gone(format!("the columns of {name} changed")));
                    }
                    for row in rows.rows(map) {
                        let (before, after) = row.map_err(odd)?;
                        for row in [before, after].into_iter().flatten() {
                            let key = key_of(followed, map, &row)?;
                            changed.entry(n).or_default().insert(key);
                        }
                    }
                }
                _ => {}
            }
            if changed.values().map(BTreeSet::len).sum::<usize>() >= MOST
                && !tell(databases, &tables, &mut changed, &mut conn, emit).await?
            {
                return Ok(None);
            }
            // What came after this listing began is told by the next one.
            if at_file == end.0 && position >= end.1 && position > 0 {
                break;
            }
        }
        // It may be in the middle of an event.
        let _closed = log.close().await;
        if !tell(databases, &tables, &mut changed, &mut conn, emit).await? {
            return Ok(None);
        }
        Ok(Some(Place { server, file, at, gtids, tables: now }))
    }
}

fn unkept(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a position in the log cannot be kept").because(error)
}

fn gone(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::PositionGone, reason.into())
}

/// What the server says when the log was removed (1236, 1373) is no reason to try again.
fn of_log_error(what: &str, error: MysqlError) -> Error {
    match &error {
        MysqlError::Server(said) if matches!(said.code, 1236 | 1373) => {
            gone(format!("the server no longer has the log from the last position on: {}", said.message))
        }
        _ => told(what, error),
    }
}

fn of_log(error: Error) -> Error {
    if error.kind() == ErrorKind::Permission {
        return error.hint(
            "grant the account REPLICATION SLAVE (MariaDB also: REPLICATION CLIENT or BINLOG MONITOR)",
        );
    }
    error
}

async fn settings(conn: &mut Conn) -> Result<(bool, String, String)> {
    let what = "the server's settings cannot be read";
    let sql = "SELECT @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image";
    let row: Option<(bool, String, String)> = in_time(what, ASKING, conn.query_first(sql)).await?;
    row.ok_or_else(|| Error::new(ErrorKind::InvalidData, what))
}

/// The server, and the end of its log.
async fn here(conn: &mut Conn) -> Result<(String, String, u64)> {
    let what = "the position in the server's log cannot be read";
    let server: Option<String> =
        in_time(what, ASKING, conn.query_first("SELECT CONCAT(@@global.server_id, '@', @@hostname)")).await?;
    let status = match in_time(what, ASKING, conn.query_first("SHOW MASTER STATUS")).await {
        // So it is called from MySQL 8.4 on.
        Err(error) if error.kind() == ErrorKind::Config => {
            in_time(what, ASKING, conn.query_first("SHOW BINARY LOG STATUS")).await
        }
        answer => answer,
    };
    let status: Option<ServerRow> = status.map_err(|error| {
        if error.kind() == ErrorKind::Permission {
            error.hint("grant the account REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: BINLOG MONITOR)")
        } else {
            error
        }
    })?;
    let place = status.and_then(|row| Some((row.get::<String, _>(0)?, row.get::<u64, _>(1)?)));
    let (file, at) = place.ok_or_else(|| Error::new(ErrorKind::Config, "the server writes no binary log"))?;
    Ok((server.unwrap_or_default(), file, at))
}

/// The transactions before a place in the log; `None` where the server numbers none.
///
/// `MariaDB` tells them of any place. `MySQL` tells only those of now, which may be some more than at the place.
async fn gtids(conn: &mut Conn, file: &str, at: u64) -> Result<Option<String>> {
    let what = "the transactions of the server's log cannot be read";
    if is_mariadb(conn).await? {
        let answer: Option<Option<String>> =
            in_time(what, ASKING, conn.exec_first("SELECT BINLOG_GTID_POS(?, ?)", (file, at))).await?;
        return Ok(answer.flatten());
    }
    let answer: Option<String> =
        in_time(what, ASKING, conn.query_first("SELECT @@global.gtid_executed")).await?;
    Ok(answer.filter(|gtids| !gtids.is_empty()))
}

/// Whether the log still is the one in which the place was noted.
async fn holds(conn: &mut Conn, place: &Place) -> Result<bool> {
    let Some(noted) = &place.gtids else { return Ok(true) };
    if is_mariadb(conn).await? {
        return Ok(gtids(conn, &place.file, place.at).await?.as_ref() == Some(noted));
    }
    let what = "the transactions of the server's log cannot be read";
    let sql = "SELECT GTID_SUBSET(?, @@global.gtid_executed)";
    let answer: Option<Option<bool>> = in_time(what, ASKING, conn.exec_first(sql, (noted,))).await?;
    Ok(answer.flatten() == Some(true))
}

async fn is_mariadb(conn: &mut Conn) -> Result<bool> {
    let what = "the server's version cannot be read";
    let version: Option<String> = in_time(what, ASKING, conn.query_first("SELECT VERSION()")).await?;
    Ok(version.is_some_and(|version| version.to_lowercase().contains("mariadb")))
}

/// A followed table whose rows change without the log telling.
async fn cascaded(conn: &mut Conn, tables: &[Followed]) -> Result<Option<TableName>> {
    let what = "the foreign keys cannot be read";
    let sql = "SELECT CONSTRAINT_SCHEMA, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
        WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')";
    let rows: Vec<(String, String)> = in_time(what, ASKING, conn.query(sql)).await?;
    let names: BTreeSet<TableName> =
        rows.into_iter().map(|(schema, name)| TableName::new(schema, name)).collect();
    Ok(tables.iter().map(|followed| &followed.table.name).find(|name| names.contains(name)).cloned())
}

/// The followed table that a statement may have changed: one whose name stands in it.
fn touched(query: &str, schema: &str, tables: &[Followed]) -> Option<TableName> {
    let text = query.to_lowercase();
    let first = text.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if ["begin", "commit", "rollback", "savepoint", "xa", "release", "grant", "revoke", "flush"]
        .contains(&first)
    {
        return None;
    }
    let names = tables.iter().map(|followed| &followed.table.name);
    names
        .filter(|name| name.schema == schema || text.contains(&name.schema.to_lowercase()))
        .find(|name| text.contains(&name.name.to_lowercase()))
        .cloned()
}

/// Columns and keys of tables, to see whether they are the same later.
fn shapes(tables: &[Followed]) -> BTreeMap<String, String> {
    let shape = |followed: &Followed| {
        let columns: Vec<String> = followed
            .table
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.type_name))
            .collect();
        format!("{} / {:?}", columns.join(", "), followed.key)
    };
    tables.iter().map(|followed| (followed.table.name.to_string(), shape(followed))).collect()
}

/// The key of a row: how it stands in an id, and as the server reads it back.
fn key_of(followed: &Followed, map: &TableMapEvent<'_>, row: &BinlogRow) -> Result<Vec<(String, String)>> {
    let mut key = Vec::with_capacity(followed.key.len());
    for &place in &followed.key {
        let column = followed.table.columns.get(place);
        let kind = column.map_or("", |column| column.type_name.as_str());
        let of = map.get_column_type(place).ok().flatten();
        let value = match row.as_ref(place) {
            Some(BinlogValue::Value(value)) => in_key(kind, value),
            _ => None,
        };
        let (Some(value), Some(_)) = (value, of) else {
            return Err(gone(format!(
                "the key of {} has the type {kind}, which is not read from the log",
                followed.table.name
            )));
        };
        key.push(value);
    }
    Ok(key)
}

/// A value of the log as it stands in an id and as a parameter. `None`: not of a type that surely stands in it as it does
/// in the table.
fn in_key(kind: &str, raw: &Raw) -> Option<(String, String)> {
    let same = |text: String| Some((text.clone(), text));
    let bits = match statement::word(kind) {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" => 32,
        "bigint" => 64,
        "char" | "varchar" => {
            let Raw::Bytes(bytes) = raw else { return None };
            // In any character set that a server is likely to have, these are the same.
            return if bytes.is_ascii() { same(String::from_utf8(bytes.clone()).ok()?) } else { None };
        }
        _ => return None,
    };
    let number = match raw {
        Raw::Int(number) => i128::from(*number),
        Raw::UInt(number) => i128::from(*number),
        _ => return None,
    };
    // Without more words about columns the log does not say whether a number has a sign.
    let is_unsigned = kind.contains("unsigned");
    let number = if is_unsigned && number < 0 { number + (1_i128 << bits) } else { number };
    let number =
        if !is_unsigned && number >= 1_i128 << (bits - 1) { number - (1_i128 << bits) } else { number };
    same(number.to_string())
}

/// Reads the rows of the keys and tells of them: those that are there, and those that are gone. Whether somebody still
/// reads.
async fn tell(
    databases: &[MysqlDatabase],
    tables: &[Followed],
    changed: &mut Changed,
    conn: &mut Conn,
    emit: &Emitter,
) -> Result<bool> {
    for (n, keys) in std::mem::take(changed) {
        let (Some(followed), Some(key)) = (tables.get(n), tables.get(n).and_then(|f| f.table.key.as_ref()))
        else {
            continue;
        };
        let Some(database) = databases.get(followed.database) else { continue };
        let table = &followed.table;
        let what = format!("cannot read changed rows of {}", table.name);
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let one = [table.name.name.clone()];
        let origin =
            Origin { database: database.name(), schema: &table.name.schema, tables: &one, is_query: false };
        let shape = Shape::new(database.naming(), &origin, &names);
        for keys in keys.into_iter().collect::<Vec<_>>().chunks(MOST) {
            let mut choices = Vec::with_capacity(keys.len());
            let mut parameters = Vec::new();
            for values in keys {
                let pairs: Vec<(String, Value)> = key
                    .columns
                    .iter()
                    .zip(values)
                    .map(|(name, (_, literal))| (name.clone(), Value::from(literal.as_str())))
                    .collect();
                let mut exactly = Conditions::default();
                exactly.exactly(table, &pairs);
                choices.push(format!("({})", exactly.words.join(" AND ")));
                parameters.extend(exactly.parameters);
            }
            let sql = format!("{} WHERE {}", statement::bare(table), choices.join(" OR "));
            let rows: Vec<ServerRow> = in_time(&what, ASKING, conn.exec(sql, positional(parameters))).await?;
            let mut there = BTreeSet::new();
            for row in rows {
                let kinds: Vec<Kind> = row.columns_ref().iter().map(Kind::new).collect();
                let Some(row) = read_row(&kinds, &followed.key, row) else { continue };
                there.insert(shape.id(&row.key)?.into_string());
                if emit.send(shape.event(row)?).await.is_err() {
                    return Ok(false);
                }
            }
            for values in keys {
                let key: Vec<KeyValue> =
                    values.iter().map(|(text, _)| KeyValue::Text(text.clone())).collect();
                let id = shape.id(&key)?;
                if there.contains(&id.clone().into_string()) {
                    continue;
                }
                if emit.send(Event::Delete(id)).await.is_err() {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
