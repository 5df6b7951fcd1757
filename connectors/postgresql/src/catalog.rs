//! What the server says about its tables.

use tokio_postgres::{Client, Row};
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{Column, Found, Key, Kind, Table, TableName};

use crate::connect::{ASKING, in_time};
use crate::error::told;

const TABLES: &str = "
    SELECT n.nspname::text, c.relname::text, c.relkind = 'p',
           has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY($1)";

const SCHEMAS: &str = "
    SELECT nspname::text FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'";

const COLUMNS: &str = "
    SELECT c.oid, c.relkind::text, a.attname::text, format_type(a.atttypid, -1)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    ORDER BY a.attnum";

/// The primary key, else the unique index with the fewest columns, of which none may be null.
const KEY: &str = "
    SELECT ARRAY(SELECT a.attname::text
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place)
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int2[]) AND NOT a.attnotnull)
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
    LIMIT 1";

/// Whether the server keeps the time at which a transaction was committed.
pub(crate) async fn has_commit_timestamps(client: &Client) -> Result<bool> {
    let what = "the server's settings cannot be read";
    let sql = "SELECT current_setting('track_commit_timestamp', true) = 'on'";
    let row = in_time(what, ASKING, client.query_one(sql, &[])).await?;
    Ok(get::<Option<bool>>(&row, 0)?.unwrap_or(false))
}

/// Databases that the role may connect to.
pub(crate) async fn databases(client: &Client) -> Result<Vec<String>> {
    let what = "the list of databases cannot be read";
    let sql = "SELECT datname::text FROM pg_catalog.pg_database
        WHERE datallowconn AND NOT datistemplate AND has_database_privilege(datname, 'CONNECT') ORDER BY 1";
    let rows = in_time(what, ASKING, client.query(sql, &[])).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// All tables and views of the schemas: one schema, several separated by commas, or `*`.
pub(crate) async fn tables(client: &Client, schemas: &str) -> Result<Vec<Found>> {
    let what = "the list of tables cannot be read";
    let rows = in_time(what, ASKING, client.query(SCHEMAS, &[])).await?;
    let known: Vec<String> = rows.iter().map(|row| get(row, 0)).collect::<Result<_>>()?;
    let wanted = chosen(schemas, &known);
    if let Some(missing) = wanted.iter().find(|name| !known.contains(name)) {
        let message = format!("there is no schema '{missing}'; there are {}", known.join(", "));
        return Err(Error::new(ErrorKind::Config, message).hint("correct 'Schema'"));
    }
    let rows = in_time(what, ASKING, client.query(TABLES, &[&wanted])).await?;
    let found = |row: &Row| {
        let name = TableName::new(get::<String>(row, 0)?, get::<String>(row, 1)?);
        Ok(Found { name, only_by_name: get(row, 2)?, readable: get(row, 3)? })
    };
    rows.iter().map(found).collect()
}

/// The schemas that a text names. One that is written so wins over a list.
fn chosen(text: &str, known: &[String]) -> Vec<String> {
    let text = text.trim();
    if known.iter().any(|name| name == text) {
        return vec![text.to_owned()];
    }
    if text == "*" {
        return known.to_vec();
    }
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Columns and key of a table; `None` when it is gone.
pub(crate) async fn describe(client: &Client, name: &TableName) -> Result<Option<Table>> {
    let what = format!("the columns of {name} cannot be read");
    let rows = in_time(&what, ASKING, client.query(COLUMNS, &[&name.schema, &name.name])).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (oid, relkind): (u32, String) = (get(first, 0)?, get(first, 1)?);
    let column = |row: &Row| Ok(Column { name: get(row, 2)?, type_name: get(row, 3)? });
    let columns: Vec<Column> = rows.iter().map(column).collect::<Result<_>>()?;
    let key = in_time(&what, ASKING, client.query_opt(KEY, &[&oid])).await?;
    let key: Option<Vec<String>> = key.as_ref().map(|row| get(row, 0)).transpose()?;
    // A key with a column that may not be read is none.
    let key = key.filter(|key| key.iter().all(|name| columns.iter().any(|column| column.name == *name)));
    let key = key.map(|columns| Key { columns, guaranteed: true });
    let kind = if matches!(relkind.as_str(), "r" | "p") { Kind::Table } else { Kind::View };
    Ok(Some(Table { name: name.clone(), kind, columns, key }))
}

pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T> {
    row.try_get(place).map_err(|error| told("the server's answer is not as expected", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_one_several_or_all() {
        let known = ["a".to_owned(), "b".to_owned(), "a, b".to_owned()];
        assert_eq!(chosen("a", &known), ["a"]);
        assert_eq!(chosen("a, b", &known), ["a, b"]);
        assert_eq!(chosen("a,c", &known), ["a", "c"]);
        assert_eq!(chosen("*", &known).len(), 3);
    }
}
