//! Reads bulk answers of the form Elasticsearch gives when everything went well, several times faster than a general
//! reader. Anything else it leaves to that reader.

use super::BulkOp;
use super::bulk_answer::{BulkAnswer, BulkItem, BulkResult};

/// The answer; `None` where a general reader must look at it: errors, escaped text, spaces, fields not known here.
/// Ids that are the ones of `sent` are left out.
pub(super) fn read_plain<'a>(
    body: &[u8],
    expected: usize,
    sent: impl Fn(usize) -> Option<&'a str>,
) -> Option<BulkAnswer> {
    let mut text = Plain(body);
    let mut answer = BulkAnswer::default();
    let mut has_items = false;
    text.eat(b"{")?;
    loop {
        match text.name()? {
            b"took" => answer.took_ms = text.number()?.try_into().ok()?,
            b"ingest_took" => drop(text.number()?),
            b"errors" => answer.errors = text.boolean()?,
            b"items" => {
                has_items = true;
                answer.items = items(&mut text, expected, &sent)?;
            }
            _ => return None,
        }
        if !text.more(b"}")? {
            break;
        }
    }
    (has_items && text.0.is_empty()).then_some(answer)
}

fn items<'a>(
    text: &mut Plain<'_>,
    expected: usize,
    sent: impl Fn(usize) -> Option<&'a str>,
) -> Option<Vec<BulkItem>> {
    let mut items = Vec::with_capacity(expected);
    text.eat(b"[")?;
    if text.eat(b"]").is_some() {
        return Some(items);
    }
    loop {
        items.push(item(text, sent(items.len()))?);
        if !text.more(b"]")? {
            return Some(items);
        }
    }
}

fn item(text: &mut Plain<'_>, sent: Option<&str>) -> Option<BulkItem> {
    text.eat(b"{")?;
    let op = BulkOp::of_name(std::str::from_utf8(text.name()?).ok()?)?;
    text.eat(b"{")?;
    let mut item = BulkItem { op, status: 0, id: None, result: None, error: None, seq_no: None };
    loop {
        match text.name()? {
            b"_id" => {
                let id = text.string()?;
                if sent.map(str::as_bytes) != Some(id) {
                    item.id = Some(std::str::from_utf8(id).ok()?.into());
                }
            }
            b"result" => item.result = BulkResult::of_name(std::str::from_utf8(text.string()?).ok()?),
            b"status" => item.status = text.number()?.try_into().ok()?,
            b"_seq_no" => item.seq_no = text.number()?.try_into().ok(),
            b"_index" => drop(text.string()?),
            b"_version" | b"_primary_term" => drop(text.number()?),
            b"_shards" => text.skip_flat_object()?,
            _ => return None,
        }
        if !text.more(b"}")? {
            break;
        }
    }
    text.eat(b"}")?;
    (item.status != 0).then_some(item)
}

/// What is left of JSON text without spaces and escapes.
struct Plain<'a>(&'a [u8]);

impl<'a> Plain<'a> {
    fn eat(&mut self, what: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(what)?;
        Some(())
    }

    /// After a member: whether another follows, or `end`.
    fn more(&mut self, end: &[u8]) -> Option<bool> {
        match self.eat(b",") {
            Some(()) => Some(true),
            None => self.eat(end).map(|()| false),
        }
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let name = self.string()?;
        self.eat(b":")?;
        Some(name)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b"\"")?;
        let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\') || *byte < 0x20)?;
        let (string, rest) = self.0.split_at(end);
        self.0 = rest;
        self.eat(b"\"")?;
        Some(string)
    }

    fn number(&mut self) -> Option<i64> {
        let end = self.0.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-'))?;
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        self.eat(b"true").map(|()| true).or_else(|| self.eat(b"false").map(|()| false))
    }

    /// Numbers only: neither text nor other objects are in it.
    fn skip_flat_object(&mut self) -> Option<()> {
        self.eat(b"{")?;
        loop {
            self.name()?;
            self.number()?;
            if !self.more(b"}")? {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bulk_answer::{read_answer, read_general};
    use super::*;

    const GOOD: &str = concat!(
        r#"{"errors":false,"took":7,"ingest_took":3,"items":["#,
        r#"{"index":{"_index":"a","_id":"1/é","_version":1,"result":"created","#,
        r#""_shards":{"total":2,"successful":1,"failed":0},"_seq_no":9,"_primary_term":1,"status":201}},"#,
        r#"{"delete":{"_index":"a","_id":"3","_version":1,"result":"not_found","_seq_no":10,"status":404}},"#,
        r#"{"index":{"_index":"a","_id":"4","_version":-3,"result":"noop","_seq_no":-2,"status":200}}]}"#,
    );

    #[test]
    fn a_plain_answer_reads_as_by_the_general_reader() {
        let plain = read_plain(GOOD.as_bytes(), 3, |_| None).unwrap();
        assert_eq!(plain, read_general(GOOD.as_bytes(), 3).unwrap());
        assert_eq!((plain.items.len(), plain.items[0].id.as_deref()), (3, Some("1/é")));
        assert_eq!(read_plain(br#"{"took":1,"errors":false,"items":[]}"#, 0, |_| None).unwrap().items, []);
    }

    #[test]
    fn ids_that_were_sent_are_left_out_by_either_reader() {
        let sent = |at: usize| ["1/é", "other", "4"].get(at).copied();
        let escaped = GOOD.replace("1/é", "1\\/é");
        for (body, plain) in [(GOOD, true), (escaped.as_str(), false)] {
            assert_eq!(read_plain(body.as_bytes(), 3, sent).is_some(), plain);
            let items = read_answer(body.as_bytes(), 3, sent).unwrap().items;
            let ids: Vec<_> = items.iter().map(|item| item.id.as_deref()).collect();
            assert_eq!(ids, [None, Some("3"), None]);
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_general_reader() {
        for (from, to) in [
            ("1/é", r#"1\"2"#),
            ("\"took\":7", "\"took\": 7"),
            ("\"failed\":0", "\"failed\":1,\"failures\":[{}]"),
            ("\"status\":404", "\"status\":404,\"error\":{\"type\":\"x\",\"reason\":\"y\"}"),
            ("\"status\":404", "\"state\":404"),
            ("\"took\":7,", "\"took\":7,\"other\":{},"),
            ("]}", "]} "),
            ("\"delete\"", "\"remove\""),
        ] {
            let body = GOOD.replace(from, to);
            assert!(body != GOOD && read_plain(body.as_bytes(), 3, |_| None).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_never_anything_else_than_by_the_general_reader(at in 0..GOOD.len(), byte: u8) {
            let mut body = GOOD.as_bytes().to_vec();
            body[at] = byte;
            if let Some(plain) = read_plain(&body, 3, |_| None) {
                prop_assert_eq!(plain, read_general(&body, 3).unwrap());
            }
        }
    }
}
