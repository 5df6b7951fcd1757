//! The typed result.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::changes::{Change, Effective};
use crate::load;
use crate::problem::Problems;
use crate::secret::Secret;
use crate::sources::Sources;
use crate::values::Values;

/// The configuration of a process, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How to reach Elasticsearch and how to write to it.
    pub elasticsearch: Elasticsearch,
    /// The Python service's section for the daemon.
    pub service: Service,
    /// The connectors listed, ids unique, the deprecated single form included.
    pub connectors: Vec<ConnectorEntry>,
    /// The data extraction service, when its section is there.
    pub extraction_service: Option<ExtractionService>,
    /// Source types with Python classes, as given; they have no effect here.
    pub sources: BTreeMap<String, String>,
    /// Tributary's own section.
    pub tributary: Tributary,
    /// What is logged and how.
    pub log: Log,
    /// What every key came to, to tell what a newer file changes.
    pub(crate) effective: Effective,
    /// What is accepted but should be known: keys without effect, deprecated forms, defaults that are risky.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads all sources.
    ///
    /// # Errors
    /// Every problem there is: an unreadable file or text that is no YAML, unknown keys, values of the wrong kind or out
    /// of range, variables that are not set, values that do not go together.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        load::load(sources)
    }

    /// Reads a file's text, named `config.yml` in problems, without environment or flags.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_yaml_str(text: &str) -> Result<Self, Problems> {
        load::from_text("config.yml", text, &Sources::default())
    }

    /// What is different in `newer`, by key.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Vec<Change> {
        crate::changes::between(self, newer)
    }

    /// Notes that the keys which need a restart still have the values of `running`: what is told of a later change is
    /// then told from these.
    pub fn not_restarted_since(&mut self, running: &Self) {
        self.effective.keep_what_needs_a_restart(&running.effective);
    }

    /// Whether the embedded node runs in this process: as `tributary.node.enabled` says, else when no Elasticsearch host
    /// is configured.
    #[must_use]
    pub fn embedded(&self) -> bool {
        self.tributary.node.enabled.unwrap_or(!self.elasticsearch.host_configured)
    }
}

/// `elasticsearch`.
#[derive(Clone, Debug, PartialEq)]
pub struct Elasticsearch {
    /// Addresses, at least one, without a slash at the end: those configured; else that of the embedded node, or
    /// `http://localhost:9200` where the embedded node is switched off.
    pub hosts: Vec<String>,
    /// Whether a host was configured at all.
    pub host_configured: bool,
    /// User name for basic authentication.
    pub username: Option<String>,
    /// Password for basic authentication.
    pub password: Option<Secret>,
    /// API key, encoded form; goes before user name and password.
    pub api_key: Option<Secret>,
    /// Whether `verify_certs` and `ca_certs` apply. TLS itself is decided by the host's scheme.
    pub ssl: bool,
    /// Whether the server's certificate is checked.
    pub verify_certs: bool,
    /// PEM file of the authorities to trust.
    pub ca_certs: Option<PathBuf>,
    /// Headers for every request. Their values may be credentials.
    pub headers: BTreeMap<String, Secret>,
    /// Time for one attempt.
    pub request_timeout: Duration,
    /// Whether an attempt that timed out is repeated.
    pub retry_on_timeout: bool,
    /// Attempts for a request, the first included; bulk requests too.
    pub max_retries: u32,
    /// Unit of the pauses between attempts.
    pub retry_interval: Duration,
    /// How long to wait for Elasticsearch at start.
    pub max_wait_duration: Duration,
    /// First pause of that wait.
    pub initial_backoff_duration: Duration,
    /// Growth of that wait's pauses, 1 or more.
    pub backoff_multiplier: f64,
    /// Level of the client's log lines.
    pub log_level: Level,
    /// `false`: write the protocol's documents directly.
    pub feature_use_connectors_api: bool,
    /// Bulk writing.
    pub bulk: Bulk,
}

