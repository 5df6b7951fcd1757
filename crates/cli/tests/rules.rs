//! Sync rules by the command line, and what `check` says about how they are written.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;

use support::{World, parse, stop, tributary};
use tributary_harness::Ended;

fn run(url: &str, args: &[&str]) -> Ended {
    tributary().run(args.iter().copied().chain(["--host", url]))
}

fn create(world: &World, url: &str) {
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", "c", "--index", "c", "--set", &directory];
    run(url, &args).success();
}

#[test]
fn a_draft_is_set_checked_made_active_and_obeyed() {
    let world = World::new();
    world.write("a.md", "text");
    world.write("b.tmp", "text");
    let mut node = world.serve();
    let url = node.url();
    create(&world, &url);

    run(&url, &["connector", "rules", "set", "c", "--rule", "exclude path ends_with .tmp"]).success();
    let early = run(&url, &["connector", "rules", "activate", "c"]).failure(1);
    assert!(early[0].contains("was not checked yet"), "{early:?}");
    run(&url, &["connector", "rules", "validate", "c"]).success();
    run(&url, &["connector", "rules", "activate", "c"]).success();
    let shown = parse(&run(&url, &["connector", "rules", "show", "c", "-o", "json"]).success());
    let rules = shown["active"]["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["value"]), (2, &".tmp".into()), "{shown}");
    let synced = parse(&run(&url, &["sync", "c", "-o", "json"]).success());
    assert_eq!(synced["figures"]["created"].as_u64(), Some(1), "{synced}");
    stop(node);
}

#[test]
fn a_draft_that_the_source_refuses_never_becomes_active() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    create(&world, &url);
    let file = world.path().join("advanced.json");
    fs::write(&file, "[{\"query\": \"x\"}]").unwrap();
    let file = file.display().to_string();
    run(&url, &["connector", "rules", "set", "c", "--advanced", &file]).success();
    for command in ["validate", "activate"] {
        let refused = run(&url, &["connector", "rules", command, "c"]).failure(1);
        assert!(refused[0].contains("takes no advanced sync rules"), "{refused:?}");
    }
    let shown = parse(&run(&url, &["connector", "rules", "show", "c", "-o", "json"]).success());
    assert_eq!(shown["active"]["advanced_snippet"]["value"], serde_json::json!({}), "{shown}");
    assert_eq!(shown["draft"]["validation"]["state"], "invalid");
    stop(node);
}

#[test]
fn a_check_looks_at_every_host_and_says_how_connectors_are_written() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    let nobody = tributary_harness::free_address();
    let file = world.path().join("config.yml");
    let check = |more: &str| {
        fs::write(&file, format!("elasticsearch:\n  api_key: a2V5\n  host: {more}\n")).unwrap();
        tributary().run(["check", "-o", "json", "-c", file.to_str().unwrap()])
    };
    let one = parse(&check(&format!("'{url}'")).success());
    let said = |document: &serde_json::Value, what: &str| {
        let findings = document["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["what"] == what).unwrap()["message"].to_string()
    };
    assert!(said(&one, "control").contains("Connector APIs are there"), "{one}");
    let direct = parse(&check(&format!("'{url}'\n  feature_use_connectors_api: false")).success());
    assert!(said(&direct, "control").contains("document mode"), "{direct}");
    let ended = check(&format!("['http://{nobody}', '{url}']"));
    let both = parse(&ended.stdout);
    ended.failure(1);
    assert!(said(&both, &format!("http://{nobody}")).contains("cannot connect"), "{both}");
    assert!(said(&both, &url).contains("answers"), "{both}");
    stop(node);
}

#[test]
fn what_a_new_connector_needs_is_asked_for_at_once_where_nobody_can_be_asked() {
    let missing = tributary().run(["connector", "create"]).failure(1);
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].contains("--service-type") && missing[1].contains("--index"), "{missing:?}");
}

#[test]
fn completions_and_examples_are_there() {
    let bash = tributary().run(["completions", "bash"]).success();
    assert!(
        bash.contains("tributary__subcmd__connector") || bash.contains("tributary__connector"),
        "no subcommands"
    );
    let refused = tributary().run(["source", "new", "my-shop", "--checkout", "/"]).failure(1);
    assert!(refused[0].contains("is no checkout"), "{refused:?}");
}
