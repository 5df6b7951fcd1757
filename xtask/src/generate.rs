//! Files made from code, so that they cannot differ from it.

use std::fs;
use std::path::Path;

use crate::{Outcome, connectors};

/// A file, from the workspace's root, and what makes its content.
type Generated = (&'static str, fn() -> String);

/// All generated files. Add yours here.
const FILES: &[Generated] = &[
    ("config.example.yml", tributary_settings::example_yaml),
    ("docs/configuration.md", tributary_settings::reference_markdown),
];

/// Writes the files that differ, or names them when `check` is set.
pub(crate) fn run(root: &Path, check: bool) -> Outcome {
    let files = all(root)?;
    let stale: Vec<_> = files
        .iter()
        .filter(|(path, content)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(content))
        .collect();
    let names = stale.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
    if stale.is_empty() {
        return Ok(format!("{} generated files are up to date", files.len()));
    }
    if check {
        return Err(format!("not what the code says: {names}; run `cargo xtask generate`"));
    }
    for (path, content) in stale {
        write(&root.join(path), content).map_err(|error| format!("{path} cannot be written: {error}"))?;
    }
    Ok(format!("written: {names}"))
}

/// All generated files with what belongs into them.
fn all(root: &Path) -> Result<Vec<(String, String)>, String> {
    let mut files: Vec<_> = FILES.iter().map(|(path, make)| ((*path).to_owned(), make())).collect();
    if root.join("connectors").exists() {
        let sources = connectors::found(root)?;
        files.push((connectors::MANIFEST.to_owned(), connectors::manifest(&sources)));
        files.push((connectors::REGISTRY.to_owned(), connectors::registry(&sources)));
        files.extend(connectors::pages(root, &sources));
    }
    Ok(files)
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
