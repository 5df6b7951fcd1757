//! What this source does beyond the laws that all keep.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use tributary_connector_directory::Directory;
use tributary_sdk::{Body, BodyKind, Content, Context, ErrorKind, Source};
use tributary_testkit::{Listing, World as _, connect, list, list_from, try_connect};
use world::{DirectoryWorld, id};

async fn with(world: &DirectoryWorld, values: Value) -> Source {
    let mut config = world.config();
    let Value::Object(values) = values else { panic!("no object") };
    config.extend(values);
    connect::<Directory>(&config).await
}

async fn listed(world: &DirectoryWorld, values: Value) -> Listing {
    let listing = list(&with(world, values).await).await;
    assert!(listing.is_clean(), "{:?}", listing.errors().collect::<Vec<_>>());
    listing
}

/// Names of what was listed, relative to the folder.
fn names(world: &DirectoryWorld, listing: &Listing) -> Vec<String> {
    let root = format!("{}/", world.root.display());
    let name = |id: &String| listing.fields[id]["path"].as_str().unwrap().replace(&root, "");
    listing.ids.iter().map(name).collect()
}

/// The content of the only file.
async fn content(world: &DirectoryWorld) -> Option<(BodyKind, Content)> {
    let body: Option<Body> = listed(world, json!({})).await.bodies.pop().map(|(_, body)| body);
    let body = body?;
    Some((body.kind(), body.fetch().await.unwrap()))
}

#[tokio::test]
async fn documents_have_the_fields_of_the_reference() {
    let mut world = DirectoryWorld::new();
    let id = world.write("a.txt", "abc");
    let path = world.root.join("a.txt");
    let stat = fs::metadata(&path).unwrap();
    let listing = listed(&world, json!({})).await;
    let fields: &Map<String, Value> = &listing.fields[&id];
    let expected = [
        ("path", json!(path)),
        ("inode_protection_mode", json!(stat.mode())),
        ("inode_number", json!(stat.ino())),
        ("device_inode_reside", json!(stat.dev())),
        ("number_of_links", json!(1)),
        ("uid", json!(stat.uid())),
        ("gid", json!(stat.gid())),
        ("size", json!(3)),
    ];
    for (name, value) in &expected {
        assert_eq!(&fields[*name], value, "{name}");
    }
    let item = &listing.items[&id];
    let modified = fields["last_modified_time"].as_str().unwrap();
    assert_eq!(modified.parse::<chrono::DateTime<chrono::Utc>>().ok(), item.timestamp);
    assert!(fields["ctime"].is_f64() && fields["last_access_time"].is_f64());
    assert_eq!(fields.len(), expected.len() + 3);
}

#[tokio::test]
async fn relative_ids_stay_when_the_folder_moves() {
    let mut world = DirectoryWorld::new();
    world.write("a/b.txt", "abc");
    let before = listed(&world, json!({"id_mode": "relative"})).await;
    let moved = world.root.with_file_name("moved");
    fs::rename(&world.root, &moved).unwrap();
    let after = listed(&world, json!({"id_mode": "relative", "directory": moved})).await;
    assert_eq!(before.ids, after.ids);
    assert_eq!(before.ids, [id(Path::new("a/b.txt"))]);
}

#[tokio::test]
async fn texts_are_read_as_what_they_are_and_anything_else_as_bytes() {
    let wide =
        |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(bytes).collect() };
    let text = |text: &str| Content::Text(text.to_owned());
    let binary = |bytes: &[u8]| Content::Binary(bytes.to_vec().into());
    for (bytes, expected) in [
        ("héllo".as_bytes().to_vec(), text("héllo")),
        ("\u{FEFF}héllo".as_bytes().to_vec(), text("héllo")),
        (wide("\u{FEFF}héllo 😀", u16::to_le_bytes), text("héllo 😀")),
        (wide("\u{FEFF}héllo 😀", u16::to_be_bytes), text("héllo 😀")),
        (Vec::new(), text("")),
        (b"caf\xe9".to_vec(), binary(b"caf\xe9")),
        (b"a\0b".to_vec(), binary(b"a\0b")),
        (b"\xff\xfea".to_vec(), binary(b"\xff\xfea")),
        (b"\xff\xfe\0\xd8".to_vec(), binary(b"\xff\xfe\0\xd8")),
        (b"\xff\xfe\0\0h\0\0\0".to_vec(), binary(b"\xff\xfe\0\0h\0\0\0")),
    ] {
        let mut world = DirectoryWorld::new();
        world.write("a.txt", &bytes);
        assert_eq!(content(&world).await, Some((BodyKind::Text, expected)), "{bytes:?}");
    }
}

