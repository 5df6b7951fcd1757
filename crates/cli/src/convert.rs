//! From the process's configuration to the options of the parts.

use std::time::Duration;

use tributary_client::{Auth, Client, ClientOptions, ControlChoice, RetryPolicy, Secret, WaitPauses};
use tributary_daemon::{DaemonOptions, JobRetention, SelectedConnector, Selection, SyncOptions};
use tributary_engine::{DeleteGuard, ErrorLimits, Limits};
use tributary_protocol::ConnectorId;
use tributary_sdk::Registry;
use tributary_settings::{Bulk, Credentials, Elasticsearch, Settings};

use crate::error::Result;
use crate::extraction;
use crate::secrets;

/// The longest pause between two attempts, and the longest time all attempts of a request may take.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_BUDGET: Duration = Duration::from_secs(3600);

/// How to reach the engine of record.
pub(crate) fn client_options(settings: &Settings) -> ClientOptions {
    let elasticsearch = &settings.elasticsearch;
    let mut options = ClientOptions::new(elasticsearch.hosts.iter().cloned());
    options.auth = match elasticsearch.credentials() {
        Credentials::None => Auth::None,
        Credentials::Basic { username, password } => {
            Auth::Basic { user: username.to_owned(), password: Secret::new(password.reveal()) }
        }
        Credentials::ApiKey(key) => Auth::ApiKey(Secret::new(key.reveal())),
    };
    if elasticsearch.ssl {
        options.verify_certs = elasticsearch.verify_certs;
        options.ca_certs.clone_from(&elasticsearch.ca_certs);
    }
    let header =
        |(name, value): (&String, &tributary_settings::Secret)| (name.clone(), Secret::new(value.reveal()));
    options.headers = elasticsearch.headers.iter().map(header).collect();
    options.request_timeout = elasticsearch.request_timeout;
    options.retry = retry(elasticsearch);
    let first = elasticsearch.initial_backoff_duration;
    let factor = elasticsearch.backoff_multiplier;
    options.wait = WaitPauses { first, factor, longest: LONGEST_PAUSE };
    options.proxy = settings.tributary.proxy.as_ref().map(|proxy| Secret::new(proxy.reveal()));
    if !elasticsearch.feature_use_connectors_api {
        options.control = ControlChoice::Documents;
    }
    options
}

/// The Python service doubles `retry_interval` from try to try; the same number of tries fits into this budget.
fn retry(elasticsearch: &Elasticsearch) -> RetryPolicy {
    let retries = elasticsearch.max_retries.saturating_sub(1);
    let factor = 2_u32.checked_pow(retries).map_or(u32::MAX, |power| power - 1);
    let budget = elasticsearch.retry_interval.saturating_mul(factor).min(LONGEST_BUDGET);
    RetryPolicy {
        budget,
        base: elasticsearch.retry_interval.min(RetryPolicy::default().base),
        cap: LONGEST_PAUSE,
        on_timeout: elasticsearch.retry_on_timeout,
    }
}

/// What the daemon serves and how. `client` is that for connectors without a key of their own.
pub(crate) fn daemon_options(settings: &Settings, client: &ClientOptions) -> Result<DaemonOptions> {
    let (service, own) = (&settings.service, &settings.tributary);
    let mut options = DaemonOptions::default();
    options.redactor = secrets::redactor();
    options.connectors = selection(settings, client)?;
    options.poll_interval = own.poll_interval;
    options.heartbeat = service.heartbeat;
    options.lease = own.lease;
    options.max_concurrent_content_syncs = service.max_concurrent_content_syncs;
    options.max_concurrent_access_control_syncs = service.max_concurrent_access_control_syncs;
    options.max_scheduling_tasks = service.max_concurrent_scheduling_tasks;
    options.max_concurrent_by_type.clone_from(&own.max_concurrent_syncs_by_type);
    options.orphan_recheck = service.job_cleanup_interval;
    options.preflight_attempts = service.preflight_max_attempts;
    options.preflight_pause = service.preflight_idle;
    options.shutdown_grace = own.shutdown_grace;
    options.start_timeout = Some(settings.elasticsearch.max_wait_duration);
    options.max_errors = service.max_errors;
    options.max_errors_span = service.max_errors_span;
    options.state_dir.clone_from(&own.state_dir);
    options.job_retention = JobRetention { age: own.job_retention.age, count: own.job_retention.count };
    if let Some(name) = &own.worker_name {
        options.worker_name.clone_from(name);
    }
    options.sync = sync_options(settings);
    options.sync.extractor = extraction::extractor(settings)?;
    Ok(options)
}

