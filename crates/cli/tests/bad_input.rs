//! What the user can mend ends with exit code 1 and one line that names the thing and the mend.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use support::disk::Disk;
use support::{World, stop, tributary};
use tributary_harness::{Binary, free_address};

/// A user of the machine that owns nothing.
const NOBODY: u32 = 65534;

/// Runs a command that must fail by the user's fault, and gives its one line.
fn refused(args: &[&str]) -> String {
    let lines = tributary().run(args).failure(1);
    assert_eq!(lines.len(), 1, "{args:?}: {lines:#?}");
    assert!(lines[0].starts_with("error: "), "{lines:?}");
    lines[0].clone()
}

fn config(world: &World, text: &str) -> String {
    let path = world.path().join("config.yml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_missing_folder_is_named() {
    let line = refused(&["quickstart", "/no/such/folder"]);
    assert!(line.contains("/no/such/folder") && line.contains("does not exist"), "{line}");
}

#[test]
fn a_port_in_use_is_named_and_no_data_folder_is_made() {
    let world = World::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (files, data) = (world.files().display().to_string(), world.data().display().to_string());
    let line = refused(&["quickstart", &files, "--listen", &address, "--data", &data]);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
    let line = refused(&["serve", "--listen", &address, "--data", &data]);
    assert!(line.contains(&address) && line.contains("in use"), "{line}");
    assert!(!world.data().exists());
}

#[test]
fn a_data_folder_in_use_is_named() {
    let world = World::new();
    let mut first = world.serve();
    first.url();
    let data = world.data().display().to_string();
    let address = free_address().to_string();
    let line = refused(&["serve", "--listen", &address, "--data", &data]);
    assert!(
        line.contains(&data) && line.contains("in use by another process") && line.contains("--data"),
        "{line}"
    );
    stop(first);
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let line = refused(&["serve", "--listen", "127.0.0.1:0", "--data", "/proc/nothing/here"]);
    assert!(line.contains("/proc/nothing/here"), "{line}");
}

#[test]
fn an_address_that_others_can_reach_is_refused_without_authentication() {
    let world = World::new();
    let line = refused(&["serve", "--listen", "0.0.0.0:0", "--data", &world.data().display().to_string()]);
    assert!(line.contains("without authentication"), "{line}");
}

#[test]
fn an_unreadable_configuration_is_named() {
    let world = World::new();
    let line = refused(&["run", "-c", "/no/such/config.yml"]);
    assert!(line.contains("/no/such/config.yml") && line.contains("cannot be read"), "{line}");
    let folder = world.path().display().to_string();
    let line = refused(&["run", "-c", &folder]);
    assert!(line.contains(&folder), "{line}");
}

#[test]
fn every_problem_of_a_configuration_has_its_line() {
    let world = World::new();
    for (text, named, mend) in [
        ("elasticsarch.host: http://a:1", "elasticsarch.host", "nearest known key"),
        ("service.idling: soon", "service.idling", "expected"),
        ("elasticsearch.host: localhost", "elasticsearch.host", "expected an address"),
        ("service: [1, 2", "config.yml", "not valid YAML"),
        ("elasticsearch.password: ${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE", "set it"),
    ] {
        let line = refused(&["run", "-c", &config(&world, text)]);
        assert!(line.contains(named) && line.contains(mend), "{text}: {line}");
    }
    let two = config(&world, "a.b: 1\nservice.heartbeat: never\n");
    assert_eq!(tributary().run(["run", "-c", &two]).failure(1).len(), 2);
}

#[test]
fn secrets_are_never_repeated() {
    let world = World::new();
    let text = "elasticsearch: {host: 'http://user:hunter2@a:1', password: [s3cr3t], api_key: {k: s3cr3t}, max_retries: x}";
    let lines = tributary().run(["run", "-c", &config(&world, text)]).failure(1).join("\n");
    assert!(lines.contains("elasticsearch.password") && lines.contains("elasticsearch.host"), "{lines}");
    assert!(!lines.contains("hunter2") && !lines.contains("s3cr3t"), "{lines}");
}

#[test]
fn a_node_that_does_not_answer_is_named() {
    let url = format!("http://{}", free_address());
    for args in [
        vec!["connector", "list"],
        vec!["job", "list"],
        vec!["index", "list"],
        vec!["search", "a", "b"],
        vec!["sync", "a"],
    ] {
        let args: Vec<&str> = args.into_iter().chain(["--host", &url]).collect();
        let line = refused(&args);
        assert!(line.contains(&url) && line.contains("tributary serve"), "{args:?}: {line}");
    }
}

#[test]
fn a_cluster_that_never_comes_ends_the_daemon_with_an_error() {
    let world = World::new();
    let url = format!("http://{}", free_address());
    let path = config(&world, &format!("elasticsearch: {{host: '{url}', max_wait_duration: 1}}"));
    let ended = tributary().run(["run", "-c", &path]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains(&url), "{last}");
}

#[test]
fn what_does_not_exist_is_named() {
    let world = World::new();
    let mut node = world.serve();
    let url = node.url();
    for (args, named) in [
        (vec!["connector", "show", "nobody"], "nobody"),
        (vec!["connector", "configure", "nobody", "--set", "a=b"], "nobody"),
        (vec!["connector", "delete", "nobody"], "nobody"),
        (vec!["connector", "schedule", "nobody", "--full", "off"], "nobody"),
        (vec!["job", "start", "nobody"], "nobody"),
        (vec!["job", "view", "nothing"], "nothing"),
        (vec!["job", "cancel", "nothing"], "nothing"),
        (vec!["sync", "nobody"], "nobody"),
        (vec!["search", "nowhere", "x"], "nowhere"),
        (vec!["index", "clean", "nowhere", "--yes"], "nowhere"),
        (vec!["index", "delete", "nowhere", "--yes"], "nowhere"),
        (vec!["index", "delete", ".elastic-connectors-v1", "--yes"], ".elastic-connectors-v1"),
        (vec!["job", "list", "--status", "odd"], "odd"),
        (vec!["connector", "create", "--service-type", "gopher", "--index", "a"], "gopher"),
        (vec!["connector", "create", "--service-type", "dir", "--index", "A B"], "A B"),
    ] {
        let args: Vec<&str> = args.into_iter().chain(["--host", &url]).collect();
        let line = refused(&args);
        assert!(line.contains(named), "{args:?}: {line}");
    }
    stop(node);
}

#[test]
fn a_wrong_command_line_exits_with_1_and_help_with_0() {
    tributary().run(["quickstart", "--no-such-flag"]).failure(1);
    tributary().run(["frobnicate"]).failure(1);
    tributary().run(["serve", "--listen", "nowhere"]).failure(1);
    let help = tributary().run(["--help"]).success();
    assert!(help.contains("quickstart"));
    tributary().run(["--version"]).success();
}

#[test]
fn a_folder_for_state_that_cannot_be_one_is_named_before_anything_runs() {
    let world = World::new();
    let file = world.path().join("file");
    fs::write(&file, "").unwrap();
    let state = file.join("state").display().to_string();
    let path = config(&world, &format!("tributary.state_dir: {state}"));
    let line = refused(&["run", "--config", &path]);
    assert!(line.contains(&state) && line.contains("tributary.state_dir"), "{line}");
    let found = tributary().run(["check", "--offline", "--config", &path]).failure(1);
    assert!(found.iter().any(|line| line.contains("1 problem")), "{found:?}");
}

#[test]
fn a_check_without_the_cluster_tells_of_a_proxy_that_is_no_address() {
    let world = World::new();
    let path = config(&world, "tributary.proxy: foo bar");
    let found = tributary().run(["check", "--offline", "--config", &path]);
    assert!(found.stdout.contains("proxy 'foo bar' is not an address"), "{}", found.stdout);
    found.failure(1);
    let path = config(&world, "tributary.proxy: http://proxy.example:3128");
    tributary().run(["check", "--offline", "--config", &path]).success();
}

#[test]
fn a_check_names_a_limit_for_a_type_that_there_is_not() {
    let world = World::new();
    let path = config(&world, "tributary.max_concurrent_syncs_by_type: {nope: 2, dir: 1}");
    let found = tributary().run(["check", "--offline", "--config", &path]);
    assert!(found.stdout.contains("max_concurrent_syncs_by_type has a limit for 'nope'"), "{}", found.stdout);
    assert!(!found.stdout.contains("'dir'"), "{}", found.stdout);
    found.failure(1);
}

#[test]
fn a_check_tells_of_a_type_that_was_not_filled_in_once() {
    let world = World::new();
    for text in [
        "service: {worker_mode: true, service_types: [changeme]}",
        "connectors: [{connector_id: a, service_type: changeme}]",
        "{connector_id: a, service_type: changeme}",
    ] {
        let path = config(&world, text);
        let found = tributary().run(["check", "--offline", "--config", &path]);
        assert_eq!(found.stdout.matches("changeme").count(), 1, "{}", found.stdout);
        found.failure(1);
    }
}

#[test]
fn a_check_tells_of_a_file_of_authorities_that_is_missing_once() {
    let world = World::new();
    let text = "elasticsearch: {host: 'https://127.0.0.1:1', api_key: a2V5, ca_certs: /nonexistent/ca.pem}";
    let path = config(&world, text);
    for args in [&["check", "--config", &path][..], &["check", "--offline", "--config", &path]] {
        let found = tributary().run(args);
        assert_eq!(found.stdout.matches("/nonexistent/ca.pem").count(), 1, "{}", found.stdout);
        found.failure(1);
    }
}

#[test]
fn every_command_has_an_example_in_its_help() {
    for command in [
        "quickstart",
        "run",
        "serve",
        "sync",
        "search",
        "check",
        "connector create",
        "connector list",
        "connector show",
        "connector configure",
        "connector schedule",
        "connector delete",
        "job start",
        "job list",
        "job view",
        "job cancel",
        "index list",
        "index clean",
        "index delete",
        "source list",
        "source describe",
        "node user add",
        "node user list",
        "node user remove",
        "node key create",
    ] {
        let help = tributary().run(command.split(' ').chain(["--help"])).success();
        assert!(help.contains("Example:\n  tributary "), "{command}: {help}");
    }
}

#[test]
fn a_folder_that_may_not_be_read_is_named() {
    let world = World::new();
    let folder = world.path().join("closed");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut program = tributary();
    if rustix::process::geteuid().is_root() {
        // The superuser may read everything.
        let copy = world.path().join("tributary");
        fs::copy(env!("CARGO_BIN_EXE_tributary"), &copy).unwrap();
        program = Binary::new(copy).env("XDG_CONFIG_HOME", "/nonexistent").folder("/").uid(NOBODY);
    }
    let lines = program.run(["quickstart", &folder.display().to_string()]).failure(1);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("closed") && line.contains("cannot be read"), "{line}");
}

