use std::error::Error as StdError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _};
use tokio_postgres::types::{FromSql, Kind as TypeKind, Type};
use tokio_postgres::{Client, Row as ServerRow, RowStream};
use tributary_sdk::Result;
use tributary_sql::{By, Found, Read, Row, Rows, Session, Slices, Table, TableName, What, late};

use crate::catalog;
use crate::connect::{ASKING, Link, in_time};
use crate::decode;
use crate::error::told;
use crate::statement::{self, Selected};

/// Bytes that are handed over at once, about; more only when a single row has more.
const SLICE_BYTES: usize = 1 << 20;
/// How long the server may take until the next row comes: a large sort comes first.
const NEXT_ROW: Duration = Duration::from_secs(1_800);

/// A connection that reads rows.
pub struct PgSession {
    link: Link,
    schemas: String,
    fetch_size: usize,
    /// Whether the server knows when a transaction was committed.
    timestamps: bool,
}

impl PgSession {
    pub(crate) async fn new(link: Link, schemas: &str, fetch_size: usize) -> Result<Self> {
        let timestamps = catalog::has_commit_timestamps(&link.client).await?;
        Ok(Self { link, schemas: schemas.to_owned(), fetch_size, timestamps })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.link.client
    }

    /// Whether rows can tell when they were written: that takes the right to read all of a table.
    pub(crate) async fn shows_versions(&self, table: &Table) -> Result<bool> {
        if !self.timestamps || !statement::has_versions(table) {
            return Ok(false);
        }
        let what = format!("cannot read {}", table.name);
        let sql = "SELECT has_table_privilege($1::text, 'SELECT')";
        let row =
            in_time(&what, ASKING, self.client().query_one(sql, &[&statement::place(&table.name)])).await?;
        catalog::get(&row, 0)
    }

    /// Which columns come, and of which type.
    async fn select(&self, read: &Read<'_>) -> Result<Selected> {
        let (what, sql) = match read.what {
            What::Table { table, .. } => (format!("cannot read {}", table.name), statement::bare(table)),
            What::Query(query) => ("the query of an advanced rule fails".to_owned(), query.to_owned()),
        };
        let prepared = in_time(&what, ASKING, self.client().prepare(&sql)).await?;
        let columns =
            prepared.columns().iter().map(|column| (column.name().to_owned(), column.type_().clone()));
        Ok(Selected { what, columns: columns.collect() })
    }
}

impl Session for PgSession {
    async fn tables(&mut self) -> Result<Vec<Found>> {
        catalog::tables(self.client(), &self.schemas).await
    }

    async fn describe(&mut self, name: &TableName) -> Result<Option<Table>> {
        catalog::describe(self.client(), name).await
    }

    async fn mark(&mut self, table: &Table, by: &By) -> Result<Option<String>> {
        let sql = statement::mark(table, by);
        let what = format!("cannot tell how far {} has come", table.name);
        let row = in_time(&what, NEXT_ROW, self.client().query_one(&sql, &[])).await?;
        row.try_get(0).map_err(|error| told(&what, error))
    }

    async fn read<'a>(&'a mut self, read: &'a Read<'a>) -> Result<Rows<'a>> {
        let begin = "ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        in_time("a transaction cannot be begun", ASKING, self.client().batch_execute(begin)).await?;
        let selected = self.select(read).await?;
        let names: Vec<String> = selected.columns.iter().map(|(name, _)| name.clone()).collect();
        let with_time = match read.what {
            What::Table { table, .. } => self.shows_versions(table).await?,
            What::Query(_) => false,
        };
        let (sql, parameters) = statement::full(read, &selected, with_time);
        let what = selected.what;
        let prepared = in_time(&what, ASKING, self.client().prepare(&sql)).await?;
        let types: Vec<Type> = prepared.columns().iter().map(|column| base(column.type_())).collect();
        let key = statement::key_places(read.key, &names);
        let rows = in_time(&what, NEXT_ROW, self.client().query_raw(&prepared, &parameters)).await?;
        let reader = Reader {
            rows: Box::pin(rows),
            types,
            key,
            with_time,
            fetch_size: self.fetch_size,
            what,
            end: false,
        };
        Ok(Rows { columns: names, slices: reader.slices() })
    }
}

/// A domain's values come as those of the type below it.
pub(crate) fn base(kind: &Type) -> Type {
    match kind.kind() {
        TypeKind::Domain(below) => base(below),
        _ => kind.clone(),
    }
}

/// Turns the server's rows into slices.
struct Reader {
    rows: std::pin::Pin<Box<RowStream>>,
    types: Vec<Type>,
    key: Vec<usize>,
    with_time: bool,
    fetch_size: usize,
    what: String,
    end: bool,
}

impl Reader {
    fn slices<'a>(self) -> Slices<'a> {
        futures::stream::unfold(self, |mut reader| async move {
            let slice = reader.slice().await;
            slice.map(|slice| (slice, reader))
        })
        .boxed()
    }

    /// The next rows: those that have come already, within the bounds. After a failure there is nothing more.
    async fn slice(&mut self) -> Option<Result<Vec<Row>>> {
        if self.end {
            return None;
        }
        let first = match tokio::time::timeout(NEXT_ROW, self.rows.next()).await {
            Ok(first) => first,
            Err(_) => {
                self.end = true;
                return Some(Err(late(&self.what)));
            }
        };
        let mut slice = Vec::with_capacity(self.fetch_size.min(1_024));
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(row) = next {
            match row {
                None => {
                    self.end = true;
                    break;
                }
                Some(Ok(row)) => {
                    let row = self.row(&row);
                    bytes += row.bytes;
                    slice.push(row);
                }
                Some(Err(error)) => {
                    self.end = true;
                    return Some(Err(told(&self.what, error)));
                }
            }
            let is_full = slice.len() >= self.fetch_size || bytes >= SLICE_BYTES;
            next = if is_full { None } else { self.rows.next().now_or_never() };
        }
        (!slice.is_empty()).then_some(Ok(slice))
    }

    fn row(&self, row: &ServerRow) -> Row {
        let columns = self.types.len() - usize::from(self.with_time);
        let mut bytes = 0;
        let mut values = Vec::with_capacity(columns);
        for (place, kind) in self.types.iter().take(columns).enumerate() {
            let raw = raw(row, place);
            bytes += raw.map_or(0, <[u8]>::len);
            values.push(decode::json(kind, raw));
        }
        let key =
            self.key.iter().filter_map(|&place| Some(decode::key(self.types.get(place)?, raw(row, place))));
        let changed = if self.with_time { raw(row, columns).and_then(time) } else { None };
        Row { values, key: key.collect(), changed, bytes }
    }
}

/// Microseconds since 2000.
pub(crate) fn time(raw: &[u8]) -> Option<DateTime<Utc>> {
    let micros = i64::from_be_bytes(raw.try_into().ok()?);
    DateTime::from_timestamp_micros(micros.checked_add(946_684_800_000_000)?)
}

pub(crate) fn raw(row: &ServerRow, place: usize) -> Option<&[u8]> {
    row.try_get::<_, Option<Raw<'_>>>(place).ok().flatten().map(|raw| raw.0)
}

/// A value's bytes, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
