use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use md5::{Digest, Md5};

use super::manifest;

const LOCK: &str = "lock";
const SCRATCH: &str = "scratch";
/// How long to wait for another holder of the same job's spool: one that is just being dropped.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The folder of one job's spool, locked against others as long as it is held. When it is dropped it is removed,
/// unless a stored checkpoint says that the job can go on from it.
#[derive(Debug)]
pub(crate) struct SpoolDir {
    path: PathBuf,
    /// Held for its lock only; the system releases it when the process dies.
    _lock: File,
    keep: AtomicBool,
}

impl SpoolDir {
    /// Opens or creates the folder of `job` in `root`. Blocks.
    pub(crate) fn open(root: &Path, job: &str) -> io::Result<Self> {
        let path = root.join(folder_name(job));
        let started = std::time::Instant::now();
        loop {
            fs::create_dir_all(&path)?;
            match lock(&path) {
                Ok(lock) => {
                    let keep = AtomicBool::new(manifest::exists(&path));
                    let dir = Self { path, _lock: lock, keep };
                    fs::remove_dir_all(dir.path.join(SCRATCH)).or_else(missing_is_fine)?;
                    fs::create_dir_all(dir.path.join(SCRATCH))?;
                    return Ok(dir);
                }
                Err(error) if started.elapsed() > LOCK_WAIT => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Where files go that a later attempt may need.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where files go that nobody else needs.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.path.join(SCRATCH).join(name)
    }

    /// Whether the folder outlives this process.
    pub(crate) fn keep(&self, keep: bool) {
        self.keep.store(keep, Ordering::Relaxed);
    }
}

impl Drop for SpoolDir {
    fn drop(&mut self) {
        let keep = self.keep.load(Ordering::Relaxed);
        let removed =
            if keep { fs::remove_dir_all(self.path.join(SCRATCH)) } else { fs::remove_dir_all(&self.path) };
        if let Err(error) = removed.or_else(missing_is_fine) {
            tracing::warn!(%error, "a spool could not be removed; the next start tries again");
        }
    }
}

/// Locks the folder, and makes sure that the lock is on the folder that is there now.
fn lock(path: &Path) -> io::Result<File> {
    let lock_path = path.join(LOCK);
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&lock_path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another sync of this job holds its spool",
            ));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if is_same_file(&file, &lock_path)? {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the spool was removed while it was opened"))
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (held, there) = (file.metadata()?, fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// The job's id where it can name a folder, a hash of it otherwise.
fn folder_name(job: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !job.is_empty() && job.len() <= 100 && job.bytes().all(plain) {
        return job.to_owned();
    }
    Md5::digest(job.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Removes spools in `root` that nobody holds: those left by dead processes without a stored checkpoint, and those
/// of jobs that `wanted` (given the job's folder name, which is its id for ids of letters, digits, `-` and `_`)
/// does not want any more. Returns how many were removed. Blocks; call it at start.
///
/// # Errors
/// When the folder cannot be read. A spool that cannot be removed is left for the next time.
pub fn sweep_spools(root: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<usize> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // Never touch what is not a spool.
        if !path.join(LOCK).is_file() {
            continue;
        }
        let useful = manifest::exists(&path) && entry.file_name().to_str().is_some_and(&wanted);
        // One that is just being set up is set up again where it is removed meanwhile.
        if useful {
            continue;
        }
        if let Ok(_lock) = lock(&path)
            && fs::remove_dir_all(&path).is_ok()
        {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_spool_is_gone_unless_it_is_kept() {
        let root = tempfile::tempdir().unwrap();
        drop(SpoolDir::open(root.path(), "job").unwrap());
        assert!(!root.path().join("job").exists());
        let dir = SpoolDir::open(root.path(), "job").unwrap();
        fs::write(dir.scratch("x"), "x").unwrap();
        fs::write(dir.path().join("run"), "x").unwrap();
        dir.keep(true);
        drop(dir);
        assert!(root.path().join("job/run").exists() && !root.path().join("job/scratch").exists());
    }

    #[test]
    fn a_job_has_one_holder_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let held = SpoolDir::open(root.path(), "job").unwrap();
        assert!(lock(held.path()).is_err());
        let path = root.path().to_owned();
        let next = std::thread::spawn(move || SpoolDir::open(&path, "job").map(|dir| dir.path().is_dir()));
        std::thread::sleep(Duration::from_millis(100));
        drop(held);
        assert!(next.join().unwrap().unwrap(), "the next holder waits for a moment and gets a whole folder");
    }

    #[test]
    fn any_job_id_names_a_folder_inside_the_root() {
        for id in ["", "..", "a/b", "/etc", "a.b", &"x".repeat(300)] {
            let name = folder_name(id);
            assert_eq!(name.len(), 32, "{id}");
        }
        assert_eq!(folder_name("Ab-9_x"), "Ab-9_x");
    }

    #[test]
    fn a_sweep_removes_what_is_neither_held_nor_wanted() {
        let root = tempfile::tempdir().unwrap();
        let stored = |job: &str| {
            let dir = SpoolDir::open(root.path(), job).unwrap();
            fs::write(dir.path().join(manifest::FILE), "{}").unwrap();
            dir.keep(true);
            dir
        };
        drop(stored("wanted"));
        drop(stored("unwanted"));
        let held = stored("held");
        let killed = SpoolDir::open(root.path(), "killed").unwrap();
        killed.keep(true);
        drop(killed);
        fs::create_dir(root.path().join("not-a-spool")).unwrap();
        assert_eq!(sweep_spools(root.path(), |job| job == "wanted").unwrap(), 2);
        for (name, there) in
            [("wanted", true), ("unwanted", false), ("held", true), ("killed", false), ("not-a-spool", true)]
        {
            assert_eq!(root.path().join(name).exists(), there, "{name}");
        }
        drop(held);
        assert_eq!(sweep_spools(&root.path().join("missing"), |_| true).unwrap(), 0);
    }
}
