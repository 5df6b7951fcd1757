use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::disk::Instant;

/// What there is, each with its inode number.
type Nodes = BTreeMap<PathBuf, (Kind, u64)>;

/// A file system in memory, with planned failures.
#[derive(Default)]
struct Memory {
    nodes: RefCell<Nodes>,
    /// Folders and files that cannot be looked at.
    broken: BTreeMap<PathBuf, io::ErrorKind>,
    /// Folders that cannot be listed.
    closed: BTreeMap<PathBuf, io::ErrorKind>,
    /// Folders whose listing breaks off after so many names.
    breaks_off: BTreeMap<PathBuf, usize>,
    /// Happens after a folder was listed.
    then: BTreeMap<PathBuf, fn(&mut Nodes)>,
    listings: Cell<usize>,
}

impl Memory {
    /// A tree of files; what ends with `/` is a folder, with `|` a pipe.
    fn of(paths: &[&str]) -> Self {
        let memory = Self::default();
        memory.nodes.borrow_mut().insert(PathBuf::from("/root"), (Kind::Folder, 1));
        for path in paths {
            let kind = match path {
                path if path.ends_with('/') => Kind::Folder,
                path if path.ends_with('|') => Kind::Special,
                _ => Kind::File,
            };
            let path = Path::new("/root").join(path.trim_end_matches(['/', '|']));
            let mut nodes = memory.nodes.borrow_mut();
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with("/root")) {
                let inode = nodes.len() as u64 + 1;
                nodes.entry(folder.to_owned()).or_insert((Kind::Folder, inode));
            }
            let inode = nodes.len() as u64 + 1;
            nodes.insert(path, (kind, inode));
        }
        memory
    }

    /// Everything that a walk comes upon, and how it ends.
    fn walk(&self, after: Option<&str>, most: usize) -> Vec<String> {
        let found = RefCell::new(Vec::new());
        let selection = Selection::new("**", &["no".to_owned()]).unwrap();
        let tell = |event: Found<'_>| {
            let shown = |path: &Path| below(Path::new("/root"), path).display().to_string();
            found.borrow_mut().push(match event {
                Found::File(path, _) => shown(path),
                Found::Unreadable(path, error) => format!("unreadable {}: {}", shown(path), error.report()),
                Found::Gap(error) => format!("gap: {}", error.report()),
            });
            Ok(())
        };
        let walk = Walk { most, ..Walk::new(self, Path::new("/root"), &selection, true, tell) };
        let end = walk.run(after.map(Path::new));
        let mut found = found.into_inner();
        match end {
            Ok(()) => {}
            Err(Stop::Gone) => found.push("gone".to_owned()),
            Err(Stop::Failed(error)) => found.push(format!("failed: {}", error.report())),
        }
        found
    }
}

