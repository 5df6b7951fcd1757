//! Which schedules have fired.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use tributary_protocol::{ConnectorId, JobType};

use super::schedule::{Due, Known, base, due};
use super::{Action, View, custom, waits_for_people};
use crate::observe::Served;

/// The jobs that schedules ask for. None of a kind of which one is open: the slot waits until that one is over. Those that
/// have waited longest come first, so that all have their turn where there are more than can be created at once.
pub(super) fn due_slots(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let open: HashSet<(&ConnectorId, JobType)> =
        view.jobs.iter().map(|job| (job.connector(), job.doc.job_type)).collect();
    let mut actions = Vec::new();
    for connector in view.connectors.iter().filter(|connector| is_ready(connector)) {
        let mut full = open.contains(&(&connector.id, JobType::Full));
        for kind in JobType::ALL {
            if !connector.can(kind) || open.contains(&(&connector.id, kind)) {
                continue;
            }
            if let Some(slot) = due_slot(now, view, connector, kind) {
                full |= kind == JobType::Full;
                actions.push((slot, Action::CreateSlotJob { connector: connector.id.clone(), kind, slot }));
            }
        }
        // A custom schedule's job is a full sync too: it waits for its turn.
        if !full && let Some((key, slot)) = custom::due(now, view, connector) {
            actions.push((slot, Action::CreateCustomJob { connector: connector.id.clone(), key, slot }));
        }
    }
    actions.sort_by_key(|(slot, _)| *slot);
    actions.into_iter().map(|(_, action)| action).collect()
}

fn due_slot(now: DateTime<Utc>, view: &View<'_>, connector: &Served, kind: JobType) -> Option<DateTime<Utc>> {
    let seen = view.memory.connector(&connector.id)?;
    // A schedule that cannot be read is told by the connector's check.
    let schedule = seen.schedule(kind)?.as_ref().ok()?;
    let known = Known {
        noted: connector.doc.last_scheduled_at(kind),
        served: seen.served(kind),
        first_seen: seen.first,
        changed: seen.schedule_changed(kind),
    };
    match due(schedule, base(known, now), now) {
        Due::Now(slot) => Some(slot),
        Due::Never | Due::At(_) => None,
    }
}

/// Whether jobs of the connector can be created and may work.
fn is_ready(connector: &Served) -> bool {
    !waits_for_people(connector.doc.status)
        && connector.doc.index_name.is_some()
        && connector.declared.is_some()
}
