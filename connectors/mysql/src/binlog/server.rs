//! What the server says of its log.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable as _;
use mysql_async::{BinlogStreamRequest, Conn, Row as ServerRow};
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::TableName;

use super::followed::Followed;
use super::place::Place;
use crate::connect::{ASKING, Server, in_time};

/// The number that mysqlbinlog has: whoever really follows the log under a number is not thrown out.
const ONLY_ASKING: u32 = 0;

/// Whether this account may read the log from a place on.
pub(super) async fn may_read(server: &Server, file: &str, at: u64) -> Result<()> {
    let conn = server.connect(None).await?;
    let request =
        BinlogStreamRequest::new(ONLY_ASKING).with_non_blocking().with_filename(file.as_bytes()).with_pos(at);
    let asked = in_time("the server's log cannot be read", ASKING, conn.get_binlog_stream(request)).await;
    // Not closed but dropped: nobody waits for what the server sends.
    asked.map(drop).map_err(of_log)
}

/// What to grant, where that is what is missing. `MariaDB` refuses replicas as it refuses logins, though this account has
/// logged in.
pub(super) fn of_log(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Permission | ErrorKind::Auth => Error::new(ErrorKind::Permission, error.to_string())
            .hint("grant the account REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: BINLOG MONITOR)"),
        _ => error,
    }
}

pub(super) async fn settings(conn: &mut Conn) -> Result<(bool, String, String)> {
    let what = "the server's settings cannot be read";
    let sql = "SELECT @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image";
    let row: Option<(bool, String, String)> = in_time(what, ASKING, conn.query_first(sql)).await?;
    row.ok_or_else(|| Error::new(ErrorKind::InvalidData, what))
}

/// The server, and the end of its log.
pub(super) async fn here(conn: &mut Conn) -> Result<(String, String, u64)> {
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
    let status: Option<ServerRow> = status.map_err(of_log)?;
    let place = status.and_then(|row| Some((row.get::<String, _>(0)?, row.get::<u64, _>(1)?)));
    let (file, at) = place.ok_or_else(|| Error::new(ErrorKind::Config, "the server writes no binary log"))?;
    let server = server.ok_or_else(|| Error::new(ErrorKind::InvalidData, what))?;
    Ok((server, file, at))
}

/// The transactions before a place in the log; `None` where the server numbers none.
///
/// `MariaDB` tells them of any place. `MySQL` tells only those of now, which may be some more than at the place.
pub(super) async fn gtids(conn: &mut Conn, file: &str, at: u64) -> Result<Option<String>> {
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
pub(super) async fn holds(conn: &mut Conn, place: &Place) -> Result<bool> {
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
pub(super) async fn cascaded(conn: &mut Conn, tables: &[Followed]) -> Result<Option<TableName>> {
    let what = "the foreign keys cannot be read";
    let sql = "SELECT CONSTRAINT_SCHEMA, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
        WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')";
    let rows: Vec<(String, String)> = in_time(what, ASKING, conn.query(sql)).await?;
    let names: BTreeSet<TableName> =
        rows.into_iter().map(|(schema, name)| TableName::new(schema, name)).collect();
    Ok(tables.iter().map(|followed| &followed.table.name).find(|name| names.contains(name)).cloned())
}
