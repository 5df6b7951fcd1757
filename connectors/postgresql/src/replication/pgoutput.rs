//! Messages of the output plugin `pgoutput`, protocol version 1. Only what tells rows apart is read.

use crate::wire::Bytes;

/// A table as the log describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

/// The values of a row; `None` for those that are null or that the log leaves out.
pub(crate) type Tuple = Vec<Option<String>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Relation(u32, Relation),
    /// Rows of a table that were written or removed, as they were and as they are.
    Rows(u32, Vec<Tuple>),
    Truncate(Vec<u32>),
    /// Beginnings, ends, types: nothing that counts here.
    Other,
}

/// Reads a message; `None` when it is not of the expected form.
pub(crate) fn read(raw: &[u8]) -> Option<Message> {
    let mut bytes = Bytes(raw);
    Some(match bytes.u8()? {
        b'R' => {
            let id = bytes.u32()?;
            let (schema, name) = (bytes.text()?, bytes.text()?);
            let _identity = bytes.u8()?;
            let count = bytes.i16()?;
            let mut columns = Vec::new();
            for _ in 0..count {
                let _flags = bytes.u8()?;
                columns.push(bytes.text()?);
                let (_type, _modifier) = (bytes.u32()?, bytes.i32()?);
            }
            // An empty schema stands for the server's own.
            let schema = if schema.is_empty() { "pg_catalog".to_owned() } else { schema };
            Message::Relation(id, Relation { schema, name, columns })
        }
        b'I' | b'U' | b'D' => {
            let id = bytes.u32()?;
            let mut tuples = Vec::new();
            while !bytes.0.is_empty() {
                let _which = bytes.u8()?;
                tuples.push(tuple(&mut bytes)?);
            }
            Message::Rows(id, tuples)
        }
        b'T' => {
            let count = bytes.i32()?;
            let _options = bytes.u8()?;
            let mut ids = Vec::new();
            for _ in 0..count {
                ids.push(bytes.u32()?);
            }
            Message::Truncate(ids)
        }
        _ => Message::Other,
    })
}

fn tuple(bytes: &mut Bytes<'_>) -> Option<Tuple> {
    let count = bytes.i16()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match bytes.u8()? {
            // Null, or a large value that did not change and is left out.
            b'n' | b'u' => None,
            b't' => {
                let text = bytes.sized()??;
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => return None,
        });
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_tells_the_old_and_the_new_row() {
        let mut raw = b"U\0\0\0\x07O\0\x02t\0\0\0\x011n".to_vec();
        raw.extend(b"N\0\x02t\0\0\0\x012u");
        let rows = vec![vec![Some("1".to_owned()), None], vec![Some("2".to_owned()), None]];
        assert_eq!(read(&raw), Some(Message::Rows(7, rows)));
    }

    #[test]
    fn a_relation_names_its_columns() {
        let raw = b"R\0\0\0\x07public\0t\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff";
        let relation = Relation { schema: "public".into(), name: "t".into(), columns: vec!["id".into()] };
        assert_eq!(read(raw), Some(Message::Relation(7, relation)));
        assert_eq!(read(b"T\0\0\0\x01\0\0\0\0\x07"), Some(Message::Truncate(vec![7])));
    }

    #[test]
    fn broken_messages_are_told_apart_from_unimportant_ones() {
        for raw in [&b""[..], b"I\0", b"I\0\0\0\x07N\0\x01x", b"R\0\0\0\x07public"] {
            assert_eq!(read(raw), None, "{raw:?}");
        }
        assert_eq!(read(b"B123"), Some(Message::Other));
    }
}
