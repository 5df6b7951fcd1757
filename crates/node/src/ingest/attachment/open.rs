//! OpenDocument and EPUB.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use quick_xml::events::Event;

use super::super::markup;
use super::Extracted;
use super::text::decode;
use super::xml::{self, Rules, attribute};
use super::zipped::{Parts, about};

pub(super) const ODT: &str = "application/vnd.oasis.opendocument.text";
pub(super) const ODS: &str = "application/vnd.oasis.opendocument.spreadsheet";
pub(super) const ODP: &str = "application/vnd.oasis.opendocument.presentation";
pub(super) const EPUB: &str = "application/epub+zip";
const RULES: Rules = Rules {
    texts: &[],
    inside: &["body"],
    hidden: &["tracked-changes", "scripts", "forms"],
    lines: &["p", "h", "line-break", "table-row"],
    tabs: &["tab"],
    cells: &["table-cell"],
    spaces: &["s"],
};

pub(super) fn document(parts: &mut Parts<'_>, content_type: &'static str) -> Result<Extracted, String> {
    let part = parts.needed("content.xml")?;
    let mut content = String::new();
    xml::text(&part, &RULES, &mut content, parts.budget)?;
    let mut extracted =
        Extracted { content: content.trim().to_owned(), content_type, ..Extracted::default() };
    parts.about("meta.xml", &mut extracted)?;
    Ok(extracted)
}

pub(super) fn epub(parts: &mut Parts<'_>) -> Result<Extracted, String> {
    let container = parts.needed("META-INF/container.xml")?;
    let mut package = None;
    xml::walk(&container, parts.budget, |event, path| {
        if let Event::Start(start) = event
            && path.last().is_some_and(|name| name == "rootfile")
            && package.is_none()
        {
            package = attribute(start, "full-path");
        }
        Ok(())
    })?;
    let package = package.ok_or("its container names no package")?;
    let part = parts.needed(&package)?;
    let mut extracted = Extracted { content_type: EPUB, ..Extracted::default() };
    about(&part, &mut extracted, parts.budget)?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut content = String::new();
    for href in chapters(&part, parts)? {
        let Some(chapter) = parts.part(&joined(folder, &href))? else { continue };
        let (text, _) = decode(&chapter).ok_or_else(|| format!("its chapter [{href}] is not in UTF-8"))?;
        content.push_str(&markup::text_of(&text));
        content.push('\n');
    }
    content.trim().clone_into(&mut extracted.content);
    Ok(extracted)
}

/// The chapters in the order in which they are read, each once.
fn chapters(package: &[u8], parts: &Parts<'_>) -> Result<Vec<String>, String> {
    let (mut items, mut order) = (HashMap::new(), Vec::new());
    xml::walk(package, parts.budget, |event, path| {
        let Event::Start(start) = event else { return Ok(()) };
        match path.last().map_or("", String::as_str) {
            "item" => {
                if let Some((id, href)) = attribute(start, "id").zip(attribute(start, "href")) {
                    items.insert(id, href);
                }
            }
            "itemref" => order.extend(attribute(start, "idref")),
            _ => {}
        }
        Ok(())
    })?;
    Ok(order.iter().filter_map(|id| items.remove(id)).collect())
}

/// A link in the package as the name of a part.
fn joined(folder: &str, href: &str) -> String {
    let href = percent_decode_str(href).decode_utf8_lossy();
    let mut path: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in href.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}
