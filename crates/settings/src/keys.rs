//! The one table of keys. It drives reading, `config.example.yml` and `docs/configuration.md`.

use std::time::Duration;

use crate::kind::{Kind, Unit};

/// Who brought a key into the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The Python service (sync-runtime 2.2).
    Python,
    /// Tributary.
    Tributary,
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The dotted path.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The value when nothing is given, as it would be written; `None`: nothing.
    pub default: Option<&'static str>,
    /// What to write in an example where there is no default.
    pub example: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// Who brought it.
    pub origin: Origin,
    /// Whether the value must never be shown. Such a key may also be given as `<path>_file`.
    pub secret: bool,
    /// Why setting it changes nothing here, where that is so.
    pub inert: Option<&'static str>,
    /// Whether a running process goes on with the former value until it is started again.
    pub restart: bool,
}

impl Key {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn at_start(self) -> Self {
        Self { restart: true, ..self }
    }

    const fn inert(self, why: &'static str) -> Self {
        Self { inert: Some(why), ..self }
    }
}

/// All keys but those inside the entries of `connectors`, in the order in which they are shown.
#[must_use]
pub fn keys() -> &'static [Key] {
    KEYS
}

/// The keys of each entry of `connectors`.
#[must_use]
pub fn connector_keys() -> &'static [Key] {
    CONNECTOR
}

/// The key with this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

const fn python(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default: Some(default),
        example: default,
        doc,
        origin: Origin::Python,
        secret: false,
        inert: None,
        restart: false,
    }
}

const fn python_unset(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { default: None, ..python(path, kind, example, doc) }
}

const fn ours(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { origin: Origin::Tributary, ..python(path, kind, default, doc) }
}

const fn ours_unset(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { origin: Origin::Tributary, ..python_unset(path, kind, example, doc) }
}

const fn at_least(min: u64) -> Kind {
    Kind::Whole { min, max: u64::MAX }
}

