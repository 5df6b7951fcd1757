use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinHandle, spawn_blocking};

use super::manifest::{self, Manifest, RunEntry};
use super::run::{FAN_IN, Merge, Record, Run, Sorted, compact};
use super::{SpoolDir, blocking};
use crate::checkpoints::Mark;
use crate::prepare::Key;
use crate::progress::Figures;
use crate::spec::Checkpoint;

/// Ids held in memory before they become a run: 2 MiB, and as much again while that is written.
const BUFFER: usize = 128 << 10;
/// Runs of a spool with stored checkpoints before they are merged.
const MANY_RUNS: usize = 128;

/// A document that was listed: its key, and in the lowest bit whether the rules keep it out (or it is gone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u128);

impl Seen {
    fn is_present(self) -> bool {
        self.0 & 1 == 0
    }

    pub(super) fn key(self) -> Key {
        Key(self.0 & !1)
    }
}

impl Record for Seen {
    fn rank(&self) -> u128 {
        self.0 >> 1
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.0.to_le_bytes())
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            match from.read(&mut bytes[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(Some(Self(u128::from_le_bytes(bytes))))
    }
}

/// The documents a full listing told of so far, in flat memory. The last word on an id counts.
#[derive(Debug)]
pub(crate) struct SeenSpool {
    dir: Arc<SpoolDir>,
    id: String,
    seed: u64,
    runs: Vec<Noted>,
    buffer: Vec<Seen>,
    /// The run that is being written, beside what goes on.
    writing: Option<Writing>,
    /// Records before the buffer.
    before: u64,
    /// Place in the buffer of the last checkpoint: a run ends there.
    cut: Option<usize>,
    next_run: u64,
    capacity: usize,
}

/// A run and how many records of the listing went into it and all before it.
#[derive(Clone, Debug)]
struct Noted {
    run: Run,
    end: u64,
}

/// A run on its way to disk, and how many records of the listing go into it and all before it.
#[derive(Debug)]
struct Writing {
    run: JoinHandle<io::Result<Run>>,
    end: u64,
}

impl SeenSpool {
    /// An empty spool, whatever its folder holds.
    pub(crate) fn create(dir: Arc<SpoolDir>, seed: u64) -> io::Result<Self> {
        manifest::clean(&dir, None)?;
        dir.keep(false);
        let id = format!("{seed:016x}");
        Ok(Self {
            dir,
            id,
            seed,
            runs: vec![],
            buffer: vec![],
            writing: None,
            before: 0,
            cut: None,
            next_run: 0,
            capacity: BUFFER,
        })
    }

    /// The spool as it was when `manifest` was stored, if all of it is there.
    pub(crate) fn reopen(dir: Arc<SpoolDir>, manifest: &Manifest) -> io::Result<Option<Self>> {
        let mut runs = Vec::with_capacity(manifest.runs.len());
        let mut names = Vec::with_capacity(manifest.runs.len());
        for entry in &manifest.runs {
            let run =
                Run { path: dir.path().join(&entry.name), records: entry.records, checksum: entry.checksum };
            if !run.path.is_file() || !run.is_whole()? {
                return Ok(None);
            }
            names.push(entry.name.as_str());
            runs.push(Noted { run, end: entry.end });
        }
        manifest::clean(&dir, Some(&names))?;
        let before = runs.last().map_or(0, |last| last.end);
        Ok(Some(Self {
            dir,
            id: manifest.id.clone(),
            seed: manifest.seed,
            runs,
            buffer: vec![],
            writing: None,
            before,
            cut: None,
            next_run: manifest.next_run,
            capacity: BUFFER,
        }))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn push(&mut self, key: Key, present: bool) {
        self.buffer.push(Seen(key.0 & !1 | u128::from(!present)));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= self.capacity
    }

    /// Records so far. A run will end here, so that a checkpoint at this place can be stored.
    pub(crate) fn mark(&mut self) -> u64 {
        self.cut = Some(self.buffer.len());
        self.records()
    }

    /// Records pushed so far.
    pub(crate) fn records(&self) -> u64 {
        self.before + self.buffer.len() as u64
    }

    /// Has the buffer written to disk.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if let Some(cut) = self.cut.take() {
            self.write_first(cut).await?;
        }
        if self.is_full() || self.buffer.len() > self.capacity / 2 {
            self.write_first(self.buffer.len()).await?;
        }
        Ok(())
    }

