//! `strict_date_optional_time`: a year at least, then month, day, `T`, time and zone as far as given.

use super::calendar::{fields_of, millis_of};
use super::math::parse_offset;
use super::pattern::offset_text;

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Digits: exactly `max` when strict, one to `max` otherwise.
    fn number(&mut self, max: usize, strict: bool) -> Option<u32> {
        let count = self.rest.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
        if count == 0 || (strict && count != max) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Fields as far as they were written.
#[derive(Default)]
struct Parts {
    year: i32,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    minute: Option<u32>,
    second: Option<u32>,
    milli: Option<u32>,
}

fn time_of_day(cursor: &mut Cursor<'_>, parts: &mut Parts, strict: bool) -> Option<()> {
    if !cursor.rest.first().is_some_and(u8::is_ascii_digit) {
        return Some(());
    }
    parts.hour = Some(cursor.number(2, strict)?);
    if cursor.eat(b':') {
        parts.minute = Some(cursor.number(2, strict)?);
        if cursor.eat(b':') {
            parts.second = Some(cursor.number(2, strict)?);
            if cursor.eat(b'.') || cursor.eat(b',') {
                let digits = cursor.rest.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
                if digits == 0 {
                    return None;
                }
                let text = std::str::from_utf8(&cursor.rest[..digits]).ok()?;
                parts.milli = format!("{text:0<3}").get(..3)?.parse().ok();
                cursor.rest = &cursor.rest[digits..];
            }
        }
    }
    Some(())
}

/// Reads a date; see [`super::DateFormats::parse`].
pub(super) fn parse(text: &str, strict: bool, round_up: bool, offset_ms: i64) -> Option<i64> {
    let mut cursor = Cursor { rest: text.as_bytes() };
    let negative = cursor.eat(b'-');
    let before = cursor.rest.len();
    let year = cursor.number(if negative { 9 } else { 4 }, strict && !negative)? as i32;
    if strict && before - cursor.rest.len() < 4 {
        return None;
    }
    let mut parts = Parts { year: if negative { -year } else { year }, ..Parts::default() };
    if cursor.eat(b'-') {
        parts.month = Some(cursor.number(2, strict)?);
        if cursor.eat(b'-') {
            parts.day = Some(cursor.number(2, strict)?);
        }
    }
    let mut offset = offset_ms;
    if cursor.eat(b'T') {
        time_of_day(&mut cursor, &mut parts, strict)?;
        if !cursor.rest.is_empty() {
            offset = parse_offset(std::str::from_utf8(cursor.rest).ok()?)?;
            cursor.rest = &[];
        }
    }
    if !cursor.rest.is_empty() {
        return None;
    }
    finish(&parts, round_up).map(|millis| millis - offset)
}

/// Rounding up fills the time of day only: a month means its first day then too, as in Elasticsearch.
fn finish(parts: &Parts, round_up: bool) -> Option<i64> {
    let fill = |value: Option<u32>, high: u32| value.unwrap_or(if round_up { high } else { 0 });
    let (hour, minute, second) = (fill(parts.hour, 23), fill(parts.minute, 59), fill(parts.second, 59));
    let (month, day) = (parts.month.unwrap_or(1), parts.day.unwrap_or(1));
    millis_of((parts.year, month, day, hour, minute, second, fill(parts.milli, 999)))
}

/// `1970-01-01T00:00:00.000Z`, or with an offset `1970-01-01T01:00:00.000+01:00`.
pub(super) fn format(millis: i64, offset_ms: i64) -> String {
    let (year, month, day, hour, minute, second, milli) = fields_of(millis.saturating_add(offset_ms));
    let sign = match year {
        ..0 => "-",
        10_000.. => "+",
        _ => "",
    };
    let zone = if offset_ms == 0 { "Z".to_owned() } else { offset_text(offset_ms, true) };
    let year = year.unsigned_abs();
    format!("{sign}{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}{zone}")
}
