//! What files, environment and flags mean.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tributary_settings::{Credentials, Level, LogFormat, Secret, Settings, Sources};

fn read(text: &str) -> Settings {
    Settings::from_yaml_str(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// A folder with `config.yml` in it.
fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, text).unwrap();
    (folder, Sources::default().file(path))
}

fn env(sources: Sources, vars: &[(&str, &str)]) -> Sources {
    let env = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { env, ..sources }
}

fn load(sources: &Sources) -> Settings {
    Settings::load(sources).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn nothing_given_means_the_defaults_and_the_embedded_node() {
    let settings = load(&Sources::default());
    assert_eq!(settings, read(""));
    assert_eq!(settings, read("# nothing\nelasticsearch:\nservice:\n  idling: ~\n"));
    assert!(settings.embedded());
    insta::assert_debug_snapshot!("defaults", settings);
}

#[test]
fn dotted_nested_and_mixed_keys_mean_the_same() {
    let nested = "\
elasticsearch:
  host: http://es:9200
  api_key: k
  bulk:
    chunk_size: 10
    max_concurrency: 2
";
    let dotted = "\
elasticsearch.host: http://es:9200
elasticsearch.api_key: k
elasticsearch.bulk.chunk_size: 10
elasticsearch.bulk.max_concurrency: 2
";
    let mixed = "\
elasticsearch:
  host: http://es:9200/
  bulk.chunk_size: 10
elasticsearch.api_key: k
elasticsearch.bulk:
  max_concurrency: 2
";
    assert_eq!(read(dotted), read(nested));
    assert_eq!(read(mixed), read(nested));
    assert_eq!(read(nested).elasticsearch.bulk.chunk_size, 10);
}

#[test]
fn values_are_read_in_their_units() {
    let settings = read(
        "service.idling: 12\nservice.heartbeat: 5m\nelasticsearch.request_timeout: '250ms'\n\
         elasticsearch.bulk.chunk_max_mem_size: 2\nelasticsearch.bulk.queue_max_mem_size: 512kb\n\
         service.max_file_download_size: 1mb\nservice.log_level: critical\ntributary.log_format: JSON\n\
         elasticsearch.ssl: no\n",
    );
    assert_eq!(settings.service.idling, Duration::from_secs(12));
    assert_eq!(settings.service.heartbeat, Duration::from_secs(300));
    assert_eq!(settings.elasticsearch.request_timeout, Duration::from_millis(250));
    assert_eq!(settings.elasticsearch.bulk.chunk_max_mem_size, 2 << 20);
    assert_eq!(settings.elasticsearch.bulk.queue_max_mem_size, 512 << 10);
    assert_eq!(settings.service.max_file_download_size, 1 << 20);
    assert_eq!((settings.log.level, settings.log.format), (Level::Error, LogFormat::Json));
    assert!(!settings.elasticsearch.ssl);
}

#[test]
fn the_text_limit_can_be_switched_off() {
    for off in ["0", "null", "none", ""] {
        let settings = read(&format!("elasticsearch.bulk.max_text_document_size: {off}\n"));
        assert_eq!(settings.elasticsearch.bulk.max_text_document_size, None, "{off:?}");
    }
    assert_eq!(read("").elasticsearch.bulk.max_text_document_size, Some(3 << 20));
}

#[test]
fn hosts_may_be_one_or_many() {
    for (text, hosts) in [
        ("http://a:9200/", vec!["http://a:9200"]),
        ("[http://a, 'https://b:9200']", vec!["http://a", "https://b:9200"]),
        ("http://a,http://b", vec!["http://a", "http://b"]),
    ] {
        let settings = read(&format!("elasticsearch.host: {text}\nelasticsearch.api_key: k\n"));
        assert_eq!(settings.elasticsearch.hosts, hosts);
        assert!(settings.elasticsearch.host_configured && !settings.embedded());
    }
}

#[test]
fn without_a_host_the_node_s_address_is_used_unless_it_is_switched_off() {
    let listen = read("tributary.node.listen: 127.0.0.1:9300\n");
    assert_eq!(listen.elasticsearch.hosts, ["http://127.0.0.1:9300"]);
    assert_eq!(listen.tributary.node.listen, SocketAddr::from(([127, 0, 0, 1], 9300)));
    let off = read("tributary.node.enabled: false\n");
    assert_eq!((off.elasticsearch.hosts[0].as_str(), off.embedded()), ("http://localhost:9200", false));
    let both = read("elasticsearch: {host: 'http://a', api_key: k}\ntributary.node.enabled: true\n");
    assert!(both.embedded());
}

#[test]
fn an_api_key_goes_before_a_password_and_defaults_need_a_host() {
    let (k, p, changeme) = (Secret::new("k"), Secret::new("p"), Secret::new("changeme"));
    for (rest, expected, warnings) in [
        ("api_key: k", Credentials::ApiKey(&k), 0),
        ("username: u, password: p", Credentials::Basic { username: "u", password: &p }, 0),
        ("password: p", Credentials::Basic { username: "elastic", password: &p }, 0),
        ("username: u, password: p, api_key: k", Credentials::ApiKey(&k), 1),
        ("ssl: true", Credentials::Basic { username: "elastic", password: &changeme }, 1),
    ] {
        let settings = read(&format!("elasticsearch: {{host: 'http://a', {rest}}}\n"));
        assert_eq!(settings.elasticsearch.credentials(), expected, "{rest}");
        assert_eq!(settings.warnings.len(), warnings, "{rest}: {:?}", settings.warnings);
    }
    assert_eq!(read("").elasticsearch.credentials(), Credentials::None);
}

#[test]
fn numeric_ids_are_texts_as_written() {
    let settings =
        read("connectors:\n- connector_id: 0123\n  service_type: dir\n- connector_id: 1e3\n  api_key: 77\n");
    let ids: Vec<_> = settings.connectors.iter().map(|entry| entry.connector_id.as_str()).collect();
    assert_eq!(ids, ["0123", "1e3"]);
    assert_eq!(settings.connectors[1].api_key, Some(Secret::new("77")));
    assert_eq!(settings.connectors[1].service_type, None);
}

#[test]
fn of_equal_ids_the_later_entry_counts() {
    let entries = "{connector_id: a, service_type: dir}, {connector_id: a, service_type: s3}";
    let settings = read(&format!("connectors: [{entries}]\n"));
    assert_eq!(settings.connectors.len(), 1);
    assert_eq!(settings.connectors[0].service_type.as_deref(), Some("s3"));
    assert_eq!(settings.warnings.len(), 1);
}

#[test]
fn the_deprecated_single_connector_counts_only_without_a_list() {
    let single = read("connector_id: 17\nservice_type: dir\n");
    assert_eq!(single.connectors[0].connector_id, "17");
    assert!(single.warnings[0].contains("deprecated"));
    let beside = read("connector_id: 17\nconnectors: [{connector_id: 18}]\n");
    assert_eq!(beside.connectors.len(), 1);
    assert_eq!(beside.connectors[0].connector_id, "18");
    assert!(beside.warnings[0].contains("no effect"));
}

#[test]
fn the_python_service_s_pause_is_ours_unless_ours_is_given() {
    assert_eq!(read("").tributary.poll_interval, Duration::from_secs(5));
    assert_eq!(read("service.idling: 9\n").tributary.poll_interval, Duration::from_secs(9));
    let both = read("service.idling: 9\ntributary.poll_interval: 2\n");
    assert_eq!(both.tributary.poll_interval, Duration::from_secs(2));
}

#[test]
fn the_state_folder_lies_in_the_data_folder_unless_given() {
    assert_eq!(read("tributary.data_dir: /d\n").tributary.state_dir, Path::new("/d/state"));
    assert_eq!(read("tributary: {data_dir: /d, state_dir: /s}\n").tributary.state_dir, Path::new("/s"));
}

#[test]
fn extraction_is_on_when_its_host_is_there() {
    assert_eq!(read("").extraction_service, None);
    let service = read("extraction_service.host: http://x:8090/\n").extraction_service.unwrap();
    assert_eq!((service.host.as_str(), service.timeout), ("http://x:8090", Duration::from_secs(30)));
    let unset = read("extraction_service.host: null\nextraction_service.timeout: 30\n");
    assert_eq!(unset.extraction_service, None);
    assert_eq!(unset.warnings, ["extraction_service has no effect without a host"]);
}

#[test]
fn service_types_count_in_worker_mode_only() {
    let worker = read("service: {worker_mode: true, service_types: [dir, s3]}\n");
    assert_eq!(worker.service.service_types, ["dir", "s3"]);
    let idle = read("service.service_types: [dir]\n");
    assert!(idle.service.service_types.is_empty());
    assert!(idle.warnings[0].contains("worker_mode"));
}

#[test]
fn keys_without_effect_are_told_unless_they_hold_their_default() {
    let told = read(
        "service.fips_mode: true\nsources: {x: 'm:X'}\nelasticsearch.bulk.max_retries: 9\n\
         _force_allow_native: true\n",
    );
    assert_eq!(told.warnings.len(), 4, "{:?}", told.warnings);
    let fips = "config.yml:1: service.fips_mode has no effect";
    assert!(told.warnings.iter().any(|warning| warning.starts_with(fips)));
    assert_eq!(read("service.fips_mode: false\n").warnings, Vec::<String>::new());
}

#[test]
fn layers_override_each_other_in_order() {
    let (_folder, file) = file("service.idling: 1\nservice.heartbeat: 1\nservice.max_errors: 1\n");
    let vars = [
        ("service.idling", "2"),
        ("service.preflight_idle", "2"),
        ("TRIBUTARY_SERVICE__HEARTBEAT", "3"),
        ("TRIBUTARY_SERVICE__MAX_ERRORS", "3"),
        ("PATH", "/bin"),
        ("java.home", "/java"),
        ("TRIBUTARY_LOG", "debug"),
    ];
    let service = load(&env(file, &vars).set("service.max_errors", "4")).service;
    assert_eq!(service.idling, Duration::from_secs(1), "the file goes before dotted variables");
    assert_eq!(service.preflight_idle, Duration::from_secs(2), "dotted variables go before defaults");
    assert_eq!(service.heartbeat, Duration::from_secs(3), "variables go before the file");
    assert_eq!(service.max_errors, 4, "flags go before all");
}

#[test]
fn environment_variables_reach_every_kind_of_key() {
    let settings = load(&env(
        Sources::default(),
        &[
            ("TRIBUTARY_ELASTICSEARCH__HOST", "[http://a, http://b]"),
            ("TRIBUTARY_ELASTICSEARCH__API_KEY", "$k${k"),
            ("TRIBUTARY_ELASTICSEARCH__HEADERS", "{x-a: 1}"),
            ("TRIBUTARY_ELASTICSEARCH__BULK__ERROR_MONITOR__ENABLED", "false"),
            ("TRIBUTARY_CONNECTORS", "[{connector_id: 5, service_type: dir}]"),
            ("TRIBUTARY_SERVICE__WORKER_MODE", "true"),
            ("TRIBUTARY_SERVICE__SERVICE_TYPES", "dir,s3"),
            ("TRIBUTARY__NODE__LISTEN", "127.0.0.1:1"),
            ("TRIBUTARY_TRIBUTARY__LEASE", "1m"),
        ],
    ));
    assert_eq!(settings.elasticsearch.hosts, ["http://a", "http://b"]);
    assert_eq!(settings.elasticsearch.api_key, Some(Secret::new("$k${k")), "the environment is not expanded");
    assert_eq!(settings.elasticsearch.headers["x-a"], Secret::new("1"));
    assert!(!settings.elasticsearch.bulk.error_monitor.enabled);
    assert_eq!(settings.connectors[0].connector_id, "5");
    assert_eq!(settings.service.service_types, ["dir", "s3"]);
    assert_eq!(settings.tributary.node.listen.port(), 1);
    assert_eq!(settings.tributary.lease, Duration::from_secs(60));
}

#[test]
fn variables_are_replaced_inside_values_only() {
    let (_folder, file) = file(
        "# ${NOT_SET} in a comment\nelasticsearch:\n  host: http://${HOST}:${PORT|9201}\n  \
         password: a$b$$c${PASS}\nservice.idling: ${IDLE}\nconnectors:\n- connector_id: ${ID}\n  \
         api_key: ${KEY|none}\n",
    );
    let settings = load(&env(file, &[("HOST", "es"), ("PASS", ": #\n"), ("IDLE", "7"), ("ID", "id-1")]));
    assert_eq!(settings.elasticsearch.hosts, ["http://es:9201"]);
    assert_eq!(settings.elasticsearch.password, Some(Secret::new("a$b$c: #\n")));
    assert_eq!(settings.service.idling, Duration::from_secs(7));
    assert_eq!(settings.connectors[0].connector_id, "id-1");
    assert_eq!(settings.connectors[0].api_key, Some(Secret::new("none")));
}

#[test]
fn a_variable_without_braces_stays_and_is_told() {
    let (_folder, file) = file("elasticsearch: {host: 'http://a', password: pa$HOME}\n");
    let settings = load(&env(file, &[("HOME", "/home/x")]));
    assert_eq!(settings.elasticsearch.password, Some(Secret::new("pa$HOME")));
    assert_eq!(settings.warnings.len(), 1);
    assert!(!settings.warnings[0].contains("pa$"), "{}", settings.warnings[0]);
}

#[test]
fn secrets_come_from_files_without_their_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, " s3cret \n").unwrap();
    let path = path.display().to_string();
    let settings = read(&format!(
        "elasticsearch: {{host: 'http://a', password_file: '{path}'}}\n\
         connectors: [{{connector_id: a, api_key_file: '{path}'}}]\n"
    ));
    assert_eq!(settings.elasticsearch.password, Some(Secret::new(" s3cret ")));
    assert_eq!(settings.connectors[0].api_key, Some(Secret::new(" s3cret ")));
    let by_env = load(&env(Sources::default(), &[("TRIBUTARY_ELASTICSEARCH__API_KEY_FILE", &path)]));
    assert_eq!(by_env.elasticsearch.api_key, Some(Secret::new(" s3cret ")));
}

