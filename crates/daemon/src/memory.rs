//! What this process remembers from one look to the next. Losing it costs a check of every source, nothing else. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use tributary_client::DocVersion;
use tributary_protocol::{Connector, ConnectorId, JobType, ScheduleEntry, SyncJobId, SyncStatus};
use tributary_schedule::Schedule;
use xxhash_rust::xxh3::xxh3_64;

use crate::lease::delta;
use crate::observe::{Lock, OpenJob, Served};
use crate::plan::{TaskKey, has_edited_draft, registration};

/// First pause before a source that failed is checked again; doubled each time.
const FIRST_RECHECK: Duration = Duration::from_secs(30);

/// Longest pause between two looks that count as one long look. After a longer one (this process stood still, or the
/// cluster was away) a lock that is taken may not be the one that was taken before.
const LONGEST_BLINK: TimeDelta = TimeDelta::seconds(10);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    last_look: Option<DateTime<Utc>>,
    connectors: HashMap<ConnectorId, Seen>,
    jobs: HashMap<SyncJobId, JobSeen>,
    holds: HashMap<TaskKey, DateTime<Utc>>,
}

/// What is remembered of a connector.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When this process saw it first.
    pub(crate) first: DateTime<Utc>,
    schedules: [Scheduled; 3],
    /// Its custom schedules by their keys, and what they were read from.
    custom: BTreeMap<String, CustomSeen>,
    custom_source: Map<String, Value>,
    /// Its last check.
    pub(crate) checked: Option<Checked>,
    /// When we checked in last.
    pub(crate) checked_in: Option<DateTime<Utc>>,
    /// Its document up to this sequence number needs no registration and no validation.
    pub(crate) kept_up_to: Option<u64>,
    /// When this process began a job of it last.
    pub(crate) last_started: Option<DateTime<Utc>>,
    /// Since when its lock is taken although no job runs.
    stuck: [Option<DateTime<Utc>>; 2],
    /// What its document says, as far as that takes time to find out.
    facts: Facts,
}

/// What is found out once per version of a connector's document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    version: DocVersion,
    /// What a check depends on.
    pub(crate) inputs: u64,
    /// It lacks what its source says about itself.
    pub(crate) lacks: bool,
    /// Its draft of the sync rules waits for validation.
    pub(crate) draft: bool,
}

impl Facts {
    fn of(connector: &Served) -> Self {
        Self {
            version: connector.version,
            inputs: inputs(&connector.doc, connector.service_type.as_deref()),
            lacks: registration(connector).is_some(),
            draft: has_edited_draft(&connector.doc),
        }
    }
}

/// A check of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// What it depended on.
    pub(crate) inputs: u64,
    /// Checks that failed since the last good one.
    pub(crate) failures: u32,
    /// Sequence number of the connector's document that has the outcome.
    pub(crate) seq_no: u64,
}

#[derive(Debug, Default)]
struct Scheduled {
    entry: Option<ScheduleEntry>,
    changed: Option<DateTime<Utc>>,
    parsed: Option<Result<Schedule, String>>,
    served: Option<DateTime<Utc>>,
}

impl Scheduled {
    /// Takes note of the entry there is now; `None`: switched off.
    fn look(&mut self, now: DateTime<Utc>, first: bool, entry: Option<&ScheduleEntry>) {
        if self.entry.as_ref() == entry {
            return;
        }
        self.changed = (!first).then_some(now);
        self.parsed = entry.map(|entry| Schedule::parse(&entry.interval).map_err(|error| error.to_string()));
        self.entry = entry.cloned();
    }
}

/// What is remembered of a custom schedule.
#[derive(Debug, Default)]
pub(crate) struct CustomSeen {
    scheduled: Scheduled,
    /// Its last slot, as the document says.
    pub(crate) last_synced: Option<DateTime<Utc>>,
}

impl CustomSeen {
    /// The schedule, where it is switched on.
    pub(crate) fn schedule(&self) -> Option<&Result<Schedule, String>> {
        self.scheduled.parsed.as_ref()
    }

    /// When this process saw it change last.
    pub(crate) fn changed(&self) -> Option<DateTime<Utc>> {
        self.scheduled.changed
    }

    /// The latest slot that this process saw served.
    pub(crate) fn served(&self) -> Option<DateTime<Utc>> {
        self.scheduled.served
    }
}