    async fn write_first(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        // One at a time, so that no more than two buffers are held.
        self.written().await?;
        let rest = self.buffer.split_off(count);
        let mut records = std::mem::replace(&mut self.buffer, rest);
        let path = self.new_path();
        let dir = Arc::clone(&self.dir);
        let run = spawn_blocking(move || {
            let _held = dir;
            sort(&mut records);
            Run::write(path, records.into_iter().map(Ok))
        });
        self.before += count as u64;
        self.cut = None;
        self.writing = Some(Writing { run, end: self.before });
        Ok(())
    }

    /// Waits for the run that is being written.
    async fn written(&mut self) -> io::Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let (run, end) =
            ((&mut writing.run).await.unwrap_or_else(|error| Err(io::Error::other(error))), writing.end);
        self.writing = None;
        self.runs.push(Noted { run: run?, end });
        Ok(())
    }

    fn new_path(&mut self) -> PathBuf {
        self.next_run += 1;
        self.dir.path().join(format!("seen-{}", self.next_run))
    }

    /// Ends a run before record number `records`, if that is still in memory, so that a checkpoint there can be
    /// stored later on.
    pub(crate) async fn cut_at(&mut self, records: u64) -> io::Result<()> {
        let first = records.checked_sub(self.before).and_then(|first| usize::try_from(first).ok());
        match first {
            Some(first) if first <= self.buffer.len() => self.write_first(first).await,
            _ => Ok(()),
        }
    }

    /// Stores that the job can go on from `mark`: the ids before it and the job's numbers, so that they survive a
    /// power cut. `None` when no run ends there.
    pub(crate) async fn store(
        &mut self,
        mark: &Mark,
        figures: Figures,
        refused: BTreeMap<String, u64>,
    ) -> io::Result<Option<Checkpoint>> {
        self.cut_at(mark.records).await?;
        self.written().await?;
        let count = self.runs.iter().take_while(|run| run.end <= mark.records).count();
        if self.runs[..count].last().map_or(0, |last| last.end) != mark.records {
            return Ok(None);
        }
        let checkpoint = Checkpoint {
            cursor: mark.cursor.clone(),
            position: mark.position,
            figures,
            refused,
            spool: Some(self.id.clone()),
        };
        let mut tail = self.runs.split_off(count);
        let runs = std::mem::take(&mut self.runs);
        let mut manifest = Manifest {
            form: manifest::FORM,
            id: self.id.clone(),
            seed: self.seed,
            checkpoint: checkpoint.clone(),
            next_run: self.next_run,
            runs: vec![],
        };
        let dir = Arc::clone(&self.dir);
        let (mut runs, next_run) = blocking(move || {
            let (runs, old) = merge_many(&dir, runs, &mut manifest.next_run)?;
            manifest.runs = runs.iter().map(|noted| RunEntry::of(&noted.run, noted.end)).collect();
            runs.iter().try_for_each(|noted| noted.run.sync())?;
            manifest.store(dir.path())?;
            dir.keep(true);
            for path in old {
                std::fs::remove_file(path)?;
            }
            Ok((runs, manifest.next_run))
        })
        .await?;
        self.next_run = next_run;
        runs.append(&mut tail);
        self.runs = runs;
        Ok(Some(checkpoint))
    }

    /// Everything seen, ready to be read in order. Files stay as long as the set.
    pub(crate) async fn finish(mut self) -> io::Result<SeenSet> {
        self.written().await?;
        let mut last = std::mem::take(&mut self.buffer);
        let records = self.before + last.len() as u64;
        let runs: Vec<Run> = self.runs.iter().map(|noted| noted.run.clone()).collect();
        let dir = Arc::clone(&self.dir);
        blocking(move || {
            sort(&mut last);
            let mut number = 0;
            let runs = compact::<Seen>(runs, FAN_IN, || {
                number += 1;
                dir.scratch(&format!("seen-merged-{number}"))
            })?;
            Ok(SeenSet { _dir: dir, runs, last, records })
        })
        .await
    }
}

