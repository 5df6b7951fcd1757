use chrono::{DateTime, Utc};
use tributary_sdk::{Body, DocId, Document, Error, ErrorKind, Event, Result};

use crate::client::Item;

/// An item's event: its document, or why there is none.
pub(crate) fn event(item: Item) -> Result<Event> {
    let id = DocId::new(item.id.clone())?;
    Ok(match document(id.clone(), item) {
        Ok(document) => Event::Upsert(document),
        Err(error) => Event::Skipped { id, error },
    })
}

fn document(id: DocId, item: Item) -> Result<Document> {
    let bad = |what: &str| Error::new(ErrorKind::InvalidData, format!("item '{}' has no {what}", item.id));
    let title = item.title.ok_or_else(|| bad("title"))?;
    let changed = item.changed.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let changed = changed.ok_or_else(|| bad("date"))?;
    let mut document = Document::new(id).field("title", title);
    document.timestamp = Some(changed);
    // Changes whenever the text does, so that the text of an unchanged item is not fetched again.
    document.version = Some(changed.to_rfc3339());
    // Text that is at hand; `Body::lazy` gets it when it is wanted.
    document.body = Some(Body::text(item.text));
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(changed: &str) -> Item {
        Item {
            id: "1".to_owned(),
            title: Some("One".to_owned()),
            text: "text".to_owned(),
            changed: json!(changed),
        }
    }

    #[test]
    fn a_document_has_the_items_title_date_and_text() {
        let Event::Upsert(document) = event(item("2026-01-02T03:04:05Z")).unwrap() else { panic!("skipped") };
        assert_eq!((document.id.as_str(), &document.fields["title"]), ("1", &json!("One")));
        assert_eq!(document.timestamp.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert!(document.body.is_some());
    }

    #[test]
    fn an_item_without_a_date_is_skipped_and_not_lost() {
        let Event::Skipped { id, error } = event(item("yesterday")).unwrap() else { panic!("not skipped") };
        assert_eq!((id.as_str(), error.to_string().as_str()), ("1", "item '1' has no date"));
    }
}
