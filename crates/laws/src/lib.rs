//! What must hold for any input at all: one function for each fuzz target. A broken law panics, which is how a fuzzer
//! learns of it.
//!
//! `fuzz/` runs them under libFuzzer; the test `seeds` runs them on the seeds and on random changes of these, on stable.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a broken law ends the process")]

#[cfg(feature = "node")]
mod bulk;
mod configuration;
mod connector;
#[cfg(feature = "node")]
mod contexts;
mod cron;
#[cfg(feature = "node")]
mod pipeline;
mod rules;
#[cfg(feature = "node")]
mod search;
#[cfg(feature = "node")]
mod world;

/// A law and the name of its fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the target and of its folder of seeds.
    pub name: &'static str,
    /// Panics when the law does not hold for an input.
    pub law: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "node")]
    Target { name: "bulk", law: bulk::law },
    Target { name: "configuration", law: configuration::law },
    Target { name: "connector", law: connector::law },
    #[cfg(feature = "node")]
    Target { name: "contexts", law: contexts::law },
    Target { name: "cron", law: cron::law },
    #[cfg(feature = "node")]
    Target { name: "pipeline", law: pipeline::law },
    Target { name: "rules", law: rules::law },
    #[cfg(feature = "node")]
    Target { name: "search", law: search::law },
];

/// The law of a target.
///
/// # Panics
/// When there is no target of that name.
#[must_use]
pub fn law(name: &str) -> fn(&[u8]) {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target is called {name}")).law
}
