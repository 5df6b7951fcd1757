//! Reading objects member by member, with the refusals of connector-api 2.3.

use serde_json::{Map, Value};

use super::fault::{Cause, Fault, Parsed};
use super::json::{At, Kind, Located};
use super::suggest::did_you_mean;
use crate::Time;
use crate::time;

/// What kinds of values a key takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Text,
    TextOrNull,
    /// `true`, `false`, also as texts.
    Flag,
    /// A number, also as text.
    Number,
    Object,
    ObjectOrNull,
    /// An array of objects, or one object.
    Objects,
    /// An array of texts, or one text.
    Texts,
    ObjectOrArray,
    /// Anything; the key's own reader decides.
    Anything,
}

impl Takes {
    fn admits(self, value: &Located) -> bool {
        let kind = &value.kind;
        match self {
            Self::Text => matches!(kind, Kind::Text(_)),
            Self::TextOrNull => matches!(kind, Kind::Text(_) | Kind::Null),
            Self::Flag => matches!(kind, Kind::Bool(_) | Kind::Text(_)),
            Self::Number => matches!(kind, Kind::Number(_) | Kind::Text(_)),
            Self::Object => matches!(kind, Kind::Object(_)),
            Self::ObjectOrNull => matches!(kind, Kind::Object(_) | Kind::Null),
            Self::Objects | Self::ObjectOrArray => matches!(kind, Kind::Object(_) | Kind::Array(_)),
            Self::Texts => matches!(kind, Kind::Text(_) | Kind::Array(_)),
            Self::Anything => true,
        }
    }
}

/// A key that an object may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    name: &'static str,
    takes: Takes,
    required: bool,
}

pub(super) const fn required(name: &'static str, takes: Takes) -> Key {
    Key { name, takes, required: true }
}

pub(super) const fn optional(name: &'static str, takes: Takes) -> Key {
    Key { name, takes, required: false }
}

/// An object as its parser knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The parser's name, as refusals show it.
    pub(super) parser: &'static str,
    /// Whether an unknown key is refused; else it is dropped.
    pub(super) strict: bool,
    pub(super) keys: &'static [Key],
}

impl Shape {
    /// Hands every known member to `each`, in the order of the body, then checks that nothing required is missing.
    pub(super) fn read(
        &self,
        object: &Located,
        mut each: impl FnMut(&'static str, &Located) -> Parsed<()>,
    ) -> Parsed<()> {
        let members = match &object.kind {
            Kind::Object(members) => members,
            Kind::Broken(fault) => return Err((**fault).clone()),
            _ => {
                let message = format!("Expected START_OBJECT but was: {}", object.token());
                return Err(Fault::parser(object.at, self.parser, message));
            }
        };
        for member in members {
            if let Kind::Broken(fault) = &member.value.kind {
                return Err((**fault).clone());
            }
            let Some(key) = self.keys.iter().find(|key| key.name == member.name) else {
                if self.strict {
                    return Err(self.unknown(&member.name, member.at));
                }
                if let Some(fault) = member.value.broken() {
                    return Err(fault.clone());
                }
                continue;
            };
            if !key.takes.admits(&member.value) {
                let message =
                    format!("{} doesn't support values of type: {}", key.name, member.value.token());
                return Err(Fault::parser(member.value.at, self.parser, message));
            }
            let read = each(key.name, &member.value);
            let read = read.and_then(|()| member.value.broken().map_or(Ok(()), |fault| Err(fault.clone())));
            read.map_err(|fault| fault.in_field(self.parser, key.name))?;
        }
        let given = |key: &&Key| members.iter().any(|member| member.name == key.name);
        let missing: Vec<&str> =
            self.keys.iter().filter(|key| key.required && !given(key)).map(|key| key.name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Fault::illegal(object.end, format!("Required [{}]", missing.join(", "))))
    }

    fn unknown(&self, name: &str, at: At) -> Fault {
        let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        Fault::parser(at, self.parser, format!("unknown field [{name}]{}", did_you_mean(name, &known)))
    }

    /// The refusal of an object whose members were all read but make no sense. Building begins with the last of the
    /// declared keys, where all were sent, so the refusal then names that key.
    pub(super) fn unbuildable(&self, object: &Located, cause: Cause) -> Fault {
        let Kind::Object(members) = &object.kind else { return Fault::build(object.end, self.parser, cause) };
        let known: Vec<_> =
            members.iter().filter(|member| self.keys.iter().any(|key| key.name == member.name)).collect();
        match known.last() {
            Some(last) if known.len() == self.keys.len() => {
                Fault::build(last.value.end, self.parser, cause).in_field(self.parser, &last.name)
            }
            _ => Fault::build(object.end, self.parser, cause),
        }
    }
}

impl Located {
    /// A text; null is none.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text that is not null.
    pub(super) fn string(&self) -> Parsed<String> {
        match &self.kind {
            Kind::Text(text) => Ok(text.clone()),
            _ => Err(self.unsupported("a string")),
        }
    }

