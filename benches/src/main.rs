//! The parts of the benchmarks, one process each: `sink`, `load`, `sync`. `cargo xtask bench sync` runs them.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};
use serde::Serialize;
use tributary_benches::{
    BenchError, Documents, Generated, LoadOptions, Sink, SinkOptions, SyncOptions, load, load_lines,
    sync_once,
};
use tributary_engine::Limits;
use tributary_sdk::{Env, Source};

// That of the real program, so that memory is that of the real program.
#[path = "../../crates/cli/src/allocator.rs"]
mod allocator;

/// The parts of the benchmarks. Each prints one line of JSON.
#[derive(Parser)]
#[command(name = "tributary-bench")]
enum Cli {
    /// Serve a sink until standard input ends; the first line printed is its address.
    Sink {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Keep ids and fingerprints.
        #[arg(long)]
        keep: bool,
        /// Refuse one bulk request in so many with 429.
        #[arg(long)]
        throttle_one_in: Option<u64>,
        /// Milliseconds to wait before every answer to a bulk request.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
    /// Load generated documents by bulk requests and nothing else.
    Load {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        documents: Shape,
        /// Documents of a request, at most.
        #[arg(long, default_value_t = 2000)]
        bulk_items: u64,
        /// Bytes of a request, about.
        #[arg(long, default_value_t = 3 << 20)]
        bulk_bytes: usize,
        /// Make every document as a source does, and serialize it, instead of formatting its lines.
        #[arg(long)]
        serialize: bool,
    },
    /// Load lines of standard input, their fields divided by tabs, by bulk requests and nothing else.
    Lines {
        #[command(flatten)]
        target: Target,
        /// Bytes of a request, about.
        #[arg(long, default_value_t = 3 << 20)]
        bulk_bytes: usize,
    },
    /// Sync a built-in source with engine and client.
    Source {
        #[command(flatten)]
        target: Target,
        /// Which source.
        #[arg(long)]
        service_type: String,
        /// File with the values of its configuration, as JSON.
        #[arg(long)]
        config: std::path::PathBuf,
    },
    /// Sync generated documents with engine and client.
    Sync {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        documents: Shape,
    },
}

#[derive(Args)]
struct Target {
    /// Address of the cluster.
    #[arg(long)]
    target: String,
    /// The index that is written.
    #[arg(long, default_value = "search-bench")]
    index: String,
    /// Bulk requests on their way at once.
    #[arg(long, default_value_t = Limits::default().concurrent_bulks)]
    connections: usize,
}

#[derive(Args)]
struct Shape {
    /// How many documents.
    #[arg(long)]
    documents: u64,
    /// Bytes of each, about.
    #[arg(long)]
    size: usize,
    /// Make the text a content that is fetched when it is wanted.
    #[arg(long)]
    bodies: bool,
    /// Change one document in so many.
    #[arg(long)]
    changed_one_in: Option<u64>,
    /// Leave out one document in so many.
    #[arg(long)]
    deleted_one_in: Option<u64>,
}

impl From<Shape> for Documents {
    fn from(shape: Shape) -> Self {
        let Shape { documents, size, bodies, changed_one_in, deleted_one_in } = shape;
        Self { bodies, changed_one_in, deleted_one_in, ..Self::new(documents, size) }
    }
}

fn main() -> ExitCode {
    allocator::start();
    let cli = Cli::parse();
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(BenchError::from).and_then(
            |runtime| match cli {
                // As the daemon runs a sync: on a thread of its own beside the runtime's workers.
                Cli::Sync { .. } | Cli::Source { .. } => runtime.block_on(Box::pin(work(cli))),
                cli => runtime.block_on(tokio_task(cli)),
            },
        );
    report(outcome)
}

#[allow(clippy::print_stderr, reason = "a program for people at a terminal")]
fn report(outcome: Result<(), BenchError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the work as a task: the thread that blocks on a runtime is not one of its workers.
async fn tokio_task(cli: Cli) -> Result<(), BenchError> {
    let mut scope = tributary_tasks::TaskScope::new();
    scope.spawn("work", Box::pin(work(cli)));
    match scope.next().await {
        Some(ended) => ended.unwrap_or_else(|failure| Err(BenchError(failure.to_string()))),
        None => Ok(()),
    }
}

async fn work(cli: Cli) -> Result<(), BenchError> {
    match cli {
        Cli::Sink { listen, keep, throttle_one_in, delay_ms } => {
            let delay = Duration::from_millis(delay_ms);
            let sink = Sink::start(listen, SinkOptions { keep, throttle_one_in, delay }).await?;
            tell(&sink.url())?;
            let until_closed = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let closed = tokio::task::spawn_blocking(until_closed).await;
            let _bytes = closed.map_err(|error| BenchError(error.to_string()))??;
            tell(&sink.counts())
        }
        Cli::Load { target, documents, bulk_items, bulk_bytes, serialize } => {
            let Target { target: url, index, connections } = target;
            tell(
                &load(
                    documents.into(),
                    LoadOptions { url, index, connections, bulk_items, bulk_bytes, serialize },
                )
                .await?,
            )
        }
        Cli::Lines { target, bulk_bytes } => {
            let Target { target: url, index, connections } = target;
            tell(
                &load_lines(LoadOptions {
                    url,
                    index,
                    connections,
                    bulk_items: 0,
                    bulk_bytes,
                    serialize: false,
                })
                .await?,
            )
        }
        Cli::Source { target, service_type, config } => {
            synced(&source(&service_type, &config).await?, target).await
        }
        Cli::Sync { target, documents } => synced(&Generated::source(documents.into()), target).await,
    }
}

async fn synced(source: &Source, target: Target) -> Result<(), BenchError> {
    let spools = tempfile::tempdir()?;
    let limits = Limits { concurrent_bulks: target.connections, ..Limits::default() };
    let options = SyncOptions {
        url: target.target,
        index: target.index,
        spool_dir: spools.path().to_owned(),
        limits,
        pipeline_switches: false,
    };
    tell(&sync_once(source, options).await?)
}

/// A built-in source, connected as the daemon does.
async fn source(service_type: &str, config: &std::path::Path) -> Result<Source, BenchError> {
    let text = std::fs::read(config)?;
    let values: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|error| BenchError::of("the configuration", error))?;
    let registry = tributary_connectors::registry();
    let kind = registry
        .get(service_type)
        .ok_or_else(|| BenchError(format!("the service type '{service_type}' is not built in")))?;
    let mut schema = kind.schema();
    for (name, value) in values {
        let field = schema
            .get_mut(&name)
            .ok_or_else(|| BenchError(format!("the configuration has no field '{name}'")))?;
        field.value = value;
    }
    kind.connect(&schema, &Env::default()).await.map_err(|error| BenchError(error.report()))
}

#[allow(clippy::print_stdout, reason = "a program for people at a terminal")]
fn tell<T: Serialize>(told: &T) -> Result<(), BenchError> {
    let line = serde_json::to_string(told).map_err(|error| BenchError(error.to_string()))?;
    println!("{line}");
    Ok(())
}
