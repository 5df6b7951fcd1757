//! Decides what is to be done next. Pure: what is, what is remembered and the time come in, actions come out.

mod custom;
mod jobs;
mod prune;
mod schedule;
mod slots;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tributary_protocol::{ConnectorId, JobType, SyncJobId};

use crate::lease::LeaseTerms;
use crate::memory::Memory;
use crate::observe::{Lock, OpenJob, Served};
use crate::options::{DaemonOptions, JobRetention};

pub(crate) use prune::{expired, pause as prune_pause};
pub(crate) use schedule::{credible, custom_job_id, slot_job_id};
pub(crate) use upkeep::{Needs, has_edited_draft, registration, waits_for_people};

/// Everything a plan is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) connectors: &'a [Served],
    /// Open jobs of all connectors.
    pub(crate) jobs: &'a [OpenJob],
    pub(crate) memory: &'a Memory,
    pub(crate) busy: &'a Busy,
    pub(crate) rules: &'a PlanRules,
}

/// What this process is doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy {
    /// Its tasks.
    pub(crate) tasks: HashSet<TaskKey>,
    /// Those of them that run a job.
    pub(crate) running: Vec<(SyncJobId, ConnectorId, Lock)>,
}

/// The options that planning goes by.
#[derive(Clone, Debug)]
pub(crate) struct PlanRules {
    /// Syncs at once of a service type.
    pub(crate) by_type: BTreeMap<String, usize>,
    pub(crate) content_slots: usize,
    pub(crate) access_control_slots: usize,
    pub(crate) scheduling_slots: usize,
    pub(crate) terms: LeaseTerms,
    pub(crate) idle_limit: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) recheck: Duration,
    pub(crate) max_takeovers: u32,
    pub(crate) retention: JobRetention,
}

impl PlanRules {
    pub(crate) fn of(options: &DaemonOptions) -> Self {
        Self {
            by_type: options.max_concurrent_by_type.clone(),
            content_slots: options.max_concurrent_content_syncs,
            access_control_slots: options.max_concurrent_access_control_syncs,
            scheduling_slots: options.max_scheduling_tasks,
            terms: LeaseTerms { length: options.lease },
            idle_limit: options.idle_limit,
            heartbeat: options.heartbeat,
            recheck: options.recheck,
            max_takeovers: options.max_takeovers,
            retention: options.job_retention,
        }
    }

    pub(crate) fn slots(&self, lock: Lock) -> usize {
        match lock {
            Lock::Content => self.content_slots,
            Lock::AccessControl => self.access_control_slots,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Claim the job and run it.
    Run {
        job: SyncJobId,
        /// It is in progress, and its worker is dead.
        takes_over: bool,
    },
    /// End the job of a dead worker.
    End { job: SyncJobId, how: DeadEnd },
    /// End the job if its connector does not exist.
    CheckOrphan { job: SyncJobId },
    /// Create the job of a slot.
    CreateSlotJob { connector: ConnectorId, kind: JobType, slot: DateTime<Utc> },
    /// Create the job of a custom schedule's slot.
    CreateCustomJob { connector: ConnectorId, key: String, slot: DateTime<Utc> },
    /// Release a lock that nobody holds.
    Unlock { connector: ConnectorId, lock: Lock },
    /// Look after a connector.
    Upkeep { connector: ConnectorId, needs: Needs },
    /// Delete old jobs of a connector.
    Prune { connector: ConnectorId },
}

/// How the job of a dead worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadEnd {
    /// It was to be cancelled.
    Canceled,
    /// Its workers died too often.
    GivenUp,
}

/// What must not be done twice at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TaskKey {
    Job(SyncJobId),
    Slot(ConnectorId, JobType),
    Custom(ConnectorId, String),
    Unlock(ConnectorId, Lock),
    Upkeep(ConnectorId),
    Prune(ConnectorId),
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => write!(f, "job {id}"),
            Self::Slot(id, kind) => write!(f, "{} schedule of {id}", kind.as_str()),
            Self::Custom(id, key) => write!(f, "schedule '{key}' of {id}"),
            Self::Unlock(id, lock) => write!(f, "{lock:?} lock of {id}"),
            Self::Upkeep(id) => write!(f, "upkeep of {id}"),
            Self::Prune(id) => write!(f, "old jobs of {id}"),
        }
    }
}

impl Action {
    pub(crate) fn key(&self) -> TaskKey {
        match self {
            Self::Run { job, .. } | Self::End { job, .. } | Self::CheckOrphan { job } => {
                TaskKey::Job(job.clone())
            }
            Self::CreateSlotJob { connector, kind, .. } => TaskKey::Slot(connector.clone(), *kind),
            Self::CreateCustomJob { connector, key, .. } => TaskKey::Custom(connector.clone(), key.clone()),
            Self::Unlock { connector, lock } => TaskKey::Unlock(connector.clone(), *lock),
            Self::Upkeep { connector, .. } => TaskKey::Upkeep(connector.clone()),
            Self::Prune { connector } => TaskKey::Prune(connector.clone()),
        }
    }
}

impl View<'_> {
    /// Whether a task may begin: it is not under way, and it was not put off.
    fn is_free(&self, key: &TaskKey, now: DateTime<Utc>) -> bool {
        !self.busy.tasks.contains(key) && !self.memory.is_held(key, now)
    }

    fn runs_here(&self, job: &SyncJobId) -> bool {
        self.busy.running.iter().any(|(id, ..)| id == job)
    }

    /// Whether the worker of a running job is dead.
    fn is_dead(&self, job: &OpenJob, now: DateTime<Utc>) -> bool {
        let since = self.memory.unchanged_since(job, now);
        !self.runs_here(&job.id) && job.holder().is_dead(now, since, self.rules.terms, self.rules.idle_limit)
    }
}

/// What to do now. Never more than there are free slots for.
pub(crate) fn plan(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let mut actions = jobs::runs(now, view);
    let busy_here = view.busy.tasks.len().saturating_sub(view.busy.running.len());
    let free = view.rules.scheduling_slots.saturating_sub(busy_here);
    // What lets work begin goes before what only looks after things.
    let others = jobs::ends(now, view)
        .into_iter()
        .chain(slots::due_slots(now, view))
        .chain(jobs::unlocks(now, view))
        .chain(upkeep::upkeep(now, view))
        .chain(prune::prunes(view));
    actions.extend(others.filter(|action| view.is_free(&action.key(), now)).take(free));
    actions
}
