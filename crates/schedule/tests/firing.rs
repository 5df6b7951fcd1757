//! When schedules fire: connector-api 9.2, "Firing algorithm".
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tributary_schedule::Schedule;

fn at(text: &str) -> DateTime<Utc> {
    let full = if text.len() == 10 { format!("{text} 00:00:00") } else { text.to_owned() };
    NaiveDateTime::parse_from_str(&full, "%Y-%m-%d %H:%M:%S%.f").unwrap().and_utc()
}

fn schedule(expression: &str) -> Schedule {
    Schedule::parse(expression).unwrap_or_else(|error| panic!("{expression:?}: {error}"))
}

#[test]
fn the_next_firings_are_those_of_the_grammar() {
    for (expression, after, firings) in [
        ("0 0 0 * * ?", "2026-02-27", vec!["2026-02-28", "2026-03-01"]),
        ("0 0 0 29 2 ?", "2026-01-01", vec!["2028-02-29", "2032-02-29"]),
        ("0 0 0 29 2 ?", "2096-02-29", vec!["2104-02-29"]),
        ("0 0 0 31 * ?", "2026-01-31", vec!["2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"]),
        ("59 59 23 31 12 ?", "2026-12-31 23:59:58", vec!["2026-12-31 23:59:59", "2027-12-31 23:59:59"]),
        ("0 0/30 8-9 ? * MON-FRI", "2026-05-29 09:00:00", vec!["2026-05-29 09:30:00", "2026-06-01 08:00:00"]),
        (
            "*/20 * * * * ?",
            "2026-05-29 09:00:40",
            vec!["2026-05-29 09:01:00", "2026-05-29 09:01:20", "2026-05-29 09:01:40"],
        ),
        ("5/20 0 0 * * ?", "2026-01-01", vec!["2026-01-01 00:00:05", "2026-01-01 00:00:25"]),
        (
            "0 0 22-2 * * ?",
            "2026-01-01 01:30:00",
            vec!["2026-01-01 02:00:00", "2026-01-01 22:00:00", "2026-01-01 23:00:00", "2026-01-02"],
        ),
        ("0 0 0 1 NOV-JAN ?", "2026-01-01", vec!["2026-11-01", "2026-12-01", "2027-01-01"]),
        ("0 0 0 30-2 * ?", "2026-02-02", vec!["2026-03-01", "2026-03-02", "2026-03-30", "2026-03-31"]),
        ("0 0 0 1-9/4 6 ?", "2026-01-01", vec!["2026-06-01", "2026-06-05", "2026-06-09", "2027-06-01"]),
        // The last days.
        ("0 0 0 L * ?", "2028-01-31", vec!["2028-02-29", "2028-03-31", "2028-04-30"]),
        ("0 0 0 L-3 * ?", "2026-01-29", vec!["2026-02-25", "2026-03-28"]),
        ("0 0 0 L-30 * ?", "2026-01-01", vec!["2026-03-01", "2026-05-01"]),
        ("0 0 0 LW * ?", "2026-01-01", vec!["2026-01-30", "2026-02-27", "2026-03-31"]),
        // 29 May 2026 is a Friday, 28 June a Sunday, 29 July a Wednesday.
        ("0 0 0 L-2W * ?", "2026-05-01", vec!["2026-05-29", "2026-06-29", "2026-07-29"]),
        // L-30W is the first of May 2027, a Saturday: forward, not into April.
        ("0 0 0 L-30W 5 ?", "2027-01-01", vec!["2027-05-03"]),
        // The nearest weekdays.
        ("0 0 0 15W * ?", "2026-02-01", vec!["2026-02-16", "2026-03-16", "2026-04-15"]),
        ("0 0 0 1W 8 ?", "2026-01-01", vec!["2026-08-03"]),
        ("0 0 0 31W 1,5 ?", "2026-01-01", vec!["2026-01-30", "2026-05-29"]),
        ("0 0 0 31W * ?", "2026-02-01", vec!["2026-03-31", "2026-05-29"]),
        ("0 0 0 1W,20 8 ?", "2026-01-01", vec!["2026-08-03", "2026-08-20"]),
        // Weekdays: Sunday is 1.
        ("0 0 0 ? * 1", "2026-05-28", vec!["2026-05-31", "2026-06-07"]),
        ("0 0 0 ? * L", "2026-05-28", vec!["2026-05-30", "2026-06-06"]),
        ("0 0 0 ? * 6-2", "2026-05-28", vec!["2026-05-29", "2026-05-30", "2026-05-31", "2026-06-01"]),
        ("0 0 0 ? * */3", "2026-05-31", vec!["2026-06-03", "2026-06-06", "2026-06-07"]),
        ("0 0 0 ? * 6L", "2026-05-01", vec!["2026-05-29", "2026-06-26"]),
        ("0 0 0 ? * FRIL", "2026-05-29", vec!["2026-06-26"]),
        ("0 0 12 ? * 6#3", "2026-05-01", vec!["2026-05-15 12:00:00", "2026-06-19 12:00:00"]),
        ("0 0 0 ? * SAT#5", "2026-05-01", vec!["2026-05-30", "2026-08-29"]),
        ("0 0 0 ? 2 SAT#5", "2026-05-01", vec!["2048-02-29", "2076-02-29"]),
        ("0 0 0 ? * 2#1,WED", "2026-05-31", vec!["2026-06-01", "2026-06-03", "2026-06-10"]),
        // Years.
        ("0 0 0 1 1 ? 2030-2040/5", "2026-01-01", vec!["2030-01-01", "2035-01-01", "2040-01-01"]),
        ("0 0 0 1 1 ? 2050,2030", "2026-01-01", vec!["2030-01-01", "2050-01-01"]),
        ("0 0 0 1 1 ? 2027/3", "2026-01-01", vec!["2027-01-01", "2030-01-01"]),
        ("0 0 0 29 2 ? */7", "2026-01-01", vec!["2040-02-29", "2068-02-29"]),
        ("0 0 0 1 1 ? 2126", "2026-01-01", vec!["2126-01-01"]),
    ] {
        let schedule = schedule(expression);
        let mut from = at(after);
        for expected in firings {
            let next = schedule.next_after(from);
            assert_eq!(next, Some(at(expected)), "{expression:?} after {from}");
            from = at(expected);
        }
    }
}

