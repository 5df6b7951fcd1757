use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tributary_tasks::{Clock, Shutdown, SystemClock};

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
    /// The largest request body in bytes, after decompression. Default 100 MiB.
    pub max_body_bytes: usize,
    /// Memory for all request bodies together, in bytes; beyond it requests get 429. Default 512 MiB.
    pub body_budget_bytes: usize,
    /// Connections served at once; more wait. Default 1024.
    pub max_connections: usize,
    /// How long a client may take to send a request's header, and how long a connection may stay idle. Default 120 s.
    pub header_timeout: Duration,
    /// The longest pause while a client sends a body. Default 60 s.
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

/// Who may come in.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Users for basic authentication, all with every right. When there is one, every request must authenticate, with
    /// a user or with an API key that a user has made.
    pub users: Vec<User>,
}

impl Security {
    /// Authentication with one user.
    pub fn with_user(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { users: vec![User { name: name.into(), password: Password::new(password) }] }
    }

    /// Whether requests must authenticate.
    #[must_use]
    pub fn enabled(&self) -> bool {
        !self.users.is_empty()
    }
}

/// A user for basic authentication.
#[derive(Debug, Clone)]
pub struct User {
    /// The name, without `:`.
    pub name: String,
    /// The password.
    pub password: Password,
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
