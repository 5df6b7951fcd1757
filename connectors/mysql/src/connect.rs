use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{ClientIdentity, Conn, DriverError, Error as MysqlError, Opts, OptsBuilder, SslOpts};
use tributary_sdk::{Error, ErrorKind, Result, tls};

use crate::config::{Encryption, MysqlConfig};
use crate::error::told;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(30);
/// How long a request about tables, keys and positions may take.
pub(crate) const ASKING: Duration = Duration::from_secs(120);

/// Times come in one zone, and neither a slow index nor a long statement ends the session.
const SETTINGS: &str = "SET SESSION time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800";
/// Each is known to some servers only.
const LIMITS: &[&str] = &["SET SESSION max_execution_time = 0", "SET SESSION max_statement_time = 0"];

/// How to reach a server; one database is named when a connection is made.
#[derive(Clone)]
pub(crate) struct Server {
    options: OptsBuilder,
    tls: Option<SslOpts>,
    is_tls_needed: bool,
    shown: Arc<str>,
}

impl Server {
    pub(crate) fn new(config: &MysqlConfig) -> Result<Self> {
        let options = OptsBuilder::default()
            .ip_or_hostname(config.host.trim())
            .tcp_port(config.port)
            .user(Some(config.user.clone()))
            .pass(Some(config.password.reveal().to_owned()))
            .prefer_socket(false)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .stmt_cache_size(16);
        let encryption = config.encryption();
        let tls =
            if encryption == Encryption::Disabled { None } else { Some(encrypted(config, encryption)?) };
        Ok(Self {
            options,
            tls,
            is_tls_needed: encryption != Encryption::Preferred,
            shown: config.host.trim().into(),
        })
    }

    /// Opens a connection, to a database if one is named.
    ///
    /// # Errors
    /// Names the host and says what to do.
    pub(crate) async fn connect(&self, database: Option<&str>) -> Result<Conn> {
        let what = format!("cannot connect to MySQL on {}", self.shown);
        let connecting = async {
            let mut conn = match self.dial(database, self.tls.clone()).await {
                Err(MysqlError::Driver(DriverError::NoClientSslFlagFromServer)) if !self.is_tls_needed => {
                    self.dial(database, None).await?
                }
                dialled => dialled?,
            };
            conn.query_drop(SETTINGS).await?;
            for limit in LIMITS {
                // Of the two a server knows one.
                if let Err(error @ (MysqlError::Io(_) | MysqlError::Driver(_))) =
                    conn.query_drop(*limit).await
                {
                    return Err(error);
                }
            }
            Ok(conn)
        };
        in_time(&what, CONNECT, connecting).await
    }

    async fn dial(&self, database: Option<&str>, tls: Option<SslOpts>) -> Result<Conn, MysqlError> {
        let options: Opts = self.options.clone().db_name(database).ssl_opts(tls).into();
        Conn::new(options).await
    }
}

fn encrypted(config: &MysqlConfig, encryption: Encryption) -> Result<SslOpts> {
    tls::choose_ring();
    let mut options = SslOpts::default();
    match encryption {
        Encryption::VerifyIdentity => {
            let authority = Some(config.ssl_ca.as_str()).filter(|text| !text.trim().is_empty());
            let trusted = tls::trusted("SSL certificate", authority)?;
            options = options.with_root_certs(vec![trusted.into()]).with_disable_built_in_roots(true);
        }
        _ => options = options.with_danger_accept_invalid_certs(true),
    }
    if !config.ssl_cert.trim().is_empty() {
        let certificate = tls::pem("Client certificate", &config.ssl_cert)?;
        let key = tls::pem("Client key", config.ssl_key.reveal())?;
        let identity = ClientIdentity::new(certificate.into_bytes().into(), key.into_bytes().into());
        options = options.with_client_identity(Some(identity));
    }
    Ok(options)
}

/// Waits for an answer, but not for ever.
pub(crate) async fn in_time<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, MysqlError>>,
) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| told(what, error)),
        Err(_) => Err(late(what)),
    }
}

pub(crate) fn late(what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what}: the server does not answer"))
        .hint("check that the server runs and can be reached from here")
}
