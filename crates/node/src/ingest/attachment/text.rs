//! Plain text, HTML and XML.

use super::super::markup;
use super::Extracted;

pub(super) fn read(bytes: &[u8]) -> Result<Extracted, String> {
    let (text, charset) =
        decode(bytes).ok_or("this node cannot extract text from application/octet-stream")?;
    let start: String = text.trim_start().chars().take(300).collect::<String>().to_ascii_lowercase();
    let plain =
        |content_type| Extracted { content: text.trim().to_owned(), content_type, ..Extracted::default() };
    Ok(if start.starts_with("<!doctype html") || start.contains("<html") {
        let content_type =
            if charset == "UTF-8" { "text/html; charset=UTF-8" } else { "text/html; charset=UTF-16" };
        Extracted {
            content: markup::text_of(&text),
            content_type,
            title: markup::title(&text),
            ..Extracted::default()
        }
    } else if start.starts_with("<?xml") {
        Extracted { content: markup::text_of(&text), content_type: "application/xml", ..Extracted::default() }
    } else if charset == "UTF-8" {
        plain(if text.is_ascii() { "text/plain; charset=ISO-8859-1" } else { "text/plain; charset=UTF-8" })
    } else {
        plain("text/plain; charset=UTF-16")
    })
}

/// Text in UTF-8, or in UTF-16 with a byte order mark.
pub(super) fn decode(bytes: &[u8]) -> Option<(String, &'static str)> {
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
