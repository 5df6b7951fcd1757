//! Source `mongodb`: the documents of a MongoDB collection, or of all collections of a database.
//!
//! A collection is read in the order of its ids, so that a listing goes on after the last one when a connection or the
//! process breaks. What changed since is told by the deployment's change streams, where it has them.

mod changes;
mod client;
mod config;
mod convert;
mod document;
mod failure;
mod keyset;
mod position;
mod rules;
mod source;

pub use config::{DateMode, MongodbConfig};
pub use source::MongodbSource;
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `mongodb` is configured and connected.
#[derive(Debug)]
pub struct Mongodb;

impl Connector for Mongodb {
    type Config = MongodbConfig;
    type Source = MongodbSource;
    const SERVICE_TYPE: &'static str = "mongodb";
    const NAME: &'static str = "MongoDB";
    const FACETS: Facets<MongodbSource> = Facets::NONE.advanced_rules().resumable().incremental();

    async fn connect(config: MongodbConfig, _env: &Env) -> Result<MongodbSource> {
        MongodbSource::new(&config).await
    }
}
