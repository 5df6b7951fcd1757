//! Cron expressions: the first line; the second is the instant that is asked about, in milliseconds since 1970.

use chrono::{DateTime, TimeDelta, Utc};
use tributary_schedule::Schedule;

pub(crate) fn law(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (expression, instant) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(schedule) = Schedule::parse(expression) else { return };
    // What is stored reads as the same schedule.
    let stored = Schedule::parse(schedule.as_str()).expect("a stored expression is an expression");
    assert_eq!(stored, schedule);
    let Some(asked) = instant.trim().parse().ok().and_then(DateTime::<Utc>::from_timestamp_millis) else {
        return;
    };
    let next = schedule.next_after(asked);
    assert_eq!(stored.next_after(asked), next);
    let previous = schedule.previous_before(asked);
    if let Some(next) = next {
        forward(&schedule, asked, next);
    }
    if let Some(previous) = previous {
        backward(&schedule, asked, previous, next);
    }
    if let Some(from) = schedule.next_from(asked) {
        assert!(from >= asked, "{expression}: {from} is before {asked}");
        // Only a firing at the instant itself makes a difference.
        assert!(from == asked || Some(from) == next, "{expression}: {from} from {asked}, {next:?} after it");
    }
}

fn forward(schedule: &Schedule, asked: DateTime<Utc>, next: DateTime<Utc>) {
    assert!(next > asked, "{schedule}: {next} is not after {asked}");
    assert_eq!(next.timestamp_subsec_nanos(), 0);
    assert_eq!(schedule.next_from(next), Some(next), "{schedule}: {next} is a firing");
    // Nothing lies between: any instant in the gap has the same next firing.
    let middle = asked + (next - asked) / 2;
    assert_eq!(schedule.next_after(middle), Some(next), "{schedule}: between {asked} and {next}");
    // Going back from just after a firing finds it. Firings before 1970 are not looked for.
    if next.timestamp() >= 0 {
        assert_eq!(
            schedule.previous_before(next + TimeDelta::milliseconds(1)),
            Some(next),
            "{schedule}: at {next}"
        );
    }
}

fn backward(schedule: &Schedule, asked: DateTime<Utc>, previous: DateTime<Utc>, next: Option<DateTime<Utc>>) {
    assert!(previous < asked, "{schedule}: {previous} is not before {asked}");
    assert_eq!(schedule.next_from(previous), Some(previous), "{schedule}: {previous} is a firing");
    let Some(after) = schedule.next_after(previous) else {
        // The firing that follows lies more than 100 years on, or there is none.
        return assert!(
            next.is_none_or(|next| next - previous > TimeDelta::days(99 * 365)),
            "{schedule}: {next:?}"
        );
    };
    assert!(after >= asked, "{schedule}: {after} lies between {previous} and {asked}");
    assert!(after == asked || Some(after) == next || next.is_none(), "{schedule}: {after} is not {next:?}");
}
