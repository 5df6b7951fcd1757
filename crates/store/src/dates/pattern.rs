//! Date patterns in Java's letters, the part of them that date formats use.

use super::calendar::{fields_of, millis_of};
use super::math::parse_offset;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Literal(String),
    Year(usize),
    Month(usize),
    Day(usize),
    Weekday(usize),
    Hour24(usize),
    Hour12(usize),
    AmPm,
    Minute(usize),
    Second(usize),
    Fraction(usize),
    Zone { colon: bool, zulu: bool },
    OptionalStart,
    OptionalEnd,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Default, Clone)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    half: Option<u32>,
    pm: Option<bool>,
    minute: Option<u32>,
    second: Option<u32>,
    milli: Option<u32>,
    offset: Option<i64>,
}

impl Pattern {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let mut literal = String::new();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(inner) => literal.push(inner),
                        None => return Err("Pattern ends with an incomplete string literal".to_owned()),
                    }
                }
                items.push(Item::Literal(if literal.is_empty() { "'".to_owned() } else { literal }));
                continue;
            }
            let mut count = 1;
            if c.is_ascii_alphabetic() {
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
            }
            items.push(item(c, count)?);
        }
        if items.is_empty() { Err("No date pattern provided".to_owned()) } else { Ok(Self(items)) }
    }

    pub(super) fn parse(&self, text: &str, round_up: bool, offset_ms: i64) -> Option<i64> {
        let mut parts = Parts::default();
        let rest = parse_items(&self.0, text, &mut parts)?;
        if rest.is_empty() { finish(&parts, round_up, offset_ms) } else { None }
    }

    pub(super) fn format(&self, millis: i64, offset_ms: i64) -> String {
        let millis = millis.saturating_add(offset_ms);
        let (year, month, day, hour, minute, second, milli) = fields_of(millis);
        let mut out = String::new();
        for item in &self.0 {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Year(2) => out.push_str(&format!("{:02}", year.rem_euclid(100))),
                Item::Year(width) => out.push_str(&format!("{year:0width$}")),
                Item::Month(width @ 3..) => out.push_str(name(&MONTHS, month as usize - 1, *width)),
                Item::Weekday(width) => {
                    let index = (millis.div_euclid(86_400_000) + 3).rem_euclid(7) as usize;
                    out.push_str(name(&DAYS, index, *width));
                }
                Item::Month(width) => out.push_str(&format!("{month:0width$}")),
                Item::Day(width) => out.push_str(&format!("{day:0width$}")),
                Item::Hour24(width) => out.push_str(&format!("{hour:0width$}")),
                Item::Hour12(width) => out.push_str(&format!("{:0width$}", (hour + 11) % 12 + 1)),
                Item::AmPm => out.push_str(if hour < 12 { "AM" } else { "PM" }),
                Item::Minute(width) => out.push_str(&format!("{minute:0width$}")),
                Item::Second(width) => out.push_str(&format!("{second:0width$}")),
                Item::Fraction(width) => {
                    let digits = format!("{milli:03}000000");
                    out.push_str(digits.get(..(*width).min(9)).unwrap_or(&digits));
                }
                Item::Zone { zulu: true, .. } if offset_ms == 0 => out.push('Z'),
                Item::Zone { colon, .. } => out.push_str(&offset_text(offset_ms, *colon)),
                Item::OptionalStart | Item::OptionalEnd => {}
            }
        }
        out
    }
}

/// An offset from UTC, `+01:00` or `+0100`.
pub(super) fn offset_text(offset_ms: i64, colon: bool) -> String {
    let minutes = offset_ms.abs() / 60_000;
    let sign = if offset_ms < 0 { '-' } else { '+' };
    format!("{sign}{:02}{}{:02}", minutes / 60, if colon { ":" } else { "" }, minutes % 60)
}

fn name(names: &'static [&'static str], index: usize, width: usize) -> &'static str {
    let full = names.get(index).copied().unwrap_or_default();
    if width >= 4 { full } else { full.get(..3).unwrap_or(full) }
}

fn item(c: char, count: usize) -> Result<Item, String> {
    Ok(match c {
        'y' | 'u' | 'Y' => Item::Year(count),
        'M' | 'L' => Item::Month(count),
        'd' => Item::Day(count),
        'E' => Item::Weekday(count),
        'H' => Item::Hour24(count),
        'h' => Item::Hour12(count),
        'a' => Item::AmPm,
        'm' => Item::Minute(count),
        's' => Item::Second(count),
        'S' => Item::Fraction(count),
        'X' => Item::Zone { colon: count >= 3, zulu: true },
        'Z' => Item::Zone { colon: count >= 5, zulu: false },
        'x' => Item::Zone { colon: count >= 3, zulu: false },
        '[' => Item::OptionalStart,
        ']' => Item::OptionalEnd,
        c if c.is_ascii_alphabetic() => return Err(format!("Unknown pattern letter: {c}")),
        c => Item::Literal(c.to_string()),
    })
}

