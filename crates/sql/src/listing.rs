use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_sdk::emit::{self, Emitter, Stop};
use tributary_sdk::{Error, ErrorKind, Event, Result};

use crate::position::At;
use crate::{Attempts, By, Database, Origin, Plan, Position, Read, Rule, Session, Shape, Start, Table, What};

/// Whoever calls again after a failure gets a new connection.
macro_rules! with_session {
    ($listing:ident, $session:ident => $call:expr) => {{
        let this = &mut *$listing;
        loop {
            let outcome = match &mut this.session {
                Some($session) => $call,
                none => match this.database.open().await {
                    Ok(opened) => {
                        let $session = none.insert(opened);
                        $call
                    }
                    Err(error) => Err(error),
                },
            };
            match outcome {
                Ok(value) => break value,
                Err(error) => {
                    this.session = None;
                    this.attempts.again(error).await?;
                }
            }
        }
    }};
}

/// Rows between two checkpoints, about.
const CHECKPOINT_EVERY: usize = 1_000;

/// Lists everything: the databases in this order, their tables in the order of their names, or the rules in theirs.
/// `from` goes on from a checkpoint; `start` is where the next incremental listing starts, if this one begins anew.
/// The last event is a checkpoint that [`crate::changes`] goes on from.
#[must_use]
pub fn documents<D: Database>(
    databases: Vec<D>,
    plan: Plan,
    from: Option<Position>,
    start: Start,
) -> BoxStream<'static, Result<Event>> {
    emit::spawned(move |emit| async move {
        let (at, start) = match from {
            Some(position) if position.at.is_none() => return Ok(()),
            Some(position) => (position.at, position.start),
            None => (None, start),
        };
        run(&databases, &plan, &emit, None, at, start).await
    })
}

/// Reads all databases. With `since` only what changed since these marks.
pub(crate) async fn run<D: Database>(
    databases: &[D],
    plan: &Plan,
    emit: &Emitter,
    since: Option<&Start>,
    mut at: Option<At>,
    mut start: Start,
) -> Result<(), Stop> {
    let skipped = |at: &At| databases.iter().position(|database| database.name() == at.database);
    let first = at.as_ref().and_then(skipped).unwrap_or(0);
    if at.as_ref().is_some_and(|at| skipped(at).is_none()) {
        at = None;
    }
    for database in databases.iter().skip(first) {
        let attempts = Attempts::new(plan.attempts);
        let elsewhere = elsewhere(databases, database);
        let mut listing = Listing { database, elsewhere, plan, emit, since, start, attempts, session: None };
        listing.list(at.take()).await?;
        start = listing.start;
    }
    emit.send(Event::Checkpoint(Position::finished(plan, start)?)).await?;
    Ok(())
}

/// The schemas of the other databases, where each database is a schema of its own.
#[must_use]
pub fn elsewhere<'d, D: Database>(databases: &'d [D], here: &D) -> Vec<&'d str> {
    let schemas = databases.iter().map(|database| database.naming().rule_schema());
    schemas.filter(|schema| *schema != here.naming().rule_schema()).collect()
}

/// The listing of one database.
struct Listing<'a, D: Database> {
    database: &'a D,
    elsewhere: Vec<&'a str>,
    plan: &'a Plan,
    emit: &'a Emitter,
    since: Option<&'a Start>,
    start: Start,
    attempts: Attempts,
    session: Option<D::Session>,
}

/// One thing that is read with one statement.
struct Unit<'a> {
    name: String,
    what: Source<'a>,
    schema: &'a str,
    tables: Vec<String>,
    key: Vec<String>,
    /// Whether reading can go on after a row.
    goes_on: bool,
    after: Option<Vec<Value>>,
    since: Option<(By, String)>,
}

