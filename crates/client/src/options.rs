use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{ClientStats, RetryPolicy, Secret};

/// How to reach a cluster. [`ClientOptions::new`] gives the defaults; every field may be changed.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Addresses of the nodes, `http://` or `https://`, with a path where a proxy wants one. At least one. A user and
    /// password in an address are used when [`ClientOptions::auth`] is [`Auth::None`], and never shown.
    pub hosts: Vec<String>,
    /// Who we are. Default: nobody.
    pub auth: Auth,
    /// PEM file with the certificates of the authorities that are trusted besides the public ones. Default: none.
    pub ca_certs: Option<PathBuf>,
    /// Whether the server's certificate is checked. Default: yes.
    pub verify_certs: bool,
    /// Address of an HTTP proxy, `http://user:password@proxy:3128`. Default: none; the environment is not asked.
    pub proxy: Option<Secret>,
    /// Headers added to every request. Values are never shown.
    pub headers: Vec<(String, Secret)>,
    /// Time for one attempt, from connecting to the last byte of the answer. Default: 240 s.
    pub request_timeout: Duration,
    /// When a request is tried again. Default: [`RetryPolicy::default`].
    pub retry: RetryPolicy,
    /// The pauses of [`Client::wait_until_ready`](crate::Client::wait_until_ready).
    pub wait: WaitPauses,
    /// Counts what is sent. Clients that are given the same one count together.
    pub stats: Arc<ClientStats>,
    /// Whether bodies are compressed, of requests and of answers. Default: [`Gzip::Auto`].
    pub gzip: Gzip,
    /// The header `User-Agent`. Default: `tributary/<version>`.
    pub user_agent: String,
    /// The header `X-Elastic-Product-Origin`. Default: `connectors`, as the Python service sends (sync-runtime 3.1).
    pub product_origin: String,
    /// How the protocol's documents are written. Default: [`ControlChoice::Auto`].
    pub control: ControlChoice,
}

impl ClientOptions {
    /// The defaults, for these hosts.
    pub fn new<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> Self {
        Self {
            hosts: hosts.into_iter().map(Into::into).collect(),
            auth: Auth::None,
            ca_certs: None,
            verify_certs: true,
            proxy: None,
            headers: Vec::new(),
            request_timeout: Duration::from_secs(240),
            retry: RetryPolicy::default(),
            wait: WaitPauses::default(),
            stats: Arc::default(),
            gzip: Gzip::Auto,
            user_agent: concat!("tributary/", env!("CARGO_PKG_VERSION")).to_owned(),
            product_origin: "connectors".to_owned(),
            control: ControlChoice::Auto,
        }
    }

    /// Sets who we are.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets when a request is tried again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how the protocol's documents are written.
    #[must_use]
    pub fn control(mut self, control: ControlChoice) -> Self {
        self.control = control;
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("hosts", &self.hosts.iter().map(|host| without_credentials(host)).collect::<Vec<_>>())
            .field("auth", &self.auth)
            .field("ca_certs", &self.ca_certs)
            .field("verify_certs", &self.verify_certs)
            .field("proxy", &self.proxy)
            .field("headers", &self.headers)
            .field("request_timeout", &self.request_timeout)
            .field("retry", &self.retry)
            .field("gzip", &self.gzip)
            .field("user_agent", &self.user_agent)
            .field("product_origin", &self.product_origin)
            .field("control", &self.control)
            .finish()
    }
}

/// Pauses between looks at a cluster that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitPauses {
    /// The first pause. Default: 250 ms.
    pub first: Duration,
    /// By what the pauses grow; at least 1. Default: 2.
    pub factor: f64,
    /// The longest pause. Default: 5 s.
    pub longest: Duration,
}

impl Default for WaitPauses {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), factor: 2.0, longest: Duration::from_secs(5) }
    }
}

impl WaitPauses {
    /// The pause after one of `pause`.
    pub(crate) fn after(&self, pause: Duration) -> Duration {
        pause.mul_f64(self.factor.max(1.0)).min(self.longest.max(self.first))
    }
}

/// An address as it may be shown. Everything before the last `@` goes, also in what is no proper address.
fn without_credentials(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, rest)| rest)
}

/// Who the client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody: for a cluster or node without security.
    #[default]
    None,
    /// A user and password.
    Basic {
        /// Name of the user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// An API key, either in its encoded form or as `id:key`.
    ApiKey(Secret),
}

/// Whether request bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gzip {
    /// To other machines, not to loopback addresses: there it costs more than it saves.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the protocol's documents are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlChoice {
    /// By the Connector APIs where the cluster has them, else as documents. The cluster is asked once.
    #[default]
    Auto,
    /// By the Connector APIs.
    Api,
    /// As documents (the Python service's `feature_use_connectors_api: false`).
    Documents,
}