    pub(super) fn flag(&self) -> Parsed<bool> {
        match &self.kind {
            Kind::Bool(flag) => Ok(*flag),
            Kind::Text(text) if text == "true" => Ok(true),
            Kind::Text(text) if text == "false" => Ok(false),
            Kind::Text(text) => {
                let reason = format!("Failed to parse value [{text}] as only [true] or [false] are allowed.");
                Err(Fault::illegal(self.at, reason))
            }
            _ => Err(self.unsupported("a boolean")),
        }
    }

    /// A 64-bit number; fractions are cut off.
    pub(super) fn long(&self) -> Parsed<i64> {
        self.whole("a", "long", i64::MIN, i64::MAX, "illegal_argument_exception")
    }

    /// A 32-bit number; fractions are cut off.
    pub(super) fn int(&self) -> Parsed<i64> {
        let (least, most) = (i32::MIN.into(), i32::MAX.into());
        self.whole("an", "integer", least, most, "number_format_exception")
    }

    /// A whole number within limits; `unread` is the type of the refusal of a text that is no number.
    fn whole(&self, article: &str, kind: &str, least: i64, most: i64, unread: &'static str) -> Parsed<i64> {
        let (shown, number) = match &self.kind {
            Kind::Number(number) => (number.to_string(), true),
            Kind::Text(text) => (text.clone(), false),
            _ => return Err(self.unsupported("a number")),
        };
        let read = match shown.parse::<i128>() {
            Ok(exact) => Some(exact),
            // Casting cuts the fraction off, and brings what is too large to the edge of the range.
            Err(_) => shown.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as i128),
        };
        match read {
            None => Err(Fault::of(self.at, Cause::new(unread, format!("For input string: \"{shown}\"")))),
            Some(value) => match i64::try_from(value) {
                Ok(value) if (least..=most).contains(&value) => Ok(value),
                _ if number => Err(self.beyond(&shown, kind, least, most)),
                _ => {
                    let reason = format!("Value [{shown}] is out of range for {article} {kind}");
                    Err(Fault::illegal(self.at, reason))
                }
            },
        }
    }

    /// A number that the type does not hold is refused by the reader of JSON, at its end.
    fn beyond(&self, shown: &str, kind: &str, least: i64, most: i64) -> Fault {
        let kind = if kind == "integer" { "int" } else { kind };
        let reason = format!("Numeric value ({shown}) out of range of {kind} ({least} - {most})");
        let end = At { col: self.at.col + shown.len(), ..self.at };
        let cause = Cause::new("input_coercion_exception", reason.clone());
        Fault::of(self.at, Cause::new("x_content_parse_exception", format!("{end} {reason}")).because(cause))
    }

    /// An instant, in the form in which it is stored.
    pub(super) fn instant(&self) -> Parsed<Value> {
        let text = self.string()?;
        let time = parse_instant(&text).ok_or_else(|| {
            let reason = format!("Text '{text}' could not be parsed at index 0");
            Fault::of(self.at, Cause::new("date_time_parse_exception", reason))
        })?;
        Ok(Value::String(time::format(time)))
    }

    /// The items of an array, or the value itself as the only one.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// An array of texts, or one text.
    pub(super) fn texts(&self) -> Parsed<Value> {
        self.items().iter().map(|item| item.string().map(Value::String)).collect()
    }

