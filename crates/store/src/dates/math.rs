//! Date math: `now-1d/d`, `2024-01-01||+1M/M`.

use super::calendar::{CalendarUnit, add_months, floor_to};
use super::{DateFormats, Zone};

/// The offset of a zone in milliseconds: `Z`, `UTC`, `+01:00`, `+0100`, `+01`.
pub(crate) fn parse_offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z" | "UTC" | "GMT" | "Etc/UTC") {
        return Some(0);
    }
    let negative = text.starts_with('-');
    let digits: String = text.strip_prefix(['+', '-'])?.chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 1 | 2 | 4 | 6) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |d| d.parse::<i64>().ok());
    let (hours, minutes) = (part(0..digits.len().min(2))?, part(2..4)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    let millis = (hours * 60 + minutes) * 60_000;
    Some(if negative { -millis } else { millis })
}

/// Resolves a date or a date math expression.
///
/// # Errors
/// A text in Elasticsearch's words.
pub(crate) fn resolve_math(
    formats: &DateFormats,
    text: &str,
    now_ms: i64,
    round_up: bool,
    zone: Zone,
) -> Result<i64, String> {
    let (base, math) = if let Some(math) = text.strip_prefix("now") {
        (now_ms, math)
    } else {
        let (date, math) = text.split_once("||").unwrap_or((text, ""));
        let round = round_up && math.is_empty();
        let parse = |offset| formats.parse(date, round, offset);
        // What the text means in the zone; a text that names its own zone is not affected.
        let millis = parse(0)
            .and_then(|local| parse(local - zone.to_utc(local)))
            .ok_or_else(|| format!("failed to parse date field [{date}] with format [{}]", formats.spec()))?;
        (millis, math)
    };
    apply(base, math, round_up, zone).ok_or_else(|| format!("operator not supported for date math [{math}]"))
}

fn unit_of(letter: char) -> Option<CalendarUnit> {
    Some(match letter {
        'y' => CalendarUnit::Year,
        'M' => CalendarUnit::Month,
        'w' => CalendarUnit::Week,
        'd' => CalendarUnit::Day,
        'h' | 'H' => CalendarUnit::Hour,
        'm' => CalendarUnit::Minute,
        's' => CalendarUnit::Second,
        _ => return None,
    })
}

/// A time some units later, or earlier when `count` is negative.
pub(crate) fn add(millis: i64, count: i64, unit: CalendarUnit) -> Option<i64> {
    match unit.fixed_millis() {
        Some(length) => millis.checked_add(length.checked_mul(count)?),
        None => Some(add_months(millis, unit.months().checked_mul(count)?)),
    }
}

fn apply(base: i64, math: &str, round_up: bool, zone: Zone) -> Option<i64> {
    if math.is_empty() {
        return Some(base);
    }
    let mut millis = base + zone.offset_at(base);
    let mut chars = math.chars().peekable();
    while let Some(operator) = chars.next() {
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let count: i64 = if digits.is_empty() { 1 } else { digits.parse().ok()? };
        let unit = unit_of(chars.next()?)?;
        millis = match operator {
            '+' => add(millis, count, unit)?,
            '-' => add(millis, -count, unit)?,
            '/' if digits.is_empty() => {
                let floor = floor_to(millis, unit);
                if round_up { add(floor, 1, unit)? - 1 } else { floor }
            }
            _ => return None,
        };
    }
    Some(zone.to_utc(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_math_table() {
        let day = 86_400_000;
        let now = 10 * day + 3_600_000;
        let table = [
            ("now", false, Ok(now)),
            ("now-1d", false, Ok(now - day)),
            ("now/d", false, Ok(10 * day)),
            ("now/d", true, Ok(11 * day - 1)),
            ("now-1d/d", false, Ok(9 * day)),
            ("now+1M", false, Ok(now + 31 * day)),
            ("1970-01-01||+2d", false, Ok(2 * day)),
            ("1970-01-15||/M", true, Ok(31 * day - 1)),
            ("now*2", false, Err(())),
            ("now-1", false, Err(())),
            ("yesterday", false, Err(())),
        ];
        for (text, up, wanted) in table {
            assert_eq!(
                resolve_math(&DateFormats::default(), text, now, up, Zone::default()).map_err(|_| ()),
                wanted,
                "{text}"
            );
        }
    }

    #[test]
    fn offsets_are_read_in_all_spellings() {
        let table = [
            ("Z", Some(0)),
            ("+01:00", Some(3_600_000)),
            ("-0130", Some(-5_400_000)),
            ("+2", Some(7_200_000)),
            ("x", None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_offset(text), wanted, "{text}");
        }
    }
}
