//! Changes from the server's binary log. Of a change only the key counts: rows are read again as they are now, so
//! documents are those of a full sync, and a change that comes twice does no harm.

mod followed;
mod place;
mod server;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use mysql_async::binlog::EventType;
use mysql_async::binlog::events::EventData;
use mysql_async::{BinlogStreamRequest, Error as MysqlError};
use serde_json::Value;
use tributary_sdk::emit::{self, Emitter, Stop};
use tributary_sdk::{Error, ErrorKind, Event, Result};
use tributary_sql::{Attempts, Database as _, Kind as TableKind, Log, Plan, Session as _, TableName, late};

use self::followed::{Followed, key_of, shapes, touched};
use self::place::Place;
use self::server::{cascaded, gtids, here, holds, may_read, of_log, settings};
use self::tell::{Changed, MOST, tell};
use crate::connect::{ASKING, Server, in_time};
use crate::database::MysqlDatabase;
use crate::error::told;

/// How long the server may take until the next change comes.
const NEXT_CHANGE: Duration = Duration::from_secs(600);

/// What is needed to follow the log.
#[derive(Clone)]
pub struct Binlog {
    server: Server,
    id: u32,
    plan: Plan,
}

impl Binlog {
    pub(crate) fn new(server: Server, id: u32, plan: Plan) -> Self {
        Self { server, id, plan }
    }

    /// The tables that are followed: those that are read and have a key.
    async fn tables(&self, databases: &[MysqlDatabase]) -> Result<Vec<Followed>> {
        let mut followed = Vec::new();
        for (place, database) in databases.iter().enumerate() {
            let mut session = database.open().await?;
            let found = session.tables().await?;
            for name in self.plan.selection.of(&found).tables {
                let Some(mut table) = session.describe(&name).await? else { continue };
                let key =
                    self.plan.keys.of(&table).map_err(|problem| Error::new(ErrorKind::Config, problem))?;
                let Some(key) = key.filter(|_| table.kind == TableKind::Table) else {
                    tracing::debug!(table = %name, "not followed in the log: a view, or without a key");
                    continue;
                };
                let of = |name: &String| table.columns.iter().position(|column| column.name == *name);
                let places = key.columns.iter().filter_map(of).collect();
                table.key = Some(key);
                followed.push(Followed { database: place, table, key: places });
            }
        }
        Ok(followed)
    }

    async fn follow(
        &self,
        databases: &[MysqlDatabase],
        place: &Place,
        emit: &Emitter,
    ) -> Result<Place, Stop> {
        let tables = self.tables(databases).await?;
        let now = shapes(&tables);
        if now != place.tables {
            return Err(gone("tables, columns or keys changed").into());
        }
        let mut conn = self.server.connect(None).await?;
        if let Some(name) = cascaded(&mut conn, &tables).await? {
            return Err(gone(format!(
                "rows of {name} change through a foreign key with CASCADE or SET NULL, which the log does not tell"
            )).into());
        }
        let (server, file, at) = here(&mut conn).await?;
        if server != place.server {
            return Err(gone("the log is that of another server").into());
        }
        if !holds(&mut conn, place).await? {
            return Err(gone("the log was begun anew, or no longer reaches back to the last sync").into());
        }
        let gtids = gtids(&mut conn, &file, at).await?;
        let end = (file.clone(), at);
        let known: BTreeMap<&TableName, usize> =
            tables.iter().enumerate().map(|(n, followed)| (&followed.table.name, n)).collect();
        let what = "the server's log cannot be read";
        let request = BinlogStreamRequest::new(self.id)
            .with_non_blocking()
            .with_filename(place.file.as_bytes())
            .with_pos(place.at);
        let log = self.server.connect(None).await?;
        let mut log = in_time(what, ASKING, log.get_binlog_stream(request)).await.map_err(of_log)?;
        let mut changed = Changed::new();
        let mut at_file = place.file.clone();
        loop {
            let event = tokio::time::timeout(NEXT_CHANGE, log.next()).await.map_err(|_| late(what))?;
            let Some(event) = event else { break };
            let event = event.map_err(|error| of_log_error(what, error))?;
            let position = u64::from(event.header().log_pos());
            let odd = |error: std::io::Error| {
                Error::new(ErrorKind::InvalidData, format!("{what}: an event is not of the expected form"))
                    .because(error)
            };
            // Those of other servers have numbers of their own, and tell nothing of rows.
            let Ok(kind) = event.header().event_type() else {
                // MariaDB's compressed forms of statements and rows.
                if (165..=171).contains(&event.header().event_type_raw()) {
                    return Err(gone("the log is compressed (log_bin_compress)").into());
                }
                continue;
            };
            if kind == EventType::INCIDENT_EVENT {
                return Err(gone("the log tells that something is missing in it").into());
            }
            match event.read_data().map_err(odd)? {
                Some(EventData::RotateEvent(rotate)) => at_file = rotate.name().into_owned(),
                Some(EventData::QueryEvent(query)) => {
                    if let Some(name) = touched(&query.query(), &query.schema(), &tables) {
                        return Err(
                            gone(format!("{name} was changed by a statement that names no rows")).into()
                        );
                    }
                }
                Some(EventData::RowsEvent(rows)) => {
                    let Some(map) = log.get_tme(rows.table_id()) else {
                        return Err(gone("the log names a table that it did not describe").into());
                    };
                    let name = TableName::new(map.database_name(), map.table_name());
                    let Some(&n) = known.get(&name) else { continue };
                    let Some(followed) = tables.get(n) else { continue };
                    if map.columns_count() != followed.table.columns.len() as u64 {
                        return Err(gone(format!("the columns of {name} changed")).into());
                    }
                    for row in rows.rows(map) {
                        let (before, after) = row.map_err(odd)?;
                        for row in [before, after].into_iter().flatten() {
                            let key = key_of(followed, map, &row)?;
                            changed.entry(n).or_default().insert(key);
                        }
                    }
                }
                _ => {}
            }
            if changed.values().map(BTreeSet::len).sum::<usize>() >= MOST {
                tell(databases, &tables, &mut changed, &mut conn, emit).await?;
            }
            // What came after this listing began is told by the next one.
            if at_file == end.0 && position >= end.1 && position > 0 {
                break;
            }
        }
        // It may be in the middle of an event.
        let _closed = log.close().await;
        tell(databases, &tables, &mut changed, &mut conn, emit).await?;
        Ok(Place { server, file, at, gtids, tables: now })
    }
}