/// What to authenticate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// User name and password.
    Basic {
        /// The user's name.
        username: &'a str,
        /// The user's password.
        password: &'a Secret,
    },
    /// An API key in its encoded form.
    ApiKey(&'a Secret),
}

impl Elasticsearch {
    /// What to authenticate with: the API key goes before user name and password.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        match (&self.api_key, &self.username, &self.password) {
            (Some(key), _, _) => Credentials::ApiKey(key),
            (None, Some(username), Some(password)) => Credentials::Basic { username, password },
            _ => Credentials::None,
        }
    }
}

/// `elasticsearch.bulk`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulk {
    /// Operations waiting to be sent.
    pub queue_max_size: usize,
    /// Bytes of the operations waiting to be sent.
    pub queue_max_mem_size: u64,
    /// How long the queue may stay full before the sync is given up.
    pub queue_refresh_timeout: Duration,
    /// Documents between two lines of progress.
    pub display_every: u64,
    /// Lines of a request: an index or update has two, a delete one.
    pub chunk_size: usize,
    /// Bytes of a request.
    pub chunk_max_mem_size: u64,
    /// Longest text of a body in bytes; `None`: no limit.
    pub max_text_document_size: Option<u64>,
    /// Requests under way at once, per sync.
    pub max_concurrency: usize,
    /// Bodies fetched at once, per sync.
    pub concurrent_downloads: usize,
    /// Log each operation's id at level debug.
    pub enable_operations_logging: bool,
    /// When too many errors end a sync.
    pub error_monitor: ErrorMonitor,
}

/// `elasticsearch.bulk.error_monitor` (sync-runtime 6.8).
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorMonitor {
    /// Whether it watches at all.
    pub enabled: bool,
    /// Errors in all.
    pub max_total_errors: u64,
    /// Errors in a row.
    pub max_consecutive_errors: u64,
    /// Share of errors in the window.
    pub max_error_rate: f64,
    /// Operations in the window; 0 switches the share off.
    pub error_window_size: usize,
    /// Last errors kept.
    pub error_queue_size: usize,
}

/// `service`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Serve every connector of `service_types`.
    pub worker_mode: bool,
    /// Source types of the worker mode; empty outside of it.
    pub service_types: Vec<String>,
    /// Pause between passes as the Python service has it; the daemon goes by [`Tributary::poll_interval`].
    pub idling: Duration,
    /// Longest time between two check-ins.
    pub heartbeat: Duration,
    /// Attempts to prepare the protocol's indices.
    pub preflight_max_attempts: u32,
    /// Pause between them.
    pub preflight_idle: Duration,
    /// Errors of the poll loop within `max_errors_span` before it gives up.
    pub max_errors: u32,
    /// Time after which they are forgotten.
    pub max_errors_span: Duration,
    /// Content syncs at once.
    pub max_concurrent_content_syncs: usize,
    /// Access control syncs at once.
    pub max_concurrent_access_control_syncs: usize,
    /// Connectors looked after at once.
    pub max_concurrent_scheduling_tasks: usize,
    /// Largest file fetched, in bytes.
    pub max_file_download_size: u64,
    /// Pause between searches for orphaned and idle jobs.
    pub job_cleanup_interval: Duration,
}

/// An entry of `connectors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorEntry {
    /// The connector's id.
    pub connector_id: String,
    /// The source's type.
    pub service_type: Option<String>,
    /// API key for this connector's content index only (sync-runtime 2.2).
    pub api_key: Option<Secret>,
}

/// `extraction_service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractionService {
    /// Its address, without a slash at the end.
    pub host: String,
    /// Time for one file.
    pub timeout: Duration,
    /// Pass files by path instead of sending them.
    pub use_file_pointers: bool,
    /// Bytes sent at a time.
    pub stream_chunk_size: u64,
    /// Folder shared with it.
    pub shared_volume_dir: PathBuf,
}

