//! The embedded node in this process.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};
use tokio::signal::unix::{SignalKind, signal};
use tributary_client::{Auth, ClientOptions, Gzip, Secret};
use tributary_node::{Node, NodeError, NodeOptions, RunningNode, Security, TlsFiles, User, UserFile};
use tributary_settings::Settings;
use tributary_store::{Store, StoreOptions};
use tributary_tasks::{Shutdown, TaskScope};

use crate::error::{CliError, Result};

/// The user that this process is to its own node. No user that people make begins with `_`.
const OWN_USER: &str = "_tributary";
const OWN_PASSWORD_LENGTH: usize = 40;
/// Pause between two looks at the free space.
const SPACE_LOOK: Duration = Duration::from_secs(1);
/// After so many looks in a row the disk counts as full for good: what fills it for a moment may be a merge.
const SPACE_LOOKS: u32 = 5;

/// A node that serves. End it with [`Embedded::stop`].
pub(crate) struct Embedded {
    node: RunningNode,
    store: Store,
    shutdown: Shutdown,
    settings: tributary_settings::Node,
    own_password: String,
}

impl Embedded {
    /// Opens the data folder and starts to serve.
    pub(crate) async fn start(settings: &Settings, version: Option<&str>) -> Result<Self> {
        let own = &settings.tributary;
        let listen = own.node.listen;
        // A port in use is told of before the data folder is made or found locked by the very same process.
        if let Err(error) = TcpListener::bind(listen)
            && error.kind() == std::io::ErrorKind::AddrInUse
        {
            return Err(NodeError::AddressInUse { address: listen }.into());
        }
        let own_password = Alphanumeric.sample_string(&mut rand::rng(), OWN_PASSWORD_LENGTH);
        // The node outlives those who use it: it has its own shutdown.
        let shutdown = Shutdown::new();
        let mut options = options(settings, &own_password).shutdown(shutdown.clone());
        if let Some(version) = version {
            version.clone_into(&mut options.compat_version);
        }
        options.check()?;
        let path = own.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(StoreOptions::new(path))).await;
        let store = opened.map_err(CliError::ours)??;
        let node = match Node::start(options, store.clone()).await {
            Ok(node) => node,
            Err(error) => {
                close(store).await;
                return Err(error.into());
            }
        };
        Ok(Self { node, store, shutdown, settings: own.node.clone(), own_password })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.node.local_addr()
    }

    /// Where it listens, as an address for people.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.node.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Lets a client in this process reach it, with nothing for the user to set up.
    pub(crate) fn reach(&self, options: &mut ClientOptions) {
        options.hosts = vec![self.settings.own_url(self.address())];
        // The address may not be among the certificate's names, and who listens there is this process.
        options.verify_certs = false;
        options.gzip = Gzip::Never;
        if options.auth == Auth::None {
            let password = Secret::new(&self.own_password);
            options.auth = Auth::Basic { user: OWN_USER.to_owned(), password };
        }
    }

    /// A user that people may be, where requests must authenticate.
    pub(crate) fn user(&self) -> Option<String> {
        let users = self.node.authenticates().then(|| UserFile::new(&self.settings.users_file).names());
        users.and_then(Result::ok)?.into_iter().next()
    }

    /// The file of the certificate, where it speaks HTTPS.
    pub(crate) fn certificate(&self) -> Option<&PathBuf> {
        self.settings.tls.as_ref().map(|tls| &tls.certificate)
    }

    /// Waits until the disk has been full for a while, so that no write is taken any more; why.
    pub(crate) async fn out_of_space(&self) -> CliError {
        let mut refused = 0;
        loop {
            tokio::time::sleep(SPACE_LOOK).await;
            match self.store.check_space() {
                Ok(()) => refused = 0,
                Err(error) if refused == SPACE_LOOKS => return error.into(),
                Err(_) => refused += 1,
            }
        }
    }

    /// Reads certificate and users again with each SIGHUP, for as long as the scope lives, and tells so.
    pub(crate) fn reload_on_hangup(&self, tell: fn(&str)) -> Result<TaskScope> {
        let failed = |error| CliError::ours(format!("cannot listen to signals: {error}"));
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let reload = self.node.reload();
        let mut scope = TaskScope::new();
        scope.spawn("reload of the node", async move {
            while hangup.recv().await.is_some() {
                let failures = reload.now();
                for error in &failures {
                    tracing::error!("{error}; what was read before stays");
                }
                if failures.is_empty() {
                    tell("the node has read its certificate and users again");
                }
            }
        });
        Ok(scope)
    }

    /// Lets running requests finish, then closes the data folder. When `process` asks to stop at once, requests are cut
    /// off.
    pub(crate) async fn stop(self, process: &Shutdown) {
        let Self { node, store, shutdown, .. } = self;
        tokio::select! {
            () = node.stop() => {}
            () = async {
                process.stopping_now().await;
                shutdown.stop_now();
                std::future::pending::<()>().await;
            } => {}
        }
        close(store).await;
    }
}

fn options(settings: &Settings, own_password: &str) -> NodeOptions {
    let node = &settings.tributary.node;
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let mut options = NodeOptions::new(&settings.tributary.data_dir).listen(node.listen);
    options.security = Security {
        users_file: Some(node.users_file.clone()),
        own: Some(User::new(OWN_USER, own_password)),
        ..Security::default()
    };
    options.tls = tls(node);
    options.max_body_bytes = bytes(node.max_body_size);
    options.body_budget_bytes = bytes(node.max_body_memory);
    options.max_connections = node.max_connections;
    options.header_timeout = node.header_timeout;
    options.body_timeout = node.body_timeout;
    options
}

fn tls(node: &tributary_settings::Node) -> Option<TlsFiles> {
    node.tls.as_ref().map(|tls| TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone() })
}

/// What of a node's settings is wrong, as far as that can be said without starting it.
pub(crate) fn check(settings: &Settings) -> Result<(), NodeError> {
    options(settings, "unused").check()
}

async fn close(store: Store) {
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    if let Err(error) = closed {
        tracing::error!(%error, "closing the data folder failed");
    }
}
