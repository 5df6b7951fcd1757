//! From a key's value to the text that is indexed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::config::Format;
use crate::python;

/// Bytes as Redis keeps them.
pub(crate) type Bytes = Vec<u8>;

/// An entry of a stream: its id, names and values.
pub(crate) type Entry = (Bytes, Vec<(Bytes, Bytes)>);

/// Marks what is no UTF-8, and so is written in base64.
const BINARY: &str = "base64:";

/// What a key holds. Members without an order of their own are sorted, so that equal values are equal texts.
#[derive(Debug, PartialEq)]
pub(crate) enum Held {
    Text(Bytes),
    /// Of the JSON module.
    Json(Bytes),
    Hash(Vec<(Bytes, Bytes)>),
    List(Vec<Bytes>),
    Set(Vec<Bytes>),
    /// Members with their scores, lowest first.
    Scored(Vec<(Bytes, f64)>),
    /// Entries of a stream: their ids and fields.
    Entries(Vec<Entry>),
}

/// A value as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// Whether something in it is written in base64.
    pub(crate) has_binary: bool,
}

/// Writes a value. `key` is the key's name, which Python shows with a stream.
pub(crate) fn write(held: Held, key: &[u8], format: Format) -> Written {
    let mut writer = Writer { has_binary: false };
    let text = match format {
        Format::Json => writer.json(held),
        Format::Python => writer.python(held, key),
    };
    Written { text, has_binary: writer.has_binary }
}

struct Writer {
    has_binary: bool,
}

impl Writer {
    fn text(&mut self, bytes: Bytes) -> String {
        String::from_utf8(bytes).unwrap_or_else(|error| {
            self.has_binary = true;
            format!("{BINARY}{}", BASE64_STANDARD.encode(error.as_bytes()))
        })
    }

    fn json(&mut self, held: Held) -> String {
        match held {
            Held::Text(bytes) | Held::Json(bytes) => self.text(bytes),
            Held::Hash(pairs) => Value::Object(self.object(pairs)).to_string(),
            Held::List(items) | Held::Set(items) => self.array(items).to_string(),
            Held::Scored(members) => {
                let pair = |(member, score)| Value::Array(vec![self.text(member).into(), number(score)]);
                Value::Array(members.into_iter().map(pair).collect()).to_string()
            }
            Held::Entries(entries) => {
                let entry =
                    |(id, pairs)| Value::Array(vec![self.text(id).into(), Value::Object(self.object(pairs))]);
                Value::Array(entries.into_iter().map(entry).collect()).to_string()
            }
        }
    }

    fn object(&mut self, pairs: Vec<(Bytes, Bytes)>) -> Map<String, Value> {
        pairs.into_iter().map(|(name, value)| (self.text(name), self.text(value).into())).collect()
    }

    fn array(&mut self, items: Vec<Bytes>) -> Value {
        items.into_iter().map(|item| Value::from(self.text(item))).collect()
    }

    fn python(&mut self, held: Held, key: &[u8]) -> String {
        match held {
            Held::Text(bytes) | Held::Json(bytes) => {
                let text = self.text(bytes);
                serde_json::from_str(&text).map_or(text, |value| python::str(&value))
            }
            Held::Hash(pairs) => python::str(&Value::Object(self.object(pairs))),
            Held::List(items) => python::str(&self.array(items)),
            Held::Set(items) if items.is_empty() => "set()".to_owned(),
            Held::Set(items) => {
                let items: Vec<String> =
                    items.into_iter().map(|item| python::repr(&self.text(item).into())).collect();
                format!("{{{}}}", items.join(", "))
            }
            Held::Scored(members) => python::list(members.into_iter().map(|(member, score)| {
                format!("({}, {})", python::repr(&self.text(member).into()), python::float(score))
            })),
            Held::Entries(entries) => {
                let key = python::repr(&self.text(key.to_vec()).into());
                let entries = python::list(entries.into_iter().map(|(id, pairs)| {
                    let id = python::repr(&self.text(id).into());
                    format!("({id}, {})", python::repr(&Value::Object(self.object(pairs))))
                }));
                format!("[[{key}, {entries}]]")
            }
        }
    }
}

/// Scores may be infinite, which JSON has no number for.
fn number(score: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if score.fract() == 0.0 && score.abs() < EXACT {
        #[allow(clippy::cast_possible_truncation, reason = "whole, and small enough")]
        return Value::from(score as i64);
    }
    serde_json::Number::from_f64(score).map_or_else(|| Value::from(python::float(score)), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        text.as_bytes().to_vec()
    }

    fn both(held: impl Fn() -> Held) -> (String, String) {
        (write(held(), b"st", Format::Json).text, write(held(), b"st", Format::Python).text)
    }

    fn pair(json: &str, python: &str) -> (String, String) {
        (json.to_owned(), python.to_owned())
    }

    #[test]
    fn every_type_has_its_json_and_its_python_text() {
        let text = |text: &'static str| both(move || Held::Text(bytes(text)));
        assert_eq!(text("hello"), pair("hello", "hello"));
        assert_eq!(
            text(r#"{"a":1,"b":[true,null]}"#),
            pair(r#"{"a":1,"b":[true,null]}"#, "{'a': 1, 'b': [True, None]}")
        );
        assert_eq!(both(|| Held::Json(bytes("[1.0,\"it's\"]"))), pair("[1.0,\"it's\"]", "[1.0, \"it's\"]"));
        assert_eq!(
            both(|| Held::Hash(vec![(bytes("f1"), bytes("v1"))])),
            pair(r#"{"f1":"v1"}"#, "{'f1': 'v1'}")
        );
        assert_eq!(both(|| Held::List(vec![bytes("a"), bytes("b")])), pair(r#"["a","b"]"#, "['a', 'b']"));
        assert_eq!(both(|| Held::Set(vec![bytes("x"), bytes("y")])), pair(r#"["x","y"]"#, "{'x', 'y'}"));
        assert_eq!(
            both(|| Held::Scored(vec![(bytes("a"), 1.0), (bytes("b"), 2.5), (bytes("c"), f64::INFINITY)])),
            pair(r#"[["a",1],["b",2.5],["c","inf"]]"#, "[('a', 1.0), ('b', 2.5), ('c', inf)]")
        );
        assert_eq!(
            both(|| Held::Entries(vec![(bytes("1-1"), vec![(bytes("f"), bytes("v"))])])),
            pair(r#"[["1-1",{"f":"v"}]]"#, "[['st', [('1-1', {'f': 'v'})]]]")
        );
    }

    #[test]
    fn what_is_no_utf_8_is_kept_in_base64_and_told() {
        let written = write(Held::List(vec![bytes("a"), vec![0xFF, 0]]), b"k", Format::Json);
        assert_eq!(written, Written { text: r#"["a","base64:/wA="]"#.to_owned(), has_binary: true });
        let written = write(Held::Text(vec![0xFF, 0]), b"k", Format::Python);
        assert_eq!(written, Written { text: "base64:/wA=".to_owned(), has_binary: true });
    }
}
