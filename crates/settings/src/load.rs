//! From sources to settings: gather, read, check what must go together.

use std::collections::BTreeMap;
use std::fs;

use crate::changes::Effective;
use crate::given::Gather;
use crate::listed;
use crate::problem::{Place, Problem, Problems};
use crate::secret::Secret;
use crate::settings::{
    Bulk, ConnectorEntry, DeleteGuard, Elasticsearch, ErrorMonitor, ExtractionService, JobLimits,
    JobRetention, Level, Log, LogFormat, Node, NodeTls, Otlp, Service, Settings, Tributary,
};
use crate::sources::Sources;
use crate::values::{self, Values};

/// The Python service's address of Elasticsearch and its credentials when none are given (sync-runtime 2.2).
const DEFAULT_HOST: &str = "http://localhost:9200";
const DEFAULT_USERNAME: &str = "elastic";
const DEFAULT_PASSWORD: &str = "changeme";
/// What proves who the user is.
const SECRETS: [&str; 2] = ["elasticsearch.password", "elasticsearch.api_key"];
/// The word that example files hold where an id must be filled in (sync-runtime 1.6).
pub(crate) const PLACEHOLDER: &str = "changeme";

/// Reads all sources.
pub(crate) fn load(sources: &Sources) -> Result<Settings, Problems> {
    let Some(file) = &sources.file else { return from_text("", "", sources) };
    let name = file.display().to_string();
    match fs::read_to_string(file) {
        Ok(text) => from_text(&name, &text, sources),
        Err(error) => Err(Problems::of_file(Problem {
            place: Place::File { name, line: None },
            key: String::new(),
            message: format!("cannot be read: {error}"),
            accepted: "expected a YAML file".into(),
        })),
    }
}

/// Reads a file's text with the other sources.
pub(crate) fn from_text(name: &str, text: &str, sources: &Sources) -> Result<Settings, Problems> {
    let mut gather = Gather::new(&sources.env);
    gather.dotted_env();
    gather.file(name, text);
    gather.tributary_env();
    for (path, value) in &sources.overrides {
        gather.override_with(path, value);
    }
    let values = values::read(&mut gather);
    let settings = build(&mut gather, &values);
    if gather.problems.is_empty() {
        let effective = Effective::new(values.into_parsed());
        Ok(Settings { warnings: gather.warnings, effective, ..settings })
    } else {
        gather.problems.sort_by_key(|problem| order(&problem.place));
        Err(Problems::of_keys(gather.problems, settings))
    }
}

/// The file's problems by line, then those of the environment, the flags, and of the whole.
fn order(place: &Place) -> (u8, usize, String) {
    match place {
        Place::File { line, .. } => (0, line.unwrap_or(0), String::new()),
        Place::Env(name) => (1, 0, name.clone()),
        Place::Override => (2, 0, String::new()),
        Place::Whole => (3, 0, String::new()),
    }
}

fn build(gather: &mut Gather<'_>, values: &Values) -> Settings {
    let tributary = tributary(gather, values);
    let elasticsearch = elasticsearch(gather, values, &tributary);
    let service = service(gather, values);
    Settings {
        elasticsearch,
        service,
        connectors: connectors(gather, values),
        extraction_service: extraction_service(gather, values),
        sources: values.table("sources"),
        tributary,
        log: Log {
            level: Level::read(values, "service.log_level"),
            format: match values.text("tributary.log_format").as_deref() {
                Some("json") => LogFormat::Json,
                Some("ecs") => LogFormat::Ecs,
                _ => LogFormat::Human,
            },
        },
        effective: Effective::default(),
        warnings: Vec::new(),
    }
}

