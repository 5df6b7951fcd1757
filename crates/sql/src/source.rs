use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_sdk::{AdvancedRules, Context, DataSource, Event, Incremental, Result, Resumable};

use crate::frame::{check_rules_of_all, prepared, retried};
use crate::{Database, Plan, Position, Rule, Session as _, Start, changes, documents, elsewhere};

/// A server with databases, as its configuration describes it.
pub trait Server: Send + Sync + 'static {
    /// One of its databases.
    type Database: Database;
    /// Its log of changes.
    type Log: Log<Self::Database>;

    /// The databases that are read, in a stable order. Asked for anew with every listing; it is tried again when it fails.
    ///
    /// # Errors
    /// When the server cannot be asked, or has not what the configuration names.
    fn databases(&self) -> impl Future<Output = Result<Vec<Self::Database>>> + Send;

    /// The log, if incremental listings by `plan` go by it.
    fn log(&self, plan: &Plan) -> Option<Self::Log>;

    /// A full listing begins, and changes will not be read from a log: what was kept on the server for that can go. What
    /// cannot be done is passed over.
    fn without_log(&self, databases: &[Self::Database]) -> impl Future<Output = ()> + Send {
        let _nothing_is_kept = databases;
        std::future::ready(())
    }

    /// Whether one of its databases has what the configuration needs beside the tables. The default: nothing.
    ///
    /// # Errors
    /// What is missing, and what to do.
    fn look(&self, session: &mut SessionOf<Self>) -> impl Future<Output = Result<()>> + Send {
        let _nothing_is_needed = session;
        std::future::ready(Ok(()))
    }
}

/// A connection to a server's database.
pub type SessionOf<S> = <<S as Server>::Database as Database>::Session;

/// A server's log of changes.
pub trait Log<D>: Send + Sync {
    /// Whether the server writes it and it may be read. The default: [`Server::look`] tells.
    ///
    /// # Errors
    /// What is missing, and what to do.
    fn look(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// The position from which all changes come that a full listing beginning now may miss.
    ///
    /// # Errors
    /// When there is no such position.
    fn begin(&self, databases: &[D]) -> impl Future<Output = Result<Value>> + Send;

    /// What changed behind a position; the last event is the checkpoint to start from next time.
    fn changes(self, databases: Vec<D>, from: Value) -> BoxStream<'static, Result<Event>>;
}

/// The source of a server: full listings that go on after an interruption, incremental ones, advanced rules.
pub struct Source<S> {
    server: S,
    /// Without rules.
    plan: Plan,
}

/// What a listing begins with.
struct Begun<D> {
    databases: Vec<D>,
    plan: Plan,
    position: Option<Position>,
}

impl<S: Server> Source<S> {
    /// A source that reads by `plan`; its rules are those of each sync.
    #[must_use]
    pub fn new(server: S, plan: Plan) -> Self {
        Self { server, plan }
    }

    fn plan(&self, rules: Option<&Value>) -> Result<Plan> {
        Ok(Plan { rules: Rule::active(rules)?, ..self.plan.clone() })
    }

    async fn databases(&self) -> Result<Vec<S::Database>> {
        retried(self.plan.attempts, || self.server.databases()).await
    }

    async fn begin(&self, cx: &Context) -> Result<Begun<S::Database>> {
        let plan = self.plan(cx.advanced_rules.as_ref())?;
        let position = Position::read(cx.cursor.as_ref(), &plan);
        Ok(Begun { databases: self.databases().await?, plan, position })
    }

    /// Rows of queries cannot be told from a log.
    fn log(&self, plan: &Plan) -> Option<S::Log> {
        if plan.rules.is_empty() { self.server.log(plan) } else { None }
    }

    async fn full(&self, cx: &Context) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = self.begin(cx).await?;
        let mut start = Start::default();
        if position.is_none() {
            match self.log(&plan) {
                Some(log) => start.log = log.begin(&databases).await?,
                None => self.server.without_log(&databases).await,
            }
        }
        Ok(documents(databases, plan, position, start))
    }

    async fn since(&self, cx: &Context) -> Result<BoxStream<'static, Result<Event>>> {
        let Begun { databases, plan, position } = self.begin(cx).await?;
        // Behind a listing that was not completed there is nothing to go on from.
        let position = position.filter(Position::is_finished);
        let Some(log) = self.log(&plan) else {
            let since = position.map(|position| position.start).unwrap_or_default();
            return Ok(changes(databases, plan, since, Value::Null));
        };
        let from = Position::in_log(position, cx.cursor.is_some())?;
        Ok(log.changes(databases, from))
    }
}

#[async_trait]
impl<S: Server> DataSource for Source<S> {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        let databases = self.server.databases().await?;
        for database in &databases {
            let mut session = database.open().await?;
            let found = session.tables().await?;
            let selected = self.plan.selection.among(&found, &elsewhere(&databases, database));
            if let Some(fault) = selected.faults().next() {
                return Err(fault);
            }
            if selected.tables.is_empty() {
                tracing::warn!(database = database.name(), "there is no table to read");
            }
            self.server.look(&mut session).await?;
        }
        match self.log(&self.plan) {
            Some(log) => log.look().await,
            None => Ok(()),
        }
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        prepared(self.full(cx))
    }
}

impl<S: Server> Resumable for Source<S> {}

impl<S: Server> Incremental for Source<S> {
    fn changes<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        prepared(self.since(cx))
    }
}

#[async_trait]
impl<S: Server> AdvancedRules for Source<S> {
    async fn check_rules(&self, snippet: &Value) -> Result<Vec<String>> {
        check_rules_of_all(self.databases(), self.plan.attempts, snippet).await
    }
}
