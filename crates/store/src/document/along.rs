//! Reads a document along its version before: what is written in it as it was is taken over instead of being read again.
//! Most updates change few members of a document, and reading all of it is much of their work.

use std::sync::Arc;

use bytes::Bytes;

use super::flat::{FlatDoc, StrRef};
use super::walk::Walker;
use crate::mapping::{Dynamic, Mapping};

/// A member of a document: where it lies in the source, and where its values end in each list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// The quote of its key.
    start: u32,
    key: u32,
    end: u32,
    own: u32,
    texts: u32,
    keywords: u32,
    numbers: u32,
}

/// The new version, if it has the members of the version before (fewer at the end at most) in the same order and under the
/// same mapping; `None` also for whatever is wrong with it, which reading all of it tells.
pub(super) fn read(
    mapping: &Arc<Mapping>,
    id: Option<&str>,
    source: &Bytes,
    before: &FlatDoc,
) -> Option<FlatDoc> {
    let members = before.members.as_ref().filter(|_| Arc::ptr_eq(mapping, &before.mapping))?;
    let text = std::str::from_utf8(&before.source).ok()?;
    let root = mapping.root();
    let dynamic = root.dynamic.unwrap_or(Dynamic::True);
    let mut walker = Walker::new(mapping, id, source).ok()?;
    walker.flat.make_room_as(before);
    walker.flat.note_members();
    if walker.reader.peek() != Some(b'{') {
        return None;
    }
    walker.reader.token().ok()?;
    let (mut first, mut after, mut members) = (true, Member::default(), members.iter());
    while walker.reader.member(&mut first).ok()? {
        let member = members.next()?;
        let start = walker.reader.offset();
        if walker.reader.skip_same(text.get(member.start as usize..member.end as usize)?) {
            walker.flat.take_over(before, &after, member, start)?;
        } else {
            let key = walker.reader.member_key().ok()?;
            if text.get(member.start as usize + 1..)?.get(..member.key as usize)? != key {
                return None;
            }
            walker.member(root, "", &key, dynamic).ok()?;
            walker.flat.end_member(&key, walker.reader.offset());
        }
        after = *member;
    }
    walker.nothing_follows().ok()?;
    let walked = walker.walked();
    walked.new_fields.children.is_empty().then_some(walked.flat)
}

impl FlatDoc {
    /// Notes the members that are read from now on, so that the next version can be read along them.
    pub(super) fn note_members(&mut self) {
        self.members = Some(Vec::with_capacity(32));
    }

    /// Some member has values where another has some too: what is taken over would not be its own.
    pub(super) fn forget_members(&mut self) {
        self.members = None;
    }

