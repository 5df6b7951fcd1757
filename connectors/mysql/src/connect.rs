use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error as MysqlError, Opts, OptsBuilder, SslOpts};
use tributary_sdk::Result;

use crate::config::{Encryption, MysqlConfig};
use crate::error::told;
use crate::tls::{encrypted, name_of};

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
    /// With any name: one that the server's certificate has, once it is known.
    name: Option<Arc<OnceLock<String>>>,
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
            name: (encryption == Encryption::VerifyCa).then(Arc::default),
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
            let known = self.name.as_ref().and_then(|name| name.get()).cloned();
            let mut conn = match self.dial(database, self.tls(known)).await {
                Err(MysqlError::Driver(DriverError::NoClientSslFlagFromServer)) if !self.is_tls_needed => {
                    self.dial(database, None).await?
                }
                Err(error) => {
                    let (Some(known), Some(name)) = (&self.name, name_of(&error)) else { return Err(error) };
                    let conn = self.dial(database, self.tls(Some(name.clone()))).await?;
                    // Another certificate may follow; then its name is asked for each time.
                    let _known_before = known.set(name);
                    conn
                }
                Ok(conn) => conn,
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

    fn tls(&self, name: Option<String>) -> Option<SslOpts> {
        self.tls.clone().map(|tls| tls.with_danger_tls_hostname_override(name))
    }

    async fn dial(&self, database: Option<&str>, tls: Option<SslOpts>) -> Result<Conn, MysqlError> {
        let options: Opts = self.options.clone().db_name(database).ssl_opts(tls).into();
        Conn::new(options).await
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn in_time<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, MysqlError>>,
) -> Result<T> {
    tributary_sql::in_time(what, limit, told, call).await
}
