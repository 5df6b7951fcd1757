//! The protocol's own indices.

use elasticsearch::indices::IndicesPutAliasParts;
use serde_json::{Value, json};
use tributary_protocol::mappings;

use super::{CONNECTORS, CONNECTORS_INDEX, JOBS, JOBS_INDEX};
use crate::call::Call;
use crate::{Client, Result};

impl Client {
    /// Makes sure that the indices of connectors and sync jobs exist, with their mappings, settings and aliases
    /// (connector-api 4). What exists is left as it is.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn ensure_protocol_indices(&self) -> Result<()> {
        self.ensure_protocol_index(CONNECTORS_INDEX, CONNECTORS, &mappings::connectors()).await?;
        self.ensure_protocol_index(JOBS_INDEX, JOBS, &mappings::sync_jobs()).await
    }

    async fn ensure_protocol_index(&self, index: &str, alias: &str, mappings: &Value) -> Result<()> {
        if self.exists(alias).await? {
            return Ok(());
        }
        let settings = mappings::settings();
        let body = json!({"settings": settings, "mappings": mappings, "aliases": {alias: {}}});
        if !self.ensure(index, Some(&body)).await? {
            // It was there, but without its alias.
            self.send(Call::put(IndicesPutAliasParts::IndexName(&[index], alias).url())).await?;
        }
        Ok(())
    }
}