#[tokio::test]
async fn the_extension_decides_about_content_whatever_its_case() {
    for (name, expected) in [
        ("a.HTML", Some(BodyKind::Text)),
        ("a.b.Md", Some(BodyKind::Text)),
        ("a.PDF", Some(BodyKind::Binary)),
        ("a.docx", Some(BodyKind::Binary)),
        ("a.png", None),
        (".txt", None),
        ("a.", None),
    ] {
        let mut world = DirectoryWorld::new();
        world.write(name, "abc");
        assert_eq!(content(&world).await.map(|(kind, _)| kind), expected, "{name}");
    }
}

#[tokio::test]
async fn a_content_over_the_limit_is_left_out_and_the_file_listed() {
    let mut world = DirectoryWorld::new();
    world.write("a.txt", "12345");
    let source = with(&world, json!({})).await;
    let fetched = async |max_body_bytes| {
        let cx = Context { max_body_bytes, ..Context::default() };
        let (_, body) = Listing::of(source.documents(&cx)).await.bodies.pop().unwrap();
        assert_eq!(body.size(), Some(5));
        body.fetch().await.unwrap()
    };
    assert_eq!(fetched(5).await, Content::Text("12345".to_owned()));
    assert!(matches!(fetched(4).await, Content::Nothing { reason } if reason.contains("limit of 4 bytes")));
}

#[tokio::test]
async fn special_files_are_never_listed_or_opened() {
    let mut world = DirectoryWorld::new();
    let path = world.root.join("b.txt");
    world.write("a.txt", "a");
    world.write("b.txt", "b");
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    pipe(&world.root.join("pipe.txt"));
    symlink("pipe.txt", world.root.join("link.txt")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.root.join("socket.txt")).unwrap();
    let mut listing = listed(&world, json!({})).await;
    assert_eq!(names(&world, &listing), ["a.txt", "b.txt"]);
    // Nor when one takes the place of a file after it was listed: opening a pipe would wait for ever.
    fs::remove_file(&path).unwrap();
    pipe(&path);
    let (_, body) = listing.bodies.pop().unwrap();
    assert!(matches!(body.fetch().await, Ok(Content::Nothing { .. })));
}

#[tokio::test]
async fn links_to_files_are_followed_and_links_to_folders_when_asked() {
    let mut world = DirectoryWorld::new();
    world.write("a/x.txt", "x");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("y.txt"), "y").unwrap();
    symlink(outside.path().join("y.txt"), world.root.join("file.txt")).unwrap();
    symlink(outside.path(), world.root.join("folder")).unwrap();
    symlink("..", world.root.join("a/up")).unwrap();
    symlink("loop", world.root.join("loop")).unwrap();
    assert_eq!(names(&world, &listed(&world, json!({})).await), ["a/x.txt", "file.txt"]);
    let followed = listed(&world, json!({"follow_links": true})).await;
    assert_eq!(names(&world, &followed), ["a/x.txt", "file.txt", "folder/y.txt"]);
}

