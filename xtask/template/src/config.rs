use std::path::PathBuf;

use tributary_sdk::{Secret, SourceConfig};

/// The configuration of the source `sample`.
#[derive(Clone, Debug, SourceConfig)]
pub struct SampleConfig {
    /// Where the items are.
    #[config(label = "File", tooltip = "A JSON file with the items.")]
    pub file: PathBuf,
    /// What the remote side asks for.
    #[config(label = "Token")]
    pub token: Option<Secret<String>>,
    /// Items per page.
    #[config(label = "Items per page", default = 100, min = 1, max = 1000)]
    pub page_size: usize,
}
