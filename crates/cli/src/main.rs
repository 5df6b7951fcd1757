//! The `tributary` binary: arguments, wiring, error rendering, exit codes.

mod allocator;
mod args;
mod check;
mod connector;
mod convert;
mod embedded;
mod error;
mod extraction;
mod index;
mod job;
mod logging;
mod login;
mod manual;
mod monitoring;
mod node;
mod output;
mod process;
mod progress;
mod quickstart;
mod reload;
mod run;
mod search;
mod secrets;
mod serve;
mod service_manager;
mod signals;
mod source;
mod sync;
mod target;
mod terminal;
mod traces;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::{CliError, Result};

/// How long blocking work may go on after a command has ended.
const BLOCKING_GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    allocator::start();
    std::panic::set_hook(Box::new(|panic| {
        let panic = error::one_line(&panic.to_string());
        // A source's panic may say what it was configured with.
        output::note(format!("error: a defect of tributary: {}", secrets::hidden(&panic)));
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let code = match std::panic::catch_unwind(|| start(cli)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            for line in error.lines() {
                output::note(format!("error: {line}"));
            }
            error.exit_code()
        }
        // The hook has told of it.
        Err(_) => 2,
    };
    ExitCode::from(code)
}

/// Help and version are results; everything else about the arguments is the user's to mend.
fn usage(error: &clap::Error) -> ExitCode {
    let wanted = !error.use_stderr();
    let shown = error.print().is_ok();
    ExitCode::from(u8::from(!(wanted && shown)))
}

fn start(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::ours(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(BLOCKING_GRACE);
    ended
}

async fn dispatch(cli: Cli) -> Result<()> {
    let log = cli.log.as_deref();
    if !matches!(cli.command, Command::Run(_)) {
        // `run` takes form and level of its log from the configuration.
        logging::for_commands(log)?;
    }
    match cli.command {
        Command::Quickstart(args) => Box::pin(quickstart::run(args)).await,
        Command::Run(args) => Box::pin(run::run(args, log)).await,
        Command::Serve(args) => Box::pin(serve::run(args)).await,
        Command::Connector(command) => Box::pin(connector::run(command)).await,
        Command::Job(command) => Box::pin(job::run(command)).await,
        Command::Index(command) => Box::pin(index::run(command)).await,
        Command::Node(command) => Box::pin(node::run(command)).await,
        Command::Login(args) => Box::pin(login::run(args)).await,
        Command::Sync(args) => Box::pin(sync::run(args)).await,
        Command::Search(args) => Box::pin(search::run(args)).await,
        Command::Source(command) => source::run(&command),
        Command::Check(args) => Box::pin(check::run(args)).await,
        Command::Completions(args) => manual::completions(args.shell),
        Command::Man { folder } => manual::pages(&folder),
    }
}
