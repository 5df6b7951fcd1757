use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub const USER: &str = "admin";
pub const PASSWORD: &str = "Pass:w/ord@1";

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
        format!("world_{}", self.databases.fetch_add(1, Ordering::Relaxed))
    }

    fn start() -> Self {
        let home = tempfile::Builder::new().prefix("tributary-mysql-").tempdir().unwrap().keep();
        let data = home.join("data");
        // Without an account of its own the server runs as whoever runs the tests.
        let whoami = Command::new("id").arg("-un").output().unwrap();
        let user = format!("--user={}", String::from_utf8_lossy(&whoami.stdout).trim());
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &user])
            .arg(format!("--datadir={}", data.display()))
            .output()
            .expect("mariadb-install-db can be run: install the package mariadb-server");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificates = Certificates::new();
        for (name, text) in [
            ("server.crt", &certificates.server),
            ("server.key", &certificates.key),
            ("ca.crt", &certificates.authority),
        ] {
            fs::write(home.join(name), text).unwrap();
        }
        let setup = home.join("setup.sql");
        fs::write(
            &setup,
            format!(
                "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n\
                 CREATE USER with_certificate@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE X509;\nGRANT SELECT ON *.* TO with_certificate@'%';\n"
            ),
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut keeper = Command::new("sh");
        keeper.args([
            "-c",
            "home=$1; shift; \"$@\" & server=$!; cat > /dev/null; kill -KILL $server; wait $server; rm -rf \"$home\"",
            "sh",
        ]);
        // Debian keeps servers off the PATH of ordinary accounts.
        let path = std::env::var("PATH").unwrap_or_default();
        keeper.env("PATH", format!("{path}:/usr/sbin"));
        keeper.arg(&home).args(["mariadbd", "--no-defaults", &user]);
        keeper.arg(format!("--datadir={}", data.display()));
        keeper.arg(format!("--socket={}", home.join("s").display()));
        keeper.arg(format!("--init-file={}", setup.display()));
        for (option, file) in [("ssl-ca", "ca.crt"), ("ssl-cert", "server.crt"), ("ssl-key", "server.key")] {
            keeper.arg(format!("--{option}={}", home.join(file).display()));
        }
        keeper.arg(format!("--port={port}")).args([
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--log-bin=bin",
            "--server-id=1",
            "--binlog-format=ROW",
            "--binlog-row-metadata=FULL",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=32M",
            "--character-set-server=utf8mb4",
            "--max-connections=200",
        ]);
        let log = fs::File::create(home.join("log")).unwrap();
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "the server does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let Certificates { authority, client, .. } = certificates;
        Self { address, authority, client, databases: AtomicUsize::new(0), _keeper: keeper }
    }
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
