//! The life of a connector, its jobs and its index, by the command line; and what programs get of it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::{World, parse, stop, tributary};
use tributary_harness::Ended;

struct Cli {
    url: String,
}

impl Cli {
    fn run(&self, args: &[&str]) -> Ended {
        tributary().run(args.iter().copied().chain(["--host", &self.url]))
    }

    fn text(&self, args: &[&str]) -> String {
        self.run(args).success()
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        parse(&self.run(&args).success())
    }
}

fn create(cli: &Cli, world: &World, id: &str) -> Value {
    let directory = format!("directory={}", world.files().display());
    let args =
        ["connector", "create", "--service-type", "dir", "--id", id, "--index", "notes", "--set", &directory];
    cli.json(&args)
}

#[test]
fn a_connector_lives_from_its_creation_to_its_end() {
    let world = World::new();
    world.write("a.md", "first text");
    world.write("b.md", "second text");
    let mut node = world.serve();
    let cli = Cli { url: node.url() };

    assert_eq!(cli.json(&["connector", "list"]), Value::Array(Vec::new()));
    assert_eq!(create(&cli, &world, "notes")["id"], "notes");
    let again =
        ["connector", "create", "--service-type", "dir", "--id", "notes", "--index", "other", "--set"];
    let directory = format!("directory={}", world.files().display());
    let lines = cli.run(&again.iter().copied().chain([directory.as_str()]).collect::<Vec<_>>()).failure(1);
    assert!(lines[0].contains("'notes'") && lines.len() == 1, "{lines:?}");

    assert_eq!(cli.json(&["connector", "list"])[0]["id"], "notes");
    let shown = cli.json(&["connector", "show", "notes"]);
    assert_eq!(shown["status"], "configured", "{shown}");
    assert_eq!(shown["configuration"]["directory"]["value"], world.files().display().to_string());
    assert!(cli.text(&["connector", "show", "notes"]).contains("directory"));
    assert!(cli.text(&["connector", "list"]).contains("notes"));

    cli.text(&["connector", "configure", "notes", "--set", "pattern=**/*.md"]);
    let shown = cli.json(&["connector", "show", "notes"]);
    assert_eq!(shown["configuration"]["pattern"]["value"], "**/*.md");
    let lines = cli.run(&["connector", "configure", "notes", "--set", "patern=x"]).failure(1);
    assert!(lines[0].contains("patern") && lines[0].contains("pattern"), "{lines:?}");

    cli.text(&["connector", "schedule", "notes", "--full", "0 0/5 * * * ?"]);
    assert_eq!(cli.json(&["connector", "show", "notes"])["scheduling"]["full"]["enabled"], true);
    cli.text(&["connector", "schedule", "notes", "--full", "off"]);
    let shown = cli.json(&["connector", "show", "notes"]);
    assert_eq!(shown["scheduling"]["full"]["enabled"], false);
    assert_eq!(shown["scheduling"]["full"]["interval"], "0 0/5 * * * ?");
    let idle = cli.run(&["connector", "schedule", "notes", "--full", "0 0 0 30 2 ?"]);
    assert!(idle.stderr.contains("'0 0 0 30 2 ?' never fires"), "{}", idle.stderr);
    idle.success();
    assert!(cli.text(&["connector", "show", "notes"]).contains("0 0 0 30 2 ? (never fires)"));
    let lines = cli.run(&["connector", "schedule", "notes", "--full", "every day"]).failure(1);
    assert!(lines[0].contains("every day"), "{lines:?}");

    cli.text(&["connector", "delete", "notes", "--hard", "--sync-jobs"]);
    assert_eq!(cli.json(&["connector", "list"]), Value::Array(Vec::new()));
    stop(node);
}

