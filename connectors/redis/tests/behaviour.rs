//! What this source does beyond the laws that all keep.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Pipeline;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tributary_connector_redis::Redis;
use tributary_sdk::{Context, ErrorKind, Source};
use tributary_testkit::{
    Authority, Fault, Listing, Proxy, World as _, connect, list, list_from, try_connect,
};
use world::{PASSWORD, RedisWorld, Server, USER, allow, id};

fn values(config: Value) -> Map<String, Value> {
    let Value::Object(values) = config else { panic!("no object") };
    values
}

/// As the superuser.
fn plain(server: &Server, more: Value) -> Map<String, Value> {
    let mut config =
        values(json!({"host": "127.0.0.1", "port": server.port, "database": "*", "ssl_enabled": false}));
    config.extend(values(more));
    config
}

async fn listed(config: &Map<String, Value>) -> Listing {
    clean(list(&connect::<Redis>(config).await).await)
}

fn clean(listing: Listing) -> Listing {
    assert!(
        listing.is_clean(),
        "{:?}",
        listing.errors().map(tributary_sdk::Error::report).collect::<Vec<_>>()
    );
    listing
}

async fn with_rules(source: &Source, rules: Value) -> Listing {
    let cx = Context { advanced_rules: Some(rules), ..Context::default() };
    Listing::of(source.documents(&cx)).await
}

/// Names of the keys that were listed.
fn keys(listing: &Listing) -> BTreeSet<String> {
    listing.fields.values().map(|fields| fields["key"].as_str().unwrap().to_owned()).collect()
}

fn fields<'a>(listing: &'a Listing, database: u32, key: &str) -> &'a Map<String, Value> {
    &listing.fields[&id(database, key)]
}