fn elasticsearch(gather: &mut Gather<'_>, values: &Values, tributary: &Tributary) -> Elasticsearch {
    let configured = values.texts("elasticsearch.host");
    let host_configured = !configured.is_empty();
    let hosts = match (host_configured, tributary.node.enabled) {
        (true, _) => configured,
        (false, Some(false)) => vec![DEFAULT_HOST.to_owned()],
        (false, _) => vec![tributary.node.own_url(tributary.node.listen)],
    };
    let (username, password) = basic(gather, values, host_configured);
    Elasticsearch {
        hosts,
        host_configured,
        username,
        password,
        api_key: values.secret("elasticsearch.api_key"),
        ssl: values.is("elasticsearch.ssl"),
        verify_certs: values.is("elasticsearch.verify_certs"),
        ca_certs: values
            .path("elasticsearch.ca_certs")
            .or_else(|| own_certificate(tributary, host_configured)),
        headers: secrets(values.table("elasticsearch.headers")),
        request_timeout: values.duration("elasticsearch.request_timeout"),
        retry_on_timeout: values.is("elasticsearch.retry_on_timeout"),
        max_retries: small(values.whole("elasticsearch.max_retries")),
        retry_interval: values.duration("elasticsearch.retry_interval"),
        max_wait_duration: values.duration("elasticsearch.max_wait_duration"),
        initial_backoff_duration: values.duration("elasticsearch.initial_backoff_duration"),
        backoff_multiplier: values.number("elasticsearch.backoff_multiplier"),
        log_level: Level::read(values, "elasticsearch.log_level"),
        feature_use_connectors_api: values.is("elasticsearch.feature_use_connectors_api"),
        bulk: bulk(values),
    }
}

/// The embedded node's certificate is trusted where its address is the default.
fn own_certificate(tributary: &Tributary, host_configured: bool) -> Option<std::path::PathBuf> {
    tributary.node.tls.as_ref().filter(|_| !host_configured).map(|tls| tls.certificate.clone())
}

/// User name and password with the Python service's defaults, which hold only where a host is configured.
fn basic(
    gather: &mut Gather<'_>,
    values: &Values,
    host_configured: bool,
) -> (Option<String>, Option<Secret>) {
    let username = values.text("elasticsearch.username");
    let password = values.secret("elasticsearch.password");
    let has_key = values.is_given("elasticsearch.api_key");
    if has_key && (username.is_some() || password.is_some()) {
        let place = values::place_of(gather, "elasticsearch.api_key");
        gather.warnings.push(format!(
            "{place}: elasticsearch.api_key is used; elasticsearch.username and elasticsearch.password are not"
        ));
    }
    if !host_configured && (has_key || username.is_some() || password.is_some()) {
        gather.warnings.push(
            "elasticsearch has credentials but no host: set elasticsearch.host unless they are meant for the embedded node"
                .into(),
        );
    }
    // What was given but refused has its own problem already.
    let attempted =
        SECRETS.iter().any(|path| gather.has_value(path) || gather.has_value(&format!("{path}_file")));
    match (username, password) {
        (None, Some(password)) => (Some(DEFAULT_USERNAME.to_owned()), Some(password)),
        (Some(_), None) if !has_key && !attempted => {
            let place = values::place_of(gather, "elasticsearch.username");
            gather.problem(
                place,
                "elasticsearch.username",
                "is given without a password".into(),
                "set elasticsearch.password or elasticsearch.password_file, or use elasticsearch.api_key"
                    .into(),
            );
            (None, None)
        }
        (None, None) if host_configured && !has_key => {
            gather.warnings.push(format!(
                "elasticsearch has a host but no credentials: the Python service's defaults are used \
                 ({DEFAULT_USERNAME} / {DEFAULT_PASSWORD}); set elasticsearch.api_key"
            ));
            (Some(DEFAULT_USERNAME.to_owned()), Some(Secret::new(DEFAULT_PASSWORD)))
        }
        given => given,
    }
}

fn bulk(values: &Values) -> Bulk {
    let error_monitor = ErrorMonitor {
        enabled: values.is("elasticsearch.bulk.error_monitor.enabled"),
        max_total_errors: values.whole("elasticsearch.bulk.error_monitor.max_total_errors"),
        max_consecutive_errors: values.whole("elasticsearch.bulk.error_monitor.max_consecutive_errors"),
        max_error_rate: values.number("elasticsearch.bulk.error_monitor.max_error_rate"),
        error_window_size: values.count("elasticsearch.bulk.error_monitor.error_window_size"),
        error_queue_size: values.count("elasticsearch.bulk.error_monitor.error_queue_size"),
    };
    Bulk {
        queue_max_size: values.count("elasticsearch.bulk.queue_max_size"),
        queue_max_mem_size: values.size("elasticsearch.bulk.queue_max_mem_size").unwrap_or_default(),
        queue_refresh_timeout: values.duration("elasticsearch.bulk.queue_refresh_timeout"),
        display_every: values.whole("elasticsearch.bulk.display_every"),
        chunk_size: values.count("elasticsearch.bulk.chunk_size"),
        chunk_max_mem_size: values.size("elasticsearch.bulk.chunk_max_mem_size").unwrap_or_default(),
        max_text_document_size: values.size("elasticsearch.bulk.max_text_document_size"),
        max_concurrency: values.count("elasticsearch.bulk.max_concurrency"),
        concurrent_downloads: values.count("elasticsearch.bulk.concurrent_downloads"),
        enable_operations_logging: values.is("elasticsearch.bulk.enable_operations_logging"),
        error_monitor,
    }
}

