use serde_json::{Value, json};
use tributary_connector_postgresql::Postgresql;
use tributary_sdk::{Context, ErrorKind};
use tributary_testkit::{Listing, World as _, connect};

use super::world::PostgresWorld;

async fn by(world: &PostgresWorld, rules: Value) -> Listing {
    let source = connect::<Postgresql>(&world.config()).await;
    let cx = Context { advanced_rules: Some(rules), ..Context::default() };
    Listing::of(source.documents(&cx)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_gives_documents_of_its_tables_and_id_columns() {
    let world = PostgresWorld::start().await;
    let rules = json!([{
        "tables": ["orders", "customers"],
        "query": "SELECT c.name, o.number, o.total, now() - now() AS age FROM customers c JOIN orders o ON o.customer = c.id;",
        "id_columns": ["number", "NAME"],
    }]);
    let listing = by(&world, rules).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    let database = &world.database;
    let id = format!("{database}_public_customers_orders_a_b_Ada");
    let fields = &listing.items[&id].fields;
    assert_eq!(listing.items.len(), 2);
    assert_eq!(fields["public_customers_orders_total"], json!(12.5));
    assert_eq!(fields["public_customers_orders_age"], json!("PT0S"));
    assert_eq!(fields["table"], json!(["customers", "orders"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_id_columns_the_keys_of_the_tables_tell_documents_apart() {
    let world = PostgresWorld::start().await;
    let rules = json!([{"tables": ["customers"], "query": "SELECT id, name FROM customers WHERE age > 80"}]);
    let listing = by(&world, rules).await;
    assert_eq!(listing.ids, [format!("{}_public_customers_2", world.database)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_never_ends_the_stream_cleanly_and_the_others_go_on() {
    let world = PostgresWorld::start().await;
    let good = json!({"tables": ["customers"], "query": "SELECT * FROM customers"});
    for (bad, said) in [
        (json!({"tables": ["customers"], "query": "SELECT name FROM customers"}), "no column 'id'"),
        (json!({"tables": ["keyless"], "query": "SELECT * FROM keyless"}), "no primary key"),
        (json!({"tables": ["customers"], "query": "SELECT nothing FROM customers"}), "nothing"),
        (json!({"tables": ["customers"], "query": "DELETE FROM customers RETURNING id"}), "read-only"),
        (
            json!({"tables": ["customers"], "query": "SELECT * FROM customers; DROP TABLE customers"}),
            "multiple commands",
        ),
    ] {
        let listing = by(&world, json!([bad, good])).await;
        let reports: Vec<String> = listing.errors().map(tributary_sdk::Error::report).collect();
        assert!(!listing.is_clean() && reports[0].contains(said), "{bad}: {reports:?}");
        assert_eq!(listing.items.len(), 2, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_checked_against_the_tables_that_are_there() {
    let world = PostgresWorld::start().await;
    let source = connect::<Postgresql>(&world.config()).await;
    let rules = source.advanced_rules().unwrap();
    let rule = |tables: Value| json!([{"tables": tables, "query": "SELECT 1"}]);
    assert_eq!(rules.check_rules(&rule(json!(["customers"]))).await.unwrap(), Vec::<String>::new());
    let missing = rules.check_rules(&rule(json!(["customers", "zzz"]))).await.unwrap();
    assert_eq!(missing, ["Tables not found or inaccessible: {'zzz'}."]);
    let schema = rules.check_rules(&rule(json!([]))).await.unwrap();
    assert_eq!(schema, ["data[0].tables must contain at least 1 items"]);
    assert_eq!(rules.check_rules(&json!({})).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_query_is_not_held_in_memory_and_can_be_left() {
    use futures::StreamExt as _;
    let world = PostgresWorld::start().await;
    let source = connect::<Postgresql>(&world.config()).await;
    let query = "SELECT generate_series(1, 100000000) AS id, repeat('x', 1000) AS text";
    let rules = json!([{"tables": ["customers"], "query": query, "id_columns": ["id"]}]);
    let cx = Context { advanced_rules: Some(rules), ..Context::default() };
    let mut events = source.documents(&cx);
    for _ in 0..1_000 {
        events.next().await.unwrap().unwrap();
    }
    drop(events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_no_rule_is_told_before_anything_is_listed() {
    let world = PostgresWorld::start().await;
    let listing = by(&world, json!("SELECT 1")).await;
    assert_eq!(listing.failure.unwrap().kind(), ErrorKind::Config);
}
