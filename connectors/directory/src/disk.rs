use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// What the walk needs of a file system. Tests put one with faults in its place.
pub(crate) trait Disk: Send + 'static {
    /// The names in a folder, in any order.
    fn names(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Name>>>;
    /// What is behind a path; links are followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    /// A pipe, socket or device.
    Special,
}

/// What is known of a file or folder without opening it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    pub(crate) links: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) modified: Instant,
    pub(crate) changed: Instant,
    pub(crate) accessed: Instant,
}

/// Seconds since the epoch and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Instant {
    fn new(seconds: i64, nanos: i64) -> Self {
        Self { seconds, nanos: u32::try_from(nanos).unwrap_or(0) }
    }

    /// Seconds with a fraction.
    pub(crate) fn as_f64(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanos) * 1e-9
    }
}

impl Stat {
    /// Tells one folder or file from another of the same path.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

impl From<FileType> for Kind {
    fn from(file_type: FileType) -> Self {
        let special = file_type.is_fifo()
            || file_type.is_socket()
            || file_type.is_block_device()
            || file_type.is_char_device();
        match () {
            () if file_type.is_dir() => Self::Folder,
            () if file_type.is_symlink() => Self::Link,
            () if special || !file_type.is_file() => Self::Special,
            () => Self::File,
        }
    }
}

impl From<&Metadata> for Stat {
    fn from(metadata: &Metadata) -> Self {
        Self {
            kind: metadata.file_type().into(),
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            links: metadata.nlink(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.len(),
            modified: Instant::new(metadata.mtime(), metadata.mtime_nsec()),
            changed: Instant::new(metadata.ctime(), metadata.ctime_nsec()),
            accessed: Instant::new(metadata.atime(), metadata.atime_nsec()),
        }
    }
}

/// The machine's file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl Disk for Local {
    fn names(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Name>>> {
        let entries = fs::read_dir(folder)?;
        Ok(entries.filter_map(|entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            match entry.file_type() {
                Ok(file_type) => Some(Ok(Name { name: entry.file_name(), kind: file_type.into() })),
                // Gone since its name was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                // Where the file system does not tell the kind with the name; asking for it again will say why not.
                Err(_) => Some(Ok(Name { name: entry.file_name(), kind: Kind::Link })),
            }
        }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::metadata(path).map(|metadata| Stat::from(&metadata))
    }
}
