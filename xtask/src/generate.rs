//! Files made from code, so that they cannot differ from it.

use std::fs;
use std::path::Path;

use crate::Outcome;

/// A file, from the workspace's root, and what makes its content.
type Generated = (&'static str, fn() -> String);

/// All generated files. Add yours here.
const FILES: &[Generated] = &[
    ("config.example.yml", tributary_settings::example_yaml),
    ("docs/configuration.md", tributary_settings::reference_markdown),
];

/// Writes the files that differ, or names them when `check` is set.
pub(crate) fn run(root: &Path, check: bool) -> Outcome {
    let stale: Vec<_> = FILES
        .iter()
        .filter(|(path, make)| fs::read_to_string(root.join(path)).ok() != Some(make()))
        .collect();
    let names = stale.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ");
    if stale.is_empty() {
        return Ok(format!("{} generated files are up to date", FILES.len()));
    }
    if check {
        return Err(format!("not what the code says: {names}; run `cargo xtask generate`"));
    }
    for (path, make) in stale {
        write(&root.join(path), &make()).map_err(|error| format!("{path} cannot be written: {error}"))?;
    }
    Ok(format!("written: {names}"))
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
