//! The text in the XML parts of documents.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::limits::Budget;
use super::text::decode;

/// Which elements hold text, and which of them end lines. Names are without prefixes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Elements whose text is read; none means all.
    pub(super) texts: &'static [&'static str],
    /// Elements without which nothing is read; none means all.
    pub(super) inside: &'static [&'static str],
    pub(super) hidden: &'static [&'static str],
    /// Elements at whose end a line ends.
    pub(super) lines: &'static [&'static str],
    pub(super) tabs: &'static [&'static str],
    /// Elements that end a cell: a tab takes the place of the line's end in it.
    pub(super) cells: &'static [&'static str],
    pub(super) spaces: &'static [&'static str],
}

/// Calls `seen` with every event and the names of the elements around it, outermost first.
pub(super) fn walk(
    bytes: &[u8],
    budget: &Budget,
    mut seen: impl FnMut(&Event<'_>, &[String]) -> Result<(), String>,
) -> Result<(), String> {
    let (text, _) = decode(bytes).ok_or("its XML is not in UTF-8 or UTF-16")?;
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.expand_empty_elements = true;
    let (mut path, mut steps) = (Vec::<String>::new(), 0_usize);
    loop {
        steps += 1;
        if steps.is_multiple_of(1 << 12) {
            budget.in_time()?;
        }
        let event = reader
            .read_event()
            .map_err(|error| format!("its XML is broken at byte {}: {error}", reader.error_position()))?;
        match &event {
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err("its XML is truncated".to_owned()),
            Event::Start(start) => {
                if path.len() >= budget.depth() {
                    return Err(format!("its XML is nested deeper than {}", budget.depth()));
                }
                path.push(name(start));
                seen(&event, &path)?;
            }
            Event::End(_) => {
                seen(&event, &path)?;
                path.pop();
            }
            _ => seen(&event, &path)?,
        }
    }
}

fn name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

/// The value of an attribute, by its name without a prefix.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes().flatten();
    let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.value.replace("&amp;", "&"))
}

/// The characters an event stands for.
pub(super) fn characters(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Text(text) => Some(text.xml10_content().into_owned()),
        Event::CData(data) => Some(data.xml10_content().into_owned()),
        Event::GeneralRef(reference) => resolved(reference),
        _ => None,
    }
}

fn resolved(reference: &BytesRef<'_>) -> Option<String> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten().map(String::from);
    }
    let name = reference.xml10_content();
    Some(quick_xml::escape::resolve_predefined_entity(&name)?.to_owned())
}

/// Appends the text of a part.
pub(super) fn text(bytes: &[u8], rules: &Rules, out: &mut String, budget: &Budget) -> Result<(), String> {
    let mut hidden = 0_usize;
    let mut wanted = 0_usize;
    walk(bytes, budget, |event, path| {
        let last = path.last().map_or("", String::as_str);
        match event {
            Event::Start(_) if rules.hidden.contains(&last) => hidden += 1,
            Event::End(_) if rules.hidden.contains(&last) => hidden = hidden.saturating_sub(1),
            Event::Start(_) if rules.inside.contains(&last) => wanted += 1,
            Event::End(_) if rules.inside.contains(&last) => wanted = wanted.saturating_sub(1),
            _ => {}
        }
        if hidden > 0 || (wanted == 0 && !rules.inside.is_empty()) {
            return Ok(());
        }
        match event {
            Event::End(_) => end(last, rules, out),
            event if rules.texts.is_empty() || rules.texts.contains(&last) => {
                out.push_str(&characters(event).unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    })
}

fn end(name: &str, rules: &Rules, out: &mut String) {
    if rules.cells.contains(&name) {
        if out.ends_with('\n') {
            out.pop();
        }
        out.push('\t');
    } else if rules.lines.contains(&name) {
        while out.ends_with('\t') {
            out.pop();
        }
        if !out.ends_with('\n') && !out.is_empty() {
            out.push('\n');
        }
    } else if rules.tabs.contains(&name) {
        out.push('\t');
    } else if rules.spaces.contains(&name) {
        out.push(' ');
    }
}
