use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use tributary_sdk::{BodyKind, Content, Error, ErrorKind, Result};

use crate::disk::{Kind, Stat};

/// Extensions of files whose content is indexed (sync-runtime 7), those of texts first.
const TEXTS: &[&str] = &[
    "txt", "py", "rst", "html", "markdown", "json", "xml", "csv", "md", "rb", "paper", "sh", "aspx", "tsv",
    "svg",
];
const BINARIES: &[&str] = &[
    "ppt", "rtf", "docx", "odt", "xls", "xlsx", "pptx", "pdf", "doc", "xlsb", "xlsm", "msg", "potx", "vsd",
    "vsdx", "vsdm",
];
/// How often a file that changes while it is read is read again, and the first pause before that.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);

/// What the content of a file is, by its extension; `None`: it is not indexed.
pub(crate) fn kind(path: &Path) -> Option<BodyKind> {
    let extension = path.extension()?.to_str()?;
    let is_in = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(extension));
    match () {
        () if is_in(TEXTS) => Some(BodyKind::Text),
        () if is_in(BINARIES) => Some(BodyKind::Binary),
        () => None,
    }
}

/// Reads a file; blocks.
pub(crate) fn read(path: &Path, kind: BodyKind, max_bytes: u64) -> Result<Content> {
    let unreadable = |error: io::Error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let told = Error::io(format!("cannot read '{}'", path.display()), error);
        if denied { told.hint("give the service read access to it") } else { told }
    };
    let mut pause = PAUSE;
    for attempt in 1..=TRIES {
        let last = attempt == TRIES;
        match attempt_once(path, max_bytes) {
            Ok(Attempt::Whole(bytes)) => return Ok(decode(bytes, kind)),
            // A file that only grows, such as a log, is taken as it was when it was opened.
            Ok(Attempt::Grown(bytes)) if last => return Ok(decode(bytes, kind)),
            Ok(Attempt::Grown(_) | Attempt::Changed) => {}
            Ok(Attempt::Nothing(reason)) => return Ok(Content::Nothing { reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Content::Nothing { reason: "the file is gone".to_owned() });
            }
            Err(error) => return Err(unreadable(error)),
        }
        if !last {
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
    let message = format!("'{}' changes while it is read", path.display());
    Err(Error::new(ErrorKind::Unavailable, message).hint("it is read again by the next sync"))
}

enum Attempt {
    Whole(Vec<u8>),
    /// What was there when the file was opened; more came since.
    Grown(Vec<u8>),
    Changed,
    Nothing(String),
}

fn attempt_once(path: &Path, max_bytes: u64) -> io::Result<Attempt> {
    // Opening a pipe waits for its other end, and opening a device may do anything. The flag is for what takes the
    // file's place between the two calls.
    if Stat::from(&std::fs::metadata(path)?).kind != Kind::File {
        return Ok(Attempt::Nothing("it is no file any more".to_owned()));
    }
    let mut file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let before = Stat::from(&file.metadata()?);
    if before.kind != Kind::File {
        return Ok(Attempt::Nothing("it is no file any more".to_owned()));
    }
    if before.size > max_bytes {
        return Ok(Attempt::Nothing(too_large(before.size, max_bytes)));
    }
    let mut bytes = take(&mut file, before.size, max_bytes)?;
    let after = Stat::from(&file.metadata()?);
    let length = bytes.len() as u64;
    if length > max_bytes {
        return Ok(Attempt::Nothing(too_large(length, max_bytes)));
    }
    if before.size == after.size && before.modified == after.modified && before.changed == after.changed {
        // Files of virtual file systems say that they are empty.
        let whole = length == before.size || before.size == 0;
        return Ok(if whole { Attempt::Whole(bytes) } else { Attempt::Changed });
    }
    if after.size > before.size && length >= before.size {
        bytes.truncate(usize::try_from(before.size).unwrap_or(usize::MAX));
        return Ok(Attempt::Grown(bytes));
    }
    Ok(Attempt::Changed)
}

/// All bytes, but not more than one over the limit.
fn take(file: &mut File, expected: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
    // One more than expected, so that the end of the file is seen without growing the buffer.
    let mut bytes = Vec::with_capacity(usize::try_from(expected.saturating_add(1)).unwrap_or(0));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn too_large(size: u64, limit: u64) -> String {
    format!("its content of {size} bytes exceeds the limit of {limit} bytes")
}

/// Text where the bytes are text, else the bytes.
fn decode(bytes: Vec<u8>, kind: BodyKind) -> Content {
    if kind == BodyKind::Binary {
        return Content::Binary(bytes.into());
    }
    match text(bytes) {
        Ok(text) => Content::Text(text),
        Err(bytes) => Content::Binary(bytes.into()),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    let wide: Option<fn([u8; 2]) -> u16> = match bytes.as_slice() {
        [0xFF, 0xFE, ..] => Some(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(read) = wide {
        return utf16(&bytes[2..], read).filter(|text| !text.contains('\0')).ok_or(bytes);
    }
    let text = String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)?;
    // Texts have no such character; what is called text and has it is something else.
    if text.contains('\0') {
        return Err(text.into_bytes());
    }
    Ok(match text.strip_prefix('\u{FEFF}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    char::decode_utf16(pairs.iter().map(|pair| read(*pair))).collect::<Result<_, _>>().ok()
}