#[tokio::test]
async fn documents_have_the_fields_of_the_reference() {
    let world = RedisWorld::start().await;
    let listing = listed(&world.config()).await;
    for (database, key, kind, value) in [
        (0, "app:string", "string", "hello"),
        (0, "app:json", "string", r#"{"a":1,"b":[true,null]}"#),
        (0, "app:hash", "hash", r#"{"f1":"v1"}"#),
        (0, "app:list", "list", r#"["a","b"]"#),
        (3, "app:set", "set", r#"["x","y"]"#),
        (3, "app:zset", "zset", r#"[["a",1],["b",2.5]]"#),
        (3, "app:stream", "stream", r#"[["1-1",{"f":"v"}]]"#),
        (0, "app:trimmed", "stream", "[]"),
    ] {
        let fields = fields(&listing, database, key);
        assert_eq!(fields["key"], key);
        assert_eq!(fields["value"], value, "{key}");
        assert_eq!(fields["database"], database);
        assert_eq!(fields["key_type"], kind);
        assert!(fields["size_in_bytes"].as_i64().unwrap() > 0);
        assert_eq!(fields.len(), 5, "{key}");
    }
    let binary = &listing.fields[&id(0, b"app:\xff\x00")];
    assert_eq!(binary["key"], "app:\u{FFFD}\0");
    assert_eq!(binary["key_base64"], "YXBwOv8A");
    assert_eq!((&binary["value"], &binary["value_encoding"]), (&json!("base64:AP8="), &json!("base64")));
    assert!(fields(&listing, 3, "app:hll")["value"].as_str().unwrap().starts_with("base64:"));
}

#[tokio::test]
async fn values_can_be_written_as_python_does() {
    let world = RedisWorld::start().await;
    let mut config = world.config();
    config.insert("value_format".to_owned(), json!("python"));
    let listing = listed(&config).await;
    for (database, key, value) in [
        (0, "app:string", "hello"),
        (0, "app:json", "{'a': 1, 'b': [True, None]}"),
        (0, "app:hash", "{'f1': 'v1'}"),
        (0, "app:list", "['a', 'b']"),
        (3, "app:set", "{'x', 'y'}"),
        (3, "app:zset", "[('a', 1.0), ('b', 2.5)]"),
        (3, "app:stream", "[['app:stream', [('1-1', {'f': 'v'})]]]"),
    ] {
        assert_eq!(fields(&listing, database, key)["value"], value, "{key}");
    }
}

#[tokio::test]
async fn only_the_chosen_databases_are_listed_under_the_same_ids() {
    let world = RedisWorld::start().await;
    let mut config = world.config();
    config.insert("database".to_owned(), json!("3, 5"));
    let listing = listed(&config).await;
    assert_eq!(
        keys(&listing),
        BTreeSet::from(["app:hll", "app:set", "app:stream", "app:zset"].map(str::to_owned))
    );
    assert_eq!(fields(&listing, 3, "app:set")["database"], "3", "as it is configured");
}

#[tokio::test]
async fn databases_that_are_none_are_told_in_one_message() {
    let world = RedisWorld::start().await;
    for (databases, expected) in [
        ("98,0,99", "Database 98,99 are not available."),
        ("a", "All database element should be integer. Please correct database name: a"),
        (
            "99,a",
            "Database 99 are not available. Also database element should be integer. Please correct database name: a",
        ),
    ] {
        let mut config = world.config();
        config.insert("database".to_owned(), json!(databases));
        let source = connect::<Redis>(&config).await;
        let error = source.ping(&Context::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, expected));
        assert!(!list(&source).await.is_clean());
    }
}

#[tokio::test]
async fn rules_choose_keys_by_pattern_and_type_in_their_databases() {
    let world = RedisWorld::start().await;
    let mut config = world.config();
    config.insert("database".to_owned(), json!("99"));
    let source = connect::<Redis>(&config).await;
    for (rules, expected) in [
        (json!([{"database": 0, "key_pattern": "app:[hl]*"}]), &["app:hash", "app:list"][..]),
        (
            json!([{"database": 3, "type": "ZSET"}, {"database": 0, "type": "list"}]),
            &["app:list", "app:zset"],
        ),
        (json!([{"database": 0, "type": "hash"}, {"database": 0, "key_pattern": "app:ha*"}]), &["app:hash"]),
        (json!([{"database": 7, "type": "hash"}]), &[]),
    ] {
        let listing = clean(with_rules(&source, rules.clone()).await);
        assert_eq!(keys(&listing), expected.iter().map(|key| (*key).to_owned()).collect(), "{rules}");
        assert_eq!(listing.ids.len(), expected.len(), "{rules}: no key comes twice");
        assert!(listing.fields.values().all(|fields| fields["database"].is_u64()));
    }
    let check = async |rules: Value| {
        connect::<Redis>(&config).await.advanced_rules().unwrap().check_rules(&rules).await
    };
    assert_eq!(check(json!([{"database": 0, "type": "hash"}])).await.unwrap(), Vec::<String>::new());
    assert_eq!(
        check(json!([{"database": 99, "type": "hash"}])).await.unwrap(),
        ["Database 99 are not available."]
    );
    assert_eq!(check(json!([{"database": 0}])).await.unwrap().len(), 1);
    assert!(!with_rules(&source, json!([{"database": 0}])).await.is_clean(), "a bad rule lists nothing");
    assert!(!with_rules(&source, json!([{"database": 99, "type": "set"}])).await.is_clean());
}

#[tokio::test]
async fn a_user_who_may_ask_for_nothing_else_still_lists_all_databases() {
    let mut world = RedisWorld::start().await;
    let expected = world.ids().await;
    for denied in ["-info", "-info -memory|usage"] {
        world.server.run(0, &format!("ACL SETUSER {USER} {denied}"));
        let listing = listed(&world.config()).await;
        assert_eq!(listing.ids.iter().cloned().collect::<BTreeSet<_>>(), expected, "{denied}");
        assert!(listing.checkpoints.is_empty(), "without the server's run no position is worth anything");
    }
    let listing = listed(&world.config()).await;
    assert_eq!(fields(&listing, 0, "app:hash")["size_in_bytes"], Value::Null);
    assert_eq!(fields(&listing, 0, "app:hash")["value"], r#"{"f1":"v1"}"#);
    world.server.stop();
}

#[tokio::test]
async fn who_may_not_list_keys_is_told_so_before_the_first_sync() {
    let world = RedisWorld::start().await;
    world.server.run(0, &format!("ACL SETUSER {USER} -scan"));
    let source = connect::<Redis>(&world.config()).await;
    let error = source.ping(&Context::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error:?}");
    assert!(error.report().contains("SETUSER"), "{}", error.report());
    assert!(!list(&source).await.is_clean());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let world = RedisWorld::start().await;
    for (name, value) in [("password", "wr0ng"), ("username", "nobody")] {
        let mut config = world.config();
        config.insert(name.to_owned(), json!(value));
        let error = connect::<Redis>(&config).await.ping(&Context::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
        let report = error.report();
        assert!(
            report.contains("'Password'") && !report.contains("wr0ng") && !report.contains(PASSWORD),
            "{report}"
        );
    }
}

#[tokio::test]
async fn users_come_with_a_password_without_one_or_without_a_name() {
    let server = Server::start(&[]);
    server.run(0, "ACL SETUSER open reset on nopass ~* +@all");
    server.run(0, "SET a b");
    assert_eq!(listed(&plain(&server, json!({"username": "open"}))).await.ids.len(), 1);
    let guarded = Server::start(&["--requirepass", "p@ss"]);
    // The helper's superuser has no password: write through the source's own way in.
    let client = redis::Client::open(format!("redis://:p%40ss@127.0.0.1:{}/", guarded.port)).unwrap();
    redis::cmd("SET").arg("a").arg("b").exec(&mut client.get_connection().unwrap()).unwrap();
    assert_eq!(listed(&plain(&guarded, json!({"password": "p@ss"}))).await.ids.len(), 1);
    let error =
        connect::<Redis>(&plain(&guarded, json!({}))).await.ping(&Context::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
}

#[tokio::test]
async fn an_encrypted_server_is_reached_if_its_authority_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let home = tempfile::tempdir().unwrap();
    let certificate = authority.issue(&["127.0.0.1", "localhost"]);
    for (name, text) in
        [("ca.crt", authority.pem()), ("srv.crt", certificate.certificate), ("srv.key", certificate.key)]
    {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    let server = Server::encrypted(
        home,
        &[
            "--tls-cert-file",
            "{home}/srv.crt",
            "--tls-key-file",
            "{home}/srv.key",
            "--tls-ca-cert-file",
            "{home}/ca.crt",
            "--tls-auth-clients",
            "yes",
        ],
    );
    server.run(0, "SET a b");
    let client = authority.issue(&["client"]);
    let config = |ca: &str, mutual: bool| {
        // As a form of one line gives them.
        let line = |text: &str| text.replace('\n', " ");
        plain(
            &server,
            json!({
                "ssl_enabled": true, "ssl_ca": line(ca), "mutual_tls_enabled": mutual,
                "tls_certfile": line(&client.certificate), "tls_keyfile": line(&client.key),
            }),
        )
    };
    assert_eq!(listed(&config(&authority.pem(), true)).await.ids, [id(0, "a")]);
    let refused = async |config| {
        let error = connect::<Redis>(&config).await.ping(&Context::default()).await.unwrap_err();
        error.report()
    };
    let report = refused(config(&other.pem(), true)).await;
    assert!(report.contains("'Certificate Authority (.pem)'"), "{report}");
    let report = refused(config(&authority.pem(), false)).await;
    assert!(report.contains("'Mutual SSL/TLS Connection'"), "the server wants one: {report}");
    let report = refused(plain(&server, json!({}))).await;
    assert!(report.contains("'SSL/TLS Connection'"), "plain text to an encrypted port: {report}");
    let mut encrypted = config(&authority.pem(), true);
    encrypted.insert("port".to_owned(), json!(server.plain));
    let report = refused(encrypted).await;
    assert!(report.contains("'SSL/TLS Connection'"), "encrypted to a plain port: {report}");
    let mut empty = config(&authority.pem(), true);
    empty.insert("tls_keyfile".to_owned(), json!(""));
    let error = try_connect::<Redis>(&empty).await.err().unwrap();
    assert!(error.to_string().contains("client private key"), "{error}");
}

#[tokio::test]
async fn large_values_are_read_in_parts_and_are_the_same() {
    let server = Server::start(&[]);
    let mut fill = Pipeline::new();
    let filler = "x".repeat(50);
    for n in 0..3_000_u32 {
        let member = format!("{n:05}-{filler}");
        fill.cmd("HSET").arg("hash").arg(&member).arg(n).ignore();
        fill.cmd("SADD").arg("set").arg(&member).ignore();
        fill.cmd("ZADD").arg("zset").arg(n / 7).arg(&member).ignore();
        fill.cmd("RPUSH").arg("list").arg(&member).ignore();
        fill.cmd("XADD").arg("stream").arg(format!("7-{}", n + 1)).arg("n").arg(&member).ignore();
    }
    fill.cmd("SET").arg("string").arg("y".repeat(300_000)).ignore();
    fill.exec(&mut server.admin()).unwrap();
    let listing = listed(&plain(&server, json!({}))).await;
    let value = |key: &str| fields(&listing, 0, key)["value"].as_str().unwrap().to_owned();
    let parsed = |key: &str| serde_json::from_str::<Value>(&value(key)).unwrap();
    let members: Vec<String> = (0..3_000).map(|n| format!("{n:05}-{filler}")).collect();
    assert_eq!(parsed("list"), json!(members));
    assert_eq!(parsed("set"), json!(members));
    let scored: Vec<Value> = members.iter().enumerate().map(|(n, member)| json!([member, n / 7])).collect();
    assert_eq!(parsed("zset"), json!(scored));
    assert_eq!(parsed("hash").as_object().unwrap().len(), 3_000);
    assert_eq!(parsed("hash")[&members[42]], "42");
    let entries = parsed("stream");
    assert_eq!(entries.as_array().unwrap().len(), 3_000);
    assert_eq!(entries[2_999], json!(["7-3000", {"n": members[2_999]}]));
    assert_eq!(value("string").len(), 300_000);

    let source = connect::<Redis>(&plain(&server, json!({}))).await;
    let cx = Context { max_body_bytes: 100_000, ..Context::default() };
    let small = clean(Listing::of(source.documents(&cx)).await);
    for fields in small.fields.values() {
        assert!(!fields.contains_key("value"), "{}", fields["key"]);
        assert!(fields["value_omitted"].as_str().unwrap().starts_with("larger than 100000 bytes"));
    }
    assert_eq!(small.ids.len(), 6, "too large a value is told, and the key is not lost");
}

#[tokio::test]
async fn keys_that_vanish_or_change_their_type_meanwhile_disturb_nobody() {
    let mut world = RedisWorld::start().await;
    world.fill(3_000).await;
    let expected = world.ids().await;
    let done = Arc::new(AtomicBool::new(false));
    let (mut admin, stop) = (world.server.admin(), Arc::clone(&done));
    let busy = std::thread::spawn(move || {
        let mut round = 0_u32;
        while !stop.load(Ordering::SeqCst) {
            let mut commands = Pipeline::new();
            for n in 0..50 {
                let key = format!("app:busy:{n}");
                commands.cmd("DEL").arg(&key).ignore();
                match (round + n) % 4 {
                    0 => commands.cmd("SET").arg(&key).arg("x").ignore(),
                    1 => commands.cmd("HSET").arg(&key).arg("f").arg("v").ignore(),
                    2 => commands.cmd("RPUSH").arg(&key).arg("v").ignore(),
                    _ => &mut commands,
                };
            }
            commands.exec(&mut admin).unwrap();
            round += 1;
        }
    });
    let source = connect::<Redis>(&world.config()).await;
    for _ in 0..5 {
        let listing = list(&source).await;
        assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
        let found: BTreeSet<String> = listing.ids.iter().cloned().collect();
        assert!(expected.is_subset(&found), "a key that was there all the time is missing");
        assert_eq!(found.len(), listing.ids.len(), "a key came twice");
    }
    done.store(true, Ordering::SeqCst);
    busy.join().unwrap();
}

#[tokio::test]
async fn a_broken_connection_is_made_anew_and_nothing_is_missing() {
    let mut world = RedisWorld::start().await;
    world.fill(1_500).await;
    let expected = world.ids().await;
    let proxy = Proxy::to(([127, 0, 0, 1], world.server.port).into()).await;
    let mut config = world.config();
    config.insert("port".to_owned(), json!(proxy.address().port()));
    clean(list(&connect::<Redis>(&config).await).await);
    let exchanges = proxy.exchanges();
    assert!(exchanges > 10, "{exchanges}");
    for at in 1..exchanges {
        let fault = match at % 4 {
            0 => Fault::Cut,
            1 => Fault::Reset,
            2 => Fault::CutAnswer(7),
            _ => Fault::Delay(Duration::from_millis(50)),
        };
        proxy.plan(at, fault).await;
        let listing = list(&connect::<Redis>(&config).await).await;
        // The first exchanges set the connection up; before the server's run is known there is no second try.
        if at < 3 && !listing.is_clean() {
            continue;
        }
        let listing = clean(listing);
        assert_eq!(listing.ids.iter().cloned().collect::<BTreeSet<_>>(), expected, "{fault:?} at {at}");
        assert_eq!(listing.ids.len(), expected.len(), "{fault:?} at {at}");
    }
}

#[tokio::test]
async fn a_server_that_was_restarted_meanwhile_is_listed_from_the_beginning() {
    let mut world = RedisWorld::start().await;
    world.fill(2_000).await;
    let first = listed(&world.config()).await;
    let (_, cursor) = first.checkpoints.first().unwrap().clone();
    let mut other = RedisWorld::start().await;
    other.fill(2_000).await;
    let mut cursor = cursor;
    let again = list_from(&connect::<Redis>(&world.config()).await, Some(cursor.clone())).await;
    assert!(again.ids.len() < first.ids.len());
    // The same configuration, another run of the server.
    cursor.0["run"] = json!("0".repeat(40));
    let whole = clean(list_from(&connect::<Redis>(&world.config()).await, Some(cursor)).await);
    assert_eq!(whole.ids.len(), first.ids.len());
}

#[tokio::test]
async fn a_node_of_a_cluster_is_refused_instead_of_listed_in_part() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    allow(&server);
    let source = connect::<Redis>(&plain(&server, json!({}))).await;
    let error = source.ping(&Context::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(!list(&source).await.is_clean());
}

/// Answers as a server with modules does, as far as this source asks: there is no such server in Debian.
async fn scripted() -> (u16, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut work = tokio::task::JoinSet::new();
    work.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut received = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut received).await {
                    let mut answers = String::new();
                    while let Some(words) = command(&mut received) {
                        answers.push_str(&answer(&words));
                    }
                    stream.write_all(answers.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (port, work)
}

/// Takes one whole command from what was received.
fn command(received: &mut Vec<u8>) -> Option<Vec<String>> {
    let text = String::from_utf8(received.clone()).unwrap();
    let mut lines = text.split("\r\n");
    let mut length = 0;
    let mut line = || {
        let line = lines.next()?;
        length += line.len() + 2;
        Some(line.to_owned())
    };
    let count: usize = line()?.strip_prefix('*')?.parse().ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        line()?;
        words.push(line()?);
    }
    if length > text.len() {
        return None;
    }
    received.drain(..length);
    Some(words)
}

fn answer(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    match words.as_slice() {
        ["INFO", "server"] => bulk("run_id:abc\r\nredis_mode:standalone\r\n"),
        ["INFO", "keyspace"] => bulk("db0:keys=2,expires=0\r\n"),
        ["SCAN", ..] => format!("*2\r\n{}*2\r\n{}{}", bulk("0"), bulk("doc"), bulk("filter")),
        ["TYPE", "doc"] => "+ReJSON-RL\r\n".to_owned(),
        ["TYPE", "filter"] => "+MBbloom--\r\n".to_owned(),
        ["MEMORY", ..] => ":100\r\n".to_owned(),
        ["JSON.GET", "doc"] => bulk(r#"{"name":"Ann","tags":["a"]}"#),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

#[tokio::test]
async fn json_of_the_module_is_read_and_other_modules_are_told() {
    let (port, _work) = scripted().await;
    let config = values(json!({"host": "127.0.0.1", "port": port, "database": "*", "ssl_enabled": false}));
    let listing = listed(&config).await;
    assert_eq!(fields(&listing, 0, "doc")["value"], r#"{"name":"Ann","tags":["a"]}"#);
    assert_eq!(fields(&listing, 0, "doc")["key_type"], "ReJSON-RL");
    let filter = fields(&listing, 0, "filter");
    assert_eq!(filter["value_omitted"], "values of the type MBbloom-- cannot be read");
    assert!(!filter.contains_key("value"));
}
