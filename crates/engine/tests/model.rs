//! Random worlds, random faults, random interruptions: a disturbed sync never deletes what the source still has and
//! tells true figures, and whatever happened, the next clean sync makes the index equal to the source.

#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use support::{
    Entry, Faults, MemoryIndex, MemoryLetters, What, World, assert_expected, expected_after, small,
};
use tributary_engine::{Control, Ended, ErrorLimits, Figures, Mode, Progress, Resume, SyncSpec, sync};
use tributary_sdk::Context;

/// What ends a disturbed sync early.
#[derive(Clone, Debug)]
enum Interruption {
    Nothing,
    /// After so many milliseconds.
    Cancel(u64),
    Suspend(u64),
    /// The future is dropped after it was polled so often.
    Crash(usize),
    Break(usize),
    Gap(usize),
}

/// How the attempt after it starts.
#[derive(Clone, Debug)]
struct Attempt {
    entries: Vec<Entry>,
    faults: Faults,
    interruption: Interruption,
    checkpoints: Option<usize>,
    pause: u64,
    resumes: bool,
    /// Every so many calls the keeper of dead letters is away; never at 0 or 1.
    letters_away: u64,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => (0..3_u32).prop_map(What::Plain),
        3 => (0..3_u32, any::<bool>()).prop_map(|(n, versioned)| What::Body(n, versioned)),
        1 => (0..3_u32).prop_map(What::BadBody),
        1 => Just(What::Skipped),
        1 => Just(What::Excluded),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (0..24_u32, what()).prop_map(|(id, what)| Entry { id: id.to_string(), what });
    proptest::collection::vec(entry, 0..40)
}

fn faults() -> impl Strategy<Value = Faults> {
    let percent = || prop_oneof![Just(0_u64), 5..40_u64];
    let rates = (percent(), percent(), percent(), percent(), percent(), percent());
    let max_bytes = proptest::option::of(250..900_usize);
    let refused = proptest::collection::btree_set((0..24_u32).prop_map(|n| n.to_string()), 0..2);
    (any::<u64>(), rates, max_bytes, refused, prop_oneof![Just(0_u64), Just(40)]).prop_map(
        |(seed, rates, max_bytes, refused, slow)| {
            let (away, lost_answer, throttled, busy, lookup_away, scan_away) = rates;
            let dropped = BTreeSet::new();
            Faults {
                seed,
                away,
                lost_answer,
                throttled,
                busy,
                lookup_away,
                scan_away,
                max_bytes,
                refused,
                dropped,
                slow,
            }
        },
    )
}

fn interruption() -> impl Strategy<Value = Interruption> {
    prop_oneof![
        1 => Just(Interruption::Nothing),
        2 => (0..3_000_u64).prop_map(Interruption::Cancel),
        3 => (0..3_000_u64).prop_map(Interruption::Suspend),
        4 => (0..120_usize).prop_map(Interruption::Crash),
        1 => (0..40_usize).prop_map(Interruption::Break),
        1 => (0..40_usize).prop_map(Interruption::Gap),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let checkpoints = proptest::option::of(1..6_usize);
    (entries(), faults(), interruption(), checkpoints, 0..60_u64, any::<bool>(), 0..4_u64).prop_map(
        |(entries, faults, interruption, checkpoints, pause, resumes, letters_away)| Attempt {
            entries,
            faults,
            interruption,
            checkpoints,
            pause,
            resumes,
            letters_away,
        },
    )
}

/// Documents a sync of this world may delete: those it does not list, or excludes.
fn may_go(entries: &[Entry]) -> impl Fn(&str) -> bool {
    let mut stays = BTreeMap::new();
    for entry in entries {
        stays.insert(entry.id.clone(), entry.what != What::Excluded);
    }
    move |id| !stays.get(id).copied().unwrap_or(false)
}

async fn interrupted<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

fn spec(root: &std::path::Path, resume: Option<Resume>, letters: &Arc<MemoryLetters>) -> SyncSpec {
    let error_limits = ErrorLimits { enabled: false, ..ErrorLimits::default() };
    if resume.is_none() {
        letters.next_job();
    }
    SyncSpec { resume, error_limits, letters: Some(letters.for_sync(false)), ..small(root) }
}

/// The documents that the listing tells of for the last time as ones that cannot be written, and those of which it
/// does so at all.
fn unwritable(entries: &[Entry]) -> (BTreeSet<String>, BTreeSet<String>) {
    let bad = |entry: &Entry| matches!(entry.what, What::Skipped | What::BadBody(_));
    let (mut at_last, mut ever) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        if bad(entry) {
            at_last.insert(entry.id.clone());
            ever.insert(entry.id.clone());
        } else {
            at_last.remove(&entry.id);
        }
    }
    (at_last, ever)
}

