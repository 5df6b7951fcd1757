//! When a schedule creates a job.

use chrono::{DateTime, TimeDelta, Utc};
use tributary_protocol::{ConnectorId, JobType, SyncJobId};
use tributary_schedule::Schedule;
use xxhash_rust::xxh3::xxh3_128;

/// What a schedule says at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It never fires again.
    Never,
    /// It fires then.
    At(DateTime<Utc>),
    /// It has fired; this is its latest slot. Slots missed before it are served by it.
    Now(DateTime<Utc>),
}

/// Whether `schedule` has fired since `base`.
pub(crate) fn due(schedule: &Schedule, base: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    match schedule.next_after(base) {
        None => Due::Never,
        Some(next) if next > now => Due::At(next),
        // A nanosecond later, so that a slot at this very moment counts.
        Some(next) => Due::Now(schedule.previous_before(now + TimeDelta::nanoseconds(1)).unwrap_or(next)),
    }
}

/// How far clocks may differ before one of them is taken to run wrong.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// The last slot that was served, unless it lies ahead: then a clock ran wrong that has been set right since, or belongs
/// to another worker. Nothing would be scheduled until that time comes, perhaps for years. Leaving it out serves no slot
/// twice, since the job of a slot is known by its id.
pub(crate) fn credible(last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    last.filter(|last| *last <= now + AHEAD)
}

/// What this process, or the connector's document, knows of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The last slot that was served, as the document says.
    pub(crate) noted: Option<DateTime<Utc>>,
    /// The last slot that this process saw served.
    pub(crate) served: Option<DateTime<Utc>>,
    /// When this process saw the connector first.
    pub(crate) first_seen: DateTime<Utc>,
    /// When this process saw the schedule change last.
    pub(crate) changed: Option<DateTime<Utc>>,
}

/// Since when slots count: since the last one that was served, or since this process first saw the connector; but not
/// from before the schedule was switched on or changed, where this process saw that happen.
pub(crate) fn base(known: Known, now: DateTime<Utc>) -> DateTime<Utc> {
    let last = credible(known.noted, now).max(credible(known.served, now));
    // Times of this process lie ahead when its own clock was set back.
    let base = last.unwrap_or_else(|| known.first_seen.min(now));
    known.changed.map_or(base, |changed| base.max(changed.min(now)))
}

/// The id of a slot's job: the same for everybody, so that the job is created once
/// (`docs/adr/0004-slot-jobs.md`).
pub(crate) fn slot_job_id(connector: &ConnectorId, kind: JobType, slot: DateTime<Utc>) -> SyncJobId {
    let kind = match kind {
        JobType::Full => "full",
        JobType::Incremental => "incremental",
        JobType::AccessControl => "access_control",
    };
    let connector = xxh3_128(connector.as_str().as_bytes());
    SyncJobId::from(format!("{kind}-{}-{connector:032x}", slot.format("%Y%m%dT%H%M%SZ")))
}

/// The same of a custom schedule's slot.
pub(crate) fn custom_job_id(connector: &ConnectorId, key: &str, slot: DateTime<Utc>) -> SyncJobId {
    let which = xxh3_128(format!("{}\n{key}", connector.as_str()).as_bytes());
    SyncJobId::from(format!("custom-{}-{which:032x}", slot.format("%Y%m%dT%H%M%SZ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn schedule(expression: &str) -> Schedule {
        expression.parse().unwrap()
    }

    #[test]
    fn missed_slots_are_served_once_by_the_latest() {
        let hourly = schedule("0 0 * * * ?");
        for (base, now, expected) in [
            ("10:00:00", "10:59:59", Due::At(at("11:00:00"))),
            ("10:00:00", "11:00:00", Due::Now(at("11:00:00"))),
            ("10:00:00", "11:30:00", Due::Now(at("11:00:00"))),
            ("10:00:00", "17:30:00", Due::Now(at("17:00:00"))),
            ("10:00:00.5", "11:00:00.000001", Due::Now(at("11:00:00"))),
            // The last slot was written by a host whose clock runs ahead.
            ("12:00:00", "11:59:59", Due::At(at("13:00:00"))),
        ] {
            assert_eq!(due(&hourly, at(base), at(now)), expected, "{base} {now}");
        }
    }

    #[test]
    fn a_schedule_that_has_no_further_slot_is_never_due() {
        assert_eq!(due(&schedule("0 0 0 1 1 ? 2020"), at("10:00:00"), at("11:00:00")), Due::Never);
    }

    #[test]
    fn slots_before_the_schedule_was_switched_on_do_not_count() {
        let (ten, eleven, twelve) = (at("10:00:00"), at("11:00:00"), at("12:00:00"));
        for (noted, first_seen, changed, expected) in [
            (None, eleven, None, eleven),
            (Some(ten), eleven, None, ten),
            (Some(ten), eleven, Some(twelve), twelve),
            (Some(twelve), ten, Some(eleven), twelve),
            (None, ten, Some(twelve), twelve),
        ] {
            let known = Known { noted, served: None, first_seen, changed };
            assert_eq!(base(known, at("13:00:00")), expected);
            assert_eq!(base(Known { noted: None, served: noted, ..known }, at("13:00:00")), expected);
        }
    }

    #[test]
    fn a_slot_of_a_clock_that_ran_ahead_stops_no_schedule() {
        let (ten, now) = (at("10:00:00"), at("11:00:00"));
        let known = Known { noted: Some(at("11:00:50")), served: None, first_seen: ten, changed: None };
        assert_eq!(base(known, now), at("11:00:50"), "clocks differ a little");
        assert_eq!(base(Known { noted: Some(at("11:10:00")), ..known }, now), ten);
        let other = Known { noted: Some(at("11:10:00")), served: Some(at("10:50:00")), ..known };
        assert_eq!(base(other, now), at("10:50:00"));
        // This process' own clock was set back.
        let own = Known {
            noted: None,
            served: Some(at("12:00:00")),
            first_seen: at("11:50:00"),
            changed: Some(at("11:55:00")),
        };
        assert_eq!(base(own, now), now);
    }

    #[test]
    fn a_slots_job_has_one_id_and_different_slots_kinds_and_connectors_have_different_ones() {
        let id = |connector: &str, kind, slot| {
            slot_job_id(&ConnectorId::from(connector.to_owned()), kind, slot).as_str().to_owned()
        };
        let one = id("a", JobType::Full, at("10:00:00"));
        assert_eq!(one, id("a", JobType::Full, at("10:00:00")));
        assert!(one.starts_with("full-20260301T100000Z-"), "{one}");
        let mut ids = vec![
            one,
            id("b", JobType::Full, at("10:00:00")),
            id("a", JobType::Incremental, at("10:00:00")),
            id("a", JobType::AccessControl, at("10:00:00")),
            id("a", JobType::Full, at("10:00:01")),
        ];
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    }
}
