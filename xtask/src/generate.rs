//! Files made from code, so that they cannot differ from it.

use std::fs;
use std::path::Path;

use crate::{Outcome, connectors, fields};

/// A file, from the workspace's root, and what makes its content.
type Generated = (&'static str, fn() -> String);

/// All generated files. Add yours here.
const FILES: &[Generated] = &[
    ("config.example.yml", tributary_settings::example_yaml),
    ("docs/configuration.md", tributary_settings::reference_markdown),
];

/// Writes the files that differ, or names them when `check` is set.
pub(crate) fn run(root: &Path, check: bool) -> Outcome {
    let mut files: Vec<_> = FILES.iter().map(|(path, make)| ((*path).to_owned(), make())).collect();
    let mut stale = Vec::new();
    if root.join("connectors").exists() {
        let sources = connectors::found(root)?;
        let code = vec![
            (connectors::MANIFEST.to_owned(), connectors::manifest(&sources)),
            (connectors::REGISTRY.to_owned(), connectors::registry(&sources)),
        ];
        // What the sources declare is asked of the code that is written here.
        stale.extend(settle(root, &code, check)?);
        if check && !stale.is_empty() {
            return Err(differ(&stale));
        }
        files.extend(code);
        files.extend(connectors::pages(root, &sources, &fields::read(root)?)?);
    }
    stale.extend(settle(root, &files, check)?);
    match (stale.is_empty(), check) {
        (true, _) => Ok(format!("{} generated files are up to date", files.len())),
        (false, true) => Err(differ(&stale)),
        (false, false) => Ok(format!("written: {}", stale.join(", "))),
    }
}

fn differ(stale: &[String]) -> String {
    format!("not what the code says: {}; run `cargo xtask generate`", stale.join(", "))
}

/// Writes what differs, unless `check` is set, and names it.
fn settle(root: &Path, files: &[(String, String)], check: bool) -> Result<Vec<String>, String> {
    let mut stale = Vec::new();
    for (path, content) in files {
        if fs::read_to_string(root.join(path)).ok().as_ref() == Some(content) {
            continue;
        }
        if !check {
            write(&root.join(path), content).map_err(|error| format!("{path} cannot be written: {error}"))?;
        }
        stale.push(path.clone());
    }
    Ok(stale)
}

fn write(path: &Path, content: &str) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_fails_until_the_files_are_written_and_writes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let wrong = run(root.path(), true).unwrap_err();
        assert!(wrong.contains("config.example.yml") && !root.path().join("docs").exists(), "{wrong}");
        run(root.path(), false).unwrap();
        run(root.path(), true).unwrap();
        fs::write(root.path().join("config.example.yml"), "edited").unwrap();
        assert!(!run(root.path(), true).unwrap_err().contains("docs"));
    }
}
