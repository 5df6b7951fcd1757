//! The two servers: started, looked at from outside, and ended.

use std::fs;
use std::io::{Error, Result};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http::{Client, Clients};

const START_LIMIT: Duration = Duration::from_secs(30);

/// A server that is measured.
pub(in crate::bench) struct Server {
    pub(super) name: String,
    /// `host:port`.
    pub(in crate::bench) address: String,
    /// Time from the start of the process to its first answer, where it was started here.
    pub(super) ready: Option<Duration>,
    /// What is ended in the end, and whose memory and files can be looked at.
    own: Option<Own>,
}

struct Own {
    pid: u32,
    data: PathBuf,
    end: End,
}

enum End {
    Node(Child),
    Elasticsearch { script: PathBuf, base: PathBuf },
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Starts a node on a folder and waits for its first answer.
pub(in crate::bench) fn node(binary: &Path, data: &Path) -> Result<Server> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let start = Instant::now();
    let mut child = Command::new(binary)
        .args(["serve", "--listen", &address, "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    loop {
        let answered = Client::connect(&address).and_then(|mut client| client.succeed("GET", "/", ""));
        if answered.is_ok() {
            break;
        }
        if start.elapsed() > START_LIMIT || child.try_wait()?.is_some() {
            drop(child.kill());
            return Err(Error::other("the node did not become ready"));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let ready = Some(start.elapsed());
    let own = Own { pid: child.id(), data: data.to_owned(), end: End::Node(child) };
    Ok(Server { name: "node".to_owned(), address, ready, own: Some(own) })
}

/// Starts Elasticsearch of a major version (`8`, `9`), or takes one that runs at a URL.
pub(in crate::bench) fn elasticsearch(root: &Path, which: &str, base: &Path) -> Result<Server> {
    if !matches!(which, "8" | "9") {
        let address = which.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Client::connect(&address)?.succeed("GET", "/", "")?;
        return Ok(Server { name: "Elasticsearch".to_owned(), address, ready: None, own: None });
    }
    let scripts = root.join("tests/elasticsearch");
    let port = free_port()?.to_string();
    let fetched = Command::new(scripts.join("start")).args(["--fetch-only", "--major", which]).status()?;
    if !fetched.success() {
        return Err(Error::other("Elasticsearch could not be fetched"));
    }
    let start = Instant::now();
    let output = Command::new(scripts.join("start"))
        .args(["--major", which, "--port", &port, "--data"])
        .arg(base)
        .stdin(Stdio::null())
        .output()?;
    let ready = start.elapsed();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = |key: &str| said.split_whitespace().find_map(|word| word.strip_prefix(key).map(str::to_owned));
    let (Some(version), Some(pid)) = (word("version="), word("pid=").and_then(|pid| pid.parse().ok())) else {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::other(format!("Elasticsearch did not start: {said}{error}")));
    };
    let end = End::Elasticsearch { script: scripts.join("stop"), base: base.to_owned() };
    Ok(Server {
        name: format!("Elasticsearch {version}"),
        address: format!("127.0.0.1:{port}"),
        ready: Some(ready),
        own: Some(Own { pid, data: base.join("data"), end }),
    })
}

impl Server {
    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(&self.address)
    }

    /// So many connections that one thread serves.
    pub(super) fn clients(&self, count: usize) -> Result<Clients> {
        Clients::connect(&self.address, count)
    }

    /// MiB of memory that the process has resident.
    pub(super) fn resident_mib(&self) -> Option<f64> {
        self.memory_mib("VmRSS:")
    }

    /// As [`Server::resident_mib`], without mapped files, which the system takes back when it needs the memory.
    pub(super) fn own_mib(&self) -> Option<f64> {
        self.memory_mib("RssAnon:")
    }

    fn memory_mib(&self, what: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.own.as_ref()?.pid)).ok()?;
        memory_kib(&status, what).map(|kib| kib as f64 / 1024.0)
    }

    /// Processor time that the process has taken.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.own.as_ref()?.pid)).ok()?;
        processor_ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10))
    }

    /// MiB that its files take on the disk.
    pub(super) fn disk_mib(&self) -> Option<f64> {
        Some(blocks(&self.own.as_ref()?.data).ok()? as f64 * 512.0 / f64::from(1 << 20))
    }

    /// Waits until its files have not changed their size for a while.
    pub(super) fn settle(&self) {
        let (mut last, mut since) = (None, Instant::now());
        let start = Instant::now();
        while since.elapsed() < Duration::from_secs(10) && start.elapsed() < Duration::from_secs(90) {
            let now = self.disk_mib();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.own.take().map(|own| own.end) {
            Some(End::Node(mut child)) => {
                let asked = Command::new("kill").arg(child.id().to_string()).status();
                if !asked.is_ok_and(|status| status.success()) {
                    drop(child.kill());
                }
                drop(child.wait());
            }
            Some(End::Elasticsearch { script, base }) => {
                drop(Command::new(script).arg("--data").arg(base).stdout(Stdio::null()).status());
            }
            None => {}
        }
    }
}

/// An amount of memory in a process's status.
fn memory_kib(status: &str, what: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Time in user and in kernel mode, in the unit of 10 ms that Linux tells everybody. The name before may hold spaces.
fn processor_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit(") ").next()?.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn blocks(path: &Path) -> Result<u64> {
    let meta = fs::symlink_metadata(path)?;
    let mut sum = meta.blocks();
    if meta.is_dir() {
        for entry in fs::read_dir(path)?.flatten() {
            // A file may be removed while we look.
            sum += blocks(&entry.path()).unwrap_or(0);
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_kernels_words() {
        assert_eq!(memory_kib("VmHWM:\t 9 kB\nVmRSS:\t   345 kB\n", "VmRSS:"), Some(345));
        assert_eq!(memory_kib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn processor_time_is_read_past_a_name_with_spaces() {
        assert_eq!(processor_ticks("7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0"), Some(42));
    }
}