#[derive(Clone, Copy, Debug)]
struct JobSeen {
    version: DocVersion,
    since: DateTime<Utc>,
}

/// What a check of the source depends on, as a number.
pub(crate) fn inputs(doc: &Connector, service_type: Option<&str>) -> u64 {
    // Of the custom schedules only what is no trace of their last sync.
    let custom: Vec<_> = doc
        .custom_schedules()
        .map(|(key, read)| (key, read.map(|schedule| (schedule.enabled, schedule.interval))))
        .collect();
    let parts = (&doc.configuration, service_type, &doc.scheduling, custom, &doc.index_name, &doc.features);
    xxh3_64(&serde_json::to_vec(&parts).unwrap_or_default())
}

fn place(kind: JobType) -> usize {
    match kind {
        JobType::Full => 0,
        JobType::Incremental => 1,
        JobType::AccessControl => 2,
    }
}

impl Seen {
    fn new(now: DateTime<Utc>, connector: &Served) -> Self {
        Self {
            first: now,
            schedules: Default::default(),
            custom: BTreeMap::new(),
            custom_source: Map::new(),
            checked: None,
            checked_in: None,
            kept_up_to: None,
            last_started: None,
            stuck: [None; 2],
            facts: Facts::of(connector),
        }
    }

    fn look(&mut self, now: DateTime<Utc>, connector: &Served) {
        let first = self.first == now;
        for kind in JobType::ALL {
            let entry = connector.doc.schedule(kind).filter(|entry| entry.enabled);
            self.schedules[place(kind)].look(now, first, entry);
        }
        if self.custom_source != connector.doc.custom_scheduling {
            self.look_at_custom(now, first, connector);
        }
        if self.facts.version != connector.version {
            self.facts = Facts::of(connector);
        }
    }

    fn look_at_custom(&mut self, now: DateTime<Utc>, first: bool, connector: &Served) {
        self.custom_source.clone_from(&connector.doc.custom_scheduling);
        self.custom.retain(|key, _| connector.doc.custom_scheduling.contains_key(key));
        for (key, read) in connector.doc.custom_schedules() {
            // One that cannot be read is told by the connector's check.
            let Ok(schedule) = read else { continue };
            let known = self.custom.entry(key.clone()).or_default();
            let entry = ScheduleEntry { enabled: schedule.enabled, interval: schedule.interval };
            known.scheduled.look(now, first, Some(&entry).filter(|entry| entry.enabled));
            known.last_synced = schedule.last_synced;
        }
    }

    /// The custom schedules by their keys.
    pub(crate) fn custom(&self) -> impl Iterator<Item = (&String, &CustomSeen)> {
        self.custom.iter()
    }

    /// Takes note that the slot of a custom schedule is served.
    pub(crate) fn serve_custom(&mut self, key: &str, slot: DateTime<Utc>) {
        if let Some(known) = self.custom.get_mut(key) {
            known.scheduled.served = known.scheduled.served.max(Some(slot));
        }
    }

    /// Up to which version its document was looked at.
    pub(crate) fn version(&self) -> DocVersion {
        self.facts.version
    }

    /// The schedule of a kind, where it is switched on.
    pub(crate) fn schedule(&self, kind: JobType) -> Option<&Result<Schedule, String>> {
        self.schedules[place(kind)].parsed.as_ref()
    }

    /// When this process saw the schedule change last.
    pub(crate) fn schedule_changed(&self, kind: JobType) -> Option<DateTime<Utc>> {
        self.schedules[place(kind)].changed
    }

    /// The latest slot that this process saw served; the connector's document may not show it yet.
    pub(crate) fn served(&self, kind: JobType) -> Option<DateTime<Utc>> {
        self.schedules[place(kind)].served
    }

    pub(crate) fn serve(&mut self, kind: JobType, slot: DateTime<Utc>) {
        let served = &mut self.schedules[place(kind)].served;
        *served = (*served).max(Some(slot));
    }

    /// What its document says, as last seen.
    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    /// Since when the lock is taken although no job runs.
    pub(crate) fn stuck_since(&self, lock: Lock) -> Option<DateTime<Utc>> {
        self.stuck[lock as usize]
    }
}