impl Disk for Memory {
    fn names(&self, folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Name>>> {
        self.listings.set(self.listings.get() + 1);
        if let Some(kind) = self.closed.get(folder) {
            return Err((*kind).into());
        }
        let nodes = self.nodes.borrow();
        if !nodes.contains_key(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = nodes.iter().filter(|(path, _)| path.parent() == Some(folder));
        let name = |(path, (kind, _)): (&PathBuf, &(Kind, u64))| Name {
            name: path.file_name().unwrap().to_owned(),
            kind: *kind,
        };
        // The order of a file system says nothing.
        let mut names: Vec<io::Result<Name>> = children.map(name).map(Ok).rev().collect();
        if let Some(after) = self.breaks_off.get(folder) {
            names.truncate(*after);
            names.push(Err(io::Error::other("the disk failed")));
        }
        drop(nodes);
        if let Some(then) = self.then.get(folder) {
            then(&mut self.nodes.borrow_mut());
        }
        Ok(names.into_iter())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        if let Some(kind) = self.broken.get(path) {
            return Err((*kind).into());
        }
        let nodes = self.nodes.borrow();
        let (kind, inode) = *nodes.get(path).ok_or(io::ErrorKind::NotFound)?;
        let never = Instant { seconds: 0, nanos: 0 };
        Ok(Stat {
            // A link in this file system is one to the root.
            kind: if kind == Kind::Link { Kind::Folder } else { kind },
            device: 1,
            inode: if kind == Kind::Link { 1 } else { inode },
            mode: 0,
            links: 1,
            uid: 0,
            gid: 0,
            size: 0,
            modified: never,
            changed: never,
            accessed: never,
        })
    }
}

fn everything(memory: &Memory) -> Vec<String> {
    memory.walk(None, NAMES)
}

#[test]
fn files_come_in_the_order_of_their_paths() {
    let memory = Memory::of(&["b", "a/z", "a/b/c", "a.txt", "empty/", "pipe|", "c"]);
    assert_eq!(everything(&memory), ["a/b/c", "a/z", "a.txt", "b", "c"]);
}

#[test]
fn a_folder_that_cannot_be_listed_is_a_gap_and_the_rest_is_listed() {
    let mut memory = Memory::of(&["a/x", "b/y", "c/z"]);
    memory.closed.insert("/root/a".into(), io::ErrorKind::PermissionDenied);
    memory.broken.insert("/root/b".into(), io::ErrorKind::TimedOut);
    let found = everything(&memory);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("gap: cannot list the folder '/root/a': permission denied (give"),
        "{found:?}"
    );
    assert!(found[1].starts_with("gap: cannot list the folder '/root/b': timed out"), "{found:?}");
    assert_eq!(found[2], "c/z");
}

#[test]
fn an_excluded_folder_that_cannot_be_listed_is_no_gap() {
    let mut memory = Memory::of(&["no/x", "b"]);
    memory.closed.insert("/root/no".into(), io::ErrorKind::PermissionDenied);
    assert_eq!(everything(&memory), ["b"]);
}

#[test]
fn a_listing_that_breaks_off_is_a_gap_after_what_was_found() {
    let mut memory = Memory::of(&["a/x", "a/y", "a/z", "b"]);
    memory.breaks_off.insert("/root/a".into(), 2);
    let found = everything(&memory);
    assert_eq!(
        (found.len(), &found[..2], found[3].as_str()),
        (4, &["a/y".to_owned(), "a/z".to_owned()][..], "b")
    );
    assert!(found[2].contains("the disk failed"), "{found:?}");
}

#[test]
fn a_file_that_nobody_can_look_at_is_told_and_one_that_vanished_is_not() {
    let mut memory = Memory::of(&["a", "b", "c"]);
    memory.broken.insert("/root/a".into(), io::ErrorKind::PermissionDenied);
    memory.broken.insert("/root/b".into(), io::ErrorKind::NotFound);
    let found = everything(&memory);
    assert_eq!((found.len(), found[1].as_str()), (2, "c"));
    assert!(found[0].starts_with("unreadable a: cannot look at '/root/a': permission denied"), "{found:?}");
}

#[test]
fn a_folder_that_was_removed_meanwhile_is_no_gap() {
    let mut memory = Memory::of(&["a/x", "b"]);
    memory.then.insert("/root".into(), |nodes| nodes.retain(|path, _| !path.starts_with("/root/a")));
    assert_eq!(everything(&memory), ["b"]);
}

#[test]
fn a_folder_that_was_swapped_or_unmounted_meanwhile_is_a_gap() {
    let mut memory = Memory::of(&["a/x", "b"]);
    memory.then.insert("/root/a".into(), |nodes| {
        nodes.remove(Path::new("/root/a/x"));
        nodes.insert("/root/a".into(), (Kind::Folder, 99));
    });
    let found = everything(&memory);
    assert!(found[0].starts_with("gap: '/root/a' was replaced"), "{found:?}");
    assert_eq!(found[1], "b");
}

#[test]
fn a_root_that_disappears_is_never_a_clean_end() {
    for (gone, told) in [
        (None, "does not exist"),
        (Some((Kind::Folder, 99)), "was replaced by something else"),
        (Some((Kind::File, 99)), "is no folder"),
    ] {
        // Function pointers carry nothing, so each case has its own.
        let vanish: fn(&mut Nodes) = match gone {
            None => BTreeMap::clear,
            Some((Kind::Folder, _)) => |nodes| {
                nodes.clear();
                nodes.insert("/root".into(), (Kind::Folder, 99));
            },
            Some(_) => |nodes| {
                nodes.clear();
                nodes.insert("/root".into(), (Kind::File, 99));
            },
        };
        for at in ["/root", "/root/a", "/root/a/b"] {
            let mut memory = Memory::of(&["a/b/c", "d"]);
            memory.then.insert(at.into(), vanish);
            let found = everything(&memory);
            let last = found.last().unwrap();
            assert!(last.starts_with("failed: ") || last.starts_with("gap: "), "{at}: {found:?}");
            assert!(found.iter().any(|line| line.contains(told)), "{at}, {told}: {found:?}");
        }
    }
}

#[test]
fn a_missing_or_closed_root_fails() {
    assert!(everything(&Memory::default())[0].starts_with("failed: the folder '/root' does not exist"));
    let mut memory = Memory::of(&["a"]);
    memory.closed.insert("/root".into(), io::ErrorKind::PermissionDenied);
    assert!(everything(&memory)[0].starts_with("failed: cannot list the folder '/root'"));
}

#[test]
fn a_link_that_leads_back_up_is_not_followed() {
    let memory = Memory::of(&["a/x", "b"]);
    memory.nodes.borrow_mut().insert("/root/a/loop".into(), (Kind::Link, 50));
    assert_eq!(everything(&memory), ["a/x", "b"]);
}

#[test]
fn a_reader_that_has_gone_stops_the_walk_at_once() {
    let memory = Memory::of(&["a", "b", "c/d"]);
    let selection = Selection::new("**", &[]).unwrap();
    let mut told = 0;
    let tell = |_: Found<'_>| {
        told += 1;
        Err(Gone)
    };
    let end = Walk::new(&memory, Path::new("/root"), &selection, false, tell).run(None);
    assert!(matches!(end, Err(Stop::Gone)));
    assert_eq!((told, memory.listings.get()), (1, 1));
}

