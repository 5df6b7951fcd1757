//! Loads documents of about 1.1 KB and prints how many a second became durable, and how long search took to catch up.
//!
//! `cargo run --release -p tributary-store --example bulk_bench -- [DOCUMENTS] [BATCH] [LOADERS]`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use tributary_store::{Action, CreateIndex, SearchRequest, Store, StoreOptions, WriteOp};

const WORDS: [&str; 40] = [
    "connector",
    "source",
    "document",
    "index",
    "search",
    "engine",
    "record",
    "field",
    "value",
    "sync",
    "schedule",
    "job",
    "pipeline",
    "worker",
    "lease",
    "cursor",
    "page",
    "folder",
    "file",
    "text",
    "title",
    "body",
    "author",
    "change",
    "delete",
    "update",
    "create",
    "filter",
    "rule",
    "access",
    "control",
    "group",
    "team",
    "north",
    "river",
    "stone",
    "green",
    "quick",
    "brown",
    "fox",
];

fn document(random: &mut rand::rngs::SmallRng, number: usize) -> Bytes {
    let mut body = String::with_capacity(900);
    while body.len() < 780 {
        let word = WORDS[random.random_range(0..WORDS.len())];
        let rare: u32 = random.random_range(0..200_000);
        body.push_str(word);
        body.push_str(&format!(" {rare:x} "));
    }
    format!(
        r#"{{"id":"doc-{number}","title":"{} {} {number}","body":"{body}","author":"author {}","size":{},"rating":{:.2},"public":{},"created_at":"2024-{:02}-{:02}T10:00:00Z","path":"/data/{}/{number}.txt","tags":["{}","{}"]}}"#,
        WORDS[number % 40], WORDS[number / 7 % 40], number % 500, number * 13 % 100_000, (number % 500) as f64 / 100.0,
        number.is_multiple_of(2), number % 12 + 1, number % 28 + 1, number % 97, WORDS[number % 11], WORDS[number % 13 + 20],
    )
    .into()
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let (total, batch, loaders) =
        (args.next().unwrap_or(200_000), args.next().unwrap_or(1_000), args.next().unwrap_or(2));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".into())).unwrap();
    let opened = Instant::now();
    let store = Store::open(StoreOptions::new(folder.path())).unwrap();
    println!("opened in {:.1} ms, resident {} MB", opened.elapsed().as_secs_f64() * 1e3, rss_mb());
    store.create_index("bench", CreateIndex::default()).unwrap();

    let mut random = rand::rngs::SmallRng::seed_from_u64(1);
    let docs: Arc<Vec<Bytes>> = Arc::new((0..total).map(|number| document(&mut random, number)).collect());
    let bytes: usize = docs.iter().map(Bytes::len).sum();
    println!("{total} documents of {} bytes, resident {} MB", bytes / total.max(1), rss_mb());

    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..loaders)
        .map(|_| {
            let (store, docs, next) = (store.clone(), Arc::clone(&docs), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let from = next.fetch_add(batch, Ordering::Relaxed);
                    if from >= docs.len() {
                        return;
                    }
                    let chunk = &docs[from..(from + batch).min(docs.len())];
                    let ops = chunk
                        .iter()
                        .enumerate()
                        .map(|(at, doc)| {
                            WriteOp::new(
                                "bench",
                                Some(format!("doc-{}", from + at)),
                                Action::Index(doc.clone()),
                            )
                        })
                        .collect();
                    for result in store.write(ops).await {
                        result.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let durable = begin.elapsed().as_secs_f64();
    println!("durable: {:.0} documents/s ({durable:.2} s), resident {} MB", total as f64 / durable, rss_mb());
    store.refresh(&["bench".to_owned()]).await.unwrap();
    let found = store.search(SearchRequest::new(vec!["bench".to_owned()])).await.unwrap();
    let searchable = begin.elapsed().as_secs_f64();
    println!(
        "searchable: {:.0} documents/s ({searchable:.2} s), {:?}",
        total as f64 / searchable,
        found.total
    );
    let closing = Instant::now();
    store.close();
    println!("closed in {:.1} s", closing.elapsed().as_secs_f64());
}
