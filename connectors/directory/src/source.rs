use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use tributary_sdk::emit::{self, BlockingEmitter, Gone, Stop};
use tributary_sdk::{Context, Cursor, DataSource, Error, ErrorKind, Event, Result, Resumable, hex};

use crate::config::{DirectoryConfig, IdMode};
use crate::disk::{Disk, Local};
use crate::document::{document, id};
use crate::reader::Reader;
use crate::selection::Selection;
use crate::walk::{self, Found, Walk};

/// Files between two checkpoints.
const CHECKPOINT_EVERY: u64 = 1_000;

/// A folder, ready to be listed.
#[derive(Clone, Debug)]
pub struct DirectorySource(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    root: PathBuf,
    selection: Selection,
    follow_links: bool,
    id_mode: IdMode,
    reader: Reader,
    /// Stands for everything that decides which files are listed in which order under which ids.
    identity: String,
}

impl DirectorySource {
    /// Reads the patterns and looks whether the folder is there.
    pub(crate) async fn open(config: &DirectoryConfig) -> Result<Self> {
        let selection = Selection::new(&config.pattern, &config.exclude)?;
        let root = absolute(&config.directory)?;
        let identity = identity(&root, config);
        let (follow_links, id_mode) = (config.follow_links, config.id_mode);
        let reader = Reader::default();
        let source = Self(Arc::new(Folder { root, selection, follow_links, id_mode, reader, identity }));
        source.look().await?;
        Ok(source)
    }

    /// Whether the folder is there and can be listed.
    async fn look(&self) -> Result<()> {
        let folder = Arc::clone(&self.0);
        let looked = tokio::task::spawn_blocking(move || {
            let root = &folder.root;
            walk::root(&Local, root)?;
            let first = Local.names(root).and_then(|mut names| names.next().transpose());
            first.map(|_| ()).map_err(|error| {
                walk::accessible(Error::io(format!("cannot list the folder '{}'", root.display()), error))
            })
        });
        looked.await.unwrap_or_else(|panic| {
            Err(Error::new(ErrorKind::Internal, "looking at the folder stopped unexpectedly").because(panic))
        })
    }
}

#[async_trait]
impl DataSource for DirectorySource {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        self.look().await
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        let folder = Arc::clone(&self.0);
        let after = cx.cursor.as_ref().and_then(|cursor| Position::after(cursor, &folder.identity));
        let max_body_bytes = cx.max_body_bytes;
        emit::blocking(move |emit| folder.list(after.as_deref(), max_body_bytes, emit))
    }
}

impl Resumable for DirectorySource {}

impl Folder {
    fn list(
        &self,
        after: Option<&Path>,
        max_body_bytes: u64,
        emit: &mut BlockingEmitter,
    ) -> Result<(), Stop> {
        let mut listed = 0;
        let tell = |found: Found<'_>| {
            let (event, path) = match found {
                Found::File(path, stat) => match id(path, self.below(path), self.id_mode) {
                    Ok(id) => {
                        (Event::Upsert(document(id, path, &stat, &self.reader, max_body_bytes)), Some(path))
                    }
                    Err(error) => (Event::Incomplete(error), None),
                },
                Found::Unreadable(path, error) => match id(path, self.below(path), self.id_mode) {
                    Ok(id) => (Event::Skipped { id, error }, Some(path)),
                    Err(error) => (Event::Incomplete(error), None),
                },
                Found::Gap(error) => (Event::Incomplete(error), None),
            };
            emit.send(event)?;
            let Some(path) = path else { return Ok(()) };
            listed += 1;
            if listed % CHECKPOINT_EVERY == 0 { self.checkpoint(path, emit) } else { Ok(()) }
        };
        Walk::new(&Local, &self.root, &self.selection, self.follow_links, tell).run(after)
    }

    fn below<'p>(&self, path: &'p Path) -> &'p Path {
        walk::below(&self.root, path)
    }

    fn checkpoint(&self, path: &Path, emit: &mut BlockingEmitter) -> Result<(), Gone> {
        let position = Position { after: PathText::new(self.below(path)), of: self.identity.clone() };
        match serde_json::to_value(position) {
            Ok(position) => emit.send(Event::Checkpoint(Cursor(position))),
            // Without it a killed sync begins a little earlier.
            Err(_) => Ok(()),
        }
    }
}

/// Where a listing has come to.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    /// The last file, below the folder.
    after: PathText,
    /// [`Folder::identity`].
    of: String,
}

impl Position {
    /// The file to go on after. A position of another configuration says nothing about this one.
    fn after(cursor: &Cursor, identity: &str) -> Option<PathBuf> {
        let position: Self = serde_json::from_value(cursor.0.clone()).ok()?;
        (position.of == identity).then(|| position.after.into_path())
    }
}

/// A path in JSON, whatever its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum PathText {
    Text(String),
    Bytes(Vec<u8>),
}

impl PathText {
    fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }

    fn into_path(self) -> PathBuf {
        match self {
            Self::Text(text) => PathBuf::from(text),
            Self::Bytes(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
        }
    }
}

/// The whole path, without looking at the disk: `.` and `..` are resolved by name, since ids depend on it.
fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path)
        .map_err(|error| Error::io(format!("the folder '{}' has no whole path", path.display()), error))?;
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Ok(plain)
}

fn identity(root: &Path, config: &DirectoryConfig) -> String {
    let mut digest = Md5::new();
    let flags = format!("{}{:?}", config.follow_links, config.id_mode);
    let parts = [root.as_os_str().as_bytes(), config.pattern.as_bytes(), flags.as_bytes()];
    for part in parts.into_iter().chain(config.exclude.iter().map(String::as_bytes)) {
        digest.update(part);
        digest.update([0]);
    }
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_made_by_name() {
        for (given, expected) in [("/a/b/../c/./d//", "/a/c/d"), ("/../..", "/"), ("/a/", "/a")] {
            assert_eq!(absolute(Path::new(given)).unwrap(), Path::new(expected), "{given}");
        }
        assert!(absolute(Path::new("a")).unwrap().is_absolute());
        assert!(absolute(Path::new("")).is_err());
    }

    #[test]
    fn a_position_of_another_configuration_is_left_aside() {
        let cursor = |of: &str| Cursor(serde_json::json!({"after": "a/b", "of": of}));
        assert_eq!(Position::after(&cursor("x"), "x"), Some(PathBuf::from("a/b")));
        assert_eq!(Position::after(&cursor("x"), "y"), None);
        assert_eq!(Position::after(&Cursor(serde_json::json!(5)), "y"), None);
    }

    #[test]
    fn a_position_keeps_names_that_are_not_utf_8() {
        let path = PathBuf::from(std::ffi::OsString::from_vec(b"a/\xff".to_vec()));
        let text = serde_json::to_string(&PathText::new(&path)).unwrap();
        assert_eq!(serde_json::from_str::<PathText>(&text).unwrap().into_path(), path);
    }
}
