//! Errors as the user meets them: one line that names the thing, one line that says what to do, an exit code.

use std::fmt;

use tributary_client::{ClientError, ErrorKind};
use tributary_daemon::DaemonError;
use tributary_node::NodeError;
use tributary_settings::Problems;
use tributary_store::StoreError;

/// Whose turn it is to mend something; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The user can mend it: exit code 1.
    User,
    /// It is our defect, or the machine's: exit code 2.
    Ours,
}

/// What ends a command.
#[derive(Debug)]
pub(crate) struct CliError {
    fault: Fault,
    /// One line for each thing that is wrong.
    messages: Vec<String>,
    hint: Option<String>,
}

pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    /// Something the user can mend.
    pub(crate) fn user(message: impl fmt::Display) -> Self {
        Self { fault: Fault::User, messages: vec![message.to_string()], hint: None }
    }

    /// Several things the user can mend, one line each.
    pub(crate) fn all<M: fmt::Display>(messages: impl IntoIterator<Item = M>) -> Self {
        let messages = messages.into_iter().map(|message| message.to_string()).collect();
        Self { fault: Fault::User, messages, hint: None }
    }

    /// Something the user cannot mend.
    pub(crate) fn ours(message: impl fmt::Display) -> Self {
        Self { fault: Fault::Ours, messages: vec![message.to_string()], hint: None }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::User => 1,
            Fault::Ours => 2,
        }
    }

    /// What to print: one line for each thing that is wrong, the hint with the last.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.messages.iter().map(|message| one_line(message)).collect();
        if let (Some(last), Some(hint)) = (lines.last_mut(), &self.hint) {
            last.push_str(&format!(" ({})", one_line(hint)));
        }
        lines
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let ours = matches!(error.kind(), ErrorKind::Server | ErrorKind::BadAnswer);
        let cli = if ours { Self::ours(&error) } else { Self::user(&error) };
        match hint_of(&error) {
            Some(hint) => cli.hint(hint),
            None => cli,
        }
    }
}

/// What a person at the command line does about a failed call.
fn hint_of(error: &ClientError) -> Option<&str> {
    match error.kind() {
        _ if error.es_type() == Some("cluster_block_exception") => {
            Some("free space on the disk that holds the data")
        }
        ErrorKind::Unreachable if error.reason().contains("UnknownIssuer") => {
            Some("name the file of the certificate authority with --ca-certs")
        }
        ErrorKind::Unreachable if !error.is_about_tls() && !error.is_about_proxy() => {
            Some("start the node with `tributary serve`, or name the address with --host")
        }
        ErrorKind::Auth => {
            Some("give --api-key, or --username with the password in TRIBUTARY_PASSWORD, or a --config")
        }
        _ => error.hint(),
    }
}

impl From<DaemonError> for CliError {
    fn from(error: DaemonError) -> Self {
        let cli = if error.is_mendable() { Self::user(&error) } else { Self::ours(&error) };
        match error.hint() {
            Some(hint) => cli.hint(hint),
            None => cli,
        }
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Store(_) => Self::ours(error),
            NodeError::Unprotected { .. } => Self::user(error).hint(
                "`tributary node user add NAME` with the same --data or --config turns authentication on",
            ),
            _ => Self::user(error),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        use tributary_store::ErrorKind as Store;
        let hint = match error.kind() {
            // What to do is in the message.
            Store::Locked => "--data, or tributary.data_dir of the configuration, names another",
            Store::NoSpace => "free space on that disk, or choose another folder with --data",
            Store::Io => "check the folder and its permissions, or choose another one with --data",
            Store::Corrupt => "restore the folder from a copy, or begin anew in another one with --data",
            _ => return Self::ours(error),
        };
        Self::user(error).hint(hint)
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        Self::all(problems.iter())
    }
}

/// `text` without line breaks and runs of spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is at the root of a failure: the errors above it say where it was seen.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_mend() {
        let error = CliError::user("folder 'x'\n does not exist").hint("create it");
        assert_eq!(error.to_string(), "folder 'x' does not exist (create it)");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(CliError::ours("defect").exit_code(), 2);
    }

    #[test]
    fn each_of_several_problems_has_its_line() {
        let error = CliError::all(["a", "b\nc"]).hint("mend both");
        assert_eq!(error.lines(), ["a", "b c (mend both)"]);
    }

    #[test]
    fn a_node_that_does_not_answer_is_the_users_to_start() {
        let error = CliError::from(ClientError::new(ErrorKind::Unreachable, "refused"));
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("tributary serve"));
    }
}
