//! A point in time does not hold in memory what is written after it. Alone in its process, so that the figure is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![cfg(target_os = "linux")]

mod common;

use common::{Fixture, index_op, peak_mb};
use serde_json::json;

/// Documents written while the point in time is open, of about 10 KB each.
const DOCUMENTS: u64 = 16_000;
/// Much less than is written.
const MOST_MB: u64 = 180;

#[tokio::test]
async fn a_point_in_time_is_held_in_little_memory_however_much_is_written() {
    let fixture = Fixture::with_index("i", json!({"properties": {"body": {"type": "text", "index": false}}}));
    fixture.fill("i", &[json!({"n": 0})]).await;
    let pit = fixture.store.open_pit(&["i".to_owned()], 600_000).await.unwrap();
    let body: String =
        (0..2_000).map(|n: u32| format!("{:x} ", n.wrapping_mul(2_654_435_761) >> 14)).collect();
    for batch in 0..DOCUMENTS / 100 {
        // Half of them replace the ones before.
        let ids = (batch * 100..(batch + 1) * 100).map(|n| n % (DOCUMENTS / 2));
        let ops = ids.map(|n| index_op("i", &n.to_string(), &json!({"n": n, "body": body}))).collect();
        assert!(fixture.store.write(ops).await.iter().all(Result::is_ok));
    }
    println!("peak {} MB", peak_mb());
    assert!(peak_mb() < MOST_MB, "the peak was {} MB", peak_mb());
    assert!(fixture.store.close_pit(&pit));
}
