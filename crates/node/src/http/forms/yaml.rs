//! YAML, read and written as Elasticsearch's parser does: 1.1, one document, no anchors.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};
use serde_json::Value;

use super::Json;

/// Where lines of long texts are broken.
const WIDTH: usize = 80;

/// Reads the first document as JSON.
pub(super) fn read(body: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), json: Json::default() };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(reader.json.out),
            event => reader.value(event)?,
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    json: Json,
}

fn refused(error: &ScanError) -> String {
    let at = error.marker();
    format!("line {}, column {}: {}", at.line(), at.col() + 1, error.info())
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(refused(&error)),
            None => Ok(Event::StreamEnd),
        }
    }

    /// Steps through one value, without a stack: how deep it may be is for [`Json`] to say.
    fn value(&mut self, first: Event<'t>) -> Result<(), String> {
        let mut event = first;
        loop {
            match event {
                Event::Scalar(text, style, _, tag) => {
                    let plain = style == ScalarStyle::Plain && tag.is_none();
                    match typed(&text) {
                        Some(token) if plain && !self.json.wants_name() => self.json.token(&token),
                        _ => self.json.text(&text),
                    }
                }
                Event::MappingStart(..) | Event::SequenceStart(..) if self.json.wants_name() => {
                    return Err("a name is no text".into());
                }
                Event::MappingStart(..) => self.json.begin(true)?,
                Event::SequenceStart(..) => self.json.begin(false)?,
                Event::MappingEnd | Event::SequenceEnd => self.json.end(),
                Event::Alias(_) => return Err("aliases are not read".into()),
                _ => return Err("it ends too soon".into()),
            }
            if self.json.open.is_empty() {
                return Ok(());
            }
            event = self.next()?;
        }
    }
}

/// What a text without quotes stands for, as JSON; nothing if it is a text.
fn typed(text: &str) -> Option<String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some("null".into()),
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some("true".into()),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some("false".into()),
        _ => number(text),
    }
}

fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("-", rest) => ("-", rest),
        ("+", rest) => ("", rest),
        _ => ("", text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') || digits.ends_with('_') {
        return None;
    }
    let digits = digits.replace('_', "");
    let of = |radix, digits: &str| Some(format!("{sign}{}", u64::from_str_radix(digits, radix).ok()?));
    if let Some(digits) = digits.strip_prefix("0x") {
        return of(16, digits);
    }
    if let Some(digits) = digits.strip_prefix("0b") {
        return of(2, digits);
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return if digits.len() > 1 && digits.starts_with('0') {
            of(8, &digits)
        } else {
            Some(format!("{sign}{digits}"))
        };
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return None;
    }
    let float: f64 = format!("{sign}{digits}").parse().ok()?;
    Some(serde_json::Number::from_f64(float)?.to_string())
}

/// A value as YAML: blocks for what has content.
pub(super) fn write(value: &Value) -> Vec<u8> {
    let mut writer = Writer { out: String::from("---"), column: 3 };
    match value {
        Value::Object(members) if !members.is_empty() => writer.members(members, 0, true),
        Value::Array(items) if !items.is_empty() => writer.items(items, 0, true),
        scalar => writer.scalar(scalar, 2),
    }
    writer.out.push('\n');
    writer.out.into_bytes()
}

struct Writer {
    out: String,
    column: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    /// Members, the first of them on a line of its own unless it follows a dash.
    fn members(&mut self, members: &serde_json::Map<String, Value>, indent: usize, own_line: bool) {
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 || own_line {
                self.line(indent);
            } else {
                self.put(" ");
            }
            self.name(name, indent);
            self.put(":");
            match value {
                Value::Object(members) if !members.is_empty() => self.members(members, indent + 2, true),
                // Dashes stand below the name.
                Value::Array(items) if !items.is_empty() => self.items(items, indent, true),
                scalar => self.scalar(scalar, indent + 2),
            }
        }
    }

    fn items(&mut self, items: &[Value], indent: usize, own_line: bool) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 || own_line {
                self.line(indent);
            } else {
                self.put(" ");
            }
            self.put("-");
            match item {
                Value::Object(members) if !members.is_empty() => self.members(members, indent + 2, false),
                Value::Array(items) if !items.is_empty() => self.items(items, indent + 2, false),
                scalar => self.scalar(scalar, indent + 2),
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        self.put(" ");
        match value {
            Value::String(text) => self.quoted(text, indent, true),
            other => self.put(&other.to_string()),
        }
    }

    fn name(&mut self, name: &str, indent: usize) {
        match quotes(name) {
            Quotes::None => self.put(name),
            Quotes::Single => self.put(&format!("'{}'", name.replace('\'', "''"))),
            Quotes::Double => self.quoted(name, indent, false),
        }
    }

    /// A text in double quotes, broken at a space once a line is full.
    fn quoted(&mut self, text: &str, indent: usize, broken: bool) {
        let chars: Vec<char> = text.chars().collect();
        self.put("\"");
        // Of the plain characters that are gathered, the first.
        let mut start = 0;
        for end in 0..=chars.len() {
            let next = chars.get(end).copied();
            if next.is_none_or(|c| matches!(c, '"' | '\\') || !(' '..='~').contains(&c)) {
                self.put(&chars[start..end].iter().collect::<String>());
                start = end;
                if let Some(c) = next {
                    self.put(&escaped(c));
                    start += 1;
                }
            }
            let inside = 0 < end && end + 1 < chars.len();
            let full = self.column + end.saturating_sub(start) > WIDTH;
            if broken && inside && full && (next == Some(' ') || start >= end) {
                self.put(&chars[start.min(end)..end].iter().collect::<String>());
                start = start.max(end);
                self.put("\\");
                self.line(indent);
                if chars[start] == ' ' {
                    self.put("\\");
                }
            }
        }
        self.put("\"");
    }
}

