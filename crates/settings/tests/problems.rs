//! Everything that is wrong is told at once, with its place, and no secret in it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use proptest::prelude::*;
use tributary_settings::{Place, Problems, Settings, Sources};

const SPAN: &str = "a number of seconds, or a text such as 30s, 5m or 250ms";

fn refuse(text: &str) -> Problems {
    match Settings::from_yaml_str(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems,
    }
}

/// The only problem's text.
fn problem(text: &str) -> String {
    let problems = refuse(text);
    assert_eq!(problems.len(), 1, "{problems}");
    problems.to_string()
}

/// Each file has one problem: `config.yml:` and the expected text.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(problem(text), format!("config.yml:{expected}"), "{text}");
    }
}

#[test]
fn a_wrong_value_is_shown_with_what_is_accepted() {
    check(&[
        (
            "service:\n  idling: soon\n",
            &format!("2: service.idling is \"soon\"; expected a time span of at least 100ms: {SPAN}"),
        ),
        (
            "tributary.lease: 1s\n",
            &format!("1: tributary.lease is \"1s\"; expected a time span of at least 3s: {SPAN}"),
        ),
        (
            "service.max_concurrent_content_syncs: 0\n",
            "1: service.max_concurrent_content_syncs is \"0\"; expected a whole number from 1 to 1000",
        ),
        (
            "elasticsearch.bulk.error_monitor.max_error_rate: 15%\n",
            "1: elasticsearch.bulk.error_monitor.max_error_rate is \"15%\"; expected a number from 0 to 1",
        ),
        (
            "elasticsearch.bulk.max_text_document_size: -1\n",
            "1: elasticsearch.bulk.max_text_document_size is \"-1\"; expected a size: a number of MiB, or a text such \
             as 512kb or 3mb; 0 or none for no limit",
        ),
        (
            "elasticsearch.verify_certs: [true]\n",
            "1: elasticsearch.verify_certs is a list; expected true or false",
        ),
        (
            "service.log_level: loud\n",
            "1: service.log_level is \"loud\"; expected one of TRACE, DEBUG, INFO, WARNING, WARN, ERROR, CRITICAL",
        ),
        (
            "tributary.node.listen: localhost:9200\n",
            "1: tributary.node.listen is \"localhost:9200\"; expected an IP address with a port, such as \
             127.0.0.1:9200",
        ),
        (
            "\n\nextraction_service: 5\n",
            "3: extraction_service is a section, not a value; its keys go below it: host, timeout, \
             use_file_pointers, stream_chunk_size, shared_volume_dir",
        ),
    ]);
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (key, nearest) in [
        ("elasticsearch.hots", "elasticsearch.host"),
        ("elasticsearch.hosts", "elasticsearch.host"),
        ("chunk_size", "elasticsearch.bulk.chunk_size"),
        ("elasticsearch.chunk_size", "elasticsearch.bulk.chunk_size"),
        ("poll_interval", "tributary.poll_interval"),
        ("service.connectors", "connectors"),
        ("tributary.delete_guard.max_shares", "tributary.delete_guard.max_share"),
        ("extraction_service.hosts", "extraction_service.host"),
    ] {
        let text = format!("{key}: 5\n");
        assert_eq!(
            problem(&text),
            format!("config.yml:1: {key} is not a known key; nearest known key: {nearest}")
        );
    }
}

#[test]
fn what_is_no_configuration_is_told_with_its_line() {
    let mend = "mend the line; indent with spaces, quote texts with special characters";
    for (text, line) in [("a: [1\nb: 2\n", 2), ("service:\n  idling: 1\n :x: [\n", 3)] {
        let problem = problem(text);
        assert!(problem.starts_with(&format!("config.yml:{line}: not valid YAML: ")), "{problem}");
        assert!(problem.ends_with(mend), "{problem}");
    }
    check(&[("- a\n", "1: holds no keys; expected lines such as key: value")]);
}

#[test]
fn a_variable_that_cannot_be_replaced_is_named() {
    check(&[
        (
            "service.log_level: ${LEVEL}\n",
            "1: service.log_level needs the environment variable LEVEL, which is not set; set it, or write \
             ${LEVEL|default}",
        ),
        (
            "connectors:\n- connector_id: a\n  api_key: ${KEY}\n",
            "3: connectors[0].api_key needs the environment variable KEY, which is not set; set it, or write \
             ${KEY|default}",
        ),
        (
            "elasticsearch: {host: 'http://a', password: 'a${'}\n",
            "1: elasticsearch.password holds a ${ that begins no variable; expected ${NAME} or ${NAME|default}; \
             write $${ for the characters themselves",
        ),
    ]);
}

#[test]
fn what_does_not_go_together_is_told() {
    check(&[(
        "elasticsearch: {host: 'http://a', username: u}\n",
        "1: elasticsearch.username is given without a password; set elasticsearch.password or \
         elasticsearch.password_file, or use elasticsearch.api_key",
    )]);
    assert_eq!(
        problem("service.worker_mode: true\n"),
        "configuration: service.service_types is empty although service.worker_mode is on; list the source types to \
         serve, such as [dir]"
    );
    assert_eq!(
        problem("extraction_service.timeout: 5\n"),
        "configuration: extraction_service.host is missing although extraction_service is there; set its address, \
         such as http://localhost:8090, or remove the section"
    );
}

