//! One law of a whole sync each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::json;
use support::{Entry, Faults, MemoryIndex, MemoryLetters, What, World, completed, figures, run, small};
use tributary_engine::{
    Control, DeleteGuard, Ended, ErrorLimits, Figures, Mode, PipelineFlags, PortErrorKind, Progress, Resume,
    SyncErrorKind, SyncKind, SyncSpec, sync,
};
use tributary_sdk::{
    Body, BodyKind, Content, Context, Cursor, DataSource, DocId, Document, ErrorKind, Event, Facets, Source,
};

fn root() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn assert_no_spool(root: &tempfile::TempDir) {
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn the_index_equals_the_source_and_a_second_sync_writes_nothing() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("old", json!({"id": "old"}));
    let mut world = World::plain(0..50);
    world.entries.push(Entry { id: "text".to_owned(), what: What::Body(1, true) });
    let first = completed(run(&index, &world.source(), small(root.path())).await);
    assert_eq!(
        first.figures,
        Figures {
            listed: 51,
            created: 51,
            deleted: 1,
            bodies: 1,
            wire_bytes: index.take_tally().wire_bytes,
            ..Figures::default()
        }
    );
    let documents = index.documents();
    assert_eq!(documents["text"]["body"], json!("content 1 of text"));
    assert!(
        documents["7"]["_timestamp"].is_string() && documents["7"]["_tributary"]["fingerprint"].is_string()
    );
    index.take_bulks();
    let scans = index.scans();
    let second = figures(run(&index, &world.source(), small(root.path())).await);
    assert_eq!(second, Figures { listed: 51, unchanged: 51, ..Figures::default() });
    assert_eq!(index.documents(), documents);
    assert_eq!((index.take_bulks().len(), index.scans()), (0, scans), "neither written nor scanned");
    assert_no_spool(&root);
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_written() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World::of([
        ("a", What::Plain(1)),
        ("b", What::Plain(1)),
        ("c", What::Body(1, true)),
        ("d", What::Body(1, false)),
    ]);
    figures(run(&index, &world.source(), small(root.path())).await);
    let world = World::of([
        ("a", What::Plain(1)),
        ("b", What::Plain(2)),
        ("c", What::Body(2, true)),
        ("d", What::Body(1, false)),
    ]);
    let second = figures(run(&index, &world.source(), small(root.path())).await);
    assert_eq!(
        (second.unchanged, second.updated, second.bodies),
        (1, 3, 2),
        "a content without a version is fetched"
    );
    let documents = index.documents();
    for id in ["a", "b", "c", "d"] {
        assert!(documents[id]["_timestamp"].is_string(), "{id}: what is replaced keeps a time");
    }
}

