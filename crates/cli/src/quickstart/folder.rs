//! The folder to sync, and the names that follow from it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{CliError, Result};

/// Longest name made from a folder's.
const LONGEST: usize = 60;

/// A folder that exists and can be read.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its whole path, without links.
    pub(crate) path: PathBuf,
}

impl Folder {
    /// Looks at the folder.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let whole = fs::canonicalize(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => CliError::user(format!("folder '{shown}' does not exist"))
                .hint("name a folder that does: tributary quickstart FOLDER"),
            _ => unreadable(path, &error),
        })?;
        if !whole.is_dir() {
            return Err(CliError::user(format!("'{shown}' is no folder"))
                .hint("name the folder that holds the files"));
        }
        fs::read_dir(&whole).map_err(|error| unreadable(path, &error))?;
        if whole.to_str().is_none() {
            return Err(CliError::user(format!("the path '{shown}' is not UTF-8")).hint("rename the folder"));
        }
        Ok(Self { path: whole })
    }

    /// A name for indices, from the folder's own.
    pub(crate) fn slug(&self) -> String {
        let name =
            self.path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let slug: String = name.chars().map(plain).collect();
        let slug: String = slug.trim_matches(['-', '_']).chars().take(LONGEST).collect();
        if slug.is_empty() { "files".to_owned() } else { slug }
    }

    /// The slug with what tells folders of one name apart.
    pub(crate) fn id(&self) -> String {
        let hash = xxh3_64(self.path.as_os_str().as_encoded_bytes());
        format!("{}-{:08x}", self.slug(), hash as u32)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::user(format!("folder '{}' cannot be read: {error}", path.display()))
        .hint("give yourself read access")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(path: &str) -> String {
        Folder { path: PathBuf::from(path) }.slug()
    }

    #[test]
    fn a_name_for_indices_follows_from_any_folder() {
        assert_eq!(slug("/srv/My Notes (2026)"), "my-notes--2026");
        assert_eq!(slug("/"), "files");
        assert_eq!(slug("/srv/…"), "files");
        for path in ["/srv/My Notes (2026)", "/", "/.hidden", "/_x"] {
            assert!(crate::target::index_name(&slug(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn folders_of_one_name_have_different_ids() {
        let id = |path: &str| Folder { path: PathBuf::from(path) }.id();
        assert_ne!(id("/a/docs"), id("/b/docs"));
        assert_eq!(id("/a/docs"), id("/a/docs"));
    }

    #[test]
    fn a_missing_folder_and_a_file_are_the_users_to_mend() {
        let missing = Folder::open(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!((missing.exit_code(), missing.lines().len()), (1, 1));
        let file = Folder::open(Path::new("/proc/version")).unwrap_err();
        assert!(file.to_string().contains("is no folder"));
    }
}
