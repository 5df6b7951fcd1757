use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::Value;
use tributary_sdk::{
    AdvancedRules, Context, Cursor, DataSource, Error, ErrorKind, Event, Incremental, Result, Resumable,
};
use tributary_sql::{
    Attempts, By, Database as _, KeyColumns, Marks, Plan, Position, Rule, Selection, Session as _, Start,
};

use crate::config::{IncrementalBy, PostgresqlConfig};
use crate::connect::Server;
use crate::database::{self, PgDatabase};
use crate::naming::Names;
use crate::replication::{self, Replication};

/// A server, ready to be listed.
#[derive(Clone)]
pub struct PostgresqlSource(Arc<Inner>);

struct Inner {
    config: PostgresqlConfig,
    server: Server,
    keys: KeyColumns,
    marks: Marks,
}

/// What a listing begins with.
struct Begun {
    databases: Vec<PgDatabase>,
    plan: Plan,
    position: Option<Position>,
}

impl PostgresqlSource {
    /// Reads what can be read without asking the server.
    pub(crate) fn new(config: PostgresqlConfig) -> Result<Self> {
        let keys = KeyColumns::parse(&config.key_columns)
            .map_err(|problem| Error::new(ErrorKind::Config, format!("'Key columns' item {problem}")))?;
        let server = Server::new(&config)?;
        let marks = marks(&config)?;
        Ok(Self(Arc::new(Inner { config, server, keys, marks })))
    }
}

fn marks(config: &PostgresqlConfig) -> Result<Marks> {
    let mut marks = Marks::default();
    match config.incremental_by {
        IncrementalBy::CommitTimestamp => marks.all = Some(By::Database),
        IncrementalBy::CursorColumn if config.cursor_columns.is_empty() => {
            let message = "'Cursor columns' is empty, and incremental syncs go by cursor columns";
            return Err(Error::new(ErrorKind::Config, message).hint("name a column such as updated_at"));
        }
        IncrementalBy::CursorColumn => {
            for item in &config.cursor_columns {
                match item.split_once('=') {
                    None => marks.all = Some(By::Column(item.trim().to_owned())),
                    Some((table, column)) => {
                        marks.tables.insert(table.trim().to_owned(), By::Column(column.trim().to_owned()));
                    }
                }
            }
        }
        IncrementalBy::FullRead | IncrementalBy::LogicalReplication => {}
    }
    Ok(marks)
}

impl Inner {
    fn plan(&self, rules: Option<&Value>) -> Result<Plan> {
        let rules = rules.map_or(Ok(Vec::new()), Rule::read_all).map_err(|faults| {
            Error::new(ErrorKind::Config, format!("the advanced rules are invalid: {}", faults.join("; ")))
        })?;
        let config = &self.config;
        Ok(Plan {
            selection: Selection::new(&config.tables),
            keys: self.keys.clone(),
            rules,
            attempts: config.retry_count,
            by: self.marks.clone(),
            place: format!("{}\0{}\0{}\0{}", config.host, config.port, config.database, config.schema),
        })
    }

    fn database(&self, name: String) -> PgDatabase {
        let schemas = self.config.schema.trim();
        // A list of schemas has no schema for rules; the first stands for it.
        let rule_schema = match schemas.split_once(',') {
            Some((first, _)) => first.trim(),
            None if schemas == "*" => "public",
            None => schemas,
        };
        PgDatabase {
            name,
            server: self.server.clone(),
            names: Names { rule_schema: rule_schema.to_owned() },
            schemas: schemas.to_owned(),
            fetch_size: self.config.fetch_size,
        }
    }

    async fn databases(&self) -> Result<Vec<PgDatabase>> {
        let mut attempts = Attempts::new(self.config.retry_count);
        let names = loop {
            match database::chosen(&self.server, &self.config.database).await {
                Ok(names) => break names,
                Err(error) => attempts.again(error).await?,
            }
        };
        Ok(names.into_iter().map(|name| self.database(name)).collect())
    }

