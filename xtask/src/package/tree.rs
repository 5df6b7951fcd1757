//! The folder that becomes a package: files with the rights they will have.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use md5::{Digest as _, Md5};

use super::unreadable;

#[derive(Debug)]
pub(super) struct Tree(PathBuf);

impl Tree {
    /// An empty one.
    pub(super) fn new(root: PathBuf) -> Result<Self, String> {
        if root.exists() {
            fs::remove_dir_all(&root).map_err(|error| unreadable(&root, &error))?;
        }
        fs::create_dir_all(root.join("DEBIAN")).map_err(|error| unreadable(&root, &error))?;
        let tree = Self(root);
        tree.rights("", 0o755)?;
        tree.rights("DEBIAN", 0o755)?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> Result<(), String> {
        self.folders(path)?;
        let file = self.0.join(path);
        fs::write(&file, content).map_err(|error| unreadable(&file, &error))?;
        self.rights(path, 0o644)
    }

    /// A compressed file, `.gz` added, without the time it was made.
    pub(super) fn zipped(&self, path: &str, content: &str) -> Result<(), String> {
        let mut zip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        let zipped = zip.write_all(content.as_bytes()).and_then(|()| zip.finish());
        self.file(&format!("{path}.gz"), zipped.map_err(|error| format!("{path}: {error}"))?)
    }

    pub(super) fn program(&self, path: &str, from: &Path) -> Result<PathBuf, String> {
        self.folders(path)?;
        let file = self.0.join(path);
        fs::copy(from, &file).map_err(|error| unreadable(from, &error))?;
        self.rights(path, 0o755)?;
        Ok(file)
    }

    /// Lets nobody but the owner and the group read it.
    pub(super) fn private(&self, path: &str) -> Result<(), String> {
        self.rights(path, 0o640)
    }

    pub(super) fn control(&self, name: &str, content: &str) -> Result<(), String> {
        self.file(&format!("DEBIAN/{name}"), content)
    }

    pub(super) fn script(&self, name: &str, content: &str) -> Result<(), String> {
        self.control(name, content)?;
        self.rights(&format!("DEBIAN/{name}"), 0o755)
    }

    /// The size of all files when installed.
    pub(super) fn kilobytes(&self) -> Result<u64, String> {
        let mut total = 0;
        for file in self.installed()? {
            total += fs::metadata(&file).map_err(|error| unreadable(&file, &error))?.len().div_ceil(1024);
        }
        Ok(total)
    }

    /// `md5sums`: of every installed file outside of `skip`, whose files may be changed.
    pub(super) fn sums(&self, skip: &str) -> Result<String, String> {
        let mut lines = String::new();
        for file in self.installed()? {
            let path = file.strip_prefix(&self.0).unwrap_or(&file);
            if path.starts_with(skip) {
                continue;
            }
            let content = fs::read(&file).map_err(|error| unreadable(&file, &error))?;
            let sum: String = Md5::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push_str(&format!("{sum}  {}\n", path.display()));
        }
        Ok(lines)
    }

    fn installed(&self) -> Result<Vec<PathBuf>, String> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
                match path.is_dir() {
                    true if path.ends_with("DEBIAN") => {}
                    true => folders.push(path),
                    false => found.push(path),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn folders(&self, path: &str) -> Result<(), String> {
        let mut folder = self.0.clone();
        for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            if !folder.exists() {
                fs::create_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
                set(&folder, 0o755)?;
            }
        }
        Ok(())
    }

    /// Whatever the umask of the one who packs.
    fn rights(&self, path: &str, mode: u32) -> Result<(), String> {
        set(&self.0.join(path), mode)
    }
}

fn set(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| unreadable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_rights_and_sums() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(folder.path().join("tree")).unwrap();
        tree.file("usr/share/a", "hello").unwrap();
        tree.file("etc/b", "secret").unwrap();
        tree.private("etc/b").unwrap();
        tree.script("postinst", "#!/bin/sh\n").unwrap();
        let mode = |path: &str| fs::metadata(tree.root().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            (mode("usr/share/a"), mode("usr"), mode("etc/b"), mode("DEBIAN/postinst")),
            (0o644, 0o755, 0o640, 0o755)
        );
        assert_eq!(tree.sums("etc").unwrap(), "5d41402abc4b2a76b9719d911017c592  usr/share/a\n");
        assert_eq!(tree.kilobytes().unwrap(), 2);
    }

    #[test]
    fn a_compressed_file_is_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(folder.path().join("tree")).unwrap();
        tree.zipped("a", "text").unwrap();
        let first = fs::read(tree.root().join("a.gz")).unwrap();
        assert_eq!(first[4..8], [0; 4], "no time");
    }
}
