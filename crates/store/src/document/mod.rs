//! Documents: checked against the mapping and flattened for the search index.

mod flat;
mod values;
mod walk;
mod walk_field;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use flat::{FlatDoc, IndexDoc, Release, fields};
pub(crate) use values::{canonical_ip, ip_number};

use crate::error::Result;
use crate::json::Token;
use crate::mapping::{Leaf, Mapping, ObjectNode};

/// What reading a document against a mapping gives.
#[derive(Debug)]
pub(crate) enum Flattened {
    /// All its fields are mapped.
    Ready(FlatDoc),
    /// It has fields that must be added to the mapping first.
    NewFields(ObjectNode),
}

/// Reads a document against a mapping.
///
/// # Errors
/// `document_parsing_exception` and its kin, in Elasticsearch's words; `id` is shown in them.
pub(crate) fn flatten(mapping: &Arc<Mapping>, id: Option<&str>, source: &Bytes) -> Result<Flattened> {
    let walked = walk::Walker::run(mapping, id, source)?;
    if walked.new_fields.children.is_empty() {
        Ok(Flattened::Ready(walked.flat))
    } else {
        Ok(Flattened::NewFields(walked.new_fields))
    }
}

/// A field's `null_value` as a token.
fn null_token(leaf: &Leaf) -> Option<Token<'static>> {
    Some(match leaf.null_value.as_ref()? {
        serde_json::Value::Bool(on) => Token::Bool(*on),
        serde_json::Value::String(text) => Token::Str(text.clone().into()),
        other => Token::Str(other.to_string().into()),
    })
}

#[cfg(test)]
mod tests;
