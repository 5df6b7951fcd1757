use serde_json::{Value, json};
use tributary_connector_postgresql::Postgresql;
use tributary_sdk::Context;
use tributary_testkit::{Certificate, World as _, try_connect};

use super::world::PostgresWorld;

async fn works(world: &PostgresWorld, values: Value) -> Result<(), String> {
    let source = try_connect::<Postgresql>(&world.with(values)).await.map_err(|error| error.report())?;
    source.ping(&Context::default()).await.map_err(|error| error.report())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_checks_what_its_name_says() {
    let world = PostgresWorld::start().await;
    let authority = world.server.authority.clone();
    let flat = authority.replace('\n', " ");
    for (values, good) in [
        (json!({"host": "localhost", "ssl_enabled": true, "ssl_ca": authority}), true),
        (json!({"host": "localhost", "ssl_enabled": true, "ssl_ca": flat}), true),
        (json!({"host": "127.0.0.1", "ssl_enabled": true, "ssl_ca": flat}), false),
        (json!({"host": "localhost", "ssl_enabled": true}), false),
        (json!({"host": "127.0.0.1", "ssl_mode": "verify-ca", "ssl_ca": flat}), true),
        (json!({"host": "127.0.0.1", "ssl_mode": "require"}), true),
        (json!({"host": "127.0.0.1", "ssl_mode": "prefer"}), true),
        (json!({"host": "127.0.0.1", "ssl_mode": "disable"}), true),
    ] {
        let outcome = works(&world, values.clone()).await;
        assert_eq!(outcome.is_ok(), good, "{values}: {outcome:?}");
        // It says where to look, and trying again is of no use.
        if let Err(said) = outcome {
            assert!(said.contains("'SSL certificate'"), "{values}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_to_servers_that_ask_for_one() {
    let world = PostgresWorld::start().await;
    world.sql("DO $$ BEGIN CREATE ROLE with_certificate LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$").await;
    world.sql("GRANT pg_read_all_data TO with_certificate").await;
    let Certificate { certificate, key } = &world.server.client;
    let values = |certificate: &str| {
        json!({
            "host": "localhost", "username": "with_certificate", "password": "none", "ssl_enabled": true,
            "ssl_ca": world.server.authority, "ssl_cert": certificate, "ssl_key": key,
        })
    };
    works(&world, values(certificate)).await.unwrap();
    works(&world, values("")).await.unwrap_err();
}
