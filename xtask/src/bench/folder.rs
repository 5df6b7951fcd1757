//! A generated folder synced to the embedded node, and again without changes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Scratch, Taken, build, watch};

/// Files in one folder of the generated tree.
const FILES_PER_FOLDER: usize = 250;

pub(super) fn run(root: &Path, files: usize, size: usize, runs: usize) -> std::io::Result<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
