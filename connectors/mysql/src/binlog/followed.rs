//! Tables that are followed, and what the log tells of their rows.

use std::collections::BTreeMap;

use mysql_async::Value as Raw;
use mysql_async::binlog::events::TableMapEvent;
use mysql_async::binlog::row::BinlogRow;
use mysql_async::binlog::value::BinlogValue;
use tributary_sdk::Result;
use tributary_sql::{Table, TableName};

use super::gone;
use crate::statement;

/// A table that is followed.
pub(super) struct Followed {
    pub(super) database: usize,
    pub(super) table: Table,
    /// The places of the key's columns among the table's.
    pub(super) key: Vec<usize>,
}

/// The followed table that a statement may have changed: one whose name stands in it.
pub(super) fn touched(query: &str, schema: &str, tables: &[Followed]) -> Option<TableName> {
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
pub(super) fn shapes(tables: &[Followed]) -> BTreeMap<String, String> {
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
pub(super) fn key_of(
    followed: &Followed,
    map: &TableMapEvent<'_>,
    row: &BinlogRow,
) -> Result<Vec<(String, String)>> {
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