/// Sorts by rank; of records with the same one the last stays.
fn sort(records: &mut Vec<Seen>) {
    records.sort_by_key(Record::rank);
    let mut kept = 0;
    for at in 0..records.len() {
        let is_last = records.get(at + 1).is_none_or(|next| next.rank() != records[at].rank());
        if is_last {
            records[kept] = records[at];
            kept += 1;
        }
    }
    records.truncate(kept);
}

/// Merges the runs when they are many; also returns files that are no longer needed then.
fn merge_many(dir: &SpoolDir, runs: Vec<Noted>, next: &mut u64) -> io::Result<(Vec<Noted>, Vec<PathBuf>)> {
    if runs.len() <= MANY_RUNS {
        return Ok((runs, vec![]));
    }
    let end = runs.last().map_or(0, |last| last.end);
    let old: Vec<PathBuf> = runs.iter().map(|noted| noted.run.path.clone()).collect();
    let runs = runs.into_iter().map(|noted| noted.run).collect();
    let merged = compact::<Seen>(runs, 1, || {
        *next += 1;
        dir.path().join(format!("seen-{next}"))
    })?;
    let merged = merged.into_iter().map(|run| Noted { run, end }).collect();
    Ok((merged, old))
}

/// All documents of a full listing.
#[derive(Debug)]
pub(crate) struct SeenSet {
    _dir: Arc<SpoolDir>,
    runs: Vec<Run>,
    last: Vec<Seen>,
    records: u64,
}

