//! Which open jobs run, and which end without running.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use tributary_protocol::{ConnectorId, SyncStatus};

use super::{Action, DeadEnd, TaskKey, View};
use crate::lease::delta;
use crate::observe::{Lock, OpenJob, Served};

/// Which jobs to claim, as many as there are slots. A job whose worker died goes before all others: it has waited for a
/// lease's length already. Else a connector that has not had its turn for the longest time goes first, and of one
/// connector the job that was created first.
pub(super) fn runs(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let served: HashMap<&ConnectorId, &Served> =
        view.connectors.iter().map(|connector| (&connector.id, connector)).collect();
    let mut taken: HashSet<(&ConnectorId, Lock)> =
        view.busy.running.iter().map(|(_, connector, lock)| (connector, *lock)).collect();
    let mut candidates = Vec::new();
    for job in view.jobs {
        let can_run = served.get(job.connector()).is_some_and(|connector| connector.declared.is_some());
        let dead = job.doc.status.is_running() && view.is_dead(job, now);
        match job.doc.status {
            SyncStatus::InProgress if dead && can_run && job.lease.takeovers < view.rules.max_takeovers => {
                candidates.push((job, true));
            }
            // A dead job that is about to be ended still holds the lock.
            status if status.is_running() => {
                taken.insert((job.connector(), job.lock()));
            }
            status if !status.is_final() && can_run => candidates.push((job, false)),
            _ => {}
        }
    }
    candidates.retain(|(job, _)| view.is_free(&TaskKey::Job(job.id.clone()), now));
    candidates.sort_by_key(|(job, takes_over)| {
        let turn = view.memory.connector(job.connector()).and_then(|seen| seen.last_started);
        (!takes_over, turn, job.doc.created_at, job.id.clone())
    });
    // A dead job keeps the others of its connector waiting even while there is no slot for it.
    let dead: HashSet<(&ConnectorId, Lock)> =
        candidates.iter().filter(|(_, dead)| *dead).map(|(job, _)| (job.connector(), job.lock())).collect();
    let mut free = Lock::ALL.map(|lock| {
        let running = view.busy.running.iter().filter(|(_, _, held)| *held == lock).count();
        view.rules.slots(lock).saturating_sub(running)
    });
    let kind =
        |connector: &ConnectorId| served.get(connector).and_then(|served| served.service_type.as_deref());
    let mut of_type: HashMap<&str, usize> = HashMap::new();
    for kind in view.busy.running.iter().filter_map(|(_, connector, _)| kind(connector)) {
        *of_type.entry(kind).or_default() += 1;
    }
    let mut actions = Vec::new();
    for (job, takes_over) in candidates {
        let key = (job.connector(), job.lock());
        let slot = &mut free[job.lock() as usize];
        if *slot == 0 || taken.contains(&key) || (!takes_over && dead.contains(&key)) {
            continue;
        }
        if let Some(kind) = kind(job.connector()) {
            let running = of_type.entry(kind).or_default();
            if view.rules.by_type.get(kind).is_some_and(|limit| *running >= *limit) {
                continue;
            }
            *running += 1;
        }
        *slot -= 1;
        taken.insert(key);
        actions.push(Action::Run { job: job.id.clone(), takes_over });
    }
    actions
}

/// Jobs that end without running: those of dead workers that were to be cancelled or were taken over too often, and
/// perhaps those without a connector.
pub(super) fn ends(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let served: HashSet<&ConnectorId> = view.connectors.iter().map(|connector| &connector.id).collect();
    view.jobs.iter().filter_map(|job| end(now, view, job, served.contains(job.connector()))).collect()
}

fn end(now: DateTime<Utc>, view: &View<'_>, job: &OpenJob, served: bool) -> Option<Action> {
    let id = job.id.clone();
    if !served {
        let silent = if job.doc.status.is_running() {
            view.is_dead(job, now)
        } else {
            let since = job.doc.last_seen.or(job.doc.created_at);
            since.is_some_and(|since| now >= since + delta(view.rules.idle_limit))
        };
        return silent.then_some(Action::CheckOrphan { job: id });
    }
    if !job.doc.status.is_running() || !view.is_dead(job, now) {
        return None;
    }
    if job.doc.status == SyncStatus::Canceling {
        return Some(Action::End { job: id, how: DeadEnd::Canceled });
    }
    (job.lease.takeovers >= view.rules.max_takeovers)
        .then_some(Action::End { job: id, how: DeadEnd::GivenUp })
}

/// Locks that are taken although no job has run for the length of a lease: somebody died between taking the lock and
/// claiming the job, or between ending the job and releasing the lock (sync-runtime 5.3).
pub(super) fn unlocks(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    for connector in view.connectors {
        let Some(seen) = view.memory.connector(&connector.id) else { continue };
        for lock in Lock::ALL {
            let here = view.busy.running.iter().any(|(_, id, held)| *id == connector.id && *held == lock);
            let stuck = seen.stuck_since(lock);
            if !here && stuck.is_some_and(|since| now >= since + delta(view.rules.terms.length)) {
                actions.push(Action::Unlock { connector: connector.id.clone(), lock });
            }
        }
    }
    actions
}
