//! JSON with the place of every token, for errors that point at it.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Number, Value};

use super::fault::{Fault, Parsed};
use super::syntax::{Inside, Refuse};
use crate::ProtocolError;

/// How deep values may be nested.
const MAX_DEPTH: usize = 127;

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
    /// There is no value at all.
    Nothing,
    /// No JSON, from here on.
    Broken(Box<Fault>),
}

/// A member of an object, with the place of its name.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) value: Located,
}

impl Located {
    /// Reads the first value of a body; what follows it is not looked at. Where the body is no JSON, what was read up
    /// to there ends in [`Kind::Broken`], so that an earlier mistake is told first.
    pub(super) fn parse(body: &[u8]) -> Parsed<Self> {
        let mut walk = Walk { body, pos: 0, line: 1, line_start: 0, broken: false, refuse: Refuse(body) };
        walk.skip_space();
        if walk.peek().is_none() {
            let at = At { line: 1, col: 0 };
            return Ok(Self { at, end: at, kind: Kind::Nothing });
        }
        let whole = walk.value(Inside::Root, 0);
        match whole.kind {
            Kind::Broken(fault) => Err(*fault),
            _ => Ok(whole),
        }
    }

    /// Why reading stopped inside of this value.
    pub(super) fn broken(&self) -> Option<&Fault> {
        match &self.kind {
            Kind::Broken(fault) => Some(fault),
            Kind::Array(items) => items.last().and_then(Self::broken),
            Kind::Object(members) => members.last().and_then(|member| member.value.broken()),
            _ => None,
        }
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
            Kind::Nothing | Kind::Broken(_) => "null",
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// The value without the places.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null | Kind::Nothing | Kind::Broken(_) => Value::Null,
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

/// How a body is no JSON; nothing where its first value is.
#[must_use]
pub fn malformed(body: &[u8]) -> Option<ProtocolError> {
    match Located::parse(body) {
        Err(fault) => Some(fault.into()),
        Ok(value) => value.broken().map(|fault| fault.clone().into()),
    }
}

struct Walk<'b> {
    body: &'b [u8],
    pos: usize,
    line: usize,
    line_start: usize,
    /// Whether something was met that is no JSON: nothing more is read then.
    broken: bool,
    refuse: Refuse<'b>,
}

impl Walk<'_> {
    fn at(&self) -> At {
        At { line: self.line, col: self.pos - self.line_start + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.pos).copied()
    }

    /// The character at hand, for a refusal.
    fn found(&self) -> char {
        let rest = self.body.get(self.pos..).unwrap_or_default();
        let end = rest.len().min(4);
        String::from_utf8_lossy(&rest[..end]).chars().next().unwrap_or_default()
    }

    fn step(&mut self) {
        let newline = self.peek() == Some(b'\n');
        self.pos += 1;
        if newline {
            self.line += 1;
            self.line_start = self.pos;
        }
    }