/// Runs one disturbed attempt; returns how the next may resume.
async fn disturb(
    index: &MemoryIndex,
    root: &std::path::Path,
    letters: &Arc<MemoryLetters>,
    attempt: &Attempt,
    resume: Option<Resume>,
) -> (Option<Resume>, bool) {
    let world = World {
        entries: attempt.entries.clone(),
        checkpoints: attempt.checkpoints,
        breaks_at: match attempt.interruption {
            Interruption::Break(at) => Some(at),
            _ => None,
        },
        gap_at: match attempt.interruption {
            Interruption::Gap(at) => Some(at),
            _ => None,
        },
        pauses: Some((3, attempt.pause)),
        slow_bodies: attempt.pause,
        ..World::default()
    };
    index.set_faults(attempt.faults.clone());
    index.take_tally();
    index.take_deleted();
    letters.set_away(if attempt.letters_away > 1 { attempt.letters_away } else { 0 });
    let (source, progress, control) = (world.source(), Progress::new(), Control::new());
    let resumed = resume.is_some();
    let syncing = sync(index, &source, Context::default(), spec(root, resume, letters), &progress, &control);
    let ended = match attempt.interruption {
        Interruption::Crash(polls) => interrupted(syncing, polls).await,
        Interruption::Cancel(after) => {
            let asking = async {
                tokio::time::sleep(Duration::from_millis(after)).await;
                control.cancel();
            };
            Some(tokio::join!(syncing, asking).0)
        }
        Interruption::Suspend(after) => {
            let asking = async {
                tokio::time::sleep(Duration::from_millis(after)).await;
                control.suspend();
            };
            Some(tokio::join!(syncing, asking).0)
        }
        _ => Some(syncing.await),
    };
    judge(index, attempt, ended, progress.snapshot(), resumed)
}

fn judge(
    index: &MemoryIndex,
    attempt: &Attempt,
    ended: Option<Ended>,
    figures: Figures,
    resumed: bool,
) -> (Option<Resume>, bool) {
    let deleted = index.take_deleted();
    if !resumed {
        let may_go = may_go(&attempt.entries);
        for id in &deleted {
            assert!(may_go(id), "{id} was deleted and the source has it");
        }
    }
    let Some(ended) = ended else { return (Some(Resume::Spool), false) };
    if matches!(&ended, Ended::Failed { .. }) {
        assert!(deleted.is_empty(), "a sync that failed deleted {deleted:?}");
    }
    if !resumed {
        let report = ended.report();
        assert_eq!(report.figures, figures);
        let told = index.take_tally();
        if report.warnings.iter().all(|warning| !warning.contains("given up")) {
            let Figures { created, updated, deleted, wire_bytes, .. } = figures;
            assert_eq!((created, updated, deleted), (told.created, told.updated, told.deleted));
            assert_eq!(wire_bytes, told.wire_bytes);
        }
        let refusals: u64 = report.refusals.counts.values().sum();
        assert_eq!(refusals, figures.skipped + figures.failed, "every left out document has its reason");
    }
    match ended {
        Ended::Suspended { checkpoint, .. } => (checkpoint.map(Resume::From), false),
        Ended::Completed(_) => (None, true),
        _ => (None, false),
    }
}

