use tributary_sdk::Result;
use tributary_sql::{By, Marks, Plan, Source};

use crate::config::{IncrementalBy, PostgresqlConfig};
use crate::connect::Server;
use crate::database::{self, PgDatabase};
use crate::naming::Names;
use crate::replication::{self, Replication};
use crate::session::PgSession;

/// A server, ready to be listed.
pub type PostgresqlSource = Source<PostgresqlServer>;

/// A server and what is configured for it.
pub struct PostgresqlServer {
    config: PostgresqlConfig,
    server: Server,
}

/// Reads what can be read without asking the server.
pub(crate) fn source(config: PostgresqlConfig) -> Result<PostgresqlSource> {
    let place = format!("{}\0{}\0{}\0{}", config.host, config.port, config.database, config.schema);
    let plan = Plan::new(&config.tables, &config.key_columns, config.retry_count, marks(&config)?, place)?;
    let server = Server::new(&config)?;
    Ok(Source::new(PostgresqlServer { config, server }, plan))
}

fn marks(config: &PostgresqlConfig) -> Result<Marks> {
    match config.incremental_by {
        IncrementalBy::CommitTimestamp => Ok(Marks { all: Some(By::Database), ..Marks::default() }),
        IncrementalBy::CursorColumn => Marks::by_columns(&config.cursor_columns),
        IncrementalBy::FullRead | IncrementalBy::LogicalReplication => Ok(Marks::default()),
    }
}

impl PostgresqlServer {
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
}

impl tributary_sql::Server for PostgresqlServer {
    type Database = PgDatabase;
    type Log = Replication;

    async fn databases(&self) -> Result<Vec<PgDatabase>> {
        let names = database::chosen(&self.server, &self.config.database).await?;
        Ok(names.into_iter().map(|name| self.database(name)).collect())
    }

    fn log(&self, plan: &Plan) -> Option<Replication> {
        let wanted = self.config.incremental_by == IncrementalBy::LogicalReplication;
        wanted.then(|| Replication::new(&self.config, plan.clone()))
    }

    async fn without_log(&self, databases: &[PgDatabase]) {
        replication::clean_up(&self.config, databases).await;
    }

    async fn look(&self, session: &mut PgSession) -> Result<()> {
        replication::look(&self.config, session.client()).await
    }
}
