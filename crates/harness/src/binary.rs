use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::process::Process;

/// A program under test, with a clean environment.
#[derive(Clone, Debug)]
pub struct Binary {
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    uid: Option<u32>,
}

/// How a run of a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed as its result.
    pub stdout: String,
    /// What it printed besides.
    pub stderr: String,
}

impl Binary {
    /// The program at `path`, such as `env!("CARGO_BIN_EXE_tributary")`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { program: path.into(), env: Vec::new(), folder: None, uid: None }
    }

    /// Sets a variable for all its runs.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Runs it to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        let output = self.command(args).output();
        let output =
            output.unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        Ended::of(&output)
    }

    /// Runs it to its end with a text as its standard input.
    pub fn run_with_input<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, input: &str) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without reading.
            drop(stdin.write_all(input.as_bytes()));
        }
        Ended::of(
            &child.wait_with_output().unwrap_or_else(|error| panic!("its output cannot be read: {error}")),
        )
    }

    /// Runs it as another user of this machine, which only the superuser may.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts it and lets it run.
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Process {
        Process::spawn(self.command(args))
    }

    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::null());
        let foreign = |name: &OsStr| name.to_string_lossy().starts_with("TRIBUTARY");
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command.current_dir(self.folder.as_deref().unwrap_or_else(|| Path::new(".")));
        command
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The result of a run that must have succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }

    /// The lines of stderr of a run that must have failed with this code.
    pub fn failure(self, code: i32) -> Vec<String> {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr.lines().map(str::to_owned).collect()
    }
}
