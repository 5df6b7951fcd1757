//! SQL text. Names are quoted, values are parameters.

use mysql_async::Value as Raw;
use serde_json::Value;
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{By, Table, TableName};

/// A name as SQL has it, whatever the server's mode.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(crate) fn place(name: &TableName) -> String {
    format!("{}.{}", quoted(&name.schema), quoted(&name.name))
}

/// All columns as they are.
pub(crate) fn bare(table: &Table) -> String {
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("t.{}", quoted(&column.name))).collect();
    format!("SELECT {} FROM {} AS t", columns.join(", "), place(&table.name))
}

/// Words that a condition is made of, and their parameters.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) words: Vec<String>,
    pub(crate) parameters: Vec<Raw>,
}

impl Conditions {
    /// Rows at or behind a mark.
    pub(crate) fn since(&mut self, table: &Table, by: &By, mark: &str) -> Result<()> {
        let By::Column(name) = by else { return Err(no_own_marks()) };
        let kind = kind(table, name);
        let (mut word, parameter) = parameter(kind, &Value::from(mark));
        if kind.starts_with("timestamp") || kind.starts_with("datetime") {
            // A transaction may show later than the time it carries.
            word = format!("CAST({word} AS DATETIME(6)) - INTERVAL 1 MINUTE");
        }
        self.words.push(format!("{} >= {word}", column(table, name)));
        self.parameters.push(parameter);
        Ok(())
    }

    /// Rows behind a key, in a form that servers of any age read by the index.
    pub(crate) fn behind(&mut self, table: &Table, key: &[(String, Value)]) {
        let compared = |operator: &str, name: &String, value: &Value| {
            let (word, parameter) = parameter(kind(table, name), value);
            (format!("{} {operator} {word}", column(table, name)), parameter)
        };
        if let Some((name, value)) = key.first().filter(|_| key.len() > 1) {
            let (word, parameter) = compared(">=", name, value);
            self.words.push(word);
            self.parameters.push(parameter);
        }
        let mut choices = Vec::with_capacity(key.len());
        for (n, (name, value)) in key.iter().enumerate() {
            let mut parts = Vec::with_capacity(n + 1);
            for (name, value) in key.iter().take(n) {
                let (word, parameter) = compared("=", name, value);
                parts.push(word);
                self.parameters.push(parameter);
            }
            let (word, parameter) = compared(">", name, value);
            parts.push(word);
            self.parameters.push(parameter);
            choices.push(format!("({})", parts.join(" AND ")));
        }
        self.words.push(format!("({})", choices.join(" OR ")));
    }

    /// The row of a key.
    pub(crate) fn exactly(&mut self, table: &Table, key: &[(String, Value)]) {
        for (name, value) in key {
            let (word, parameter) = parameter(kind(table, name), value);
            self.words.push(format!("{} = {word}", column(table, name)));
            self.parameters.push(parameter);
        }
    }

    pub(crate) fn written(&self) -> String {
        if self.words.is_empty() { String::new() } else { format!(" WHERE {}", self.words.join(" AND ")) }
    }
}

pub(crate) fn no_own_marks() -> Error {
    Error::new(ErrorKind::Internal, "this server keeps no marks of its own")
}

/// The order of the rows.
pub(crate) fn ordered(table: &Table, key: &[String]) -> String {
    let order: Vec<String> = key.iter().map(|name| column(table, name)).collect();
    format!(" ORDER BY {}", order.join(", "))
}

/// How far a table has come.
pub(crate) fn mark(table: &Table, by: &By) -> Result<String> {
    let By::Column(column) = by else { return Err(no_own_marks()) };
    Ok(format!("SELECT CAST(MAX({}) AS CHAR) FROM {}", quoted(column), place(&table.name)))
}

pub(crate) fn kind<'a>(table: &'a Table, name: &str) -> &'a str {
    table.column(name).map_or("text", |column| column.type_name.as_str())
}

/// A column as it is compared and ordered. Members of lists are ordered by their number and compared by their text, so
/// they are taken as text in both.
fn column(table: &Table, name: &str) -> String {
    let plain = format!("t.{}", quoted(name));
    match word(kind(table, name)) {
        "enum" | "set" => format!("CAST(CONVERT({plain} USING utf8mb4) AS BINARY)"),
        _ => plain,
    }
}

/// The first word of a type.
pub(crate) fn word(kind: &str) -> &str {
    kind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// A value of a column's type: how it stands in SQL, and the parameter. A number as text would be compared as a double.
fn parameter(kind: &str, value: &Value) -> (String, Raw) {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let plain = "?".to_owned();
    match word(kind) {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "bit" | "year" => {
            let signed = text.parse().map(Raw::Int);
            let number = signed.or_else(|_| text.parse().map(Raw::UInt));
            (plain, number.unwrap_or_else(|_| Raw::Bytes(text.into_bytes())))
        }
        "decimal" => {
            let scale = kind.split([',', ')']).nth(1).and_then(|scale| scale.trim().parse::<u8>().ok());
            (format!("CAST(? AS DECIMAL(65, {}))", scale.unwrap_or(0)), Raw::Bytes(text.into_bytes()))
        }
        "float" | "double" => {
            (plain, text.parse().map_or_else(|_| Raw::Bytes(text.clone().into_bytes()), Raw::Double))
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            (plain, Raw::Bytes(unhex(&text).unwrap_or_else(|| text.into_bytes())))
        }
        _ => (plain, Raw::Bytes(text.into_bytes())),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Where the key's columns are in a result, ignoring case where nothing else fits; of columns with the same name the last.
pub(crate) fn key_places(key: &[String], columns: &[String]) -> Vec<usize> {
    let find = |name: &String| {
        let exact = columns.iter().rposition(|column| column == name);
        exact.or_else(|| columns.iter().rposition(|column| column.to_lowercase() == name.to_lowercase()))
    };
    key.iter().filter_map(find).collect()
}
