//! Which crate may use which: dependencies point down, and only where they are meant to.

use std::path::Path;

use serde::Deserialize;

use crate::{Outcome, cargo};

/// Crates as folders name them, each with those it may use. `*` stands for any.
const MAY_USE: &[(&str, &[&str])] = &[
    // Level 0
    ("schedule", &[]),
    ("tasks", &[]),
    ("sdk-macros", &[]),
    ("store", &[]),
    // The protocol checks schedules with the one parser there is.
    ("protocol", &["schedule"]),
    // Level 1
    ("settings", &["protocol"]),
    ("client", &["protocol", "tasks"]),
    ("sdk", &["protocol", "tasks", "sdk-macros"]),
    ("node", &["protocol", "tasks", "store"]),
    // Level 2
    ("engine", &["protocol", "tasks", "sdk"]),
    // What sources of one family share.
    ("sql", &["sdk"]),
    ("connector-*", &["sdk", "sql"]),
    // Level 3
    ("daemon", &["protocol", "tasks", "schedule", "settings", "client", "sdk", "engine"]),
    ("console", &["protocol", "tasks", "client"]),
    ("connectors", &["sdk", "connector-*"]),
    // Level 4
    ("cli", &["*"]),
    ("xtask", &["settings", "connectors", "sdk"]),
    ("benches", &["*"]),
    // The laws that fuzzing tries.
    ("laws", &["protocol", "schedule", "tasks", "store", "node"]),
    // For tests only; see `DEV_ONLY`.
    ("testkit", &["protocol", "tasks", "sdk"]),
    ("harness", &["*"]),
];

/// Crates that may be used in tests, by all, and nowhere else.
const DEV_ONLY: &[&str] = &["testkit", "harness"];

/// The prefix of all package names; the binary's package is `PREFIX` alone or with `cli`.
const PREFIX: &str = "tributary";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// Checks the workspace.
pub(crate) fn run(root: &Path) -> Outcome {
    let output = cargo::command(root)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .map_err(|error| format!("cargo metadata cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata cannot be understood: {error}"))?;
    check(&metadata)
}

fn check(metadata: &Metadata) -> Outcome {
    let wrong: Vec<String> = metadata.packages.iter().flat_map(faults).collect();
    if wrong.is_empty() {
        Ok(format!("{} crates use only what they may", metadata.packages.len()))
    } else {
        Err(format!("{}\nThe table is in xtask/src/layers.rs.", wrong.join("\n")))
    }
}

fn faults(package: &Package) -> Vec<String> {
    let Some(user) = short(&package.name) else { return Vec::new() };
    let Some((_, allowed)) = MAY_USE.iter().find(|(pattern, _)| matches(pattern, user)) else {
        return vec![format!("{user} is not in the table of crates")];
    };
    let used = package.dependencies.iter().filter_map(|dependency| {
        let used = short(&dependency.name).filter(|used| *used != user)?;
        let in_tests = dependency.kind.as_deref() == Some("dev");
        let fine = match DEV_ONLY.contains(&used) {
            true => in_tests || DEV_ONLY.contains(&user),
            false => allowed.iter().any(|pattern| matches(pattern, used)),
        };
        (!fine).then(|| format!("{user} may not use {used}{}", if in_tests { " in tests" } else { "" }))
    });
    used.collect()
}

/// A package's name as the table has it; `None` for packages of others.
fn short(name: &str) -> Option<&str> {
    match name.strip_prefix(PREFIX)? {
        "" => Some("cli"),
        rest => rest.strip_prefix('-'),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, used: &str, kind: Option<&str>) -> Outcome {
        let dependency = Dependency { name: used.to_owned(), kind: kind.map(str::to_owned) };
        check(&Metadata { packages: vec![Package { name: name.to_owned(), dependencies: vec![dependency] }] })
    }

    #[test]
    fn only_the_edges_of_the_table_are_allowed() {
        for (user, used, kind, fine) in [
            ("tributary-protocol", "tributary-schedule", None, true),
            ("tributary-schedule", "tributary-protocol", None, false),
            ("tributary-connector-dir", "tributary-sdk", None, true),
            ("tributary-connector-dir", "tributary-engine", None, false),
            ("tributary-connector-dir", "tributary-engine", Some("dev"), false),
            ("tributary-connectors", "tributary-connector-dir", None, true),
            ("tributary-engine", "tributary-testkit", Some("dev"), true),
            ("tributary-engine", "tributary-testkit", None, false),
            ("tributary-cli", "tributary-node", None, true),
            ("tributary-cli", "tributary-harness", None, false),
            ("tributary", "tributary-node", None, true),
            ("tributary-engine", "serde", None, true),
            ("tributary-unheard-of", "serde", None, false),
        ] {
            assert_eq!(one(user, used, kind).is_ok(), fine, "{user} -> {used} {kind:?}");
        }
    }
}
