use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bson::{Bson, Document, doc};
use mongodb::change_stream::event::ResumeToken;
use serde::{Deserialize, Serialize};
use tributary_sdk::Cursor;

/// Where a listing has come to, and where the changes since its beginning start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Stands for everything that decides which documents are listed.
    pub(crate) of: String,
    /// The change stream's token from before the listing, in base64; without change streams there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The collection that is being read; `None` after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) collection: Option<String>,
    /// The last id, as BSON in base64; `None` before the collection's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    token: ResumeToken,
}

impl Position {
    /// A position that says something about this listing.
    pub(crate) fn read(cursor: Option<&Cursor>, of: &str) -> Option<Self> {
        let position: Self = serde_json::from_value(cursor?.0.clone()).ok()?;
        (position.of == of).then_some(position)
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        serde_json::to_value(self).ok().map(Cursor)
    }

    /// The last id.
    pub(crate) fn last(&self) -> Option<Bson> {
        let bytes = BASE64_STANDARD.decode(self.after.as_ref()?).ok()?;
        Document::from_reader(bytes.as_slice()).ok()?.remove("id")
    }

    /// Where the changes start.
    pub(crate) fn resume(&self) -> Option<ResumeToken> {
        let bytes = BASE64_STANDARD.decode(self.token.as_ref()?).ok()?;
        bson::deserialize_from_slice::<Token>(&bytes).ok().map(|token| token.token)
    }
}

/// An id as a position keeps it.
pub(crate) fn kept(id: &Bson) -> Option<String> {
    let bytes = doc! { "id": id.clone() }.to_vec().ok()?;
    Some(BASE64_STANDARD.encode(bytes))
}

/// A token as a position keeps it.
pub(crate) fn token(token: ResumeToken) -> Option<String> {
    bson::serialize_to_vec(&Token { token }).ok().map(|bytes| BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_and_any_token_comes_back() {
        let resume: Token = bson::deserialize_from_document(doc! { "token": { "_data": "82AB" } }).unwrap();
        for id in [
            Bson::Int64(1 << 60),
            Bson::Double(f64::NAN),
            Bson::ObjectId(bson::oid::ObjectId::from_bytes([7; 12])),
            Bson::Document(doc! { "a": 1, "b": bson::DateTime::from_millis(5) }),
        ] {
            let position = Position {
                of: "x".to_owned(),
                token: token(resume.token.clone()),
                collection: Some("c".to_owned()),
                after: kept(&id),
            };
            let stored = serde_json::to_string(&position.cursor()).unwrap();
            let cursor: Option<Cursor> = serde_json::from_str(&stored).unwrap();
            let read = Position::read(cursor.as_ref(), "x").unwrap();
            assert_eq!(format!("{:?}", read.last()), format!("{:?}", Some(id)));
            assert_eq!(read.resume(), Some(resume.token.clone()));
            assert_eq!(Position::read(cursor.as_ref(), "y"), None);
        }
    }
}