impl Log<MysqlDatabase> for Binlog {
    /// Whether the server writes such a log and this account may read it.
    async fn look(&self) -> Result<()> {
        let mut conn = self.server.connect(None).await?;
        let (on, format, image) = settings(&mut conn).await?;
        let wrong = |message: String| {
            Err(Error::new(ErrorKind::Config, message).hint(
                "start the server with log_bin, binlog_format=ROW and binlog_row_image=FULL, or choose another \
                 'Incremental sync by'",
            ))
        };
        if !on {
            return wrong("the server writes no binary log (log_bin is off)".to_owned());
        }
        if format != "ROW" || image != "FULL" {
            return wrong(format!("the binary log has the format {format} with the row image {image}"));
        }
        let (_, file, at) = here(&mut conn).await?;
        may_read(&self.server, &file, at).await
    }

    /// The place to go on from after a full listing that begins now.
    async fn begin(&self, databases: &[MysqlDatabase]) -> Result<Value> {
        self.look().await?;
        let mut conn = self.server.connect(None).await?;
        let (server, file, at) = here(&mut conn).await?;
        let gtids = gtids(&mut conn, &file, at).await?;
        let tables = shapes(&self.tables(databases).await?);
        serde_json::to_value(Place { server, file, at, gtids, tables }).map_err(unkept)
    }

    /// Lists what changed since `log`; the last event is the checkpoint behind it.
    fn changes(self, databases: Vec<MysqlDatabase>, log: Value) -> BoxStream<'static, Result<Event>> {
        emit::stream(move |emit| async move {
            let place: Place = serde_json::from_value(log).map_err(|error| {
                Error::new(ErrorKind::PositionGone, "the stored position cannot be read").because(error)
            })?;
            let mut attempts = Attempts::new(self.plan.attempts);
            let next = loop {
                match self.follow(&databases, &place, &emit).await {
                    Err(Stop::Failed(error)) => attempts.again(error).await?,
                    followed => break followed?,
                }
            };
            let log = serde_json::to_value(next).map_err(unkept)?;
            let start = tributary_sql::Start { log, ..Default::default() };
            let cursor = tributary_sql::Position::finished(&self.plan, start)?;
            Ok(emit.send(Event::Checkpoint(cursor)).await?)
        })
    }
}

fn unkept(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a position in the log cannot be kept").because(error)
}

fn gone(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::PositionGone, reason.into())
}

/// What the server says when the log was removed (1236, 1373) is no reason to try again.
fn of_log_error(what: &str, error: MysqlError) -> Error {
    match &error {
        MysqlError::Server(said) if matches!(said.code, 1236 | 1373) => {
            gone(format!("the server no longer has the log from the last position on: {}", said.message))
        }
        _ => told(what, error),
    }
}
