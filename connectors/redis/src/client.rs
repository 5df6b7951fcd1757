//! The connection: one for each listing, made anew when it breaks.

use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, IntoConnectionInfo as _, Pipeline,
    ProtocolVersion, RedisConnectionInfo, TlsCertificates, Value,
};
use tributary_sdk::{Error, ErrorKind, Result, tls};

use crate::config::RedisConfig;
use crate::failure;

/// The longest wait for a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait for an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Pauses before a broken connection is made anew.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(1_500)];

/// A server and how to get into it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    client: Client,
    /// For messages.
    pub(crate) name: String,
}

impl Server {
    pub(crate) fn new(config: &RedisConfig) -> Result<Self> {
        let (host, port) = (config.host.trim().to_owned(), config.port);
        if host.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "'Host' is blank; expected the server's name or address",
            ));
        }
        let name = format!("{host}:{port}");
        let mut access =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        if let Some(user) = &config.username {
            access = access.set_username(user);
        }
        // A user without a password (`nopass`) takes any, but wants to be named.
        if let Some(password) = config.password.as_ref().map(tributary_sdk::Secret::reveal) {
            access = access.set_password(password);
        } else if config.username.is_some() {
            access = access.set_password("");
        }
        let address = if config.ssl_enabled {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let unusable = |error| failure::of("the connection cannot be set up", error);
        let info = address.into_connection_info().map_err(unusable)?.set_redis_settings(access);
        let client = if config.ssl_enabled {
            tls::choose_ring();
            Client::build_with_tls(info, certificates(config)?).map_err(|error| {
                Error::new(ErrorKind::Config, "the certificates for the connection cannot be used")
                    .because(error)
            })?
        } else {
            Client::open(info).map_err(unusable)?
        };
        Ok(Self { client, name })
    }

    async fn open(&self) -> redis::RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTS_WITHIN))
            .set_response_timeout(Some(ANSWERS_WITHIN));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Link> {
        let connection = self.open().await;
        let connection =
            connection.map_err(|error| failure::of(&format!("cannot connect to {}", self.name), error))?;
        let mut link = Link { server: self.clone(), connection, selected: 0, run: None };
        link.run = link.run_id().await?;
        Ok(link)
    }
}

fn certificates(config: &RedisConfig) -> Result<TlsCertificates> {
    let root_cert = Some(tls::trusted("Certificate Authority (.pem)", config.ssl_ca.as_deref())?);
    if !config.mutual_tls_enabled {
        return Ok(TlsCertificates { client_tls: None, root_cert });
    }
    let block = |label: &str, text: Option<&String>| match text {
        Some(text) => tls::pem(label, text).map(String::into_bytes),
        None => Err(Error::new(ErrorKind::Config, format!("'{label}' cannot be empty with mutual TLS"))),
    };
    let client_cert = block("client certificate file for SSL/TLS", config.tls_certfile.as_ref())?;
    let key = config.tls_keyfile.as_ref().map(tributary_sdk::Secret::reveal);
    let client_key = block("client private key file for SSL/TLS", key)?;
    Ok(TlsCertificates { client_tls: Some(ClientTlsConfig { client_cert, client_key }), root_cert })
}

/// An open connection. When it breaks it is made anew, if it is sure to be the same run of the same server: positions
/// of a scan mean nothing to another.
pub(crate) struct Link {
    server: Server,
    connection: MultiplexedConnection,
    selected: u32,
    /// Which run of the server it is, where the user may know.
    pub(crate) run: Option<String>,
}

