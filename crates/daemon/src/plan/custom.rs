//! Which custom schedules have fired.

use chrono::{DateTime, Utc};

use super::schedule::{Due, Known, base, due as due_of};
use super::{TaskKey, View};
use crate::observe::Served;

/// The key and slot of the connector's custom schedule whose slot has waited the longest.
pub(super) fn due(
    now: DateTime<Utc>,
    view: &View<'_>,
    connector: &Served,
) -> Option<(String, DateTime<Utc>)> {
    let seen = view.memory.connector(&connector.id)?;
    let slots = seen.custom().filter_map(|(key, custom)| {
        if !view.is_free(&TaskKey::Custom(connector.id.clone(), key.clone()), now) {
            return None;
        }
        // One that cannot be read is told by the connector's check.
        let schedule = custom.schedule()?.as_ref().ok()?;
        let known = Known {
            noted: custom.last_synced,
            served: custom.served(),
            first_seen: seen.first,
            changed: custom.changed(),
        };
        match due_of(schedule, base(known, now), now) {
            Due::Now(slot) => Some((slot, key)),
            Due::Never | Due::At(_) => None,
        }
    });
    slots.min().map(|(slot, key)| (key.clone(), slot))
}
