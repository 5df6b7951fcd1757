//! Documents: checked against the mapping and flattened for the search index.

mod along;
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
    Ok(flattened(walk::Walker::new(mapping, id, source)?.run()?))
}

/// Reads a new version of a document that is to be updated again, along the version before if that is known.
///
/// # Errors
/// As [`flatten`].
pub(crate) fn flatten_update(
    mapping: &Arc<Mapping>,
    id: Option<&str>,
    source: &Bytes,
    before: Option<&FlatDoc>,
) -> Result<Flattened> {
    if let Some(flat) = before.and_then(|before| along::read(mapping, id, source, before)) {
        return Ok(Flattened::Ready(flat));
    }
    let mut walker = walk::Walker::new(mapping, id, source)?;
    walker.flat.note_members();
    Ok(flattened(walker.run()?))
}

fn flattened(walked: walk::Walked) -> Flattened {
    if walked.new_fields.children.is_empty() {
        Flattened::Ready(walked.flat)
    } else {
        Flattened::NewFields(walked.new_fields)
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
