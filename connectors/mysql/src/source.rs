use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_sdk::{
    AdvancedRules, Context, Cursor, DataSource, Error, ErrorKind, Event, Incremental, Result, Resumable,
};
use tributary_sql::{
    Database as _, KeyColumns, Marks, Plan, Position, Rule, Selection, Session as _, Start, prepared,
};

use crate::binlog::Binlog;
use crate::config::MysqlConfig;
use crate::connect::Server;
use crate::database::{self, MysqlDatabase};
use crate::naming::Names;

/// A server, ready to be listed.
#[derive(Clone)]
pub struct MysqlSource(Arc<Inner>);

struct Inner {
    config: MysqlConfig,
    server: Server,
    keys: KeyColumns,
    marks: Marks,
}

/// What a listing begins with.
struct Begun {
    databases: Vec<MysqlDatabase>,
    plan: Plan,
    position: Option<Position>,
}

impl MysqlSource {
    /// Reads what can be read without asking the server.
    pub(crate) fn new(config: MysqlConfig) -> Result<Self> {
        let keys = KeyColumns::parse(&config.key_columns)
            .map_err(|problem| Error::new(ErrorKind::Config, format!("'Key columns' item {problem}")))?;
        let server = Server::new(&config)?;
        let marks = marks(&config)?;
        Ok(Self(Arc::new(Inner { config, server, keys, marks })))
    }
}

fn marks(config: &MysqlConfig) -> Result<Marks> {
    match config.incremental_by.as_str() {
        "cursor_column" => Marks::by_columns(&config.cursor_columns),
        _ => Ok(Marks::default()),
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
            place: format!("{}\0{}\0{}", config.host, config.port, config.database),
        })
    }

    fn database(&self, database: String) -> MysqlDatabase {
        let is_one_of_many = !database::is_one(&self.config.database);
        MysqlDatabase {
            names: Names { database, is_one_of_many },
            server: self.server.clone(),
            fetch_size: self.config.fetch_size,
        }
    }

    async fn databases_once(&self) -> Result<Vec<MysqlDatabase>> {
        let names = database::chosen(&self.server, &self.config.database).await?;
        Ok(names.into_iter().map(|name| self.database(name)).collect())
    }

    async fn databases(&self) -> Result<Vec<MysqlDatabase>> {
        tributary_sql::retried(self.config.retry_count, || self.databases_once()).await
    }

    async fn begin(&self, rules: Option<&Value>, cursor: Option<&Cursor>) -> Result<Begun> {
        let plan = self.plan(rules)?;
        let position = Position::read(cursor, &plan);
        Ok(Begun { databases: self.databases().await?, plan, position })
    }

    /// Rows of queries cannot be told from a log.
    fn binlog(&self, plan: &Plan) -> Option<Binlog> {
        let wanted = self.config.incremental_by == "binlog" && plan.rules.is_empty();
        wanted.then(|| Binlog::new(self.server.clone(), self.config.binlog_server_id, plan.clone()))
    }

    async fn full(&self, begun: Begun) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = begun;
        let mut start = Start::default();
        if let (None, Some(binlog)) = (&position, self.binlog(&plan)) {
            start.log = binlog.begin(&databases).await?;
        }
        Ok(tributary_sql::documents(databases, plan, position, start))
    }

    async fn since(&self, begun: Begun, had_cursor: bool) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = begun;
        // Behind a listing that was not completed there is nothing to go on from.
        let position = position.filter(Position::is_finished);
        let Some(binlog) = self.binlog(&plan) else {
            let since = position.map(|position| position.start).unwrap_or_default();
            return Ok(tributary_sql::changes(databases, plan, since, Value::Null));
        };
        let log = Position::in_log(position, had_cursor)?;
        Ok(binlog.changes(databases, log))
    }

    async fn look(&self) -> Result<()> {
        let plan = self.plan(None)?;
        let databases = self.databases_once().await?;
        for database in &databases {
            let mut session = database.open().await?;
            let found = session.tables().await?;
            let selected = plan.selection.among(&found, &tributary_sql::elsewhere(&databases, database));
            if let Some(fault) = selected.faults().next() {
                return Err(fault);
            }
            if selected.tables.is_empty() {
                tracing::warn!(database = database.name(), "there is no table to read");
            }
        }
        if let Some(binlog) = self.binlog(&plan) {
            binlog.look().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl DataSource for MysqlSource {
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

impl Resumable for MysqlSource {}

impl Incremental for MysqlSource {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        prepared(async move {
            let begun = self.0.begin(cx.advanced_rules.as_ref(), cx.cursor.as_ref()).await?;
            self.0.since(begun, cx.cursor.is_some()).await
        })
    }
}

#[async_trait]
impl AdvancedRules for MysqlSource {
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>> {
        let databases = self.0.databases();
        tributary_sql::check_rules_of_all(databases, self.0.config.retry_count, snippet).await
    }
}
