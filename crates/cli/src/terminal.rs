//! What standard input, output and error are, and asking a person.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::{CliError, Result};

/// Whether errors and progress are seen by a person.
pub(crate) fn stderr_is_one() -> bool {
    io::stderr().is_terminal()
}

/// Whether results are seen by a person.
pub(crate) fn stdout_is_one() -> bool {
    io::stdout().is_terminal()
}

/// Whether there is a person to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line. `hidden` does not show what is typed.
pub(crate) fn ask(question: &str, hidden: bool) -> Result<String> {
    let failed = |error: io::Error| CliError::user(format!("cannot ask on the terminal: {error}"));
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}: ").and_then(|()| stderr.flush()).map_err(failed)?;
    let echo = hidden.then(Echo::off);
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    if let Some(echo) = echo {
        drop(echo);
        writeln!(stderr).map_err(failed)?;
    }
    if read == 0 {
        return Err(CliError::user(format!("no answer to '{question}'")));
    }
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// The first line of standard input, which is no terminal.
pub(crate) fn line() -> Result<String> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| CliError::user(format!("standard input cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks before something that cannot be undone; without a terminal `--yes` is needed.
pub(crate) fn confirm(what: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !can_ask() {
        return Err(CliError::user(format!("{what} needs a confirmation")).hint("add --yes"));
    }
    let answer = ask(&format!("{what}? [y/N]"), false)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(CliError::user("not confirmed, nothing was changed"))
}

/// Keeps the terminal from showing what is typed, until dropped.
struct Echo(Option<rustix::termios::Termios>);

impl Echo {
    fn off() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let changed = tcsetattr(io::stdin(), OptionalActions::Now, &quiet).is_ok();
        Self(changed.then_some(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.0 {
            // Nothing is left to be done about a terminal that went away.
            let _gone = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
