use serde_json::json;
use tributary_sdk::{Context, ErrorKind};
use tributary_testkit::{World as _, connect};

use super::world::MysqlWorld;
use super::{cursor_of_a_full_listing, since};

#[tokio::test(flavor = "multi_thread")]
async fn by_a_column_only_rows_at_or_behind_its_greatest_value_come() {
    let mut world = MysqlWorld::new().await;
    world
        .sql(
            "CREATE TABLE a (id int PRIMARY KEY, version int);
             INSERT INTO a SELECT seq, seq FROM seq_1_to_100;
             CREATE TABLE b (id int PRIMARY KEY, updated_at timestamp(6));
             INSERT INTO b SELECT seq, now(6) - INTERVAL seq HOUR FROM seq_1_to_100;
",
        )
        .await;
    let config =
        world.with(json!({"incremental_by": "cursor_column", "cursor_columns": "updated_at, a=version"}));
    let cursor = cursor_of_a_full_listing(&config).await;
    world
        .sql("UPDATE a SET version = 101 WHERE id = 7;\nUPDATE b SET updated_at = now(6) WHERE id = 50")
        .await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.failure.is_none(), "{told:?}");
    assert_eq!(told.upserts.keys().cloned().collect::<Vec<_>>(), ["a_100", "a_7", "b_1", "b_50"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_log_inserts_updates_and_deletions_come_without_a_full_read() {
    let mut world = MysqlWorld::start().await;
    world.fill(500).await;
    let config = world.with(json!({"incremental_by": "binlog", "key_columns": ""}));
    connect::<super::Mysql>(&config).await.ping(&Context::default()).await.unwrap();
    let cursor = cursor_of_a_full_listing(&config).await;
    let added = world.add().await;
    world.change("customers_2").await;
    world.remove("customers_3").await;
    world.sql("UPDATE orders SET number = 'd' WHERE number = 'c'").await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.failure.is_none(), "{told:?}");
    let mut expected = vec![added, "customers_2".to_owned(), "orders_2_d".to_owned()];
    expected.sort();
    assert_eq!(told.upserts.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(told.upserts["customers_2"]["name"], "Grace!");
    assert_eq!(told.deletes, ["customers_3", "orders_2_c"]);
    let nothing = since(&config, told.cursor).await;
    assert!(
        nothing.failure.is_none() && nothing.upserts.is_empty() && nothing.deletes.is_empty(),
        "{nothing:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_tell_asks_for_a_full_sync() {
    for (statement, reason) in [
        ("TRUNCATE TABLE orders", "names no rows"),
        ("ALTER TABLE orders ADD more int", "columns"),
        (
            "CREATE TABLE child (id int PRIMARY KEY, c bigint, FOREIGN KEY (c) REFERENCES customers (id) ON DELETE CASCADE)",
            "tables",
        ),
    ] {
        let mut world = MysqlWorld::start().await;
        let config = world.with(json!({"incremental_by": "binlog", "key_columns": ""}));
        let cursor = cursor_of_a_full_listing(&config).await;
        world.sql(statement).await;
        let failure = since(&config, Some(cursor)).await.failure.unwrap();
        assert_eq!(failure.kind(), ErrorKind::PositionGone, "{statement}");
        assert!(failure.report().contains(reason), "{statement}: {}", failure.report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_begun_anew_or_purged_asks_for_a_full_sync() {
    for again in [
        // Grows past the place that was noted in the file of the same name.
        &[
            "RESET MASTER",
            "INSERT INTO customers (name) SELECT REPEAT('n', 50) FROM customers",
            "FLUSH TABLES",
        ][..],
        &["FLUSH BINARY LOGS", "FLUSH BINARY LOGS", "DO SLEEP(2)", "PURGE BINARY LOGS TO 'bin.000003'"][..],
    ] {
        let mut world = MysqlWorld::start().await;
        let config = world.with(json!({"incremental_by": "binlog", "key_columns": ""}));
        world.fill(500).await;
        let cursor = cursor_of_a_full_listing(&config).await;
        let position = format!("{cursor:?}");
        for statement in again {
            world.sql(statement).await;
        }
        for _ in 0..8 {
            world.sql("UPDATE customers SET name = CONCAT(name, '+')").await;
        }
        let failure = since(&config, Some(cursor)).await.failure;
        let failure = failure.unwrap_or_else(|| panic!("{again:?}: the position {position} counts as good"));
        assert_eq!(failure.kind(), ErrorKind::PositionGone, "{again:?}: {}", failure.report());
    }
}
