//! Ingest pipelines: `{"pipeline": {...}, "docs": [...]}`, as `_simulate` takes them.

use std::cell::LazyCell;

use serde_json::Value;

use crate::world::World;

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(World::open) };
}

pub(crate) fn law(input: &[u8]) {
    WORLD.with(|world| {
        let once = world.send("POST", "/_ingest/pipeline/_simulate", input);
        let verbose = world.send("POST", "/_ingest/pipeline/_simulate?verbose=true", input);
        assert_eq!(verbose.status, once.status, "told in detail or not: {} {}", once.body, verbose.body);
        if once.status != 200 {
            return;
        }
        let Ok(given) = serde_json::from_slice::<Value>(input) else { return };
        let sent = given["docs"].as_array().map(Vec::len);
        for answer in [&once, &verbose] {
            assert_eq!(answer.body["docs"].as_array().map(Vec::len), sent, "one answer for each document");
        }
        // Nothing may differ but the time, where a document does not take that over.
        if !String::from_utf8_lossy(input).contains("_ingest") {
            let again = world.send("POST", "/_ingest/pipeline/_simulate", input);
            assert_eq!(timeless(again.body), timeless(once.body));
        }
        stored(world, &given["pipeline"]);
    });
}

/// A pipeline that can be simulated can be stored, and is read as it was given.
fn stored(world: &World, pipeline: &Value) {
    let put = world.json("PUT", "/_ingest/pipeline/p", pipeline);
    if put.status == 200 {
        let got = world.send("GET", "/_ingest/pipeline/p", b"");
        assert_eq!(&got.body["p"]["processors"], &pipeline["processors"]);
        assert_eq!(world.send("DELETE", "/_ingest/pipeline/p", b"").status, 200);
    }
}

/// Simulated documents without when that was.
fn timeless(mut answer: Value) -> Value {
    for doc in answer["docs"].as_array_mut().into_iter().flatten() {
        if let Some(ingest) = doc.pointer_mut("/doc/_ingest").and_then(Value::as_object_mut) {
            ingest.remove("timestamp");
        }
    }
    answer
}