/// The listed connectors and those of the worker mode; where neither is configured, every connector of a source that is
/// built in.
fn selection(settings: &Settings, client: &ClientOptions) -> Result<Selection> {
    if settings.connectors.is_empty() && settings.service.service_types.is_empty() {
        return Ok(Selection::all());
    }
    let mut selection = Selection::default();
    selection.service_types.clone_from(&settings.service.service_types);
    for entry in &settings.connectors {
        let mut selected = SelectedConnector::new(ConnectorId::from(entry.connector_id.clone()));
        selected.service_type.clone_from(&entry.service_type);
        if let Some(key) = &entry.api_key {
            selected.content_client = Some(content_client(client, key)?);
        }
        selection.ids.push(selected);
    }
    Ok(selection)
}

/// The client of a connector's content, where that has a key of its own.
pub(crate) fn content_client(client: &ClientOptions, key: &tributary_settings::Secret) -> Result<Client> {
    Ok(Client::new(client.clone().auth(Auth::ApiKey(Secret::new(key.reveal()))))?)
}

/// Every secret of the configuration, to hide it in what is logged.
pub(crate) fn secrets(settings: &Settings) -> Vec<String> {
    let (elasticsearch, own) = (&settings.elasticsearch, &settings.tributary);
    let keys = settings.connectors.iter().filter_map(|entry| entry.api_key.as_ref());
    let headers = own.otlp.iter().flat_map(|otlp| otlp.headers.values());
    let direct = elasticsearch.password.iter().chain(&elasticsearch.api_key).chain(&own.proxy);
    let mut secrets: Vec<String> = direct
        .chain(keys)
        .chain(headers)
        .chain(elasticsearch.headers.values())
        .map(|secret| secret.reveal().to_owned())
        .collect();
    // Of `Bearer TOKEN` and of `http://user:password@proxy` the secret part also stands alone.
    let parts: Vec<String> = secrets
        .iter()
        .filter_map(|secret| {
            let address = secret.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
            let password = address.and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
            password.or_else(|| secret.split_once(' ').map(|(_, token)| token)).map(str::to_owned)
        })
        .collect();
    secrets.extend(parts);
    secrets
}

/// The service types that are configured but not built in.
pub(crate) fn unknown_types<'s>(settings: &'s Settings, registry: &Registry) -> Vec<&'s str> {
    let listed = settings.connectors.iter().filter_map(|entry| entry.service_type.as_deref());
    let all = settings.service.service_types.iter().map(String::as_str).chain(listed);
    all.filter(|service_type| registry.get(service_type).is_none()).collect()
}

/// Types with a limit of their own that are not built in: a limit for a misspelt type bounds nothing.
pub(crate) fn unknown_limits<'s>(settings: &'s Settings, registry: &Registry) -> Vec<&'s str> {
    let limited = settings.tributary.max_concurrent_syncs_by_type.keys().map(String::as_str);
    limited.filter(|service_type| registry.get(service_type).is_none()).collect()
}

