//! Development tasks: `cargo xtask generate [--check]`, `layers`, `new-connector NAME`, `fuzz`, `bench`, `package`.

mod bench;
mod cargo;
mod connectors;
mod fields;
mod fuzz;
mod generate;
mod layers;
mod new_connector;
mod package;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the files that are made from code.
    Generate {
        /// Write nothing; fail when a file is not what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Check that every crate uses only the crates it may.
    Layers,
    /// Make a new source: a folder under `connectors/` that compiles, tests and all.
    NewConnector {
        /// Its name, in lower-case words: `my-shop`.
        name: String,
    },
    /// Look for inputs that break a law, with cargo-fuzz.
    Fuzz(fuzz::Fuzz),
    /// Measure the program: prints seconds, documents per second and peak memory.
    #[command(subcommand)]
    Bench(bench::Bench),
    Package(package::Package),
}

/// What a task says in the end: lines for people, the second when it failed.
type Outcome = Result<String, String>;

fn main() -> ExitCode {
    let root = root();
    let outcome = match Cli::parse().task {
        Task::Generate { check } => generate::run(&root, check),
        Task::Layers => layers::run(&root),
        Task::NewConnector { name } => new_connector::run(&root, &name),
        Task::Fuzz(options) => fuzz::run(&root, &options),
        Task::Bench(bench) => bench::run(&root, &bench),
        Task::Package(options) => package::run(&root, &options),
    };
    report(&outcome)
}

/// The workspace: cargo tells where this package is.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    here.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]
fn report(outcome: &Outcome) -> ExitCode {
    match outcome {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
