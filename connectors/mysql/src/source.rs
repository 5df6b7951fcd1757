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
    let mut marks = Marks::default();
    if config.incremental_by != "cursor_column" {
        return Ok(marks);
    }
    if config.cursor_columns.is_empty() {
        let message = "'Cursor columns' is empty, and incremental syncs go by cursor columns";
        return Err(Error::new(ErrorKind::Config, message).hint("name a column such as updated_at"));
    }
    for item in &config.cursor_columns {
        match item.split_once('=') {
            None => marks.all = Some(By::Column(item.trim().to_owned())),
            Some((table, column)) => {
                marks.tables.insert(table.trim().to_owned(), By::Column(column.trim().to_owned()));
            }
        }
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
        let mut attempts = Attempts::new(self.config.retry_count);
        loop {
            match self.databases_once().await {
                Ok(databases) => return Ok(databases),
                Err(error) => attempts.again(error).await?,
            }
        }
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
        let log = position.map_or(Value::Null, |position| position.start.log);
        if log.is_null() {
            let reason = if had_cursor {
                "the last sync left no position in the log of this configuration"
            } else {
                "there was no sync before"
            };
            return Err(Error::new(ErrorKind::PositionGone, reason));
        }
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
