//! A large table of a local PostgreSQL synced to a sink that parses and acknowledges, beside a bare `COPY … TO` piped into a
//! bulk loader. The two take turns, since machines are busy at times.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Scratch, Taken, sink, watch};

const USER: &str = "bench";
const PASSWORD: &str = "bench";
/// PostgreSQL does not run as root; then it runs as nobody.
const NOBODY: u32 = 65_534;

pub(super) fn run(root: &Path, rows: u64, size: usize, runs: usize) -> Result<String> {
    let bench = sink::build(root)?;
    let scratch = Scratch::new(root)?;
    let server = Server::start(&scratch.0)?;
    server.fill(rows, size)?;
    let mut table = format!("{rows} rows of about {size} bytes, local server, parsing sink\n");
    let _written = writeln!(table, "run  what   wall s      rows/s   peak MiB");
    let mut ratios = Vec::new();
    for run in 1..=runs.max(1) {
        let copy = server.copy(&bench)?;
        let sync = server.sync(&bench, &scratch.0)?;
        for (name, taken) in [("copy", &copy), ("sync", &sync)] {
            let seconds = taken.wall.as_secs_f64();
            let rate = rows as f64 / seconds;
            let peak = taken.peak_kib as f64 / 1024.0;
            let _written = writeln!(table, "{run:<4} {name:<6} {seconds:>6.2} {rate:>11.0} {peak:>10.1}");
        }
        ratios.push(copy.wall.as_secs_f64() / sync.wall.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    let _written =
        writeln!(table, "the sync has {:.0} % of the bare speed (median of {runs})", middle * 100.0);
    Ok(table)
}

/// A server of its own, stopped when it is dropped.
struct Server {
    process: Child,
    port: u16,
    bin: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    fn start(scratch: &Path) -> Result<Self> {
        let bin = bin()?;
        let home = tempfile_home(scratch)?;
        let as_nobody = fs::metadata(scratch)?.uid() == 0;
        let password = home.join("password");
        fs::write(&password, PASSWORD)?;
        if as_nobody {
            chown(&home, Some(NOBODY), Some(NOBODY))?;
            chown(&password, Some(NOBODY), Some(NOBODY))?;
        }
        let plain = |name: &str| {
            let program = bin.join(name);
            let mut command = Command::new(if as_nobody { Path::new("setpriv") } else { &program });
            if as_nobody {
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
            }
            command.current_dir(&home).stdout(Stdio::null());
            command
        };
        let data = home.join("data");
        let mut initdb = plain("initdb");
        initdb.arg("-D").arg(&data).args(["-U", USER, "--auth=scram-sha-256", "-N", "--pwfile"]);
        if !initdb.arg(&password).status()?.success() {
            return Err(Error::other("initdb failed"));
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = plain("postgres");
        command.arg("-D").arg(&data).stderr(Stdio::null());
        for setting in
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_wal_size=8GB"]
        {
            command.args(["-c", setting]);
        }
        let process = command.args(["-c", &format!("port={port}")]).spawn()?;
        let server = Self { process, port, bin };
        let start = Instant::now();
        while server.psql("SELECT 1").stderr(Stdio::null()).stdout(Stdio::null()).status()?.code() != Some(0)
        {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(Error::other("the server does not start"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _reachable = TcpStream::connect(("127.0.0.1", port))?;
        Ok(server)
    }

    fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.env("PGPASSWORD", PASSWORD).args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            USER,
        ]);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql]);
        command
    }

    /// A table of usual columns: a key, numbers, a time, texts.
    fn fill(&self, rows: u64, size: usize) -> Result<()> {
        let text = size.saturating_sub(60).max(32).div_ceil(32);
        let sql = format!(
            "CREATE TABLE items AS SELECT n AS id, n % 1000 AS quantity, (n % 100000)::numeric / 100 AS price,
                 now() - n * interval '1 second' AS updated_at, 'item ' || n AS name, n % 2 = 0 AS active,
                 (SELECT string_agg(md5((n * {text} + k)::text), '') FROM generate_series(1, {text}) k) AS description
             FROM generate_series(1, {rows}::int8) n;
             ALTER TABLE items ADD PRIMARY KEY (id); VACUUM ANALYZE items"
        );
        for part in sql.split(';') {
            if !self.psql(part).stdout(Stdio::null()).status()?.success() {
                return Err(Error::other("the table could not be filled"));
            }
        }
        Ok(())
    }

    fn copy(&self, bench: &Path) -> Result<Taken> {
        let sink = Sink::start(bench)?;
        let start = Instant::now();
        let mut copy = self.psql("COPY items TO STDOUT").stdout(Stdio::piped()).spawn()?;
        let lines = copy.stdout.take().ok_or_else(|| Error::other("psql has no output"))?;
        let loader = Command::new(bench)
            .args(["lines", "--target", &sink.url])
            .stdin(lines)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let taken = watch(loader, start)?;
        let ended = copy.wait()?;
        if !ended.success() {
            return Err(Error::other(format!("psql ended with {ended}")));
        }
        Ok(taken)
    }

    fn sync(&self, bench: &Path, scratch: &Path) -> Result<Taken> {
        let sink = Sink::start(bench)?;
        let config = scratch.join("config.json");
        let values = format!(
            "{{\"host\": \"127.0.0.1\", \"port\": {}, \"username\": \"{USER}\", \"password\": \"{PASSWORD}\", \
             \"database\": \"postgres\", \"schema\": \"public\"}}",
            self.port
        );
        fs::File::create(&config)?.write_all(values.as_bytes())?;
        let start = Instant::now();
        let sync = Command::new(bench)
            .args(["source", "--service-type", "postgresql", "--target", &sink.url, "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        watch(sync, start)
    }
}

/// A folder that the server's user can reach.
fn tempfile_home(scratch: &Path) -> Result<PathBuf> {
    let home = std::env::temp_dir().join(scratch.file_name().unwrap_or_default());
    let home = if fs::metadata(scratch)?.uid() == 0 { home } else { scratch.join("server") };
    fs::create_dir_all(&home)?;
    Ok(home)
}

/// The newest server that is installed.
fn bin() -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir("/usr/lib/postgresql")? {
        versions.push(entry?.path().join("bin"));
    }
    versions.sort();
    versions.pop().ok_or_else(|| Error::other("no PostgreSQL is installed"))
}

/// A sink in a process of its own.
struct Sink {
    process: Child,
    url: String,
}

impl Sink {
    fn start(bench: &Path) -> Result<Self> {
        let mut process =
            Command::new(bench).arg("sink").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().ok_or_else(|| Error::other("the sink has no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let url = line.trim().trim_matches('"').to_owned();
        Ok(Self { process, url })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