impl SeenSet {
    /// How often documents were told of, repetitions included.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    fn sorted(&self) -> io::Result<Merge<Seen>> {
        let mut sources =
            self.runs.iter().map(|run| Sorted::open(&run.path)).collect::<io::Result<Vec<_>>>()?;
        sources.push(Sorted::Memory(self.last.clone().into_iter()));
        Ok(Merge::new(sources))
    }

    /// The keys of the documents that are to stay, sorted. Blocks.
    pub(super) fn present(&self) -> io::Result<impl Iterator<Item = io::Result<Key>> + use<>> {
        let keys = |seen: io::Result<Seen>| match seen {
            Ok(seen) => seen.is_present().then(|| Ok(seen.key())),
            Err(error) => Some(Err(error)),
        };
        Ok(self.sorted()?.filter_map(keys))
    }

    /// Counts distinct documents: all, and those that are to stay. Blocks.
    pub(crate) fn count(&self, stop: &AtomicBool) -> io::Result<(u64, u64)> {
        let (mut all, mut present) = (0, 0);
        for seen in self.sorted()? {
            all += 1;
            present += u64::from(seen?.is_present());
            if all % 65_536 == 0 && stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Ok((all, present))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tributary_sdk::Cursor;

    use super::*;

    fn dir(root: &tempfile::TempDir) -> Arc<SpoolDir> {
        Arc::new(SpoolDir::open(root.path(), "job").unwrap())
    }

    fn key(n: u64) -> Key {
        Key::of(&n.to_string(), 7)
    }

    fn mark(spool: &mut SeenSpool, n: u64) -> Mark {
        Mark { cursor: Cursor(json!(n)), position: n, records: spool.mark() }
    }

    async fn push(spool: &mut SeenSpool, ids: impl IntoIterator<Item = u64>) {
        for n in ids {
            spool.push(key(n), true);
            if spool.is_full() {
                spool.flush().await.unwrap();
            }
        }
    }

    async fn present(spool: SeenSpool) -> Vec<Key> {
        spool.finish().await.unwrap().present().unwrap().map(Result::unwrap).collect()
    }

    fn keys(ids: impl IntoIterator<Item = u64>) -> Vec<Key> {
        let mut keys: Vec<Key> = ids.into_iter().map(key).collect();
        keys.sort_unstable();
        keys
    }

    fn small(root: &tempfile::TempDir) -> SeenSpool {
        let mut spool = SeenSpool::create(dir(root), 7).unwrap();
        spool.capacity = 10;
        spool
    }

    #[tokio::test]
    async fn everything_seen_comes_out_once_and_sorted() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = small(&root);
        push(&mut spool, (0..3_000).chain(0..50)).await;
        assert!(spool.runs.len() > FAN_IN, "the merge takes more than one pass");
        assert_eq!(spool.records(), 3_050);
        assert_eq!(present(spool).await, keys(0..3_000));
    }

    #[tokio::test]
    async fn the_last_word_on_an_id_counts_within_a_run_and_across_runs() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = small(&root);
        for (n, is_present) in [(1, true), (1, false), (2, false), (2, true), (3, true), (4, false)] {
            spool.push(key(n), is_present);
        }
        spool.cut_at(6).await.unwrap();
        for (n, is_present) in [(3, false), (4, true)] {
            spool.push(key(n), is_present);
        }
        let set = spool.finish().await.unwrap();
        assert_eq!(set.count(&AtomicBool::new(false)).unwrap(), (4, 2));
        assert_eq!(set.present().unwrap().map(Result::unwrap).collect::<Vec<_>>(), keys([2, 4]));
    }

    #[tokio::test]
    async fn a_reopened_spool_holds_exactly_what_was_seen_before_the_checkpoint() {
        let root = tempfile::tempdir().unwrap();
        for (before, after) in [(0, 5), (3, 4), (10, 0), (25, 3), (4, 25)] {
            let mut spool = small(&root);
            push(&mut spool, 0..before).await;
            let mark = mark(&mut spool, before);
            push(&mut spool, 100..100 + after).await;
            let figures = Figures { created: 3, ..Figures::default() };
            let stored = spool.store(&mark, figures, BTreeMap::new()).await.unwrap().unwrap();
            assert_eq!(stored.position, before);
            push(&mut spool, 200..205).await;
            drop(spool);
            let dir = dir(&root);
            let manifest = Manifest::load(dir.path()).unwrap();
            assert_eq!((manifest.checkpoint.figures, &manifest.checkpoint), (figures, &stored));
            let mut again = SeenSpool::reopen(dir, &manifest).unwrap().unwrap();
            push(&mut again, 300..302).await;
            assert_eq!(present(again).await, keys((0..before).chain(300..302)), "{before} {after}");
        }
    }

    #[tokio::test]
    async fn a_checkpoint_in_the_middle_of_a_run_is_not_stored() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = small(&root);
        push(&mut spool, 0..3).await;
        let early = mark(&mut spool, 3);
        push(&mut spool, 3..5).await;
        let late = mark(&mut spool, 5);
        push(&mut spool, 5..12).await;
        assert_eq!(spool.store(&early, Figures::default(), BTreeMap::new()).await.unwrap(), None);
        assert!(spool.store(&late, Figures::default(), BTreeMap::new()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn many_small_runs_are_merged_and_their_files_removed() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = small(&root);
        let mut last = None;
        for n in 0..400 {
            push(&mut spool, n..=n).await;
            let mark = mark(&mut spool, n + 1);
            last = spool.store(&mark, Figures::default(), BTreeMap::new()).await.unwrap();
        }
        assert_eq!(last.unwrap().position, 400);
        let files = std::fs::read_dir(root.path().join("job")).unwrap().count();
        assert!(files <= MANY_RUNS + 4, "{files} files");
        drop(spool);
        let dir = dir(&root);
        let manifest = Manifest::load(dir.path()).unwrap();
        let again = SeenSpool::reopen(dir, &manifest).unwrap().unwrap();
        assert_eq!(present(again).await, keys(0..400));
    }

    #[tokio::test]
    async fn a_damaged_spool_is_not_reopened() {
        let root = tempfile::tempdir().unwrap();
        let store = async || {
            let mut spool = small(&root);
            push(&mut spool, 0..25).await;
            let mark = mark(&mut spool, 25);
            spool.store(&mark, Figures::default(), BTreeMap::new()).await.unwrap().unwrap();
        };
        let damages: [fn(&std::path::Path); 3] = [
            |run| std::fs::remove_file(run).unwrap(),
            |run| std::fs::write(run, "").unwrap(),
            |run| {
                let mut bytes = std::fs::read(run).unwrap();
                bytes[5] ^= 1;
                std::fs::write(run, bytes).unwrap();
            },
        ];
        for damage in damages {
            store().await;
            let dir = dir(&root);
            let manifest = Manifest::load(dir.path()).unwrap();
            damage(&dir.path().join(&manifest.runs[1].name));
            assert!(SeenSpool::reopen(dir, &manifest).unwrap().is_none());
        }
    }
}
