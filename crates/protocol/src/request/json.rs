//! JSON with the place of every token, for errors that point at it.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Number, Value};

use super::fault::{Cause, Fault, Parsed};

/// Line and column of a token, both from 1; columns count bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) col: usize,
}

/// A value and where it begins and ends.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) at: At,
    /// Its last token: the closing bracket of an object or array.
    pub(super) end: At,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Located>),
    Object(Vec<Member>),
}

/// A member of an object, with the place of its name.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) value: Located,
}

impl Located {
    /// Reads a body that holds one value.
    pub(super) fn parse(body: &[u8]) -> Parsed<Self> {
        // Checks the syntax and the depth, so that the walk below meets only what it knows.
        if let Err(error) = serde_json::from_slice::<Value>(body) {
            return Err(malformed(&error));
        }
        let mut walk = Walk { body, pos: 0, line: 1, line_start: 0 };
        walk.value()
    }

    /// Elasticsearch's name for the first token.
    pub(super) fn token(&self) -> &'static str {
        match self.kind {
            Kind::Null => "VALUE_NULL",
            Kind::Bool(_) => "VALUE_BOOLEAN",
            Kind::Number(_) => "VALUE_NUMBER",
            Kind::Text(_) => "VALUE_STRING",
            Kind::Array(_) => "START_ARRAY",
            Kind::Object(_) => "START_OBJECT",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value without the places.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::Array(items) => items.iter().map(Self::to_value).collect(),
            Kind::Object(members) => Value::Object(
                members.iter().map(|member| (member.name.clone(), member.value.to_value())).collect(),
            ),
        }
    }
}

/// A body that is not JSON.
fn malformed(error: &serde_json::Error) -> Fault {
    let at = At { line: error.line(), col: error.column() };
    if error.is_eof() {
        let inner = format!("Unexpected end-of-input\n at line: {}, column: {}", at.line, at.col);
        let cause = Cause::new("json_e_o_f_exception", inner);
        return Fault::of(
            at,
            Cause::new("x_content_e_o_f_exception", format!("{at} Unexpected end of file")).because(cause),
        );
    }
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    let cause = Cause::new("json_parse_exception", message);
    Fault::of(at, Cause::new("x_content_parse_exception", format!("{at} {message}")).because(cause))
}

struct Walk<'b> {
    body: &'b [u8],
    pos: usize,
    line: usize,
    line_start: usize,
}

impl Walk<'_> {
    fn at(&self) -> At {
        At { line: self.line, col: self.pos - self.line_start + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.pos).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek().filter(u8::is_ascii_whitespace) {
            self.pos += 1;
            if byte == b'\n' {
                self.line += 1;
                self.line_start = self.pos;
            }
        }
    }

    /// Steps over `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let there = self.peek() == Some(byte);
        self.pos += usize::from(there);
        there
    }

    fn value(&mut self) -> Parsed<Located> {
        self.skip_space();
        let at = self.at();
        match self.peek() {
            Some(b'{') => self.object(at),
            Some(b'[') => self.array(at),
            Some(b'"') => Ok(Located { at, end: at, kind: Kind::Text(self.text(at)?) }),
            _ => self.scalar(at),
        }
    }

    fn array(&mut self, at: At) -> Parsed<Located> {
        self.pos += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            let end = self.at();
            if self.take(b']') {
                return Ok(Located { at, end, kind: Kind::Array(items) });
            }
            items.push(self.value()?);
            self.take(b',');
        }
    }

    fn object(&mut self, at: At) -> Parsed<Located> {
        self.pos += 1;
        let mut members: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        loop {
            self.skip_space();
            let name_at = self.at();
            if self.take(b'}') {
                return Ok(Located { at, end: name_at, kind: Kind::Object(members) });
            }
            let name = self.text(name_at)?;
            if !seen.insert(name.clone()) {
                return Err(duplicate(name_at, &name));
            }
            self.take(b':');
            let value = self.value()?;
            members.push(Member { name, at: name_at, value });
            self.take(b',');
        }
    }

    fn text(&mut self, at: At) -> Parsed<String> {
        let start = self.pos;
        self.pos += 1;
        while let Some(byte) = self.peek() {
            self.pos += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        let token = self.body.get(start..self.pos).unwrap_or_default();
        let text: Cow<'_, str> = serde_json::from_slice(token).map_err(|error| misread(at, &error))?;
        Ok(text.into_owned())
    }

    fn scalar(&mut self, at: At) -> Parsed<Located> {
        let start = self.pos;
        while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",]}".contains(&byte)) {
            self.pos += 1;
        }
        let token = self.body.get(start..self.pos).unwrap_or_default();
        let kind = match serde_json::from_slice(token).map_err(|error| misread(at, &error))? {
            Value::Bool(flag) => Kind::Bool(flag),
            Value::Number(number) => Kind::Number(number),
            _ => Kind::Null,
        };
        Ok(Located { at, end: at, kind })
    }
}

fn misread(at: At, error: &serde_json::Error) -> Fault {
    Fault::of(at, Cause::new("x_content_parse_exception", format!("{at} {error}")))
}

fn duplicate(at: At, name: &str) -> Fault {
    let message = format!("Duplicate field '{name}'");
    let cause = Cause::new("json_parse_exception", message.clone());
    Fault::of(at, Cause::new("x_content_parse_exception", format!("{at} {message}")).because(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_token_knows_its_place() {
        let body = Located::parse(b"{\n  \"a\": [1, {\"b\":\"x\"}],\n\"\\u0063\":null }").unwrap();
        let Kind::Object(members) = &body.kind else { panic!("not an object") };
        assert_eq!(body.end, At { line: 3, col: 15 });
        assert_eq!((members[0].at, members[0].value.at), (At { line: 2, col: 3 }, At { line: 2, col: 8 }));
        assert_eq!((members[1].name.as_str(), members[1].at), ("c", At { line: 3, col: 1 }));
        assert_eq!(body.to_value(), json!({"a": [1, {"b": "x"}], "c": null}));
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let error = Located::parse(br#"{"a":1,"a":2}"#).unwrap_err();
        assert_eq!(error.cause.reason, "[1:8] Duplicate field 'a'");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        assert_eq!(Located::parse(b"{\"a\":").unwrap_err().cause.es_type, "x_content_e_o_f_exception");
        assert_eq!(Located::parse(b"{a}").unwrap_err().cause.es_type, "x_content_parse_exception");
        assert!(Located::parse(b"{} {}").is_err());
        assert!(Located::parse("[".repeat(100_000).as_bytes()).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\\n{}\\[\\]:, é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\]{0,3}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reading_with_places_reads_the_same_values(value in any_json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(Located::parse(text.as_bytes()).unwrap().to_value(), value);
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Located::parse(&body);
        }
    }
}
