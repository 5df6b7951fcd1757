//! From the configuration to a client of the driver.

use std::io::Write as _;
use std::time::Duration;

use mongodb::Client;
use mongodb::options::{ClientOptions, ConnectionString, ServerAddress, Tls, TlsOptions};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::NamedTempFile;
use tributary_sdk::{Error, ErrorKind, Result, tls};

use crate::config::MongodbConfig;
use crate::failure;

/// The longest wait for a server, unless the connection string says otherwise.
const SELECTS_WITHIN: Duration = Duration::from_secs(10);
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

/// A client, and what has to live as long.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Its servers, for messages.
    pub(crate) servers: String,
    /// What UUIDs of the old kind mean.
    pub(crate) legacy_uuids: Option<bson::UuidRepresentation>,
    /// The file with the certificates to trust: the driver takes them from nowhere else.
    pub(crate) trust: Option<NamedTempFile>,
}

/// Reads the connection string, and looks up the servers of an address with `+srv`.
pub(crate) async fn connect(config: &MongodbConfig) -> Result<Connected> {
    let host = config.host.trim();
    check_tls(host, config.ssl_enabled)?;
    let password = config.password.as_ref().map(tributary_sdk::Secret::reveal);
    let text = with_login(host, config.user.as_deref(), password.map(String::as_str))?;
    let parsed = ConnectionString::parse(&text).map_err(|error| unusable(host, &error))?;
    let legacy_uuids = parsed.uuid_representation;
    let options = ClientOptions::parse(parsed).await;
    let mut options = options.map_err(|error| match error.kind.as_ref() {
        mongodb::error::ErrorKind::DnsResolve { .. } => {
            failure::of("the servers cannot be looked up", &error)
        }
        _ => unusable(host, &error),
    })?;
    options.app_name.get_or_insert_with(|| "tributary".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTS_WITHIN);
    options.connect_timeout.get_or_insert(CONNECTS_WITHIN);
    if config.direct_connection {
        options.direct_connection = Some(true);
    }
    let trust = encrypt(&mut options, config)?;
    let servers = options.hosts.iter().map(ServerAddress::to_string).collect::<Vec<_>>().join(",");
    let client = Client::with_options(options)
        .map_err(|error| failure::of(&format!("the connection to {servers} cannot be set up"), &error))?;
    Ok(Connected { client, servers, legacy_uuids, trust })
}

/// An error that never repeats a connection string with a password in it.
fn unusable(host: &str, error: &mongodb::error::Error) -> Error {
    let told = Error::new(ErrorKind::Config, "'Server hostname' is no connection string that can be used")
        .hint("expected mongodb://host:27017/?option=value or mongodb+srv://host");
    if host.contains('@') { told } else { told.because(error.kind.to_string()) }
}

/// Puts the login into the connection string, where the driver knows what it means with every other option.
fn with_login(host: &str, user: Option<&str>, password: Option<&str>) -> Result<String> {
    let scheme = SCHEMES.iter().find(|scheme| host.starts_with(**scheme));
    let Some(scheme) = scheme else {
        return Err(Error::new(ErrorKind::Config, "'Server hostname' is no connection string")
            .hint("expected mongodb://host:27017 or mongodb+srv://host"));
    };
    if user.is_none() && password.is_none() {
        return Ok(host.to_owned());
    }
    let rest = &host[scheme.len()..];
    let (servers, options) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (login, servers) =
        servers.rsplit_once('@').map_or((None, servers), |(login, servers)| (Some(login), servers));
    let (known_user, known_password) = login.map_or((None, None), |login| {
        login.split_once(':').map_or((Some(login), None), |(u, p)| (Some(u), Some(p)))
    });
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = user.map(encoded).or_else(|| known_user.map(str::to_owned));
    let password = password.map(encoded).or_else(|| known_password.map(str::to_owned));
    let Some(user) = user else {
        return Err(Error::new(ErrorKind::Config, "'Password' is set and 'Username' is not")
            .hint("set both, or put them into the connection string"));
    };
    let password = password.map(|password| format!(":{password}")).unwrap_or_default();
    Ok(format!("{scheme}{user}{password}@{servers}{options}"))
}

