//! A pull reader over one JSON text. It keeps byte offsets (for error positions and for borrowing strings instead of
//! copying them) and hands numbers over as written, which a generic deserialiser does not.

use std::borrow::Cow;

/// How deep objects and arrays may nest; Elasticsearch's parser stops at 1,000 too, long before a stack does.
pub(crate) const MAX_DEPTH: usize = 500;

/// One scalar, or the beginning of a container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    /// The number as written.
    Number(&'a str),
    Str(Cow<'a, str>),
    ObjectStart,
    ArrayStart,
}

/// The text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

type Result<T> = std::result::Result<T, JsonError>;

/// Reads a JSON text value by value.
pub(crate) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pos: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), pos: 0, depth: 0 }
    }

    /// The offset of the next unread byte.
    pub(crate) fn offset(&self) -> usize {
        self.pos
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(JsonError { offset: self.pos, message: message.into() })
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T> {
        match self.text.get(self.pos..).and_then(|rest| rest.chars().next()) {
            None => self.fail(format!("Unexpected end-of-input: expected {wanted}")),
            Some(c) => self.fail(format!(
                "Unexpected character ('{}' (code {})): expected {wanted}",
                c.escape_default(),
                c as u32
            )),
        }
    }

    /// Skips white space and returns the next byte without consuming it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.pos) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.pos += 1;
        }
        None
    }

    /// Reads a scalar whole, or the opening of a container.
    pub(crate) fn token(&mut self) -> Result<Token<'a>> {
        match self.peek() {
            Some(b'"') => Ok(Token::Str(self.string()?)),
            Some(b'{') => self.open().map(|()| Token::ObjectStart),
            Some(b'[') => self.open().map(|()| Token::ArrayStart),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'n') => self.word("null", Token::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.unexpected("a value"),
        }
    }

    fn open(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({MAX_DEPTH})",
                self.depth
            ));
        }
        self.pos += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>> {
        let end = self.pos + word.len();
        let boundary = self.bytes.get(end).is_none_or(|b| !b.is_ascii_alphanumeric());
        if self.bytes.get(self.pos..end) == Some(word.as_bytes()) && boundary {
            self.pos = end;
            return Ok(token);
        }
        self.fail("Unrecognized token: was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')")
    }

    fn digits(&mut self) -> usize {
        let start = self.pos;
        while self.bytes.get(self.pos).is_some_and(u8::is_ascii_digit) {
            self.pos += 1;
        }
        self.pos - start
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let start = self.pos;
        if self.bytes.get(self.pos) == Some(&b'-') {
            self.pos += 1;
        }
        let first = self.bytes.get(self.pos).copied();
        let count = self.digits();
        if count == 0 || (count > 1 && first == Some(b'0')) {
            return self.fail("Invalid numeric value: Leading zeroes not allowed");
        }
        if self.bytes.get(self.pos) == Some(&b'.') {
            self.pos += 1;
            if self.digits() == 0 {
                return self.unexpected("a digit after the decimal point");
            }
        }
        if matches!(self.bytes.get(self.pos), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.bytes.get(self.pos), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            if self.digits() == 0 {
                return self.unexpected("a digit in the exponent");
            }
        }
        if self.pos - start > 1_000 {
            return self.fail("Number value length exceeds the maximum allowed (1000)");
        }
        Ok(Token::Number(self.text.get(start..self.pos).unwrap_or("0")))
    }

    /// Reads a string; borrowed from the text unless it holds escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return self.unexpected("a string");
        }
        self.pos += 1;
        let start = self.pos;
        loop {
            match self.bytes.get(self.pos) {
                Some(b'"') => {
                    let raw = self.text.get(start..self.pos).unwrap_or_default();
                    self.pos += 1;
                    return Ok(Cow::Borrowed(raw));
                }
                Some(b'\\') => return self.escaped_string(start).map(Cow::Owned),
                Some(0..=0x1f) => {
                    return self
                        .fail("Illegal unquoted character in a string: control characters must be escaped");
                }
                Some(_) => self.pos += 1,
                None => return self.fail("Unexpected end-of-input in VALUE_STRING"),
            }
        }
    }

    fn escaped_string(&mut self, start: usize) -> Result<String> {
        let mut out = String::with_capacity(64);
        let mut clean = start;
        loop {
            match self.bytes.get(self.pos) {
                Some(b'"') => {
                    out.push_str(self.text.get(clean..self.pos).unwrap_or_default());
                    self.pos += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(self.text.get(clean..self.pos).unwrap_or_default());
                    self.pos += 1;
                    self.escape(&mut out)?;
                    clean = self.pos;
                }
                Some(0..=0x1f) => {
                    return self
                        .fail("Illegal unquoted character in a string: control characters must be escaped");
                }
                Some(_) => self.pos += 1,
                None => return self.fail("Unexpected end-of-input in VALUE_STRING"),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<()> {
        let c = match self.bytes.get(self.pos) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.pos += 1;
                out.push(self.unicode_escape()?);
                return Ok(());
            }
            _ => return self.fail("Unrecognized character escape"),
        };
        self.pos += 1;
        out.push(c);
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.bytes.get(self.pos..self.pos + 4).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(value) =
            digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u32::from_str_radix(d, 16).ok())
        else {
            return self.fail("Unexpected character in a \\u escape: expected four hex digits");
        };
        self.pos += 4;
        Ok(value)
    }

    /// A lone surrogate cannot be stored in UTF-8; it becomes the replacement character, as in Lucene's conversion.
    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes.get(self.pos..self.pos + 2) == Some(b"\\u") {
            let back = self.pos;
            self.pos += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            self.pos = back;
        }
        Ok(char::from_u32(first).unwrap_or('\u{fffd}'))
    }

    /// The next key of the object that was opened; `None` at its end.
    /// `first` must be true for the first call after `ObjectStart`.
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>> {
        if self.member(first)? { self.member_key().map(Some) } else { Ok(None) }
    }

    /// Whether another member of the object that was opened follows; the reader then stands at the quote of its key.
    pub(crate) fn member(&mut self, first: &mut bool) -> Result<bool> {
        match self.peek() {
            Some(b'}') => {
                self.pos += 1;
                self.depth -= 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.pos += 1,
            Some(_) if *first => {}
            _ => return self.unexpected("comma to separate Object entries"),
        }
        *first = false;
        if self.peek() != Some(b'"') {
            return self.unexpected("double-quote to start field name");
        }
        Ok(true)
    }

    /// The key before which the reader stands, and its colon.
    pub(crate) fn member_key(&mut self) -> Result<Cow<'a, str>> {
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.unexpected("a colon to separate field name and value");
        }
        self.pos += 1;
        Ok(key)
    }

    /// Skips a whole member that reads as this one, which was read before: only if it ends there, as a number may go on.
    pub(crate) fn skip_same(&mut self, member: &str) -> bool {
        let end = self.pos + member.len();
        let same = self.bytes.get(self.pos..end) == Some(member.as_bytes())
            && matches!(self.bytes.get(end), Some(b',' | b'}'));
        if same {
            self.pos = end;
        }
        same
    }

    /// Whether another element of the opened array follows; the reader then stands before it.
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool> {
        match self.peek() {
            Some(b']') => {
                self.pos += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !*first => {
                self.pos += 1;
                Ok(true)
            }
            Some(_) if *first => {
                *first = false;
                Ok(true)
            }
            _ => self.unexpected("comma to separate Array entries"),
        }
    }

    /// Skips the rest of a value whose token was just read.
    pub(crate) fn skip_rest(&mut self, token: &Token<'a>) -> Result<()> {
        let mut first = true;
        match token {
            Token::ObjectStart => {
                while self.key(&mut first)?.is_some() {
                    self.skip()?;
                }
            }
            Token::ArrayStart => {
                while self.element(&mut first)? {
                    self.skip()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Skips one whole value.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let token = self.token()?;
        self.skip_rest(&token)
    }

    /// Checks that nothing but white space follows.
    #[cfg(test)]
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.unexpected("the end of the document") } else { Ok(()) }
    }
}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn line_col(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    (line, before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<()> {
        let mut reader = Reader::new(text);
        reader.skip()?;
        reader.end()
    }

    #[test]
    fn accepts_what_serde_json_accepts_and_refuses_what_it_refuses() {
        let table = [
            "{}",
            "[]",
            "null",
            "true",
            "-0",
            "0.5e-3",
            "1E+9",
            "\"\\u00e9\\n\"",
            "{\"a\":[1,{\"b\":null}]}",
            " [ 1 , 2 ] ",
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{,}",
            "01",
            "1.",
            ".5",
            "1e",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "[1 2]",
            "{\"a\":1,}",
            "1 2",
            "'a'",
            "\"\u{1}\"",
            "{1:2}",
            "-",
            "+1",
            "[",
            "]",
            "\"\\u12\"",
        ];
        for text in table {
            let wanted = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(check(text).is_ok(), wanted, "{text}");
        }
    }

    #[test]
    fn strings_equal_serde_jsons() {
        for text in [r#""a\tb\"\\\/""#, r#""\ud83d\ude00x""#, r#""plain é""#] {
            let wanted: String = serde_json::from_str(text).unwrap();
            assert_eq!(Reader::new(text).string().unwrap(), wanted);
        }
    }

    #[test]
    fn nesting_is_limited() {
        let text = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        assert!(check(&text).unwrap_err().message.contains("nesting"));
    }

    #[test]
    fn line_and_column_count_from_one() {
        assert_eq!(line_col("{\n \"a\": x", 8), (2, 7));
        assert_eq!(line_col("{", 0), (1, 1));
    }
}