impl Checked {
    /// The same source failed again, or worked.
    pub(crate) fn then(
        before: Option<Self>,
        at: DateTime<Utc>,
        inputs: u64,
        good: bool,
        seq_no: u64,
    ) -> Self {
        let failures = before.filter(|before| before.inputs == inputs).map_or(0, |before| before.failures);
        Self { at, inputs, failures: if good { 0 } else { failures.saturating_add(1) }, seq_no }
    }

    /// When the next check is due although nothing changed.
    pub(crate) fn next(&self, recheck: Duration) -> DateTime<Utc> {
        let pause = match self.failures {
            0 => recheck,
            failures => (FIRST_RECHECK * 2_u32.pow((failures - 1).min(10))).min(recheck),
        };
        self.at + delta(pause)
    }
}

impl Memory {
    /// Takes note of the connectors there are.
    pub(crate) fn see_connectors(&mut self, now: DateTime<Utc>, connectors: &[Served]) {
        let there: HashSet<&ConnectorId> = connectors.iter().map(|connector| &connector.id).collect();
        self.connectors.retain(|id, _| there.contains(id));
        for connector in connectors {
            let seen =
                self.connectors.entry(connector.id.clone()).or_insert_with(|| Seen::new(now, connector));
            seen.look(now, connector);
        }
        self.holds.retain(|_, until| *until > now);
    }

    /// Takes note of the open jobs there are, and of locks that nobody holds.
    pub(crate) fn see_jobs(&mut self, now: DateTime<Utc>, jobs: &[OpenJob], connectors: &[Served]) {
        let mut seen = HashMap::with_capacity(jobs.len());
        let mut running = HashSet::new();
        for job in jobs {
            let known = self.jobs.get(&job.id).filter(|known| known.version == job.version);
            let since = known.map_or(now, |known| known.since);
            seen.insert(job.id.clone(), JobSeen { version: job.version, since });
            if job.doc.status.is_running() {
                running.insert((job.connector(), job.lock()));
            }
        }
        self.jobs = seen;
        let blinked = self.last_look.is_some_and(|last| now - last > LONGEST_BLINK);
        self.last_look = Some(now);
        for connector in connectors {
            let Some(seen) = self.connectors.get_mut(&connector.id) else { continue };
            for lock in Lock::ALL {
                let stuck = is_locked(&connector.doc, lock) && !running.contains(&(&connector.id, lock));
                let since = &mut seen.stuck[lock as usize];
                *since = stuck.then(|| since.filter(|_| !blinked).unwrap_or(now));
            }
        }
    }

    pub(crate) fn connector(&self, id: &ConnectorId) -> Option<&Seen> {
        self.connectors.get(id)
    }

    pub(crate) fn connector_mut(&mut self, id: &ConnectorId) -> Option<&mut Seen> {
        self.connectors.get_mut(id)
    }

    /// Since when the job was seen as it is.
    pub(crate) fn unchanged_since(&self, job: &OpenJob, now: DateTime<Utc>) -> DateTime<Utc> {
        self.jobs.get(&job.id).filter(|seen| seen.version == job.version).map_or(now, |seen| seen.since)
    }

    /// Leaves the task alone until then.
    pub(crate) fn hold(&mut self, key: TaskKey, until: DateTime<Utc>) {
        self.holds.insert(key, until);
    }

    /// Whether the task is to be left alone.
    pub(crate) fn is_held(&self, key: &TaskKey, now: DateTime<Utc>) -> bool {
        self.holds.get(key).is_some_and(|until| *until > now)
    }
}

/// Whether a sync under the lock is said to run.
pub(crate) fn is_locked(doc: &Connector, lock: Lock) -> bool {
    let status = match lock {
        Lock::Content => doc.last_sync_status,
        Lock::AccessControl => doc.last_access_control_sync_status,
    };
    status == Some(SyncStatus::InProgress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_source_is_checked_less_and_less_often_and_a_changed_one_starts_anew() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let recheck = Duration::from_secs(900);
        let mut checked = Checked::then(None, now, 1, false, 0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push((checked.next(recheck) - now).num_seconds());
            checked = Checked::then(Some(checked), now, 1, false, 0);
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(Checked::then(Some(checked), now, 2, false, 0).failures, 1);
        assert_eq!(Checked::then(Some(checked), now, 1, true, 0).failures, 0);
    }
}
