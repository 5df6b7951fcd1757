use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DatabaseServer, Kind, Starting, made};

/// `PostgreSQL` does not run as root; then it runs as nobody.
const NOBODY: u32 = 65_534;
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Asked before any other rule: this account comes with a certificate, and not without encryption.
const ACCESS: &str = "hostssl all with_certificate 127.0.0.1/32 cert\n\
                      hostnossl all with_certificate 127.0.0.1/32 reject\n";

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "wal_level=logical",
    "max_replication_slots=40",
    "track_commit_timestamp=on",
    "ssl=on",
    "ssl_ca_file=ca.crt",
    "logging_collector=off",
];

/// Starts a server that keeps commit timestamps and a log for logical replication.
pub(super) fn start() -> DatabaseServer {
    let starting = Starting::new("postgresql");
    let (home, port) = (starting.home.clone(), starting.port);
    let is_root = fs::metadata(&home).expect("the folder is there").uid() == 0;
    let own = |path: &Path| {
        if is_root {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        }
    };
    own(&home);
    let password = home.join("password");
    fs::write(&password, DatabaseServer::PASSWORD).expect("a file can be written");
    own(&password);
    let (bin, data) = (programs(), home.join("data"));
    let before: &[&str] = if is_root { &AS_NOBODY } else { &[] };
    let plain = |program: &str| {
        let words = before.iter().map(|word| (*word).to_owned());
        words.chain([bin.join(program).display().to_string()]).collect::<Vec<_>>()
    };
    let words = plain("initdb");
    let mut making = Command::new(&words[0]);
    making.args(&words[1..]).current_dir(&home).arg("-D").arg(&data).arg("--pwfile").arg(&password);
    making.args(["-U", DatabaseServer::USER, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
    made(making, "postgresql");
    for path in starting.certificates(&data) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        own(&path);
    }
    let access = data.join("pg_hba.conf");
    let rules = fs::read_to_string(&access).expect("it was just made");
    fs::write(&access, format!("{ACCESS}{rules}")).expect("a file can be written");
    let settings = SETTINGS.iter().map(|setting| (*setting).to_owned()).chain([format!("port={port}")]);
    let settings = settings.flat_map(|setting| ["-c".to_owned(), setting]);
    let program = plain("postgres").into_iter().chain(["-D".to_owned(), data.display().to_string()]);
    starting.run(Kind::Postgresql, "QUIT", program.chain(settings), |log| {
        log.contains("ready to accept connections")
    })
}

/// Where the newest server that is installed has its programs.
pub(super) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("install the package postgresql");
    let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().expect("install the package postgresql")
}