/// The connection string and the field must not say different things.
fn check_tls(host: &str, enabled: bool) -> Result<()> {
    let query = host.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let differs = query.split('&').filter_map(|option| option.split_once('=')).any(|(name, value)| {
        let names_tls = name.eq_ignore_ascii_case("tls") || name.eq_ignore_ascii_case("ssl");
        names_tls && value.parse::<bool>().is_ok_and(|value| value != enabled)
    });
    if differs {
        let message = "The value of SSL/TLS must be the same in the hostname and configuration field.";
        return Err(
            Error::new(ErrorKind::Config, message).hint("leave tls and ssl out of the connection string")
        );
    }
    Ok(())
}

fn encrypt(options: &mut ClientOptions, config: &MongodbConfig) -> Result<Option<NamedTempFile>> {
    let given = match options.tls.take() {
        Some(Tls::Enabled(given)) => Some(given),
        _ => None,
    };
    // Addresses with `+srv` are encrypted whatever the field says, as their standard demands.
    if !config.ssl_enabled && given.is_none() {
        options.tls = Some(Tls::Disabled);
        return Ok(None);
    }
    let mut given = given.unwrap_or_else(|| TlsOptions::builder().build());
    let authority = config.ssl_ca.as_deref().filter(|_| config.ssl_enabled);
    let mut trust = None;
    if given.ca_file_path.is_none() || authority.is_some() {
        let file = trusted(authority)?;
        given.ca_file_path = Some(file.path().to_owned());
        trust = Some(file);
    }
    if config.ssl_enabled && config.tls_insecure {
        given.allow_invalid_certificates = Some(true);
    }
    options.tls = Some(Tls::Enabled(given));
    Ok(trust)
}

fn trusted(authority: Option<&str>) -> Result<NamedTempFile> {
    let certificates = tls::trusted("Certificate Authority (.pem)", authority)?;
    let written = NamedTempFile::new().and_then(|mut file| {
        file.write_all(&certificates)?;
        file.flush()?;
        Ok(file)
    });
    written
        .map_err(|error| Error::io("the certificates to trust cannot be written to a temporary file", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(host: &str, user: Option<&str>, password: Option<&str>) -> String {
        with_login(host, user, password).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_login_goes_into_the_connection_string_whatever_is_in_it() {
        let (user, password) = (Some("a@b"), Some("p:/?#%"));
        for (host, expected) in [
            ("mongodb://h:1,i:2/db?x=y", "mongodb://a%40b:p%3A%2F%3F%23%25@h:1,i:2/db?x=y"),
            ("mongodb+srv://h", "mongodb+srv://a%40b:p%3A%2F%3F%23%25@h"),
            ("mongodb://u:q@h/?x=y@z", "mongodb://a%40b:p%3A%2F%3F%23%25@h/?x=y@z"),
        ] {
            assert_eq!(login(host, user, password), expected);
        }
        assert_eq!(login("mongodb://u:q@h", None, Some("p")), "mongodb://u:p@h");
        assert_eq!(login("mongodb://u:q@h", None, None), "mongodb://u:q@h");
        assert_eq!(login("mongodb://h", Some("u"), None), "mongodb://u@h");
        assert!(login("mongodb://h", None, Some("p")).contains("'Username'"));
        assert!(login("h:27017", None, None).contains("no connection string"));
    }

    #[test]
    fn the_connection_string_and_the_field_must_agree_about_encryption() {
        for (host, enabled, agrees) in [
            ("mongodb://h/?tls=true", true, true),
            ("mongodb://h/?tls=true", false, false),
            ("mongodb://h/?a=b&ssl=false", true, false),
            ("mongodb://h/?tls=maybe", true, true),
            ("mongodb://h", true, true),
        ] {
            assert_eq!(check_tls(host, enabled).is_ok(), agrees, "{host} {enabled}");
        }
    }

    #[test]
    fn a_connection_string_with_a_password_is_never_repeated() {
        let error = ConnectionString::parse("mongodb://u:hunter2@h:x").unwrap_err();
        assert!(!unusable("mongodb://u:hunter2@h:x", &error).report().contains("hunter2"));
    }
}
