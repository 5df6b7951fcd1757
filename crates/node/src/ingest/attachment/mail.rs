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
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or("message/rfc822: it has no headers that can be read")?;
    let mut content = String::new();
    body(&message, &mut content, budget, depth)?;
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
