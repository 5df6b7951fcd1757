//! A disk that fills up while many write: nobody is told that a write was kept which was not, reads go on, and when
//! there is space again everything goes on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::disk::Disk;
use support::writers::{Http, INDEX, Told, Writer, check_all};
use support::{LONG, World, stop};

const DISK_MIB: u32 = 64;
const WRITERS: usize = 6;
const KEPT: usize = 40;
/// Requests that are to succeed before the disk fills up, and to fail after.
const FIRST: usize = 60;
const REFUSED: usize = 40;

/// What goes on besides the writers.
#[derive(Default)]
struct Scene {
    done: AtomicUsize,
    refused: AtomicUsize,
    full: AtomicBool,
    over: AtomicBool,
}

impl Scene {
    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LONG;
        while !holds(self) {
            assert!(Instant::now() < end, "never: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the scene, also when an assertion ends the test.
struct End<'a>(&'a Scene);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

/// Takes all space, and what becomes free, until it is over.
fn fill(path: PathBuf, scene: &Scene) {
    let mut file = File::create(path).unwrap();
    let block = vec![7; 64 << 10];
    while !scene.over.load(Ordering::Acquire) {
        if file.write(&block).is_err() {
            scene.full.store(true, Ordering::Release);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn write(writer: &mut Writer, http: &Http, scene: &Scene) {
    while !scene.over.load(Ordering::Acquire) {
        match writer.write(http) {
            Told::Done => scene.done.fetch_add(1, Ordering::AcqRel),
            Told::Refused => {
                thread::sleep(Duration::from_millis(10));
                scene.refused.fetch_add(1, Ordering::AcqRel)
            }
            Told::Nothing => panic!("the node gave no answer"),
        };
    }
}

/// Reads and searches what was there before.
fn read(http: &Http, scene: &Scene) -> usize {
    let mut rounds = 0;
    while !scene.over.load(Ordering::Acquire) {
        let id = rounds % KEPT;
        let (status, answer) = http.call("GET", &format!("/{INDEX}/_doc/kept-{id}"), None).unwrap();
        assert_eq!((status, &answer["_source"]), (200, &json!({"kept": id})), "{answer}");
        if rounds % 3 == 0 {
            // It may fail, but then it must not be in the way of the search.
            let (status, answer) = http.call("POST", &format!("/{INDEX}/_refresh"), None).unwrap();
            assert!(status == 200 || status == 503, "{answer}");
        }
        let query = json!({"query": {"exists": {"field": "kept"}}}).to_string();
        let (status, answer) = http.call("POST", &format!("/{INDEX}/_search"), Some(query)).unwrap();
        assert_eq!((status, &answer["hits"]["total"]["value"]), (200, &json!(KEPT)), "{answer}");
        rounds += 1;
    }
    rounds
}

#[test]
fn a_disk_that_fills_up_under_load_costs_no_acknowledged_write_and_blocks_no_reader() {
    let world = World::new();
    let disk = Disk::mount(&world.path().join("disk"), DISK_MIB);
    let mut node = disk.serve();
    let http = Http::new(&node.url());
    for id in 0..KEPT {
        http.must("PUT", &format!("/{INDEX}/_doc/kept-{id}"), Some(&json!({"kept": id})));
    }
    http.must("POST", &format!("/{INDEX}/_refresh"), None);
    http.must("GET", &format!("/{INDEX}/_search"), None);

    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, 1500)).collect();
    let scene = Scene::default();
    thread::scope(|scope| {
        let end = End(&scene);
        for writer in &mut writers {
            let (http, scene) = (http.clone(), &scene);
            scope.spawn(move || write(writer, &http, scene));
        }
        let reading = scope.spawn(|| read(&http, &scene));
        scene.wait("writes succeed", |scene| scene.done.load(Ordering::Acquire) >= FIRST);
        let filling = scope.spawn(|| fill(disk.file("fill"), &scene));
        scene.wait("the disk is full", |scene| scene.full.load(Ordering::Acquire));
        scene.wait("writes are refused", |scene| scene.refused.load(Ordering::Acquire) >= REFUSED);
        // Long enough for what happens in the background.
        thread::sleep(Duration::from_secs(5));
        drop(end);
        filling.join().unwrap();
        assert!(reading.join().unwrap() > 10);
    });

    // Still full: what was acknowledged can be read.
    for writer in &mut writers {
        writer.check(&http);
    }
    fs::remove_file(disk.file("fill")).unwrap();
    let end = Instant::now() + LONG;
    while http.call("POST", &format!("/{INDEX}/_refresh"), None).unwrap().0 != 200 {
        assert!(Instant::now() < end, "search never catches up when nobody writes");
        thread::sleep(Duration::from_millis(50));
    }
    while http.call("PUT", &format!("/{INDEX}/_doc/late"), Some("{}".to_owned())).unwrap().0 >= 300 {
        assert!(Instant::now() < end, "writes never succeed again");
        thread::sleep(Duration::from_millis(50));
    }
    for writer in &mut writers {
        for _ in 0..8 {
            assert_eq!(writer.write(&http), Told::Done);
        }
    }
    check_all(&mut writers, &http);
    stop(node);

    let mut node = disk.serve();
    let http = Http::new(&node.url());
    check_all(&mut writers, &http);
    let late = http.must("GET", &format!("/{INDEX}/_doc/late"), None);
    assert_eq!(late["found"], true);
    stop(node);
}
