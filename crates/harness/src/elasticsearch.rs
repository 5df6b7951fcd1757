use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::free_address;

/// The scripts that fetch, start and stop it.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/elasticsearch");

/// The user of a file that every secured Elasticsearch of [`Elasticsearch::start_secured`] has, as every secured node of
/// [`TestNode::start_secured`](crate::TestNode::start_secured): its name and its password.
pub const OPERATOR: (&str, &str) = ("operator", "changeme");

/// Enough for tests, and two fit on a small machine.
const HEAP: &str = "512m";

/// Which Elasticsearch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Major {
    /// 8.19.
    Eight,
    /// 9.4.
    Nine,
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eight => "8",
            Self::Nine => "9",
        })
    }
}

/// A real Elasticsearch of one node, on a free port and a data folder of its own (`tests/elasticsearch`). It has all but
/// the Connector endpoints. It ends and its data goes with this value, or with this process, however that ends.
///
/// All calls block until they are done, starting takes about 20 seconds.
#[derive(Debug)]
pub struct Elasticsearch {
    url: String,
    start: Vec<String>,
    data: PathBuf,
    guard: Child,
    folder: TempDir,
}

impl Elasticsearch {
    /// Starts one with these settings of `elasticsearch.yml`, without security.
    #[must_use]
    pub fn start(major: Major, settings: &[(&str, &str)]) -> Self {
        Self::with(major, settings, &[])
    }

    /// Starts one with security; the user `elastic` has the password `changeme`, and there is [`OPERATOR`].
    #[must_use]
    pub fn start_secured(major: Major, settings: &[(&str, &str)]) -> Self {
        Self::with(major, settings, &["--security"])
    }

    fn with(major: Major, settings: &[(&str, &str)], more: &[&str]) -> Self {
        let folder = TempDir::with_prefix("elasticsearch-").expect("a temporary folder");
        let data = folder.path().join("node");
        let address = free_address();
        let mut start = vec!["--major".to_owned(), major.to_string(), "--heap".to_owned(), HEAP.to_owned()];
        start.extend(["--port".to_owned(), address.port().to_string()]);
        start.extend(more.iter().map(|&option| option.to_owned()));
        start.extend(settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]));
        let guard = guard(folder.path(), &data);
        let server = Self { url: format!("http://{address}"), start, data, guard, folder };
        server.start_again();
        server
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it keeps data and logs.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Ends it without a chance to do anything (`kill -9`). What it acknowledged stays.
    pub fn kill(&self) {
        self.run("stop", &["--kill".to_owned()]);
    }

    /// Ends it in good order (SIGTERM).
    pub fn stop(&self) {
        self.run("stop", &[]);
    }

    /// Starts it again after `kill` or `stop`: same address, same settings, same data.
    pub fn start_again(&self) {
        self.run("start", &self.start);
    }

    fn run(&self, script: &str, args: &[String]) {
        let mut command = Command::new(format!("{SCRIPTS}/{script}"));
        command.arg("--data").arg(&self.data).args(args).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/elasticsearch/{script} failed:\n{told}");
    }
}

impl Drop for Elasticsearch {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
        // The folder deletes itself next; the guard has done so already.
        let _gone = self.folder.path();
    }
}

/// Who ends the server when this process is gone: values of `static`s are never dropped, and a killed test drops nothing.
fn guard(folder: &Path, data: &Path) -> Child {
    let mut command = Command::new(format!("{SCRIPTS}/guard"));
    command.arg("--data").arg(data).arg("--wipe").arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{command:?} does not run: {error}"))
}
