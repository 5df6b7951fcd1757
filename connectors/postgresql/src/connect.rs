use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::config::SslMode as Negotiation;
use tokio_postgres::{Client, Config, NoTls};
use tributary_sdk::Result;

use crate::config::{PostgresqlConfig, SslMode};
use crate::error::told;
use crate::tls::{self, Tls};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a request about tables, keys and positions may take.
pub(crate) const ASKING: Duration = Duration::from_secs(120);

/// Texts come in one form whatever the server's settings, and neither a slow index nor a long statement ends the session.
const SETTINGS: &str = "SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601'; SET timezone = 'UTC'; \
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content'; SET statement_timeout = 0; \
    SET idle_in_transaction_session_timeout = 0; SET client_min_messages = 'error'";

/// How to reach a server; one database is named when a connection is made.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: Option<Tls>,
    shown: Arc<str>,
}

/// A connection. Dropping it closes the socket.
pub(crate) struct Link {
    pub(crate) client: Client,
    _driver: JoinSet<()>,
}

impl Server {
    pub(crate) fn new(config: &PostgresqlConfig) -> Result<Self> {
        let tls = tls::client(config)?;
        let mut parameters = Config::new();
        parameters
            .host(config.host.trim())
            .port(config.port)
            .user(&config.username)
            .password(config.password.reveal())
            .application_name("tributary")
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(120))
            .ssl_mode(match config.encryption() {
                SslMode::Disable => Negotiation::Disable,
                SslMode::Prefer | SslMode::Default => Negotiation::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
            });
        Ok(Self { config: parameters, tls, shown: config.host.as_str().into() })
    }

    /// Opens a connection to a database.
    ///
    /// # Errors
    /// Names the host and says what to do.
    pub(crate) async fn connect(&self, database: &str) -> Result<Link> {
        let mut config = self.config.clone();
        config.dbname(database);
        let what = format!("Can't connect to Postgresql on {}", self.shown);
        let connecting = async {
            let mut driver = JoinSet::new();
            let client = match &self.tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    driver.spawn(async move { drop(connection.await) });
                    client
                }
                Some(tls) => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    driver.spawn(async move { drop(connection.await) });
                    client
                }
            };
            client.batch_execute(SETTINGS).await?;
            Ok(Link { client, _driver: driver })
        };
        match tokio::time::timeout(CONNECT * 2, connecting).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(told(&what, error)),
            Err(_) => Err(tributary_sql::late(&what)),
        }
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn in_time<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    tributary_sql::in_time(what, limit, told, call).await
}
