use serde_json::{Value, json};
use tributary_client::DocVersion;
use tributary_protocol::config::{ConfigField, ConfigSchema};
use tributary_protocol::{Connector, ConnectorStatus, Features, ScheduleEntry, SyncJob, SyncStatus};
use tributary_sdk::FeatureSet;

use super::*;
use crate::lease::{Lease, Token, delta};
use crate::memory::Checked;
use crate::observe::Declared;

mod custom;
mod dead;
mod many;

const ALL: FeatureSet = FeatureSet {
    basic_rules: true,
    advanced_rules: false,
    document_level_security: true,
    incremental_sync: true,
};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn version(seq_no: u64) -> DocVersion {
    DocVersion { seq_no, primary_term: 1 }
}

fn schema() -> ConfigSchema {
    let mut schema = ConfigSchema::new();
    schema.insert("path".to_owned(), ConfigField::default());
    schema
}

fn rules() -> PlanRules {
    let job_retention = JobRetention { age: None, count: 1 };
    PlanRules::of(&DaemonOptions {
        max_concurrent_content_syncs: 2,
        job_retention,
        ..DaemonOptions::default()
    })
}

/// A connector that needs nothing.
fn connector(id: &str) -> Served {
    let features: Features = serde_json::from_value(ALL.to_value()).unwrap();
    let doc = Connector {
        index_name: Some("search-a".to_owned()),
        service_type: Some("fake".to_owned()),
        status: ConnectorStatus::Connected,
        configuration: ConfigSchema::registered(&ConfigSchema::new(), &schema()).unwrap(),
        features: Some(features),
        last_seen: Some(at(0)),
        ..Connector::default()
    };
    Served {
        id: ConnectorId::from(id.to_owned()),
        version: version(1),
        doc,
        listed: true,
        service_type: Some("fake".to_owned()),
        declared: Some(Declared { schema: schema().into(), features: ALL }),
    }
}

fn job(id: &str, connector: &str, kind: JobType, status: SyncStatus, created: i64) -> OpenJob {
    let doc: SyncJob = serde_json::from_value(json!({
        "connector": {"id": connector},
        "status": status.as_str(),
        "job_type": kind.as_str(),
        "trigger_method": "on_demand",
        "created_at": at(created).to_rfc3339(),
    }))
    .unwrap();
    OpenJob { id: SyncJobId::from(id.to_owned()), version: version(1), doc, lease: Lease::default() }
}

/// A job with a lease that ends then.
fn leased(mut job: OpenJob, ends: i64) -> OpenJob {
    job.doc.worker_hostname = Some("w".to_owned());
    job.lease = Lease {
        token: Some(Token::random()),
        worker: Some("w".to_owned()),
        expires_at: Some(at(ends)),
        attempt: 1,
        ..Lease::default()
    };
    job
}

#[derive(Default)]
struct World {
    connectors: Vec<Served>,
    jobs: Vec<OpenJob>,
    memory: Memory,
    busy: Busy,
    by_type: BTreeMap<String, usize>,
}

impl World {
    fn of(connectors: Vec<Served>, jobs: Vec<OpenJob>) -> Self {
        let mut world = Self { connectors, jobs, ..Self::default() };
        world.look(0);
        // Everything was looked after already.
        for connector in &world.connectors {
            let seen = world.memory.connector_mut(&connector.id).unwrap();
            let inputs = seen.facts().inputs;
            seen.checked = Some(Checked::then(None, at(0), inputs, true, 1));
            seen.checked_in = Some(at(0));
        }
        world
    }

    fn look(&mut self, now: i64) {
        self.memory.see_connectors(at(now), &self.connectors);
        self.memory.see_jobs(at(now), &self.jobs, &self.connectors);
    }

    fn plan(&self, now: i64) -> Vec<Action> {
        let (memory, busy) = (&self.memory, &self.busy);
        let rules = PlanRules { by_type: self.by_type.clone(), ..rules() };
        plan(at(now), &View { connectors: &self.connectors, jobs: &self.jobs, memory, busy, rules: &rules })
    }