    async fn begin(&self, cx_rules: Option<&Value>, cursor: Option<&Cursor>) -> Result<Begun> {
        let plan = self.plan(cx_rules)?;
        let position = Position::read(cursor, &plan);
        Ok(Begun { databases: self.databases().await?, plan, position })
    }

    fn replication(&self, plan: &Plan) -> Option<Replication> {
        // Rows of queries cannot be told from a log.
        let wanted = self.config.incremental_by == IncrementalBy::LogicalReplication && plan.rules.is_empty();
        wanted.then(|| Replication::new(&self.config, plan.clone()))
    }

    async fn full(&self, begun: Begun) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = begun;
        let mut start = Start::default();
        if position.is_none() {
            start.log = match self.replication(&plan) {
                Some(replication) => replication.begin(&databases).await?,
                None => {
                    replication::clean_up(&self.config, &databases).await;
                    Value::Null
                }
            };
        }
        Ok(tributary_sql::documents(databases, plan, position, start))
    }

    async fn since(&self, begun: Begun, had_cursor: bool) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = begun;
        // Behind a listing that was not completed there is nothing to go on from.
        let position = position.filter(Position::is_finished);
        let Some(replication) = self.replication(&plan) else {
            let since = position.map(|position| position.start).unwrap_or_default();
            return Ok(tributary_sql::changes(databases, plan, since, Value::Null));
        };
        let log = position.map_or(Value::Null, |position| position.start.log);
        if log.is_null() {
            let reason = if had_cursor {
                "the last sync left no position in the log of this configuration"
            } else {
                "there was no sync before"
            };
            return Err(Error::new(ErrorKind::PositionGone, reason));
        }
        Ok(replication.changes(databases, log))
    }

    async fn look(&self) -> Result<()> {
        for database in self.databases_once().await? {
            let mut session = database.open().await?;
            let found = session.tables().await?;
            let selected = self.plan(None)?.selection.of(&found);
            if let Some(fault) = selected.faults().next() {
                return Err(fault);
            }
            if selected.tables.is_empty() {
                tracing::warn!(
                    "Fetched 0 tables for schema: {} and database: {}",
                    self.config.schema,
                    database.name
                );
            }
            replication::look(&self.config, session.client()).await?;
        }
        Ok(())
    }

    async fn databases_once(&self) -> Result<Vec<PgDatabase>> {
        let names = database::chosen(&self.server, &self.config.database).await?;
        Ok(names.into_iter().map(|name| self.database(name)).collect())
    }
}

/// A stream that has to be prepared first.
fn prepared<'a>(
    preparing: impl Future<Output = Result<BoxStream<'static, Result<Event>>>> + Send + 'a,
) -> BoxStream<'a, Result<Event>> {
    stream::once(preparing)
        .flat_map(|prepared| match prepared {
            Ok(events) => events,
            Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
        })
        .boxed()
}

#[async_trait]
impl DataSource for PostgresqlSource {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        self.0.look().await
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        prepared(async move {
            let begun = self.0.begin(cx.advanced_rules.as_ref(), cx.cursor.as_ref()).await?;
            self.0.full(begun).await
        })
    }
}

impl Resumable for PostgresqlSource {}

impl Incremental for PostgresqlSource {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        prepared(async move {
            let begun = self.0.begin(cx.advanced_rules.as_ref(), cx.cursor.as_ref()).await?;
            self.0.since(begun, cx.cursor.is_some()).await
        })
    }
}

#[async_trait]
impl AdvancedRules for PostgresqlSource {
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>> {
        let mut faults: BTreeMap<String, ()> = BTreeMap::new();
        let databases = match Rule::read_all(snippet) {
            Ok(rules) if rules.is_empty() => return Ok(Vec::new()),
            Ok(_) => self.0.databases().await?,
            Err(faults) => return Ok(faults),
        };
        for database in databases {
            for fault in tributary_sql::check_rules(&database, self.0.config.retry_count, snippet).await? {
                faults.insert(fault, ());
            }
        }
        Ok(faults.into_keys().collect())
    }
}