/// Matches the items against the text's beginning and returns what is left of it.
fn parse_items<'t>(items: &[Item], text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let mut rest = text;
    let mut index = 0;
    while let Some(item) = items.get(index) {
        if *item == Item::OptionalStart {
            let end = closing(items, index);
            let mut attempt = parts.clone();
            if let Some(after) =
                items.get(index + 1..end).and_then(|inner| parse_items(inner, rest, &mut attempt))
            {
                (rest, *parts) = (after, attempt);
            }
            index = end + 1;
            continue;
        }
        rest = parse_item(item, items.get(index + 1), rest, parts)?;
        index += 1;
    }
    Some(rest)
}

fn closing(items: &[Item], open: usize) -> usize {
    let mut depth = 0;
    for (index, item) in items.iter().enumerate().skip(open) {
        match item {
            Item::OptionalStart => depth += 1,
            Item::OptionalEnd => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    items.len()
}

fn number(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if count < min {
        return None;
    }
    let (digits, rest) = text.split_at(count);
    Some((digits.parse().ok()?, rest))
}

fn named<'t>(text: &'t str, names: &[&str], width: usize) -> Option<(u32, &'t str)> {
    names.iter().enumerate().find_map(|(index, full)| {
        let wanted = if width >= 4 { full } else { full.get(..3)? };
        let head = text.get(..wanted.len())?;
        head.eq_ignore_ascii_case(wanted).then(|| (index as u32 + 1, &text[wanted.len()..]))
    })
}

fn parse_item<'t>(item: &Item, next: Option<&Item>, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let adjacent = matches!(
        next,
        Some(
            Item::Year(_)
                | Item::Month(_)
                | Item::Day(_)
                | Item::Hour24(_)
                | Item::Minute(_)
                | Item::Second(_)
        )
    );
    let field = |width: usize| {
        if width >= 2 || adjacent { number(text, width.max(1), 2) } else { number(text, 1, 2) }
    };
    let (slot, (value, rest)) = match item {
        Item::Literal(literal) => return text.strip_prefix(literal.as_str()),
        Item::Year(2) => {
            let (value, rest) = number(text, 2, 2)?;
            parts.year = Some(2000 + value as i32);
            return Some(rest);
        }
        Item::Year(width) => {
            let (value, rest) = number(text, (*width).min(4), 4)?;
            parts.year = Some(value as i32);
            return Some(rest);
        }
        Item::AmPm => {
            let head = text.get(..2)?;
            parts.pm = Some(head.eq_ignore_ascii_case("pm"));
            return (parts.pm == Some(true) || head.eq_ignore_ascii_case("am")).then(|| &text[2..]);
        }
        Item::Fraction(width) => {
            let count = text.bytes().take((*width).max(9)).take_while(u8::is_ascii_digit).count();
            let (digits, rest) = text.split_at(count);
            parts.milli = format!("{digits:0<3}").get(..3)?.parse().ok();
            return (count > 0).then_some(rest);
        }
        Item::Zone { .. } => {
            let text = text.strip_prefix(' ').unwrap_or(text);
            parts.offset = Some(parse_offset(text)?);
            return Some("");
        }
        Item::OptionalStart | Item::OptionalEnd => return Some(text),
        Item::Weekday(width) => return named(text, &DAYS, *width).map(|(_, rest)| rest),
        Item::Month(width @ 3..) => (&mut parts.month, named(text, &MONTHS, *width)?),
        Item::Month(width) => (&mut parts.month, field(*width)?),
        Item::Day(width) => (&mut parts.day, field(*width)?),
        Item::Hour24(width) => (&mut parts.hour, field(*width)?),
        Item::Hour12(width) => (&mut parts.half, field(*width)?),
        Item::Minute(width) => (&mut parts.minute, field(*width)?),
        Item::Second(width) => (&mut parts.second, field(*width)?),
    };
    *slot = Some(value);
    Some(rest)
}

/// Rounding up fills the time of day only, see [`super::iso`].
fn finish(parts: &Parts, round_up: bool, offset_ms: i64) -> Option<i64> {
    let fill = |value: Option<u32>, high: u32| value.unwrap_or(if round_up { high } else { 0 });
    let hour = parts.half.map(|half| half % 12 + if parts.pm == Some(true) { 12 } else { 0 }).or(parts.hour);
    let (hour, minute, second) = (fill(hour, 23), fill(parts.minute, 59), fill(parts.second, 59));
    let (year, month, day) = (parts.year.unwrap_or(1970), parts.month.unwrap_or(1), parts.day.unwrap_or(1));
    let millis = millis_of((year, month, day, hour, minute, second, fill(parts.milli, 999)))?;
    Some(millis - parts.offset.unwrap_or(offset_ms))
}