    fn runs(&self, now: i64) -> Vec<String> {
        let run = |action| match action {
            Action::Run { job, takes_over } => Some(format!("{job}{}", if takes_over { "!" } else { "" })),
            _ => None,
        };
        self.plan(now).into_iter().filter_map(run).collect()
    }

    fn run_here(&mut self, job: &OpenJob) {
        self.busy.tasks.insert(TaskKey::Job(job.id.clone()));
        self.busy.running.push((job.id.clone(), job.connector().clone(), job.lock()));
    }
}

#[test]
fn nothing_to_do_plans_nothing() {
    assert_eq!(World::of(vec![connector("a")], Vec::new()).plan(1), Vec::new());
}

#[test]
fn one_content_job_of_a_connector_runs_at_a_time_and_the_oldest_goes_first() {
    use JobType::{AccessControl, Full, Incremental};
    use SyncStatus::{Pending, Suspended};
    let jobs = vec![
        job("young", "a", Full, Pending, -1),
        job("old", "a", Incremental, Suspended, -5),
        job("acl", "a", AccessControl, Pending, -1),
    ];
    assert_eq!(World::of(vec![connector("a")], jobs).runs(1), ["old", "acl"]);
}

#[test]
fn a_source_type_has_no_more_syncs_at_once_than_it_may() {
    use JobType::{AccessControl, Full};
    let other = Served { service_type: Some("other".to_owned()), ..connector("c") };
    let jobs = vec![
        job("first", "a", Full, SyncStatus::Pending, -5),
        job("second", "b", Full, SyncStatus::Pending, -4),
        job("third", "c", Full, SyncStatus::Pending, -3),
        job("acl", "b", AccessControl, SyncStatus::Pending, -6),
    ];
    let mut world = World::of(vec![connector("a"), connector("b"), other], jobs);
    world.by_type.insert("fake".to_owned(), 1);
    assert_eq!(world.runs(1), ["acl", "third"], "of any kind");
    world.run_here(&world.jobs[0].clone());
    assert_eq!(world.runs(1), ["third"]);
}

#[test]
fn a_busy_connector_keeps_its_jobs_waiting_and_full_slots_keep_all_waiting() {
    use JobType::Full;
    use SyncStatus::{InProgress, Pending};
    let running = leased(job("r", "a", Full, InProgress, -9), 1000);
    let waiting = job("w", "a", Full, Pending, -5);
    let other = job("o", "b", Full, Pending, -1);
    let connectors = || ["a", "b", "c", "d"].map(connector).to_vec();
    let world = World::of(connectors(), vec![running.clone(), waiting.clone(), other.clone()]);
    assert_eq!(world.runs(1), ["o"], "somebody else runs a job of 'a'");

    let mut world = World::of(connectors(), vec![running.clone(), other.clone()]);
    world.run_here(&running);
    world.run_here(&job("x", "c", Full, InProgress, -9));
    assert!(world.runs(1).is_empty(), "both slots are taken");
}

#[test]
fn connectors_take_turns() {
    use JobType::Full;
    use SyncStatus::Pending;
    let jobs = vec![
        job("a1", "a", Full, Pending, -9),
        job("a2", "a", Full, Pending, -8),
        job("b1", "b", Full, Pending, -7),
        job("c1", "c", Full, Pending, -6),
    ];
    let mut world = World::of(["a", "b", "c"].map(connector).to_vec(), jobs);
    for (id, started) in [("a", -2), ("b", -3)] {
        let id = ConnectorId::from(id.to_owned());
        world.memory.connector_mut(&id).unwrap().last_started = Some(at(started));
    }
    assert_eq!(world.runs(1), ["c1", "b1"], "'c' never had its turn, 'a' had it last");
}

#[test]
fn a_dead_workers_job_is_taken_over_before_others_of_its_connector() {
    use JobType::Full;
    use SyncStatus::{InProgress, Pending};
    let dead = leased(job("dead", "a", Full, InProgress, -9), 27);
    let world = World::of(vec![connector("a")], vec![job("p", "a", Full, Pending, -99), dead]);
    assert!(world.runs(26).is_empty(), "its lease has not ended");
    assert_eq!(world.runs(27), ["dead!"]);
}

