//! Benchmarks of the whole program: what it takes from outside, on real input.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::Outcome;

/// Pause between two looks at a process's memory. The kernel keeps the peak, so only growth within the last pause is missed.
const LOOK: Duration = Duration::from_millis(5);
/// Files in one folder of the generated tree.
const FILES_PER_FOLDER: usize = 250;

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
}

/// What one process took.
struct Taken {
    wall: Duration,
    peak_kib: u64,
}

/// Runs the benchmark and returns its table.
pub(crate) fn run(root: &Path, bench: &Bench) -> Outcome {
    match *bench {
        Bench::Folder { files, size, runs } => {
            folder(root, files, size, runs).map_err(|error| error.to_string())
        }
    }
}

fn folder(root: &Path, files: usize, size: usize, runs: usize) -> std::io::Result<String> {
    let binary = build(root)?;
    let scratch = Scratch::new(root)?;
    let tree = scratch.0.join("tree");
    let bytes = generate(&tree, files, size)?;
    let mut table = format!("{files} files, {} MiB in all, embedded node in the same process\n", bytes >> 20);
    let _written = writeln!(table, "run  sync       wall s   files/s   peak MiB");
    for run in 1..=runs.max(1) {
        let data = scratch.0.join(format!("data-{run}"));
        for name in ["first", "unchanged"] {
            let taken = sync(&binary, &tree, &data)?;
            let seconds = taken.wall.as_secs_f64();
            let rate = files as f64 / seconds;
            let peak = taken.peak_kib as f64 / 1024.0;
            let _written = writeln!(table, "{run:<4} {name:<9} {seconds:>7.2} {rate:>9.0} {peak:>10.1}");
        }
        fs::remove_dir_all(&data)?;
    }
    Ok(table)
}

/// Builds the program as users get it, and says where it is.
fn build(root: &Path) -> std::io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--bin", "tributary"])
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err(std::io::Error::other("the release build failed"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/tributary"))
}

fn sync(binary: &Path, tree: &Path, data: &Path) -> std::io::Result<Taken> {
    let start = Instant::now();
    let child = Command::new(binary)
        .arg("quickstart")
        .arg(tree)
        .args(["--once", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    watch(child, start)
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

/// Writes a tree of text files that differ; how many bytes.
fn generate(tree: &Path, files: usize, size: usize) -> std::io::Result<u64> {
    const WORDS: [&str; 16] = [
        "river",
        "stream",
        "index",
        "source",
        "cursor",
        "bulk",
        "shard",
        "token",
        "schedule",
        "lease",
        "query",
        "field",
        "mapping",
        "refresh",
        "segment",
        "tributary",
    ];
    let mut bytes = 0;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for n in 0..files {
        let folder = tree.join(format!("folder-{:04}", n / FILES_PER_FOLDER));
        if n % FILES_PER_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        let mut text = format!("document {n}\n");
        while text.len() < size {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let word = WORDS.get(seed as usize % WORDS.len()).copied().unwrap_or_default();
            let _written = write!(text, "{word}{} ", seed >> 32 & 0xFFF);
        }
        fs::write(folder.join(format!("file-{n:06}.txt")), &text)?;
        bytes += text.len() as u64;
    }
    Ok(bytes)
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

    #[test]
    fn generated_files_have_about_the_size_asked_for_and_differ() {
        let tree = tempfile::tempdir().unwrap();
        let bytes = generate(tree.path(), 3, 200).unwrap();
        assert!((600..700).contains(&bytes), "{bytes}");
        let read =
            |n: u32| fs::read_to_string(tree.path().join(format!("folder-0000/file-{n:06}.txt"))).unwrap();
        assert!(read(0) != read(1) && read(1) != read(2));
    }
}
