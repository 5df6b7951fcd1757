//! The official Python client drives a node and a daemon, method by method.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{World, stop, tributary};

/// The repository's `tests/python`.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python")
}

/// A Python with the official client: a virtual environment below the target folder, made at first use.
fn python() -> PathBuf {
    let requirements = scripts().join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed"));
    if std::fs::read_to_string(&stamp).ok().as_deref() != Some(&wanted) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(&requirements));
        std::fs::write(stamp, wanted).unwrap();
    }
    python
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} failed: {stdout}{stderr}");
    stdout
}

#[test]
fn every_connector_method_of_the_python_client_works() {
    let python = python();
    let world = World::new();
    for n in 0..20 {
        world.write(&format!("notes/{n}.md"), &format!("needle{n} in a haystack"));
    }
    let data = world.data().display().to_string();
    let mut daemon = tributary().start(["run", "--embedded", "--listen", "127.0.0.1:0", "--data", &data]);
    let url = daemon.url();
    let said =
        run(Command::new(python).arg(scripts().join("connector_client.py")).arg(&url).arg(world.files()));
    assert_eq!(said.trim(), "ok");
    stop(daemon);
}