#[test]
fn each_connector_is_checked() {
    check(&[
        (
            "connectors: dir\n",
            "1: connectors is \"dir\"; expected a list of {connector_id, service_type, api_key}",
        ),
        ("connectors:\n- a\n", "1: connectors[0] is \"a\"; expected {connector_id, service_type, api_key}"),
        (
            "connectors:\n- connector_id: a\n- service_type: dir\n",
            "3: connectors[1] has no connector_id; expected the connector's id",
        ),
        (
            "connectors:\n- connector_id: changeme\n",
            "2: connectors[0].connector_id is still \"changeme\"; put the connector's id there",
        ),
        (
            "connectors:\n- connector_id: a\n  service_type: changeme\n",
            "3: connectors[0].service_type is still \"changeme\"; put the source's type there",
        ),
        (
            "connectors:\n- connector_id: a\n  servicetype: b\n",
            "3: connectors[0].servicetype is not a known key; nearest known key: service_type",
        ),
        ("connector_id: changeme\n", "1: connector_id is still \"changeme\"; put the connector's id there"),
        (
            "service: {worker_mode: true, service_types: [changeme]}\n",
            "1: service.service_types holds \"changeme\"; put the source types to serve there, such as dir",
        ),
    ]);
}

#[test]
fn all_problems_are_reported_at_once_by_place() {
    let text = "\
elasticsearch:
  host: localhost:9200
  password: {secret: hunter2}
  bulk:
    chunk_size: 1
    chunk_sise: 5
service.idling: ${IDLE}
service.heartbeat: ${HEART}${BEAT}
connectors:
  - connector_id: changeme
    api_key: [hunter2]
  - connector_id: b
    api_key: ${KEY}
";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, text).unwrap();
    let mut sources = Sources::default().file(&path).set("tributary.fingerprint", "perhaps");
    for (name, value) in
        [("TRIBUTARY_SERVICE__IDLENESS", "hunter2"), ("TRIBUTARY_SERVICE__MAX_ERRORS", "many"), ("IDLE", "")]
    {
        sources.env.insert(name.into(), value.into());
    }
    let report = Settings::load(&sources).unwrap_err().to_string();
    let report = report.replace(&path.display().to_string(), "config.yml");
    assert!(!report.contains("hunter2"));
    insta::assert_snapshot!("report", report);
}

#[test]
fn addresses_with_credentials_are_refused_without_showing_them() {
    for host in ["http://elastic:hunter2@es:9200", "elastic:hunter2@es"] {
        let text = problem(&format!("elasticsearch: {{host: '{host}', api_key: k}}\n"));
        assert!(!text.contains("hunter2") && text.contains("without credentials"), "{text}");
    }
}

#[test]
fn values_of_unknown_keys_are_not_shown() {
    assert!(!problem("elasticsearch.pasword: hunter2\n").contains("hunter2"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sources = Sources::default().file("no/such/config.yml");
    let text = Settings::load(&sources).unwrap_err().to_string();
    assert!(text.starts_with("no/such/config.yml: cannot be read: "), "{text}");
}

#[test]
fn secret_files_that_are_missing_empty_or_beside_the_secret_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    for (text, expected) in [
        ("elasticsearch.password_file: no/such/file\n".to_owned(), "cannot be read"),
        (format!("elasticsearch.password_file: {}\n", empty.display()), "an empty file"),
        (
            "elasticsearch: {password: a, password_file: b}\n".to_owned(),
            "is given beside elasticsearch.password",
        ),
        (
            "connectors: [{connector_id: a, api_key: a, api_key_file: b}]\n".to_owned(),
            "is given beside api_key",
        ),
        ("elasticsearch.username_file: b\n".to_owned(), "not a known key"),
    ] {
        let problem = problem(&text);
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn a_refused_secret_raises_no_second_problem() {
    for password in ["'${PASS}'", "[a]"] {
        let text =
            problem(&format!("elasticsearch: {{host: 'http://a', username: u, password: {password}}}\n"));
        assert!(text.contains("elasticsearch.password"), "{text}");
    }
}

#[test]
fn flags_and_variables_are_places_too() {
    let sources = Sources::default().set("tributary.lesae", "5");
    let problems = Settings::load(&sources).unwrap_err();
    let only = problems.iter().next().unwrap();
    assert_eq!((&only.place, only.key.as_str()), (&Place::Override, "tributary.lesae"));
    assert_eq!(
        only.to_string(),
        "command line: tributary.lesae is not a known key; nearest known key: tributary.lease"
    );
    let mut sources = Sources::default();
    sources.env.insert("TRIBUTARY_ELASTICSEARCH__HSOT".into(), "x".into());
    assert_eq!(
        Settings::load(&sources).unwrap_err().to_string(),
        "environment variable TRIBUTARY_ELASTICSEARCH__HSOT: elasticsearch.hsot is not a known key; nearest known \
         key: elasticsearch.host"
    );
}

fn yaml_like_line() -> impl Strategy<Value = String> {
    let key = "(elasticsearch|service|connectors|host|bulk|idling|<<|tributary.node)?(\\.[a-z_]{1,6})?";
    let value = "(&a|\\*a|\\[|\\{|\\}|\\]|'|\"|\\$\\{A\\|1\\}|[0-9a-z.]{1,8})?";
    proptest::string::string_regex(&format!("( {{0,4}})(- )?{key}:? ?{value}")).unwrap()
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,200}") {
        let _ = Settings::from_yaml_str(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_reading_panic(lines in prop::collection::vec(yaml_like_line(), 0..12)) {
        let _ = Settings::from_yaml_str(&lines.join("\n"));
    }
}