#[test]
fn searching_ends_at_the_year_limit() {
    for (expression, after) in [
        ("0 0 0 30 2 ?", "2026-01-01"),
        ("0 0 0 31 4,6,9,11 ?", "2026-01-01"),
        ("0 0 0 30W 2 ?", "2026-01-01"),
        ("0 0 0 L-30 2 ?", "2026-01-01"),
        ("0 0 0 30 2 ? 0-999999999", "2026-01-01"),
        ("0 0 0 1 1 ? 2025", "2025-01-01"),
        ("0 0 0 1 1 ? 2127", "2026-01-01"),
        ("0 0 0 29 2 ? 2027", "2026-01-01"),
        ("0 0 0 1 1 ? 2200/5", "2026-01-01"),
    ] {
        let schedule = schedule(expression);
        let began = Instant::now();
        assert_eq!(schedule.next_after(at(after)), None, "{expression:?}");
        assert!(began.elapsed() < Duration::from_millis(50), "{expression:?} took {:?}", began.elapsed());
    }
    let never = schedule("0 0 0 30 2 ? 0-999999999");
    assert_eq!(never.previous_before(at("2026-01-01")), None);
    assert_eq!(schedule("* * * * * ?").previous_before(DateTime::UNIX_EPOCH), None);
    assert_eq!(schedule("* * * * * ?").next_after(DateTime::<Utc>::MAX_UTC), None);
    assert_eq!(schedule("* * * * * ?").previous_before(DateTime::<Utc>::MIN_UTC), None);
}

#[test]
fn next_after_is_strict_and_next_from_is_not() {
    let daily = schedule("0 0 0 * * ?");
    let midnight = at("2026-05-29");
    let just_after = at("2026-05-29 00:00:00.001");
    assert_eq!(daily.next_after(midnight), Some(at("2026-05-30")));
    assert_eq!(daily.next_from(midnight), Some(midnight));
    assert_eq!(daily.next_from(just_after), Some(at("2026-05-30")));
    assert_eq!(daily.next_after(at("2026-05-28 23:59:59.999")), Some(midnight));
}

#[test]
fn previous_before_is_strict() {
    for (expression, before, expected) in [
        ("0 0 0 * * ?", "2026-05-29", Some("2026-05-28")),
        ("0 0 0 * * ?", "2026-05-29 00:00:00.001", Some("2026-05-29")),
        ("0 0/30 8-9 ? * MON-FRI", "2026-06-01 08:00:00", Some("2026-05-29 09:30:00")),
        ("0 0 0 29 2 ?", "2026-01-01", Some("2024-02-29")),
        ("0 0 0 L * ?", "2026-03-31", Some("2026-02-28")),
        ("15 10 5 31 12 ?", "2026-12-31 05:10:15", Some("2025-12-31 05:10:15")),
        ("15 10 5 31 12 ?", "2026-12-31 05:10:16", Some("2026-12-31 05:10:15")),
        ("0 0 0 1 1 ? 2030/7", "2040-01-01", Some("2037-01-01")),
        ("0 0 0 1 1 ? 2030", "2030-01-01", None),
        ("0 0 0 1 1 ? 1960", "2026-01-01", Some("1960-01-01")),
    ] {
        let found = schedule(expression).previous_before(at(before));
        assert_eq!(found, expected.map(at), "{expression:?} before {before}");
    }
}

#[test]
fn going_forth_and_back_visits_the_same_firings() {
    for expression in ["0 0 0 15W * ?", "7 */13 3-1/2 ? * 6#5", "0 0 0 L-2W 2,11 ?", "*/31 0 0 ? * 2L 2024/3"]
    {
        let schedule = schedule(expression);
        let first = schedule.next_after(at("2026-01-01")).unwrap();
        let forth: Vec<_> =
            std::iter::successors(Some(first), |from| schedule.next_after(*from)).take(50).collect();
        let last = *forth.last().unwrap();
        let mut back: Vec<_> =
            std::iter::successors(Some(last), |from| schedule.previous_before(*from)).take(50).collect();
        back.reverse();
        assert_eq!(forth, back, "{expression:?}");
    }
}

#[test]
fn three_thousand_schedules_are_evaluated_well_within_a_poll() {
    let schedules: Vec<_> = (0..3000)
        .map(|n| schedule(&format!("{} {} {} {}W * ?", n % 60, n % 59, n % 24, n % 31 + 1)))
        .collect();
    let began = Instant::now();
    let now = at("2026-05-29 13:14:15");
    let due = schedules
        .iter()
        .filter(|s| s.next_after(now).is_some_and(|next| next < now + TimeDelta::days(1)))
        .count();
    assert!(due > 0);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}