async fn clean(
    index: &MemoryIndex,
    root: &std::path::Path,
    letters: &Arc<MemoryLetters>,
    entries: &[Entry],
    resume: Option<Resume>,
    checkpoints: Option<usize>,
) {
    index.set_faults(Faults::default());
    let before = index.documents();
    let world = World { entries: entries.to_vec(), checkpoints, ..World::default() };
    let (source, progress, control) = (world.source(), Progress::new(), Control::new());
    letters.set_away(0);
    let spec = spec(root, resume, letters);
    let ended = sync(index, &source, Context::default(), spec, &progress, &control).await;
    assert!(matches!(&ended, Ended::Completed(_)), "{ended:?}");
    assert_expected(&index.documents(), &expected_after(&world, &before));
    let left: Vec<_> = std::fs::read_dir(root).unwrap().collect();
    assert!(left.is_empty(), "spools are removed: {left:?}");
    let (at_last, ever) = unwritable(entries);
    let kept: BTreeSet<String> = letters.ids().into_iter().collect();
    assert!(at_last.is_subset(&kept), "{at_last:?} were left out; letters tell of {kept:?}");
    assert!(kept.is_subset(&ever), "letters tell of {kept:?}; only {ever:?} were left out");
}

fn in_paused_time(work: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(work);
}

/// What a plan can tell of: every document once, and contents that can be fetched.
fn listed_once(entries: &[Entry]) -> Vec<Entry> {
    let mut ids = BTreeSet::new();
    let tellable = |entry: &&Entry| !matches!(entry.what, What::BadBody(_)) && ids.insert(entry.id.clone());
    entries.iter().filter(tellable).cloned().collect()
}

async fn figures_of(
    index: &MemoryIndex,
    root: &std::path::Path,
    letters: &Arc<MemoryLetters>,
    world: &World,
    mode: Mode,
) -> Figures {
    let (source, progress, control) = (world.source(), Progress::new(), Control::new());
    let spec = SyncSpec { mode, ..spec(root, None, letters) };
    let ended = sync(index, &source, Context::default(), spec, &progress, &control).await;
    assert!(matches!(&ended, Ended::Completed(_)), "{ended:?}");
    ended.report().figures
}

/// How many random histories each law is tried on. `TRIBUTARY_MODEL_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("TRIBUTARY_MODEL_CASES").ok();
    asked.map_or(2000, |text| text.parse().unwrap_or_else(|_| panic!("TRIBUTARY_MODEL_CASES is '{text}'")))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: cases(), ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happened_a_clean_sync_makes_the_index_equal_to_the_source(
        attempts in proptest::collection::vec(attempt(), 1..4),
        last in entries(),
    ) {
        in_paused_time(async {
            let (root, index) = (tempfile::tempdir().unwrap(), MemoryIndex::default());
            let letters = Arc::new(MemoryLetters::default());
            let mut resume = None;
            for attempt in &attempts {
                let given = resume.take().filter(|_| attempt.resumes);
                (resume, _) = disturb(&index, root.path(), &letters, attempt, given).await;
            }
            clean(&index, root.path(), &letters, &last, None, None).await;
        });
    }

    #[test]
    fn a_resumed_job_ends_as_if_it_had_never_stopped(
        entries in entries(),
        before in entries(),
        mut attempts in proptest::collection::vec(attempt(), 1..4),
        every in 1..6_usize,
    ) {
        in_paused_time(async {
            let (root, index) = (tempfile::tempdir().unwrap(), MemoryIndex::default());
            let letters = Arc::new(MemoryLetters::default());
            clean(&index, root.path(), &letters, &before, None, None).await;
            let mut resume = None;
            for attempt in &mut attempts {
                attempt.entries.clone_from(&entries);
                attempt.checkpoints = Some(every);
                attempt.faults.refused.clear();
                let (next, done) = disturb(&index, root.path(), &letters, attempt, resume.take()).await;
                resume = next;
                if done {
                    break;
                }
            }
            clean(&index, root.path(), &letters, &entries, resume, Some(every)).await;
        });
    }

    #[test]
    fn a_plan_tells_the_very_figures_of_the_sync_that_follows(
        before in entries(),
        after in entries(),
    ) {
        in_paused_time(async {
            let (root, index) = (tempfile::tempdir().unwrap(), MemoryIndex::default());
            let letters = Arc::new(MemoryLetters::default());
            clean(&index, root.path(), &letters, &before, None, None).await;
            let world = World { entries: listed_once(&after), ..World::default() };
            let held = index.documents();
            let planned = figures_of(&index, root.path(), &letters, &world, Mode::Plan).await;
            assert_eq!(index.documents(), held);
            let done = figures_of(&index, root.path(), &letters, &world, Mode::Run).await;
            assert_eq!(planned, Figures { wire_bytes: 0, bodies: 0, ..done });
        });
    }
}
