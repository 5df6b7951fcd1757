//! What has to be asked: the engine of record, the connectors' documents, the sources.

use std::net::TcpListener;
use std::time::Duration;

use chrono::Utc;
use tributary_client::{
    Auth, Client, ClientError, ClientOptions, ConnectorSelector, ErrorKind, RetryPolicy, Versioned,
};
use tributary_daemon::Lacking;
use tributary_node::UserFile;
use tributary_protocol::{Connector, ConnectorId, JobType};
use tributary_sdk::{Context, Env, Registry};
use tributary_settings::Settings;

use super::findings::Findings;
use super::folder::is_writable;
use crate::connector::never_fires;
use crate::error::Result;
use crate::extraction::Service;
use crate::secrets;
use crate::{convert, target};

/// Time for the engine of record to answer, and for one source to connect and answer.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn check(settings: &Settings, findings: &mut Findings) -> Result<()> {
    if let Some(service) = &settings.extraction_service {
        let what = format!("extraction service {}", service.host);
        match Service::new(service)?.check().await {
            Ok(()) => findings.good(what, "answers"),
            Err(problem) => {
                findings.problem(
                    what,
                    problem,
                    "start it, or correct extraction_service in the configuration",
                );
            }
        }
    }
    if settings.embedded() && TcpListener::bind(settings.tributary.node.listen).is_ok() {
        findings.good("embedded node", format!("{} is free", settings.tributary.node.listen));
        data_folder(settings, findings);
        findings
            .warning("connectors", "the embedded node does not run, so its connectors were not looked at");
        return Ok(());
    }
    let mut options = convert::client_options(settings);
    options.retry = RetryPolicy::NEVER;
    options.request_timeout = options.request_timeout.min(PATIENCE);
    if settings.embedded() && options.auth == Auth::None {
        // The daemon does not look at the certificate of its own node either, and nothing secret is sent.
        options.verify_certs = false;
    }
    // Each host for itself: the daemon would go round one that is away, and nobody would know.
    let mut answering = None;
    for host in &settings.elasticsearch.hosts {
        let mut alone = options.clone();
        alone.hosts = vec![host.clone()];
        let asked = async {
            let client = Client::new(alone.clone())?;
            client.probe().await.map(|server| (client, server))
        };
        match asked.await {
            Err(error) if is_own_node_with_users(settings, &options, &error) => findings.warning(
                host,
                "the embedded node has users, so its connectors were not looked at: the daemon in its process needs \
                 no credentials, this check does (elasticsearch.api_key, or elasticsearch.username and \
                 elasticsearch.password)",
            ),
            Err(error) => problem(findings, host, &error),
            Ok((client, server)) => {
                findings.good(host, format!("answers, version {}", server.version));
                for warning in server.warnings() {
                    findings.warning(host, warning);
                }
                answering.get_or_insert((client, alone, server.abilities.connector_api));
            }
        }
    }
    if let Some((client, options, has_api)) = answering {
        findings.good("control", control(settings, has_api));
        lacking(findings, "rights", Lacking::for_service(&client, has_api).await);
        connectors(settings, &options, &client, findings).await?;
    }
    Ok(())
}

/// Whether it is the embedded node that asks for credentials: the configuration need not have any for it.
fn is_own_node_with_users(settings: &Settings, options: &ClientOptions, error: &ClientError) -> bool {
    settings.embedded()
        && options.auth == Auth::None
        && error.kind() == ErrorKind::Auth
        && UserFile::new(&settings.tributary.node.users_file).names().is_ok_and(|names| !names.is_empty())
}

/// How connectors and jobs are written there.
fn control(settings: &Settings, has_api: bool) -> &'static str {
    match (settings.elasticsearch.feature_use_connectors_api, has_api) {
        (true, true) => "the Connector APIs are there and used",
        (true, false) => {
            "document mode: the cluster has no Connector APIs, so the protocol's documents are written directly"
        }
        (false, _) => {
            "document mode: elasticsearch.feature_use_connectors_api is false, so the protocol's documents are written \
             directly"
        }
    }
}

/// Rights that the daemon needs and does not have.
fn lacking(findings: &mut Findings, what: &str, asked: Result<Lacking, ClientError>) {
    match asked {
        Ok(lacking) => {
            let (needed, dispensable) = lacking.split();
            if !needed.is_empty() {
                let mend =
                    "give the user or API key these rights; docs/operate.md lists all under \"Rights\"";
                findings.problem(what, format!("lacks rights: {needed}"), mend);
            }
            if !dispensable.is_empty() {
                let message = format!(
                    "lacks rights that syncs can do without: {dispensable} (docs/operate.md tells under \"Rights\" \
                     what for)"
                );
                findings.warning(what, message);
            }
        }
        Err(error) => problem(findings, what, &error),
    }
}

