//! The remote side's requests and answers, and nothing else. Here it is a file, so that everything works before the
//! first line is changed.

use serde::Deserialize;
use serde_json::Value;
use tributary_sdk::{Error, ErrorKind, Result};

use crate::config::SampleConfig;

/// Asks the remote side.
#[derive(Debug)]
pub(crate) struct Client {
    config: SampleConfig,
}

/// An item as the remote side tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: Option<String>,
    #[serde(default)]
    pub(crate) text: String,
    /// When it last changed.
    #[serde(default)]
    pub(crate) changed: Value,
}

/// Some of the items.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// Where the next page begins; `None` on the last.
    pub(crate) next: Option<usize>,
}

impl Client {
    pub(crate) fn new(config: SampleConfig) -> Self {
        Self { config }
    }

    /// The page that begins at `from`.
    pub(crate) async fn page(&self, from: usize) -> Result<Page> {
        let mut items = self.all().await?;
        let size = self.config.page_size;
        let next = from.checked_add(size).filter(|next| *next < items.len());
        let items = items.drain(from.min(items.len())..).take(size).collect();
        Ok(Page { items, next })
    }

    async fn all(&self) -> Result<Vec<Item>> {
        let file = self.config.file.display();
        let bytes = tokio::fs::read(&self.config.file).await.map_err(|error| {
            Error::io(format!("cannot read '{file}'"), error)
                .hint("set 'File' to a file that the service may read")
        })?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::InvalidData, format!("'{file}' is no list of items")).because(error).hint(
                r#"expected [{"id": "1", "title": "…", "text": "…", "changed": "2026-01-01T00:00:00Z"}]"#,
            )
        })
    }
}