#[test]
fn a_job_that_changes_is_alive_whatever_the_clocks_say() {
    use JobType::Full;
    use SyncStatus::InProgress;
    let mut world = World::of(vec![connector("a")], vec![leased(job("j", "a", Full, InProgress, -9), 5)]);
    world.jobs[0].version = version(2);
    world.look(20);
    assert!(world.runs(21).is_empty());
    assert_eq!(world.runs(40), ["j!"]);
}

#[test]
fn a_python_workers_job_is_taken_over_after_the_idle_limit() {
    use JobType::Full;
    use SyncStatus::InProgress;
    let mut foreign = job("j", "a", Full, InProgress, -9);
    foreign.doc.worker_hostname = Some("python".to_owned());
    foreign.doc.last_seen = Some(at(0));
    let world = World::of(vec![connector("a")], vec![foreign]);
    assert!(world.runs(299).is_empty());
    assert_eq!(world.runs(300), ["j!"]);
}

#[test]
fn dead_jobs_that_were_to_be_cancelled_or_died_too_often_end_without_running() {
    use JobType::Full;
    use SyncStatus::{Canceling, InProgress};
    let canceling = leased(job("c", "a", Full, Canceling, -9), 1);
    let mut often = leased(job("o", "b", Full, InProgress, -9), 1);
    often.lease.takeovers = 10;
    let world = World::of(["a", "b"].map(connector).to_vec(), vec![canceling, often]);
    let plan = world.plan(20);
    assert_eq!(
        plan,
        [
            Action::End { job: SyncJobId::from("c".to_owned()), how: DeadEnd::Canceled },
            Action::End { job: SyncJobId::from("o".to_owned()), how: DeadEnd::GivenUp },
        ]
    );
}

#[test]
fn jobs_of_unknown_connectors_are_looked_into_only_once_they_are_silent() {
    use JobType::Full;
    use SyncStatus::{InProgress, Pending};
    let jobs = vec![leased(job("r", "x", Full, InProgress, 0), 100), job("p", "x", Full, Pending, 0)];
    let world = World::of(Vec::new(), jobs);
    let orphan = |id: &str| Action::CheckOrphan { job: SyncJobId::from(id.to_owned()) };
    assert_eq!(world.plan(99), []);
    assert_eq!(world.plan(100), [orphan("r")]);
    assert_eq!(world.plan(300), [orphan("r"), orphan("p")]);
}

fn scheduled(kind: JobType, expression: &str) -> Served {
    let mut connector = connector("a");
    let entry = Some(ScheduleEntry { enabled: true, interval: expression.to_owned() });
    match kind {
        JobType::Full => connector.doc.scheduling.full = entry,
        JobType::Incremental => connector.doc.scheduling.incremental = entry,
        JobType::AccessControl => connector.doc.scheduling.access_control = entry,
    }
    connector
}

fn slots(world: &World, now: i64) -> Vec<(JobType, DateTime<Utc>)> {
    let slot = |action| match action {
        Action::CreateSlotJob { kind, slot, .. } => Some((kind, slot)),
        _ => None,
    };
    world.plan(now).into_iter().filter_map(slot).collect()
}

#[test]
fn a_schedule_creates_a_job_for_its_latest_slot_unless_one_of_its_kind_is_open() {
    use JobType::{AccessControl, Full, Incremental};
    // Every minute at second 0; at(0) is 22:13:20.
    let minutely = "0 * * * * ?";
    for kind in [Full, Incremental, AccessControl] {
        let mut world = World::of(vec![scheduled(kind, minutely)], Vec::new());
        assert!(slots(&world, 39).is_empty());
        assert_eq!(slots(&world, 40), [(kind, at(40))]);
        assert_eq!(slots(&world, 200), [(kind, at(160))], "missed slots run once");
        world.jobs.push(job("j", "a", kind, SyncStatus::Pending, 0));
        assert!(slots(&world, 200).is_empty(), "one is open");
    }
    let mut world = World::of(vec![scheduled(Full, minutely)], Vec::new());
    let id = ConnectorId::from("a".to_owned());
    world.memory.connector_mut(&id).unwrap().serve(Full, at(160));
    assert!(slots(&world, 200).is_empty(), "the slot is served, though the document does not show it yet");
}

