//! A small disk of a test's own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tributary_harness::{Binary, Process};

/// A disk in memory; taken away when dropped.
///
/// The superuser mounts it. Another user makes a world of its own for it, which a process holds open: then the
/// programs that are to see the disk are started within that world.
pub(crate) struct Disk {
    at: PathBuf,
    holder: Option<Child>,
}

impl Disk {
    /// A disk of so many MiB, at a folder that is made.
    pub(crate) fn mount(at: &Path, mib: u32) -> Self {
        fs::create_dir(at).unwrap();
        let size = format!("size={mib}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().unwrap();
        if mount.status.success() {
            return Self { at: at.to_owned(), holder: None };
        }
        let script = r#"mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec sleep infinity"#;
        let mut holder = Command::new("unshare")
            .args(["-rm", "sh", "-c", script, "sh", &size])
            .arg(at)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut told).unwrap();
        if told != "mounted\n" {
            let output = holder.wait_with_output().unwrap();
            panic!(
                "this test needs a small disk, and neither `mount` ({}) nor `unshare -rm` ({}) gives it one: run it as \
                 root, or allow user namespaces",
                String::from_utf8_lossy(&mount.stderr).trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self { at: at.to_owned(), holder: Some(holder) }
    }

    /// Where the test finds a file of the disk.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        match &self.holder {
            None => self.at.join(name),
            Some(holder) => {
                let root = PathBuf::from(format!("/proc/{}/root", holder.id()));
                root.join(self.at.join(name).strip_prefix("/").unwrap())
            }
        }
    }

    fn program(&self) -> (Binary, Vec<String>) {
        let tributary = env!("CARGO_BIN_EXE_tributary").to_owned();
        match &self.holder {
            None => (super::tributary(), Vec::new()),
            Some(holder) => {
                let within =
                    ["-t", &holder.id().to_string(), "-U", "-m", "--preserve-credentials", &tributary];
                let binary = Binary::new("nsenter").env("XDG_CONFIG_HOME", "/nonexistent");
                (binary, within.map(str::to_owned).to_vec())
            }
        }
    }

    /// Runs the program under test to its end; it sees the disk.
    pub(crate) fn run(&self, args: &[&str]) -> tributary_harness::Ended {
        let (binary, within) = self.program();
        binary.run(within.iter().map(String::as_str).chain(args.iter().copied()))
    }

    /// Starts a node with its data on the disk.
    pub(crate) fn serve(&self) -> Process {
        let (binary, within) = self.program();
        let data = self.at.join("data").display().to_string();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data", &data];
        binary.start(within.iter().map(String::as_str).chain(args))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        match &mut self.holder {
            None => drop(Command::new("umount").arg(&self.at).output()),
            Some(holder) => {
                drop(holder.kill());
                drop(holder.wait());
            }
        }
    }
}
