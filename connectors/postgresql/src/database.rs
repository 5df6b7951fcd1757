use tributary_sdk::Result;
use tributary_sql::{Database, Naming};

use crate::catalog;
use crate::connect::Server;
use crate::naming::Names;
use crate::session::PgSession;

/// One database of the server.
#[derive(Clone)]
pub struct PgDatabase {
    pub(crate) name: String,
    pub(crate) server: Server,
    pub(crate) names: Names,
    /// The schemas that are read, as they are configured.
    pub(crate) schemas: String,
    pub(crate) fetch_size: usize,
}

impl Database for PgDatabase {
    type Session = PgSession;

    fn name(&self) -> &str {
        &self.name
    }

    fn naming(&self) -> &dyn Naming {
        &self.names
    }

    async fn open(&self) -> Result<PgSession> {
        let link = self.server.connect(&self.name).await?;
        PgSession::new(link, &self.schemas, self.fetch_size).await
    }
}

/// The databases that a text names: one, several separated by commas, or `*`.
pub(crate) async fn chosen(server: &Server, text: &str) -> Result<Vec<String>> {
    let text = text.trim();
    if text == "*" {
        let link = server.connect("postgres").await?;
        return catalog::databases(&link.client).await;
    }
    let mut names: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
