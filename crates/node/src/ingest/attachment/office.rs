//! Word, Excel and PowerPoint documents since 2007.

use quick_xml::events::Event;

use super::Extracted;
use super::xml::{self, Rules, attribute, characters};
use super::zipped::Parts;

pub(super) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(super) const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const PROPERTIES: &str = "docProps/core.xml";
/// Text, as Word and PowerPoint write it. What `Fallback` holds is said twice.
const RULES: Rules = Rules {
    texts: &["t"],
    inside: &[],
    hidden: &["Fallback"],
    lines: &["p", "br", "cr", "tr"],
    tabs: &["tab"],
    cells: &["tc"],
    spaces: &[],
};

pub(super) fn docx(parts: &mut Parts<'_>) -> Result<Extracted, String> {
    let document = parts.needed("word/document.xml")?;
    let mut content = String::new();
    xml::text(&document, &RULES, &mut content, parts.budget)?;
    let more = ["word/header", "word/footer"].map(|prefix| parts.numbered(prefix)).concat();
    let notes = ["word/footnotes.xml", "word/endnotes.xml", "word/comments.xml"].map(str::to_owned);
    for name in more.iter().chain(&notes) {
        if let Some(part) = parts.part(name)? {
            xml::text(&part, &RULES, &mut content, parts.budget)?;
        }
    }
    finish(parts, &content, DOCX)
}

pub(super) fn pptx(parts: &mut Parts<'_>) -> Result<Extracted, String> {
    let mut content = String::new();
    for prefix in ["ppt/slides/slide", "ppt/notesSlides/notesSlide"] {
        for name in parts.numbered(prefix) {
            let slide = parts.needed(&name)?;
            xml::text(&slide, &RULES, &mut content, parts.budget)?;
        }
    }
    finish(parts, &content, PPTX)
}

pub(super) fn xlsx(parts: &mut Parts<'_>) -> Result<Extracted, String> {
    let shared = match parts.part("xl/sharedStrings.xml")? {
        Some(part) => shared_strings(&part, parts)?,
        None => Vec::new(),
    };
    let mut content = String::new();
    for name in parts.numbered("xl/worksheets/sheet") {
        let part = parts.needed(&name)?;
        sheet(&part, &shared, &mut content, parts)?;
    }
    finish(parts, &content, XLSX)
}

fn finish(parts: &mut Parts<'_>, content: &str, content_type: &'static str) -> Result<Extracted, String> {
    let mut extracted =
        Extracted { content: content.trim().to_owned(), content_type, ..Extracted::default() };
    parts.about(PROPERTIES, &mut extracted)?;
    Ok(extracted)
}

fn shared_strings(part: &[u8], parts: &Parts<'_>) -> Result<Vec<String>, String> {
    let (mut all, mut one) = (Vec::new(), String::new());
    xml::walk(part, parts.budget, |event, path| {
        let last = path.last().map_or("", String::as_str);
        match event {
            Event::End(_) if last == "si" => all.push(std::mem::take(&mut one)),
            // How a text is pronounced stands beside it.
            event if last == "t" && !path.iter().any(|name| name == "rPh") => {
                one.push_str(&characters(event).unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(all)
}

fn sheet(part: &[u8], shared: &[String], out: &mut String, parts: &mut Parts<'_>) -> Result<(), String> {
    let (mut kind, mut value, mut spent) = (String::new(), String::new(), 0_usize);
    let left = parts.budget.left();
    let too_large = parts.budget.too_large();
    xml::walk(part, parts.budget, |event, path| {
        let last = path.last().map_or("", String::as_str);
        match event {
            Event::Start(start) if last == "c" => {
                kind = attribute(start, "t").unwrap_or_default();
                value.clear();
            }
            Event::End(_) if last == "c" => {
                let text = match kind.as_str() {
                    "s" => value.trim().parse().ok().and_then(|at: usize| shared.get(at)).unwrap_or(&value),
                    _ => &value,
                };
                // A long text that many cells share is as good a bomb as any.
                spent += text.len();
                if spent > left {
                    return Err(too_large.clone());
                }
                if !text.is_empty() {
                    out.push_str(text);
                    out.push('\t');
                }
            }
            Event::End(_) if last == "row" && out.ends_with('\t') => {
                out.pop();
                out.push('\n');
            }
            event if last == "v" || last == "t" => value.push_str(&characters(event).unwrap_or_default()),
            _ => {}
        }
        Ok(())
    })?;
    parts.budget.spend(spent)
}