#[test]
fn a_sync_in_the_foreground_tells_first_what_it_would_do() {
    let world = World::new();
    world.write("a.md", "first text");
    world.write("b.md", "second text");
    let mut node = world.serve();
    let cli = Cli { url: node.url() };
    create(&cli, &world, "notes");
    let state = world.path().join("state").display().to_string();
    let config = world.path().join("config.yml");
    fs::write(&config, format!("tributary.state_dir: {state}\n")).unwrap();
    let config = config.display().to_string();

    let plan = cli.json(&["sync", "notes", "--plan", "-c", &config]);
    assert_eq!(plan["plan"]["created"].as_array().unwrap().len(), 2, "{plan}");
    assert_eq!(cli.json(&["job", "list", "notes"]), Value::Array(Vec::new()), "a plan makes no job");
    let done = cli.json(&["sync", "notes", "-c", &config]);
    assert_eq!((&done["status"], &done["figures"]["created"]), (&"completed".into(), &2.into()), "{done}");
    let again = cli.json(&["sync", "notes", "-c", &config]);
    assert_eq!(
        (&again["figures"]["created"], &again["figures"]["unchanged"]),
        (&0.into(), &2.into()),
        "{again}"
    );
    let text = cli.text(&["sync", "notes", "-c", &config]);
    assert!(text.contains("completed") && text.contains("2 unchanged"), "{text}");

    let jobs = cli.json(&["job", "list", "notes"]);
    assert_eq!(jobs.as_array().unwrap().len(), 3, "{jobs}");
    let id = jobs[0]["id"].as_str().unwrap();
    assert_eq!(cli.json(&["job", "view", id])["status"], "completed");
    assert!(cli.text(&["job", "view", id]).contains("completed"));
    assert!(cli.text(&["job", "list", "--status", "completed"]).contains(id));
    let lines = cli.run(&["job", "cancel", id]).failure(1);
    assert!(lines[0].contains("completed"), "{lines:?}");

    world.remove("a.md");
    let plan = cli.json(&["sync", "notes", "--plan", "-c", &config]);
    assert_eq!(plan["plan"]["deleted"].as_array().unwrap().len(), 1, "{plan}");
    let indices = cli.json(&["index", "list"]);
    let found = indices.as_array().unwrap().iter().find(|index| index["index"] == "notes");
    assert_eq!(found.unwrap()["documents"], 2, "{indices}");
    let lines = cli.run(&["index", "clean", "notes"]).failure(1);
    assert!(lines[0].contains("--yes"), "{lines:?}");
    cli.text(&["index", "clean", "notes", "--yes"]);
    assert_eq!(cli.json(&["search", "notes"])["total"], 0);
    cli.text(&["index", "delete", "notes", "--yes"]);
    assert!(!cli.text(&["index", "list"]).contains("notes"));
    stop(node);
}

#[test]
fn a_job_is_started_canceled_and_listed() {
    let world = World::new();
    world.write("a.md", "text");
    let mut node = world.serve();
    let cli = Cli { url: node.url() };
    create(&cli, &world, "notes");
    let job = cli.json(&["job", "start", "notes"])["id"].as_str().unwrap().to_owned();
    assert_eq!(cli.json(&["job", "view", &job])["status"], "pending");
    cli.text(&["job", "cancel", &job]);
    assert_eq!(cli.json(&["job", "view", &job])["status"], "canceled");
    assert_eq!(cli.json(&["job", "list", "--status", "canceled"])[0]["id"], job.as_str());
    stop(node);
}

#[test]
fn sources_describe_themselves() {
    let list = parse(&tributary().run(["source", "list", "--output", "json"]).success());
    assert!(list.as_array().unwrap().iter().any(|source| source["service_type"] == "dir"), "{list}");
    let dir = parse(&tributary().run(["source", "describe", "dir", "--output", "json"]).success());
    assert!(dir["configuration"]["directory"].is_object(), "{dir}");
    let text = tributary().run(["source", "describe", "dir"]).success();
    assert!(text.contains("directory") && text.contains("required"), "{text}");
    assert!(tributary().run(["source", "list"]).success().contains("dir"));
    tributary().run(["source", "describe", "gopher"]).failure(1);
}

#[test]
fn a_check_tells_every_problem_with_its_mend() {
    let world = World::new();
    let mut node = world.serve();
    let cli = Cli { url: node.url() };
    create(&cli, &world, "notes");
    let lost = format!("directory={}", world.path().join("lost").display());
    let config = world.path().join("config.yml");
    let text =
        |more: &str| format!("elasticsearch.host: {}\nconnectors:\n- connector_id: notes\n{more}", cli.url);
    fs::write(&config, text("")).unwrap();
    let path = config.display().to_string();

    let checked = parse(&tributary().run(["check", "-c", &path, "--output", "json"]).success());
    assert_eq!(checked["ok"], true, "{checked}");
    tributary().run(["check", "-c", &path, "--offline"]).success();

    fs::write(&config, text("- connector_id: nobody\n  service_type: gopher\n")).unwrap();
    cli.text(&["connector", "configure", "notes", "--set", &lost]);
    let ended = tributary().run(["check", "-c", &path, "--output", "json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let checked = parse(&ended.stdout).to_string();
    for named in ["gopher", "nobody", "lost"] {
        assert!(checked.contains(named), "{named}: {checked}");
    }

    // What a file that cannot be taken names is looked at too.
    fs::write(
        &config,
        "nonsense: 1\nservice.heartbeat: x\nconnectors:\n- connector_id: a\n  service_type: gopher\n",
    )
    .unwrap();
    let ended = tributary().run(["check", "-c", &path]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stdout.lines().filter(|line| line.starts_with("problem")).count(),
        3,
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("gopher"), "{}", ended.stdout);
    stop(node);
}

#[test]
fn a_login_is_remembered_for_the_user_only() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    let home = world.path().join("home");
    let binary = tributary().env("XDG_CONFIG_HOME", &home);
    binary.run(["login", "--host", &url]).success();
    let file = home.join("tributary").join("login.yml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        parse(&binary.run(["connector", "list", "--output", "json"]).success()),
        Value::Array(Vec::new())
    );
    let lines = binary.run(["login", "--host", &url]).failure(1);
    assert!(lines[0].contains("--yes"), "{lines:?}");
    binary.run(["login", "--host", &url, "--yes"]).success();
    stop(node);
}
