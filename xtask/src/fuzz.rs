//! Fuzzing: runs the targets of `fuzz/` one after the other, each for a while.

use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::Outcome;

/// What is fuzzed, and for how long.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// The target; all when none is named.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// Runs the targets until one fails.
pub(crate) fn run(root: &Path, options: &Fuzz) -> Outcome {
    let known = targets(root)?;
    let wanted: Vec<&String> = match &options.target {
        None => known.iter().collect(),
        Some(name) => known.iter().filter(|known| *known == name).collect(),
    };
    if wanted.is_empty() {
        return Err(format!("there is no such target; there are {}", known.join(", ")));
    }
    for target in &wanted {
        // What is found lies in `corpus`, which git ignores; the seeds stay as they are.
        let corpus = root.join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
        let status = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", target])
            .args([corpus, root.join("fuzz/seeds").join(target)])
            .args(["--", "-max_len=4096", "-print_final_stats=1"])
            .arg(format!("-max_total_time={}", options.seconds))
            .current_dir(root)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .status()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !status.success() {
            return Err(format!(
                "{target} ended with {status}: see fuzz/README.md for what to do with a finding"
            ));
        }
    }
    Ok(format!("{} targets ran for {} s each without a finding", wanted.len(), options.seconds))
}

/// The targets there are.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = |file: std::fs::DirEntry| Some(file.path().file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = files.flatten().filter_map(name).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_there_is_refused_with_those_that_are() {
        let options = Fuzz { target: Some("nothing".to_owned()), seconds: 1 };
        let refused = run(&crate::root(), &options).unwrap_err();
        assert!(refused.contains("bulk, configuration, connector"), "{refused}");
    }
}
