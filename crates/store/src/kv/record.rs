//! The records of the key-value store: keys and their values.
//!
//! `ids` maps an index and id to the document's present state, `log` an index and sequence number to the document itself.
//! Sources lie in the log in the order they were written, so bulk loading appends.

use bytes::Bytes;

use crate::error::{ErrorKind, Result, StoreError};
use crate::model::Doc;

/// The primary term of every document: there is one copy and it never fails over.
pub(crate) const PRIMARY_TERM: u64 = 1;

/// What `ids` says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdEntry {
    pub(crate) seq: u64,
    pub(crate) version: u64,
    /// Deleted; kept a while so that versions go on counting.
    pub(crate) deleted: bool,
    /// Bytes of the source.
    pub(crate) length: u32,
}

/// What `log` says of a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) id: String,
    pub(crate) version: u64,
    /// A delete instead of a document.
    pub(crate) tombstone: bool,
    /// The id may be in the search index already.
    pub(crate) replaces: bool,
    pub(crate) source: Bytes,
}

/// An index's running numbers, written with every group of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    /// The next sequence number.
    pub(crate) next_seq: u64,
    /// Live documents.
    pub(crate) docs: u64,
    /// Documents deleted or replaced.
    pub(crate) deleted: u64,
    /// Bytes of live sources.
    pub(crate) bytes: u64,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::new(ErrorKind::Corrupt, format!("a record of the document store is damaged: {what}"))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn id_key(index: u32, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 + id.len());
    key.extend_from_slice(&index.to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

pub(crate) fn log_key(index: u32, seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&index.to_be_bytes());
    key[4..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The sequence number in a log key.
pub(crate) fn seq_of_key(key: &[u8]) -> Option<u64> {
    number(key, 4)
}

/// A key in `meta`: one letter, the index's number, and perhaps a sequence number.
pub(crate) fn meta_key(kind: u8, index: u32) -> [u8; 5] {
    let mut key = [kind; 5];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The index's number in a key of `meta`.
pub(crate) fn index_of_meta_key(key: &[u8]) -> Option<u32> {
    key.get(1..5)?.try_into().ok().map(u32::from_be_bytes)
}

/// The key of a tombstone's note in `meta`.
pub(crate) fn tombstone_key(index: u32, seq: u64) -> [u8; 13] {
    let mut key = [0; 13];
    key[..5].copy_from_slice(&meta_key(b't', index));
    key[5..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The sequence number in a tombstone's key.
pub(crate) fn seq_of_tombstone(key: &[u8]) -> Option<u64> {
    number(key, 5)
}

/// The key in `meta` of the note that the write `by` retired a record.
pub(crate) fn retired_key(index: u32, by: u64) -> [u8; 13] {
    let mut key = tombstone_key(index, by);
    key[0] = b'r';
    key
}

/// The write that retired a record, of the note's key.
pub(crate) fn write_of_retired(key: &[u8]) -> Result<u64> {
    number(key, 5).ok_or_else(|| corrupt("key of a retired record"))
}

/// The retired record's sequence number, of the note.
pub(crate) fn seq_of_retired(note: &[u8]) -> Result<u64> {
    number(note, 0).ok_or_else(|| corrupt("note of a retired record"))
}

/// The key of one of the node's blobs.
pub(crate) fn blob_key(space: &str, name: &str) -> Vec<u8> {
    let mut key = blob_prefix(space);
    key.extend_from_slice(name.as_bytes());
    key
}

/// What all blob keys of a space begin with.
pub(crate) fn blob_prefix(space: &str) -> Vec<u8> {
    let mut key = vec![b'u'];
    key.extend_from_slice(space.as_bytes());
    key.push(0);
    key
}

impl IdEntry {
    pub(crate) fn encode(self) -> [u8; 21] {
        let mut out = [0; 21];
        out[..8].copy_from_slice(&self.seq.to_be_bytes());
        out[8..16].copy_from_slice(&self.version.to_be_bytes());
        out[16] = u8::from(self.deleted);
        out[17..].copy_from_slice(&self.length.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let parts = (number(bytes, 0), number(bytes, 8), bytes.get(16));
        let (Some(seq), Some(version), Some(deleted)) = parts else { return Err(corrupt("id entry")) };
        let length = bytes.get(17..21).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
        Ok(Self { seq, version, deleted: *deleted != 0, length })
    }
}

impl LogRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(11 + self.id.len() + self.source.len());
        out.push(u8::from(self.tombstone) | (u8::from(self.replaces) << 1));
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&(self.id.len() as u16).to_be_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&self.source);
        out
    }

    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn decode(bytes: Bytes) -> Result<Self> {
        let damaged = || corrupt("log record");
        let flags = *bytes.first().ok_or_else(damaged)?;
        let version = number(&bytes, 1).ok_or_else(damaged)?;
        let length: [u8; 2] = bytes.get(9..11).and_then(|b| b.try_into().ok()).ok_or_else(damaged)?;
        let end = 11 + usize::from(u16::from_be_bytes(length));
        let id = bytes.get(11..end).and_then(|b| std::str::from_utf8(b).ok()).ok_or_else(damaged)?.to_owned();
        let source = bytes.slice(end..);
        Ok(Self { id, version, tombstone: flags & 1 != 0, replaces: flags & 2 != 0, source })
    }

    pub(crate) fn into_doc(self, seq_no: u64) -> Doc {
        Doc { id: self.id, seq_no, primary_term: PRIMARY_TERM, version: self.version, source: self.source }
    }
}

impl Counters {
    pub(crate) fn encode(self) -> [u8; 32] {
        let mut out = [0; 32];
        for (part, number) in
            out.chunks_exact_mut(8).zip([self.next_seq, self.docs, self.deleted, self.bytes])
        {
            part.copy_from_slice(&number.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let read = |at| number(bytes, at).ok_or_else(|| corrupt("index counters"));
        Ok(Self { next_seq: read(0)?, docs: read(8)?, deleted: read(16)?, bytes: read(24)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let record = LogRecord {
            id: "é".into(),
            version: 7,
            tombstone: false,
            replaces: true,
            source: Bytes::from_static(b"{\"a\":1}"),
        };
        assert_eq!(LogRecord::decode(record.encode().into()).unwrap(), record);
        let entry = IdEntry { seq: 3, version: 9, deleted: true, length: 11 };
        assert_eq!(IdEntry::decode(&entry.encode()).unwrap(), entry);
        let counters = Counters { next_seq: 1, docs: 2, deleted: 3, bytes: 4 };
        assert_eq!(Counters::decode(&counters.encode()).unwrap(), counters);
    }

    #[test]
    fn damaged_records_are_errors() {
        for bytes in [&b""[..], &b"\x00\x01"[..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, b'a'][..]] {
            assert_eq!(
                LogRecord::decode(Bytes::copy_from_slice(bytes)).unwrap_err().kind(),
                ErrorKind::Corrupt
            );
        }
        assert!(IdEntry::decode(b"x").is_err() && Counters::decode(b"x").is_err());
    }

    #[test]
    fn log_keys_sort_by_sequence_number() {
        assert!(log_key(1, 255) < log_key(1, 256) && log_key(1, u64::MAX) < log_key(2, 0));
        assert_eq!(seq_of_key(&log_key(1, 77)), Some(77));
    }
}
