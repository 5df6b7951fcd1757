use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde_json::Value;
use tributary_sdk::{DocId, Document, Result, hex};

use crate::config::Format;
use crate::value::{self, Held};

/// The server's estimate may differ from run to run.
const VOLATILE: &[&str] = &["size_in_bytes"];

/// What there is to tell of a key's value.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    Held(Held),
    /// There is none to index, for this reason.
    Omitted(String),
}

/// A key as it was found.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// The database's number as it was given: a number, or a text.
    pub(crate) database: &'a Value,
    pub(crate) key: &'a [u8],
    /// The answer to `TYPE`.
    pub(crate) kind: &'a str,
    /// The answer to `MEMORY USAGE`, where it may be asked.
    pub(crate) size: Option<i64>,
}

/// An id in bytes.
pub(crate) type Digest = [u8; 16];

/// MD5 of the database's number and the key's bytes.
pub(crate) fn digest(database: &Value, key: &[u8]) -> Digest {
    let mut digest = Md5::new();
    match database.as_str() {
        Some(text) => digest.update(text),
        None => digest.update(database.to_string()),
    }
    digest.update(b"/");
    digest.update(key);
    digest.finalize().into()
}

/// The id of a key: for names in UTF-8 the one that other implementations of this source give.
pub(crate) fn id(database: &Value, key: &[u8]) -> Result<DocId> {
    DocId::new(hex(&digest(database, key)))
}

/// The document of a key.
pub(crate) fn document(found: &Found<'_>, content: Content, format: Format) -> Result<Document> {
    let mut document =
        Document::new(id(found.database, found.key)?).field("key", String::from_utf8_lossy(found.key));
    if std::str::from_utf8(found.key).is_err() {
        document = document.field("key_base64", BASE64_STANDARD.encode(found.key));
    }
    match content {
        Content::Held(held) => {
            let written = value::write(held, found.key, format);
            document = document.field("value", written.text);
            if written.has_binary {
                document = document.field("value_encoding", "base64");
            }
            document.volatile = VOLATILE;
        }
        // The size is all that tells of a change then.
        Content::Omitted(reason) => document = document.field("value_omitted", reason),
    }
    Ok(document
        .field("size_in_bytes", found.size)
        .field("database", found.database.clone())
        .field("key_type", found.kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_those_of_other_implementations() {
        // printf %s 0/user_1 | md5sum
        let expected = "37cd81630e40af8c8329bec1b0a77dfb";
        for database in [json!(0), json!("0")] {
            assert_eq!(id(&database, b"user_1").unwrap().as_str(), expected);
        }
        assert_ne!(id(&json!(0), b"\xff").unwrap(), id(&json!(0), b"\xfe").unwrap());
    }

    #[test]
    fn a_key_that_is_no_utf_8_is_kept_whole() {
        let found = Found { database: &json!(3), key: b"a\xff", kind: "string", size: Some(56) };
        let document = document(&found, Content::Held(Held::Text(b"v".to_vec())), Format::Json).unwrap();
        let expected = json!({
            "key": "a\u{FFFD}", "key_base64": "Yf8=", "value": "v", "size_in_bytes": 56, "database": 3,
            "key_type": "string"
        });
        assert_eq!(Value::from(document.fields), expected);
    }
}
