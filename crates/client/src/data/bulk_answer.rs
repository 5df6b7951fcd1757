use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::BulkOp;
use super::bulk_plain::read_plain;

/// Answer to a bulk request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkAnswer {
    /// Time the cluster took, in milliseconds.
    pub took_ms: u64,
    /// Whether some operation failed.
    pub errors: bool,
    /// One answer per operation, in the order of the request.
    pub items: Vec<BulkItem>,
    /// Bytes of the request's body as sent (compressed, where it was compressed).
    pub sent_bytes: u64,
}

/// Answer to one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkItem {
    /// What was asked.
    pub op: BulkOp,
    /// HTTP status of the operation.
    pub status: u16,
    /// The document's `_id`: another than the one sent where a pipeline changed it, the chosen one where none was
    /// sent; `None` where the answer has none, and after [`Client::bulk_of`](crate::Client::bulk_of) where it is the
    /// one sent.
    pub id: Option<Box<str>>,
    /// What was done; `None` when it failed.
    pub result: Option<BulkResult>,
    /// Why it failed.
    pub error: Option<Box<BulkError>>,
    /// The document's sequence number after the operation.
    pub seq_no: Option<u64>,
}

impl BulkItem {
    /// Whether the operation did what it should. A delete that found nothing did; a document that a pipeline dropped
    /// ([`BulkResult::Noop`]) did.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.error.is_none() && self.result.is_some()
    }

    /// Whether this operation, sent alone again later, may succeed: the cluster had no room (429) or could not
    /// serve (502, 503, 504).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.status, 429 | 502..=504)
    }
}

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BulkResult {
    /// A new document.
    Created,
    /// An existing document was replaced or changed.
    Updated,
    /// The document was deleted.
    Deleted,
    /// A delete found nothing.
    NotFound,
    /// Nothing was written.
    Noop,
}

impl BulkResult {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "created" => Self::Created,
            "updated" => Self::Updated,
            "deleted" => Self::Deleted,
            "not_found" => Self::NotFound,
            "noop" => Self::Noop,
            _ => return None,
        })
    }
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkError {
    /// Elasticsearch's type, such as `document_parsing_exception`.
    pub kind: String,
    /// Its reason with that of the innermost cause.
    pub reason: String,
}

impl fmt::Display for BulkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.reason)
    }
}

/// Reads an answer; only what is needed is kept. `expected` is the number of operations sent.
/// Ids that are the ones of `sent` are left out.
pub(super) fn read_answer<'a>(
    body: &[u8],
    expected: usize,
    sent: impl Fn(usize) -> Option<&'a str>,
) -> serde_json::Result<BulkAnswer> {
    if let Some(answer) = read_plain(body, expected, &sent) {
        return Ok(answer);
    }
    let mut answer = read_general(body, expected)?;
    for (at, item) in answer.items.iter_mut().enumerate() {
        item.id.take_if(|id| sent(at) == Some(id));
    }
    Ok(answer)
}

/// Reads any answer.
pub(super) fn read_general(body: &[u8], expected: usize) -> serde_json::Result<BulkAnswer> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let answer = AnswerSeed { expected }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(answer)
}

