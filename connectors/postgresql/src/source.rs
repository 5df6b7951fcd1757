use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_sdk::{
    AdvancedRules, Context, Cursor, DataSource, Error, ErrorKind, Event, Incremental, Result, Resumable,
};
use tributary_sql::{
    By, Database as _, KeyColumns, Marks, Plan, Position, Rule, Selection, Session as _, Start, prepared,
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
    match config.incremental_by {
        IncrementalBy::CommitTimestamp => Ok(Marks { all: Some(By::Database), ..Marks::default() }),
        IncrementalBy::CursorColumn => Marks::by_columns(&config.cursor_columns),
        IncrementalBy::FullRead | IncrementalBy::LogicalReplication => Ok(Marks::default()),
    }
}

impl Inner {
    fn plan(&self, rules: Option<&Value>) -> Result<Plan> {
        let rules = Rule::active(rules)?;
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
        tributary_sql::retried(self.config.retry_count, || self.databases_once()).await
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
        let log = Position::in_log(position, had_cursor)?;
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
        let databases = self.0.databases();
        tributary_sql::check_rules_of_all(databases, self.0.config.retry_count, snippet).await
    }
}
