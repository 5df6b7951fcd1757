use super::*;

/// A connector with a custom schedule on every full hour. The clock of these tests begins at 22:13:20.
fn with_custom(mut connector: Served, key: &str, last_synced: Option<i64>) -> Served {
    let entry = json!({
        "enabled": true, "interval": "0 0 * * * ?", "last_synced": last_synced.map(|last| at(last).to_rfc3339()),
    });
    connector.doc.custom_scheduling.insert(key.to_owned(), entry);
    connector
}

fn customs(actions: Vec<Action>) -> Vec<(String, DateTime<Utc>)> {
    let custom = |action| match action {
        Action::CreateCustomJob { key, slot, .. } => Some((key, slot)),
        _ => None,
    };
    actions.into_iter().filter_map(custom).collect()
}

#[test]
fn a_custom_schedule_fires_once_for_each_slot_and_missed_slots_are_one() {
    let hour = 2800;
    let mut world = World::of(vec![with_custom(connector("a"), "k", Some(-20_000))], Vec::new());
    let last = at(hour - 3600);
    assert_eq!(customs(world.plan(1)), [("k".to_owned(), last)], "the latest of those missed");
    let id = world.connectors[0].id.clone();
    world.memory.connector_mut(&id).unwrap().serve_custom("k", last);
    assert_eq!(customs(world.plan(2)), []);
    assert_eq!(customs(world.plan(hour)), [("k".to_owned(), at(hour))]);
    let mut fresh = World::of(vec![with_custom(connector("a"), "k", None)], Vec::new());
    assert_eq!(customs(fresh.plan(1)), [], "slots from before it was seen do not count");
    fresh.connectors[0].doc.custom_scheduling.clear();
    fresh.connectors[0].version = version(2);
    fresh.look(3);
    assert_eq!(customs(fresh.plan(hour)), [], "one that is gone fires no more");
}

#[test]
fn a_custom_schedule_waits_for_an_open_full_sync_and_the_longest_waiting_goes_first() {
    let both = with_custom(with_custom(connector("a"), "old", Some(-90_000)), "young", Some(-3000));
    let open = job("open", "a", JobType::Full, SyncStatus::InProgress, 0);
    let world = World::of(vec![both.clone()], vec![leased(open, 100)]);
    assert_eq!(customs(world.plan(1)), []);
    let world = World::of(vec![both], Vec::new());
    assert_eq!(customs(world.plan(1)).len(), 1, "one at a time");
}
