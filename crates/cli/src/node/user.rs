//! `tributary node user`: who may come in.

use serde_json::json;
use tributary_node::{Password, UserFile};

use crate::args::{UserCommand, UsersArgs};
use crate::error::{CliError, Result};
use crate::output::Format;
use crate::{output, target, terminal};

/// When a change holds.
const WHEN: &str = "a running node takes it over when it gets SIGHUP";

pub(super) fn run(command: UserCommand) -> Result<()> {
    match command {
        UserCommand::Add { name, users } => add(&name, &file(&users)?),
        UserCommand::Remove { name, users } => remove(&name, &file(&users)?),
        UserCommand::List { users, output } => list(&file(&users)?, output.output),
    }
}

fn file(args: &UsersArgs) -> Result<UserFile> {
    let data = args.data.as_ref().map(|data| ("tributary.data_dir", data.display().to_string()));
    let overrides: Vec<_> = data.into_iter().collect();
    let settings = target::settings(args.config.as_deref(), &overrides)?;
    Ok(UserFile::new(settings.tributary.node.users_file))
}

fn add(name: &str, file: &UserFile) -> Result<()> {
    let new = file.set(name, &password(name)?)?;
    let done = if new { "added to" } else { "has a new password in" };
    output::line(format!("user '{name}' {done} {}; {WHEN}", file.path().display()))
}

/// From the terminal, twice, or from the first line of standard input: arguments can be seen by other users.
fn password(name: &str) -> Result<Password> {
    if !terminal::can_ask() {
        return terminal::line().map(Password::new);
    }
    let password = terminal::ask(&format!("Password of '{name}'"), true)?;
    if terminal::ask("Once more", true)? != password {
        return Err(CliError::user("the two passwords differ, nothing was changed"));
    }
    Ok(Password::new(password))
}

fn remove(name: &str, file: &UserFile) -> Result<()> {
    if !file.remove(name)? {
        let path = file.path().display();
        return Err(CliError::user(format!("there is no user '{name}' in {path}"))
            .hint("see `tributary node user list`"));
    }
    let last = file.names()?.is_empty();
    let last = if last {
        "; it was the last: once started again, the node lets everybody of this machine in"
    } else {
        ""
    };
    output::line(format!("user '{name}' removed from {}; {WHEN}{last}", file.path().display()))
}

fn list(file: &UserFile, format: Format) -> Result<()> {
    let names = file.names()?;
    match format {
        Format::Json => output::json(&json!(names)),
        Format::Text if names.is_empty() => {
            output::line("no users: the node lets everybody of this machine in, and nobody else")
        }
        Format::Text => names.into_iter().try_for_each(output::line),
    }
}
