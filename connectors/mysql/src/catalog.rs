//! What the server says about its tables.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tributary_sdk::Result;
use tributary_sql::{Column, Found, Key, Kind, Table, TableName};

use crate::connect::{ASKING, in_time};

/// A view that became invalid has no columns any more. It must not vanish: reading it says what is wrong.
const TABLES: &str = "
    SELECT t.TABLE_NAME, COALESCE(MAX(c.PRIVILEGES LIKE '%select%'), MAX(t.TABLE_TYPE) = 'VIEW')
    FROM information_schema.TABLES t
    LEFT JOIN information_schema.COLUMNS c
        ON c.TABLE_SCHEMA = ? AND c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
    WHERE t.TABLE_SCHEMA = ? AND t.TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
    GROUP BY t.TABLE_NAME";

const COLUMNS: &str = "
    SELECT c.COLUMN_NAME, CAST(c.COLUMN_TYPE AS CHAR), t.TABLE_TYPE = 'VIEW'
    FROM information_schema.COLUMNS c
    JOIN information_schema.TABLES t ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
    WHERE c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ? AND c.PRIVILEGES LIKE '%select%'
    ORDER BY c.ORDINAL_POSITION";

/// The columns of unique indices, in the order of each.
const KEYS: &str = "
    SELECT INDEX_NAME, COLUMN_NAME, NULLABLE = 'YES' OR (SUB_PART IS NOT NULL AND INDEX_NAME <> 'PRIMARY')
    FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0
    ORDER BY INDEX_NAME, SEQ_IN_INDEX";

/// Databases that the account may see, without the server's own.
pub(crate) async fn databases(conn: &mut Conn) -> Result<Vec<String>> {
    let what = "the list of databases cannot be read";
    let names: Vec<String> = in_time(what, ASKING, conn.query("SHOW DATABASES")).await?;
    let is_own = |name: &str| {
        ["information_schema", "mysql", "performance_schema", "sys"].contains(&name.to_lowercase().as_str())
    };
    Ok(names.into_iter().filter(|name| !is_own(name)).collect())
}

/// All tables and views of a database.
pub(crate) async fn tables(conn: &mut Conn, database: &str) -> Result<Vec<Found>> {
    let what = "the list of tables cannot be read";
    let rows: Vec<(String, Option<bool>)> =
        in_time(what, ASKING, conn.exec(TABLES, (database, database))).await?;
    let found = |(name, readable): (String, Option<bool>)| Found {
        name: TableName::new(database, name),
        only_by_name: false,
        readable: readable.unwrap_or(false),
    };
    Ok(rows.into_iter().map(found).collect())
}

/// Columns and key of a table; `None` when it is gone.
pub(crate) async fn describe(conn: &mut Conn, name: &TableName) -> Result<Option<Table>> {
    let what = format!("the columns of {name} cannot be read");
    let place = (name.schema.as_str(), name.name.as_str());
    let rows: Vec<(String, String, bool)> = in_time(&what, ASKING, conn.exec(COLUMNS, place)).await?;
    let Some((_, _, is_view)) = rows.first() else {
        let sql = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
        let is_there: Option<u8> = in_time(&what, ASKING, conn.exec_first(sql, place)).await?;
        let invalid = Table { name: name.clone(), kind: Kind::View, columns: Vec::new(), key: None };
        return Ok(is_there.map(|_| invalid));
    };
    let kind = if *is_view { Kind::View } else { Kind::Table };
    let columns: Vec<Column> =
        rows.into_iter().map(|(name, type_name, _)| Column { name, type_name }).collect();
    let key = key(conn, name).await?.map(|(is_primary, mut key)| {
        if is_primary {
            // Ids were always made in the order of the table, not of the key.
            key.sort_by_key(|name| columns.iter().position(|column| column.name == *name));
        }
        key
    });
    // A key with a column that may not be read is none.
    let key = key.filter(|key| key.iter().all(|name| columns.iter().any(|column| column.name == *name)));
    let key = key.map(|columns| Key { columns, guaranteed: true });
    Ok(Some(Table { name: name.clone(), kind, columns, key }))
}

/// The primary key, else the unique index with the fewest columns, of which none may be null; in the order of the index.
async fn key(conn: &mut Conn, name: &TableName) -> Result<Option<(bool, Vec<String>)>> {
    let what = format!("the keys of {name} cannot be read");
    let place = (name.schema.as_str(), name.name.as_str());
    let rows: Vec<(String, Option<String>, bool)> = in_time(&what, ASKING, conn.exec(KEYS, place)).await?;
    let mut indices: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for (index, column, is_unfit) in rows {
        let columns = indices.entry(index).or_insert_with(|| Some(Vec::new()));
        match column {
            Some(column) if !is_unfit => columns.iter_mut().for_each(|columns| columns.push(column.clone())),
            _ => *columns = None,
        }
    }
    let fit = indices.into_iter().filter_map(|(index, columns)| Some((index == "PRIMARY", columns?)));
    Ok(fit.min_by_key(|(is_primary, columns)| (!is_primary, columns.len())))
}

/// The order in which an index gives the rows of a table by these columns.
pub(crate) async fn order(conn: &mut Conn, name: &TableName, columns: &[String]) -> Result<Vec<String>> {
    if columns.len() < 2 {
        return Ok(columns.to_vec());
    }
    let found = key(conn, name).await?.map(|(_, key)| key);
    let is_same =
        |key: &Vec<String>| key.len() == columns.len() && columns.iter().all(|name| key.contains(name));
    Ok(found.filter(is_same).unwrap_or_else(|| columns.to_vec()))
}
