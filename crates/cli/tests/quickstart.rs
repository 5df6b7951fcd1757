//! `tributary quickstart`, from an empty folder to a restart.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{LONG, World, client, differences, indexed, parse, stop, tributary};

fn world() -> World {
    let world = World::new();
    world.write("one.md", "The quick brown fox");
    world.write("two.txt", "jumps over the lazy dog");
    world.write("deep/er/three.md", "and swims through the Bodensee");
    world
}

fn connector(url: &str) -> String {
    let listed = tributary().run(["connector", "list", "--host", url, "--output", "json"]).success();
    parse(&listed)[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_folder_becomes_searchable_and_follows_its_changes_and_a_restart_goes_on() {
    let world = world();
    let mut running = world.quickstart();
    let url = running.url();
    running.wait_for("synced: 3 indexed", LONG);
    let node = client(&url);
    assert_eq!(differences(&node, "files", &world).await, [""; 0]);

    let answer = node.raw("GET", "/files/_search?q=body:bodensee", None).await.unwrap();
    assert_eq!(answer["hits"]["total"]["value"], 1, "{answer}");
    let found =
        tributary().run(["search", "files", "lazy dog", "--host", &url, "--output", "json"]).success();
    let found = parse(&found);
    assert_eq!(found["total"], 1, "{found}");
    assert!(found["hits"][0]["source"]["path"].as_str().unwrap().ends_with("two.txt"), "{found}");
    let shown = tributary().run(["search", "files", "lazy", "--host", &url]).success();
    assert!(shown.contains("two.txt") && shown.contains("jumps over the lazy dog"), "{shown}");

    world.write("one.md", "The quick red fox");
    world.write("four.md", "a new one");
    world.remove("two.txt");
    let id = connector(&url);
    tributary().run(["job", "start", &id, "--wait", "--host", &url]).success();
    assert_eq!(differences(&node, "files", &world).await, [""; 0]);
    let before = indexed(&node, "files").await;
    stop(running);

    let mut running = world.quickstart();
    let url = running.url();
    running.wait_for("synced: 0 indexed, 0 deleted, 3 documents", LONG);
    assert_eq!(indexed(&client(&url), "files").await, before, "a restart writes nothing twice");
    stop(running);
}

#[tokio::test]
async fn the_lines_that_quickstart_prints_work() {
    let world = world();
    let mut running = world.quickstart();
    let search = running.wait_for("  tributary search files", LONG);
    let curl = running.wait_for("  curl '", LONG);
    let args: Vec<&str> = search.split_whitespace().skip(1).collect();
    let found = tributary().run(args.iter().copied().chain(["--output", "json"])).success();
    assert!(parse(&found)["total"].as_u64().unwrap() >= 1, "{search}: {found}");
    let address = curl.split('\'').nth(1).unwrap();
    let (url, path) = address.split_at(address.find("/files").unwrap());
    let answer = client(url).raw("GET", path, None).await.unwrap();
    assert!(answer["hits"]["total"]["value"].as_u64().unwrap() >= 1, "{curl}: {answer}");
    stop(running);
}

#[tokio::test]
async fn a_change_shows_by_itself_after_the_next_scheduled_sync() {
    let world = world();
    let mut running = world.quickstart();
    let url = running.url();
    running.wait_for("synced: 3 indexed", LONG);
    world.write("five.md", "later");
    running.wait_for("synced: 1 indexed, 0 deleted", LONG);
    assert_eq!(differences(&client(&url), "files", &world).await, [""; 0]);
    stop(running);
}

#[test]
fn once_ends_with_the_first_sync() {
    let world = world();
    let mut args = world.quickstart_args();
    args.push("--once".to_owned());
    let printed = tributary().run(&args).success();
    assert!(printed.contains("synced: 3 indexed"), "{printed}");
    let printed = tributary().run(&args).success();
    assert!(printed.contains("synced: 0 indexed"), "{printed}");
}

#[tokio::test]
async fn the_nodes_own_data_inside_the_folder_is_not_synced() {
    let world = world();
    let data = world.files().join("data.d").display().to_string();
    let files = world.files().display().to_string();
    let args = ["quickstart", &files, "--listen", "127.0.0.1:0", "--data", &data];
    let mut running = tributary().start(args);
    let url = running.url();
    running.wait_for("synced: 3 indexed", LONG);
    assert_eq!(indexed(&client(&url), "files").await.len(), 3);
    stop(running);
}
