use serde_json::json;
use tributary_sdk::{Context, ErrorKind};
use tributary_testkit::{World as _, connect};

use super::world::PostgresWorld;
use super::{cursor_of_a_full_listing, since};

#[tokio::test(flavor = "multi_thread")]
async fn by_commit_timestamps_rows_of_long_ago_do_not_come() {
    let mut world = PostgresWorld::start().await;
    // Marks are one minute older than they could be; a mark from the future shows what is left out.
    let config = world.with(json!({"incremental_by": "commit_timestamp", "key_columns": ""}));
    let cursor = cursor_of_a_full_listing(&config).await;
    let text = serde_json::to_string(&cursor).unwrap();
    let year = text.split("customers\":\"").nth(1).unwrap()[..4].to_owned();
    let later = serde_json::from_str(&text.replace(&format!("\"{year}-"), "\"2999-")).unwrap();
    let added = world.add().await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.failure.is_none() && told.upserts.contains_key(&added), "{told:?}");
    let nothing = since(&config, Some(later)).await;
    assert!(nothing.failure.is_none() && nothing.upserts.is_empty(), "{nothing:?}");
    let again = since(&config, told.cursor).await;
    assert!(again.failure.is_none() && again.deletes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_column_only_rows_at_or_behind_its_greatest_value_come() {
    let world = PostgresWorld::new().await;
    world
        .sql(
            "CREATE TABLE a (id int PRIMARY KEY, version int); INSERT INTO a SELECT n, n FROM generate_series(1, 100) n;
             CREATE TABLE b (id int PRIMARY KEY, updated_at timestamptz);
             INSERT INTO b SELECT n, now() - n * interval '1 hour' FROM generate_series(1, 100) n;
             CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c VALUES (1)",
        )
        .await;
    let config = world.with(json!({
        "incremental_by": "cursor_column", "cursor_columns": "updated_at, a=version", "key_columns": "",
    }));
    let cursor = cursor_of_a_full_listing(&config).await;
    world.sql("UPDATE a SET version = 101 WHERE id = 7; UPDATE b SET updated_at = now() WHERE id = 50").await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.failure.is_none(), "{told:?}");
    let name = |rest: &str| format!("{}_public_{rest}", world.database);
    // The table without the column is read as a whole.
    let expected = ["a_100", "a_7", "b_1", "b_50", "c_1"].map(name);
    assert_eq!(told.upserts.keys().cloned().collect::<Vec<_>>(), expected);
    let again = since(&config, told.cursor).await;
    assert_eq!(again.upserts.keys().cloned().collect::<Vec<_>>(), ["a_7", "b_50", "c_1"].map(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_everything_is_read_again() {
    let world = PostgresWorld::start().await;
    let told = since(&world.config(), None).await;
    assert_eq!(told.upserts.len(), world.ids().await.len());
    assert!(told.cursor.is_some() && told.failure.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_configuration_is_left_aside() {
    let world = PostgresWorld::start().await;
    let config = world.with(json!({"incremental_by": "commit_timestamp", "key_columns": ""}));
    let cursor = cursor_of_a_full_listing(&config).await;
    let other = world.with(json!({"incremental_by": "logical_replication", "tables": "customers"}));
    assert_eq!(since(&other, Some(cursor)).await.failure.unwrap().kind(), ErrorKind::PositionGone);
    connect::<super::Postgresql>(&config).await.ping(&Context::default()).await.unwrap();
}