#[test]
fn a_full_disk_is_named() {
    let world = World::new();
    world.write("a.md", "text");
    let disk = Disk::mount(&world.path().join("disk"), 16);
    // The file ends where the disk does.
    drop(fs::write(disk.file("fill"), vec![0; 15 << 20]));
    let data = world.path().join("disk/data").display().to_string();
    let files = world.files().display().to_string();
    let ended = disk.run(&["quickstart", &files, "--listen", "127.0.0.1:0", "--data", &data, "--once"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    assert!(errors[0].contains("disk") && errors[0].contains("free space"), "{}", errors[0]);
}

#[test]
fn a_disk_that_fills_up_during_a_sync_ends_it() {
    let world = World::new();
    let disk = Disk::mount(&world.path().join("disk"), 16);
    let mut seed = 1_u64;
    // Text that no compression makes fit.
    for n in 0..24 {
        let text: String = (0..1 << 20).map(|_| letter(&mut seed)).collect();
        world.write(&format!("{n}.txt"), &text);
    }
    let data = world.path().join("disk/data").display().to_string();
    let files = world.files().display().to_string();
    let ended = disk.run(&["quickstart", &files, "--listen", "127.0.0.1:0", "--data", &data, "--once"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    assert!(errors[0].contains(&data) && errors[0].contains("free space"), "{}", errors[0]);
}

fn letter(seed: &mut u64) -> char {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ";
    char::from(letters[(*seed >> 58) as usize])
}