impl Link {
    /// One command.
    pub(crate) async fn ask(&mut self, what: &str, command: Cmd) -> Result<Value> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let answer = self.ask_all(what, &pipeline).await?.pop();
        match answer {
            Some(Value::ServerError(error)) => Err(failure::answered(what, &error)),
            Some(answer) => Ok(answer),
            None => Err(Error::new(ErrorKind::InvalidData, format!("{what}: the server gave no answer"))),
        }
    }

    /// Many commands at once; their answers, failed ones among them.
    pub(crate) async fn ask_all(&mut self, what: &str, commands: &Pipeline) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut pauses = PAUSES.iter();
        let mut answer = self.connection.req_packed_commands(commands, 0, commands.len()).await;
        loop {
            let error = match answer {
                Ok(answers) if answers.len() == commands.len() => return Ok(answers),
                Ok(answers) => {
                    let counts = format!("{what}: {} answers to {} commands", answers.len(), commands.len());
                    return Err(Error::new(ErrorKind::InvalidData, counts));
                }
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| failure::is_broken(&error) && self.run.is_some());
            let Some(pause) = pause else { return Err(failure::of(what, error)) };
            tracing::warn!(server = self.server.name, %error, "the connection broke; connecting again");
            tokio::time::sleep(*pause).await;
            answer = match self.again(what).await? {
                Ok(()) => self.connection.req_packed_commands(commands, 0, commands.len()).await,
                Err(error) => Err(error),
            };
        }
    }

    /// Connects anew; the inner error may be gone a little later.
    async fn again(&mut self, what: &str) -> Result<redis::RedisResult<()>> {
        self.connection = match self.server.open().await {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        let mut start = Pipeline::with_capacity(2);
        start.cmd("INFO").arg("server");
        if self.selected != 0 {
            start.cmd("SELECT").arg(self.selected);
        }
        let answers = match self.connection.req_packed_commands(&start, 0, start.len()).await {
            Ok(answers) => answers,
            Err(error) => return Ok(Err(error)),
        };
        for answer in &answers {
            if let Value::ServerError(error) = answer {
                return Err(failure::answered(what, error));
            }
        }
        if answers.first().and_then(|info| line(info, "run_id:")) == self.run {
            return Ok(Ok(()));
        }
        let message = format!("{} was restarted or replaced while it was listed", self.server.name);
        Err(Error::new(ErrorKind::Unavailable, message).hint("the next sync starts over"))
    }

    /// Which run of the server this is; a node of a cluster is refused, since it knows a part of the keys only.
    async fn run_id(&mut self) -> Result<Option<String>> {
        let mut command = redis::cmd("INFO");
        command.arg("server");
        let info = match self.ask("asking what server it is", command).await {
            Ok(info) => info,
            Err(error) if is_refusal(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if line(&info, "redis_mode:").as_deref() == Some("cluster") {
            let message =
                format!("{} is a node of a cluster, and knows only a part of the keys", self.server.name);
            return Err(Error::new(ErrorKind::Unsupported, message).hint("clusters cannot be listed yet"));
        }
        Ok(line(&info, "run_id:"))
    }

    /// Chooses a database.
    pub(crate) async fn select(&mut self, database: u32) -> Result<()> {
        if self.selected == database {
            return Ok(());
        }
        let mut command = redis::cmd("SELECT");
        command.arg(database);
        self.ask(&format!("choosing database {database}"), command).await?;
        self.selected = database;
        Ok(())
    }

    /// Databases that hold keys, or at least all that there are.
    pub(crate) async fn databases(&mut self) -> Result<Vec<u32>> {
        let mut command = redis::cmd("INFO");
        command.arg("keyspace");
        match self.ask("asking which databases hold keys", command).await {
            Ok(info) => return Ok(keyspace(&info)),
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(error),
        }
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("databases");
        if let Ok(Value::Array(pair)) = self.ask("asking for the number of databases", command).await
            && let Some(count) = pair.get(1).and_then(text).and_then(|count| count.parse::<u32>().ok())
        {
            return Ok((0..count).collect());
        }
        self.tried().await
    }

    /// Tries one database after the other, for users who may ask for nothing.
    async fn tried(&mut self) -> Result<Vec<u32>> {
        const MOST: u32 = 65_536;
        let mut found = Vec::new();
        for database in 0..MOST {
            match self.select(database).await {
                Ok(()) => found.push(database),
                Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(found),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Whether the server does not allow or not know a command.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Permission | ErrorKind::InvalidData)
}

/// A text answer.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The rest of the line of an `INFO` answer that begins so.
fn line(info: &Value, start: &str) -> Option<String> {
    text(info)?.lines().find_map(|line| line.strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

fn keyspace(info: &Value) -> Vec<u32> {
    let text = text(info).unwrap_or_default();
    let number = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok();
    let mut found: Vec<u32> = text.lines().filter_map(number).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_that_hold_keys_are_told_in_order() {
        let info = "# Keyspace\r\ndb12:keys=1,expires=0,avg_ttl=0\r\ndb3:keys=5,expires=0,avg_ttl=0\r\n";
        assert_eq!(keyspace(&Value::BulkString(info.into())), [3, 12]);
        assert!(keyspace(&Value::BulkString("# Keyspace\r\n".into())).is_empty());
    }
}