fn service(gather: &mut Gather<'_>, values: &Values) -> Service {
    let worker_mode = values.is("service.worker_mode");
    let mut service_types = values.texts("service.service_types");
    let place = values::place_of(gather, "service.service_types");
    if service_types.iter().any(|name| name == PLACEHOLDER) {
        gather.problem(
            place,
            "service.service_types",
            format!("holds {PLACEHOLDER:?}"),
            "put the source types to serve there, such as dir".into(),
        );
        // One problem is enough for it: whoever looks for more finds no type here.
        service_types.retain(|name| name != PLACEHOLDER);
    } else if worker_mode && service_types.is_empty() {
        let message = "is empty although service.worker_mode is on".to_owned();
        gather.problem(
            place,
            "service.service_types",
            message,
            "list the source types to serve, such as [dir]".into(),
        );
    } else if !worker_mode && !service_types.is_empty() {
        gather
            .warnings
            .push(format!("{place}: service.service_types has no effect unless service.worker_mode is on"));
        service_types.clear();
    }
    Service {
        worker_mode,
        service_types,
        idling: values.duration("service.idling"),
        heartbeat: values.duration("service.heartbeat"),
        preflight_max_attempts: small(values.whole("service.preflight_max_attempts")),
        preflight_idle: values.duration("service.preflight_idle"),
        max_errors: small(values.whole("service.max_errors")),
        max_errors_span: values.duration("service.max_errors_span"),
        max_concurrent_content_syncs: values.count("service.max_concurrent_content_syncs"),
        max_concurrent_access_control_syncs: values.count("service.max_concurrent_access_control_syncs"),
        max_concurrent_scheduling_tasks: values.count("service.max_concurrent_scheduling_tasks"),
        max_file_download_size: values.size("service.max_file_download_size").unwrap_or_default(),
        job_cleanup_interval: values.duration("service.job_cleanup_interval"),
    }
}

/// The listed connectors; where there are none, the deprecated single form.
fn connectors(gather: &mut Gather<'_>, values: &Values) -> Vec<ConnectorEntry> {
    let listed = listed::read(gather);
    if !listed.is_empty() || listed::is_given(gather) {
        for path in ["connector_id", "service_type"].into_iter().filter(|path| values.is_given(path)) {
            let place = values::place_of(gather, path);
            gather.warnings.push(format!("{place}: {path} has no effect beside connectors"));
        }
        return listed;
    }
    let service_type = values.text("service_type");
    let Some(connector_id) = values.text("connector_id") else {
        if service_type.is_some() {
            let place = values::place_of(gather, "service_type");
            gather.warnings.push(format!("{place}: service_type has no effect without connector_id"));
        }
        return Vec::new();
    };
    for (path, value) in [("connector_id", Some(&connector_id)), ("service_type", service_type.as_ref())] {
        if value.is_some_and(|value| value == PLACEHOLDER) {
            let place = values::place_of(gather, path);
            listed::refuse_placeholder(gather, place, path);
        }
    }
    let place = values::place_of(gather, "connector_id");
    gather.warnings.push(format!("{place}: connector_id is deprecated; list it under connectors"));
    let service_type = service_type.filter(|name| name != PLACEHOLDER);
    vec![ConnectorEntry { connector_id, service_type, api_key: None }]
}

fn extraction_service(gather: &mut Gather<'_>, values: &Values) -> Option<ExtractionService> {
    if !values.is_section_given("extraction_service") {
        return None;
    }
    let Some(host) = values.text("extraction_service.host") else {
        // The Python service's example file has the section with `host: null`.
        if gather.is_null("extraction_service.host") {
            gather.warnings.push("extraction_service has no effect without a host".to_owned());
        } else if !gather.has_value("extraction_service.host") {
            gather.problem(
                Place::Whole,
                "extraction_service.host",
                "is missing although extraction_service is there".into(),
                "set its address, such as http://localhost:8090, or remove the section".into(),
            );
        }
        return None;
    };
    Some(ExtractionService {
        host,
        timeout: values.duration("extraction_service.timeout"),
        use_file_pointers: values.is("extraction_service.use_file_pointers"),
        stream_chunk_size: values.size("extraction_service.stream_chunk_size").unwrap_or_default(),
        shared_volume_dir: values.path("extraction_service.shared_volume_dir").unwrap_or_default(),
    })
}