const SPAN: Kind = Kind::Duration { min: Duration::ZERO };
/// A pause between polls; shorter ones would keep a core busy.
const PAUSE: Kind = Kind::Duration { min: Duration::from_millis(100) };
const MIB: Kind = Kind::Size { unit: Unit::MiB, optional: false };
const BYTES: Kind = Kind::Size { unit: Unit::Bytes, optional: false };
const LEVELS: Kind = Kind::Choice(&["TRACE", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"]);

const CONNECTOR: &[Key] = &[
    python_unset("connector_id", Kind::Text, "my-connector", "The connector's id. Required."),
    python_unset(
        "service_type",
        Kind::Text,
        "dir",
        "The source's type, needed to register its configuration fields.",
    ),
    python_unset(
        "api_key",
        Kind::Text,
        "ENCODED_API_KEY",
        "API key for the content index of this connector; the credentials under elasticsearch do the rest.",
    )
    .secret(),
];

const KEYS: &[Key] = &[
    python_unset("connectors", Kind::Connectors, "", "The connectors to serve."),
    python_unset(
        "connector_id",
        Kind::Text,
        "my-connector",
        "Deprecated form for a single connector, used when connectors is empty.",
    ),
    python_unset("service_type", Kind::Text, "dir", "Deprecated: the source's type of connector_id."),
    // Elasticsearch.
    python_unset(
        "elasticsearch.host",
        Kind::Urls,
        "http://localhost:9200",
        "Address of Elasticsearch; several may be listed. Without one the embedded node is used.",
    )
    .at_start(),
    python_unset(
        "elasticsearch.username",
        Kind::Text,
        "elastic",
        "User name; ignored when api_key is set. elastic when only a password is given.",
    ),
    python_unset(
        "elasticsearch.password",
        Kind::Text,
        "PASSWORD",
        "Password. With a host and no credentials at all, the Python service's elastic / changeme are used.",
    )
    .secret(),
    python_unset("elasticsearch.api_key", Kind::Text, "ENCODED_API_KEY", "API key in its encoded form.")
        .secret(),
    python(
        "elasticsearch.ssl",
        Kind::Bool,
        "true",
        "Whether verify_certs and ca_certs apply; the host's scheme decides about TLS.",
    ),
    python("elasticsearch.verify_certs", Kind::Bool, "true", "Whether the server's certificate is checked."),
    python_unset(
        "elasticsearch.ca_certs",
        Kind::Path,
        "/etc/ssl/es-ca.pem",
        "PEM file with the authorities to trust.",
    ),
    python_unset("elasticsearch.headers", Kind::Table, "{x-tenant: one}", "Headers added to every request.")
        .secret(),
    python("elasticsearch.request_timeout", PAUSE, "240", "Time for one attempt of a request."),
    python(
        "elasticsearch.retry_on_timeout",
        Kind::Bool,
        "true",
        "Whether a request that timed out is tried again.",
    ),
    python(
        "elasticsearch.max_retries",
        at_least(1),
        "5",
        "Attempts for a request, the first included; bulk requests too.",
    ),
    python("elasticsearch.retry_interval", SPAN, "10", "Unit of the pauses between tries."),
    python("elasticsearch.max_wait_duration", SPAN, "240", "How long to wait for Elasticsearch at start.")
        .at_start(),
    python("elasticsearch.initial_backoff_duration", PAUSE, "1", "First pause of that wait.").at_start(),
    python(
        "elasticsearch.backoff_multiplier",
        Kind::Number { min: 1.0, max: 1000.0 },
        "2",
        "Factor by which the pauses of that wait grow.",
    )
    .at_start(),
    python("elasticsearch.log_level", LEVELS, "INFO", "Log level of the Elasticsearch client."),
    python(
        "elasticsearch.feature_use_connectors_api",
        Kind::Bool,
        "true",
        "false: write the protocol's documents directly instead of through the Connector APIs (deprecated).",
    )
    .at_start(),
    python(
        "elasticsearch.bulk.queue_max_size",
        at_least(1),
        "1024",
        "Operations waiting to be sent, per sync.",
    ),
    python(
        "elasticsearch.bulk.queue_max_mem_size",
        MIB,
        "25",
        "Memory of the operations waiting to be sent, per sync.",
    ),
    python("elasticsearch.bulk.queue_refresh_interval", SPAN, "1", "Pause between looks at a full queue.")
        .inert("a full queue is waited for here, not polled"),
    python(
        "elasticsearch.bulk.queue_refresh_timeout",
        PAUSE,
        "1300",
        "How long a queue may stay full before the sync is given up.",
    ),
    python(
        "elasticsearch.bulk.display_every",
        at_least(1),
        "100",
        "Documents between two lines of progress in the log; never more than one line in 10 s.",
    ),
    python(
        "elasticsearch.bulk.chunk_size",
        at_least(2),
        "500",
        "Lines of a bulk request: an index or update has 2, a delete 1.",
    ),
    python("elasticsearch.bulk.chunk_max_mem_size", MIB, "3", "Size of a bulk request."),
    python(
        "elasticsearch.bulk.max_text_document_size",
        Kind::Size { unit: Unit::MiB, optional: true },
        "3",
        "Longest text of a document's body; 0 or none for no limit.",
    ),
    python(
        "elasticsearch.bulk.max_concurrency",
        Kind::Whole { min: 1, max: 1000 },
        "5",
        "Bulk requests under way at once, per sync.",
    ),
    python(
        "elasticsearch.bulk.concurrent_downloads",
        Kind::Whole { min: 1, max: 1000 },
        "10",
        "Bodies fetched at once, per sync.",
    ),
    python("elasticsearch.bulk.max_retries", at_least(0), "5", "Read by the Python service without effect.")
        .inert("elasticsearch.max_retries governs bulk requests too"),
    python("elasticsearch.bulk.retry_interval", SPAN, "10", "Read by the Python service without effect.")
        .inert("elasticsearch.retry_interval governs bulk requests too"),
    python(
        "elasticsearch.bulk.enable_operations_logging",
        Kind::Bool,
        "false",
        "Log every operation's id at level DEBUG.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.enabled",
        Kind::Bool,
        "true",
        "Whether too many refused documents end a sync.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.max_total_errors",
        at_least(0),
        "1000",
        "Errors in all that end a sync when exceeded.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.max_consecutive_errors",
        at_least(0),
        "10",
        "Errors in a row that end a sync when exceeded.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.max_error_rate",
        Kind::Number { min: 0.0, max: 1.0 },
        "0.15",
        "Share of errors in the window that ends a sync when exceeded.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.error_window_size",
        at_least(0),
        "100",
        "Operations in that window; 0 switches the share off.",
    ),
    python(
        "elasticsearch.bulk.error_monitor.error_queue_size",
        at_least(0),
        "10",
        "Last errors kept to be shown.",
    ),
    // The service.
    python(
        "service.worker_mode",
        Kind::Bool,
        "false",
        "Serve every connector of service_types, listed or not.",
    ),
    python("service.service_types", Kind::Texts, "[]", "Source types served in worker mode."),
    python(
        "service.idling",
        PAUSE,
        "30",
        "Pause between polls; when set it is also the default of tributary.poll_interval.",
    ),
    python("service.heartbeat", PAUSE, "300", "Longest time between two check-ins of a connector."),
    python(
        "service.preflight_max_attempts",
        at_least(1),
        "10",
        "Attempts to prepare the protocol's indices at start.",
    )
    .at_start(),
    python("service.preflight_idle", SPAN, "30", "Pause between those attempts.").at_start(),
    python(
        "service.max_errors",
        at_least(0),
        "20",
        "Errors of the poll loop within max_errors_span before it gives up.",
    ),
    python("service.max_errors_span", SPAN, "600", "Time after which those errors are forgotten."),
    python(
        "service.max_concurrent_content_syncs",
        Kind::Whole { min: 1, max: 1000 },
        "4",
        "Content syncs running at once.",
    ),
    python(
        "service.max_concurrent_access_control_syncs",
        Kind::Whole { min: 1, max: 1000 },
        "4",
        "Access control syncs running at once.",
    ),
    python(
        "service.max_concurrent_scheduling_tasks",
        Kind::Whole { min: 1, max: 1000 },
        "4",
        "Connectors looked after at once.",
    ),
    python(
        "service.max_file_download_size",
        BYTES,
        "10485760",
        "Largest file whose content is fetched, for the extraction service too.",
    ),
    python(
        "service.job_cleanup_interval",
        PAUSE,
        "300",
        "Pause between two checks whether the connector of an open job still exists; idle jobs are looked for at every poll.",
    ),
    python("service.log_level", LEVELS, "INFO", "Log level."),
    python(
        "service.fips_mode",
        Kind::Bool,
        "false",
        "Demand a FIPS-validated cryptographic module.",
    )
    .inert("this program has no FIPS-validated module: where one is demanded, do not use it"),
    // Extraction.
    python_unset(
        "extraction_service.host",
        Kind::Url,
        "http://localhost:8090",
        "Address of the data extraction service; naming it switches it on, for connectors with use_text_extraction_service.",
    ),
    python(
        "extraction_service.timeout",
        PAUSE,
        "30",
        "Time for one file; a document whose file takes longer stays as it was until the next sync.",
    ),
    python(
        "extraction_service.use_file_pointers",
        Kind::Bool,
        "false",
        "Pass files by path in shared_volume_dir instead of sending them.",
    ),
    python("extraction_service.stream_chunk_size", BYTES, "65536", "Bytes sent at a time.")
        .inert("a file is sent as a whole"),
    python(
        "extraction_service.shared_volume_dir",
        Kind::Path,
        "/app/files",
        "Folder shared with the extraction service.",
    ),
    // Sources.
    python_unset(
        "sources",
        Kind::Table,
        "{my_source: my_module:MySource}",
        "Source types with the Python classes that implement them.",
    )
    .inert("Python classes cannot be loaded; the sources built into this program are used"),
    python_unset(
        "native_service_types",
        Kind::Texts,
        "[dir]",
        "Source types served as managed connectors, before 9.6.",
    )
    .inert("use service.worker_mode with service.service_types"),
    python_unset("_force_allow_native", Kind::Bool, "false", "Companion of native_service_types.")
        .inert("use service.worker_mode with service.service_types"),
    // Ours.
    ours("tributary.poll_interval", PAUSE, "5s", "Pause between looks at connectors and jobs."),
    ours("tributary.data_dir", Kind::Path, "tributary-data", "Where the embedded node keeps its data.")
        .at_start(),
    ours_unset(
        "tributary.state_dir",
        Kind::Path,
        "tributary-data/state",
        "Where the daemon keeps spools and resume points; state in data_dir unless set.",
    )
    .at_start(),
    ours("tributary.node.listen", Kind::Address, "127.0.0.1:9200", "Where the embedded node listens.")
        .at_start(),
    ours_unset(
        "tributary.node.enabled",
        Kind::Bool,
        "true",
        "Whether the embedded node runs in this process; yes when no Elasticsearch host is configured.",
    )
    .at_start(),
    ours_unset(
        "tributary.node.users_file",
        Kind::Path,
        "tributary-data/users",
        "Users of the embedded node with their passwords' hashes, made by `tributary node user add`; users in data_dir unless set.",
    )
    .at_start(),
    ours_unset(
        "tributary.node.tls.certificate",
        Kind::Path,
        "/etc/tributary/node.crt",
        "PEM file with the certificate for HTTPS and those that lead to its authority; plain HTTP unless set.",
    )
    .at_start(),
    ours_unset(
        "tributary.node.tls.key",
        Kind::Path,
        "/etc/tributary/node.key",
        "PEM file with the certificate's private key.",
    )
    .at_start(),
    ours(
        "tributary.node.max_body_size",
        MIB,
        "100",
        "Largest request body that the embedded node takes, after decompression.",
    )
    .at_start(),
    ours(
        "tributary.node.max_body_memory",
        MIB,
        "512",
        "Memory for all request bodies together; what does not fit is answered with 429.",
    )
    .at_start(),
    ours(
        "tributary.node.max_connections",
        at_least(1),
        "1024",
        "Connections at once; beyond it the one that has been idle for the longest time is closed.",
    )
    .at_start(),
    ours(
        "tributary.node.header_timeout",
        PAUSE,
        "120s",
        "Time for a TLS handshake and for a request's header; also how long a connection may be idle.",
    )
    .at_start(),
    ours(
        "tributary.node.body_timeout",
        PAUSE,
        "60s",
        "Longest pause while a client sends a body or takes an answer.",
    )
    .at_start(),
    ours(
        "tributary.lease",
        Kind::Duration { min: Duration::from_secs(3) },
        "30s",
        "How long a silent worker keeps its job before another takes it over.",
    ),
    ours(
        "tributary.shutdown_grace",
        SPAN,
        "20s",
        "How long running syncs may take to store what they have read when asked to stop.",
    ),
    ours(
        "tributary.job_retention.age",
        SPAN,
        "90d",
        "Age at which a finished sync job is deleted; 0 keeps every job.",
    ),
    ours(
        "tributary.job_retention.count",
        Kind::Whole { min: 1, max: 9000 },
        "100",
        "Latest jobs of each connector that stay, however old they are; content and access-control syncs count apart.",
    ),
    ours(
        "tributary.delete_guard.max_share",
        Kind::Number { min: 0.0, max: 1.0 },
        "0.2",
        "Share of an index that a sync may delete without being asked again; 1 switches the guard off.",
    ),
    ours(
        "tributary.delete_guard.min_documents",
        at_least(0),
        "100",
        "Deletions that the guard always lets pass, unless they are everything.",
    ),
    ours(
        "tributary.fingerprint",
        Kind::Bool,
        "true",
        "Keep a fingerprint in each document, so that unchanged ones are not written again.",
    ),
    ours("tributary.log_format", Kind::Choice(&["human", "json", "ecs"]), "human", "Form of the log lines.")
        .at_start(),
    ours_unset(
        "tributary.max_concurrent_syncs_by_type",
        Kind::Counts,
        "{postgresql: 2}",
        "Syncs running at once of a source type, within the limits of the service; types not named have none of their own.",
    ),
    ours_unset(
        "tributary.job_limits.time",
        Kind::Duration { min: Duration::from_secs(1) },
        "12h",
        "Longest time a sync may run in one go; then it ends with an error. None unless set.",
    ),
    ours(
        "tributary.job_limits.silence",
        SPAN,
        "1h",
        "Longest time in which a source may tell nothing while its sync waits for it; then the sync ends with an error. 0: no limit.",
    ),
    ours_unset(
        "tributary.job_limits.documents_per_second",
        Kind::Number { min: 0.1, max: f64::MAX },
        "500",
        "Documents that a sync writes in a second at the most. No limit unless set.",
    ),
    ours(
        "tributary.job_log.lines",
        Kind::Whole { min: 0, max: 1000 },
        "100",
        "Last log lines kept in each job's document, for tributary job view --logs; 0 keeps none.",
    ),
    ours_unset(
        "tributary.proxy",
        Kind::Text,
        "http://proxy:3128",
        "HTTP proxy for requests to Elasticsearch; http://user:password@proxy:3128 names credentials too.",
    )
    .secret(),
    ours_unset(
        "tributary.monitoring.listen",
        Kind::Address,
        "127.0.0.1:9600",
        "Where /metrics, /healthz and /readyz are served, without authentication; nowhere unless set.",
    )
    .at_start(),
    ours_unset(
        "tributary.otlp.endpoint",
        Kind::Url,
        "http://localhost:4318",
        "OpenTelemetry collector that traces are sent to over HTTP (OTLP); none are sent unless set.",
    )
    .at_start(),
    ours_unset(
        "tributary.otlp.headers",
        Kind::Table,
        "{authorization: Bearer TOKEN}",
        "Headers added to every request to the collector.",
    )
    .secret()
    .at_start(),
    ours_unset(
        "tributary.otlp.ca_certs",
        Kind::Path,
        "/etc/ssl/collector-ca.pem",
        "PEM file with an authority to trust for the collector, besides the public ones.",
    )
    .at_start(),
    ours_unset(
        "tributary.worker_name",
        Kind::Text,
        "worker-1",
        "Name under which this process claims jobs; the machine's name unless set.",
    )
    .at_start(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::yaml;

    #[test]
    fn paths_are_unique_and_no_key_is_inside_another() {
        let paths: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
        assert_eq!(paths.len(), KEYS.len());
        for path in &paths {
            let inside = format!("{path}.");
            assert!(
                !paths.iter().any(|other| other.starts_with(&inside)),
                "{path} is both value and section"
            );
        }
    }

    #[test]
    fn defaults_and_examples_are_what_their_keys_accept() {
        for key in KEYS.iter().chain(CONNECTOR).filter(|key| key.kind != Kind::Connectors) {
            for text in key.default.into_iter().chain([key.example]) {
                let value = yaml::parse(text).unwrap();
                assert!(key.kind.read(&value).is_some(), "{}: {text} ({})", key.path, key.kind.accepts());
            }
        }
    }

    #[test]
    fn every_key_says_what_it_is_in_a_sentence() {
        for key in KEYS.iter().chain(CONNECTOR) {
            assert!(key.doc.ends_with('.') && !key.doc.contains('|'), "{}: {}", key.path, key.doc);
        }
    }
}
