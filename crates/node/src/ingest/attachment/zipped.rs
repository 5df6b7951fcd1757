//! Archives: which document one is, and its parts.

use std::io::{Cursor, Read as _};

use quick_xml::events::Event;
use zip::ZipArchive;
use zip::result::ZipError;

use super::limits::Budget;
use super::{Extracted, office, open, xml};

/// Parts an archive may have; each costs memory before one of them is read.
const MOST_PARTS: usize = 20_000;

/// An archive that is read under a budget.
pub(super) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    pub(super) budget: &'a mut Budget,
}

pub(super) fn read(bytes: &[u8], budget: &mut Budget) -> Result<Extracted, String> {
    let parts = bytes.windows(4).filter(|window| *window == b"PK\x01\x02").take(MOST_PARTS + 1).count();
    if parts > MOST_PARTS {
        return Err(format!("application/zip: it has more than {MOST_PARTS} parts"));
    }
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("application/zip: {error}"))?;
    let mut parts = Parts { archive, budget };
    let kind = kind(&mut parts).map_err(|why| format!("application/zip: {why}"))?;
    let read = match kind {
        office::DOCX => office::docx(&mut parts),
        office::XLSX => office::xlsx(&mut parts),
        office::PPTX => office::pptx(&mut parts),
        open::ODT | open::ODS | open::ODP => open::document(&mut parts, kind),
        open::EPUB => open::epub(&mut parts),
        _ => return Err(format!("this node cannot extract text from {kind}")),
    };
    read.map_err(|why| format!("{kind}: {why}"))
}

/// The type an archive names itself, or the one its parts show.
fn kind(parts: &mut Parts<'_>) -> Result<&'static str, String> {
    if let Some(named) = parts.part("mimetype")? {
        let named = named.trim_ascii();
        let template = named.strip_suffix(b"-template").unwrap_or(named);
        let known = [open::ODT, open::ODS, open::ODP, open::EPUB];
        if let Some(known) = known.into_iter().find(|known| known.as_bytes() == template) {
            return Ok(known);
        }
    }
    let has =
        |name: &str| parts.archive.file_names().flatten().any(|part| part.trim_start_matches('/') == name);
    Ok(if has("word/document.xml") {
        office::DOCX
    } else if has("xl/workbook.xml") {
        office::XLSX
    } else if has("ppt/presentation.xml") {
        office::PPTX
    } else {
        "application/zip"
    })
}

impl Parts<'_> {
    /// A part, unpacked; none when the archive has no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.budget.in_time()?;
        let broken = |error: &dyn std::fmt::Display| format!("its part [{name}] cannot be read: {error}");
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(broken(&error)),
        };
        let left = self.budget.left();
        let mut bytes = Vec::new();
        // One byte more than may be: the announced size is not trusted.
        file.take(left as u64 + 1).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        self.budget.spend(bytes.len())?;
        Ok(Some(bytes))
    }

    pub(super) fn needed(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.part(name)?.ok_or_else(|| format!("it has no part [{name}]"))
    }

    /// The parts in a folder that are numbered, such as `slide1.xml`, in the order of their numbers.
    pub(super) fn numbered(&self, prefix: &str) -> Vec<String> {
        let number =
            |name: &str| -> Option<u64> { name.strip_prefix(prefix)?.strip_suffix(".xml")?.parse().ok() };
        let mut found: Vec<(u64, String)> = self
            .archive
            .file_names()
            .flatten()
            .filter_map(|name| Some((number(&name)?, name.into_owned())))
            .collect();
        found.sort();
        found.into_iter().map(|(_, name)| name).collect()
    }

    /// Fills in what a part with properties says about a document: Dublin Core and its like.
    pub(super) fn about(&mut self, name: &str, extracted: &mut Extracted) -> Result<(), String> {
        if let Some(part) = self.part(name)? {
            about(&part, extracted, self.budget)?;
        }
        Ok(())
    }
}

pub(super) fn about(part: &[u8], extracted: &mut Extracted, budget: &Budget) -> Result<(), String> {
    let mut text = String::new();
    xml::walk(part, budget, |event, path| {
        match event {
            Event::Start(_) => text.clear(),
            Event::End(_) => {
                let place = match path.last().map_or("", String::as_str) {
                    "title" => &mut extracted.title,
                    "creator" | "initial-creator" => &mut extracted.author,
                    "keyword" | "keywords" => &mut extracted.keywords,
                    "created" | "creation-date" | "date" => &mut extracted.date,
                    "language" => &mut extracted.language,
                    _ => return Ok(()),
                };
                let value = text.trim();
                if place.is_none() && !value.is_empty() {
                    *place = Some(value.to_owned());
                }
                text.clear();
            }
            event => text.push_str(&xml::characters(event).unwrap_or_default()),
        }
        Ok(())
    })
}
