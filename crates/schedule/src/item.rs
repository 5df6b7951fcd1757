//! One item of a field's comma list.

use crate::error::CronError;
use crate::field::Field;

const TOO_LARGE_FOR_W: &str =
    "the 'W' option does not make sense with values larger than 31 (max number of days in a month)";

/// What an item means, its values checked against the field's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// `?`: the field says nothing.
    Unspecified,
    /// Values from `from` in steps; `to` absent only for years whose end is open. `to` below `from` wraps around.
    Span { from: u32, to: Option<u32>, step: u32 },
    /// `L`, `L-n`, `LW`, `L-nW` in the day of month.
    LastDay { offset: u32, nearest_weekday: bool },
    /// `aW`.
    NearestWeekday(u32),
    /// `aL` in the day of week.
    LastWeekday(u32),
    /// `a#k`.
    NthWeekday { weekday: u32, nth: u32 },
}

impl Item {
    fn one(value: u32) -> Self {
        Self::Span { from: value, to: Some(value), step: 1 }
    }
}

/// Reads an item that is not empty and already upper-cased.
pub(crate) fn read(text: &[char], field: Field) -> Result<Item, CronError> {
    let reader = Reader { text, field };
    match reader.peek(0) {
        Some('A'..='Z') if !reader.is_last_day() => reader.name(),
        Some('?') => reader.unspecified(),
        Some('*' | '/') => reader.every(),
        Some('L') => reader.last(),
        Some('0'..='9') => reader.number(),
        other => Err(reader.unexpected(other, 0)),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a [char],
    field: Field,
}

impl Reader<'_> {
    fn peek(&self, at: usize) -> Option<char> {
        self.text.get(at).copied()
    }

    fn part(&self, from: usize, to: usize) -> String {
        let to = to.min(self.text.len());
        self.text.get(from..to).unwrap_or_default().iter().collect()
    }

    fn unexpected(&self, found: Option<char>, at: usize) -> CronError {
        match found {
            Some(found) => {
                CronError::at(self.field, at, format_args!("Unexpected character [{found}]")).trailing(" ")
            }
            None => CronError::at(self.field, at, "Unexpected end of string."),
        }
    }

    fn in_range(&self, value: u32) -> Result<u32, CronError> {
        let fits = value >= self.field.min() && self.field.max().is_none_or(|max| value <= max);
        if fits || self.field == Field::Year {
            Ok(value)
        } else {
            Err(CronError::field(self.field, self.field.range_text()))
        }
    }

    /// The digits from `at` on and the place after them.
    fn digits(&self, at: usize) -> Result<(u32, usize), CronError> {
        let mut end = at;
        let mut value: u32 = 0;
        while let Some(digit) = self.peek(end).and_then(|c| c.to_digit(10)) {
            value = value
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(digit))
                .filter(|value| *value <= i32::MAX.unsigned_abs())
                .ok_or_else(|| CronError::field(self.field, self.field.range_text()))?;
            end += 1;
        }
        if end == at { Err(self.unexpected(self.peek(at), at)) } else { Ok((value, end)) }
    }

    /// `L`, `LW`, `L-` with digits and perhaps `W`: the only words that are not names.
    fn is_last_day(&self) -> bool {
        let rest = match self.text {
            ['L'] | ['L', 'W'] => return true,
            ['L', '-', rest @ ..] => rest,
            _ => return false,
        };
        let digits = rest.strip_suffix(&['W']).unwrap_or(rest);
        digits.iter().all(char::is_ascii_digit)
    }

    /// `NAM`, `NAM-NAM`, `NAML`, `NAM#k`. Anything else after the name is ignored, as the server does.
    fn name(&self) -> Result<Item, CronError> {
        let from = self.named(0)?;
        match (self.peek(3), self.field) {
            (Some('-'), _) => Ok(Item::Span { from, to: Some(self.named(4)?), step: 1 }),
            (Some('#'), Field::DayOfWeek) => self.nth(from, 4),
            (Some('L'), Field::DayOfWeek) => Ok(Item::LastWeekday(from)),
            _ => Ok(Item::one(from)),
        }
    }

    fn named(&self, at: usize) -> Result<u32, CronError> {
        let name = self.part(at, at + 3);
        self.field.named(&name).ok_or_else(|| match self.field {
            Field::Month => CronError::at(self.field, at, format_args!("invalid Month value [{name}]")),
            Field::DayOfWeek => {
                CronError::at(self.field, at, format_args!("invalid Day-of-Week value [{name}]"))
            }
            _ => CronError::at(self.field, at, format_args!("illegal characters [{name}]")).trailing(" '"),
        })
    }

    fn nth(&self, weekday: u32, at: usize) -> Result<Item, CronError> {
        let weekday = self.in_range(weekday)?;
        match self.part(at, self.text.len()).parse::<u32>() {
            Ok(nth @ 1..=5) => Ok(Item::NthWeekday { weekday, nth }),
            _ => Err(CronError::at(
                self.field,
                at,
                "a numeric value between 1 and 5 must follow the '#' option",
            )),
        }
    }

    fn unspecified(&self) -> Result<Item, CronError> {
        if !matches!(self.field, Field::DayOfMonth | Field::DayOfWeek) {
            let detail = "'?' can only be specified for Day-of-Month or Day-of-Week.";
            return Err(CronError::at(self.field, 1, detail));
        }
        // One stray character is forgiven by the server, two are not.
        match (self.peek(1), self.peek(2)) {
            (Some(found), Some(_)) => {
                Err(CronError::at(self.field, 1, format_args!("illegal character [{found}] after '?'")))
            }
            _ => Ok(Item::Unspecified),
        }
    }

    /// `*`, `*/n`, `/n`.
    fn every(&self) -> Result<Item, CronError> {
        let all = |step| Item::Span { from: self.field.min(), to: self.field.max(), step };
        let slash = usize::from(self.peek(0) == Some('*'));
        if self.peek(slash) != Some('/') {
            return Ok(all(1));
        }
        let number = slash + 1;
        let step = match self.digits(number) {
            Ok((step, end)) if end == self.text.len() => step,
            Err(_) if slash == 1 && number == self.text.len() => return Err(self.unexpected(None, number)),
            _ => return Err(CronError::at(self.field, slash, "'/' must be followed by an integer.")),
        };
        if let Some((_, shown)) = self.field.max_increment().filter(|(max, _)| step > *max) {
            // The server counts one place up to 10 and two above, however many digits there are.
            let position = number + 1 + usize::from(step > 10);
            let slip = if matches!(self.field, Field::DayOfMonth | Field::DayOfWeek) { " " } else { "" };
            let error = CronError::at(self.field, position, format_args!("increment [{step}] > {shown}"));
            return Err(error.trailing(slip));
        }
        Ok(all(step.max(1)))
    }

    /// `L` and its kin.
    fn last(&self) -> Result<Item, CronError> {
        match self.field {
            Field::DayOfMonth => {}
            // Saturday; `LW` and `L-3`, which mean something in the other day field only, are forgiven.
            Field::DayOfWeek => return Ok(Item::one(7)),
            _ => return Err(CronError::at(self.field, 0, "'L' option is not valid here.")),
        }
        let (offset, end) = if self.peek(1) == Some('-') { self.digits(2)? } else { (0, 1) };
        if offset > 30 {
            return Err(CronError::at(self.field, 2, "offset from last day must be <= 30"));
        }
        Ok(Item::LastDay { offset, nearest_weekday: self.peek(end) == Some('W') })
    }

    /// `a` and what may follow it. What starts no operator is ignored, as the server does.
    fn number(&self) -> Result<Item, CronError> {
        let (value, end) = self.digits(0)?;
        let misplaced = |option: &str| {
            CronError::at(self.field, end, format_args!("'{option}' option is not valid here."))
        };
        match (self.peek(end), self.field) {
            (Some('L'), Field::DayOfWeek) => Ok(Item::LastWeekday(self.in_range(value)?)),
            (Some('L'), _) => Err(misplaced("L")),
            (Some('W'), Field::DayOfMonth) if value > 31 => {
                Err(CronError::at(self.field, end, TOO_LARGE_FOR_W))
            }
            (Some('W'), Field::DayOfMonth) => Ok(Item::NearestWeekday(self.in_range(value)?)),
            (Some('W'), _) => Err(misplaced("W")),
            (Some('#'), Field::DayOfWeek) => self.nth(value, end + 1),
            (Some('#'), _) => Err(misplaced("#")),
            (Some('-'), _) => self.range(value, end + 1),
            (Some('/'), _) => self.open_span(value, end + 1),
            _ => Ok(Item::one(self.in_range(value)?)),
        }
    }

    /// `a-b`, `a-b/n`.
    fn range(&self, from: u32, at: usize) -> Result<Item, CronError> {
        let (to, end) = self.digits(at)?;
        let step = if self.peek(end) == Some('/') { self.digits(end + 1)?.0 } else { 1 };
        let (from, to) = (self.in_range(from)?, self.in_range(to)?);
        if step == 0 {
            return Ok(Item::one(from));
        }
        if self.field == Field::Year && to < from {
            return Err(CronError::field(self.field, "Start year must be less than stop year"));
        }
        Ok(Item::Span { from, to: Some(to), step })
    }

    /// `a/n`.
    fn open_span(&self, from: u32, at: usize) -> Result<Item, CronError> {
        let (step, end) = self.digits(at)?;
        // After a step of one digit the server insists that the item ends.
        if let Some(found) = self.peek(end).filter(|_| end == at + 1) {
            return Err(CronError::at(
                self.field,
                end,
                format_args!("Unexpected character [{found}] after '/'"),
            ));
        }
        let from = self.in_range(from)?;
        Ok(if step == 0 { Item::one(from) } else { Item::Span { from, to: self.field.max(), step } })
    }
}
