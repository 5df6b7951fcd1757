//! The engine of record that a command talks to.

use std::env;
use std::path::Path;
use std::time::Duration;

use tributary_client::Versioned;
use tributary_client::{Auth, Client, ClientOptions, RetryPolicy, Secret};
use tributary_protocol::{Connector, ConnectorId, IndexName};
use tributary_settings::{Settings, Sources};

use crate::args::TargetArgs;
use crate::error::{CliError, Result};
use crate::{convert, login, terminal};

/// A person waits: what is away is told of soon.
const IMPATIENT: RetryPolicy = RetryPolicy {
    budget: Duration::from_secs(3),
    base: Duration::from_millis(200),
    cap: Duration::from_secs(1),
    on_timeout: true,
};

/// Where the password comes from: arguments can be seen by other users.
const PASSWORD: &str = "TRIBUTARY_PASSWORD";

/// Reads the configuration: file, environment, overrides.
pub(crate) fn settings(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Settings> {
    let mut sources = Sources::with_env(env::vars_os());
    sources.file = file.map(Path::to_owned);
    for (key, value) in overrides {
        sources = sources.set(*key, value);
    }
    Settings::load(&sources).map_err(|problems| {
        let unreadable = problems
            .iter()
            .any(|problem| problem.key.is_empty() && problem.message.contains("cannot be read"));
        let error = CliError::from(problems);
        if unreadable { error.hint("name a file that exists and may be read with --config") } else { error }
    })
}

/// What flags, environment and configuration say about the engine of record.
#[derive(Debug)]
pub(crate) struct Target {
    /// The configuration behind it.
    pub(crate) settings: Settings,
    options: ClientOptions,
}

impl Target {
    /// Reads the configuration and lets the flags go before it.
    pub(crate) fn read(args: &TargetArgs) -> Result<Self> {
        let remembered =
            if args.config.is_none() && args.host.is_none() { login::remembered() } else { None };
        let settings = settings(args.config.as_deref().or(remembered.as_deref()), &[])?;
        let mut options = convert::client_options(&settings);
        if let Some(host) = &args.host {
            options.hosts =
                host.split(',').map(|host| host.trim().trim_end_matches('/').to_owned()).collect();
            if args.config.is_none() {
                // Credentials that the environment holds for one host are not for another.
                options.auth = Auth::None;
            }
        }
        if let Some(auth) = credentials(args)? {
            options.auth = auth;
        }
        if args.ca_certs.is_some() {
            options.ca_certs.clone_from(&args.ca_certs);
        }
        options.retry = IMPATIENT;
        Ok(Self { settings, options })
    }

    /// The options, for further clients.
    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// A client for commands that answer and end.
    pub(crate) fn client(&self) -> Result<Client> {
        client(self.options.clone())
    }
}

/// The client that `args` ask for.
pub(crate) fn connect(args: &TargetArgs) -> Result<Client> {
    Target::read(args)?.client()
}

/// A client for commands that answer and end.
pub(crate) fn impatient(mut options: ClientOptions) -> Result<Client> {
    options.retry = IMPATIENT;
    client(options)
}

/// A client with these options.
pub(crate) fn client(options: ClientOptions) -> Result<Client> {
    Ok(Client::new(options)?)
}

/// Who flags and environment say we are. A person who has not set the password is asked for it.
pub(crate) fn credentials(args: &TargetArgs) -> Result<Option<Auth>> {
    match (&args.api_key, &args.username) {
        (Some(key), _) => Ok(Some(Auth::ApiKey(Secret::new(key)))),
        (None, Some(user)) => {
            let password = match env::var(PASSWORD) {
                Ok(password) => password,
                Err(_) if terminal::can_ask() => terminal::ask(&format!("Password of '{user}'"), true)?,
                Err(_) => {
                    return Err(CliError::user(format!("user '{user}' has no password"))
                        .hint(format!("set the variable {PASSWORD}")));
                }
            };
            Ok(Some(Auth::Basic { user: user.clone(), password: Secret::new(password) }))
        }
        (None, None) => Ok(None),
    }
}

/// The connector of this id, unless it is missing or deleted.
pub(crate) async fn connector(client: &Client, id: &str) -> Result<Versioned<ConnectorId, Connector>> {
    let id = ConnectorId::from(id.to_owned());
    match client.connector(&id).await? {
        Some(found) if !found.doc.deleted => Ok(found),
        _ => {
            Err(CliError::user(format!("there is no connector '{id}'"))
                .hint("see `tributary connector list`"))
        }
    }
}

/// An index's name as the user gave it.
pub(crate) fn index_name(text: &str) -> Result<IndexName> {
    IndexName::try_from(text.to_owned()).map_err(|error| {
        CliError::user(format!("'{text}' cannot be an index: {error}"))
            .hint("use lower-case letters, digits, - and _")
    })
}