    /// Steps over space and comments.
    fn skip_space(&mut self) {
        loop {
            while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.step();
            }
            let end: &[u8] = match self.body.get(self.pos..self.pos + 2) {
                Some(b"//") => b"\n",
                Some(b"/*") => b"*/",
                _ => return,
            };
            self.pos += 2;
            while self.pos < self.body.len() && !self.body[self.pos..].starts_with(end) {
                self.step();
            }
            for _ in 0..end.len().min(self.body.len() - self.pos) {
                self.step();
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

    fn stop(&mut self, fault: Fault) -> Located {
        self.broken = true;
        Located { at: fault.at, end: fault.at, kind: Kind::Broken(Box::new(fault)) }
    }

    fn value(&mut self, inside: Inside, depth: usize) -> Located {
        self.skip_space();
        let at = self.at();
        let read = match self.peek() {
            None => Err(self.refuse.unfinished(at, inside)),
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(self.refuse.too_deep(at, MAX_DEPTH)),
            Some(b'{') => return self.object(at, depth + 1),
            Some(b'[') => return self.array(at, depth + 1),
            Some(b'"') => self.text(false).map(Kind::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' => self.word(),
            Some(byte @ (b']' | b'}')) if matches!(inside, Inside::Root) => {
                Err(self.refuse.wrong_bracket(at, char::from(byte), inside))
            }
            Some(_) => Err(self.refuse.no_value(at, self.found(), inside)),
        };
        match read {
            Ok(kind) => Located { at, end: at, kind },
            Err(fault) => self.stop(fault),
        }
    }

    /// Whether another member or item follows (a comma is stepped over), or the bracket.
    fn goes_on(&mut self, inside: Inside, first: bool) -> Parsed<bool> {
        self.skip_space();
        let at = self.at();
        let own = if matches!(inside, Inside::Array(_)) { b']' } else { b'}' };
        match self.peek() {
            None => Err(self.refuse.unclosed(at, inside)),
            Some(byte) if byte == own => Ok(false),
            Some(byte @ (b']' | b'}')) => Err(self.refuse.wrong_bracket(at, char::from(byte), inside)),
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.pos += 1;
                self.skip_space();
                if self.peek().is_none() { Err(self.refuse.unfinished(self.at(), inside)) } else { Ok(true) }
            }
            Some(_) => Err(self.refuse.no_comma(at, self.found(), inside)),
        }
    }

    fn array(&mut self, at: At, depth: usize) -> Located {
        self.pos += 1;
        let inside = Inside::Array(at);
        let mut items = Vec::new();
        loop {
            match self.goes_on(inside, items.is_empty()) {
                Ok(true) => items.push(self.value(inside, depth)),
                Ok(false) => {
                    let end = self.at();
                    self.pos += 1;
                    return Located { at, end, kind: Kind::Array(items) };
                }
                Err(fault) => items.push(self.stop(fault)),
            }
            if self.broken {
                return Located { at, end: self.at(), kind: Kind::Array(items) };
            }
        }
    }

    fn object(&mut self, at: At, depth: usize) -> Located {
        self.pos += 1;
        let inside = Inside::Object(at);
        let mut members: Vec<Member> = Vec::new();
        let mut seen = HashSet::new();
        loop {
            match self.goes_on(inside, members.is_empty()) {
                Ok(true) => members.push(self.member(inside, &mut seen, depth)),
                Ok(false) => {
                    let end = self.at();
                    self.pos += 1;
                    return Located { at, end, kind: Kind::Object(members) };
                }
                Err(fault) => {
                    let value = self.stop(fault);
                    members.push(Member { name: String::new(), at: value.at, value });
                }
            }
            if self.broken {
                return Located { at, end: self.at(), kind: Kind::Object(members) };
            }
        }
    }

    fn member(&mut self, inside: Inside, seen: &mut HashSet<String>, depth: usize) -> Member {
        let at = self.at();
        match self.name(inside, seen) {
            Ok(name) => Member { name, at, value: self.value(inside, depth) },
            Err(fault) => Member { name: String::new(), at, value: self.stop(fault) },
        }
    }

    /// A name that did not come before, and its colon.
    fn name(&mut self, inside: Inside, seen: &mut HashSet<String>) -> Parsed<String> {
        if self.peek() != Some(b'"') {
            return Err(self.refuse.no_name(self.at(), self.found()));
        }
        let name = self.text(true)?;
        if !seen.insert(name.clone()) {
            return Err(self.refuse.duplicate(self.at(), &name));
        }
        if self.take(b':') {
            return Ok(name);
        }
        match self.peek() {
            None => Err(self.refuse.unfinished(self.at(), inside)),
            Some(_) => Err(self.refuse.no_colon(self.at(), self.found())),
        }
    }

    fn text(&mut self, name: bool) -> Parsed<String> {
        let start = self.pos;
        self.pos += 1;
        loop {
            match self.peek() {
                None if name => return Err(self.refuse.unfinished_name(self.at())),
                None => return Err(self.refuse.unfinished_text(self.at())),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(byte) if byte < b' ' => {
                    let what = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash \
                         to be included in {}",
                        if name { "name" } else { "string value" }
                    );
                    return Err(self.refuse.because(self.at(), &what));
                }
                Some(_) => self.pos += 1,
            }
        }
        self.pos += 1;
        let token = self.body.get(start..self.pos).unwrap_or_default();
        let text: Result<Cow<'_, str>, _> = serde_json::from_slice(token);
        text.map(Cow::into_owned).map_err(|error| self.misread(&error))
    }

    fn escape(&mut self) -> Parsed<()> {
        self.pos += 1;
        if self.peek().is_some_and(|byte| !br#""\/bfnrtu"#.contains(&byte)) {
            let found = self.found();
            let what = format!("Unrecognized character escape '{found}' (code {})", u32::from(found));
            return Err(self.refuse.because(self.at(), &what));
        }
        self.pos += 1;
        Ok(())
    }

    fn digits(&mut self, why: &str) -> Parsed<()> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            None => return Err(self.refuse.unfinished_number(self.at())),
            Some(_) => {
                let why = format!(" in numeric value: {why}");
                return Err(self.refuse.character(self.at(), self.found(), &why));
            }
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Kind> {
        let start = self.pos;
        self.pos += usize::from(self.peek() == Some(b'-'));
        let first = self.pos;
        self.digits("expected digit (0-9) to follow minus sign, for valid numeric value")?;
        if self.body[first] == b'0' && self.pos > first + 1 {
            self.pos = first + 1;
            return Err(self.refuse.because(self.at(), "Invalid numeric value: Leading zeroes not allowed"));
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits("Decimal point not followed by a digit")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits("Exponent indicator not followed by a digit")?;
        }
        let token = self.body.get(start..self.pos).unwrap_or_default();
        serde_json::from_slice(token).map(Kind::Number).map_err(|error| self.misread(&error))
    }

    fn word(&mut self) -> Parsed<Kind> {
        let start = self.pos;
        let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte) || !byte.is_ascii();
        while self.peek().is_some_and(part) {
            self.pos += 1;
        }
        let word = String::from_utf8_lossy(&self.body[start..self.pos]).into_owned();
        match word.as_str() {
            "null" => Ok(Kind::Null),
            "true" => Ok(Kind::Bool(true)),
            "false" => Ok(Kind::Bool(false)),
            _ => {
                // The character behind such a word counts as read, but not behind a known one.
                let mut at = self.at();
                at.col += usize::from(self.peek().is_some() && !matches!(word.as_str(), "NaN" | "Infinity"));
                Err(self.refuse.token(at, &word))
            }
        }
    }

