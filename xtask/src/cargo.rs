//! Cargo, as it runs these tasks.

use std::env;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo in the workspace, as if called by hand: what the outer cargo says of this package would have it build anew whatever
/// looks at such variables (ring, and all that uses it), and the next call by hand once more.
pub(crate) fn command(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// What cargo has built of a profile. A relative `CARGO_TARGET_DIR` is below the folder that cargo is called in.
pub(crate) fn built(root: &Path, profile: &str) -> PathBuf {
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).join(profile)
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
