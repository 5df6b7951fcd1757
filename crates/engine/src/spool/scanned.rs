use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::run::{FAN_IN, Merge, Record, Run, Sorted, compact};
use super::seen::SeenSet;
use super::{SpoolDir, blocking};
use crate::prepare::Key;

/// Text of ids held in memory before they become a run.
const BUFFER_TEXT: usize = 3 << 20;
/// Ids held in memory before they become a run: 3 MiB beside their text.
const BUFFER_IDS: usize = 96 << 10;

/// A document of the index: its key and its id.
struct Scanned {
    key: Key,
    id: Vec<u8>,
}

impl Record for Scanned {
    fn rank(&self) -> u128 {
        self.key.0 >> 1
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_scanned(out, self.key, &self.id)
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut key = [0; 16];
        if !fill(from, &mut key)? {
            return Ok(None);
        }
        let mut size = [0; 2];
        from.read_exact(&mut size)?;
        let mut id = vec![0; usize::from(u16::from_le_bytes(size))];
        from.read_exact(&mut id)?;
        Ok(Some(Self { key: Key(u128::from_le_bytes(key)), id }))
    }
}

fn write_scanned(out: &mut impl Write, key: Key, id: &[u8]) -> io::Result<()> {
    out.write_all(&key.0.to_le_bytes())?;
    write_id(out, id)
}

fn write_id(out: &mut impl Write, id: &[u8]) -> io::Result<()> {
    let size =
        u16::try_from(id.len()).map_err(|_| io::Error::other("an id of the index exceeds 65535 bytes"))?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(id)
}

/// Fills `bytes`; false when the end comes before the first one.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(true)
}

/// The ids found in the index, in flat memory.
#[derive(Debug)]
pub(crate) struct ScannedSpool {
    dir: Arc<SpoolDir>,
    seed: u64,
    runs: Vec<Run>,
    text: Vec<u8>,
    ids: Vec<(Key, u32, u32)>,
    count: u64,
}

impl ScannedSpool {
    pub(crate) fn new(dir: Arc<SpoolDir>, seed: u64) -> Self {
        Self { dir, seed, runs: vec![], text: vec![], ids: vec![], count: 0 }
    }

    /// Notes an id; call [`ScannedSpool::flush`] when it returns true.
    pub(crate) fn push(&mut self, id: &str) -> bool {
        // Both fit: the text is cut into runs far below 4 GiB.
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(id.as_bytes());
        self.ids.push((Key::of(id, self.seed), start, u32::try_from(self.text.len()).unwrap_or(u32::MAX)));
        self.count += 1;
        self.text.len() >= BUFFER_TEXT || self.ids.len() >= BUFFER_IDS
    }

    /// Ids so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Writes the buffer to disk.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let (text, mut ids) = (std::mem::take(&mut self.text), std::mem::take(&mut self.ids));
        let path = self.dir.scratch(&format!("scanned-{}", self.runs.len()));
        let dir = Arc::clone(&self.dir);
        let (run, text, ids) = blocking(move || {
            let _held = dir;
            ids.sort_unstable_by_key(|(key, ..)| *key);
            ids.dedup_by_key(|(key, ..)| *key);
            let run = Run::write(path, ids.iter().map(|id| Ok(Borrowed(&text, *id))))?;
            Ok((run, text, ids))
        })
        .await?;
        self.runs.push(run);
        // The buffers are used again.
        (self.text, self.ids) = (text, ids);
        self.text.clear();
        self.ids.clear();
        Ok(())
    }

    /// Finds the ids that `seen` does not hold. The outer `None`: `stop` was set.
    pub(crate) async fn minus(
        mut self,
        seen: Arc<SeenSet>,
        samples: usize,
        stop: Arc<AtomicBool>,
    ) -> io::Result<LeftoverList> {
        self.flush().await?;
        let (dir, runs) = (self.dir, self.runs);
        blocking(move || {
            let mut number = 0;
            let runs = compact::<Scanned>(runs, FAN_IN, || {
                number += 1;
                dir.scratch(&format!("scanned-merged-{number}"))
            })?;
            let sources = runs.iter().map(|run| Sorted::open(&run.path)).collect::<io::Result<_>>()?;
            difference(Merge::new(sources), &seen, dir, samples, &stop)
        })
        .await
    }
}

/// An id that still stands in the buffer.
struct Borrowed<'a>(&'a [u8], (Key, u32, u32));

