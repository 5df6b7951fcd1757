//! What this source does beyond the laws that all keep.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Regex, Timestamp, doc};
use serde_json::{Map, Value, json};
use tributary_connector_mongodb::Mongodb;
use tributary_sdk::{Context, ErrorKind, Source};
use tributary_testkit::{
    Authority, Fault, Listing, Proxy, World as _, connect, list, list_from, try_connect,
};
use world::{DATABASE, MongodbWorld, Server};

fn with(config: &Map<String, Value>, more: Value) -> Map<String, Value> {
    let Value::Object(more) = more else { panic!("no object") };
    let mut config = config.clone();
    config.extend(more);
    config
}

fn clean(listing: Listing) -> Listing {
    assert!(
        listing.is_clean(),
        "{:?}",
        listing.errors().map(tributary_sdk::Error::report).collect::<Vec<_>>()
    );
    listing
}

async fn with_rule(source: &Source, rule: Value) -> Listing {
    let cx = Context { advanced_rules: Some(rule), ..Context::default() };
    Listing::of(source.documents(&cx)).await
}

async fn refused(config: &Map<String, Value>) -> tributary_sdk::Error {
    match try_connect::<Mongodb>(config).await {
        Ok(source) => source.ping(&Context::default()).await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn documents_have_their_members_as_json() {
    world::program();
    let mut world = MongodbWorld::start().await;
    let id = ObjectId::from_bytes([0xAB; 12]);
    world
        .put(doc! {
            "_id": id, "id": 5, "long": i64::MAX, "double": 1.0, "at": DateTime::from_millis(1_577_840_523_000),
            "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: (0..16).collect() },
            "bytes": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] },
            "regex": regex("^a", "i"), "stamp": Timestamp { time: 7, increment: 9 },
            "none": Bson::Null, "nested": { "list": [1, { "a": true }], "id": "inner" },
        })
        .await;
    let listing = clean(list(&connect::<Mongodb>(&world.config()).await).await);
    let expected = json!({
        "id_": 5, "long": i64::MAX, "double": 1.0, "at": "2020-01-01T01:02:03",
        "uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f", "bytes": "AP8=", "regex": "/^a/i",
        "stamp": {"t": 7, "i": 9}, "none": null, "nested": {"list": [1, {"a": true}], "id": "inner"},
    });
    assert_eq!(Value::Object(listing.fields[&"ab".repeat(12)].clone()), expected);
    let own = &listing.fields[r#"{"a":1,"b":"x"}"#];
    assert_eq!(own["id_"], "own", "an own field id is kept");
    assert_eq!(listing.fields["7"]["at"], "2020-01-01T01:02:03.456000");
}

#[tokio::test]
async fn a_listing_goes_on_after_ids_of_every_type() {
    world::program();
    let mut world = MongodbWorld::start().await;
    for n in 0..150 {
        world.put(doc! { "_id": format!("text {n}") }).await;
        world.put(doc! { "_id": 100 + n }).await;
        world.put(doc! { "_id": { "n": n } }).await;
    }
    world.put(doc! { "_id": true }).await;
    world.fill(700).await;
    let expected = world.ids().await;
    let source = connect::<Mongodb>(&world.config()).await;
    let whole = clean(list(&source).await);
    assert_eq!(whole.ids.iter().cloned().collect::<BTreeSet<_>>(), expected);
    // After each of the ids, whatever its type, the rest comes: as a killed sync would go on.
    let (_, template) = whole.checkpoints.first().unwrap().clone();
    for (place, id) in whole.ids.iter().enumerate().step_by(97) {
        let bson = world.bson(id);
        let mut cursor = template.clone();
        cursor.0["after"] = json!(kept(&bson));
        let rest = clean(list_from(&source, Some(cursor)).await);
        assert_eq!(rest.ids, whole.ids[place + 1..], "after {bson:?}");
    }
}

fn regex(pattern: &str, options: &str) -> Regex {
    let text = |text: &str| text.to_owned().try_into().unwrap();
    Regex { pattern: text(pattern), options: text(options) }
}

fn kept(id: &Bson) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(doc! { "id": id.clone() }.to_vec().unwrap())
}

