use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

const CONNECTORS: i64 = 1000;
const MINUTES: i64 = 10;
/// Pause between two looks, in seconds.
const LOOK: usize = 5;

/// A connector whose schedule fires every five minutes, at a second of its own.
fn of(number: i64) -> Served {
    let mut connector = connector(&format!("c{number}"));
    let interval = format!("{} {}/5 * * * ?", number % 60, number % 5);
    connector.doc.scheduling.full = Some(ScheduleEntry { enabled: true, interval });
    connector
}

/// Serves the slots that the plan has now; how many.
fn serve(world: &mut World, now: i64, served: &mut BTreeMap<String, Vec<DateTime<Utc>>>) -> usize {
    let mut begun = 0;
    for action in world.plan(now) {
        if let Action::CreateSlotJob { connector, kind, slot } = action {
            assert!(at(now) - slot < delta(Duration::from_secs(LOOK as u64)), "late: {connector} {slot}");
            world.memory.connector_mut(&connector).unwrap().serve(kind, slot);
            served.entry(connector.as_str().to_owned()).or_default().push(slot);
            begun += 1;
        }
    }
    begun
}

#[test]
fn a_thousand_schedules_miss_no_slot_and_serve_none_twice() {
    let mut world = World::of((0..CONNECTORS).map(of).collect(), Vec::new());
    let mut served: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    for now in (0..=MINUTES * 60).step_by(LOOK) {
        world.look(now);
        // As many at once as may be; when they are done there is another turn.
        loop {
            let begun = serve(&mut world, now, &mut served);
            if begun == 0 {
                break;
            }
        }
    }
    for number in 0..CONNECTORS {
        let fires = |second: &i64| {
            let time = at(*second).timestamp();
            time % 60 == number % 60 && (time / 60) % 5 == number % 5
        };
        let expected: Vec<_> = (1..=MINUTES * 60).filter(fires).map(at).collect();
        assert_eq!(expected.len(), 2);
        assert_eq!(served[&format!("c{number}")], expected, "connector {number}");
    }
}

#[test]
fn the_slot_that_has_waited_longest_is_served_first_whatever_its_connector_is_called() {
    // Connectors come by their ids; the first of them fires last.
    let mut world = World::of((0..60).map(|number| of(59 - number)).collect(), Vec::new());
    world.look(0);
    world.look(299);
    let mut order = Vec::new();
    while let Some(Action::CreateSlotJob { connector, kind, slot }) = world.plan(299).into_iter().next() {
        world.memory.connector_mut(&connector).unwrap().serve(kind, slot);
        order.push(slot);
    }
    assert_eq!(order.len(), 60);
    assert!(order.is_sorted(), "{order:?}");
}