fn problem(findings: &mut Findings, what: &str, error: &ClientError) {
    findings.problem(what, error, error.hint().unwrap_or("see the server's log"));
}

/// The data folder must be one that can be written; the folders above it are made.
fn data_folder(settings: &Settings, findings: &mut Findings) {
    let data = &settings.tributary.data_dir;
    if is_writable(data) {
        findings.good("data folder", format!("'{}' can be written", data.display()));
    } else {
        findings.problem(
            "data folder",
            format!("'{}' cannot be written", data.display()),
            "give write access, or name another folder in tributary.data_dir",
        );
    }
}

async fn connectors(
    settings: &Settings,
    options: &ClientOptions,
    client: &Client,
    findings: &mut Findings,
) -> Result<()> {
    let listed: Vec<ConnectorId> =
        settings.connectors.iter().map(|entry| ConnectorId::from(entry.connector_id.clone())).collect();
    let types = settings.service.service_types.clone();
    let all = listed.is_empty() && types.is_empty();
    let selector =
        ConnectorSelector { ids: listed.clone(), service_types: types, all, include_deleted: false };
    let found = match client.connectors(&selector).await {
        Ok(found) => found,
        Err(error) => {
            problem(findings, "connectors", &error);
            return Ok(());
        }
    };
    for missing in listed.iter().filter(|id| found.iter().all(|found| found.id != **id)) {
        let mend = "create it with `tributary connector create`, or take it out of the configuration";
        findings.problem(format!("connector '{missing}'"), "does not exist", mend);
    }
    if found.is_empty() && listed.is_empty() {
        findings.warning("connectors", "there is none yet; `tributary connector create` makes one");
    }
    let registry = tributary_connectors::registry();
    for connector in &found {
        let entry = settings.connectors.iter().find(|entry| entry.connector_id == connector.id.as_str());
        let key = entry.and_then(|entry| entry.api_key.as_ref());
        let own = key.map(|key| convert::content_client(options, key)).transpose()?;
        let asked = Lacking::for_content(own.as_ref().unwrap_or(client), &connector.doc).await;
        lacking(findings, &format!("connector '{}'", connector.id), asked);
        let service_type = entry.and_then(|entry| entry.service_type.as_deref());
        source(connector, service_type, &registry, settings, findings).await;
    }
    Ok(())
}

/// Checks one connector's document, and its source by connecting to it.
async fn source(
    found: &Versioned<ConnectorId, Connector>,
    configured_type: Option<&str>,
    registry: &Registry,
    settings: &Settings,
    findings: &mut Findings,
) {
    let what = format!("connector '{}'", found.id);
    let id = found.id.as_str();
    let Some(service_type) = configured_type.or(found.doc.service_type.as_deref()) else {
        return findings.problem(
            &what,
            "has no service type",
            "name it in the configuration or in the connector",
        );
    };
    let Some(kind) = registry.get(service_type) else {
        let mend = format!("use one of {}", registry.service_types().join(", "));
        return findings.problem(&what, format!("a source of type '{service_type}' is not built in"), &mend);
    };
    match found.doc.index_name.as_deref().map(target::index_name) {
        Some(Ok(_)) => {}
        Some(Err(error)) => findings.problem(&what, error, ""),
        None => findings.problem(&what, "has no index", "set its index_name"),
    }
    for kind in JobType::ALL {
        if let Some(entry) = found.doc.schedule(kind).filter(|entry| entry.enabled)
            && never_fires(&entry.interval, Utc::now())
        {
            let told = format!("the schedule of {} syncs '{}' never fires", kind.as_str(), entry.interval);
            findings.warning(&what, told);
        }
    }
    let configuration = &found.doc.configuration;
    if configuration.is_empty() {
        let mend = format!("set its values with `tributary connector configure {id} --set FIELD=VALUE`");
        return findings.problem(&what, "is not configured", &mend);
    }
    let problems = configuration.check();
    for problem in &problems {
        let mend = format!("`tributary connector configure {id} --set {}=VALUE`", problem.field);
        findings.problem(&what, problem, &mend);
    }
    if !problems.is_empty() {
        return;
    }
    let context = Context { max_body_bytes: settings.service.max_file_download_size, ..Context::default() };
    let reach = async {
        let source = kind.connect(configuration, &Env::default()).await?;
        source.ping(&context).await
    };
    let redactor = secrets::redactor();
    redactor.learn_configuration(configuration, Some(&kind.schema()));
    match tokio::time::timeout(PATIENCE, reach).await {
        Ok(Ok(())) => findings.good(&what, format!("its source ({service_type}) answers")),
        Ok(Err(error)) => findings.problem(&what, redactor.text(&error.report()), ""),
        Err(_) => findings.problem(
            &what,
            format!("its source did not answer within {} s", PATIENCE.as_secs()),
            "check its address and the network",
        ),
    }
}