enum Source<'a> {
    Table(&'a Table),
    Query(&'a str),
}

impl<D: Database> Listing<'_, D> {
    async fn list(&mut self, at: Option<At>) -> Result<(), Stop> {
        if self.plan.rules.is_empty() { self.tables(at).await } else { self.rules(at).await }
    }

    async fn tables(&mut self, mut at: Option<At>) -> Result<(), Stop> {
        let found = with_session!(self, session => session.tables().await);
        let selected = self.plan.selection.among(&found, &self.elsewhere);
        for name in &selected.passed_over {
            tracing::warn!(table = %name, "not listed: these credentials may not read it");
        }
        for fault in selected.faults() {
            self.incomplete(fault).await?;
        }
        for name in selected.tables {
            let unit_name = name.to_string();
            if at.as_ref().is_some_and(|at| unit_name < at.unit) {
                continue;
            }
            let at = at.take().filter(|at| at.unit == unit_name);
            let table = with_session!(self, session => session.describe(&name).await);
            // Dropped meanwhile.
            let Some(table) = table else { continue };
            self.table(&table, unit_name, at).await?;
        }
        Ok(())
    }

    async fn table(&mut self, table: &Table, name: String, at: Option<At>) -> Result<(), Stop> {
        let key = match self.plan.keys.of(table) {
            Ok(Some(key)) => key,
            Ok(None) => {
                tracing::warn!(table = %name, "not listed: it has neither a primary key nor a unique one, and none was configured");
                return Ok(());
            }
            Err(problem) => {
                let error = Error::new(ErrorKind::Config, problem).hint("correct the configured key columns");
                return self.incomplete(error).await;
            }
        };
        let after = at.filter(|at| at.key == key.columns && key.guaranteed).and_then(|at| at.after);
        let marked = format!("{}/{name}", self.database.name());
        let by = self.plan.by.of(table);
        if let (Some(by), None) = (&by, &after) {
            match with_session!(self, session => session.mark(table, by).await) {
                Some(mark) => drop(self.start.marks.insert(marked.clone(), mark)),
                None => drop(self.start.marks.remove(&marked)),
            }
        }
        let since = by.and_then(|by| Some((by, self.since?.marks.get(&marked)?.clone())));
        let unit = Unit {
            name,
            what: Source::Table(table),
            schema: &table.name.schema,
            tables: vec![table.name.name.clone()],
            key: key.columns,
            goes_on: key.guaranteed,
            after,
            since,
        };
        self.unit(unit).await
    }

    async fn rules(&mut self, mut at: Option<At>) -> Result<(), Stop> {
        let plan = self.plan;
        for (place, rule) in plan.rules.iter().enumerate() {
            // Rules are read as a whole, so one that was interrupted begins anew.
            let name = format!("rule {:06}", place + 1);
            if at.as_ref().is_some_and(|at| name < at.unit) {
                continue;
            }
            at = None;
            let key = self.rule_key(rule).await?;
            if key.is_empty() {
                let message = format!("advanced rule {}: its tables have no primary key", place + 1);
                let error = Error::new(ErrorKind::Config, message).hint("give the rule 'id_columns'");
                self.incomplete(error).await?;
                continue;
            }
            let mut tables = rule.tables.clone();
            tables.sort();
            let unit = Unit {
                name,
                what: Source::Query(&rule.query),
                schema: self.database.naming().rule_schema(),
                tables,
                key,
                goes_on: false,
                after: None,
                since: None,
            };
            self.unit(unit).await?;
        }
        Ok(())
    }

    /// What a rule's documents are told apart by: its own columns, else the keys of its tables.
    async fn rule_key(&mut self, rule: &Rule) -> Result<Vec<String>, Stop> {
        if !rule.id_columns.is_empty() {
            return Ok(rule.id_columns.clone());
        }
        let mut columns = Vec::new();
        for table in &rule.tables {
            let name = crate::TableName::new(self.database.naming().rule_schema(), table);
            let table = with_session!(self, session => session.describe(&name).await);
            columns.extend(table.and_then(|table| table.key).into_iter().flat_map(|key| key.columns));
        }
        Ok(self.database.naming().rule_key(columns))
    }

    /// Reads one unit. After a failure that may pass it goes on after the last row, or, where that cannot be, begins
    /// anew: documents that come twice are the same.
    async fn unit(&mut self, mut unit: Unit<'_>) -> Result<(), Stop> {
        loop {
            let error = match self.try_unit(&mut unit).await {
                Err(Stop::Failed(error)) => error,
                other => return other,
            };
            // Whatever the failed statement left of the session is of no use.
            self.session = None;
            match error.kind() {
                ErrorKind::Permission => return self.incomplete(error).await,
                ErrorKind::NotFound if self.is_gone(&unit).await? => return Ok(()),
                ErrorKind::NotFound | ErrorKind::Config | ErrorKind::InvalidData => {
                    return self.incomplete(error).await;
                }
                _ => {}
            }
            self.attempts.again(error).await?;
        }
    }

    /// Whether a table was dropped while it was about to be read.
    async fn is_gone(&mut self, unit: &Unit<'_>) -> Result<bool, Stop> {
        let Source::Table(table) = unit.what else { return Ok(false) };
        Ok(with_session!(self, session => session.describe(&table.name).await).is_none())
    }

    async fn try_unit(&mut self, unit: &mut Unit<'_>) -> Result<(), Stop> {
        let Self { database, plan, emit, start, attempts, session, .. } = self;
        let session = match session {
            Some(session) => session,
            none => none.insert(database.open().await?),
        };
        let after = unit.after.clone();
        let since = unit.since.clone();
        let what = match unit.what {
            Source::Table(table) => What::Table {
                table,
                after: after.as_deref(),
                since: since.as_ref().map(|(by, mark)| (by, mark.as_str())),
            },
            Source::Query(query) => What::Query(query),
        };
        let read = Read { what, key: &unit.key };
        let mut rows = session.read(&read).await?;
        lacks(&unit.key, &rows.columns, &unit.name)?;
        let is_query = matches!(unit.what, Source::Query(_));
        let origin =
            Origin { database: database.name(), schema: unit.schema, tables: &unit.tables, is_query };
        let shape = Shape::new(database.naming(), &origin, &rows.columns);
        let mut since_checkpoint = 0;
        let mut nameless = 0_u64;
        while let Some(slice) = rows.slices.next().await {
            let slice = slice?;
            attempts.worked();
            since_checkpoint += slice.len();
            let last = slice.last().filter(|_| unit.goes_on);
            let last: Option<Vec<Value>> =
                last.map(|row| row.key.iter().map(|value| value.to_value()).collect());
            for row in slice {
                match shape.event(row) {
                    Ok(event) => emit.send(event).await?,
                    Err(_) => nameless += 1,
                }
            }
            let Some(last) = last else { continue };
            unit.after = Some(last);
            if since_checkpoint >= CHECKPOINT_EVERY {
                since_checkpoint = 0;
                let at = At {
                    database: database.name().to_owned(),
                    unit: unit.name.clone(),
                    key: unit.key.clone(),
                    after: unit.after.clone(),
                };
                let position = Position::new(plan, Some(at), start.clone());
                emit.send(Event::Checkpoint(position.to_cursor()?)).await?;
            }
        }
        drop(rows);
        if nameless > 0 {
            let message =
                format!("{nameless} rows of {} have no value in any column of their key", unit.name);
            let error = Error::new(ErrorKind::InvalidData, message)
                .hint("leave such rows out in a query, or choose other key columns");
            self.emit.send(Event::Incomplete(error)).await?;
        }
        Ok(())
    }

    async fn incomplete(&mut self, error: Error) -> Result<(), Stop> {
        Ok(self.emit.send(Event::Incomplete(error)).await?)
    }
}

/// Key columns must be in the result.
fn lacks(key: &[String], columns: &[String], unit: &str) -> Result<(), Error> {
    let is_there = |name: &&String| columns.iter().any(|column| column.to_lowercase() == name.to_lowercase());
    match key.iter().find(|name| !is_there(name)) {
        None => Ok(()),
        Some(missing) => {
            let message = format!(
                "the result of {unit} has no column '{missing}', which its ids are made of; it has {}",
                columns.join(", ")
            );
            Err(Error::new(ErrorKind::Config, message)
                .hint("add the column to the query, or name others in 'id_columns'"))
        }
    }
}
