//! Cargo, as it runs these tasks.

use std::env;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo in the workspace.
pub(crate) fn command(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// What cargo has built of a profile.
pub(crate) fn built(root: &Path, profile: &str) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join(profile)
}

/// Builds a program as users get it, and says where it is.
pub(crate) fn release(root: &Path, package: &str, program: &str) -> Result<PathBuf> {
    let mut build = command(root);
    build.args(["build", "--release", "--locked", "--package", package, "--bin", program]);
    if !build.status()?.success() {
        return Err(Error::other("the release build failed"));
    }
    Ok(built(root, "release").join(program))
}