    /// The value of an object.
    pub(super) fn map(&self) -> Map<String, Value> {
        match self.to_value() {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn unsupported(&self, wanted: &str) -> Fault {
        if let Kind::Broken(fault) = &self.kind {
            return (**fault).clone();
        }
        Fault::illegal(self.at, format!("Expected {wanted} but found [{}]", self.token()))
    }

    /// Matches a text against the words of an enum, in any letter case.
    pub(super) fn word<T>(&self, type_name: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let text = self.string()?;
        read(&text).ok_or_else(|| Fault::illegal(self.at, format!("Unknown {type_name} [{text}].")))
    }
}

/// An ISO-8601 date and time with `Z` or an offset, or milliseconds since 1970 (connector-api 2.10).
fn parse_instant(text: &str) -> Option<Time> {
    if let Ok(millis) = text.parse::<i64>() {
        return Time::from_timestamp_millis(millis);
    }
    if text.contains(char::is_whitespace) || fraction_digits(text) > 9 {
        return None;
    }
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
        .iter()
        .find_map(|form| chrono::DateTime::parse_from_str(text, form).ok())
        .map(|time| time.with_timezone(&chrono::Utc))
}

fn fraction_digits(text: &str) -> usize {
    let fraction = text.split_once('.').map_or("", |(_, rest)| rest);
    fraction.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        parser: "p",
        strict: true,
        keys: &[required("a", Takes::Number), required("b", Takes::Text), optional("flag", Takes::Flag)],
    };

    fn reason(shape: &Shape, body: &str) -> String {
        let read = shape.read(&Located::parse(body.as_bytes()).unwrap(), |key, value| match key {
            "a" => value.int().map(drop),
            "flag" => value.flag().map(drop),
            _ => value.string().map(drop),
        });
        read.err().map_or_else(String::new, |fault| fault.cause.reason)
    }

    #[test]
    fn refusals_name_place_parser_and_key() {
        let table = [
            (r#"{"a":1,"b":"x"}"#, ""),
            (r#"{"a":"1.9","b":"x","flag":"true"}"#, ""),
            (r#"[]"#, "[1:1] [p] Expected START_OBJECT but was: START_ARRAY"),
            (r#"{"flags":1}"#, "[1:2] [p] unknown field [flags] did you mean [flag]?"),
            (r#"{"zzz":1}"#, "[1:2] [p] unknown field [zzz]"),
            ("{\n \"a\": {}}", "[2:7] [p] a doesn't support values of type: START_OBJECT"),
            (r#"{"a":null}"#, "[1:6] [p] a doesn't support values of type: VALUE_NULL"),
            (r#"{"a":"x"}"#, "[1:6] [p] failed to parse field [a]"),
            (r#"{"flag":"yes"}"#, "[1:9] [p] failed to parse field [flag]"),
            ("{}", "Required [a, b]"),
        ];
        for (body, wanted) in table {
            assert_eq!(reason(&SHAPE, body), wanted, "{body}");
        }
        assert_eq!(reason(&Shape { strict: false, ..SHAPE }, r#"{"zzz":1,"a":1,"b":""}"#), "");
    }

    /// Taken from what Elasticsearch 9.4 says of the numbers of an index template and a search.
    #[test]
    fn numbers_beyond_their_type_are_refused() {
        let read = |text: &str, long: bool| {
            let value = Located::parse(text.as_bytes()).unwrap();
            if long { value.long() } else { value.int() }
        };
        for (text, wanted) in [
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("\"9223372036854775807\"", i64::MAX),
            ("\"1e3\"", 1000),
            ("-1.9", -1),
        ] {
            assert_eq!(read(text, true), Ok(wanted), "{text}");
        }
        let long = "out of range of long (-9223372036854775808 - 9223372036854775807)";
        let int = "out of range of int (-2147483648 - 2147483647)";
        let (parse, illegal) = ("x_content_parse_exception", "illegal_argument_exception");
        let table = [
            (
                "9223372036854775808",
                true,
                parse,
                format!("[1:20] Numeric value (9223372036854775808) {long}"),
            ),
            ("1e30", true, parse, format!(") {long}")),
            ("2147483648", false, parse, format!("[1:11] Numeric value (2147483648) {int}")),
            (
                "\"9223372036854775808\"",
                true,
                illegal,
                "Value [9223372036854775808] is out of range for a long".into(),
            ),
            ("\"2147483648\"", false, illegal, "Value [2147483648] is out of range for an integer".into()),
            ("\"abc\"", true, illegal, "For input string: \"abc\"".into()),
            ("\"abc\"", false, "number_format_exception", "For input string: \"abc\"".into()),
        ];
        for (text, is_long, es_type, wanted) in table {
            let cause = read(text, is_long).unwrap_err().cause;
            assert_eq!(cause.es_type, es_type, "{text}");
            assert!(cause.reason.ends_with(&wanted), "{text}: {} does not end with {wanted}", cause.reason);
        }
    }

    #[test]
    fn instants_need_a_time_and_an_offset() {
        for (text, stored) in [
            ("2023-05-25T12:30:00.000Z", "2023-05-25T12:30:00.000Z"),
            ("2023-05-25T12:30:00Z", "2023-05-25T12:30:00.000Z"),
            ("2023-05-25T12:30:00.123456789+02:00", "2023-05-25T10:30:00.123456789Z"),
            ("2023-05-25T12:30Z", "2023-05-25T12:30:00.000Z"),
            ("1685017800567", "2023-05-25T12:30:00.567Z"),
        ] {
            assert_eq!(parse_instant(text).map(time::format).as_deref(), Some(stored), "{text}");
        }
        for text in
            ["", "now", "2023-05-25", "2023-05-25T12:30:00", "2023-05-25 12:30:00Z", "2023-13-25T12:30:00Z"]
        {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }
}