    /// A text or number that is well formed and yet cannot be held.
    fn misread(&self, error: &serde_json::Error) -> Fault {
        let text = error.to_string();
        self.refuse.because(self.at(), text.split(" at line ").next().unwrap_or(&text))
    }
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
        let error = malformed(br#"{"a":1,"a":2}"#).unwrap();
        assert!(error.reason().starts_with("[1:11] Duplicate field 'a'\n at [Source: "), "{error:?}");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let table = [
            ("nonsense", "[1:9] Unrecognized token 'nonsense': was expecting (JSON String, Number,"),
            ("{\"a\":", "[1:6] Unexpected end of file"),
            ("{", "[1:2] Unexpected end of file"),
            ("{\"a", "[1:4] Unexpected end of file"),
            ("{\"a\" []}", "[1:6] Unexpected character ('[' (code 91)): was expecting a colon to separate"),
            (
                "{\"a\":1,}",
                "[1:8] Unexpected character ('}' (code 125)): was expecting double-quote to start",
            ),
            ("{'a':1}", "[1:2] Unexpected character (''' (code 39)): was expecting double-quote to start"),
            ("{\"a\":nul}", "[1:10] Unrecognized token 'nul': was"),
            (
                "{\"a\":01}",
                "[1:7] Invalid numeric value: Leading zeroes not allowed\n at [Source: (byte[])\"{",
            ),
            (
                "}",
                "[1:1] Unexpected close marker '}': expected ']' (for root starting at [Source: (byte[])\"}\"; ",
            ),
            ("{\"a\":[}", "[1:7] Unexpected close marker '}': expected ']' (for Array starting at"),
            ("{\"a\":[1,]}", "[1:9] Unexpected character (']' (code 93)): expected a value\n"),
            ("{\"a\":NaN}", "[1:9] Non-standard token 'NaN': enable"),
            (
                "{\"a\":-}",
                "[1:7] Unexpected character ('}' (code 125)) in numeric value: expected digit (0-9)",
            ),
            ("{\"a\":1.}", "[1:8] Unexpected character ('}' (code 125)) in numeric value: Decimal point not"),
            (
                "[1 2]",
                "[1:4] Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
            ),
        ];
        for (body, wanted) in table {
            let error = malformed(body.as_bytes()).unwrap();
            assert!(error.reason().starts_with(wanted), "{body}: {}", error.reason());
        }
        assert!(malformed("[".repeat(100_000).as_bytes()).is_some());
        for body in ["{} {}", "// c\n{/* d */\"a\"/**/:1}", "[]x"] {
            assert!(malformed(body.as_bytes()).is_none(), "{body}");
        }
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
