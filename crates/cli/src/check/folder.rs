//! Whether a folder can be written.

use std::path::Path;

use rustix::fs::{Access, access};

/// Whether files can be made in the folder, or the folder itself where it is missing. Nothing is made.
pub(crate) fn is_writable(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|folder| folder.exists());
    let existing = existing.unwrap_or_else(|| Path::new("."));
    existing.is_dir() && access(existing, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}
