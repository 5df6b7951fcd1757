//! PDF, page by page.

use lopdf::{
    DecompressError, Dictionary, Document, Error, LoadOptions, Object, ObjectId, decode_text_string,
};

use super::Extracted;
use super::limits::Budget;

/// What one page may unpack to; its operations take a multiple of this while it is read.
const PAGE: usize = 8 << 20;
/// What the tables of a page's fonts may unpack to together.
const FONTS: usize = 16 << 20;
/// What a stream of objects may always unpack to.
const SMALL_STREAM: usize = 256 << 10;

pub(super) fn read(bytes: &[u8], budget: &mut Budget) -> Result<Extracted, String> {
    let options =
        LoadOptions { max_decompressed_size: Some(share(bytes, budget.left())), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes.trim_ascii_start(), options)
        .map_err(|error| format!("application/pdf: {}", said(&error)))?;
    if document.is_encrypted() {
        return Err("application/pdf: it is encrypted with a password".to_owned());
    }
    let info = document.trailer.get(b"Info").and_then(|info| resolved(&document, info)?.as_dict()).ok();
    let about = |key: &[u8]| info.and_then(|info| text(&document, info, key));
    Ok(Extracted {
        content: content(&document, budget)?,
        content_type: "application/pdf",
        title: about(b"Title"),
        author: about(b"Author"),
        keywords: about(b"Keywords"),
        date: about(b"CreationDate").and_then(|written| date(&written)),
        language: document.catalog().ok().and_then(|catalog| text(&document, catalog, b"Lang")),
    })
}

/// Streams of objects are unpacked together while the file is loaded: each gets its share.
fn share(bytes: &[u8], left: usize) -> usize {
    let streams = bytes.windows(7).filter(|window| *window == b"/ObjStm").count();
    (left / streams.max(1)).max(SMALL_STREAM)
}

fn content(document: &Document, budget: &mut Budget) -> Result<String, String> {
    let pages = document.get_pages();
    if pages.is_empty() {
        return Err("application/pdf: it has no pages that can be found".to_owned());
    }
    let (mut out, mut problem) = (String::new(), None);
    for (number, page) in &pages {
        budget.in_time()?;
        fonts_fit(document, *page, budget.left())
            .map_err(|why| format!("application/pdf: page {number}: {why}"))?;
        for chunk in document.extract_text_chunks_with_limit(&[*number], PAGE.min(budget.left())) {
            match chunk {
                Ok(text) => {
                    budget.spend(text.len())?;
                    out.push_str(&text);
                }
                Err(error @ Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => {
                    return Err(format!("application/pdf: page {number}: {}", said(&error)));
                }
                Err(error) => {
                    problem.get_or_insert(format!("application/pdf: page {number}: {}", said(&error)));
                }
            }
        }
    }
    // A font that is missing costs its words, not the document's.
    match problem {
        Some(problem) if out.trim().is_empty() => Err(problem),
        _ => Ok(out.trim().to_owned()),
    }
}

/// Whether the tables of a page's fonts are small enough to be held together, as they are while it is read.
fn fonts_fit(document: &Document, page: ObjectId, left: usize) -> Result<(), String> {
    let most = FONTS.min(left);
    let mut rest = most;
    for font in document.get_page_fonts(page).into_iter().flatten().map(|(_, font)| font) {
        let Ok(table) = font.get(b"ToUnicode").and_then(|table| resolved(document, table)?.as_stream())
        else {
            continue;
        };
        rest = match table.decompressed_content_with_limit(rest) {
            Ok(table) => rest.saturating_sub(table.len()),
            Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => {
                return Err(format!("its fonts unpack to more than {most} bytes"));
            }
            // What cannot be unpacked is not held.
            Err(_) => rest,
        };
    }
    Ok(())
}

fn said(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

fn resolved<'d>(document: &'d Document, object: &'d Object) -> lopdf::Result<&'d Object> {
    document.dereference(object).map(|(_, object)| object)
}

fn text(document: &Document, of: &Dictionary, key: &[u8]) -> Option<String> {
    let text = decode_text_string(resolved(document, of.get(key).ok()?).ok()?).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// `D:20240131120000+01'00'` as ISO 8601; parts that are not written are not made up.
fn date(written: &str) -> Option<String> {
    let written = written.strip_prefix("D:").unwrap_or(written);
    let digits: String = written.chars().take_while(char::is_ascii_digit).collect();
    let zone = written.get(digits.len()..)?.replace('\'', ":");
    let zone = zone.trim_end_matches(':');
    let zone = if zone.starts_with('Z') || zone.is_empty() { "Z" } else { zone };
    let part = |from: usize, to: usize| digits.get(from..to);
    let day = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let Some(minute) = part(8, 10).zip(part(10, 12)) else { return Some(day) };
    let full = format!("{day}T{}:{}:{}{zone}", minute.0, minute.1, part(12, 14).unwrap_or("00"));
    chrono::DateTime::parse_from_rfc3339(&full).ok().map(|_| full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_iso_8601() {
        assert_eq!(date("D:20240131120000+01'00'").as_deref(), Some("2024-01-31T12:00:00+01:00"));
        assert_eq!(date("D:20240131120000Z").as_deref(), Some("2024-01-31T12:00:00Z"));
        assert_eq!(date("20240131").as_deref(), Some("2024-01-31"));
        assert_eq!(date("yesterday"), None);
    }
}