struct AnswerSeed {
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for AnswerSeed {
    type Value = BulkAnswer;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<BulkAnswer, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed {
    type Value = BulkAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer to a bulk request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BulkAnswer, A::Error> {
        let mut answer = BulkAnswer::default();
        let mut seen = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "took" => answer.took_ms = map.next_value()?,
                "errors" => answer.errors = map.next_value()?,
                "items" => {
                    seen = true;
                    answer.items = map.next_value_seed(ItemsSeed { expected: self.expected })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if seen { Ok(answer) } else { Err(A::Error::missing_field("items")) }
    }
}

struct ItemsSeed {
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for ItemsSeed {
    type Value = Vec<BulkItem>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed {
    type Value = Vec<BulkItem>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a bulk answer")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(self.expected);
        while let Some(Item(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// `{"index": {...}}`.
struct Item(BulkItem);

#[derive(Deserialize)]
struct ItemBody<'a> {
    #[serde(borrow, default)]
    _id: Option<Cow<'a, str>>,
    status: u16,
    #[serde(borrow, default)]
    result: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<ItemFault<'a>>,
    #[serde(default)]
    _seq_no: Option<i64>,
}

#[derive(Deserialize)]
struct ItemFault<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Box<ItemFault<'a>>>,
}

impl From<ItemFault<'_>> for BulkError {
    fn from(fault: ItemFault<'_>) -> Self {
        let mut reason = fault.reason.map(Cow::into_owned).unwrap_or_default();
        let mut cause = fault.caused_by;
        let mut innermost = None;
        while let Some(inner) = cause {
            innermost = inner.reason.or(innermost);
            cause = inner.caused_by;
        }
        if let Some(innermost) = innermost.filter(|text| !reason.contains(&**text)) {
            reason.push_str("; caused by: ");
            reason.push_str(&innermost);
        }
        Self { kind: fault.kind.map(Cow::into_owned).unwrap_or_default(), reason }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one item of a bulk answer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let name =
                    map.next_key::<Cow<'de, str>>()?.ok_or_else(|| A::Error::custom("an empty item"))?;
                let op = BulkOp::of_name(&name).ok_or_else(|| {
                    A::Error::unknown_variant(&name, &["index", "create", "update", "delete"])
                })?;
                let body: ItemBody<'de> = map.next_value()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Item(item(op, body)))
            }
        }
        deserializer.deserialize_map(One)
    }
}

fn item(op: BulkOp, body: ItemBody<'_>) -> BulkItem {
    BulkItem {
        op,
        status: body.status,
        id: body._id.map(|id| id.into_owned().into_boxed_str()),
        result: body.result.as_deref().and_then(BulkResult::of_name),
        error: body.error.map(|error| Box::new(error.into())),
        // A document that a pipeline dropped has -2 here.
        seq_no: body._seq_no.and_then(|seq_no| u64::try_from(seq_no).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_order_status_result_and_reasons() {
        let body = br#"{"errors":true,"took":7,"ingest_took":1,"items":[
            {"index":{"_index":"a","_id":"1","_version":1,"result":"created","_shards":{"total":2},"_seq_no":9,"_primary_term":1,"status":201}},
            {"index":{"_index":"a","_id":"2","status":400,"error":{"type":"document_parsing_exception","reason":"[1:5] failed to parse",
              "caused_by":{"type":"x","reason":"mid","caused_by":{"type":"number_format_exception","reason":"For input string: \"x\""}}}}},
            {"delete":{"_index":"a","_id":"3","_version":1,"result":"not_found","_seq_no":10,"status":404}},
            {"index":{"_index":"a","_id":"4","_version":-3,"result":"noop","_seq_no":-2,"_primary_term":0,"status":200}},
            {"create":{"_index":"a","_id":"5","status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}}
        ]}"#;
        let answer = read_answer(body, 5, |_| None).unwrap();
        assert!(answer.errors);
        assert_eq!(answer.took_ms, 7);
        let told: Vec<_> =
            answer.items.iter().map(|i| (i.status, i.result, i.is_done(), i.is_retryable())).collect();
        assert_eq!(
            told,
            [
                (201, Some(BulkResult::Created), true, false),
                (400, None, false, false),
                (404, Some(BulkResult::NotFound), true, false),
                (200, Some(BulkResult::Noop), true, false),
                (429, None, false, true),
            ]
        );
        let error = answer.items[1].error.as_ref().unwrap();
        assert_eq!(
            error.to_string(),
            "document_parsing_exception: [1:5] failed to parse; caused by: For input string: \"x\""
        );
        assert_eq!(answer.items[0].seq_no, Some(9));
        assert_eq!(answer.items[3].seq_no, None);
        assert_eq!(answer.items[3].id.as_deref(), Some("4"));
    }

    #[test]
    fn what_is_no_bulk_answer_is_refused() {
        for body in [
            "{}",
            "[]",
            r#"{"items":[{}]}"#,
            r#"{"items":[{"index":{}}]}"#,
            r#"{"items":[{"upsert":{"status":1}}]}"#,
        ] {
            assert!(read_answer(body.as_bytes(), 1, |_| None).is_err(), "{body}");
        }
    }
}
