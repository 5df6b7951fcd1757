use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tributary_connector_mysql::Mysql;
use tributary_sdk::{Context, Error, ErrorKind};
use tributary_testkit::{World as _, connect, try_connect};

use super::world::{MysqlWorld, PASSWORD};
use super::{all, cursor_of_a_full_listing, since};

async fn ids(config: &Map<String, Value>) -> BTreeSet<String> {
    let listing = all(config).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    listing.items.into_keys().collect()
}

fn set<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> BTreeSet<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

async fn refused(config: &Map<String, Value>) -> Error {
    connect::<Mysql>(config).await.ping(&Context::default()).await.unwrap_err()
}

/// An account of this world's own, which may do what `grants` say.
async fn account(world: &mut MysqlWorld, grants: &[&str]) -> String {
    let name = format!("reader_{}", world.database);
    world.sql(&format!("CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'")).await;
    for grant in grants {
        world.sql(&format!("GRANT {grant} TO {name}@'%'")).await;
    }
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_chosen_by_name_and_pattern() {
    let world = MysqlWorld::start().await;
    for (tables, expected) in [
        ("orders", &["orders_1_a_b", "orders_2_c"][..]),
        ("unique_only, orders", &["orders_1_a_b", "orders_2_c", "unique_only_x2a"]),
        ("cust*", &["customers_1", "customers_2"]),
        (&format!("{}.*_only", world.database), &["unique_only_x2a"]),
        (&format!("{}.orders", world.database), &["orders_1_a_b", "orders_2_c"]),
    ] {
        assert_eq!(ids(&world.with(json!({"tables": tables}))).await, set(expected), "{tables}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_are_read_with_their_names_in_ids_and_fields() {
    let (one, two) = (MysqlWorld::start().await, MysqlWorld::start().await);
    let both = [&one.database, &two.database];
    let lists =
        [format!("{}, {}", two.database, one.database), format!(" {}*,{} ", one.database, two.database)];
    for list in lists {
        let config = one.with(json!({"database": list, "tables": "orders"}));
        let found = ids(&config).await;
        for database in both {
            assert!(found.contains(&format!("{database}_orders_1_a_b")), "{list}: {found:?}");
        }
    }
    let listing = all(&one.with(json!({"database": format!("{}*", one.database), "tables": "orders"}))).await;
    let fields = &listing.fields[&format!("{}_orders_2_c", one.database)];
    assert_eq!((&fields["Database"], &fields["Table"]), (&json!(one.database), &json!("orders")));
    // A table of one database only.
    let named = one.with(json!({
        "database": both.map(String::as_str).join(","), "tables": format!("{}.orders", two.database),
    }));
    assert_eq!(
        ids(&named).await,
        set(["orders_1_a_b", "orders_2_c"].map(|id| format!("{}_{id}", two.database)))
    );
    connect::<Mysql>(&named).await.ping(&Context::default()).await.unwrap();
    let missing =
        one.with(json!({"database": both.map(String::as_str).join(","), "tables": "nowhere.orders"}));
    assert_eq!(refused(&missing).await.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_star_means_the_databases_that_the_account_sees() {
    let (mut one, two) = (MysqlWorld::start().await, MysqlWorld::start().await);
    let grants = [format!("SELECT ON {}.*", one.database), format!("SELECT ON {}.orders", two.database)];
    let user = account(&mut one, &grants.each_ref().map(String::as_str)).await;
    let config = one.with(json!({"user": user, "database": "*", "tables": "*", "key_columns": ""}));
    let listed: BTreeSet<String> =
        one.ids().await.into_iter().filter(|id| !id.starts_with("summary")).collect();
    let mut expected: BTreeSet<String> = listed.iter().map(|id| format!("{}_{id}", one.database)).collect();
    expected.extend(["orders_1_a_b", "orders_2_c"].map(|id| format!("{}_{id}", two.database)));
    assert_eq!(ids(&config).await, expected);
    let nothing = refused(&one.with(json!({"user": user, "database": "nowhere*"}))).await;
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
    assert!(nothing.report().contains(&one.database), "{}", nothing.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_with_what_to_grant() {
    let mut world = MysqlWorld::start().await;
    let customers = format!("SELECT ON {}.customers", world.database);
    let user = account(&mut world, &[&customers]).await;
    let as_reader = |tables: &str| world.with(json!({"user": user, "tables": tables, "key_columns": ""}));
    assert_eq!(ids(&as_reader("*")).await, set(["customers_1", "customers_2"]));
    // MySQL does not tell what one may not see, so a table without rights looks like one that is not there.
    let denied = refused(&as_reader("customers, orders")).await;
    assert_eq!(denied.kind(), ErrorKind::NotFound);
    assert!(denied.report().contains("'orders'") && denied.report().contains("grant"), "{}", denied.report());
    let listing = all(&as_reader("customers, orders")).await;
    assert!(!listing.is_clean() && listing.items.len() == 2, "the rest is listed, nothing is deleted");
    let part = format!("GRANT SELECT (customer, number) ON {}.orders TO {user}@'%'", world.database);
    let insert = format!("GRANT INSERT ON {}.unique_only TO {user}@'%'", world.database);
    world.sql(&part).await;
    world.sql(&insert).await;
    let as_reader = |tables: &str| world.with(json!({"user": user, "tables": tables, "key_columns": ""}));
    // Only the columns that may be read come.
    let listing = all(&as_reader("orders")).await;
    let (id, item) = listing.items.first_key_value().unwrap();
    assert_eq!(id, "orders_1_a_b");
    assert!(item.fields.contains_key("number") && !item.fields.contains_key("total"), "{item:?}");
    // Seen, and not readable.
    let denied = refused(&as_reader("unique_only")).await;
    assert_eq!(denied.kind(), ErrorKind::Permission);
    assert!(denied.report().contains("SELECT"), "{}", denied.report());
    assert_eq!(ids(&as_reader("*")).await.len(), 4, "passed over under a star");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_ends_a_sync_without_deletions() {
    let mut world = MysqlWorld::start().await;
    let all_tables = format!("SELECT ON {}.*", world.database);
    let user = account(&mut world, &[&all_tables]).await;
    let config = world.with(json!({"user": user, "tables": "orders", "key_columns": ""}));
    assert!(all(&config).await.is_clean());
    world.sql(&format!("REVOKE {all_tables} FROM {user}@'%'")).await;
    let listing = all(&config).await;
    assert!(!listing.is_clean());
    let error = listing.errors().next().unwrap();
    assert_eq!(error.kind(), ErrorKind::Permission, "{}", error.report());
    assert!(error.hint_text().is_some_and(|hint| hint.contains("SELECT")), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_needs_rights_that_are_named() {
    let mut world = MysqlWorld::start().await;
    let select = format!("SELECT ON {}.*", world.database);
    let user = account(&mut world, &[&select]).await;
    let config = world.with(json!({"user": user, "incremental_by": "binlog", "key_columns": ""}));
    let error = refused(&config).await;
    assert_eq!(error.kind(), ErrorKind::Permission, "{}", error.report());
    assert!(error.report().contains("BINLOG MONITOR"), "{}", error.report());
    world.sql(&format!("GRANT BINLOG MONITOR ON *.* TO {user}@'%'")).await;
    let error = refused(&config).await;
    assert_eq!(error.kind(), ErrorKind::Permission, "{}", error.report());
    assert!(error.report().contains("REPLICATION SLAVE"), "{}", error.report());
    world.sql(&format!("GRANT REPLICATION SLAVE ON *.* TO {user}@'%'")).await;
    let cursor = cursor_of_a_full_listing(&config).await;
    let added = world.add().await;
    let told = since(&config, Some(cursor)).await;
    assert!(told.failure.is_none() && told.upserts.contains_key(&added), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_told_with_what_to_do() {
    let world = MysqlWorld::start().await;
    for (values, kind, said) in [
        (json!({"password": "wrong"}), ErrorKind::Auth, "password"),
        (json!({"user": "nobody"}), ErrorKind::Auth, "nobody"),
        (json!({"database": "nowhere"}), ErrorKind::NotFound, "'nowhere'"),
        (json!({"database": "nowhere, no*"}), ErrorKind::NotFound, "'nowhere'"),
        (json!({"tables": "nowhere"}), ErrorKind::NotFound, "'nowhere'"),
    ] {
        let error = refused(&world.with(values.clone())).await;
        assert_eq!(error.kind(), kind, "{values}: {}", error.report());
        assert!(error.report().contains(said), "{values}: {}", error.report());
        assert!(error.hint_text().is_some(), "{values}: {}", error.report());
    }
    for (values, said) in [
        (json!({"key_columns": "summary"}), "table=column"),
        (json!({"incremental_by": "cursor_column"}), "updated_at"),
        (json!({"ssl_enabled": true, "ssl_ca": "no PEM"}), "SSL certificate"),
        (json!({"host": ""}), "'Host' cannot be empty."),
    ] {
        let error = try_connect::<Mysql>(&world.with(values.clone())).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Config && error.report().contains(said),
            "{values}: {}",
            error.report()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_quotes_are_names_and_nothing_else() {
    let mut world = MysqlWorld::new().await;
    world.sql("CREATE TABLE `t'; drop ``table`` a; --` (`k``'\"` int PRIMARY KEY)").await;
    world.sql("INSERT INTO `t'; drop ``table`` a; --` VALUES (1)").await;
    let found = ids(&world.with(json!({"tables": "*", "key_columns": ""}))).await;
    assert_eq!(found, set(["t'; drop `table` a; --_1"]));
}
