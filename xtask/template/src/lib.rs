//! Source `sample`: what it lists, in one line.

mod client;
mod config;
mod document;
mod source;

pub use config::SampleConfig;
pub use source::SampleSource;
use tributary_sdk::{Connector, Env, Facets, Result};

/// How the source `sample` is configured and connected.
#[derive(Debug)]
pub struct Sample;

impl Connector for Sample {
    type Config = SampleConfig;
    type Source = SampleSource;
    const SERVICE_TYPE: &'static str = "sample";
    const NAME: &'static str = "Sample";
    const FACETS: Facets<SampleSource> = Facets::NONE.resumable();

    async fn connect(config: SampleConfig, _env: &Env) -> Result<SampleSource> {
        Ok(SampleSource::new(config))
    }
}