#[test]
fn a_large_folder_is_read_in_passes() {
    let names: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
    let memory = Memory::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(memory.walk(None, 8), names);
    assert!(memory.listings.get() >= 6, "{}", memory.listings.get());
}

#[test]
fn a_path_that_changed_its_kind_is_told_again_after_a_checkpoint() {
    // `a` was a file that was told, and is a folder now; `b/c` was told, and `b` is a file now.
    assert_eq!(Memory::of(&["a/x", "b"]).walk(Some("a"), NAMES), ["a/x", "b"]);
    assert_eq!(Memory::of(&["a", "b"]).walk(Some("b/c"), NAMES), ["b"]);
}

proptest! {
    #[test]
    fn a_walk_after_any_path_finds_exactly_what_comes_later(
        paths in proptest::collection::btree_set("[ab.]{1,2}(/[ab.]{1,2}){0,3}", 1..20),
        most in 1..5_usize,
    ) {
        // A path cannot be a file and a folder, and `.` and `..` are no names.
        let is_folder = |path: &String| paths.iter().any(|other| other.starts_with(&format!("{path}/")));
        let plain = |path: &String| path.split('/').all(|part| !part.trim_matches('.').is_empty());
        let files: BTreeSet<&String> = paths.iter().filter(|path| plain(path) && !is_folder(path)).collect();
        let memory = Memory::of(&files.iter().map(|path| path.as_str()).collect::<Vec<_>>());
        let all = memory.walk(None, most);
        let mut sorted: Vec<String> = files.iter().map(|path| (*path).clone()).collect();
        sorted.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        prop_assert_eq!(&all, &sorted);
        for (at, after) in all.iter().enumerate() {
            prop_assert_eq!(&memory.walk(Some(after), most)[..], &all[at + 1..]);
        }
        // Also after a path that is gone; a file `a` was a folder when it was passed, so it was not told.
        let after = "a/zz";
        let is_later = |path: &&String| path.split('/').cmp(after.split('/')).is_gt() || *path == "a";
        let later: Vec<String> = all.iter().filter(is_later).cloned().collect();
        prop_assert_eq!(memory.walk(Some(after), most), later);
    }
}
