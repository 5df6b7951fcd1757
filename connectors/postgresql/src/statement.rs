//! SQL text. Names are quoted, values are parameters.

use serde_json::Value;
use tokio_postgres::types::{Kind as TypeKind, Type};
use tributary_sql::{By, Kind, Read, Table, TableName, What};

use crate::decode;

/// Timestamps at or after a mark less this: a transaction may show later than the time it carries.
const OVERLAP: &str = "interval '1 minute'";

/// What a statement without casts gives.
pub(crate) struct Selected {
    /// What is being done, for errors.
    pub(crate) what: String,
    pub(crate) columns: Vec<(String, Type)>,
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn place(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.schema), quoted(&name.name))
}

/// Whether rows carry the transaction that wrote them.
pub(crate) fn has_versions(table: &Table) -> bool {
    table.kind == Kind::Table
}

/// All columns as they are.
pub(crate) fn bare(table: &Table) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("t.{}", quoted(&column.name))).collect();
    format!("SELECT {} FROM {} AS t", columns.join(", "), place(&table.name))
}

/// A column in a form that is understood.
pub(crate) fn expression(column: &str, kind: &Type) -> String {
    match kind.kind() {
        TypeKind::Domain(below) => expression(column, below),
        _ if decode::is_known(kind) => column.to_owned(),
        TypeKind::Composite(_) => format!("to_jsonb({column})"),
        TypeKind::Array(element) if matches!(element.kind(), TypeKind::Composite(_)) => {
            format!("to_jsonb({column})")
        }
        TypeKind::Array(_) => format!("{column}::text[]"),
        _ => format!("{column}::text"),
    }
}

/// The whole statement and its parameters.
pub(crate) fn full(read: &Read<'_>, selected: &Selected, with_time: bool) -> (String, Vec<String>) {
    match read.what {
        What::Query(query) => (of_query(query, selected), Vec::new()),
        What::Table { table, after, since } => {
            let mut parameters = Vec::new();
            let mut conditions = Vec::new();
            if let Some((by, mark)) = since {
                parameters.push(mark.to_owned());
                conditions.push(format!("{} >= {}", by_expression(by), since_mark(table, by)));
            }
            if let Some(after) = after {
                conditions.push(behind(table, read.key, after, &mut parameters));
            }
            let mut columns = list(&selected.columns);
            if with_time {
                columns.push("pg_xact_commit_timestamp(t.xmin)".to_owned());
            }
            let mut sql = format!("SELECT {} FROM {} AS t", columns.join(", "), place(&table.name));
            if !conditions.is_empty() {
                sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
            }
            let order: Vec<String> = read.key.iter().map(|name| format!("t.{}", quoted(name))).collect();
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
            (sql, parameters)
        }
    }
}

pub(crate) fn list(columns: &[(String, Type)]) -> Vec<String> {
    columns.iter().map(|(name, kind)| expression(&format!("t.{}", quoted(name)), kind)).collect()
}

/// The query itself, or around it what turns some of its columns into text.
fn of_query(query: &str, selected: &Selected) -> String {
    let is_known = |(_, kind): &(String, Type)| expression("c", kind) == "c";
    if selected.columns.iter().all(is_known) {
        return query.to_owned();
    }
    // Its columns are named anew, since a join may give a name twice.
    let names: Vec<String> = (0..selected.columns.len()).map(|n| format!("c{n}")).collect();
    let columns: Vec<String> = names
        .iter()
        .zip(&selected.columns)
        .map(|(name, (_, kind))| expression(&format!("t.{name}"), kind))
        .collect();
    format!("SELECT {} FROM (\n{query}\n) AS t ({})", columns.join(", "), names.join(", "))
}

/// Rows behind a key.
fn behind(table: &Table, key: &[String], after: &[Value], parameters: &mut Vec<String>) -> String {
    let mut values = Vec::with_capacity(key.len());
    for (name, value) in key.iter().zip(after) {
        parameters.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let kind = table.column(name).map_or("text", |column| column.type_name.as_str());
        values.push(format!("${}::text::{kind}", parameters.len()));
    }
    let names: Vec<String> = key.iter().map(|name| format!("t.{}", quoted(name))).collect();
    format!("({}) > ({})", names.join(", "), values.join(", "))
}

fn by_expression(by: &By) -> String {
    match by {
        By::Column(column) => format!("t.{}", quoted(column)),
        By::Database => "pg_xact_commit_timestamp(t.xmin)".to_owned(),
    }
}

fn since_mark(table: &Table, by: &By) -> String {
    match by {
        By::Database => format!("$1::text::timestamptz - {OVERLAP}"),
        By::Column(name) => {
            let kind = table.column(name).map_or("text", |column| column.type_name.as_str());
            let overlap = if kind.starts_with("timestamp") { format!(" - {OVERLAP}") } else { String::new() };
            format!("$1::text::{kind}{overlap}")
        }
    }
}

/// How far a table has come.
pub(crate) fn mark(table: &Table, by: &By) -> String {
    match by {
        By::Database => "SELECT clock_timestamp()::text".to_owned(),
        By::Column(column) => format!("SELECT max({})::text FROM {}", quoted(column), place(&table.name)),
    }
}

/// Where the key's columns are in a result, ignoring case where nothing else fits; of columns with the same name the last.
pub(crate) fn key_places(key: &[String], columns: &[String]) -> Vec<usize> {
    let find = |name: &String| {
        let exact = columns.iter().rposition(|column| column == name);
        exact.or_else(|| columns.iter().rposition(|column| column.to_lowercase() == name.to_lowercase()))
    };
    key.iter().filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tributary_sql::{Column, Key};

    fn table() -> Table {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), type_name: kind.to_owned() };
        Table {
            name: TableName::new("s\"x", "Odd Name"),
            kind: Kind::Table,
            columns: vec![
                column("a", "bigint"),
                column("b", "text"),
                column("at", "timestamp with time zone"),
            ],
            key: Some(Key { columns: vec!["a".to_owned(), "b".to_owned()], guaranteed: true }),
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let table = table();
        let key = ["a".to_owned(), "b".to_owned()];
        let after = [json!(9_223_372_036_854_775_807_i64), json!("x'; drop")];
        let by = By::Column("at".to_owned());
        let what = What::Table { table: &table, after: Some(&after), since: Some((&by, "2024-01-01")) };
        let columns = vec![("a".to_owned(), Type::INT8), ("r".to_owned(), Type::INT4_RANGE)];
        let selected = Selected { what: String::new(), columns };
        let (sql, parameters) = full(&Read { what, key: &key }, &selected, true);
        assert_eq!(
            sql,
            "SELECT t.\"a\", t.\"r\"::text, pg_xact_commit_timestamp(t.xmin) FROM \"s\"\"x\".\"Odd Name\" AS t \
             WHERE t.\"at\" >= $1::text::timestamp with time zone - interval '1 minute' \
             AND (t.\"a\", t.\"b\") > ($2::text::bigint, $3::text::text) ORDER BY t.\"a\", t.\"b\""
        );
        assert_eq!(parameters, ["2024-01-01", "9223372036854775807", "x'; drop"]);
    }

    #[test]
    fn a_query_stays_as_it_is_unless_a_column_must_become_text() {
        let selected = |kind: Type| Selected { what: String::new(), columns: vec![("a".to_owned(), kind)] };
        assert_eq!(of_query("select 1 -- x", &selected(Type::INT4)), "select 1 -- x");
        let wrapped = of_query("select i -- x", &selected(Type::INTERVAL));
        assert_eq!(wrapped, "SELECT t.c0::text FROM (\nselect i -- x\n) AS t (c0)");
    }
}