/// How the syncs of the process are run.
pub(crate) fn sync_options(settings: &Settings) -> SyncOptions {
    let bulk = &settings.elasticsearch.bulk;
    let mut options = SyncOptions::default();
    options.limits = limits(bulk);
    options.error_limits = ErrorLimits {
        enabled: bulk.error_monitor.enabled,
        max_total: bulk.error_monitor.max_total_errors,
        max_consecutive: bulk.error_monitor.max_consecutive_errors,
        max_rate: bulk.error_monitor.max_error_rate,
        window: bulk.error_monitor.error_window_size,
        queue: bulk.error_monitor.error_queue_size,
    };
    options.delete_guard = DeleteGuard {
        max_share: settings.tributary.delete_guard.max_share,
        min_documents: settings.tributary.delete_guard.min_documents,
        ..DeleteGuard::default()
    };
    options.fingerprint = settings.tributary.fingerprint;
    options.max_body_bytes = settings.service.max_file_download_size;
    options.time_limit = settings.tributary.job_limits.time;
    options.silence_limit = settings.tributary.job_limits.silence;
    options.rate_limit = settings.tributary.job_limits.documents_per_second;
    options.progress_every = bulk.display_every;
    options.log_operations = bulk.enable_operations_logging;
    options.job_log_lines = settings.tributary.job_log_lines;
    options
}

/// An index operation has two lines, so half of `chunk_size` is what the Python service sends at the most.
fn limits(bulk: &Bulk) -> Limits {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Limits {
        in_flight_bytes: bytes(bulk.queue_max_mem_size),
        batch_bytes: bytes(bulk.chunk_max_mem_size),
        batch_items: (bulk.chunk_size / 2).max(1),
        queued_items: bulk.queue_max_size,
        concurrent_bulks: bulk.max_concurrency,
        concurrent_bodies: bulk.concurrent_downloads,
        max_text_document_bytes: bulk.max_text_document_size.map(bytes),
        patience: bulk.queue_refresh_timeout,
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(yaml: &str) -> Settings {
        Settings::from_yaml_str(yaml).unwrap()
    }

    fn daemon(yaml: &str) -> DaemonOptions {
        let settings = settings(yaml);
        daemon_options(&settings, &client_options(&settings)).unwrap()
    }

    #[test]
    fn without_connectors_all_that_are_built_in_are_served() {
        assert!(daemon("").connectors.all);
        let listed = daemon("connectors:\n- connector_id: a\n  service_type: dir\n  api_key: a2V5OnZhbHVl\n");
        assert!(!listed.connectors.all);
        assert_eq!(listed.connectors.ids[0].id.as_str(), "a");
        assert!(listed.connectors.ids[0].content_client.is_some());
    }

    #[test]
    fn the_api_key_goes_before_user_and_password() {
        let both = settings("elasticsearch: {host: 'http://a:1', username: u, password: p, api_key: k}");
        assert_eq!(client_options(&both).auth, Auth::ApiKey(Secret::new("k")));
        let basic = settings("elasticsearch: {host: 'http://a:1', username: u, password: p}");
        let user = "u".to_owned();
        assert_eq!(client_options(&basic).auth, Auth::Basic { user, password: Secret::new("p") });
        assert_eq!(client_options(&settings("")).auth, Auth::None);
    }

    #[test]
    fn one_try_means_no_second() {
        let once = settings("elasticsearch: {max_retries: 1}");
        assert_eq!(client_options(&once).retry.budget, Duration::ZERO);
        let more = settings("elasticsearch: {max_retries: 5, retry_interval: 10}");
        assert_eq!(client_options(&more).retry.budget, Duration::from_secs(150));
    }

    #[test]
    fn sizes_and_limits_reach_the_engine() {
        let options = sync_options(&settings(
            "elasticsearch.bulk: {chunk_size: 500, chunk_max_mem_size: 2, max_text_document_size: none}\n\
             tributary.fingerprint: false",
        ));
        assert_eq!((options.limits.batch_items, options.limits.batch_bytes), (250, 2 << 20));
        assert_eq!(options.limits.max_text_document_bytes, None);
        assert!(!options.fingerprint);
    }
}
