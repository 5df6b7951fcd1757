//! Every law on its seeds and on random changes of these: what the fuzz targets do for longer, without nightly.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_laws::TARGETS;

/// Changed inputs for each law.
const ROUNDS: usize = 3_000;
/// Pieces that mean something to at least one of the parsers.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "-1",
    "1e400",
    "9223372036854775807",
    "\\u0000",
    "\n",
    "\r\n",
    "*",
    "?",
    "L",
    "W",
    "#",
    "/",
    "\u{fffd}",
    "true",
    "\"query\"",
    "0",
];

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn changed(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=input.len());
        let end = random.random_range(at..=input.len().min(at + 12));
        let piece: Vec<u8> = match random.random_range(0..4) {
            0 => Vec::new(),
            1 => PIECES[random.random_range(0..PIECES.len())].as_bytes().to_vec(),
            2 => vec![random.random()],
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                other[from..random.random_range(from..=other.len())].to_vec()
            }
        };
        input.splice(at..end, piece);
    }
    input
}

fn holds(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(name);
    assert!(seeds.len() >= 3, "{name} has too few seeds");
    let mut random = StdRng::seed_from_u64(0x7219);
    let changes = (0..ROUNDS).map(|_| changed(&seeds, &mut random));
    for input in seeds.iter().cloned().chain(changes.collect::<Vec<_>>()) {
        let held = std::panic::catch_unwind(|| (target.law)(&input));
        assert!(held.is_ok(), "{name} does not hold for {:?}", String::from_utf8_lossy(&input));
    }
}

macro_rules! laws {
    ($($test:ident: $name:literal;)*) => {
        $(#[test] fn $test() { holds($name); })*

        #[test]
        fn every_law_is_tested_and_has_a_fuzz_target() {
            let tested = [$($name),*];
            for target in TARGETS {
                assert!(tested.contains(&target.name), "{} has no test", target.name);
                let file = format!("{}/../../fuzz/fuzz_targets/{}.rs", env!("CARGO_MANIFEST_DIR"), target.name);
                assert!(Path::new(&file).exists(), "{} has no fuzz target", target.name);
            }
        }
    };
}

laws! {
    a_bulk_is_done_as_it_says_or_not_at_all: "bulk";
    registering_never_loses_a_value_and_no_fault_shows_a_secret: "configuration";
    a_request_that_is_accepted_makes_a_readable_document: "connector";
    no_stranger_reads_or_ends_a_scroll_or_a_point_in_time: "contexts";
    firings_lie_on_the_right_side_and_nothing_between: "cron";
    a_pipeline_answers_for_each_document_and_always_the_same: "pipeline";
    valid_rules_can_be_used_and_the_first_that_matches_decides: "rules";
    a_query_counts_the_same_alone_and_inside_others: "search";
}
