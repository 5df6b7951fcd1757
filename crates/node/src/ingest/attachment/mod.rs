//! `attachment`: the text in a file's bytes.

mod detect;
mod limits;
mod mail;
mod office;
mod open;
mod pdf;
mod rtf;
#[cfg(test)]
mod tests;
mod text;
mod xml;
mod zipped;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use self::detect::{Kind, detect};
use self::limits::{Budget, Limits, guarded};
use super::doc::{IngestDoc, missing};
use super::processor::{Options, property};
use crate::http::{ApiError, Result};

/// Characters of content that are kept unless told otherwise; -1 has no limit.
const INDEXED_CHARS: i64 = 100_000;
#[derive(Debug)]
pub(super) struct Attachment {
    field: String,
    target: String,
    indexed_chars: i64,
    indexed_chars_field: Option<String>,
    properties: Option<Vec<String>>,
    ignore_missing: bool,
    remove_binary: bool,
}

impl Attachment {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let known =
            ["content", "title", "content_type", "content_length", "language", "author", "keywords", "date"];
        let properties = options.texts("properties")?;
        if let Some(unknown) =
            properties.iter().flatten().find(|name| !known.contains(&name.to_ascii_lowercase().as_str()))
        {
            return Err(property(
                "properties",
                &format!("illegal field option [{unknown}]. valid values are {known:?}"),
            ));
        }
        options.text("resource_name")?;
        Ok(Self {
            field: options.required_text("field")?,
            target: options.text("target_field")?.unwrap_or_else(|| "attachment".to_owned()),
            indexed_chars: options.whole("indexed_chars")?.unwrap_or(INDEXED_CHARS),
            indexed_chars_field: options.text("indexed_chars_field")?,
            properties,
            ignore_missing: options.flag("ignore_missing", false)?,
            remove_binary: options.flag("remove_binary", false)?,
        })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let encoded = match doc.get(&self.field) {
            None | Some(Value::Null) if self.ignore_missing => return Ok(()),
            None => return Err(missing(&self.field)),
            Some(Value::String(text)) => text,
            Some(_) => {
                return Err(ApiError::illegal(format!("field [{}] is null, cannot parse.", self.field)));
            }
        };
        let bytes = STANDARD
            .decode(encoded.as_bytes())
            .map_err(|_| ApiError::illegal(format!("field [{}] is not base64", self.field)))?;
        let limit = self.limit(doc);
        let extracted = extract(bytes, Limits::default()).map_err(|why| {
            ApiError::parse(format!("Error parsing document in field [{}]: {why}", self.field))
        })?;
        doc.set(&self.target, Value::Object(self.shown(extracted, limit)))?;
        if self.remove_binary {
            doc.remove(&self.field);
        }
        Ok(())
    }

    fn limit(&self, doc: &IngestDoc) -> Option<usize> {
        let of_doc = self
            .indexed_chars_field
            .as_ref()
            .and_then(|field| doc.get(field))
            .and_then(|value| value.as_i64());
        usize::try_from(of_doc.unwrap_or(self.indexed_chars)).ok()
    }

    fn shown(&self, extracted: Extracted, limit: Option<usize>) -> Map<String, Value> {
        let wanted = |name: &str| {
            self.properties
                .as_ref()
                .is_none_or(|list| list.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
        };
        let mut content = extracted.content;
        if let Some((end, _)) = limit.and_then(|limit| content.char_indices().nth(limit)) {
            content.truncate(end);
        }
        let mut out = Map::new();
        let about = [
            ("title", extracted.title),
            ("author", extracted.author),
            ("keywords", extracted.keywords),
            ("date", extracted.date),
            ("language", extracted.language),
        ];
        for (name, value) in about {
            if let Some(value) = value.filter(|_| wanted(name)) {
                out.insert(name.into(), value.into());
            }
        }
        if wanted("content_type") {
            out.insert("content_type".into(), extracted.content_type.into());
        }
        if wanted("content_length") {
            out.insert("content_length".into(), content.len().into());
        }
        if wanted("content") && !content.is_empty() {
            out.insert("content".into(), content.into());
        }
        out
    }
}

/// What was found in a file.
#[derive(Debug, Default)]
struct Extracted {
    content: String,
    content_type: &'static str,
    title: Option<String>,
    author: Option<String>,
    keywords: Option<String>,
    date: Option<String>,
    language: Option<String>,
}

/// The text in a file; the error says what kind of file it is and what is wrong with it.
fn extract(bytes: Vec<u8>, limits: Limits) -> Result<Extracted, String> {
    if bytes.len() > limits.input {
        return Err(format!("it has {} bytes, more than the {} that are read", bytes.len(), limits.input));
    }
    match detect(&bytes) {
        Kind::Unreadable(kind) => Err(unreadable(kind)),
        _ => guarded(limits, move |budget| read_as(&bytes, budget, 0)),
    }
}

/// Reads a file by its kind; `depth` counts the files around it.
fn read_as(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<Extracted, String> {
    match detect(bytes) {
        Kind::Pdf => pdf::read(bytes, budget),
        Kind::Zip => zipped::read(bytes, budget),
        Kind::Rtf => rtf::read(bytes, budget),
        Kind::Mail => mail::read(bytes, budget, depth),
        Kind::Text => text::read(bytes),
        Kind::Unreadable(kind) => Err(unreadable(kind)),
    }
}

fn unreadable(kind: &str) -> String {
    format!("this node cannot extract text from {kind}")
}