#[test]
fn the_stronger_layer_decides_between_a_secret_and_its_file() {
    let (_folder, file) = file("elasticsearch: {host: 'http://a', api_key_file: no/such/file}\n");
    let settings = load(&env(file, &[("TRIBUTARY_ELASTICSEARCH__API_KEY", "k")]));
    assert_eq!(settings.elasticsearch.api_key, Some(Secret::new("k")));
}

#[test]
fn tables_of_all_layers_are_put_together() {
    let (_folder, file) = file("elasticsearch:\n  headers: {A: 1, B: 2}\nelasticsearch.headers.C.D: 3\n");
    let settings = load(&env(file, &[("TRIBUTARY_ELASTICSEARCH__HEADERS", "{B: 4}")]));
    let headers = settings.elasticsearch.headers.iter();
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}={}", value.reveal())).collect();
    assert_eq!(headers, ["A=1", "B=4", "C.D=3"]);
}

#[test]
fn a_key_given_twice_is_told_and_the_later_counts() {
    let settings = read("service.idling: 1\nservice:\n  idling: 2\n");
    assert_eq!(settings.service.idling, Duration::from_secs(2));
    let told = "config.yml:3: service.idling is given twice; config.yml:1 no longer counts";
    assert_eq!(settings.warnings, [told]);
}

