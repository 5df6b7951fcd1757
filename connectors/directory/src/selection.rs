use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tributary_sdk::{Error, ErrorKind, Result};

/// Which files of the folder are listed. Paths are relative to it.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pattern: GlobMatcher,
    /// One per level, as far as the pattern tells which folders can hold a file: `docs/**` needs only `docs`.
    levels: Vec<GlobMatcher>,
    /// Whether there may be files below the last of the levels.
    deeper: bool,
    exclude: Gitignore,
}

impl Selection {
    /// Reads the patterns.
    pub(crate) fn new(pattern: &str, exclude: &[String]) -> Result<Self> {
        let text = pattern.strip_prefix("./").unwrap_or(pattern);
        if Path::new(text).components().any(|part| !matches!(part, Component::Normal(_))) {
            let message =
                format!("'File glob-like pattern' value '{pattern}' should be relative to the folder.");
            return Err(
                Error::new(ErrorKind::Config, message).hint("write it without a leading / and without ..")
            );
        }
        let (levels, deeper) = levels(text)?;
        Ok(Self { pattern: glob(text)?, levels, deeper, exclude: excluded(exclude)? })
    }

    /// Whether a file is listed.
    pub(crate) fn takes_file(&self, path: &Path) -> bool {
        self.pattern.is_match(path) && !self.excludes(path, false)
    }

    /// Whether a folder may hold files that are listed.
    pub(crate) fn enters(&self, path: &Path) -> bool {
        let mut levels = self.levels.iter();
        let fits = path.components().all(|part| match levels.next() {
            Some(level) => level.is_match(Path::new(part.as_os_str())),
            None => self.deeper,
        });
        fits && !self.excludes(path, true)
    }

    fn excludes(&self, path: &Path, is_folder: bool) -> bool {
        !self.exclude.is_empty() && self.exclude.matched(path, is_folder).is_ignore()
    }
}

/// The pattern's folders up to the first that stands for any number of them.
fn levels(pattern: &str) -> Result<(Vec<GlobMatcher>, bool)> {
    // Alternatives may contain folders, and then say nothing about single levels.
    if pattern.contains(['{', '\\', '[']) {
        return Ok((Vec::new(), true));
    }
    let folders: Vec<&str> = pattern.split('/').collect();
    let folders = &folders[..folders.len() - 1];
    let known = folders.iter().position(|folder| folder.contains("**")).unwrap_or(folders.len());
    let levels = folders[..known].iter().map(|folder| glob(folder)).collect::<Result<_>>()?;
    Ok((levels, known < folders.len() || pattern.ends_with("**")))
}

fn glob(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
        Error::new(ErrorKind::Config, format!("'File glob-like pattern' value '{pattern}' should be a glob."))
            .because(error.kind().to_string())
            .hint("for example **/*.md")
    })?;
    Ok(glob.compile_matcher())
}

fn excluded(patterns: &[String]) -> Result<Gitignore> {
    let refused = |pattern: &str, error: ignore::Error| {
        Error::new(
            ErrorKind::Config,
            format!("'Excluded files and folders' value '{pattern}' should be a pattern."),
        )
        .because(error)
        .hint("write patterns as in a .gitignore file, such as *.tmp")
    };
    // Matching is done on paths below the folder, so the root is empty.
    let mut builder = GitignoreBuilder::new(PathBuf::new());
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| refused(pattern, error))?;
    }
    builder.build().map_err(|error| refused(&patterns.join(", "), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(pattern: &str, path: &str) -> bool {
        Selection::new(pattern, &[]).unwrap().takes_file(Path::new(path))
    }

    fn enters(pattern: &str, path: &str) -> bool {
        Selection::new(pattern, &[]).unwrap().enters(Path::new(path))
    }

    #[test]
    fn the_pattern_reads_as_in_other_implementations_of_this_source() {
        for (pattern, path, expected) in [
            ("**/*.*", "a.txt", true),
            ("**/*.*", "a/b/c.txt", true),
            ("**/*.*", "a/.hidden", true),
            ("**/*.*", "a.d/Makefile", false),
            ("*.txt", "a/b.txt", false),
            ("./*.txt", "b.txt", true),
            ("docs/**/*.md", "docs/a.md", true),
            ("docs/**/*.md", "docs/x/y/a.md", true),
            ("docs/**/*.md", "src/a.md", false),
            ("**", "a/b", true),
            ("?.[ab]", "x.b", true),
            ("?.[!ab]", "x.b", false),
            ("*.{md,txt}", "x.txt", true),
        ] {
            assert_eq!(takes(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn folders_that_cannot_hold_a_file_of_the_pattern_are_not_entered() {
        for (pattern, folder, expected) in [
            ("**/*.*", "a/b/c", true),
            ("**", "a/b", true),
            ("*.txt", "a", false),
            ("docs/**/*.md", "docs/x/y", true),
            ("docs/**/*.md", "src", false),
            ("*/img/*.png", "a", true),
            ("*/img/*.png", "a/img", true),
            ("*/img/*.png", "a/txt", false),
            ("*/img/*.png", "a/img/deep", false),
            ("docs/**", "docs/a/b", true),
            ("{a,b/c}/*.md", "b/c", true),
        ] {
            assert_eq!(enters(pattern, folder), expected, "{pattern} on {folder}");
        }
    }

    #[test]
    fn exclusions_read_as_in_a_gitignore_file() {
        let exclude = [".git", "*.tmp", "/build/", "!keep.tmp"].map(str::to_owned);
        let selection = Selection::new("**", &exclude).unwrap();
        for (path, expected) in
            [("a.tmp", false), ("x/a.tmp", false), ("x/keep.tmp", true), ("build", true), ("x/a.md", true)]
        {
            assert_eq!(selection.takes_file(Path::new(path)), expected, "{path}");
        }
        for (path, expected) in [("build", false), ("x/build", true), ("x/.git", false), ("src", true)] {
            assert_eq!(selection.enters(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn patterns_that_cannot_work_are_refused_with_a_hint() {
        for pattern in ["/etc/*", "../*", "a/../b", "a[", "{a"] {
            let error = Selection::new(pattern, &[]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(pattern) && error.hint_text().is_some(), "{error}");
        }
        let error = Selection::new("**", &["a{".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("'a{'"), "{error}");
    }
}