#[tokio::test(start_paused = true)]
async fn without_fingerprints_everything_is_rewritten() {
    let (root, index) = (root(), MemoryIndex::default());
    let spec = || SyncSpec { fingerprint: false, ..small(root.path()) };
    figures(run(&index, &World::plain(0..10).source(), spec()).await);
    assert!(index.documents()["3"].get("_tributary").is_none());
    let second = figures(run(&index, &World::plain(0..10).source(), spec()).await);
    assert_eq!((second.updated, second.unchanged), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_changed_pipeline_rewrites_documents() {
    let (root, index) = (root(), MemoryIndex::default());
    let spec = |flags| SyncSpec { pipeline: Some(flags), ..small(root.path()) };
    figures(run(&index, &World::plain(0..5).source(), spec(PipelineFlags::default())).await);
    let flags = PipelineFlags { reduce_whitespace: false, ..PipelineFlags::default() };
    assert_eq!(figures(run(&index, &World::plain(0..5).source(), spec(flags)).await).updated, 5);
    assert_eq!(index.documents()["3"]["_reduce_whitespace"], json!(false));
}

#[tokio::test(start_paused = true)]
async fn excluded_documents_are_deleted_and_skipped_ones_stay() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World::of([
        ("a", What::Plain(1)),
        ("b", What::Plain(1)),
        ("c", What::Plain(1)),
        ("d", What::Plain(1)),
    ]);
    figures(run(&index, &world.source(), small(root.path())).await);
    let world = World::of([("a", What::Excluded), ("b", What::Skipped), ("c", What::BadBody(2))]);
    let report = completed(run(&index, &world.source(), small(root.path())).await);
    assert_eq!(index.ids(), ["b", "c"]);
    assert_eq!(index.documents()["c"]["n"], json!(1), "the older copy stays");
    let Figures { listed, filtered, skipped, deleted, .. } = report.figures;
    assert_eq!((listed, filtered, skipped, deleted), (3, 1, 2, 2));
    assert_eq!((report.refusals.counts["source"], report.refusals.counts["body"]), (1, 1));
    assert!(report.refusals.samples.iter().any(|sample| sample.reason.contains("no access to the file")));
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_breaks_off_or_has_a_gap_deletes_nothing_but_is_written() {
    for (breaks_at, gap_at) in [(Some(20), None), (None, Some(20)), (Some(30), Some(3))] {
        let (root, index) = (root(), MemoryIndex::default());
        index.put("old", json!({}));
        let world = World { breaks_at, gap_at, ..World::plain(0..30) };
        let ended = run(&index, &world.source(), small(root.path())).await;
        let Ended::Failed { report, error } = ended else { panic!("{ended:?}") };
        assert_eq!(error.kind, SyncErrorKind::Source(ErrorKind::Unavailable));
        assert!(error.report().contains("the source went away") && error.report().contains("(wait)"));
        assert_eq!(
            (report.figures.created, report.figures.deleted),
            (if gap_at.is_some() { 30 } else { 20 }, 0)
        );
        assert!(index.ids().contains(&"old".to_owned()));
        assert_no_spool(&root);
    }
}

#[tokio::test(start_paused = true)]
async fn the_guard_stops_a_mass_deletion_and_writes_the_rest() {
    let (root, index) = (root(), MemoryIndex::default());
    let spec = || SyncSpec { delete_guard: DeleteGuard::default(), ..small(root.path()) };
    figures(run(&index, &World::plain(0..400).source(), spec()).await);
    let ended = run(&index, &World::plain(300..450).source(), spec()).await;
    let Ended::Failed { report, error } = ended else { panic!("{ended:?}") };
    assert_eq!(error.kind, SyncErrorKind::DeleteGuard);
    assert!(error.message.contains("300 of 400"), "{error}");
    assert_eq!((report.figures.created, report.figures.deleted, index.documents().len()), (50, 0, 450));
    let allowed = DeleteGuard { allow_once: true, ..DeleteGuard::default() };
    let spec = SyncSpec { delete_guard: allowed, ..spec() };
    assert_eq!(figures(run(&index, &World::plain(300..450).source(), spec).await).deleted, 300);
    assert_eq!(index.documents().len(), 150);
}

#[tokio::test(start_paused = true)]
async fn an_empty_listing_never_empties_an_index_unasked() {
    let (root, index) = (root(), MemoryIndex::default());
    figures(run(&index, &World::plain(0..20).source(), small(root.path())).await);
    let spec = SyncSpec { delete_guard: DeleteGuard::default(), ..small(root.path()) };
    let ended = run(&index, &World::default().source(), spec).await;
    assert!(matches!(ended, Ended::Failed { error, .. } if error.kind == SyncErrorKind::DeleteGuard));
    assert_eq!(index.documents().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_several_listings_of_a_document_wins_and_is_told() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { slow: 50, busy: 20, seed: 3, ..Faults::default() });
    let mut entries = vec![];
    for n in 0..200_u32 {
        entries.push(Entry { id: (n % 7).to_string(), what: What::Body(n, n % 2 == 0) });
    }
    let world = World { entries, slow_bodies: 30, ..World::default() };
    let report = completed(run(&index, &world.source(), small(root.path())).await);
    assert_eq!(report.figures.duplicates, 193);
    assert!(report.warnings[0].contains("193 times"));
    let documents = index.documents();
    assert_eq!(documents.len(), 7);
    for n in 193..200 {
        assert_eq!(documents[&(n % 7).to_string()]["n"], json!(n));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_documents_are_counted_with_their_reason_and_not_deleted() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("3", json!({"old": true}));
    let refused = ["3".to_owned(), "17".to_owned()].into();
    index.set_faults(Faults { refused, ..Faults::default() });
    let report = completed(run(&index, &World::plain(0..20).source(), small(root.path())).await);
    assert_eq!((report.figures.created, report.figures.failed), (18, 2));
    assert_eq!(report.refusals.counts["document_parsing_exception"], 2);
    assert_eq!(report.refusals.samples[0].status, Some(400));
    assert_eq!(index.documents()["3"], json!({"old": true}));
}

#[tokio::test(start_paused = true)]
async fn too_many_refusals_fail_the_job() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { refused: (0..100).map(|n| n.to_string()).collect(), ..Faults::default() });
    let ended = run(&index, &World::plain(0..1000).source(), small(root.path())).await;
    let Ended::Failed { report, error } = ended else { panic!("{ended:?}") };
    assert_eq!(error.kind, SyncErrorKind::TooManyErrors);
    assert!(error.message.starts_with("Exceeded maximum consecutive errors - saw 11 errors in a row."));
    assert!((11..30).contains(&report.figures.failed));
    let off = ErrorLimits { enabled: false, ..ErrorLimits::default() };
    let spec = SyncSpec { error_limits: off, ..small(root.path()) };
    assert_eq!(figures(run(&index, &World::plain(0..1000).source(), spec).await).failed, 100);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_a_pipeline_drops_is_counted() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { dropped: ["5".to_owned()].into(), ..Faults::default() });
    let report = completed(run(&index, &World::plain(0..20).source(), small(root.path())).await);
    assert_eq!((report.figures.created, report.figures.skipped), (19, 1));
    assert_eq!(report.refusals.counts["dropped_by_pipeline"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_text_larger_than_the_limit_is_skipped_and_its_older_copy_stays() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("1", json!({"old": true}));
    let mut spec = small(root.path());
    spec.limits.max_text_document_bytes = Some(10);
    let report = completed(run(&index, &World::plain(0..3).source(), spec).await);
    assert_eq!((report.figures.skipped, report.refusals.counts["too_large"]), (3, 3));
    assert_eq!(index.ids(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_stays_away_fails_the_job_after_patience() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { away: 100, ..Faults::default() });
    let start = tokio::time::Instant::now();
    let ended = run(&index, &World::plain(0..100).source(), small(root.path())).await;
    let Ended::Failed { error, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(error.kind, SyncErrorKind::Index(PortErrorKind::Unavailable));
    assert!(start.elapsed() >= Duration::from_secs(600) && start.elapsed() < Duration::from_secs(700));
    assert_no_spool(&root);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_sync_ends_at_once_with_true_figures_and_deletes_nothing() {
    for after in [0, 5, 40, 77, 200, 1000] {
        let (root, index) = (root(), MemoryIndex::default());
        index.put("old", json!({}));
        index.set_faults(Faults { slow: 300, away: 10, seed: after, ..Faults::default() });
        let world = World { pauses: Some((10, 50)), slow_bodies: 100, ..World::plain(0..2000) };
        let (source, control, progress) = (world.source(), Control::new(), Progress::new());
        let syncing = sync(&index, &source, Context::default(), small(root.path()), &progress, &control);
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(after)).await;
            control.cancel();
            tokio::time::Instant::now()
        };
        let (ended, since) = tokio::join!(syncing, cancelling);
        assert!(since.elapsed() < Duration::from_secs(1));
        let Ended::Canceled(report) = ended else { panic!("{ended:?}") };
        let tally = index.take_tally();
        assert_eq!((report.figures.created, report.figures.wire_bytes), (tally.created, tally.wire_bytes));
        assert_eq!(index.take_deleted(), Vec::<String>::new());
        assert_no_spool(&root);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_index_does_not_hold_a_cancelled_sync() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { slow: 10_000_000, seed: 5, ..Faults::default() });
    let (source, control, progress) = (World::plain(0..100).source(), Control::new(), Progress::new());
    index.put("x", json!({}));
    let syncing = sync(&index, &source, Context::default(), small(root.path()), &progress, &control);
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.cancel();
        tokio::time::Instant::now()
    };
    let (ended, since) = tokio::join!(syncing, cancelling);
    assert!(matches!(ended, Ended::Canceled(_)) && since.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_sync_goes_on_where_it_stopped() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("old", json!({}));
    let world = World { checkpoints: Some(10), pauses: Some((5, 10)), ..World::plain(0..500) };
    let (source, control, progress) = (world.source(), Control::new(), Progress::new());
    let syncing = sync(&index, &source, Context::default(), small(root.path()), &progress, &control);
    let suspending = async {
        tokio::time::sleep(Duration::from_millis(505)).await;
        control.suspend();
    };
    let (ended, ()) = tokio::join!(syncing, suspending);
    let Ended::Suspended { report, checkpoint } = ended else { panic!("{ended:?}") };
    let checkpoint = checkpoint.unwrap();
    assert_eq!(checkpoint.position, 250, "everything that was read is written");
    assert_eq!(report.figures.created, index.documents().len() as u64 - 1);
    let stored: tributary_engine::Checkpoint =
        serde_json::from_str(&serde_json::to_string(&checkpoint).unwrap()).unwrap();
    let spec = SyncSpec { resume: Some(Resume::From(stored)), ..small(root.path()) };
    let report = completed(run(&index, &source, spec).await);
    assert_eq!((report.figures.listed, report.figures.created, report.figures.deleted), (500, 500, 1));
    assert_eq!((report.figures.unchanged, report.cursor), (0, Some(Cursor(json!(500)))));
    assert_eq!(index.documents().len(), 500);
    assert_no_spool(&root);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_sync_of_a_source_that_cannot_go_on_starts_over() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World { checkpoints: Some(10), pauses: Some((5, 10)), ..World::plain(0..100) };
    let (source, control, progress) = (world.simple_source(), Control::new(), Progress::new());
    control.suspend();
    let ended = sync(&index, &source, Context::default(), small(root.path()), &progress, &control).await;
    assert!(matches!(ended, Ended::Suspended { checkpoint: None, .. }));
    assert_no_spool(&root);
    let spec = SyncSpec { resume: Some(Resume::Spool), ..small(root.path()) };
    assert_eq!(figures(run(&index, &source, spec).await).created, 100);
}

#[tokio::test(start_paused = true)]
async fn suspending_while_the_index_is_away_ends_in_time_and_loses_nothing() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World { checkpoints: Some(10), pauses: Some((5, 10)), ..World::plain(0..100) };
    index.set_faults(Faults { away: 100, ..Faults::default() });
    let (source, control, progress) = (world.source(), Control::new(), Progress::new());
    let syncing = sync(&index, &source, Context::default(), small(root.path()), &progress, &control);
    let suspending = async {
        tokio::time::sleep(Duration::from_millis(505)).await;
        control.suspend();
        tokio::time::Instant::now()
    };
    let (ended, since) = tokio::join!(syncing, suspending);
    assert!(since.elapsed() <= Duration::from_secs(11));
    let Ended::Suspended { checkpoint, .. } = ended else { panic!("{ended:?}") };
    index.set_faults(Faults::default());
    let spec = SyncSpec { resume: checkpoint.map(Resume::From), ..small(root.path()) };
    figures(run(&index, &source, spec).await);
    assert_eq!(index.documents().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_job_resumed_elsewhere_starts_over() {
    let (here, there, index) = (root(), root(), MemoryIndex::default());
    let world = World { checkpoints: Some(10), pauses: Some((5, 10)), ..World::plain(0..100) };
    let (source, control, progress) = (world.source(), Control::new(), Progress::new());
    let syncing = sync(&index, &source, Context::default(), small(here.path()), &progress, &control);
    let suspending = async {
        tokio::time::sleep(Duration::from_millis(105)).await;
        control.suspend();
    };
    let (ended, ()) = tokio::join!(syncing, suspending);
    let Ended::Suspended { checkpoint, .. } = ended else { panic!("{ended:?}") };
    let resume = checkpoint.map(Resume::From);
    assert!(resume.is_some());
    let spec = SyncSpec { resume, ..small(there.path()) };
    let report = completed(run(&index, &source, spec).await);
    assert_eq!((report.figures.listed, index.documents().len()), (100, 100));
    assert!(report.figures.unchanged > 0, "what was written before is recognised");
}

#[tokio::test(start_paused = true)]
async fn changes_are_applied_in_order_without_a_scan_and_give_a_cursor() {
    let (root, index) = (root(), MemoryIndex::default());
    for id in ["a", "b", "c", "untouched"] {
        index.put(id, json!({"id": id}));
    }
    index.set_faults(Faults { slow: 20, busy: 10, seed: 9, ..Faults::default() });
    let world = World {
        checkpoints: Some(9),
        ..World::of([
            ("a", What::Plain(1)),
            ("a", What::Gone),
            ("b", What::Gone),
            ("b", What::Plain(2)),
            ("c", What::Excluded),
            ("d", What::Plain(1)),
            ("e", What::Gone),
            ("d", What::Plain(2)),
            ("d", What::Plain(3)),
        ])
    };
    let spec = SyncSpec { kind: SyncKind::Incremental, ..small(root.path()) };
    let report = completed(run(&index, &world.incremental_source(), spec).await);
    assert_eq!(index.ids(), ["b", "d", "untouched"]);
    assert_eq!(
        (index.documents()["b"]["n"].clone(), index.documents()["d"]["n"].clone()),
        (json!(2), json!(3))
    );
    assert!(index.documents()["b"]["_timestamp"].is_string(), "changes are dated");
    assert_eq!((report.cursor, index.scans()), (Some(Cursor(json!(9))), 0));
    assert_eq!(report.figures.deleted, index.take_deleted().len() as u64);
    assert_no_spool(&root);
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_changes_holds_the_cursor_back() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World { checkpoints: Some(5), gap_at: Some(12), ..World::plain(0..20) };
    let spec = SyncSpec { kind: SyncKind::Incremental, ..small(root.path()) };
    let ended = run(&index, &world.incremental_source(), spec).await;
    assert!(matches!(&ended, Ended::Failed { .. }));
    assert_eq!(ended.report().cursor, Some(Cursor(json!(10))));
    assert_eq!(index.documents().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_incremental_sync_whose_position_is_gone_becomes_a_full_one_with_deletions() {
    for gone_at in [0, 3] {
        let (root, index) = (root(), MemoryIndex::default());
        index.put("old", json!({}));
        let world = World { checkpoints: Some(5), position_gone_at: Some(gone_at), ..World::plain(0..10) };
        let spec = SyncSpec { kind: SyncKind::Incremental, ..small(root.path()) };
        let report = completed(run(&index, &world.incremental_source(), spec).await);
        assert_eq!((index.documents().len(), report.figures.deleted), (10, 1), "gone after {gone_at}");
        assert_eq!(report.cursor, Some(Cursor(json!(10))), "the next incremental sync goes on from here");
        assert_no_spool(&root);
    }
}

#[tokio::test(start_paused = true)]
async fn an_incremental_sync_of_a_source_without_changes_is_a_full_one() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("old", json!({}));
    let spec = SyncSpec { kind: SyncKind::Incremental, ..small(root.path()) };
    let report = figures(run(&index, &World::plain(0..10).simple_source(), spec).await);
    assert_eq!((report.created, report.deleted), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn identities_are_written_plainly_and_leftovers_revoked() {
    let (root, index) = (root(), MemoryIndex::default());
    index.put("gone@x", json!({}));
    let spec = || SyncSpec {
        kind: SyncKind::AccessControl,
        pipeline: Some(PipelineFlags::default()),
        ..small(root.path())
    };
    let world = World::of([("a@x", What::Plain(1)), ("b@x", What::Excluded)]);
    let report = figures(run(&index, &world.identity_source(), spec()).await);
    assert_eq!((report.created, report.deleted, report.filtered), (2, 1, 0), "rules do not apply");
    assert!(index.documents()["a@x"].get("_reduce_whitespace").is_none());
    let ended = run(&index, &world.simple_source(), spec()).await;
    assert!(matches!(ended, Ended::Failed { error, .. } if error.kind == SyncErrorKind::Unsupported));
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_what_the_sync_does_and_writes_nothing() {
    let (root, index) = (root(), MemoryIndex::default());
    let before = World::of([
        ("a", What::Plain(1)),
        ("b", What::Plain(1)),
        ("c", What::Plain(1)),
        ("x", What::Plain(1)),
        ("y", What::Excluded),
    ]);
    figures(run(&index, &before.source(), small(root.path())).await);
    let after = World::of([
        ("a", What::Plain(1)),
        ("b", What::Plain(2)),
        ("c", What::Body(1, true)),
        ("d", What::Plain(1)),
        ("y", What::Excluded),
        ("z", What::Skipped),
    ]);
    let held = index.documents();
    index.take_bulks();
    let spec = SyncSpec { mode: Mode::Plan, ..small(root.path()) };
    let planned = completed(run(&index, &after.source(), spec).await);
    assert_eq!((index.documents(), index.take_bulks().len()), (held, 0));
    let plan = planned.plan.unwrap();
    assert_eq!(plan.created, ["d"]);
    assert_eq!(plan.updated, ["b", "c"]);
    assert_eq!(plan.deleted, ["x"]);
    let done = figures(run(&index, &after.source(), small(root.path())).await);
    assert_eq!(planned.figures, Figures { wire_bytes: 0, bodies: 0, ..done });
    assert_no_spool(&root);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_does_not_wait_for_a_full_request() {
    let (root, index) = (root(), MemoryIndex::default());
    let world = World { pauses: Some((1, 60_000)), ..World::plain(0..3) };
    let (source, control, progress) = (world.source(), Control::new(), Progress::new());
    let syncing = sync(&index, &source, Context::default(), small(root.path()), &progress, &control);
    let looking = async {
        tokio::time::sleep(Duration::from_secs(62)).await;
        progress.snapshot().created
    };
    let (ended, created) = tokio::join!(syncing, looking);
    assert_eq!((created, figures(ended).created), (1, 3));
}

/// Plain documents and documents with contents, of which the first takes an hour to come.
struct OneIsSlow;

#[async_trait::async_trait]
impl DataSource for OneIsSlow {
    async fn ping(&self, _: &Context) -> tributary_sdk::Result<()> {
        Ok(())
    }

    fn documents<'a>(&'a self, _: &'a Context) -> BoxStream<'a, tributary_sdk::Result<Event>> {
        let body = |size: usize, seconds| {
            let fetch = move || async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(Content::Text("x".repeat(size)))
            };
            Some(Body::lazy(BodyKind::Text, fetch).with_size(size as u64))
        };
        let event = move |n: usize| {
            let mut document = Document::new(DocId::new(n.to_string())?).field("n", n);
            document.body = match n {
                0 => body(24 << 10, 3600),
                // Does not fit beside the slow one.
                1 => body(16 << 10, 0),
                n if n % 2 == 0 => body(100, 0),
                _ => None,
            };
            Ok(Event::Upsert(document))
        };
        futures::stream::iter((0..402).map(event)).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_content_holds_up_no_other_document() {
    let (root, index) = (root(), MemoryIndex::default());
    let source = Source::of(OneIsSlow, Facets::NONE);
    let mut spec = small(root.path());
    spec.limits.in_flight_bytes = 64 << 10;
    let (control, progress) = (Control::new(), Progress::new());
    let syncing = sync(&index, &source, Context::default(), spec, &progress, &control);
    let looking = async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        progress.snapshot().created
    };
    let (ended, created) = tokio::join!(syncing, looking);
    assert_eq!((created, figures(ended).created), (400, 402));
}

#[tokio::test(start_paused = true)]
async fn several_requests_are_on_their_way_at_once_and_fewer_when_throttled() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { slow: 20, ..Faults::default() });
    figures(run(&index, &World::plain(0..200).source(), small(root.path())).await);
    assert_eq!(index.most_at_once(), 3);
    let throttled = MemoryIndex::default();
    throttled.set_faults(Faults { throttled: 50, ..Faults::default() });
    figures(run(&throttled, &World::plain(0..200).source(), small(root.path())).await);
    assert_eq!(throttled.documents().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_for_the_index_is_sent_in_parts() {
    let (root, index) = (root(), MemoryIndex::default());
    index.set_faults(Faults { max_bytes: Some(300), ..Faults::default() });
    let report = figures(run(&index, &World::plain(0..50).source(), small(root.path())).await);
    assert_eq!((report.created, report.failed), (50, 0));
}

#[test]
fn the_future_of_a_sync_can_move_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let (index, source) = (MemoryIndex::default(), World::default().source());
    let (progress, control) = (Progress::new(), Control::new());
    is_send(sync(&index, &source, Context::default(), SyncSpec::new("job", "spool"), &progress, &control));
}

#[tokio::test(start_paused = true)]
async fn no_checkpoint_is_stored_before_the_letters_of_what_lies_before_it_are_kept() {
    let (root, index, letters) = (root(), MemoryIndex::default(), Arc::new(MemoryLetters::default()));
    letters.next_job();
    let mut world = World { checkpoints: Some(10), pauses: Some((5, 1000)), ..World::plain(0..100) };
    world.entries[3].what = What::Skipped;
    let source = world.source();
    let spec = |resume| SyncSpec { resume, letters: Some(letters.for_sync(false)), ..small(root.path()) };
    // A crash while no letter can be kept: what is behind a stored checkpoint would never be listed again.
    letters.set_away(1);
    let crashed = tokio::time::timeout(Duration::from_secs(15), run(&index, &source, spec(None))).await;
    assert!(crashed.is_err() && index.documents().len() > 30);
    letters.set_away(0);
    assert_eq!(figures(run(&index, &source, spec(Some(Resume::Spool))).await).skipped, 1);
    assert_eq!(letters.ids(), ["3"]);
}
