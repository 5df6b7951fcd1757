//! Real database servers, one of each kind for a whole test program.

mod mariadb;
mod postgresql;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::{Authority, Certificate};

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A database server with an account that may do everything, and a certificate for `localhost`. It stops when the test
/// program ends, however that happens: a shell waits for the end of its input.
#[derive(Debug)]
pub struct DatabaseServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who signed its certificate, as PEM text.
    pub authority: String,
    /// A certificate of the account `with_certificate`, which the server accepts.
    pub client: Certificate,
    kind: Kind,
    databases: AtomicUsize,
    _keeper: Child,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Postgresql,
    Mariadb,
}

impl DatabaseServer {
    /// The account that may do everything.
    pub const USER: &'static str = "admin";
    /// Its password, with characters that break careless connection strings.
    pub const PASSWORD: &'static str = "Pass:w/ord@1";

    /// The `PostgreSQL` of this test program.
    ///
    /// # Panics
    /// When none is installed, or it does not start.
    pub fn postgresql() -> &'static Self {
        static SERVER: OnceLock<DatabaseServer> = OnceLock::new();
        SERVER.get_or_init(postgresql::start)
    }

    /// The `MariaDB` of this test program.
    ///
    /// # Panics
    /// When none is installed, or it does not start.
    pub fn mariadb() -> &'static Self {
        static SERVER: OnceLock<DatabaseServer> = OnceLock::new();
        SERVER.get_or_init(mariadb::start)
    }

    /// A name for a database that no other test of this program has.
    pub fn next_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        match self.kind {
            Kind::Postgresql => format!("World_{number}"),
            Kind::Mariadb => format!("world_{number}"),
        }
    }

    /// Runs statements with the server's own client, and returns what it prints: a line for each row, without headings.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut client = match self.kind {
            Kind::Postgresql => {
                let mut client = Command::new(postgresql::programs().join("psql"));
                client.env("PGPASSWORD", Self::PASSWORD);
                client.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", Self::USER]);
                client.args(["-h", &host, "-p", &port, "-d", database, "-c", sql]);
                client
            }
            Kind::Mariadb => {
                let mut client = Command::new("mariadb");
                client.args(["--no-defaults", "-N", "-B", "-u", Self::USER]);
                client.arg(format!("--password={}", Self::PASSWORD));
                client.args(["-h", &host, "-P", &port, database, "-e", sql]);
                client
            }
        };
        let output = client.stdin(Stdio::null()).output().expect("the server's client can be run");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// What is needed to start a server.
struct Starting {
    home: PathBuf,
    port: u16,
    authority: Authority,
    client: Certificate,
}

impl Starting {
    fn new(name: &str) -> Self {
        let home = tempfile::Builder::new().prefix(&format!("tributary-{name}-")).tempdir();
        let home = home.expect("a folder can be made").keep();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let authority = Authority::new();
        let client = authority.issue_to("with_certificate", &[]);
        Self { home, port, authority, client }
    }

    /// Writes the server's certificate, its key and the authority's certificate into a folder.
    fn certificates(&self, folder: &Path) -> [PathBuf; 3] {
        let server = self.authority.issue(&["localhost"]);
        let files = [
            ("server.crt", server.certificate),
            ("server.key", server.key),
            ("ca.crt", self.authority.pem()),
        ];
        files.map(|(name, text)| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file can be written");
            path
        })
    }

    /// Runs the server until the test program ends; then it gets `signal`, and its folder is removed.
    fn run<S: AsRef<std::ffi::OsStr>>(
        self,
        kind: Kind,
        signal: &str,
        program: impl IntoIterator<Item = S>,
        ready: impl Fn(&str) -> bool,
    ) -> DatabaseServer {
        let Self { home, port, authority, client } = self;
        let script = "home=$1; signal=$2; shift 2; \"$@\" & server=$!; cat > /dev/null; \
                      kill -$signal $server; wait $server; rm -rf \"$home\"";
        // Debian keeps servers off the PATH of ordinary accounts.
        let path = std::env::var("PATH").unwrap_or_default();
        let log = fs::File::create(home.join("log")).expect("a file can be written");
        let keeper = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&home)
            .arg(signal)
            .args(program)
            .env("PATH", format!("{path}:/usr/sbin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a shell can be run");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let start = Instant::now();
        loop {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            if TcpStream::connect(address).is_ok() && ready(&log) {
                break;
            }
            assert!(start.elapsed() < START, "the server does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let databases = AtomicUsize::new(0);
        DatabaseServer { address, authority: authority.pem(), client, kind, databases, _keeper: keeper }
    }
}

/// Runs a program that makes the server's data folder.
fn made(mut program: Command, package: &str) {
    let output = program.output();
    let output =
        output.unwrap_or_else(|_| panic!("{program:?} cannot be run: install the package {package}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