impl Record for Borrowed<'_> {
    fn rank(&self) -> u128 {
        self.1.0.0 >> 1
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (key, start, end) = self.1;
        write_scanned(out, key, &self.0[start as usize..end as usize])
    }

    fn read(_: &mut impl Read) -> io::Result<Option<Self>> {
        Ok(None)
    }
}

fn difference(
    scanned: Merge<Scanned>,
    seen: &SeenSet,
    dir: Arc<SpoolDir>,
    samples: usize,
    stop: &AtomicBool,
) -> io::Result<LeftoverList> {
    let path = dir.scratch("leftovers");
    let mut out = BufWriter::new(File::create(&path)?);
    let mut list = LeftoverList { _dir: dir, path, count: 0, sample: vec![] };
    let mut seen = seen.present()?.peekable();
    for (at, scanned) in scanned.enumerate() {
        let Scanned { key, id } = scanned?;
        while let Some(smaller) = seen.next_if(|next| next.as_ref().map_or(true, |next| *next < key)) {
            smaller?;
        }
        if !matches!(seen.peek(), Some(Ok(next)) if *next == key) {
            write_id(&mut out, &id)?;
            list.count += 1;
            if list.sample.len() < samples {
                list.sample.push(String::from_utf8_lossy(&id).into_owned());
            }
        }
        if at % 65_536 == 0 && stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(list)
}

/// Documents of the index that the source no longer has.
#[derive(Debug)]
pub(crate) struct LeftoverList {
    _dir: Arc<SpoolDir>,
    path: PathBuf,
    count: u64,
    sample: Vec<String>,
}

/// Reads a [`LeftoverList`] piece by piece.
#[derive(Debug)]
pub(crate) struct Leftover {
    _list: LeftoverList,
    file: BufReader<File>,
}

impl LeftoverList {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The first ones.
    pub(crate) fn sample(&self) -> &[String] {
        &self.sample
    }

    pub(crate) fn read(self) -> io::Result<Leftover> {
        let file = BufReader::new(File::open(&self.path)?);
        Ok(Leftover { _list: self, file })
    }
}

impl Leftover {
    /// The next ids, at most `most`; none at the end.
    pub(crate) async fn next(self, most: usize) -> io::Result<(Self, Vec<String>)> {
        let mut this = self;
        blocking(move || {
            let mut ids = Vec::with_capacity(most);
            let mut size = [0; 2];
            while ids.len() < most && fill(&mut this.file, &mut size)? {
                let mut id = vec![0; usize::from(u16::from_le_bytes(size))];
                this.file.read_exact(&mut id)?;
                ids.push(String::from_utf8(id).map_err(io::Error::other)?);
            }
            Ok((this, ids))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::SeenSpool;

    async fn leftovers(seen: &[&str], scanned: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let dir = Arc::new(SpoolDir::open(root.path(), "job").unwrap());
        let mut spool = SeenSpool::create(Arc::clone(&dir), 3).unwrap();
        seen.iter().for_each(|id| spool.push(Key::of(id, 3), true));
        let mut index = ScannedSpool::new(dir, 3);
        for (at, id) in scanned.iter().enumerate() {
            index.push(id);
            if at % 3 == 2 {
                index.flush().await.unwrap();
            }
        }
        let seen = Arc::new(spool.finish().await.unwrap());
        let list = index.minus(seen, 2, Arc::default()).await.unwrap();
        assert_eq!(list.sample().len() as u64, list.count().min(2));
        let (count, mut reader, mut all) = (list.count(), list.read().unwrap(), vec![]);
        loop {
            let (next, ids) = reader.next(2).await.unwrap();
            if ids.is_empty() {
                break;
            }
            all.extend(ids);
            reader = next;
        }
        assert_eq!(count, all.len() as u64);
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn leftovers_are_what_the_index_has_and_the_listing_had_not() {
        let none: [String; 0] = [];
        assert_eq!(leftovers(&["a", "b"], &["b", "a"]).await, none);
        assert_eq!(leftovers(&["a", "x"], &["a", "b", "c", "ü\n", "d"]).await, ["b", "c", "d", "ü\n"]);
        assert_eq!(leftovers(&[], &["a", "b", "a", "c", "b"]).await, ["a", "b", "c"]);
        assert_eq!(leftovers(&["a", "b"], &[]).await, none);
    }
}
