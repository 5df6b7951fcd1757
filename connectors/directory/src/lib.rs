//! Source `dir`: the files of one local folder.
//!
//! The folder is walked in the order of its paths on a thread for blocking work; what is found goes through a short
//! queue. Contents are read only when the engine asks for them.

mod config;
mod content;
mod disk;
mod document;
mod reader;
mod selection;
mod source;
mod walk;

pub use config::{DirectoryConfig, IdMode};
pub use source::DirectorySource;
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `dir` is configured and connected.
#[derive(Debug)]
pub struct Directory;

impl Connector for Directory {
    type Config = DirectoryConfig;
    type Source = DirectorySource;
    const SERVICE_TYPE: &'static str = "dir";
    const NAME: &'static str = "System Directory";
    const FACETS: Facets<DirectorySource> = Facets::NONE.resumable();

    async fn connect(config: DirectoryConfig, _env: &Env) -> Result<DirectorySource> {
        DirectorySource::open(&config).await
    }
}
