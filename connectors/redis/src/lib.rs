//! Source `redis`: the keys of a Redis server.
//!
//! Keys are found with `SCAN`, looked at and read in pipelines of a few hundred; large values are read in parts. One
//! connection serves one listing, so that the database it has selected is its own.

mod client;
mod config;
mod document;
mod failure;
mod keys;
mod position;
mod python;
mod read;
mod rules;
mod source;
mod value;

pub use config::{Format, RedisConfig};
pub use source::RedisSource;
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `redis` is configured and connected.
#[derive(Debug)]
pub struct Redis;

impl Connector for Redis {
    type Config = RedisConfig;
    type Source = RedisSource;
    const SERVICE_TYPE: &'static str = "redis";
    const NAME: &'static str = "Redis";
    const FACETS: Facets<RedisSource> = Facets::NONE.advanced_rules().resumable();

    async fn connect(config: RedisConfig, _env: &Env) -> Result<RedisSource> {
        RedisSource::new(config)
    }
}
