use tributary_sdk::{Error, ErrorKind, Result};
use tributary_sql::{Database, Found, Naming, Selection, TableName};

use crate::catalog;
use crate::connect::Server;
use crate::naming::Names;
use crate::session::MysqlSession;

/// One database of the server.
#[derive(Clone)]
pub struct MysqlDatabase {
    pub(crate) names: Names,
    pub(crate) server: Server,
    pub(crate) fetch_size: usize,
}

impl Database for MysqlDatabase {
    type Session = MysqlSession;

    fn name(&self) -> &str {
        &self.names.database
    }

    fn naming(&self) -> &dyn Naming {
        &self.names
    }

    async fn open(&self) -> Result<MysqlSession> {
        let conn = self.server.connect(Some(&self.names.database)).await?;
        Ok(MysqlSession::new(conn, self.server.clone(), &self.names.database, self.fetch_size))
    }
}

/// Whether a text names one database only.
pub(crate) fn is_one(text: &str) -> bool {
    !text.contains([',', '*'])
}

/// The databases that a text names: one, several separated by commas, with `*` for any part of a name.
pub(crate) async fn chosen(server: &Server, text: &str) -> Result<Vec<String>> {
    let text = text.trim();
    if is_one(text) {
        return Ok(vec![text.to_owned()]);
    }
    let mut conn = server.connect(None).await?;
    let known = catalog::databases(&mut conn).await?;
    let found = |name: &String| Found {
        name: TableName::new("", name.as_str()),
        only_by_name: false,
        readable: true,
    };
    let found: Vec<Found> = known.iter().map(found).collect();
    let names: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let selected = Selection::new(&names).of(&found);
    if let Some(missing) = selected.missing.first() {
        let message = format!("there is no database '{missing}'; this account sees {}", known.join(", "));
        return Err(
            Error::new(ErrorKind::NotFound, message).hint("correct 'Database', or grant SELECT on it")
        );
    }
    Ok(selected.tables.into_iter().map(|table| table.name).collect())
}
