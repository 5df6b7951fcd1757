#![allow(clippy::unwrap_used)]
mod common;
use common::Fixture;
use serde_json::json;
use std::time::Instant;
#[tokio::test]
async fn zz() {
    for _ in 0..3 {
    let t = Instant::now();
    let mut f = Fixture::new(); println!("open {:?}", t.elapsed());
    let t = Instant::now(); f.create("i", json!({})); println!("create {:?}", t.elapsed());
    let t = Instant::now(); for n in 0..30 { f.put("i", &n.to_string(), json!({"n": 1})).await.unwrap(); } println!("30 puts {:?}", t.elapsed());
    for _ in 0..3 { let t = Instant::now(); f.put("i", "x", json!({"n": 1})).await.unwrap(); f.refresh("i").await; f.ids("i", json!({"match_all":{}})).await; println!("refresh+search {:?}", t.elapsed()); }
    let t = Instant::now(); for _ in 0..20 { f.ids("i", json!({"match_all":{}})).await; } println!("20 search {:?}", t.elapsed());
    let t = Instant::now(); f.store.close(); println!("close {:?}", t.elapsed());
    let t = Instant::now(); f.store = tributary_store::Store::open(common::options(&f.dir)).unwrap(); println!("reopen {:?}", t.elapsed());
    let t = Instant::now(); f.ids("i", json!({"match_all":{}})).await; println!("first search {:?}", t.elapsed());
    let t = Instant::now(); drop(f); println!("drop {:?}", t.elapsed());
    }
}
