//! Memory and speed on many documents, into an index that keeps nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tributary_engine::{
    Batch, BulkAck, Control, DeleteGuard, Ended, Figures, IndexPort, ItemAck, ItemResult, Known, OpKind,
    PortError, Progress, SyncSpec, sync,
};
use tributary_sdk::{Context, DataSource, DocId, Document, Event, Facets, Result, Source};

/// Pretends to hold the documents `held` but to know none of them, and takes everything.
struct Sink {
    held: std::ops::Range<u64>,
    deleted: AtomicU64,
}

impl IndexPort for Sink {
    async fn lookup(&self, ids: &[String]) -> Result<Vec<Option<Known>>, PortError> {
        Ok(vec![None; ids.len()])
    }

    async fn bulk(&self, batch: &Batch) -> Result<BulkAck, PortError> {
        let answer = |kind| match kind {
            OpKind::Index => ItemAck { status: 201, result: Some(ItemResult::Created), ..ItemAck::default() },
            OpKind::Delete => {
                ItemAck { status: 200, result: Some(ItemResult::Deleted), ..ItemAck::default() }
            }
        };
        let items: Vec<ItemAck> = batch.ops().iter().map(|op| answer(op.kind)).collect();
        let deleted = items.iter().filter(|item| item.result == Some(ItemResult::Deleted)).count();
        self.deleted.fetch_add(deleted as u64, Ordering::Relaxed);
        Ok(BulkAck { items, wire_bytes: batch.payload().len() as u64 })
    }

    fn scan_ids(&self) -> BoxStream<'_, Result<String, PortError>> {
        futures::stream::iter(self.held.clone().map(|n| Ok(id(n)))).boxed()
    }

    async fn refresh(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn count(&self) -> Result<u64, PortError> {
        Ok(self.held.end - self.held.start)
    }
}

fn id(n: u64) -> String {
    format!("folder-{:04}/document-{n:012}", n % 1000)
}

struct Many {
    documents: u64,
    text: String,
}

#[async_trait]
impl DataSource for Many {
    async fn ping(&self, _: &Context) -> Result<()> {
        Ok(())
    }

    fn documents<'a>(&'a self, _: &'a Context) -> BoxStream<'a, Result<Event>> {
        let event = |n| {
            let document = Document::new(DocId::new(id(n))?);
            let document = document.field("path", id(n)).field("size", n).field("owner", "someone");
            Ok(Event::Upsert(document.field("text", self.text.as_str())))
        };
        futures::stream::iter((0..self.documents).map(event)).boxed()
    }
}

/// Memory of this process in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Syncs `documents` over an index that holds as many, of which a tenth are leftovers. Returns the report's figures,
/// the time, and by how much memory grew at most.
async fn measure(documents: u64, text: usize, index: Sink) -> (Figures, Duration, u64) {
    let root = tempfile::tempdir().unwrap();
    let source = Source::of(Many { documents, text: "x".repeat(text) }, Facets::NONE);
    let spec = SyncSpec {
        delete_guard: DeleteGuard { allow_once: true, ..DeleteGuard::default() },
        ..SyncSpec::new("job", root.path())
    };
    let (progress, control) = (Progress::new(), Control::new());
    let before = resident();
    let start = Instant::now();
    let watching = async {
        let mut most = 0;
        loop {
            most = resident().saturating_sub(before).max(most);
            if progress.phase() == tributary_engine::Phase::Ended {
                return most;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let syncing = Box::pin(sync(&index, &source, Context::default(), spec, &progress, &control));
    let (ended, most) = tokio::join!(syncing, watching);
    let Ended::Completed(report) = ended else { panic!("{ended:?}") };
    assert_eq!(report.figures.deleted, index.deleted.load(Ordering::Relaxed));
    (report.figures, start.elapsed(), most)
}

fn index(documents: u64) -> Sink {
    // What a sync writes is held too once it is written.
    Sink { held: 0..documents + documents / 10, deleted: AtomicU64::new(0) }
}

#[tokio::test]
async fn three_hundred_thousand_documents_and_their_deletes_stay_in_flat_memory() {
    let documents = 300_000;
    let (figures, _, most) = measure(documents, 20, index(documents)).await;
    assert_eq!((figures.created, figures.deleted), (documents, documents / 10));
    assert!(most < 64 << 20, "memory grew by {} MiB", most >> 20);
}

/// `cargo test --release -p tributary-engine --test scale -- --ignored --nocapture`
#[tokio::test]
#[ignore = "takes minutes without optimisation; prints numbers for people"]
async fn ten_million_documents_stay_in_flat_memory() {
    let documents = 10_000_000;
    let (figures, took, most) = measure(documents, 20, index(documents)).await;
    assert_eq!((figures.created, figures.deleted), (documents, documents / 10));
    println!("{documents} documents in {took:?}, {} MiB more memory at most", most >> 20);
    assert!(most < 64 << 20, "memory grew by {} MiB", most >> 20);
}

#[tokio::test]
#[ignore = "prints numbers for people"]
async fn documents_of_500_bytes_per_second() {
    let documents = 1_000_000;
    for (name, index) in
        [("empty index", Sink { held: 0..0, deleted: AtomicU64::new(0) }), ("with lookups", index(documents))]
    {
        let (_, took, most) = measure(documents, 330, index).await;
        let rate = documents as f64 / took.as_secs_f64();
        println!("{name}: {rate:.0} documents a second, {} MiB more memory at most", most >> 20);
    }
}
