//! What kind of file some bytes are; names and announced types are not asked.

/// Kinds of files, by how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pdf,
    /// Office documents, OpenDocument and EPUB: told apart by the archive's parts.
    Zip,
    Rtf,
    Mail,
    /// Plain text, HTML and XML.
    Text,
    Unreadable(&'static str),
}

/// What files begin with whose text this node cannot read.
const UNREADABLE: [(&[u8], &str); 12] = [
    (b"\xD0\xCF\x11\xE0", "application/x-tika-msoffice"),
    (b"\x89PNG", "image/png"),
    (b"\xFF\xD8\xFF", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\x1F\x8B", "application/gzip"),
    (b"7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"),
    (b"Rar!\x1A\x07", "application/x-rar-compressed"),
    (b"\xFD7zXZ\0", "application/x-xz"),
    (b"OggS", "audio/vorbis"),
    (b"\x7FELF", "application/x-executable"),
];
/// Headers one of which every mail has besides its sender.
const OF_MAIL: [&str; 5] = ["message-id", "mime-version", "received", "date", "return-path"];
const HEADERS_LOOKED_AT: usize = 64 << 10;

pub(super) fn detect(bytes: &[u8]) -> Kind {
    let start = bytes.trim_ascii_start();
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if start.starts_with(b"%PDF-") {
        Kind::Pdf
    } else if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") {
        Kind::Zip
    } else if start.starts_with(b"{\\rtf") {
        Kind::Rtf
    } else if let Some((_, kind)) = UNREADABLE.iter().find(|(magic, _)| starts(magic)) {
        Kind::Unreadable(kind)
    } else if is_mail(bytes) {
        Kind::Mail
    } else {
        Kind::Text
    }
}

/// Whether a file begins with a mail's headers: nothing but headers up to the first empty line, with a sender.
fn is_mail(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEADERS_LOOKED_AT)];
    let (mut from, mut others) = (false, false);
    for (number, line) in head.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if number > 0 && line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(name) = header_name(line) else {
            // The first line of a mailbox file names the sender without a colon.
            if number == 0 && line.starts_with(b"From ") {
                continue;
            }
            return false;
        };
        from |= name == "from";
        others |= OF_MAIL.contains(&name.as_str());
    }
    from && others
}

fn header_name(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon).filter(|name| !name.is_empty())?;
    let named = name.iter().all(|byte| byte.is_ascii_graphic());
    named.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_content() {
        for (bytes, kind) in [
            (b"%PDF-1.7\n".as_slice(), Kind::Pdf),
            (b"PK\x03\x04...", Kind::Zip),
            (b"{\\rtf1 x}", Kind::Rtf),
            (b"Received: from a\r\n\tby b\r\nFrom: a@b.c\r\n\r\nHi", Kind::Mail),
            (b"From: me\nTo: you\n\nA note", Kind::Text),
            (b"From: me\nDate: today\nwe met\n", Kind::Text),
            (b"<html>", Kind::Text),
            (b"\x89PNG\r\n", Kind::Unreadable("image/png")),
            (b"", Kind::Text),
        ] {
            assert_eq!(detect(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
