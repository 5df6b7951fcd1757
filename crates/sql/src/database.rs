use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_sdk::Result;

use crate::{KeyValue, Naming, Table, TableName};

/// One database of a server.
pub trait Database: Send + Sync + 'static {
    /// A connection to it.
    type Session: Session;

    /// Its name, as it stands in ids.
    fn name(&self) -> &str;

    /// What documents and fields are called.
    fn naming(&self) -> &dyn Naming;

    /// Connects.
    ///
    /// # Errors
    /// Retryable ones when it may work later.
    fn open(&self) -> impl Future<Output = Result<Self::Session>> + Send;
}

/// A table that was found, before it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place.
    pub name: TableName,
    /// Whether `*` alone does not mean it: a parent whose rows are those of its parts.
    pub only_by_name: bool,
    /// Whether its rows may be read with these credentials.
    pub readable: bool,
}

/// One connection. Dropping it ends what it does.
pub trait Session: Send {
    /// All tables and views of the schemas that are read, in no order.
    ///
    /// # Errors
    /// When they cannot be listed completely.
    fn tables(&mut self) -> impl Future<Output = Result<Vec<Found>>> + Send;

    /// Columns and key of a table; `None` when it is gone.
    ///
    /// # Errors
    /// When the database does not say.
    fn describe(&mut self, name: &TableName) -> impl Future<Output = Result<Option<Table>>> + Send;

    /// How far the table has come, as text that [`What::Table::since`] takes: the greatest value of a column, or the
    /// time. `None` when it has no rows. A row that comes later must be found by a reading from here.
    ///
    /// # Errors
    /// When the table has no such mark.
    fn mark(&mut self, table: &Table, by: &By) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Runs a statement in a consistent snapshot of its own; rows come as they are asked for, in the order of
    /// [`Read::key`] when a table is read. Must not hold more than a few slices.
    ///
    /// # Errors
    /// `NotFound` when a table is gone, `Permission` when it may not be read.
    fn read<'a>(&'a mut self, read: &'a Read<'a>) -> impl Future<Output = Result<Rows<'a>>> + Send;
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Whose rows.
    pub what: What<'a>,
    /// Names of the columns that [`Row::key`] is made of. Those that the result has not are left out of
    /// [`Rows::columns`], and the caller stops there.
    pub key: &'a [String],
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// Rows of a table.
    Table {
        /// The table.
        table: &'a Table,
        /// Only rows whose key comes after this one ([`KeyValue::to_value`]); only with a guaranteed key.
        after: Option<&'a [Value]>,
        /// Only rows that may have changed since a mark; those at the mark are included.
        since: Option<(&'a By, &'a str)>,
    },
    /// Rows of a query that a person wrote.
    Query(&'a str),
}

/// What says that a row changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A column that grows with every change.
    Column(String),
    /// What the database itself knows of its rows.
    Database,
}

/// The rows of a statement.
pub struct Rows<'a> {
    /// Names of the columns, in the order of [`Row::values`].
    pub columns: Vec<String>,
    /// The rows, in slices.
    pub slices: Slices<'a>,
}

/// Rows, a few at a time.
pub type Slices<'a> = BoxStream<'a, Result<Vec<Row>>>;

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its values.
    pub values: Vec<Value>,
    /// The values of the key's columns, in the key's order.
    pub key: Vec<KeyValue>,
    /// When it last changed, if the database knows.
    pub changed: Option<DateTime<Utc>>,
    /// About how many bytes it came in.
    pub bytes: usize,
}
