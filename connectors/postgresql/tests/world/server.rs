use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub const USER: &str = "admin";
pub const PASSWORD: &str = "Pass:w/ord@1";

/// PostgreSQL does not run as root; then it runs as nobody.
const NOBODY: u32 = 65_534;

/// The server. It stops when the test program ends, however that happens: a shell waits for the end of its input.
pub struct Server {
    pub address: SocketAddr,
    pub authority: String,
    /// A certificate and its key that the server accepts from clients.
    pub client: (String, String),
    databases: AtomicUsize,
    _keeper: Child,
}

pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    pub fn next_database(&self) -> String {
        format!("World_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    fn start() -> Self {
        let bin = bin();
        let home = tempfile::Builder::new().prefix("tributary-postgresql-").tempdir().unwrap().keep();
        let as_nobody =
            fs::metadata(&home).map(|data| std::os::unix::fs::MetadataExt::uid(&data)).unwrap() == 0;
        let own = |path: &Path| {
            if as_nobody {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        };
        own(&home);
        let password = home.join("password");
        fs::write(&password, PASSWORD).unwrap();
        own(&password);
        let data = home.join("data");
        let plain_user = |program: &Path| {
            let mut command = Command::new(if as_nobody { Path::new("setpriv") } else { program });
            if as_nobody {
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            }
            command.current_dir(&home);
            command
        };
        let made = plain_user(&bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", USER, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N", "--pwfile"])
            .arg(&password)
            .output()
            .expect("initdb can be run: install the package postgresql");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificates = Certificates::new();
        for (name, text) in [
            ("server.crt", &certificates.server),
            ("server.key", &certificates.key),
            ("ca.crt", &certificates.authority),
        ] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            own(&path);
        }
        let mut access = fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf")).unwrap();
        writeln!(access, "hostssl all with_certificate 127.0.0.1/32 cert").unwrap();
        let rules = fs::read_to_string(data.join("pg_hba.conf")).unwrap();
        let first = "hostssl all with_certificate 127.0.0.1/32 cert\nhostnossl all with_certificate 127.0.0.1/32 reject\n";
        fs::write(data.join("pg_hba.conf"), format!("{first}{rules}")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "max_connections=200".to_owned(),
            "wal_level=logical".to_owned(),
            "max_replication_slots=40".to_owned(),
            "track_commit_timestamp=on".to_owned(),
            "ssl=on".to_owned(),
            "ssl_ca_file=ca.crt".to_owned(),
            "logging_collector=off".to_owned(),
        ];
        let mut keeper = Command::new("sh");
        keeper.args([
            "-c",
            "home=$1; shift; \"$@\" & server=$!; cat > /dev/null; kill -QUIT $server; wait $server; rm -rf \"$home\"",
            "sh",
        ]);
        keeper.arg(&home);
        if as_nobody {
            keeper.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        keeper.arg(bin.join("postgres")).arg("-D").arg(&data);
        for setting in settings {
            keeper.arg("-c").arg(setting);
        }
        let log = fs::File::create(home.join("log")).unwrap();
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(address, &home.join("log"));
        let Certificates { authority, client, .. } = certificates;
        Self { address, authority, client, databases: AtomicUsize::new(0), _keeper: keeper }
    }
}

fn wait_for(address: SocketAddr, log: &Path) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err()
        || !fs::read_to_string(log).unwrap_or_default().contains("ready to accept connections")
    {
        let log = fs::read_to_string(log).unwrap_or_default();
        assert!(start.elapsed() < Duration::from_secs(60), "the server does not start: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The newest server that is installed.
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("install the package postgresql");
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop().expect("install the package postgresql")
}

/// An authority, the server's certificate for `localhost` and a client's.
struct Certificates {
    authority: String,
    server: String,
    key: String,
    client: (String, String),
}

impl Certificates {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let named = |name: &str, hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let authority_key = KeyPair::generate().unwrap();
        let mut params = named("Test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(params, authority_key);
        let signed = |params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        let (server, key) = signed(named("localhost", &["localhost"]));
        let client = signed(named("with_certificate", &[]));
        Self { authority, server, key, client }
    }
}
