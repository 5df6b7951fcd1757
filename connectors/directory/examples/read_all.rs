//! Lists and reads a folder as a sync does, and tells how long that takes:
//! `cargo run --release -p tributary-connector-directory --example read_all -- FOLDER`.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for people at a terminal")]

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tributary_connector_directory::Directory;
use tributary_sdk::{AnyConnector, Content, Context, Env, Event, Registry, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).expect("name a folder");
    let registry = Registry::new().with::<Directory>();
    let kind: &dyn AnyConnector = &**registry.get("dir").expect("it was just added");
    let mut schema = kind.schema();
    schema.get_mut("directory").expect("it is declared").value = folder.into();
    let source = kind.connect(&schema, &Env::default()).await?;
    let cx = Context::default();

    let (start, cpu) = (Instant::now(), cpu_time());
    let contents = source
        .documents(&cx)
        .filter_map(async |event| match event {
            Ok(Event::Upsert(document)) => Some(document),
            Ok(Event::Checkpoint(_)) => None,
            other => {
                println!("{other:?}");
                None
            }
        })
        .map(async |document| match document.body {
            Some(body) => body.fetch().await,
            None => Ok(Content::Nothing { reason: "no content".to_owned() }),
        })
        .buffer_unordered(16);
    let mut contents = std::pin::pin!(contents);
    let (mut files, mut bytes) = (0, 0);
    while let Some(content) = contents.next().await {
        files += 1;
        bytes += match content? {
            Content::Text(text) => text.len(),
            Content::Binary(binary) => binary.len(),
            Content::Nothing { .. } => 0,
        };
    }
    let (wall, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
    println!("{files} files, {bytes} bytes: {wall:.2?}, processor time {cpu:.2?}");
    Ok(())
}

/// Processor time of this process, to the hundredth of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