fn escaped(c: char) -> String {
    match c {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\0' => "\\0".into(),
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\t' => "\\t".into(),
        '\n' => "\\n".into(),
        '\u{b}' => "\\v".into(),
        '\u{c}' => "\\f".into(),
        '\r' => "\\r".into(),
        '\u{1b}' => "\\e".into(),
        '\u{85}' => "\\N".into(),
        '\u{a0}' => "\\_".into(),
        '\u{2028}' => "\\L".into(),
        '\u{2029}' => "\\P".into(),
        // What YAML does not count as printable.
        c if c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c) => format!("\\x{:02x}", u32::from(c)),
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    }
}

enum Quotes {
    None,
    Single,
    Double,
}

/// How a name is quoted: double where it could be taken for another type, single where it would not be read as one text.
fn quotes(name: &str) -> Quotes {
    const RESERVED: [&str; 11] = ["false", "n", "no", "null", "on", "off", "true", "y", "yes", "~", ""];
    let cased = |word: &&str| {
        name == *word || name == word.to_uppercase() || {
            let mut chars = word.chars();
            let first = chars.next().map(|c| c.to_ascii_uppercase());
            name.chars().eq(first.into_iter().chain(chars))
        }
    };
    let numeric = name.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c));
    if numeric
        || RESERVED.iter().any(cased)
        || name.chars().any(|c| escaped(c) != c.to_string() && !"\"\\\u{a0}".contains(c))
    {
        return Quotes::Double;
    }
    let marked = name.starts_with(|c: char| "#,[]{}&*!|>'\"%@`".contains(c))
        || name.starts_with([' ', '?', ':'])
            && name.get(1..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        || name.starts_with(' ')
        || name.ends_with([' ', ':'])
        || name.contains(": ")
        || name.contains(" #");
    if marked { Quotes::Single } else { Quotes::None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Taken from the answers of Elasticsearch 9.4.
    #[test]
    fn values_are_written_as_elasticsearch_writes_them() {
        let value = json!({
            "_index": "ym", "found": true,
            "_source": {
                "long": "aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb",
                "nl": "a\nb\tc\u{1} \"q\" \\ é 日 😀",
                "list": [1, [2, [3, 4], []], {"a": 1, "b": [{"c": 2, "d": 3}]}, "s", null, 1.5],
                "y": 1, "yes": 2, "5abc": 3, "a b": 4, "a:b": 5, "-x": 7, "Off": 8, "é": 9, "e": {}, "l": [],
                "#c": 1, "a#b": 1, "=": 1, "a]": 1, "?q": 1, "a ": 1, "a: b": 1, "a:": 1, "a #b": 1, "{": 1
            }
        });
        let wanted = "---\n_index: \"ym\"\nfound: true\n_source:\n  long: \"aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa bbbb aaaa\\\n    \\ bbbb aaaa bbbb\"\n  nl: \"a\\nb\\tc\\x01 \\\"q\\\" \\\\ é 日 😀\"\n  list:\n  - 1\n  - - 2\n    - - 3\n      - 4\n    - []\n  - a: 1\n    b:\n    - c: 2\n      d: 3\n  - \"s\"\n  - null\n  - 1.5\n  \"y\": 1\n  \"yes\": 2\n  \"5abc\": 3\n  a b: 4\n  a:b: 5\n  \"-x\": 7\n  \"Off\": 8\n  é: 9\n  e: {}\n  l: []\n  '#c': 1\n  a#b: 1\n  =: 1\n  a]: 1\n  ?q: 1\n  'a ': 1\n  'a: b': 1\n  'a:': 1\n  'a #b': 1\n  '{': 1\n";
        assert_eq!(String::from_utf8(write(&value)).unwrap(), wanted);
        assert_eq!(write(&json!([])), b"--- []\n");
        assert_eq!(write(&json!([{"index": "ax"}])), b"---\n- index: \"ax\"\n");
    }

    /// Taken from what Elasticsearch 9.4 made of them.
    #[test]
    fn plain_texts_are_typed_as_in_yaml_1_1() {
        let text = "a: yes\nb: 0x10\nc: 1_000\nd: .5\ne: +5\nf: 012\ng: ~\nh:\ni: TRUE\nk: 1e3\nl: 2024-01-01\nm: 0o17\nn: \"5\"\no: on\np: -5\nq: Null\ns: 1.\nt: 0b11\nu: !!str 5\nv: |\n  a\n  b\nw: &x 1\n";
        let read: Value = serde_json::from_str(&read(text.as_bytes()).unwrap()).unwrap();
        let wanted = json!({"a": true, "b": 16, "c": 1000, "d": 0.5, "e": 5, "f": 10, "g": null, "h": null, "i": true,
            "k": 1000.0, "l": "2024-01-01", "m": "0o17", "n": "5", "o": true, "p": -5, "q": null, "s": 1.0, "t": 3,
            "u": "5", "v": "a\nb\n", "w": 1});
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (text, wanted) in [
            ("a: [1", "line 2"),
            ("a: &x 1\nb: *x", "aliases are not read"),
            ("[a]: 1", "a name is no text"),
            ("a: 'b", "line"),
        ] {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.contains(wanted), "{text}: {why}");
        }
    }
}