fn tributary(gather: &mut Gather<'_>, values: &Values) -> Tributary {
    let idles_only = values.is_given("service.idling") && !values.is_given("tributary.poll_interval");
    let data_dir = values.path("tributary.data_dir").unwrap_or_default();
    Tributary {
        poll_interval: values.duration(if idles_only { "service.idling" } else { "tributary.poll_interval" }),
        state_dir: values.path("tributary.state_dir").unwrap_or_else(|| data_dir.join("state")),
        node: node(gather, values, &data_dir),
        data_dir,
        lease: values.duration("tributary.lease"),
        shutdown_grace: values.duration("tributary.shutdown_grace"),
        job_retention: JobRetention {
            age: Some(values.duration("tributary.job_retention.age")).filter(|age| !age.is_zero()),
            count: values.count("tributary.job_retention.count"),
        },
        delete_guard: DeleteGuard {
            max_share: values.number("tributary.delete_guard.max_share"),
            min_documents: values.whole("tributary.delete_guard.min_documents"),
        },
        fingerprint: values.is("tributary.fingerprint"),
        worker_name: values.text("tributary.worker_name"),
        max_concurrent_syncs_by_type: values.counts("tributary.max_concurrent_syncs_by_type"),
        job_limits: JobLimits {
            time: values.optional_duration("tributary.job_limits.time"),
            silence: Some(values.duration("tributary.job_limits.silence")).filter(|limit| !limit.is_zero()),
            documents_per_second: values.optional_number("tributary.job_limits.documents_per_second"),
        },
        job_log_lines: values.count("tributary.job_log.lines"),
        proxy: values.secret("tributary.proxy"),
        monitoring: values.address("tributary.monitoring.listen"),
        otlp: values.text("tributary.otlp.endpoint").map(|endpoint| Otlp {
            endpoint,
            headers: secrets(values.table("tributary.otlp.headers")),
            ca_certs: values.path("tributary.otlp.ca_certs"),
        }),
    }
}

fn node(gather: &mut Gather<'_>, values: &Values, data_dir: &std::path::Path) -> Node {
    Node {
        listen: values.address("tributary.node.listen").unwrap_or_else(|| ([127, 0, 0, 1], 9200).into()),
        enabled: values.bool("tributary.node.enabled"),
        users_file: values.path("tributary.node.users_file").unwrap_or_else(|| data_dir.join("users")),
        tls: node_tls(gather, values),
        max_body_size: values.size("tributary.node.max_body_size").unwrap_or_default(),
        max_body_memory: values.size("tributary.node.max_body_memory").unwrap_or_default(),
        max_connections: values.count("tributary.node.max_connections"),
        header_timeout: values.duration("tributary.node.header_timeout"),
        body_timeout: values.duration("tributary.node.body_timeout"),
    }
}

/// The certificate and its key; one without the other is a problem.
fn node_tls(gather: &mut Gather<'_>, values: &Values) -> Option<NodeTls> {
    const PATHS: [&str; 2] = ["tributary.node.tls.certificate", "tributary.node.tls.key"];
    match PATHS.map(|path| values.path(path)) {
        [Some(certificate), Some(key)] => Some(NodeTls { certificate, key }),
        [None, None] => None,
        [certificate, _] => {
            let (given, missing) =
                if certificate.is_some() { (PATHS[0], PATHS[1]) } else { (PATHS[1], PATHS[0]) };
            let place = values::place_of(gather, given);
            gather.problem(place, given, format!("is given without {missing}"), "set both or none".into());
            None
        }
    }
}

fn secrets(table: BTreeMap<String, String>) -> BTreeMap<String, Secret> {
    table.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use crate::keys;

    #[test]
    fn every_key_with_an_effect_is_read() {
        let source = include_str!("load.rs");
        let unread: Vec<_> = keys::keys()
            .iter()
            .filter(|key| key.inert.is_none() && key.path != "connectors")
            .map(|key| key.path)
            .filter(|path| !source.contains(&format!("\"{path}\"")))
            .collect();
        assert!(unread.is_empty(), "no reader for {unread:?}");
    }
}
