//! Ids of scrolls and points in time, as anybody may send them.

use std::cell::LazyCell;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::json;

use crate::world::World;

struct Contexts {
    world: World,
    scroll: String,
    pit: String,
}

thread_local! {
    static CONTEXTS: LazyCell<Contexts> = const { LazyCell::new(open) };
}

fn open() -> Contexts {
    let world = World::open();
    let body = (0..20).map(|n| format!("{{\"index\":{{}}}}\n{{\"n\":{n}}}\n")).collect::<String>();
    assert_eq!(world.send("POST", "/docs/_bulk?refresh=true", body.as_bytes()).status, 200);
    let id = |answer: crate::world::Answer, key: &str| answer.body[key].as_str().expect("an id").to_owned();
    let scroll = id(world.json("POST", "/docs/_search?scroll=1h", &json!({"size": 1})), "_scroll_id");
    let pit = id(world.send("POST", "/docs/_pit?keep_alive=1h", b""), "id");
    Contexts { world, scroll, pit }
}

pub(crate) fn law(input: &[u8]) {
    CONTEXTS.with(|contexts| {
        let Contexts { world, scroll, pit } = &**contexts;
        let text = String::from_utf8_lossy(input);
        // Those that were given out, and the word for all, are no strangers.
        if text.split(',').any(|id| id == "_all" || id == scroll || id == pit) {
            return;
        }
        let path: String = percent_encode(input, NON_ALPHANUMERIC).collect();
        let strangers = [
            world.json("POST", "/_search/scroll", &json!({"scroll": "1m", "scroll_id": text})),
            world.json("DELETE", "/_search/scroll", &json!({"scroll_id": [text]})),
            world.send("GET", &format!("/_search/scroll/{path}"), b""),
            world.send("DELETE", &format!("/_search/scroll/{path}"), b""),
            world.json("POST", "/_search", &json!({"pit": {"id": text, "keep_alive": "1m"}})),
            world.json("DELETE", "/_pit", &json!({"id": text})),
        ];
        for (at, answer) in strangers.iter().enumerate() {
            assert!(
                (400..500).contains(&answer.status),
                "{text:?} was taken for an id ({at}): {}",
                answer.body
            );
        }
        // Nobody ends what is another's.
        let alive = world.json("POST", "/_search", &json!({"size": 0, "pit": {"id": pit}}));
        assert_eq!(alive.status, 200, "the point in time is gone: {}", alive.body);
        let alive = world.json("POST", "/_search/scroll", &json!({"scroll": "1h", "scroll_id": scroll}));
        assert_eq!(alive.status, 200, "the scroll is gone: {}", alive.body);
    });
}
