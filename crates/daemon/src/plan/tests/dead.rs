//! What dead workers leave behind.

use super::*;

#[test]
fn a_dead_workers_job_goes_before_those_of_connectors_that_wait_longer() {
    use JobType::Full;
    use SyncStatus::{InProgress, Pending};
    let dead = leased(job("dead", "a", Full, InProgress, -1), 27);
    let jobs = vec![job("b1", "b", Full, Pending, -9), job("c1", "c", Full, Pending, -8), dead];
    let mut world = World::of(["a", "b", "c"].map(connector).to_vec(), jobs);
    world.memory.connector_mut(&ConnectorId::from("a".to_owned())).unwrap().last_started = Some(at(-2));
    assert_eq!(world.runs(27), ["dead!", "b1"]);
}

#[test]
fn a_lock_without_a_job_is_released_after_the_length_of_a_lease() {
    let mut stuck = connector("a");
    stuck.doc.last_sync_status = Some(SyncStatus::InProgress);
    let running = leased(job("j", "a", JobType::Full, SyncStatus::InProgress, 0), 1000);
    let mut world = World::of(vec![stuck], vec![running]);
    assert_eq!(world.plan(100), []);
    world.jobs.clear();
    world.look(100);
    assert_eq!(world.plan(129), []);
    let unlock = Action::Unlock { connector: ConnectorId::from("a".to_owned()), lock: Lock::Content };
    let unlocks = |world: &World, now| world.plan(now) == std::slice::from_ref(&unlock);
    assert!(unlocks(&world, 130));
    // Nobody looked for 30 s: it may be another worker's lock now.
    world.look(130);
    assert_eq!(world.plan(130), []);
    for now in [140, 150, 160] {
        world.look(now);
    }
    assert!(unlocks(&world, 160));
}
