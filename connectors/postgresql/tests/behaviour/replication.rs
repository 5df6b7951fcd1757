use serde_json::{Map, Value, json};
use tributary_connector_postgresql::Postgresql;
use tributary_sdk::{Context, Cursor, ErrorKind};
use tributary_testkit::{Changes, World as _, connect};

use super::world::{PASSWORD, PostgresWorld};
use super::{all, cursor_of_a_full_listing, since};

fn config(world: &PostgresWorld) -> Map<String, Value> {
    world.with(
        json!({"incremental_by": "logical_replication", "tables": "customers, orders", "key_columns": ""}),
    )
}

async fn followed(world: &PostgresWorld, cursor: &Cursor) -> Changes {
    let told = since(&config(world), Some(cursor.clone())).await;
    assert!(told.failure.is_none(), "{:?}", told.failure.map(|error| error.report()));
    told
}

async fn slots(world: &PostgresWorld) -> i64 {
    let sql = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    world.client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn insertions_changes_and_deletions_come_from_the_log() {
    let mut world = PostgresWorld::start().await;
    let cursor = cursor_of_a_full_listing(&config(&world)).await;
    let quiet = followed(&world, &cursor).await;
    assert!(quiet.upserts.is_empty() && quiet.deletes.is_empty(), "{quiet:?}");
    let added = world.add().await;
    world
        .sql(
            "UPDATE customers SET name = 'Countess' WHERE id = 1; DELETE FROM orders WHERE number = 'c';
             UPDATE orders SET number = 'renamed' WHERE number = 'a_b'; UPDATE unique_only SET note = 'not followed';
             INSERT INTO customers (id, name) VALUES (77, 'short'); DELETE FROM customers WHERE id = 77",
        )
        .await;
    world.sql("BEGIN; INSERT INTO customers (name) VALUES ('never')").await;
    world.sql("ROLLBACK").await;
    let told = followed(&world, &cursor).await;
    let name = |rest: &str| format!("{}_public_{rest}", world.database);
    let mut expected = vec![name("customers_1"), added, name("orders_renamed_1")];
    expected.sort();
    assert_eq!(told.upserts.keys().cloned().collect::<Vec<_>>(), expected);
    assert_eq!(told.upserts[&name("customers_1")]["public_customers_name"], json!("Countess"));
    let mut deletes = told.deletes.clone();
    deletes.sort();
    deletes.dedup();
    assert_eq!(deletes, [name("customers_77"), name("orders_a_b_1"), name("orders_c_2")]);
    // Until the position behind it is stored, everything comes again.
    assert_eq!(followed(&world, &cursor).await.upserts.len(), 3);
    let after = told.cursor.unwrap();
    let quiet = followed(&world, &after).await;
    assert!(quiet.upserts.is_empty() && quiet.deletes.is_empty(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_from_the_log_is_that_of_a_full_listing() {
    let world = PostgresWorld::start().await;
    world
        .sql(
            "CREATE TABLE wide (id numeric, at timestamptz, big text, n int, r int4range, PRIMARY KEY (id, at));
             ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
             INSERT INTO wide VALUES (1.50, '2024-01-02 03:04:05.6+00', repeat('x', 100000), 1, '[1,5)')",
        )
        .await;
    let config =
        world.with(json!({"incremental_by": "logical_replication", "tables": "wide", "key_columns": ""}));
    let cursor = cursor_of_a_full_listing(&config).await;
    // The large value is not in the log.
    world.sql("UPDATE wide SET n = 2").await;
    let told = since(&config, Some(cursor.clone())).await;
    let listing = all(&config).await;
    assert_eq!(told.upserts, listing.fields, "{:?}", told.failure);
    world.sql("DELETE FROM wide").await;
    let told = since(&config, Some(cursor)).await;
    assert_eq!(told.deletes, listing.ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_in_one_transaction_all_come() {
    let mut world = PostgresWorld::start().await;
    let cursor = cursor_of_a_full_listing(&config(&world)).await;
    world.fill(5_000).await;
    world.sql("DELETE FROM customers WHERE id % 5 = 0").await;
    let told = followed(&world, &cursor).await;
    // Rows that are gone already may be told of twice.
    let deletes: std::collections::BTreeSet<&String> = told.deletes.iter().collect();
    assert_eq!((told.upserts.len(), deletes.len()), (4_000, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_tell_asks_for_a_full_sync() {
    for (sql, said) in [
        ("TRUNCATE customers", "TRUNCATE"),
        ("ALTER TABLE customers ADD COLUMN more int DEFAULT 7", "public.customers"),
        ("DROP TABLE orders", "public.orders"),
        ("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()", "not there"),
        (
            "INSERT INTO customers (name) VALUES ('x'); SELECT pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn())
             FROM pg_replication_slots WHERE database = current_database()",
            "another",
        ),
    ] {
        let world = PostgresWorld::start().await;
        let cursor = cursor_of_a_full_listing(&config(&world)).await;
        world.sql("CREATE TABLE keep (id int PRIMARY KEY)").await;
        world.sql(sql).await;
        let error = since(&config(&world), Some(cursor)).await.failure.unwrap();
        assert_eq!(error.kind(), ErrorKind::PositionGone, "{sql}: {}", error.report());
        assert!(error.report().contains(said), "{sql}: {}", error.report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_after_that_can_be_followed_again() {
    let mut world = PostgresWorld::start().await;
    let cursor = cursor_of_a_full_listing(&config(&world)).await;
    world.sql("TRUNCATE customers").await;
    since(&config(&world), Some(cursor)).await.failure.unwrap();
    let cursor = cursor_of_a_full_listing(&config(&world)).await;
    let added = world.add().await;
    let told = followed(&world, &cursor).await;
    assert_eq!(told.upserts.keys().collect::<Vec<_>>(), [&added]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_committed_while_the_full_listing_runs_is_not_lost() {
    let world = PostgresWorld::start().await;
    // A transaction that began before, and ends after, the listing.
    world.sql("BEGIN; UPDATE customers SET name = 'late' WHERE id = 1").await;
    let config = config(&world);
    let listing = all(&config);
    let cursor = {
        // Making a slot waits for transactions that are under way.
        let (listing, ()) = futures::join!(listing, async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            world.sql("COMMIT").await;
        });
        listing.checkpoints.last().unwrap().1.clone()
    };
    world.sql("UPDATE customers SET name = 'later' WHERE id = 2").await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.upserts.contains_key(&format!("{}_public_customers_2", world.database)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_not_used_any_more_is_dropped() {
    let world = PostgresWorld::start().await;
    cursor_of_a_full_listing(&config(&world)).await;
    assert_eq!(slots(&world).await, 1);
    cursor_of_a_full_listing(&world.config()).await;
    assert_eq!(slots(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_holds_back_too_much_is_made_anew() {
    let world = PostgresWorld::start().await;
    let mut config = config(&world);
    config.insert("replication_max_log_mb".to_owned(), json!(1));
    let cursor = cursor_of_a_full_listing(&config).await;
    world
        .sql("INSERT INTO customers (name) SELECT repeat(md5(n::text), 20) FROM generate_series(1, 5000) n")
        .await;
    cursor_of_a_full_listing(&config).await;
    let error = since(&config, Some(cursor)).await.failure.unwrap();
    assert_eq!(error.kind(), ErrorKind::PositionGone, "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_rows_the_log_cannot_identify_is_told_before_it_is_published() {
    let world = PostgresWorld::start().await;
    let config = world.with(json!({"incremental_by": "logical_replication", "tables": "unique_only"}));
    let error = all(&config).await.failure.unwrap();
    assert!(error.report().contains("REPLICA IDENTITY"), "{}", error.report());
    // Its users are not kept from changing it.
    world
        .sql("UPDATE unique_only SET note = 'still mine'; ALTER TABLE unique_only REPLICA IDENTITY FULL")
        .await;
    let cursor = cursor_of_a_full_listing(&config).await;
    world.sql("DELETE FROM unique_only").await;
    assert_eq!(since(&config, Some(cursor)).await.deletes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_told_with_what_to_run() {
    let world = PostgresWorld::start().await;
    let role = format!("follower_{}", world.database.to_lowercase());
    world
        .sql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT pg_read_all_data TO {role}"))
        .await;
    let mut config = config(&world);
    config.insert("username".to_owned(), json!(role));
    let source = connect::<Postgresql>(&config).await;
    let error = source.ping(&Context::default()).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Permission && error.report().contains("REPLICATION"),
        "{}",
        error.report()
    );
    world.sql(&format!("ALTER ROLE {role} REPLICATION")).await;
    source.ping(&Context::default()).await.unwrap();
    let error = all(&config).await.failure.unwrap();
    assert!(error.report().contains("CREATE PUBLICATION"), "{}", error.report());
    world.sql("CREATE PUBLICATION tributary FOR TABLE customers, orders").await;
    let cursor = cursor_of_a_full_listing(&config).await;
    world.sql("DELETE FROM customers WHERE id = 1").await;
    assert_eq!(since(&config, Some(cursor)).await.deletes.len(), 1);
}
