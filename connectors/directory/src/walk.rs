use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use tributary_sdk::emit::{Gone, Stop};
use tributary_sdk::{Error, ErrorKind};

use crate::disk::{Disk, Kind, Name, Stat};
use crate::selection::Selection;

/// Names of one folder that are held at once. A larger folder is read several times.
const NAMES: usize = 1 << 16;

/// What a walk comes upon. Paths are whole.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A file.
    File(&'a Path, Stat),
    /// A file that exists, but nothing more can be told.
    Unreadable(&'a Path, Error),
    /// A folder whose files are not all known.
    Gap(Error),
}

/// Walks a folder, depth first, names in the order of their bytes, so that a later walk can go on after any path.
/// Memory: the names of the folders on the way down, limited for each.
pub(crate) struct Walk<'a, D, F> {
    pub(crate) disk: &'a D,
    pub(crate) root: &'a Path,
    pub(crate) selection: &'a Selection,
    pub(crate) follow_links: bool,
    pub(crate) tell: F,
    /// The folders on the way down, to notice a link that leads back up.
    pub(crate) open: Vec<(u64, u64)>,
    /// Names held at once.
    pub(crate) most: usize,
}

impl<'a, D: Disk, F: FnMut(Found<'_>) -> Result<(), Gone>> Walk<'a, D, F> {
    pub(crate) fn new(
        disk: &'a D,
        root: &'a Path,
        selection: &'a Selection,
        follow_links: bool,
        tell: F,
    ) -> Self {
        Self { disk, root, selection, follow_links, tell, open: Vec::new(), most: NAMES }
    }

    /// Walks what comes after the path `after` (relative), or everything.
    pub(crate) fn run(mut self, after: Option<&Path>) -> Result<(), Stop> {
        let before = root(self.disk, self.root).map_err(Stop::Failed)?;
        let after: Option<Vec<OsString>> = after.map(|path| path.iter().map(OsStr::to_owned).collect());
        let mut path = self.root.to_owned();
        self.folder(&mut path, &before, after.as_deref().unwrap_or_default())?;
        // Whatever looked like files that vanished may have been the whole folder.
        match root(self.disk, self.root) {
            Ok(now) if now.identity() == before.identity() => Ok(()),
            Ok(_) => Err(Stop::Failed(replaced(self.root))),
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    /// Walks one folder, from the name `from[0]` on, where `from` has one.
    fn folder(&mut self, path: &mut PathBuf, before: &Stat, from: &[OsString]) -> Result<(), Stop> {
        self.open.push(before.identity());
        let mut last: Option<OsString> = None;
        loop {
            let wanted = |name: &OsStr| match &last {
                Some(last) => name > last.as_os_str(),
                None => from.first().is_none_or(|first| name >= first.as_os_str()),
            };
            let listed = self.disk.names(path).map(|names| smallest(names, wanted, self.most));
            let Names { names, more, failure } = match listed {
                Ok(names) => names,
                Err(error) => {
                    self.missing(path, error)?;
                    break;
                }
            };
            for Name { name, kind } in &names {
                let rest = from.split_first().filter(|(first, _)| *first == name).map(|(_, rest)| rest);
                path.push(name);
                let outcome = self.entry(path, *kind, rest);
                path.pop();
                outcome?;
            }
            if let Some(error) = failure {
                self.missing(path, error)?;
                break;
            }
            if !more {
                break;
            }
            last = names.into_iter().next_back().map(|name| name.name);
        }
        self.open.pop();
        self.check_unmoved(path, before)
    }

    /// One name. `from` is what is left of the path to go on after, when it leads through this name.
    fn entry(&mut self, path: &mut PathBuf, kind: Kind, from: Option<&[OsString]>) -> Result<(), Stop> {
        let told_already = from.is_some_and(<[OsString]>::is_empty);
        match kind {
            Kind::Folder => self.enter(path, None, from.unwrap_or_default()),
            Kind::File if told_already => Ok(()),
            Kind::File => self.file(path),
            Kind::Link => self.link(path, from.unwrap_or_default(), told_already),
            Kind::Special => Ok(()),
        }
    }

    fn enter(&mut self, path: &mut PathBuf, known: Option<Stat>, from: &[OsString]) -> Result<(), Stop> {
        if !self.selection.enters(below(self.root, path)) {
            return Ok(());
        }
        match known.map_or_else(|| self.disk.stat(path), Ok) {
            Ok(stat) if self.open.contains(&stat.identity()) => Ok(()),
            Ok(stat) => self.folder(path, &stat, from),
            Err(error) => self.missing(path, error),
        }
    }

    fn link(&mut self, path: &mut PathBuf, from: &[OsString], told_already: bool) -> Result<(), Stop> {
        let is_wanted = self.selection.takes_file(below(self.root, path));
        if !is_wanted && !self.follow_links {
            return Ok(());
        }
        match self.disk.stat(path) {
            Ok(stat) if stat.kind == Kind::Folder && self.follow_links => self.enter(path, Some(stat), from),
            Ok(stat) if stat.kind == Kind::File && is_wanted && !told_already => {
                Ok((self.tell)(Found::File(path, stat))?)
            }
            Err(error) if is_wanted && !is_dangling(&error) => self.unreadable(path, error),
            // Not followed, a special file, or a link to nothing.
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path) -> Result<(), Stop> {
        if !self.selection.takes_file(below(self.root, path)) {
            return Ok(());
        }
        match self.disk.stat(path) {
            Ok(stat) if stat.kind == Kind::File => Ok((self.tell)(Found::File(path, stat))?),
            Ok(stat) if stat.kind == Kind::Folder => Ok((self.tell)(Found::Gap(replaced(path)))?),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => self.unreadable(path, error),
        }
    }

    fn unreadable(&mut self, path: &Path, error: io::Error) -> Result<(), Stop> {
        let error = accessible(Error::io(format!("cannot look at '{}'", path.display()), error));
        Ok((self.tell)(Found::Unreadable(path, error))?)
    }

    /// A folder could not be listed: for the root that is the end, elsewhere a gap, unless it was removed meanwhile.
    fn missing(&mut self, path: &Path, error: io::Error) -> Result<(), Stop> {
        let is_root = path == self.root;
        if error.kind() == io::ErrorKind::NotFound && !is_root {
            return Ok(());
        }
        let error = accessible(Error::io(format!("cannot list the folder '{}'", path.display()), error));
        if is_root {
            return Err(Stop::Failed(root(self.disk, path).err().unwrap_or(error)));
        }
        Ok((self.tell)(Found::Gap(error))?)
    }

    /// A file system that was unmounted, or a folder that was swapped, looks empty from then on. The root is looked at
    /// when the walk ends.
    fn check_unmoved(&mut self, path: &Path, before: &Stat) -> Result<(), Stop> {
        if path == self.root {
            return Ok(());
        }
        match self.disk.stat(path) {
            Ok(now) if now.identity() == before.identity() => Ok(()),
            Ok(_) => Ok((self.tell)(Found::Gap(replaced(path)))?),
            Err(error) => self.missing(path, error),
        }
    }
}

/// Looks at the root.
pub(crate) fn root(disk: &impl Disk, path: &Path) -> Result<Stat, Error> {
    let shown = path.display();
    match disk.stat(path) {
        Ok(stat) if stat.kind == Kind::Folder => Ok(stat),
        Ok(_) => Err(Error::new(ErrorKind::Config, format!("'{shown}' is no folder"))
            .hint("set 'Directory path' to the folder that holds the files")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let told = Error::new(ErrorKind::NotFound, format!("the folder '{shown}' does not exist"));
            Err(told.hint(
                "set 'Directory path' to a folder on the machine that this service runs on, or mount it",
            ))
        }
        Err(error) => Err(accessible(Error::io(format!("cannot look at the folder '{shown}'"), error))),
    }
}

/// Adds what to do about missing rights.
pub(crate) fn accessible(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Permission => error.hint("give the service the right to read and search it"),
        _ => error.hint("check the disk or mount that it is on"),
    }
}

/// A whole path without the root.
pub(crate) fn below<'p>(root: &Path, path: &'p Path) -> &'p Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn replaced(path: &Path) -> Error {
    let message = format!("'{}' was replaced by something else while it was listed", path.display());
    Error::new(ErrorKind::Unavailable, message).hint("sync again once nobody moves or unmounts it")
}

fn is_dangling(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ELOOP)
}

/// Names of a folder, in order.
struct Names {
    names: Vec<Name>,
    /// Whether there are more after these.
    more: bool,
    /// What ended the reading of the folder early.
    failure: Option<io::Error>,
}

/// The smallest `most` of the wanted names, holding at most twice as many.
fn smallest(
    listed: impl Iterator<Item = io::Result<Name>>,
    wanted: impl Fn(&OsStr) -> bool,
    most: usize,
) -> Names {
    let (mut names, mut more, mut failure): (Vec<Name>, _, _) = (Vec::new(), false, None);
    let by_name = |a: &Name, b: &Name| a.name.cmp(&b.name);
    for name in listed {
        match name {
            Ok(name) if wanted(&name.name) => names.push(name),
            Ok(_) => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
        if names.len() >= most.saturating_mul(2) {
            names.select_nth_unstable_by(most, by_name);
            names.truncate(most);
            more = true;
        }
    }
    names.sort_unstable_by(by_name);
    if names.len() > most {
        names.truncate(most);
        more = true;
    }
    Names { names, more, failure }
}

#[cfg(test)]
mod tests;
