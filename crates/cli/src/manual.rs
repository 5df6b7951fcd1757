//! What the command line's own description is turned into: completions for shells, pages for `man`.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::{CliError, Result};
use crate::output;

const PROGRAM: &str = "tributary";

/// `tributary completions`.
pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8(script).map_err(CliError::ours)?;
    output::line(script.trim_end())
}

/// `tributary man`: one page for each command that is not hidden, named as `man` looks for them.
pub(crate) fn pages(folder: &Path) -> Result<()> {
    let mut program = Cli::command();
    program.build();
    page(&program, PROGRAM, folder)
}

fn page(command: &clap::Command, name: &str, folder: &Path) -> Result<()> {
    let mut text = Vec::new();
    let manual = clap_mangen::Man::new(command.clone()).manual("Tributary");
    manual.render(&mut text).map_err(CliError::ours)?;
    let file = folder.join(format!("{name}.1"));
    fs::write(&file, text).map_err(|error| {
        CliError::user(format!("file '{}' cannot be written: {error}", file.display()))
            .hint("name a folder that exists and that you may write to")
    })?;
    let shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    for below in command.get_subcommands().filter(shown) {
        page(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_example() {
        let folder = tempfile::tempdir().unwrap();
        pages(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("tributary.1").contains("tributary\\-connector(1)"), "{}", read("tributary.1"));
        assert!(read("tributary-connector-create.1").contains("\\-\\-service\\-type"));
        let names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(!names.iter().any(|name| name.contains("help") || name == "tributary-man.1"), "{names:?}");
        // A command that has commands below it needs no example of its own.
        let has_below = |name: &str| {
            let start = format!("{}-", name.trim_end_matches(".1"));
            names.iter().any(|other| other.starts_with(&start))
        };
        for name in names.iter().filter(|name| !has_below(name)) {
            assert!(read(name).contains("Example"), "{name} has no example");
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = pages(Path::new("/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/tributary.1"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
