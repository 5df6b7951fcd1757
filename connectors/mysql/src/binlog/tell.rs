use std::collections::{BTreeMap, BTreeSet};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row as ServerRow};
use serde_json::Value;
use tributary_sdk::Event;
use tributary_sdk::emit::{Emitter, Stop};
use tributary_sql::{Database as _, KeyValue, Origin, Shape};

use super::followed::Followed;
use crate::connect::{ASKING, in_time};
use crate::database::MysqlDatabase;
use crate::decode::Kind;
use crate::session::{positional, read_row};
use crate::statement::{self, Conditions};

/// Keys that are held before their rows are read.
pub(super) const MOST: usize = 200;

/// Keys of changed rows, by the place of their table.
pub(super) type Changed = BTreeMap<usize, BTreeSet<Vec<(String, String)>>>;

/// Reads the rows of the keys and tells of them: those that are there, and those that are gone.
pub(super) async fn tell(
    databases: &[MysqlDatabase],
    tables: &[Followed],
    changed: &mut Changed,
    conn: &mut Conn,
    emit: &Emitter,
) -> Result<(), Stop> {
    for (n, keys) in std::mem::take(changed) {
        let (Some(followed), Some(key)) = (tables.get(n), tables.get(n).and_then(|f| f.table.key.as_ref()))
        else {
            continue;
        };
        let Some(database) = databases.get(followed.database) else { continue };
        let table = &followed.table;
        let what = format!("cannot read changed rows of {}", table.name);
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let one = [table.name.name.clone()];
        let origin =
            Origin { database: database.name(), schema: &table.name.schema, tables: &one, is_query: false };
        let shape = Shape::new(database.naming(), &origin, &names);
        for keys in keys.into_iter().collect::<Vec<_>>().chunks(MOST) {
            let mut choices = Vec::with_capacity(keys.len());
            let mut parameters = Vec::new();
            for values in keys {
                let pairs: Vec<(String, Value)> = key
                    .columns
                    .iter()
                    .zip(values)
                    .map(|(name, (_, literal))| (name.clone(), Value::from(literal.as_str())))
                    .collect();
                let mut exactly = Conditions::default();
                exactly.exactly(table, &pairs);
                choices.push(format!("({})", exactly.words.join(" AND ")));
                parameters.extend(exactly.parameters);
            }
            let sql = format!("{} WHERE {}", statement::bare(table), choices.join(" OR "));
            let rows: Vec<ServerRow> = in_time(&what, ASKING, conn.exec(sql, positional(parameters))).await?;
            let mut there = BTreeSet::new();
            for row in rows {
                let kinds: Vec<Kind> = row.columns_ref().iter().map(Kind::new).collect();
                let Some(row) = read_row(&kinds, &followed.key, row) else { continue };
                there.insert(shape.id(&row.key)?.into_string());
                emit.send(shape.event(row)?).await?;
            }
            for values in keys {
                let key: Vec<KeyValue> =
                    values.iter().map(|(text, _)| KeyValue::Text(text.clone())).collect();
                let id = shape.id(&key)?;
                if there.contains(&id.clone().into_string()) {
                    continue;
                }
                emit.send(Event::Delete(id)).await?;
            }
        }
    }
    Ok(())
}
