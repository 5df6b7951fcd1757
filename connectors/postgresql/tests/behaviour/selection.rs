use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tributary_connector_postgresql::Postgresql;
use tributary_sdk::{Context, ErrorKind};
use tributary_testkit::{World as _, connect, try_connect};

use super::all;
use super::world::{PASSWORD, PostgresWorld};

async fn tables(config: &Map<String, Value>) -> BTreeSet<String> {
    let listing = all(config).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    let name = |fields: &Map<String, Value>| {
        format!("{}.{}", fields["schema"].as_str().unwrap(), fields["table"].as_str().unwrap())
    };
    listing.fields.values().map(name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_chosen_by_name_pattern_and_schema() {
    let world = PostgresWorld::start().await;
    world.sql("CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY); INSERT INTO sales.orders VALUES (1)").await;
    for (values, expected) in [
        (json!({"tables": "customers, orders"}), &["public.customers", "public.orders"][..]),
        (json!({"tables": "cust*, public.*_only"}), &["public.customers", "public.unique_only"]),
        (json!({"tables": "orders", "schema": "sales"}), &["sales.orders"]),
        (json!({"tables": "orders", "schema": "public, sales"}), &["public.orders", "sales.orders"]),
        (json!({"tables": "sales.orders", "schema": "*"}), &["sales.orders"]),
    ] {
        assert_eq!(tables(&world.with(values.clone())).await, set(expected), "{values}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_table_are_listed_as_themselves_unless_the_whole_is_named() {
    let world = PostgresWorld::new().await;
    world
        .sql(
            "CREATE TABLE log (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10);
             CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (10) TO (20);
             INSERT INTO log VALUES (1), (11)",
        )
        .await;
    assert_eq!(tables(&world.config_with_all()).await, set(&["public.log_1", "public.log_2"]));
    assert_eq!(tables(&world.with(json!({"tables": "log"}))).await, set(&["public.log"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_are_read_one_after_the_other() {
    let (one, two) = (PostgresWorld::start().await, PostgresWorld::start().await);
    let config = one.with(json!({"database": format!("{}, {}", two.database, one.database)}));
    let listing = all(&config).await;
    let expected: BTreeSet<String> = one.ids().await.union(&two.ids().await).cloned().collect();
    assert_eq!(listing.ids.iter().cloned().collect::<BTreeSet<_>>(), expected);
    let everything = all(&one.with(json!({"database": "*", "tables": "customers"}))).await;
    let found: BTreeSet<&String> = everything.ids.iter().collect();
    assert!(found.contains(&format!("{}_public_customers_1", two.database)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_with_what_to_grant() {
    let world = PostgresWorld::start().await;
    let role = format!("reader_{}", world.database.to_lowercase());
    world
        .sql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON customers TO {role}"))
        .await;
    let as_reader = |tables: &str| world.with(json!({"username": role, "tables": tables, "key_columns": ""}));
    assert_eq!(tables(&as_reader("*")).await, set(&["public.customers"]));
    let source = connect::<Postgresql>(&as_reader("customers, orders")).await;
    let denied = source.ping(&Context::default()).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Permission);
    assert!(
        denied.report().contains("public.orders") && denied.report().contains("GRANT")
            || denied.report().contains("grant SELECT")
    );
    let listing = all(&as_reader("customers, orders")).await;
    assert!(!listing.is_clean() && listing.items.len() == 2, "the rest is listed, nothing is deleted");
    // Only the columns that may be read come.
    world.sql(&format!("GRANT SELECT (customer, number) ON orders TO {role}")).await;
    let listing = all(&as_reader("orders")).await;
    let (_, item) = listing.items.first_key_value().unwrap();
    assert!(
        item.fields.contains_key("public_orders_number") && !item.fields.contains_key("public_orders_total")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_told_with_what_is_accepted() {
    let world = PostgresWorld::start().await;
    for (values, kind, said) in [
        (json!({"password": "wrong"}), ErrorKind::Auth, "password"),
        (json!({"database": "nowhere"}), ErrorKind::NotFound, "'Database'"),
        (json!({"schema": "nowhere"}), ErrorKind::Config, "there are public"),
        (json!({"tables": "nowhere"}), ErrorKind::NotFound, "nowhere"),
    ] {
        let source = connect::<Postgresql>(&world.with(values.clone())).await;
        let error = source.ping(&Context::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{values}: {}", error.report());
        assert!(error.report().contains(said), "{values}: {}", error.report());
    }
    for (values, said) in [
        (json!({"key_columns": "summary"}), "table=column"),
        (json!({"incremental_by": "cursor_column"}), "updated_at"),
        (json!({"ssl_enabled": true, "ssl_ca": "no PEM"}), "SSL certificate"),
        (json!({"host": ""}), "'Host' cannot be empty."),
    ] {
        let error = try_connect::<Postgresql>(&world.with(values.clone())).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Config && error.report().contains(said),
            "{values}: {}",
            error.report()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_quotes_are_names_and_nothing_else() {
    let world = PostgresWorld::new().await;
    world
        .sql(
            "CREATE SCHEMA \"s'\"\"x\"; CREATE TABLE \"s'\"\"x\".\"t'; drop table a; --\" (\"k\"\"'\" int PRIMARY KEY);
             INSERT INTO \"s'\"\"x\".\"t'; drop table a; --\" VALUES (1)",
        )
        .await;
    let listing = all(&world.with(json!({"schema": "s'\"x", "tables": "*"}))).await;
    assert!(listing.is_clean() && listing.items.len() == 1, "{:?}", listing.errors().collect::<Vec<_>>());
}