#[tokio::test]
async fn all_collections_of_a_database_share_an_index_under_ids_of_their_own() {
    world::program();
    let server = Server::start().await;
    for (name, id) in [("a", 1), ("b", 1), ("b", 2)] {
        server.collection(name).await.insert_one(doc! { "_id": id, "in": name }).await.unwrap();
    }
    let config = json!({
        "host": server.address(), "database": DATABASE, "collection": "*", "direct_connection": true,
        "ssl_enabled": false,
    });
    let source = connect::<Mongodb>(config.as_object().unwrap()).await;
    source.ping(&Context::default()).await.unwrap();
    let listing = clean(list(&source).await);
    assert_eq!(listing.ids, ["a/1", "b/1", "b/2"]);
    let gone = with(config.as_object().unwrap(), json!({"database": "zz"}));
    assert!(
        !list(&connect::<Mongodb>(&gone).await).await.is_clean(),
        "a database that is not there is no empty one"
    );
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_is_there() {
    world::program();
    let world = MongodbWorld::start().await;
    world.server.collection("orders").await.insert_one(doc! { "_id": 1 }).await.unwrap();
    let error = refused(&with(&world.config(), json!({"database": "zz"}))).await;
    assert!(error.to_string().starts_with("Database 'zz' does not exist. Existing databases: "), "{error}");
    assert!(error.to_string().contains(DATABASE));
    let error = refused(&with(&world.config(), json!({"collection": "zz"}))).await;
    let expected =
        "Collection 'zz' does not exist within database 'shop'. Existing collections: customers, orders";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_and_not_shown() {
    world::program();
    let world = MongodbWorld::start().await;
    let error = refused(&with(&world.config(), json!({"user": "nobody", "password": "p@ss/hunter2"}))).await;
    assert_eq!(error.kind(), ErrorKind::Auth, "{}", error.report());
    assert!(!error.report().contains("hunter2"), "{}", error.report());
    assert!(error.report().contains("'Password'"));
}

#[tokio::test]
async fn what_the_connection_string_says_must_fit_the_fields() {
    let config = json!({
        "host": "mongodb://127.0.0.1/?tls=true", "database": "a", "collection": "b", "direct_connection": false,
        "ssl_enabled": false,
    });
    let config = config.as_object().unwrap();
    let expected = "The value of SSL/TLS must be the same in the hostname and configuration field.";
    assert_eq!(refused(config).await.to_string(), expected);
    let error = refused(&with(config, json!({"host": "127.0.0.1:27017"}))).await;
    assert_eq!((error.kind(), error.hint_text().is_some()), (ErrorKind::Config, true));
    let error = refused(&with(config, json!({"datetime_conversion": "SOMETIME"}))).await;
    let report = error.report();
    assert!(report.contains("DATETIME, DATETIME_CLAMP") && report.contains("SOMETIME"), "{report}");
}

#[tokio::test]
async fn dates_out_of_range_are_dealt_with_as_configured() {
    world::program();
    let mut world = MongodbWorld::start().await;
    let id = world.add_unreadable().await.unwrap();
    let refused = clean(list(&connect::<Mongodb>(&world.config()).await).await);
    assert_eq!(refused.skipped.len(), 1, "one document is skipped, and the sync goes on");
    for (mode, expected) in [
        ("DATETIME_CLAMP", json!("9999-12-31T23:59:59.999000")),
        ("DATETIME_AUTO", json!(253_402_300_800_000_i64)),
        ("DATETIME_MS", json!(253_402_300_800_000_i64)),
    ] {
        let config = with(&world.config(), json!({"datetime_conversion": mode}));
        let listing = clean(list(&connect::<Mongodb>(&config).await).await);
        assert_eq!(listing.fields[&id]["at"], expected, "{mode}");
    }
}

#[tokio::test]
async fn rules_choose_what_is_read() {
    world::program();
    let server = Server::start().await;
    let documents: Vec<Document> =
        (0..10).map(|n| doc! { "_id": n, "kind": if n % 2 == 0 { "even" } else { "odd" }, "n": n }).collect();
    server.collection("numbers").await.insert_many(documents).await.unwrap();
    let config = json!({
        "host": server.address(), "database": DATABASE, "collection": "numbers", "direct_connection": true,
        "ssl_enabled": false,
    });
    let source = connect::<Mongodb>(config.as_object().unwrap()).await;
    let listing = clean(
        with_rule(&source, json!({"find": {"filter": {"n": {"$gte": 7}}, "projection": ["kind"]}})).await,
    );
    assert_eq!(listing.ids, ["7", "8", "9"]);
    assert_eq!(Value::Object(listing.fields["7"].clone()), json!({"kind": "odd"}));
    let listing = clean(
        with_rule(&source, json!({"find": {"skip": 2, "limit": 3, "projection": {"_id": 0, "n": 1}}})).await,
    );
    assert_eq!(listing.ids.len(), 3, "the id comes whatever the projection says");
    let pipeline = json!({"aggregate": {"pipeline": [
        {"$match": {"n": {"$lt": 5}}}, {"$group": {"_id": "$kind", "sum": {"$sum": "$n"}}}, {"$sort": {"_id": 1}},
    ]}});
    let listing = clean(with_rule(&source, pipeline).await);
    assert_eq!(listing.ids, ["even", "odd"]);
    assert_eq!(listing.fields["even"]["sum"], 6);
    let without_id = json!({"aggregate": {"pipeline": [{"$project": {"_id": 0, "n": 1}}]}});
    let failed = with_rule(&source, without_id).await;
    assert!(failed.failure.unwrap().report().contains("_id"), "what has no id is told and ends the sync");
    assert!(
        !with_rule(&source, json!({"find": {"limit": "x"}})).await.is_clean(),
        "a bad rule lists nothing"
    );
    let rules = source.advanced_rules().unwrap();
    assert!(rules.check_rules(&json!({"find": {}})).await.unwrap().is_empty());
    assert_eq!(
        rules.check_rules(&json!({"aggregate": {"pipeline": [{"$merge": "x"}]}})).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn an_encrypted_server_is_reached_if_its_authority_is_trusted() {
    world::program();
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::with(&authority).await;
    server.collection("c").await.insert_one(doc! { "_id": 1 }).await.unwrap();
    let config = json!({
        "host": format!("mongodb://localhost:{}/?serverSelectionTimeoutMS=1500", server.encrypted),
        "database": DATABASE, "collection": "c", "direct_connection": true, "ssl_enabled": true,
        "ssl_ca": authority.pem().replace('\n', " "),
    });
    let config = config.as_object().unwrap();
    assert_eq!(clean(list(&connect::<Mongodb>(config).await).await).ids, ["1"]);
    let report = refused(&with(config, json!({"ssl_ca": other.pem()}))).await.report();
    assert!(report.contains("'Certificate Authority (.pem)'"), "{report}");
    let report = refused(&with(config, json!({"ssl_ca": ""}))).await.report();
    assert!(report.contains("'Certificate Authority (.pem)'"), "nobody else knows this authority: {report}");
    let insecure = with(config, json!({"ssl_ca": "", "tls_insecure": true}));
    assert_eq!(clean(list(&connect::<Mongodb>(&insecure).await).await).ids, ["1"]);
    let report = refused(&with(config, json!({"ssl_ca": "no certificate"}))).await.report();
    assert!(
        report.contains("'Certificate Authority (.pem)'") && !report.contains("no certificate "),
        "{report}"
    );
    let plain = format!("mongodb://localhost:{}/?serverSelectionTimeoutMS=1500", server.encrypted);
    let report = refused(&with(config, json!({"host": plain, "ssl_enabled": false}))).await.report();
    assert!(report.contains("'SSL/TLS Connection'"), "plain text to an encrypted port: {report}");
}

#[tokio::test]
async fn a_broken_connection_is_made_anew_and_nothing_is_missing_or_twice() {
    world::program();
    let mut world = MongodbWorld::start().await;
    world.fill(2_500).await;
    let expected = world.ids().await;
    let proxy = Proxy::to(([127, 0, 0, 1], world.server.port).into()).await;
    let host = format!("mongodb://{}/?serverSelectionTimeoutMS=3000", proxy.address());
    let config = with(&world.config(), json!({"host": host}));
    for fault in [Fault::Cut, Fault::Reset, Fault::CutAnswer(100), Fault::Delay(Duration::from_millis(300))] {
        for at in [5, 7, 8, 10] {
            let source = connect::<Mongodb>(&config).await;
            source.ping(&Context::default()).await.unwrap();
            proxy.plan(at, fault).await;
            let listing = clean(list(&source).await);
            assert_eq!(listing.ids.iter().cloned().collect::<BTreeSet<_>>(), expected, "{fault:?} at {at}");
            assert_eq!(listing.ids.len(), expected.len(), "{fault:?} at {at}");
        }
    }
}

#[tokio::test]
async fn a_position_of_another_configuration_is_left_aside() {
    world::program();
    let mut world = MongodbWorld::start().await;
    world.fill(1_500).await;
    let whole = clean(list(&connect::<Mongodb>(&world.config()).await).await);
    let (_, cursor) = whole.checkpoints.first().unwrap().clone();
    let other = with(&world.config(), json!({"datetime_conversion": "DATETIME_MS"}));
    let listing = clean(list_from(&connect::<Mongodb>(&other).await, Some(cursor)).await);
    assert_eq!(listing.ids.len(), whole.ids.len());
}
