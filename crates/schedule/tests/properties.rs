//! Laws over all expressions and instants.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use chrono::{DateTime, TimeDelta, Utc};
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;
use tributary_schedule::Schedule;

/// A field's items, in the notation that means the same to Quartz and to the oracle.
fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let item = prop_oneof![
        (min..=max).prop_map(|value| value.to_string()),
        (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        (min..=max, min..=max, 1..=max.min(9)).prop_map(|(a, b, step)| format!(
            "{}-{}/{step}",
            a.min(b),
            a.max(b)
        )),
        (2..=max.min(23)).prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![
        2 => Just("*".to_owned()),
        3 => prop::collection::vec(item, 1..3).prop_map(|items| items.join(",")),
    ]
}

fn day_of_month() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => field(1, 31),
        1 => Just("L".to_owned()),
        2 => (1_u32..=31).prop_map(|day| format!("{day}W")),
    ]
}

/// A day-of-week field as Quartz writes it and as the oracle does (Sunday is 0 there).
fn day_of_week() -> impl Strategy<Value = (String, String)> {
    const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    prop_oneof![
        (1_usize..=7).prop_map(|day| (day.to_string(), (day - 1).to_string())),
        (1_usize..=7, 1_usize..=7).prop_map(|(a, b)| {
            let (a, b) = (a.min(b) - 1, a.max(b) - 1);
            (format!("{}-{}", NAMES[a], NAMES[b]), format!("{a}-{b}"))
        }),
        (1_usize..=7, 1_usize..=5)
            .prop_map(|(day, nth)| (format!("{day}#{nth}"), format!("{}#{nth}", day - 1))),
        (1_usize..=7).prop_map(|day| (format!("{day}L"), format!("{}#L", day - 1))),
    ]
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // 1990 to 2080, to the millisecond.
    (631_152_000_000_i64..3_471_292_800_000).prop_map(|ms| DateTime::from_timestamp_millis(ms).unwrap())
}

/// Quartz's expression beside the oracle's.
fn pair() -> impl Strategy<Value = (String, String)> {
    let clock = (field(0, 59), field(0, 59), field(0, 23), field(1, 12));
    let days = prop_oneof![
        day_of_month().prop_map(|dom| (format!("{dom} @ ?"), format!("{dom} @ *"))),
        day_of_week().prop_map(|(quartz, oracle)| (format!("? @ {quartz}"), format!("* @ {oracle}"))),
    ];
    (clock, days).prop_map(|((second, minute, hour, month), (quartz, oracle))| {
        let whole = |days: &str| format!("{second} {minute} {hour} {}", days.replace('@', &month));
        (whole(&quartz), whole(&oracle))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn firings_are_those_of_an_independent_engine((quartz, oracle) in pair(), from in instant()) {
        let schedule = Schedule::parse(&quartz).unwrap();
        let judge = CronParser::builder().seconds(Seconds::Required).build().parse(&oracle).unwrap();
        let horizon = from + TimeDelta::days(99 * 365);
        let mut at = from;
        for _ in 0..3 {
            let ours = schedule.next_after(at);
            // The oracle gives up much later than 100 years: only what lies before is compared.
            let theirs = judge.find_next_occurrence(&at, false).ok();
            let theirs = theirs.filter(|next| *next < horizon);
            match (ours, theirs) {
                (Some(ours), Some(theirs)) => prop_assert_eq!(ours, theirs, "{} after {}", quartz, at),
                (None, Some(theirs)) => prop_assert!(false, "{} after {}: {} missed", quartz, at, theirs),
                (Some(ours), None) => {
                    prop_assert!(ours >= horizon, "{} after {}: {} is too much", quartz, at, ours);
                }
                (None, None) => return Ok(()),
            }
            let Some(next) = ours else { return Ok(()) };
            at = next;
        }
    }

    #[test]
    fn next_is_strictly_after_and_nothing_lies_between((quartz, _) in pair(), from in instant()) {
        let schedule = Schedule::parse(&quartz).unwrap();
        if let Some(next) = schedule.next_after(from) {
            prop_assert!(next > from);
            prop_assert_eq!(schedule.next_from(next), Some(next), "a firing matches itself");
            if let Some(before) = schedule.previous_before(next) {
                prop_assert!(before <= from, "{} lies between {} and {}", before, from, next);
                prop_assert_eq!(schedule.next_after(before), Some(next));
            }
        }
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,40}") {
        let _ = Schedule::parse(&text);
    }

    #[test]
    fn what_is_read_can_be_asked(text in "([0-9*/,\\-?LW#A-Z]{1,6} ){5,7}", from in instant()) {
        if let Ok(schedule) = Schedule::parse(&text) {
            let (next, previous) = (schedule.next_after(from), schedule.previous_before(from));
            prop_assert!(next.is_none_or(|next| next > from));
            prop_assert!(previous.is_none_or(|previous| previous < from));
        }
    }

    #[test]
    fn near_misses_never_panic(
        fields in prop::collection::vec(
            prop_oneof![
                field(0, 59),
                day_of_month(),
                "(L|LW|L-[0-9]{0,3}W?|MON|JANU?|[0-9]{1,11}|[0-9]{1,2}[-/#LW][0-9]{0,2}|\\?.?.?)",
            ],
            5..8,
        ),
        from in instant(),
    ) {
        if let Ok(schedule) = Schedule::parse(&fields.join(" ")) {
            let _ = (schedule.next_after(from), schedule.previous_before(from));
        }
    }
}
