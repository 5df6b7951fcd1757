//! Benchmarks of the whole program: what it takes from outside, on real input. One module each.

mod folder;
mod node;
mod postgresql;
mod sink;
mod sync;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::{Outcome, cargo};

/// Pause between two looks at a process's memory. The kernel keeps the peak, so only growth within the last pause is missed.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Sync a generated folder to the embedded node, then again without changes.
    Folder {
        /// How many files.
        #[arg(long, default_value_t = 20_000)]
        files: usize,
        /// Bytes of each file, about.
        #[arg(long, default_value_t = 1024)]
        size: usize,
        /// How often; every run begins with an empty node.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// A large table of a local PostgreSQL synced to a sink, beside a bare `COPY … TO` into a bulk loader.
    Postgresql {
        /// How many rows.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Bytes of each, about.
        #[arg(long, default_value_t = 500)]
        size: usize,
        /// How often, one after the other in turn.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// The node beside a real Elasticsearch: indexing, reads, updates, memory, disk, time to start.
    Node(node::Options),
    /// The sync engine beside a bare bulk loader: first sync, without changes, with some, many ids, large contents.
    Sync(sync::Options),
}

/// What one process took.
struct Taken {
    wall: Duration,
    peak_kib: u64,
}

/// Runs the benchmark and returns its table.
pub(crate) fn run(root: &Path, bench: &Bench) -> Outcome {
    match bench {
        Bench::Folder { files, size, runs } => {
            folder::run(root, *files, *size, *runs).map_err(|error| error.to_string())
        }
        Bench::Postgresql { rows, size, runs } => {
            postgresql::run(root, *rows, *size, *runs).map_err(|error| error.to_string())
        }
        Bench::Node(options) => node::run(root, options).map_err(|error| error.to_string()),
        Bench::Sync(options) => sync::run(root, options).map_err(|error| error.to_string()),
    }
}

/// Builds the program as users get it, and says where it is.
fn build(root: &Path) -> std::io::Result<PathBuf> {
    cargo::release(root, "tributary-cli", "tributary")
}

/// Waits for the process and keeps its peak memory.
fn watch(mut child: Child, start: Instant) -> std::io::Result<Taken> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        peak_kib =
            fs::read_to_string(&status_file).ok().and_then(|text| high_water_kib(&text)).unwrap_or(peak_kib);
        if let Some(status) = child.try_wait()? {
            let wall = start.elapsed();
            if status.success() {
                return Ok(Taken { wall, peak_kib });
            }
            let said = child.stderr.take().map(std::io::read_to_string).transpose()?.unwrap_or_default();
            return Err(std::io::Error::other(format!("the sync ended with {status}: {said}")));
        }
        std::thread::sleep(LOOK);
    }
}

/// `VmHWM` of a process's status: the most memory it ever had resident.
fn high_water_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// A folder below `target` that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(root: &Path) -> std::io::Result<Self> {
        let path = root.join(format!("target/bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_words() {
        assert_eq!(high_water_kib("Name:\tx\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n"), Some(12345));
        assert_eq!(high_water_kib("Name:\tx\n"), None);
    }
}
