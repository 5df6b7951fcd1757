use std::time::Duration;

use futures::channel::mpsc;
use futures::stream;
use futures::{SinkExt as _, StreamExt as _};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Row as ServerRow, Value as Raw};
use serde_json::Value;
use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{By, Found, KeyValue, Read, Row, Rows, Session, Slices, Table, TableName, What};

use crate::catalog;
use crate::connect::{ASKING, Server, in_time};
use crate::decode::{self, Kind};
use crate::statement::{self, Conditions};

/// Bytes that are handed over at once, about; more only when a single row has more.
const SLICE_BYTES: usize = 1 << 20;
/// Rows that are handed over at once.
const SLICE_ROWS: usize = 500;
/// How long the server may take until the next row comes: a large sort comes first.
const NEXT_ROW: Duration = Duration::from_secs(1_800);

/// A connection that reads rows.
pub struct MysqlSession {
    pub(crate) conn: Conn,
    server: Server,
    database: String,
    fetch_size: usize,
}

impl MysqlSession {
    pub(crate) fn new(conn: Conn, server: Server, database: &str, fetch_size: usize) -> Self {
        Self { conn, server, database: database.to_owned(), fetch_size }
    }
}

impl Session for MysqlSession {
    async fn tables(&mut self) -> Result<Vec<Found>> {
        catalog::tables(&mut self.conn, &self.database).await
    }

    async fn describe(&mut self, name: &TableName) -> Result<Option<Table>> {
        catalog::describe(&mut self.conn, name).await
    }

    async fn mark(&mut self, table: &Table, by: &By) -> Result<Option<String>> {
        let what = format!("cannot tell how far {} has come", table.name);
        let sql = statement::mark(table, by)?;
        let mark: Option<Option<String>> = in_time(&what, NEXT_ROW, self.conn.query_first(sql)).await?;
        Ok(mark.flatten())
    }

    async fn read<'a>(&'a mut self, read: &'a Read<'a>) -> Result<Rows<'a>> {
        let what = "a transaction cannot be begun";
        for sql in [
            "ROLLBACK",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            in_time(what, ASKING, self.conn.query_drop(sql)).await?;
        }
        let (what, bare) = match read.what {
            What::Table { table, .. } => (format!("cannot read {}", table.name), statement::bare(table)),
            What::Query(query) => ("the query of an advanced rule fails".to_owned(), query.to_owned()),
        };
        let prepared = in_time(&what, ASKING, self.conn.prep(bare.as_str())).await?;
        let columns: Vec<String> =
            prepared.columns().iter().map(|column| column.name_str().into_owned()).collect();
        let pages = match read.what {
            What::Query(_) => Pages::one(bare, Conditions::default()),
            What::Table { table, after, since } => {
                let mut fixed = Conditions::default();
                if let Some((by, mark)) = since {
                    fixed.since(table, by, mark)?;
                }
                let is_paged =
                    table.key.as_ref().is_some_and(|key| key.guaranteed && key.columns == read.key);
                let order = catalog::order(&mut self.conn, &table.name, read.key).await?;
                let sorted = statement::ordered(table, &order);
                let after = after.map(|after| after.to_vec());
                Pages { table: Some(table), bare, fixed, order, sorted, after, is_paged }
            }
        };
        let reader = Reader {
            key: statement::key_places(read.key, &columns),
            names: read.key,
            fetch_size: self.fetch_size,
            id: self.conn.id(),
            server: self.server.clone(),
            what,
        };
        let slices = reader.slices(&mut self.conn, pages);
        Ok(Rows { columns, slices })
    }
}

/// How a statement is cut into pages. They are read in one transaction, so all of them show the same moment.
struct Pages<'a> {
    table: Option<&'a Table>,
    bare: String,
    fixed: Conditions,
    order: Vec<String>,
    sorted: String,
    after: Option<Vec<Value>>,
    is_paged: bool,
}

