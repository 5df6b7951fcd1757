use std::collections::{BTreeMap, HashSet};

use tokio_postgres::types::Type;
use tributary_sdk::Event;
use tributary_sdk::emit::{Emitter, Stop};
use tributary_sql::{Database as _, Origin, Row, Shape, Table};

use crate::connect::{ASKING, in_time};
use crate::database::PgDatabase;
use crate::decode;
use crate::error::told;
use crate::session::{PgSession, raw};
use crate::statement::{self, expression, quoted};

/// Keys that are held before their rows are read.
const MOST: usize = 1_000;
/// Bytes of keys that are held.
const MOST_BYTES: usize = 1 << 20;

/// Rows that changed, to be read as they are now.
pub(super) struct Changed<'a> {
    database: &'a PgDatabase,
    session: PgSession,
    tables: BTreeMap<String, (Table, HashSet<Vec<String>>)>,
    count: usize,
    bytes: usize,
}

impl<'a> Changed<'a> {
    pub(super) fn new(database: &'a PgDatabase, session: PgSession) -> Self {
        Self { database, session, tables: BTreeMap::new(), count: 0, bytes: 0 }
    }

    pub(super) fn note(&mut self, table: &Table, key: Vec<String>) {
        let name = table.name.to_string();
        let (_, keys) = self.tables.entry(name).or_insert_with(|| (table.clone(), HashSet::new()));
        let bytes = key.iter().map(String::len).sum::<usize>();
        if keys.insert(key) {
            self.count += 1;
            self.bytes += bytes;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= MOST || self.bytes >= MOST_BYTES
    }

    /// Reads the rows and tells of them: those that are there, and those that are gone.
    pub(super) async fn tell(&mut self, emit: &Emitter) -> Result<(), Stop> {
        (self.count, self.bytes) = (0, 0);
        for (table, keys) in std::mem::take(&mut self.tables).into_values() {
            self.table(&table, keys, emit).await?;
        }
        Ok(())
    }

    async fn table(&self, table: &Table, keys: HashSet<Vec<String>>, emit: &Emitter) -> Result<(), Stop> {
        let Some(key) = &table.key else { return Ok(()) };
        let client = self.session.client();
        let what = format!("cannot read changed rows of {}", table.name);
        let bare = in_time(&what, ASKING, client.prepare(&statement::bare(table))).await?;
        let columns: Vec<(String, Type)> =
            bare.columns().iter().map(|column| (column.name().to_owned(), column.type_().clone())).collect();
        let with_time = self.session.shows_versions(table).await?;
        let sql = by_keys(table, &key.columns, &columns, with_time);
        let prepared = in_time(&what, ASKING, client.prepare(&sql)).await?;
        let mut values: Vec<Vec<String>> = vec![Vec::with_capacity(keys.len()); key.columns.len()];
        for key in keys {
            for (column, value) in values.iter_mut().zip(key) {
                column.push(value);
            }
        }
        let rows = tokio::time::timeout(ASKING, client.query_raw(&prepared, &values)).await;
        let rows = rows.map_err(|_| tributary_sql::late(&what))?.map_err(|error| told(&what, error))?;
        let mut rows = std::pin::pin!(rows);
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let tables = [table.name.name.clone()];
        let origin = Origin {
            database: &self.database.name,
            schema: &table.name.schema,
            tables: &tables,
            is_query: false,
        };
        let shape = Shape::new(self.database.naming(), &origin, &names);
        let types: Vec<Type> =
            prepared.columns().iter().map(|column| crate::session::base(column.type_())).collect();
        let count = key.columns.len();
        while let Some(row) = futures::StreamExt::next(&mut rows).await {
            let row = row.map_err(|error| told(&what, error))?;
            let of = |place: usize| types.get(place).map(|kind| (kind, raw(&row, place)));
            let key =
                (0..count).filter_map(|place| of(place).map(|(kind, raw)| decode::key(kind, raw))).collect();
            let is_there = raw(&row, count).is_some_and(|raw| raw == [1]);
            let event = if is_there {
                let first = count + 1;
                let values = (first..first + names.len())
                    .filter_map(|place| of(place).map(|(kind, raw)| decode::json(kind, raw)));
                let bytes =
                    (first..first + names.len()).map(|place| raw(&row, place).map_or(0, <[u8]>::len)).sum();
                let changed =
                    raw(&row, first + names.len()).filter(|_| with_time).and_then(crate::session::time);
                shape.event(Row { values: values.collect(), key, changed, bytes })?
            } else {
                let key: Vec<_> = key;
                Event::Delete(shape.id(&key)?)
            };
            emit.send(event).await?;
        }
        Ok(())
    }
}

/// Keys as the server reads them, whether there is such a row, and its columns.
fn by_keys(table: &Table, key: &[String], columns: &[(String, Type)], with_time: bool) -> String {
    let kind = |name: &String| {
        columns.iter().find(|(column, _)| column == name).map_or(&Type::TEXT, |(_, kind)| kind)
    };
    let cast = |name: &String| table.column(name).map_or("text", |column| column.type_name.as_str());
    let arrays: Vec<String> = (1..=key.len()).map(|n| format!("${n}::text[]")).collect();
    let given: Vec<String> = (0..key.len()).map(|n| format!("g{n}")).collect();
    let read: Vec<String> =
        key.iter().enumerate().map(|(n, name)| format!("u.g{n}::{} AS k{n}", cast(name))).collect();
    let mut list: Vec<String> =
        key.iter().enumerate().map(|(n, name)| expression(&format!("k.k{n}"), kind(name))).collect();
    let same: Vec<String> =
        key.iter().enumerate().map(|(n, name)| format!("t.{} = k.k{n}", quoted(name))).collect();
    let first = key.first().map(|name| quoted(name)).unwrap_or_default();
    list.push(format!("t.{first} IS NOT NULL"));
    list.extend(statement::list(columns));
    if with_time {
        list.push("pg_xact_commit_timestamp(t.xmin)".to_owned());
    }
    format!(
        "SELECT {} FROM (SELECT {} FROM unnest({}) AS u({})) k LEFT JOIN {} AS t ON {}",
        list.join(", "),
        read.join(", "),
        arrays.join(", "),
        given.join(", "),
        statement::place(&table.name),
        same.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_sql::{Column, Kind, TableName};

    #[test]
    fn keys_are_read_as_their_types() {
        let column = |name: &str, kind: &str| Column { name: name.to_owned(), type_name: kind.to_owned() };
        let table = Table {
            name: TableName::new("s", "t"),
            kind: Kind::Table,
            columns: vec![column("a", "bigint"), column("b", "text")],
            key: None,
        };
        let columns = vec![("a".to_owned(), Type::INT8), ("b".to_owned(), Type::TEXT)];
        assert_eq!(
            by_keys(&table, &["a".to_owned()], &columns, false),
            "SELECT k.k0, t.\"a\" IS NOT NULL, t.\"a\", t.\"b\" FROM (SELECT u.g0::bigint AS k0 \
             FROM unnest($1::text[]) AS u(g0)) k LEFT JOIN \"s\".\"t\" AS t ON t.\"a\" = k.k0"
        );
    }
}
