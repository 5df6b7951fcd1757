//! The program `tributary-bench` (folder `benches/`), whose parts run in processes of their own: a sink for bulk
//! requests, a bare bulk loader, a sync.

use std::io::{BufRead, BufReader, Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::cargo;

/// Builds the program, and says where it is.
pub(super) fn build(root: &Path) -> Result<PathBuf> {
    cargo::release(root, "tributary-benches", "tributary-bench")
}

/// Runs one part to its end and reads the line of JSON it prints.
pub(super) fn run<S: AsRef<str>>(binary: &Path, arguments: &[S]) -> Result<Value> {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let output = Command::new(binary).args(&arguments).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("{} failed: {}", arguments.join(" "), said.trim())));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A server that reads bulk requests, answers them as Elasticsearch does, and stores no documents.
pub(super) struct Sink {
    child: Child,
    url: String,
}

impl Sink {
    /// Starts one. With `keep` it remembers ids and fingerprints, as syncs of an index that is not empty need it.
    pub(super) fn start(binary: &Path, keep: bool) -> Result<Self> {
        let mut child = Command::new(binary)
            .arg("sink")
            .args(keep.then_some("--keep"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Error::other("the sink has no output"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = serde_json::from_str(&line).map_err(|_| Error::other("the sink did not start"));
        match url {
            Ok(url) => Ok(Self { child, url }),
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                Err(error)
            }
        }
    }

    /// Its address for clients.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Sink {
    /// It ends with its input.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
