use bson::raw::{RawBsonRef, RawDocument};
use serde_json::{Map, Value};
use tributary_sdk::{DocId, Document, Error, ErrorKind, Event, Result};

use crate::config::DateMode;
use crate::convert::Converter;

/// Fields of the index that are not the source's to set: a member of this name gets another one.
const RESERVED: [&str; 3] = ["id", "_allow_access_control", "_tributary"];

/// Ids of one collection.
#[derive(Clone, Debug)]
pub(crate) struct Ids<'a> {
    /// Goes before ids, where several collections share an index.
    pub(crate) prefix: Option<&'a str>,
    pub(crate) converter: Converter,
}

impl Ids<'_> {
    /// The text of an id: what other implementations of this source write for ids of the common types.
    pub(crate) fn of(&self, id: RawBsonRef<'_>) -> Result<DocId> {
        // Dates that no text is known for are numbers: there must be an id.
        let converter = Converter { dates: DateMode::Auto, ..self.converter };
        let text = match converter.value(id)? {
            Value::String(text) if !text.is_empty() => text,
            other => other.to_string(),
        };
        DocId::new(match self.prefix {
            Some(prefix) => format!("{prefix}/{text}"),
            None => text,
        })
    }

    /// A document's event: the document, or why there is none. Only what has no id at all is an error.
    pub(crate) fn event(&self, document: &RawDocument) -> Result<Event> {
        let id = document.get("_id").map_err(|error| {
            Error::new(ErrorKind::InvalidData, "a document cannot be read up to its _id").because(error)
        })?;
        let id = id.ok_or_else(|| {
            Error::new(ErrorKind::Config, "a document has no _id")
                .hint("let the advanced sync rule's pipeline keep or make an _id")
        })?;
        let id = self.of(id)?;
        Ok(match self.converter.document(document) {
            Ok(members) => {
                let mut document = Document::new(id);
                document.fields = fields(members).into();
                Event::Upsert(document)
            }
            Err(error) => Event::Skipped { id, error },
        })
    }
}

/// A document's members without its id; what is reserved gets a name that is free.
fn fields(mut members: Map<String, Value>) -> Map<String, Value> {
    members.shift_remove("_id");
    for name in RESERVED {
        let Some(value) = members.shift_remove(name) else { continue };
        let mut free = format!("{name}_");
        while members.contains_key(&free) {
            free.push('_');
        }
        members.insert(free, value);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, RawDocumentBuf, doc};
    use serde_json::json;

    const IDS: Ids<'static> =
        Ids { prefix: None, converter: Converter { dates: DateMode::Refuse, legacy_uuids: None } };

    fn event(ids: &Ids<'_>, document: &bson::Document) -> Result<Event> {
        ids.event(&RawDocumentBuf::try_from(document).unwrap())
    }

    fn id(value: impl Into<Bson>) -> String {
        match event(&IDS, &doc! { "_id": value.into() }).unwrap() {
            Event::Upsert(Document { id, .. }) | Event::Skipped { id, .. } => id.into_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ids_are_texts_of_any_type() {
        assert_eq!(id(bson::oid::ObjectId::from_bytes([0xAB; 12])), "ab".repeat(12));
        assert_eq!(id("text"), "text");
        assert_eq!(id(42), "42");
        assert_eq!(id(i64::MIN), i64::MIN.to_string());
        assert_eq!(id(1.5), "1.5");
        assert_eq!(id(doc! { "a": 1, "b": "x" }), r#"{"a":1,"b":"x"}"#);
        assert_eq!(id(""), "\"\"", "an empty id cannot be, so it is quoted");
        assert_eq!(id(bson::DateTime::MAX), i64::MAX.to_string());
        let several = Ids { prefix: Some("users"), ..IDS };
        let Event::Upsert(document) = event(&several, &doc! { "_id": 5 }).unwrap() else { panic!() };
        assert_eq!(document.id.as_str(), "users/5");
    }

    #[test]
    fn a_member_called_id_is_kept_under_another_name() {
        let document = doc! { "_id": 1, "id": 7, "id_": 8, "name": "Ann", "body": "text" };
        let Event::Upsert(document) = event(&IDS, &document).unwrap() else { panic!() };
        let expected = json!({"id__": 7, "id_": 8, "name": "Ann", "body": "text"});
        assert_eq!(Value::from(document.fields), expected);
    }

    #[test]
    fn a_document_that_cannot_be_written_is_skipped_and_not_lost() {
        let event = event(&IDS, &doc! { "_id": 1, "at": bson::DateTime::MAX }).unwrap();
        let Event::Skipped { id, error } = event else { panic!("{event:?}") };
        assert_eq!(id.as_str(), "1");
        assert!(error.report().contains("Out-of-range"));
    }

    #[test]
    fn what_has_no_id_is_an_error() {
        assert_eq!(event(&IDS, &doc! { "a": 1 }).unwrap_err().kind(), ErrorKind::Config);
    }
}
