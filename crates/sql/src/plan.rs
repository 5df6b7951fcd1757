use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tributary_sdk::{Error, ErrorKind, Result, hex};

use crate::{By, KeyColumns, Kind, Rule, Selection, Table};

/// What one listing reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which tables, when there is no rule.
    pub selection: Selection,
    /// Keys that a person gave.
    pub keys: KeyColumns,
    /// The active advanced rules; with them the selection does not count.
    pub rules: Vec<Rule>,
    /// Attempts of one request.
    pub attempts: u32,
    /// What marks a changed row, for [`crate::changes`]; of tables that are not named here the whole is read.
    pub by: Marks,
    /// Stands for everything else that decides which documents there are: host, database, schema.
    pub place: String,
}

/// What marks a changed row, by table.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// For all tables that have it.
    pub all: Option<By>,
    /// For single tables: `table` or `schema.table`.
    pub tables: BTreeMap<String, By>,
}

impl Marks {
    pub(crate) fn of(&self, table: &Table) -> Option<By> {
        let single = self.tables.get(&table.name.to_string()).or_else(|| self.tables.get(&table.name.name));
        if let Some(single) = single {
            return Some(single.clone());
        }
        let fits = |by: &&By| match by {
            By::Column(column) => table.column(column).is_some(),
            By::Database => table.kind == Kind::Table,
        };
        self.all.as_ref().filter(fits).cloned()
    }
}

/// Where the next incremental listing starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Marks of tables, by database and table; a table without one is read as a whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, String>,
    /// The source's own position, such as one in a log.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub log: Value,
}

impl Plan {
    /// What a configuration reads: its tables and key columns, attempts of one request, what marks a changed row, and
    /// [`Plan::place`]. Rules are those of each sync.
    ///
    /// # Errors
    /// `Config`, with the first key column that is none.
    pub fn new(
        tables: &[String],
        key_columns: &[String],
        attempts: u32,
        by: Marks,
        place: String,
    ) -> Result<Self> {
        let keys = KeyColumns::parse(key_columns)
            .map_err(|problem| Error::new(ErrorKind::Config, format!("'Key columns' item {problem}")))?;
        Ok(Self { selection: Selection::new(tables), keys, rules: Vec::new(), attempts, by, place })
    }

    /// Stands for everything that decides which rows come in which order: a position of another plan says nothing about
    /// this one.
    pub(crate) fn identity(&self) -> String {
        let Self { selection, keys, rules, place, by: _, attempts: _ } = self;
        hex(&Md5::digest(format!("{place}\0{selection:?}\0{keys:?}\0{rules:?}").as_bytes()))
    }
}
