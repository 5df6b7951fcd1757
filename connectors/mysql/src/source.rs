use tributary_sdk::Result;
use tributary_sql::{Marks, Plan, Source};

use crate::binlog::Binlog;
use crate::config::MysqlConfig;
use crate::connect::Server;
use crate::database::{self, MysqlDatabase};
use crate::naming::Names;

/// A server, ready to be listed.
pub type MysqlSource = Source<MysqlServer>;

/// A server and what is configured for it.
pub struct MysqlServer {
    config: MysqlConfig,
    server: Server,
}

/// Reads what can be read without asking the server.
pub(crate) fn source(config: MysqlConfig) -> Result<MysqlSource> {
    let place = format!("{}\0{}\0{}", config.host, config.port, config.database);
    let plan = Plan::new(&config.tables, &config.key_columns, config.retry_count, marks(&config)?, place)?;
    let server = Server::new(&config)?;
    Ok(Source::new(MysqlServer { config, server }, plan))
}

fn marks(config: &MysqlConfig) -> Result<Marks> {
    match config.incremental_by.as_str() {
        "cursor_column" => Marks::by_columns(&config.cursor_columns),
        _ => Ok(Marks::default()),
    }
}

impl tributary_sql::Server for MysqlServer {
    type Database = MysqlDatabase;
    type Log = Binlog;

    async fn databases(&self) -> Result<Vec<MysqlDatabase>> {
        let is_one_of_many = !database::is_one(&self.config.database);
        let names = database::chosen(&self.server, &self.config.database).await?;
        let of = |database: String| MysqlDatabase {
            names: Names { database, is_one_of_many },
            server: self.server.clone(),
            fetch_size: self.config.fetch_size,
        };
        Ok(names.into_iter().map(of).collect())
    }

    fn log(&self, plan: &Plan) -> Option<Binlog> {
        let wanted = self.config.incremental_by == "binlog";
        wanted.then(|| Binlog::new(self.server.clone(), self.config.binlog_server_id, plan.clone()))
    }
}
