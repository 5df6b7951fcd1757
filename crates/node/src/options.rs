use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tributary_tasks::{Clock, Shutdown, SystemClock};

use crate::error::NodeError;
use crate::security::Access;
use crate::server;

/// How the node is to run. [`NodeOptions::new`] has the defaults; change what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeOptions {
    /// The folder for the node's own files (the key for secrets); normally that of the store.
    pub data_dir: PathBuf,
    /// Where to listen. Default `127.0.0.1:9200`; port 0 takes any free port. Other than loopback needs
    /// [`NodeOptions::security`].
    pub listen: SocketAddr,
    /// The Elasticsearch version to present, which clients check. Default `9.1.0`.
    pub compat_version: String,
    /// The name of the cluster to present. Default `tributary`.
    pub cluster_name: String,
    /// Who may come in. Default: everybody on this machine.
    pub security: Security,
    /// The certificate to serve HTTPS with. Default: none, plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The largest request body in bytes, after decompression. Default 100 MiB.
    pub max_body_bytes: usize,
    /// Memory for all request bodies together, in bytes; beyond it requests get 429. Default 512 MiB.
    pub body_budget_bytes: usize,
    /// Connections served at once. One more takes the place of the one that has been idle for the longest time; while all
    /// are busy it waits. Default 1024.
    pub max_connections: usize,
    /// How long a client may take to send a request's header, and how long a connection may stay idle. Default 120 s.
    pub header_timeout: Duration,
    /// The longest pause while a client sends a body or takes an answer. A body must come with 1 KiB a second besides.
    /// Default 60 s.
    pub body_timeout: Duration,
    /// How long running requests may take to finish after a stop. Default 10 s.
    pub grace: Duration,
    /// The process's shutdown: the node stops with it.
    pub shutdown: Shutdown,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl NodeOptions {
    /// The defaults, with the given folder for the node's own files.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9200)),
            compat_version: "9.1.0".to_owned(),
            cluster_name: "tributary".to_owned(),
            security: Security::default(),
            tls: None,
            max_body_bytes: 100 << 20,
            body_budget_bytes: 512 << 20,
            max_connections: 1024,
            header_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            shutdown: Shutdown::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Looks at the files that the node reads at its start, and whether it may listen where it is to.
    ///
    /// # Errors
    /// What [`Node::start`](crate::Node::start) would say about them.
    pub fn check(&self) -> Result<(), NodeError> {
        if let Some(tls) = self.tls.clone() {
            server::Tls::open(tls)?;
        }
        let open = !Access::new(&self.security)?.enabled();
        if open && !self.listen.ip().is_loopback() {
            return Err(NodeError::Unprotected { address: self.listen });
        }
        Ok(())
    }

    /// Sets [`NodeOptions::listen`].
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets [`NodeOptions::security`].
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Sets [`NodeOptions::shutdown`].
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }
}

/// Who may come in. As soon as there is a user, in `users` or in the file, every request must authenticate: with a user,
/// or with an API key that a user has made. Every user has every right.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Users whose passwords the caller has.
    pub users: Vec<User>,
    /// A file with further users ([`UserFile`](crate::UserFile)); one that does not exist holds none.
    pub users_file: Option<PathBuf>,
    /// The process's own user, for what runs beside the node. It is let in, but does not switch authentication on.
    pub own: Option<User>,
}

impl Security {
    /// Authentication with one user.
    pub fn with_user(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { users: vec![User::new(name, password)], ..Self::default() }
    }
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the node's certificate, followed by those that lead to an authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key, not encrypted.
    pub key: PathBuf,
}

/// A user for basic authentication.
#[derive(Debug, Clone)]
pub struct User {
    /// The name, without `:`.
    pub name: String,
    /// The password.
    pub password: Password,
}

impl User {
    /// A user with a password.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Password::new(password) }
    }
}

/// A password; never printed.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_printed() {
        let options = NodeOptions::new("x").security(Security::with_user("u", "hunter2"));
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