#[test]
fn anchors_and_merge_keys_work() {
    let settings =
        read("connectors:\n- &base {service_type: dir, connector_id: a}\n- <<: *base\n  connector_id: b\n");
    assert_eq!(settings.connectors[1].connector_id, "b");
    assert_eq!(settings.connectors[1].service_type.as_deref(), Some("dir"));
}

#[test]
fn no_secret_shows_in_debug() {
    let (_folder, file) = file(
        "elasticsearch: {host: 'http://a', password: hunter2, api_key: hunter2, headers: {A: hunter2}}\n\
         connectors: [{connector_id: a, api_key: hunter2}]\n",
    );
    let sources = env(file, &[("PASSWORD", "hunter2")]).set("elasticsearch.api_key", "hunter2");
    let settings = load(&sources);
    assert!(!format!("{settings:?} {sources:?}").contains("hunter2"));
}

#[test]
fn limits_of_source_types_are_whole_numbers_by_name_nested_or_dotted() {
    let nested = read("tributary.max_concurrent_syncs_by_type: {postgresql: 2, s3: 1}\n");
    let dotted = read(
        "tributary.max_concurrent_syncs_by_type.postgresql: 2\ntributary.max_concurrent_syncs_by_type.s3: 1\n",
    );
    let limits = nested.tributary.max_concurrent_syncs_by_type;
    assert_eq!((limits["postgresql"], limits["s3"]), (2, 1));
    assert_eq!(limits, dotted.tributary.max_concurrent_syncs_by_type);
    let refused = Settings::from_yaml_str("tributary.max_concurrent_syncs_by_type: {s3: 0}\n").unwrap_err();
    assert!(refused.to_string().contains("whole numbers of at least 1"), "{refused}");
}

#[test]
fn monitoring_and_traces_are_off_unless_they_are_named() {
    let off = read("").tributary;
    assert_eq!((off.monitoring, off.otlp, off.job_limits.time), (None, None, None));
    assert_eq!(off.job_limits.silence, Some(Duration::from_secs(3600)));
    let on = read(
        "tributary:\n  monitoring.listen: 127.0.0.1:9600\n  otlp: {endpoint: 'http://c:4318/', headers: {a: b}}\n  \
         job_limits: {time: 2h, silence: 0, documents_per_second: 50}\n",
    )
    .tributary;
    assert_eq!(on.monitoring.unwrap().port(), 9600);
    let otlp = on.otlp.unwrap();
    assert_eq!((otlp.endpoint.as_str(), otlp.headers["a"].reveal()), ("http://c:4318", "b"));
    assert_eq!(on.job_limits.time, Some(Duration::from_secs(7200)));
    assert_eq!(on.job_limits.silence, None);
    assert_eq!(on.job_limits.documents_per_second, Some(50.0));
}