/// `tributary`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tributary {
    /// Pause between looks at connectors and jobs. Where only `service.idling` is given, that.
    pub poll_interval: Duration,
    /// Where the embedded node keeps its data.
    pub data_dir: PathBuf,
    /// Where the daemon keeps spools and resume points.
    pub state_dir: PathBuf,
    /// The embedded node.
    pub node: Node,
    /// How long a silent worker keeps its job.
    pub lease: Duration,
    /// How long running syncs may take to store what they have read.
    pub shutdown_grace: Duration,
    /// Which finished jobs are deleted.
    pub job_retention: JobRetention,
    /// When a sync may not delete without being asked again.
    pub delete_guard: DeleteGuard,
    /// Whether documents carry a fingerprint.
    pub fingerprint: bool,
    /// Name under which jobs are claimed; `None`: the caller chooses.
    pub worker_name: Option<String>,
    /// Syncs at once by source type.
    pub max_concurrent_syncs_by_type: BTreeMap<String, usize>,
    /// What one sync may take.
    pub job_limits: JobLimits,
    /// Log lines kept in each job's document.
    pub job_log_lines: usize,
    /// HTTP proxy for requests to Elasticsearch.
    pub proxy: Option<Secret>,
    /// Where metrics and health are served; `None`: nowhere.
    pub monitoring: Option<SocketAddr>,
    /// Where traces are sent; `None`: nowhere.
    pub otlp: Option<Otlp>,
}

/// `tributary.job_limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobLimits {
    /// Longest time in one go.
    pub time: Option<Duration>,
    /// Longest time in which the source tells nothing; `None`: no limit.
    pub silence: Option<Duration>,
    /// Documents written in a second.
    pub documents_per_second: Option<f64>,
}

/// `tributary.otlp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// The collector's address, without a slash at the end.
    pub endpoint: String,
    /// Headers for every request. Their values may be credentials.
    pub headers: BTreeMap<String, Secret>,
    /// PEM file of an authority to trust.
    pub ca_certs: Option<PathBuf>,
}

/// `tributary.node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether it runs in this process, where that is said; [`Settings::embedded`] decides.
    pub enabled: Option<bool>,
    /// Its users.
    pub users_file: PathBuf,
    /// What it serves HTTPS with.
    pub tls: Option<NodeTls>,
    /// Largest request body in bytes.
    pub max_body_size: u64,
    /// Memory for all request bodies in bytes.
    pub max_body_memory: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Time for a handshake and a header, and of an idle connection.
    pub header_timeout: Duration,
    /// Longest pause within a body or an answer.
    pub body_timeout: Duration,
}

/// `tributary.node.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTls {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

impl Node {
    /// Where clients in this process reach it. It cannot be called by the address that stands for all of the machine's.
    #[must_use]
    pub fn own_url(&self, listens_on: SocketAddr) -> String {
        let mut address = listens_on;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("{}://{address}", if self.tls.is_some() { "https" } else { "http" })
    }
}

/// `tributary.job_retention`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRetention {
    /// Age at which a finished job goes; `None`: never.
    pub age: Option<Duration>,
    /// Latest jobs of a connector that stay.
    pub count: usize,
}

/// `tributary.delete_guard`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteGuard {
    /// Share of the index, 0 to 1.
    pub max_share: f64,
    /// Deletions that always pass, unless they are everything.
    pub min_documents: u64,
}

/// What is logged and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// `service.log_level`.
    pub level: Level,
    /// `tributary.log_format`.
    pub format: LogFormat,
}

/// A log level; the Python service's `CRITICAL` is `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Trace,
    /// For finding faults.
    Debug,
    /// What happens.
    Info,
    /// What may need attention.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    /// The level's name as `tracing` reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    pub(crate) fn read(values: &Values, path: &str) -> Self {
        match values.text(path).as_deref() {
            Some("TRACE") => Self::Trace,
            Some("DEBUG") => Self::Debug,
            Some("WARNING" | "WARN") => Self::Warn,
            Some("ERROR" | "CRITICAL") => Self::Error,
            _ => Self::Info,
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// JSON in the Elastic Common Schema.
    Ecs,
}
