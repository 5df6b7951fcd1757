//! Bodies of `/a/_bulk`, exactly as they are sent.

use std::cell::LazyCell;
use std::collections::HashMap;

use serde_json::Value;

use crate::world::World;

const ACTIONS: [&str; 4] = ["create", "delete", "index", "update"];

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(World::open) };
}

pub(crate) fn law(input: &[u8]) {
    WORLD.with(|world| {
        let answer = world.send("POST", "/a/_bulk", input);
        if answer.status == 200 {
            accepted(world, input, &answer.body);
        } else {
            // A malformed line anywhere means that nothing of the bulk is done.
            assert!(world.store.indices().is_empty(), "{} but written: {}", answer.status, answer.body);
        }
        world.clear(|_| true);
    });
}

/// What the last acknowledged write of a document left, and its sequence number.
type Left<'a> = (Option<&'a [u8]>, u64);

fn accepted(world: &World, input: &[u8], body: &Value) {
    let items = body["items"].as_array().expect("items");
    let wanted = wanted(input);
    assert_eq!(items.len(), wanted.len(), "one answer for each action");
    let mut last: HashMap<(String, String), Left<'_>> = HashMap::new();
    let mut failed = false;
    for (item, (action, source)) in items.iter().zip(&wanted) {
        let item = item.as_object().expect("an item is an object");
        let (name, item) = item.iter().next().expect("an item has an action");
        assert!(name == action || (name == "create" && action == "index"), "{name} answers {action}");
        let status = item["status"].as_u64().expect("an item has a status");
        assert!((200..500).contains(&status), "{item}");
        failed |= item.get("error").is_some();
        assert_eq!(status >= 400 && item.get("result").is_none(), item.get("error").is_some(), "{item}");
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let key = (text("_index"), text("_id"));
        let Some(seq) = item["_seq_no"].as_u64().filter(|_| item.get("error").is_none()) else { continue };
        match name.as_str() {
            "index" | "create" => drop(last.insert(key, (*source, seq))),
            // What an update makes of a document is another law's matter.
            "update" => drop(last.remove(&key)),
            _ => drop(last.insert(key, (None, seq))),
        }
    }
    assert_eq!(body["errors"], failed);
    for ((index, id), (source, seq)) in last {
        let stored = world.store.get(&index, &id).expect("an index that was written to");
        let found = stored.as_ref().map(|doc| (&doc.source[..], doc.seq_no));
        assert_eq!(found, source.map(|source| (source, seq)), "[{index}] [{id}] is not as acknowledged");
    }
}

fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The actions of a body and what comes with them, read independently of the node.
fn wanted(input: &[u8]) -> Vec<(String, Option<&[u8]>)> {
    // Elasticsearch, too, skips a byte order mark at the beginning, and on each line.
    let mut lines = unmarked(input).split(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        unmarked(line)
    });
    let mut wanted = Vec::new();
    while let Some(line) = lines.next() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let action: Value = serde_json::from_slice(line).expect("an accepted action is JSON");
        let name = action.as_object().and_then(|object| object.keys().next()).expect("an action").clone();
        assert!(ACTIONS.contains(&name.as_str()));
        let source = if name == "delete" { None } else { Some(lines.next().expect("a source")) };
        wanted.push((name, source));
    }
    wanted
}
