use std::fmt;

use serde::{Deserialize, Serialize};

/// A table's place: its schema (with MySQL its database) and its name, both as the database writes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// A name.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table with rows of its own; a parent of partitions is one too.
    Table,
    /// A view, materialised or not, or a table that lives elsewhere.
    View,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the database writes it in a cast.
    pub type_name: String,
}

/// The columns that tell rows apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Names, in the order of the key's index.
    pub columns: Vec<String>,
    /// Whether the database guarantees that they are unique and never null. Only then can reading go on after a row.
    pub guaranteed: bool,
}

/// A table that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its place.
    pub name: TableName,
    /// What it is.
    pub kind: Kind,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Its primary key, or a unique key without nulls.
    pub key: Option<Key>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
