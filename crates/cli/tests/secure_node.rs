//! A node with users and HTTPS, and everything that talks to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;

use reqwest_of_elasticsearch::blocking;
use serde_json::{Value, json};
use support::{LONG, World, parse, stop, tributary};
use tributary_harness::{Binary, Process};

const PASSWORD: &str = "open-sesame-1";

fn add_user(world: &World) {
    let data = world.data().display().to_string();
    let ended =
        tributary().run_with_input(["node", "user", "add", "ann", "--data", &data], &format!("{PASSWORD}\n"));
    let told = ended.success();
    assert!(told.contains("user 'ann' added") && !told.contains(PASSWORD), "{told}");
}

/// The flags that serve HTTPS with a certificate for this machine, and the certificate's file.
fn tls(world: &World) -> (Vec<String>, String) {
    let (certificate, key) = (world.path().join("node.crt"), world.path().join("node.key"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let certificate = certificate.display().to_string();
    let flags =
        ["--tls-cert", &certificate, "--tls-key", &key.display().to_string()].map(str::to_owned).to_vec();
    (flags, certificate)
}

fn start(world: &World, command: &str, more: &[String]) -> Process {
    let data = world.data().display().to_string();
    // Everything is logged, to see that no secret is.
    let args = ["--log", "trace,tributary=trace", command, "--listen", "127.0.0.1:0", "--data", &data];
    let args = args.map(str::to_owned);
    tributary().env("TRIBUTARY__POLL_INTERVAL", "1").start(args.iter().chain(more))
}

fn ann() -> Binary {
    tributary().env("TRIBUTARY_PASSWORD", PASSWORD).env("TRIBUTARY_USERNAME", "ann")
}

#[test]
fn commands_reach_a_node_with_users_and_https_and_nobody_else_does() {
    let world = World::new();
    add_user(&world);
    let (flags, certificate) = tls(&world);
    let mut node = start(&world, "serve", &flags);
    let url = node.url();
    assert!(url.starts_with("https://"), "{url}");
    let reach = ["--host", &url, "--ca-certs", &certificate];
    let list = ["connector", "list"];
    ann().run(list.iter().chain(&reach)).success();
    let line = tributary().run(list.iter().chain(&reach)).failure(1).join("\n");
    assert!(line.contains("missing authentication credentials"), "{line}");
    let wrong = ann().env("TRIBUTARY_PASSWORD", "not-the-password");
    let line = wrong.run(list.iter().chain(&reach)).failure(1).join("\n");
    assert!(
        line.contains("unable to authenticate user [ann]") && !line.contains("not-the-password"),
        "{line}"
    );
    let line = ann().run(list.iter().chain(&reach[..2])).failure(1).join("\n");
    assert!(line.contains("certificate"), "{line}");

    let made = ann().run(["node", "key", "create", "first"].iter().chain(&reach)).success();
    let key = made.trim();
    tributary().env("TRIBUTARY_API_KEY", key).run(list.iter().chain(&reach)).success();

    let home = world.path().join("config").display().to_string();
    let remembering = ann().env("XDG_CONFIG_HOME", &home);
    remembering.run(["login"].iter().chain(&reach)).success();
    Binary::new(env!("CARGO_BIN_EXE_tributary")).env("XDG_CONFIG_HOME", &home).run(list).success();

    let log = node.lines().join("\n");
    // The passwords also as they go over the wire.
    let wire = ["YW5uOm9wZW4tc2VzYW1lLTE", "YW5uOm5vdC10aGUtcGFzc3dvcmQ"];
    for secret in [PASSWORD, "not-the-password", key].iter().chain(&wire) {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(log.contains("DEBUG"), "everything is logged: {log}");
    stop(node);
}

#[test]
fn the_daemon_in_the_same_process_needs_no_credentials() {
    let world = World::new();
    world.write("one.md", "The quick brown fox");
    add_user(&world);
    let (flags, certificate) = tls(&world);
    let embedded: Vec<String> = flags.into_iter().chain(["--embedded".to_owned()]).collect();
    let mut running = start(&world, "run", &embedded);
    let url = running.url();
    let reach = ["--host", &url, "--ca-certs", &certificate];
    let files = format!("directory={}", world.files().display());
    let create = [
        "connector",
        "create",
        "--service-type",
        "dir",
        "--index",
        "files",
        "--id",
        "files",
        "--set",
        &files,
    ];
    ann().run(create.iter().chain(&reach)).success();
    ann().run(["job", "start", "files", "--wait"].iter().chain(&reach)).success();
    let found = ann().run(["search", "files", "fox", "--output", "json"].iter().chain(&reach)).success();
    assert_eq!(parse(&found)["total"], 1, "{found}");
    stop(running);
}

#[test]
fn a_check_does_not_blame_the_embedded_node_for_its_users_and_its_certificate() {
    let world = World::new();
    add_user(&world);
    let (flags, certificate) = tls(&world);
    let mut node = start(&world, "serve", &flags);
    let listen = node.url().replace("https://", "");
    let path = world.path().join("config.yml").display().to_string();
    let data = world.data().display().to_string();
    let key = &flags[3];
    let own = format!(
        "tributary:\n  data_dir: {data}\n  node:\n    listen: {listen}\n    tls:\n      certificate: {certificate}\n      \
         key: {key}\n"
    );
    fs::write(&path, &own).unwrap();
    let told = tributary().run(["check", "-c", &path]).success();
    assert!(told.contains("the embedded node has users"), "{told}");
    // Wrong credentials are a problem still.
    fs::write(
        &path,
        format!("elasticsearch:\n  username: ann\n  password: wrong\n  ca_certs: {certificate}\n{own}"),
    )
    .unwrap();
    let ended = tributary().run(["check", "-c", &path]);
    assert!(ended.stdout.contains("unable to authenticate user [ann]"), "{}", ended.stdout);
    ended.failure(1);
    stop(node);
}

#[test]
fn a_check_names_the_rights_that_a_key_lacks() {
    let world = World::new();
    add_user(&world);
    let mut node = start(&world, "serve", &[]);
    let url = node.url();
    let files = format!("directory={}", world.files().display());
    let create = ["connector", "create", "--service-type", "dir", "--index", "docs", "--id", "files"];
    ann().run(create.iter().chain(&["--set", &files, "--host", &url])).success();
    let path = world.path().join("config.yml").display().to_string();
    let key_with = |rights: &Value| {
        let body = json!({"name": "limited", "role_descriptors": {"limited": rights}});
        let made = blocking::Client::new()
            .post(format!("{url}/_security/api_key"))
            .basic_auth("ann", Some(PASSWORD))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .and_then(|answer| answer.text())
            .unwrap();
        parse(&made)["encoded"].as_str().unwrap().to_owned()
    };
    let key = |cluster: &[&str], on_content: &[&str]| {
        let rights = json!({"cluster": cluster, "indices": [
            {"names": [".elastic-connectors*"], "privileges": ["read", "write", "view_index_metadata"]},
            {"names": ["docs", ".tributary-dead-letters"], "privileges": on_content},
        ]});
        key_with(&rights)
    };
    let check = |host: &str, key: &str, more: &str| {
        fs::write(&path, format!("elasticsearch:\n  host: {host}\n  api_key: {key}\n{more}")).unwrap();
        tributary().run(["check", "-c", &path])
    };
    let cluster = ["monitor", "manage_connector", "read_pipeline"];
    let content = ["read", "write", "create_index", "view_index_metadata", "maintenance"];
    let (whole, part) = (key(&cluster, &content), key(&cluster[..2], &content[..1]));
    let told = check(&url, &whole, "").success();
    assert!(!told.contains("rights"), "{told}");
    // A host that is away is one problem, also for a connector with a key of its own.
    let own = format!("connectors:\n- connector_id: files\n  api_key: {part}\n");
    let ended = check(&format!("['http://127.0.0.1:1', '{url}']"), &whole, &own);
    let problems: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("problem")).collect();
    assert_eq!(problems.len(), 2, "{}", ended.stdout);
    assert!(problems[1].contains("connector 'files': lacks rights"), "{}", ended.stdout);
    let ended = check(&url, &part, "");
    for (verdict, what, missing) in [
        ("problem", "connector 'files'", "create_index, maintenance, "),
        ("problem", "connector 'files'", "write on 'docs'"),
        ("warning", "connector 'files'", "read_pipeline on the cluster"),
        ("warning", "rights", "on '.tributary-dead-letters'"),
    ] {
        let is_told = |line: &str| {
            line.starts_with(verdict)
                && line.contains(what)
                && line.contains("lacks rights")
                && line.contains(missing)
        };
        assert!(ended.stdout.lines().any(is_told), "{missing}: {}", ended.stdout);
    }
    ended.failure(1);
    // The rights of the keys that Elastic's tools make.
    let rights = json!({"cluster": ["monitor", "manage_connector"], "indices": [
        {"names": ["docs", ".search-acl-filter-docs", ".elastic-connectors*"], "privileges": ["all"]},
    ]});
    let told = check(&url, &key_with(&rights), "").success();
    assert_eq!(told.lines().filter(|line| line.starts_with("warning")).count(), 2, "{told}");
    stop(node);
}

#[test]
fn quickstart_runs_on_a_node_with_users() {
    let world = World::new();
    world.write("one.md", "The quick brown fox");
    add_user(&world);
    let mut running = world.quickstart();
    running.wait_for("synced: 1 indexed", LONG);
    let curl = running.wait_for("  curl", LONG);
    assert!(curl.contains("-u 'ann'"), "{curl}");
    stop(running);
}

#[test]
fn a_user_is_known_to_a_running_node_after_a_hangup() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    tributary().run(["connector", "list", "--host", &url]).success();
    add_user(&world);
    node.hang_up();
    node.wait_for("read its certificate and users again", LONG);
    tributary().run(["connector", "list", "--host", &url]).failure(1);
    ann().run(["connector", "list", "--host", &url]).success();
    stop(node);
}
