//! Source `postgresql`: rows of tables, views and queries of PostgreSQL databases.
//!
//! Each table is read by one ordered statement in a snapshot of its own, in binary form, as fast as the engine takes rows;
//! after an interruption reading goes on behind the last key. Changes come from a cursor column, from commit timestamps,
//! or from the server's log through a replication slot.

mod catalog;
mod config;
mod connect;
mod database;
mod decode;
mod error;
mod geometry;
mod naming;
mod replication;
mod session;
mod source;
mod statement;
mod tls;
mod wire;

pub use config::{IncrementalBy, PostgresqlConfig, SslMode};
pub use source::{PostgresqlServer, PostgresqlSource};
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `postgresql` is configured and connected.
#[derive(Debug)]
pub struct Postgresql;

impl Connector for Postgresql {
    type Config = PostgresqlConfig;
    type Source = PostgresqlSource;
    const SERVICE_TYPE: &'static str = "postgresql";
    const NAME: &'static str = "PostgreSQL";
    const FACETS: Facets<PostgresqlSource> = Facets::NONE.resumable().incremental().advanced_rules();

    async fn connect(config: PostgresqlConfig, _env: &Env) -> Result<PostgresqlSource> {
        source::source(config)
    }
}
