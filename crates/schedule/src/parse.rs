//! From text to a schedule.

use crate::Schedule;
use crate::days::{self, DayRule};
use crate::error::CronError;
use crate::field::Field;
use crate::item::{self, Item};
use crate::years::Years;

const BOTH_DAYS: &str =
    "support for specifying both a day-of-week AND a day-of-month parameter is not implemented.";
const NO_DAYS: &str = "'?' can only be specified for Day-of-Month -OR- Day-of-Week.";

/// Where the day of month stands among the fields.
const DAY_OF_MONTH: usize = 3;

/// Reads a whole expression.
pub(crate) fn schedule(expression: &str) -> Result<Schedule, CronError> {
    let source = expression.to_uppercase();
    let length = source.encode_utf16().count();
    let tokens = source.split([' ', '\t']).filter(|token| !token.is_empty());
    let mut lists: Vec<Vec<Item>> = Vec::with_capacity(Field::ALL.len());
    for (token, field) in tokens.zip(Field::ALL) {
        let items = list(token.trim_matches(|c| c <= ' '), field)?;
        // Told before anything that is wrong with the year.
        if field == Field::DayOfWeek
            && silent(&items)
            && lists.get(DAY_OF_MONTH).is_some_and(|dom| silent(dom))
        {
            return Err(CronError::at(field, 1, NO_DAYS));
        }
        lists.push(items);
    }
    if lists.len() < Field::ALL.len() - 1 {
        return Err(CronError::end_of_expression(length));
    }
    lists.resize_with(Field::ALL.len(), Vec::new);
    let Ok([seconds, minutes, hours, days_of_month, months, days_of_week, years]) =
        <[Vec<Item>; 7]>::try_from(lists)
    else {
        return Err(CronError::end_of_expression(length));
    };
    Ok(Schedule {
        seconds: bits(&seconds, Field::Second),
        minutes: bits(&minutes, Field::Minute),
        hours: bits(&hours, Field::Hour),
        months: bits(&months, Field::Month),
        days: day_rule(&days_of_month, &days_of_week)?,
        years: Years::new(&years),
        source: source.into_boxed_str(),
    })
}

fn list(token: &str, field: Field) -> Result<Vec<Item>, CronError> {
    refuse_shared_specials(token, field)?;
    let items = token
        .split(',')
        .filter(|item| !item.is_empty())
        .map(|item| item::read(&item.chars().collect::<Vec<_>>(), field))
        .collect::<Result<Vec<_>, _>>()?;
    // A list of nothing would never fire. The server accepts some of these and fails when it looks for the next time.
    if items.is_empty() {
        return Err(CronError::at(field, 0, "Unexpected end of string."));
    }
    Ok(items)
}

/// `L` stands alone in its field, and `#` is there once at most.
fn refuse_shared_specials(token: &str, field: Field) -> Result<(), CronError> {
    let shared_last = token.contains('L') && token.contains(',');
    let detail = match field {
        Field::DayOfMonth if shared_last => {
            "support for specifying 'L' and 'LW' with other days of the month is not implemented"
        }
        Field::DayOfWeek if shared_last => {
            "support for specifying 'L' with other days of the week is not implemented"
        }
        Field::DayOfWeek if token.matches('#').count() > 1 => {
            "support for specifying multiple \"nth\" days is not implemented."
        }
        _ => return Ok(()),
    };
    Err(CronError::field(field, detail))
}

/// Whether `?` is among the items.
fn silent(items: &[Item]) -> bool {
    items.contains(&Item::Unspecified)
}

/// The rule of the day field that is not `?`.
fn day_rule(of_month: &[Item], of_week: &[Item]) -> Result<DayRule, CronError> {
    if silent(of_week) {
        Ok(days::of_month(of_month))
    } else if silent(of_month) {
        Ok(days::of_week(of_week))
    } else {
        Err(CronError::expression(BOTH_DAYS))
    }
}

/// One bit per value of the spans among `items`.
pub(crate) fn bits(items: &[Item], field: Field) -> u64 {
    let (min, max) = (field.min(), field.max().unwrap_or(0));
    let mut bits = 0;
    for item in items {
        let Item::Span { from, to, step } = *item else { continue };
        let to = to.unwrap_or(max);
        let size = max + 1 - min;
        let end = if to < from { to + size } else { to };
        for value in (from..=end).step_by(step as usize) {
            bits |= 1 << ((value - min) % size + min);
        }
    }
    bits
}