#[test]
fn a_slot_missed_while_nobody_was_there_runs_at_start() {
    let mut late = scheduled(JobType::Full, "0 * * * * ?");
    late.doc.last_sync_scheduled_at = Some(at(-1000));
    assert_eq!(slots(&World::of(vec![late], Vec::new()), 1), [(JobType::Full, at(-20))]);
}

#[test]
fn what_the_source_cannot_do_or_nobody_configured_is_not_scheduled() {
    let mut world = World::of(vec![scheduled(JobType::Incremental, "0 * * * * ?")], Vec::new());
    let features = &mut world.connectors[0].declared.as_mut().unwrap().features;
    features.incremental_sync = false;
    assert!(slots(&world, 100).is_empty());
    let mut world = World::of(vec![scheduled(JobType::Full, "0 * * * * ?")], Vec::new());
    world.connectors[0].doc.status = ConnectorStatus::NeedsConfiguration;
    assert!(slots(&world, 100).is_empty());
}

fn needs(world: &World, now: i64) -> Needs {
    let needs = |action| match action {
        Action::Upkeep { needs, .. } => Some(needs),
        _ => None,
    };
    world.plan(now).into_iter().find_map(needs).unwrap_or_default()
}

#[test]
fn a_connector_is_looked_after_when_it_changed_or_when_it_is_time() {
    let changed = |change: fn(&mut Served)| {
        let mut world = World::of(vec![connector("a")], Vec::new());
        change(&mut world.connectors[0]);
        world.connectors[0].version = version(2);
        world.look(1);
        world
    };
    let none = Needs::default();
    let world = changed(|_| {});
    assert_eq!(needs(&world, 1), none);
    assert_eq!(needs(&world, 300), Needs { check_in: true, ..none });
    assert_eq!(needs(&world, 900), Needs { check_in: true, check: true, ..none });
    let world = changed(|connector| connector.doc.status = ConnectorStatus::Configured);
    assert_eq!(needs(&world, 1), Needs { check: true, ..none });
    let world = changed(|connector| connector.doc.index_name = Some("search-b".to_owned()));
    // What it is checked for is new: warnings are told again.
    assert_eq!(needs(&world, 1), Needs { check: true, warn: true, ..none });
    let world = changed(|connector| connector.doc.features = None);
    assert!(needs(&world, 1).register);
    let world = changed(|connector| connector.doc.configuration = ConfigSchema::new());
    assert!(needs(&world, 1).register);
}

#[test]
fn an_edited_draft_is_validated_once_per_edit() {
    use tributary_protocol::filtering::{ValidationState, default_filtering};
    let mut world = World::of(vec![connector("a")], Vec::new());
    let mut filtering = default_filtering(at(0));
    filtering.draft.validation.state = ValidationState::Edited;
    world.connectors[0].doc.filtering = vec![filtering];
    world.connectors[0].version = version(2);
    world.look(1);
    assert!(needs(&world, 1).draft);
    let id = ConnectorId::from("a".to_owned());
    world.memory.connector_mut(&id).unwrap().kept_up_to = Some(3);
    assert!(!needs(&world, 1).draft, "this version is an old one");
}

fn registered(change: impl FnOnce(&mut Served)) -> Value {
    let mut connector = connector("a");
    change(&mut connector);
    registration(&connector).unwrap_or_default()
}

#[test]
fn a_document_gets_what_it_lacks_and_waits_for_its_configuration() {
    assert_eq!(registered(|_| {}), Value::Null);
    assert_eq!(registered(|c| c.doc.service_type = None), json!({"service_type": "fake"}));
    let change = registered(|c| {
        c.doc.configuration = ConfigSchema::new();
        c.doc.status = ConnectorStatus::Created;
    });
    assert_eq!(change["status"], "needs_configuration");
    assert!(change["configuration"]["path"].is_object());
    let change = registered(|c| c.doc.status = ConnectorStatus::Created);
    assert_eq!(
        change,
        json!({"status": "needs_configuration"}),
        "the protocol knows no way from created to configured"
    );
    assert_eq!(registered(|c| c.declared = None), Value::Null);
}

