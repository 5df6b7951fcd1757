//! Source `mysql`: rows of tables, views and queries of MySQL and MariaDB databases.
//!
//! Each table is read in a snapshot of its own, page by page behind the last key, so that an interruption costs nothing
//! and a reader that stops leaves at most one page behind. Changes come from a cursor column or from the server's log.

mod binlog;
mod catalog;
mod config;
mod connect;
mod database;
mod decode;
mod error;
mod geometry;
mod naming;
mod session;
mod source;
mod statement;
mod tls;

pub use config::MysqlConfig;
pub use source::{MysqlServer, MysqlSource};
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `mysql` is configured and connected.
#[derive(Debug)]
pub struct Mysql;

impl Connector for Mysql {
    type Config = MysqlConfig;
    type Source = MysqlSource;
    const SERVICE_TYPE: &'static str = "mysql";
    const NAME: &'static str = "MySQL";
    const FACETS: Facets<MysqlSource> = Facets::NONE.resumable().incremental().advanced_rules();

    async fn connect(config: MysqlConfig, _env: &Env) -> Result<MysqlSource> {
        source::source(config)
    }
}
