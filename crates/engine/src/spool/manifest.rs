use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SpoolDir;
use super::run::Run;
use crate::spec::{Checkpoint, Resume};

pub(super) const FILE: &str = "manifest.json";
/// Version of the manifest and of the runs it names.
pub(super) const FORM: u32 = 1;

/// What a job needs to go on: a checkpoint and the runs of ids seen before it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(super) form: u32,
    pub(super) id: String,
    pub(super) seed: u64,
    pub(crate) checkpoint: Checkpoint,
    pub(super) next_run: u64,
    pub(super) runs: Vec<RunEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunEntry {
    pub(super) name: String,
    pub(super) records: u64,
    pub(super) end: u64,
    pub(super) checksum: u64,
}

impl RunEntry {
    pub(super) fn of(run: &Run, end: u64) -> Self {
        let name = run.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, records: run.records, end, checksum: run.checksum }
    }
}

impl Manifest {
    /// The manifest in the folder `dir`; `None` when there is none that can be understood.
    pub(crate) fn load(dir: &Path) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(&fs::read(dir.join(FILE)).ok()?).ok()?;
        let plain = |entry: &RunEntry| entry.name.starts_with("seen-") && !entry.name.contains(['/', '\\']);
        (manifest.form == FORM && manifest.runs.iter().all(plain)).then_some(manifest)
    }

    /// Whether a job that wants to resume so can go on from here.
    pub(crate) fn serves(&self, resume: &Resume) -> bool {
        match resume {
            Resume::Spool => true,
            Resume::From(checkpoint) => {
                checkpoint.spool.as_deref() == Some(&self.id)
                    && checkpoint.position <= self.checkpoint.position
            }
        }
    }

    /// Stores it in the folder `dir` in the place of an earlier one, whole or not at all.
    pub(super) fn store(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join("manifest.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(new, dir.join(FILE))?;
        sync_folder(dir)
    }
}

#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn exists(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// Removes what an earlier attempt left; with `keep` the manifest and these runs stay.
pub(super) fn clean(dir: &SpoolDir, keep: Option<&[&str]>) -> io::Result<()> {
    for entry in fs::read_dir(dir.path())? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let stale_manifest = keep.is_none() && name == FILE;
        let stale_run = name.starts_with("seen-") && !keep.is_some_and(|keep| keep.contains(&name.as_ref()));
        if stale_manifest || stale_run || name == "manifest.new" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