#[test]
fn a_source_without_fields_needs_no_configuration() {
    let change = registered(|c| {
        c.doc.configuration = ConfigSchema::new();
        c.declared.as_mut().unwrap().schema = ConfigSchema::new().into();
        c.doc.status = ConnectorStatus::NeedsConfiguration;
    });
    assert_eq!(change, json!({"status": "configured"}));
}

#[test]
fn features_are_replaced_for_our_own_connectors_and_only_completed_for_others() {
    let stored = json!({"incremental_sync": {"enabled": false}, "mine": 1});
    let change = |listed| {
        let features: Features = serde_json::from_value(stored.clone()).unwrap();
        let change = registered(|c| {
            c.doc.features = Some(features);
            c.listed = listed;
        });
        (change["features"]["incremental_sync"]["enabled"].clone(), change["features"]["mine"].clone())
    };
    assert_eq!(change(true), (json!(true), json!(1)));
    assert_eq!(change(false), (json!(false), json!(1)));
}

#[test]
fn no_more_is_begun_than_there_are_slots_for() {
    let many: Vec<Served> = (0..50).map(|n| connector(&n.to_string())).collect();
    let mut world = World { connectors: many, ..World::default() };
    world.look(0);
    assert_eq!(world.plan(0).len(), rules().scheduling_slots);
    world
        .memory
        .hold(TaskKey::Upkeep(ConnectorId::from("0".to_owned())), at(10) + delta(Duration::from_secs(1)));
    assert_eq!(world.plan(0).len(), rules().scheduling_slots, "one that is put off makes room for another");
}

#[test]
fn old_jobs_are_looked_for_once_there_is_nothing_else_to_do() {
    let world = World::of(vec![connector("a"), connector("b")], vec![]);
    assert_eq!(world.plan(1), [], "every job is kept");
    let mut rules = rules();
    rules.retention = JobRetention { age: Some(Duration::from_secs(60)), count: 1 };
    let mut memory = Memory::default();
    memory.see_connectors(at(0), &world.connectors);
    let (connectors, jobs, busy) = (&world.connectors, &world.jobs, &world.busy);
    memory.hold(TaskKey::Prune(ConnectorId::from("b".to_owned())), at(100));
    let prunes = |memory: &Memory, now| {
        let actions = plan(at(now), &View { connectors, jobs, memory, busy, rules: &rules });
        let first = actions.iter().position(|action| matches!(action, Action::Prune { .. }));
        let first = first.unwrap_or(actions.len());
        assert!(actions[first..].iter().all(|action| matches!(action, Action::Prune { .. })), "{actions:?}");
        actions.len() - first
    };
    assert_eq!(prunes(&memory, 1), 1, "one was looked at already");
    assert_eq!(prunes(&memory, 101), 2);
}

#[test]
fn only_finished_jobs_of_a_known_and_sufficient_age_expire() {
    let ended = |id: &str, status, at_second: Option<i64>| {
        let mut job = job(id, "a", JobType::Full, status, 0);
        job.doc.created_at = None;
        job.doc.last_seen = None;
        job.doc.completed_at = at_second.map(at);
        job
    };
    let jobs = [
        ended("old", SyncStatus::Completed, Some(0)),
        ended("failed", SyncStatus::Error, Some(39)),
        ended("edge", SyncStatus::Completed, Some(40)),
        ended("young", SyncStatus::Completed, Some(41)),
        ended("timeless", SyncStatus::Completed, None),
        ended("open", SyncStatus::Suspended, Some(0)),
    ];
    let gone = |retention| -> Vec<String> {
        let jobs = jobs.iter().map(|job| (&job.id, &job.doc));
        expired(at(100), retention, jobs).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        gone(JobRetention { age: Some(Duration::from_secs(60)), count: 1 }),
        ["old", "failed", "edge"]
    );
    assert_eq!(gone(JobRetention { age: None, count: 1 }), [""; 0]);
}

#[test]
fn the_pause_between_two_looks_for_old_jobs_follows_their_age_within_bounds() {
    let pause = |age| prune_pause(JobRetention { age, count: 1 }).as_secs();
    assert_eq!(pause(Some(Duration::from_secs(3600))), 300);
    assert_eq!(pause(Some(Duration::from_secs(1))), 60);
    assert_eq!((pause(Some(Duration::from_secs(90 * 86400))), pause(None)), (3600, 3600));
}
