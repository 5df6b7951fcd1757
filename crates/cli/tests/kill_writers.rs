//! `kill -9` while many write at once: what was acknowledged is there, and no request was done in part.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use support::writers::{Http, Told, Writer, check_all};
use support::{LONG, World, stop, tributary};
use tributary_harness::Process;

const WRITERS: usize = 16;
const KILLS: usize = 10;

#[test]
fn ten_kills_under_sixteen_writers_lose_nothing_and_leave_nothing_half_done() {
    let mut rng = StdRng::seed_from_u64(20_261_126);
    let world = World::new();
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, 300)).collect();
    for round in 0..KILLS {
        let mut node = world.serve();
        let http = Http::new(&node.url());
        if round > 0 {
            check_all(&mut writers, &http);
        }
        let done = AtomicUsize::new(0);
        let pause = Duration::from_millis(rng.random_range(0..500));
        thread::scope(|scope| {
            for writer in &mut writers {
                let (http, done) = (http.clone(), &done);
                scope.spawn(move || {
                    loop {
                        match writer.write(&http) {
                            Told::Done => done.fetch_add(1, Ordering::AcqRel),
                            Told::Refused => panic!("a healthy node refused a write"),
                            Told::Nothing => return,
                        };
                    }
                });
            }
            let end = Instant::now() + LONG;
            while done.load(Ordering::Acquire) < 2 * WRITERS && Instant::now() < end {
                thread::sleep(Duration::from_millis(2));
            }
            thread::sleep(pause);
            node.kill();
        });
        assert!(done.load(Ordering::Acquire) >= 2 * WRITERS, "round {round} wrote nothing");
    }
    let mut node = world.serve();
    let http = Http::new(&node.url());
    check_all(&mut writers, &http);
    stop(node);
}

/// The journal file that was written last, below a folder.
fn newest_journal(folder: &Path) -> PathBuf {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "jnl") {
                found.push((fs::metadata(&path).unwrap().modified().unwrap(), path));
            }
        }
    }
    found.into_iter().max().unwrap().1
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn serve(data: &Path) -> Process {
    let data = data.display().to_string();
    tributary().start(["serve", "--listen", "127.0.0.1:0", "--data", &data])
}

/// What a crash of the machine may do to the end of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// So many bytes are missing.
    Cut(usize),
    /// So many bytes at the end are something else.
    Noise(usize),
    /// So many bytes at the end were never written.
    Zeros(usize),
    /// Something stands behind the end.
    More(usize),
}

impl Damage {
    /// Bytes of the content that it spoils.
    fn spoils(self) -> usize {
        match self {
            Self::Cut(bytes) | Self::Noise(bytes) | Self::Zeros(bytes) => bytes,
            Self::More(_) => 0,
        }
    }

    fn apply(self, journal: &Path, rng: &mut StdRng) {
        let mut bytes = fs::read(journal).unwrap();
        let reserved = bytes.len();
        // The content is followed by zeros that were reserved.
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        match self {
            Self::Cut(count) => bytes.truncate(end - count),
            Self::Noise(count) => {
                for byte in &mut bytes[end - count..end] {
                    *byte ^= rng.random_range(1..=255);
                }
            }
            Self::Zeros(count) => bytes[end - count..end].fill(0),
            Self::More(count) => {
                bytes.truncate(end);
                bytes.extend((0..count).map(|_| rng.random_range(1..=255u8)));
                bytes.resize(reserved.max(bytes.len()), 0);
            }
        }
        fs::write(journal, bytes).unwrap();
    }
}

/// No less than a document below takes in the journal.
const LEAST_BYTES: usize = 500;
const DOCUMENTS: usize = 60;

#[test]
fn a_torn_end_of_the_journal_costs_at_most_that_end() {
    let mut rng = StdRng::seed_from_u64(7);
    let world = World::new();
    let mut node = world.serve();
    let http = Http::new(&node.url());
    let documents: Vec<Value> = (0..DOCUMENTS)
        .map(|number| {
            // What cannot be made smaller.
            let text: String = (0..600).map(|_| char::from(rng.random_range(b'!'..=b'~'))).collect();
            json!({"number": number, "text": text})
        })
        .collect();
    for (number, document) in documents.iter().enumerate() {
        http.must("PUT", &format!("/torn/_doc/{number}"), Some(document));
    }
    node.kill();
    let damages = [
        Damage::Cut(1),
        Damage::Cut(9),
        Damage::Cut(300),
        Damage::Cut(3000),
        Damage::Noise(1),
        Damage::Noise(40),
        Damage::Noise(3000),
        Damage::Zeros(100),
        Damage::Zeros(2000),
        Damage::More(5),
        Damage::More(5000),
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let data = world.path().join(format!("torn-{at}"));
        copy(&world.data(), &data);
        damage.apply(&newest_journal(&data), &mut rng);
        let mut node = serve(&data);
        let http = Http::new(&node.url());
        let present = |number: usize| {
            let (status, answer) = http.call("GET", &format!("/torn/_doc/{number}"), None).unwrap();
            assert!(
                status == 404 || answer["_source"] == documents[number],
                "{damage:?}: {number}: {answer}"
            );
            status == 200
        };
        let kept = (0..DOCUMENTS).take_while(|number| present(*number)).count();
        assert!((kept..DOCUMENTS).all(|number| !present(number)), "{damage:?}: a gap");
        let most = damage.spoils().div_ceil(LEAST_BYTES) + usize::from(damage.spoils() > 0);
        assert!(DOCUMENTS - kept <= most, "{damage:?} cost {} documents", DOCUMENTS - kept);
        http.must("POST", "/torn/_refresh", None);
        assert_eq!(http.must("GET", "/torn/_count", None)["count"], kept, "{damage:?}");

        // The node goes on as if what is lost had never been.
        for (number, document) in documents.iter().enumerate().skip(kept) {
            http.must("PUT", &format!("/torn/_create/{number}"), Some(document));
        }
        node.kill();
        let mut node = serve(&data);
        let http = Http::new(&node.url());
        http.must("POST", "/torn/_refresh", None);
        assert_eq!(http.must("GET", "/torn/_count", None)["count"], DOCUMENTS, "{damage:?}");
        stop(node);
        fs::remove_dir_all(&data).unwrap();
    }
}
