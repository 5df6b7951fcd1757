use std::fs;
use std::process::Command;

use super::{DatabaseServer, Kind, Starting, made};

/// Starts a server that writes a binary log.
pub(super) fn start() -> DatabaseServer {
    let starting = Starting::new("mariadb");
    let (home, port) = (starting.home.clone(), starting.port);
    let data = format!("--datadir={}", home.join("data").display());
    // Without an account of its own the server runs as whoever runs the tests.
    let whoami = Command::new("id").arg("-un").output().expect("the account has a name");
    let user = format!("--user={}", String::from_utf8_lossy(&whoami.stdout).trim());
    let mut making = Command::new("mariadb-install-db");
    making.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    making.args([&user, &data]);
    made(making, "mariadb-server");
    let [certificate, key, authority] = starting.certificates(&home).map(|path| path.display().to_string());
    let setup = home.join("setup.sql");
    let (admin, password) = (DatabaseServer::USER, DatabaseServer::PASSWORD);
    let statements = format!(
        "CREATE USER {admin}@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO {admin}@'%' WITH GRANT OPTION;\n\
         CREATE USER with_certificate@'%' IDENTIFIED BY '{password}' REQUIRE X509;\n\
         GRANT SELECT ON *.* TO with_certificate@'%';\n"
    );
    fs::write(&setup, statements).expect("a file can be written");
    let settings = [
        user,
        data,
        format!("--socket={}", home.join("s").display()),
        format!("--init-file={}", setup.display()),
        format!("--ssl-ca={authority}"),
        format!("--ssl-cert={certificate}"),
        format!("--ssl-key={key}"),
        format!("--port={port}"),
    ];
    let fixed = [
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
    ];
    let program = ["mariadbd", "--no-defaults"].into_iter().map(str::to_owned).chain(settings);
    starting.run(Kind::Mariadb, "KILL", program.chain(fixed.map(str::to_owned)), |_| true)
}