impl Pages<'_> {
    fn one(bare: String, fixed: Conditions) -> Self {
        Self {
            table: None,
            bare,
            fixed,
            order: Vec::new(),
            sorted: String::new(),
            after: None,
            is_paged: false,
        }
    }

    /// The next page's statement.
    fn statement(&self, names: &[String], limit: usize) -> (String, Vec<Raw>) {
        let Some(table) = self.table else { return (self.bare.clone(), Vec::new()) };
        let mut conditions =
            Conditions { words: self.fixed.words.clone(), parameters: self.fixed.parameters.clone() };
        if let Some(after) = &self.after {
            let value = |name: &String| {
                let place = names.iter().position(|known| known == name)?;
                Some((name.clone(), after.get(place)?.clone()))
            };
            let key: Vec<(String, Value)> = self.order.iter().filter_map(value).collect();
            conditions.behind(table, &key);
        }
        let limit = if self.is_paged { format!(" LIMIT {limit}") } else { String::new() };
        (format!("{}{}{}{limit}", self.bare, conditions.written(), self.sorted), conditions.parameters)
    }
}

type Out = mpsc::Sender<Result<Vec<Row>>>;

/// Turns the server's rows into slices.
struct Reader<'a> {
    key: Vec<usize>,
    names: &'a [String],
    fetch_size: usize,
    id: u32,
    server: Server,
    what: String,
}

/// Ends a statement whose rows nobody wants any more: else they would all be fetched to be thrown away.
struct Kill {
    id: u32,
    server: Server,
    is_done: bool,
}

impl Drop for Kill {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (server, id) = (self.server.clone(), self.id);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let Ok(mut conn) = server.connect(None).await else { return };
                // It may have ended by itself.
                let _ended = conn.query_drop(format!("KILL {id}")).await;
                let _closed = conn.disconnect().await;
            });
        }
    }
}

impl<'a> Reader<'a> {
    /// The rows, read while they are asked for: reading and handing over take turns.
    fn slices(self, conn: &'a mut Conn, pages: Pages<'a>) -> Slices<'a> {
        let (mut out, slices) = mpsc::channel(0);
        let reading = async move {
            if let Err(error) = self.read(conn, pages, &mut out).await {
                // A reader that has gone wants no error either.
                let _gone = out.send(Err(error)).await;
            }
            None
        };
        stream::select(slices.map(Some), stream::once(reading)).filter_map(std::future::ready).boxed()
    }

    async fn read(&self, conn: &mut Conn, mut pages: Pages<'a>, out: &mut Out) -> Result<()> {
        let what = &self.what;
        loop {
            let (sql, parameters) = pages.statement(self.names, self.fetch_size);
            let mut kill = Kill { id: self.id, server: self.server.clone(), is_done: pages.is_paged };
            let call = conn.exec_iter(sql, positional(parameters));
            let mut rows = in_time(what, NEXT_ROW, call).await?;
            let kinds: Vec<Kind> = rows.columns_ref().iter().map(Kind::new).collect();
            let (mut slice, mut bytes, mut count, mut last) = (Vec::new(), 0, 0, None);
            while let Some(row) = in_time(what, NEXT_ROW, rows.next()).await? {
                let row = self.row(&kinds, row)?;
                count += 1;
                bytes += row.bytes;
                slice.push(row);
                if slice.len() >= SLICE_ROWS || bytes >= SLICE_BYTES {
                    bytes = 0;
                    last = last_key(&slice);
                    if out.send(Ok(std::mem::take(&mut slice))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            kill.is_done = true;
            if !slice.is_empty() {
                last = last_key(&slice);
                if out.send(Ok(slice)).await.is_err() {
                    return Ok(());
                }
            }
            if !pages.is_paged || count < self.fetch_size {
                return Ok(());
            }
            pages.after = last;
        }
    }

    fn row(&self, kinds: &[Kind], row: ServerRow) -> Result<Row> {
        read_row(kinds, &self.key, row).ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, format!("{}: a row is not of the expected form", self.what))
        })
    }
}

/// A row with its key.
pub(crate) fn read_row(kinds: &[Kind], key: &[usize], row: ServerRow) -> Option<Row> {
    let raw = row.unwrap();
    let bytes = raw.iter().map(decode::size).sum();
    let of_key = |place: &usize| Some(decode::key(*kinds.get(*place)?, raw.get(*place)?));
    let key = key.iter().map(of_key).collect::<Option<_>>()?;
    let values = kinds.iter().zip(&raw).map(|(kind, raw)| decode::json(*kind, raw)).collect();
    Some(Row { values, key, changed: None, bytes })
}

pub(crate) fn positional(parameters: Vec<Raw>) -> Params {
    if parameters.is_empty() { Params::Empty } else { Params::Positional(parameters) }
}

fn last_key(slice: &[Row]) -> Option<Vec<Value>> {
    slice.last().map(|row| row.key.iter().map(KeyValue::to_value).collect())
}
