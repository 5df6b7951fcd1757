use std::time::Duration;

use serde_json::json;
use tributary_connector_mysql::Mysql;
use tributary_testkit::{Fault, World as _, connect, list};

use super::world::MysqlWorld;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_anywhere_costs_no_row_and_doubles_none() {
    let mut world = MysqlWorld::start().await;
    world.fill(30_000).await;
    let expected = world.ids().await;
    let config = world.with(json!({"retry_count": 3, "fetch_size": 1000}));
    let source = connect::<Mysql>(&config).await;
    let proxy = world.proxy.as_ref().unwrap();
    let before = proxy.exchanges();
    assert!(list(&source).await.is_clean());
    let count = proxy.exchanges() - before;
    for place in (0..count).step_by(11) {
        let fault = match place % 4 {
            0 => Fault::Cut,
            1 => Fault::Reset,
            2 => Fault::CutAnswer(20_000),
            _ => Fault::Delay(Duration::from_millis(100)),
        };
        proxy.plan(place, fault).await;
        let listing = list(&source).await;
        assert!(listing.is_clean(), "{place} {fault:?}: {:?}", listing.errors().collect::<Vec<_>>());
        assert_eq!(listing.items.len(), expected.len(), "{place} {fault:?}");
        assert!(listing.items.keys().eq(&expected), "{place} {fault:?}");
        // What broke off in the middle of a table goes on behind the last row.
        let twice = listing.ids.len() - listing.items.len();
        assert!(twice <= 2, "{place} {fault:?}: {twice} documents came twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_end() {
    let world = MysqlWorld::start().await;
    let source = connect::<Mysql>(&world.with(json!({"retry_count": 1}))).await;
    world.proxy.as_ref().unwrap().refuse(true);
    let failure = list(&source).await.failure.unwrap();
    assert!(failure.is_retryable() && failure.hint_text().is_some(), "{}", failure.report());
}
