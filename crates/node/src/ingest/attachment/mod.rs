//! `attachment`: the text in a file's bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::doc::{IngestDoc, missing};
use super::markup;
use super::processor::{Options, property};
use crate::http::{ApiError, Result};

/// Characters of content that are kept unless told otherwise; -1 has no limit.
const INDEXED_CHARS: i64 = 100_000;
/// What files begin with whose text this node cannot read.
const UNREADABLE: [(&[u8], &str); 9] = [
    (b"%PDF", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xD0\xCF\x11\xE0", "application/x-tika-msoffice"),
    (b"{\\rtf", "application/rtf"),
    (b"\x89PNG", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"\x1F\x8B", "application/gzip"),
    (b"\x7FELF", "application/x-executable"),
];

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
        let extracted = extract(&bytes).map_err(|why| {
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
        if let Some(title) = extracted.title.filter(|_| wanted("title")) {
            out.insert("title".into(), title.into());
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

struct Extracted {
    content: String,
    content_type: &'static str,
    title: Option<String>,
}

/// The text in a file; the error says what kind of file it is.
fn extract(bytes: &[u8]) -> Result<Extracted, String> {
    if let Some((_, kind)) = UNREADABLE.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(format!("this node cannot extract text from {kind}"));
    }
    let (text, charset) =
        decode(bytes).ok_or("this node cannot extract text from application/octet-stream")?;
    let start: String = text.trim_start().chars().take(300).collect::<String>().to_ascii_lowercase();
    let plain = |content_type| Extracted { content: text.trim().to_owned(), content_type, title: None };
    Ok(if start.starts_with("<!doctype html") || start.contains("<html") {
        let content_type =
            if charset == "UTF-8" { "text/html; charset=UTF-8" } else { "text/html; charset=UTF-16" };
        Extracted { content: markup::text_of(&text), content_type, title: markup::title(&text) }
    } else if start.starts_with("<?xml") {
        Extracted { content: markup::text_of(&text), content_type: "application/xml", title: None }
    } else if charset == "UTF-8" {
        plain(if text.is_ascii() { "text/plain; charset=ISO-8859-1" } else { "text/plain; charset=UTF-8" })
    } else {
        plain("text/plain; charset=UTF-16")
    })
}

/// Text in UTF-8, or in UTF-16 with a byte order mark.
fn decode(bytes: &[u8]) -> Option<(String, &'static str)> {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        Some((String::from_utf16_lossy(&units), "UTF-16"))
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => return wide(rest, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.contains(&0) {
        return None;
    }
    Some((String::from_utf8(bytes.to_vec()).ok()?, "UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_known_kinds_are_extracted_and_others_named() {
        let html =
            extract(b"<!DOCTYPE html><html><head><title>T</title></head><body><p>Hi</p></body></html>")
                .unwrap();
        assert_eq!((html.content.as_str(), html.title.as_deref()), ("Hi", Some("T")));
        assert_eq!(extract("  grüße ".as_bytes()).unwrap().content, "grüße");
        assert_eq!(extract(b"\xFF\xFEh\0i\0").unwrap().content, "hi");
        assert_eq!(extract(b"<?xml version='1.0'?><a>x</a>").unwrap().content, "x");
        assert!(extract(b"%PDF-1.7").err().unwrap().contains("application/pdf"));
        assert!(extract(b"a\0b").is_err() && extract(b"\xC3\x28").is_err());
    }
}