#[tokio::test]
async fn excluded_files_and_folders_are_left_out() {
    let mut world = DirectoryWorld::new();
    for name in ["a.txt", "a.tmp", ".git/config.txt", "x/.git/b.txt", "x/c.txt"] {
        world.write(name, "x");
    }
    let listing = listed(&world, json!({"exclude": ".git, *.tmp"})).await;
    assert_eq!(names(&world, &listing), ["a.txt", "x/c.txt"]);
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_listed_read_and_passed_by() {
    let world = DirectoryWorld::new();
    let odd = [&b"\xfe.txt"[..], &b"\xff.txt"[..]];
    for name in odd {
        fs::write(world.root.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    for n in 0..999 {
        fs::write(world.root.join(format!("{n:03}.txt")), "x").unwrap();
    }
    let source = with(&world, json!({})).await;
    let mut whole = list(&source).await;
    assert_eq!((whole.ids.len(), whole.items.len()), (1_001, 1_001), "different names, different ids");
    let paths: BTreeSet<String> =
        whole.ids[999..].iter().map(|id| whole.fields[id]["path"].to_string()).collect();
    assert!(paths.iter().all(|path| path.contains('\u{FFFD}')), "{paths:?}");
    let (_, body) = whole.bodies.pop().unwrap();
    assert_eq!(body.fetch().await.unwrap(), Content::Binary(odd[1].to_vec().into()));
    // The checkpoint is at the first of the odd names.
    let rest = list_from(&source, Some(whole.checkpoints[0].1.clone())).await;
    assert_eq!(rest.ids, whole.ids[1_000..]);
}

#[tokio::test]
async fn a_file_that_is_gone_when_it_is_read_is_no_error() {
    let mut world = DirectoryWorld::new();
    let id = world.write("a.txt", "a");
    let mut listing = listed(&world, json!({})).await;
    world.remove(&id).await;
    let (_, body) = listing.bodies.pop().unwrap();
    assert!(matches!(body.fetch().await, Ok(Content::Nothing { reason }) if reason.contains("gone")));
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_never_read_half() {
    use std::io::{Seek as _, Write as _};
    const SIZE: usize = 1 << 20;
    let mut world = DirectoryWorld::new();
    world.write("a.txt", "a".repeat(SIZE));
    let path = world.root.join("a.txt");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
            for letter in b"ba".iter().copied().cycle() {
                // In pieces, so that there is a time when the file is half one and half the other.
                file.rewind().unwrap();
                for piece in vec![letter; SIZE].chunks(SIZE / 16) {
                    file.write_all(piece).unwrap();
                    std::thread::sleep(std::time::Duration::from_micros(300));
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    });
    let mut whole = 0;
    for _ in 0..40 {
        let (_, body) = listed(&world, json!({})).await.bodies.pop().unwrap();
        match body.fetch().await {
            // A writer that pauses in the middle cannot be told from one that is done: what is read is what was there
            // at one moment, so at most one change of letters is seen.
            Ok(Content::Text(text)) => {
                let changes = text.as_bytes().windows(2).filter(|pair| pair[0] != pair[1]).count();
                assert!(text.len() == SIZE && changes <= 1, "{changes} changes of letters");
                whole += 1;
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(whole > 0, "never read");
}

#[tokio::test]
async fn a_log_that_only_grows_is_read_as_it_was() {
    use std::io::Write as _;
    let mut world = DirectoryWorld::new();
    world.write("a.txt", "line\n".repeat(200_000));
    let path = world.root.join("a.txt");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"line\n").unwrap();
            }
        }
    });
    let (_, body) = listed(&world, json!({})).await.bodies.pop().unwrap();
    let content = body.fetch().await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let Ok(Content::Text(text)) = content else { panic!("{content:?}") };
    assert!(text.len() >= 1_000_000 && text.lines().all(|line| line == "line"));
}

#[tokio::test]
async fn a_file_without_read_rights_is_skipped_by_its_content() {
    let mut world = DirectoryWorld::new();
    world.write("a.txt", "a");
    let path = world.root.join("a.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        return; // The superuser reads everything.
    }
    let (_, body) = listed(&world, json!({})).await.bodies.pop().unwrap();
    let error = body.fetch().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.hint_text().is_some());
}

#[tokio::test]
async fn a_content_that_was_replaced_with_size_and_time_kept_is_noticed() {
    let mut world = DirectoryWorld::new();
    let id = world.write("a.txt", "one");
    let path = world.root.join("a.txt");
    let before = listed(&world, json!({})).await;
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&path, "two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let after = listed(&world, json!({})).await;
    assert_eq!(before.items[&id].version, after.items[&id].version);
    assert_ne!(before.items[&id], after.items[&id]);
}

#[tokio::test]
async fn a_root_that_cannot_be_listed_is_told_with_a_hint() {
    let mut world = DirectoryWorld::new();
    world.write("file.txt", "x");
    for (directory, kind) in
        [(world.root.join("nowhere"), ErrorKind::NotFound), (world.root.join("file.txt"), ErrorKind::Config)]
    {
        let mut config = world.config();
        config.insert("directory".to_owned(), json!(directory));
        let error = try_connect::<Directory>(&config).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(
            error.hint_text().is_some() && error.to_string().contains(directory.to_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn every_bad_value_is_told() {
    let mut config = DirectoryWorld::new().config();
    let bad = json!({"directory": "", "pattern": "", "follow_links": "perhaps", "id_mode": "random"});
    config.extend(bad.as_object().unwrap().clone());
    let error = try_connect::<Directory>(&config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Field validation errors: 'Directory path' cannot be empty.; 'File glob-like pattern' cannot be empty.; \
         'Follow links to folders' value 'perhaps' should be true or false.; \
         'Document ids from' value 'random' should be one of absolute, relative."
    );
}
