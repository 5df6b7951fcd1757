use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// Runs merged in one pass; more are merged in groups first.
pub(super) const FAN_IN: usize = 256;
/// Buffer of a run that is read: with [`FAN_IN`] runs of two sets 8 MiB in all.
const READ_BUFFER: usize = 16 << 10;
const WRITE_BUFFER: usize = 128 << 10;

/// What a run consists of.
pub(super) trait Record: Sized {
    /// What runs are sorted by; of records with the same one, the last counts.
    fn rank(&self) -> u128;
    fn write(&self, out: &mut impl Write) -> io::Result<()>;
    /// The next record; `None` at the end.
    fn read(from: &mut impl Read) -> io::Result<Option<Self>>;
}

/// A sorted file of records, no rank twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) path: PathBuf,
    pub(super) records: u64,
    pub(super) checksum: u64,
}

/// Hashes what goes through.
struct Hashing {
    file: File,
    hash: Xxh3,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Run {
    /// Writes records that are sorted and have no rank twice. Not yet safe against a power cut: see [`Run::sync`].
    pub(super) fn write<R: Record>(
        path: PathBuf,
        records: impl Iterator<Item = io::Result<R>>,
    ) -> io::Result<Self> {
        let file = Hashing { file: File::create(&path)?, hash: Xxh3::new() };
        let mut out = BufWriter::with_capacity(WRITE_BUFFER, file);
        let mut count = 0;
        for record in records {
            record?.write(&mut out)?;
            count += 1;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { path, records: count, checksum: file.hash.digest() })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Whether the file is what was written.
    pub(super) fn is_whole(&self) -> io::Result<bool> {
        let mut file = File::open(&self.path)?;
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; WRITE_BUFFER];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.digest() == self.checksum),
                read => hash.update(&buffer[..read]),
            }
        }
    }
}

/// Sorted records from a file or from memory.
pub(super) enum Sorted<R> {
    File(BufReader<File>),
    Memory(std::vec::IntoIter<R>),
}

impl<R: Record> Sorted<R> {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::File(BufReader::with_capacity(READ_BUFFER, File::open(path)?)))
    }
}

impl<R: Record> Iterator for Sorted<R> {
    type Item = io::Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(file) => R::read(file).transpose(),
            Self::Memory(records) => records.next().map(Ok),
        }
    }
}

/// Merges sorted sources, given in order of time: of records with the same rank the last one comes out.
pub(super) struct Merge<R> {
    sources: Vec<Sorted<R>>,
    heads: Vec<Option<R>>,
    order: BinaryHeap<Reverse<(u128, usize)>>,
    failure: Option<io::Error>,
}

impl<R: Record> Merge<R> {
    pub(super) fn new(sources: Vec<Sorted<R>>) -> Self {
        let mut merge = Self {
            heads: sources.iter().map(|_| None).collect(),
            order: BinaryHeap::with_capacity(sources.len()),
            sources,
            failure: None,
        };
        for at in 0..merge.sources.len() {
            merge.pull(at);
        }
        merge
    }

    fn pull(&mut self, at: usize) {
        match self.sources[at].next() {
            Some(Ok(record)) => {
                self.order.push(Reverse((record.rank(), at)));
                self.heads[at] = Some(record);
            }
            Some(Err(error)) => self.failure = Some(error),
            None => {}
        }
    }

    fn take(&mut self, at: usize) -> Option<R> {
        let record = self.heads[at].take();
        self.pull(at);
        record
    }
}

impl<R: Record> Iterator for Merge<R> {
    type Item = io::Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            // Half a merge must not look like a whole one.
            self.order.clear();
            return Some(Err(error));
        }
        let Reverse((rank, at)) = self.order.pop()?;
        let mut last = self.take(at)?;
        while let Some(Reverse((next, at))) = self.order.peek().copied() {
            if next != rank {
                break;
            }
            self.order.pop();
            last = self.take(at)?;
        }
        Some(Ok(last))
    }
}

/// Merges runs in groups of neighbours until no more than [`FAN_IN`] are left; `new_path` names the new files. The
/// old files stay: somebody may still refer to them.
pub(super) fn compact<R: Record>(
    mut runs: Vec<Run>,
    most: usize,
    mut new_path: impl FnMut() -> PathBuf,
) -> io::Result<Vec<Run>> {
    while runs.len() > most {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(FAN_IN));
        for group in runs.chunks(FAN_IN) {
            let sources = group.iter().map(|run| Sorted::open(&run.path)).collect::<io::Result<_>>()?;
            merged.push(Run::write(new_path(), Merge::<R>::new(sources))?);
        }
        runs = merged;
    }
    Ok(runs)
}
