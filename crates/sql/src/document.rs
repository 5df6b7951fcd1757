use serde_json::Value;
use tributary_sdk::{Columns, DocId, Document, Error, ErrorKind, Event, Result};

use crate::{KeyValue, Naming, Origin, Row};

/// Rows that take more bytes than this are left out, with the reason: no index takes documents so large.
const MAX_ROW_BYTES: usize = 64 << 20;

/// How rows of one statement become documents.
#[derive(Debug)]
pub struct Shape {
    prefix: String,
    fields: Vec<String>,
    fixed: Vec<(String, Value)>,
    /// What all rows share; `None` when two columns give one field, as those of a query may.
    columns: Option<Columns>,
}

impl Shape {
    /// The shape of rows with these columns.
    #[must_use]
    pub fn new(naming: &dyn Naming, origin: &Origin<'_>, columns: &[String]) -> Self {
        let fields: Vec<String> = columns.iter().map(|column| naming.field(origin, column)).collect();
        let fixed = naming.fixed(origin);
        let columns = Columns::new(fixed.clone(), fields.clone());
        Self { prefix: naming.id_prefix(origin), fields, fixed, columns }
    }

    /// The id of a row with this key.
    ///
    /// # Errors
    /// When all of it is null, so that no id tells the row apart.
    pub fn id(&self, key: &[KeyValue]) -> Result<DocId> {
        if key.iter().all(|value| *value == KeyValue::Null) {
            return Err(Error::new(ErrorKind::InvalidData, "a row has no value in any column of its key"));
        }
        let mut id = String::with_capacity(self.prefix.len() + 24 * key.len());
        id.push_str(&self.prefix);
        for value in key.iter().filter(|value| **value != KeyValue::Null) {
            id.push('_');
            value.push_to(&mut id);
        }
        DocId::new(id)
    }

    /// The document of a row.
    ///
    /// # Errors
    /// When the row has no id.
    pub fn event(&self, row: Row) -> Result<Event> {
        let id = self.id(&row.key)?;
        if row.bytes > MAX_ROW_BYTES {
            let message =
                format!("the row takes {} bytes; at most {MAX_ROW_BYTES} can be indexed", row.bytes);
            return Ok(Event::Skipped { id, error: Error::new(ErrorKind::TooLarge, message) });
        }
        let fields = match &self.columns {
            Some(columns) => columns.row(row.values),
            // The last one counts.
            None => self.fixed.iter().cloned().chain(self.fields.iter().cloned().zip(row.values)).collect(),
        };
        let mut document = Document::new(id);
        document.fields = fields;
        document.timestamp = row.changed;
        Ok(Event::Upsert(document))
    }
}
