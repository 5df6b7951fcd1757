//! Mails: the texts for readers, and what is attached.

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::super::markup;
use super::limits::Budget;
use super::{Extracted, read_as};

/// Mails in mails, and archives in those, may be this deep.
const DEEPEST: usize = 8;

pub(super) fn read(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<Extracted, String> {
    let bytes = match bytes.strip_prefix(b"From ") {
        Some(rest) => rest.iter().position(|byte| *byte == b'\n').map_or(rest, |end| &rest[end + 1..]),
        None => bytes,
    };
    let bytes = flattened(bytes);
    let message =
        MessageParser::default().parse(&bytes).ok_or("message/rfc822: it has no headers that can be read")?;
    extracted(&message, budget, depth)
}

fn extracted(message: &Message<'_>, budget: &mut Budget, depth: usize) -> Result<Extracted, String> {
    let mut content = String::new();
    body(message, &mut content, budget, depth)?;
    Ok(Extracted {
        content: content.trim().to_owned(),
        content_type: "message/rfc822",
        title: message.subject().map(str::to_owned),
        author: message.from().and_then(|from| from.first()).and_then(|from| {
            match (from.name(), from.address()) {
                (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
                (one, other) => one.or(other).map(str::to_owned),
            }
        }),
        date: message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_rfc3339),
        ..Extracted::default()
    })
}

/// The mail with the types of mails in it renamed, so that the library hands them over as files. It would call itself
/// for each level of them, until the stack ends; here they are counted like other files in files.
fn flattened(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut in_type = false;
    for line in out.split_mut(|byte| *byte == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) || !in_type {
            let name = line.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase);
            let name: Vec<u8> = name.skip_while(|byte| *byte == b':').take(13).collect();
            in_type = name == b"content-type:";
        }
        if in_type {
            // Boundaries and names keep their words; in a comment, anything may stand before the type.
            let comment = line.iter().any(|byte| matches!(byte, b'(' | b')'));
            let attributes = line.iter().position(|byte| matches!(byte, b';' | b'='));
            let end = attributes.filter(|_| !comment).unwrap_or(line.len());
            let line = &mut line[..end];
            for (inner, other) in [(b"rfc822", b"x-mail"), (b"global", b"x-mail"), (b"digest", b"x-many")] {
                rename(line, inner, other);
            }
        }
    }
    out
}

fn rename(line: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = line.get_mut(at..at + from.len()) {
        if found.eq_ignore_ascii_case(from) {
            found.copy_from_slice(to);
        }
        at += 1;
    }
}

fn body(message: &Message<'_>, out: &mut String, budget: &mut Budget, depth: usize) -> Result<(), String> {
    if depth >= DEEPEST {
        return Err(format!("message/rfc822: mails and files are nested deeper than {DEEPEST}"));
    }
    for part in message.text_bodies() {
        text(part, out, budget)?;
    }
    for part in message.attachments() {
        budget.in_time()?;
        match &part.body {
            PartType::Message(attached) => {
                push(out, attached.subject().unwrap_or_default(), budget)?;
                body(attached, out, budget, depth + 1)?;
            }
            PartType::Binary(_) | PartType::InlineBinary(_) => {
                push(out, part.attachment_name().unwrap_or_default(), budget)?;
                // What is attached and cannot be read, such as a picture, leaves its name.
                if let Ok(attached) = read_as(part.contents(), budget, depth + 1) {
                    push(out, &attached.content, budget)?;
                }
            }
            _ => {
                push(out, part.attachment_name().unwrap_or_default(), budget)?;
                text(part, out, budget)?;
            }
        }
    }
    Ok(())
}

fn text(part: &MessagePart<'_>, out: &mut String, budget: &mut Budget) -> Result<(), String> {
    match &part.body {
        PartType::Text(text) => push(out, text, budget),
        PartType::Html(html) => push(out, &markup::text_of(html), budget),
        _ => Ok(()),
    }
}

fn push(out: &mut String, text: &str, budget: &mut Budget) -> Result<(), String> {
    let text = text.trim();
    budget.spend(text.len())?;
    if !text.is_empty() {
        out.push_str(text);
        out.push('\n');
    }
    Ok(())
}