    /// A member was read up to this offset.
    pub(super) fn end_member(&mut self, key: &str, end: usize) {
        let Some(members) = &mut self.members else { return };
        let at = (key.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        // A name with escapes is not as it is written, and one with dots leads where other members may lead as well.
        if at >= self.source.len() || key.contains('.') {
            return self.forget_members();
        }
        members.push(Member {
            start: at as u32 - 1,
            key: key.len() as u32,
            end: end as u32,
            own: self.own.len() as u32,
            texts: self.texts.len() as u32,
            keywords: self.keywords.len() as u32,
            numbers: self.numbers.len() as u32,
        });
    }

    fn make_room_as(&mut self, before: &Self) {
        self.own.reserve(before.own.len() + 32);
        self.texts.reserve(before.texts.len() + 1);
        self.keywords.reserve(before.keywords.len() + 1);
        self.numbers.reserve(before.numbers.len() + 1);
    }

    /// Takes over a member that lies at `start` now, and came `after` another one.
    fn take_over(&mut self, before: &Self, after: &Member, member: &Member, start: usize) -> Option<()> {
        let moved = (start as u32).wrapping_sub(member.start);
        let own = self.own.len() as u32;
        self.own.push_str(before.own.get(after.own as usize..member.own as usize)?);
        let here = |mut text: StrRef| {
            let moved = if text.owned { own.wrapping_sub(after.own) } else { moved };
            text.start = text.start.wrapping_add(moved);
            text
        };
        let texts = before.texts.get(after.texts as usize..member.texts as usize)?;
        self.texts.extend(texts.iter().map(|(analyzer, leaf, text)| (*analyzer, *leaf, here(*text))));
        let keywords = before.keywords.get(after.keywords as usize..member.keywords as usize)?;
        self.keywords.extend(keywords.iter().map(|(kind, leaf, text)| (*kind, *leaf, here(*text))));
        let numbers = before.numbers.get(after.numbers as usize..member.numbers as usize)?;
        self.numbers.extend_from_slice(numbers);
        let now = Member {
            start: start as u32,
            key: member.key,
            end: member.end.wrapping_add(moved),
            own: self.own.len() as u32,
            texts: self.texts.len() as u32,
            keywords: self.keywords.len() as u32,
            numbers: self.numbers.len() as u32,
        };
        self.members.as_mut()?.push(now);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::{Flattened, flatten_update};
    use super::*;
    use crate::mapping::Limits;

    fn mapping() -> Arc<Mapping> {
        let mapping = json!({"properties": {
            "a": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "b": {"type": "keyword"},
            "c": {"type": "ip"}, "d": {"type": "date"}, "e": {"type": "object", "enabled": false},
            "f": {"properties": {"a": {"type": "text"}, "b": {"type": "long"}, "c": {"type": "keyword"}}},
            "g": {"type": "flattened"}, "h": {"type": "keyword", "copy_to": "i"}, "i": {"type": "text"},
        }});
        Arc::new(Mapping::new(&mapping, BTreeMap::new(), Arc::default(), Limits::default()).unwrap())
    }

    fn whole(mapping: &Arc<Mapping>, source: &str) -> Option<FlatDoc> {
        match flatten_update(mapping, None, &Bytes::copy_from_slice(source.as_bytes()), None) {
            Ok(Flattened::Ready(flat)) => Some(flat),
            _ => None,
        }
    }

    fn along(mapping: &Arc<Mapping>, source: &str, before: &FlatDoc) -> Option<FlatDoc> {
        read(mapping, None, &Bytes::copy_from_slice(source.as_bytes()), before)
    }

    /// Everything that a document's values are, and where the next version would find them.
    fn said(flat: &FlatDoc) -> String {
        let texts: Vec<_> = flat.texts.iter().map(|(by, leaf, text)| (by, leaf, flat.text(*text))).collect();
        let keywords: Vec<_> =
            flat.keywords.iter().map(|(kind, leaf, text)| (kind, leaf, flat.text(*text))).collect();
        format!("{texts:?} {keywords:?} {:?} {:?} {:?}", flat.numbers, flat.own, flat.members)
    }

    #[test]
    fn what_differs_from_the_version_before_is_read_and_all_else_taken_over() {
        let mapping = mapping();
        let text = r#"{"a":"x y","b":["\u0041",null],"c":"FE80::1","f":{"a":"1 2 3","b":12},"g":{"k":"v"},"e":{"z":1},"d":5}"#;
        let before = whole(&mapping, text).unwrap();
        let table = [
            (text.to_owned(), true),
            (text.replace("x y", "longer words"), true),
            (text.replace("x y", ""), true),
            (text.replace("12}", "123}"), true),
            (text.replace("\"d\":5", "\"d\":51"), true),
            (text.replace("\"z\":1", "\"z\":{}"), true),
            (text.replace(",\"d\":5", ""), true),
            ("{}".to_owned(), true),
            (text.replace("\":", "\" : "), true),
            (text.replace("{\"k\":\"v\"}", "null"), true),
            // These are left to be read whole.
            (text.replace("\"a\":\"x y\",", ""), false),
            (text.replace("\"d\":5", "\"d\":5,\"h\":1"), false),
            (text.replace("\"a\":\"x", "\"aa\":\"x"), false),
            (text.replace("\"b\":[", "\"a\":["), false),
            (text.replace("\"b\":12", "\"b\":\"twelve\""), false),
            (text.replace("\"b\":12", "\"new\":12"), false),
            (text.replace("5}", "5} x"), false),
            (text.replace("5}", "5"), false),
            ("[]".to_owned(), false),
            (String::new(), false),
        ];
        for (after, taken) in table {
            let read = along(&mapping, &after, &before);
            assert_eq!(read.is_some(), taken, "{after}");
            if let Some(read) = read {
                assert_eq!(said(&read), said(&whole(&mapping, &after).unwrap()), "{after}");
            }
        }
    }

    #[test]
    fn nothing_is_taken_over_where_members_share_their_values_or_the_mapping_is_another() {
        let mapping = mapping();
        for text in [r#"{"h":"x","i":"y"}"#, r#"{"f.a":"x","f":{"a":"y"}}"#, r#"{"\u0061":"x"}"#] {
            let before = whole(&mapping, text).unwrap();
            assert!(along(&mapping, text, &before).is_none(), "{text}");
        }
        let text = r#"{"a":"x"}"#;
        let before = whole(&mapping, text).unwrap();
        assert!(along(&mapping, text, &before).is_some());
        assert!(along(&self::mapping(), text, &before).is_none());
    }

    fn member() -> impl Strategy<Value = (String, Value)> {
        let text = prop_oneof!["[a-z ]{0,12}", "\\PC{0,4}", Just("quoted \" \n".to_owned())];
        let texts = prop_oneof![
            text.clone().prop_map(Value::from),
            prop::collection::vec(text.clone(), 0..3).prop_map(Value::from),
            Just(Value::Null),
        ];
        let object = (texts.clone(), any::<i32>(), texts.clone())
            .prop_map(|(a, b, c)| json!({"a": a, "b": b, "c": c}));
        prop_oneof![
            (Just("a".to_owned()), texts.clone()),
            (Just("b".to_owned()), texts),
            (Just("c".to_owned()), Just(json!("2001:DB8::0001"))),
            (Just("d".to_owned()), (0..100_000_000_i64).prop_map(Value::from)),
            (Just("f".to_owned()), object.clone()),
            (Just("g".to_owned()), object),
        ]
    }

    proptest! {
        #[test]
        fn a_version_along_the_one_before_is_as_one_read_whole(
            first in prop::collection::vec(member(), 0..6),
            changes in prop::collection::vec(prop::collection::vec(member(), 0..3), 1..5),
        ) {
            let mapping = mapping();
            let mut document: Map<String, Value> = first.into_iter().collect();
            let mut before = whole(&mapping, &Value::Object(document.clone()).to_string()).unwrap();
            for change in changes {
                let known = change.iter().all(|(key, _)| document.contains_key(key));
                document.extend(change);
                let text = Value::Object(document.clone()).to_string();
                let read = along(&mapping, &text, &before);
                prop_assert_eq!(read.is_some(), known);
                let wanted = whole(&mapping, &text).unwrap();
                if let Some(read) = &read {
                    prop_assert_eq!(said(read), said(&wanted));
                }
                before = read.unwrap_or(wanted);
            }
        }
    }
}
