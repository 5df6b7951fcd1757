use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use chrono::{DateTime, Timelike as _, Utc};
use md5::{Digest as _, Md5};
use tributary_sdk::{Body, DocId, Document, Result, hex};

use crate::config::IdMode;
use crate::content;
use crate::disk::{Instant, Stat};
use crate::reader::Reader;

/// Reading a file changes it.
const VOLATILE: &[&str] = &["last_access_time"];

/// MD5 of the path's bytes in hex digits: for UTF-8 names the id that other implementations of this source give, and
/// different names that are not UTF-8 still have different ids.
pub(crate) fn id(path: &Path, relative: &Path, mode: IdMode) -> Result<DocId> {
    let path = match mode {
        IdMode::Absolute => path,
        IdMode::Relative => relative,
    };
    DocId::new(hex(&Md5::digest(path.as_os_str().as_bytes())))
}

/// The document of a file.
pub(crate) fn document(
    id: DocId,
    path: &Path,
    stat: &Stat,
    reader: &Reader,
    max_body_bytes: u64,
) -> Document {
    let modified = instant(stat.modified);
    let mut document = Document::new(id)
        .field("path", path.to_string_lossy())
        .field("last_modified_time", modified.map(iso))
        .field("inode_protection_mode", stat.mode)
        .field("inode_number", whole(stat.inode))
        .field("device_inode_reside", whole(stat.device))
        .field("number_of_links", whole(stat.links))
        .field("uid", stat.uid)
        .field("gid", stat.gid)
        .field("ctime", stat.changed.as_f64())
        .field("last_access_time", stat.accessed.as_f64())
        .field("size", whole(stat.size));
    document.timestamp = modified;
    document.version = Some(version(stat));
    document.volatile = VOLATILE;
    document.body = content::kind(path).map(|kind| {
        let (path, reader) = (path.to_owned(), reader.clone());
        Body::lazy(kind, move || reader.fetch(path, kind, max_body_bytes)).with_size(stat.size)
    });
    document
}

/// Changes with the content. The change time, which cannot be set by hand, is a field of the document, and so compared
/// as well: it tells of content that was replaced with size and modification time kept.
fn version(stat: &Stat) -> String {
    let Instant { seconds, nanos } = stat.modified;
    format!("{}-{seconds}.{nanos:09}-{}", stat.size, stat.inode)
}

/// Whole numbers of Elasticsearch have a sign; the few inode numbers beyond are told as their negative twins.
fn whole(number: u64) -> i64 {
    number.cast_signed()
}

/// To the microsecond, as other implementations of this source tell it.
fn instant(instant: Instant) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(instant.seconds, instant.nanos / 1_000 * 1_000)
}

fn iso(instant: DateTime<Utc>) -> String {
    let form =
        if instant.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
    instant.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn ids_are_those_of_other_implementations() {
        let path = Path::new("/srv/docs/a.txt");
        let id = |mode| id(path, Path::new("a.txt"), mode).unwrap().into_string();
        // printf %s /srv/docs/a.txt | md5sum
        assert_eq!(id(IdMode::Absolute), "2cd5d339c2d8061c1d429a645f800b64");
        assert_eq!(id(IdMode::Relative), "a5e54d1fd7bb69a228ef0dcd2431367e");
    }

    #[test]
    fn names_that_are_not_utf_8_have_different_ids() {
        let id = |bytes: &[u8]| {
            let path = Path::new(OsStr::from_bytes(bytes));
            id(path, path, IdMode::Absolute).unwrap()
        };
        assert_ne!(id(b"/a/\xff.txt"), id(b"/a/\xfe.txt"));
    }

    #[test]
    fn dates_have_microseconds_only_where_there_are_any() {
        let text = |seconds, nanos| iso(instant(Instant { seconds, nanos }).unwrap());
        assert_eq!(text(1_795_453_201, 74_566_999), "2026-11-23T17:00:01.074566+00:00");
        assert_eq!(text(1_795_453_201, 999), "2026-11-23T17:00:01+00:00");
        assert_eq!(instant(Instant { seconds: i64::MAX, nanos: 0 }), None, "no date shows it");
    }
}
