use tokio_postgres::error::SqlState;
use tributary_sdk::{Error, ErrorKind};

/// What the server or the connection said, with what was being done.
pub(crate) fn told(what: &str, error: tokio_postgres::Error) -> Error {
    let kind = kind(&error);
    let hint = match kind {
        ErrorKind::Auth => Some("check the user name and the password, and the server's pg_hba.conf"),
        ErrorKind::Permission => Some(
            "grant the role USAGE on the schema and SELECT on the tables, or membership in pg_read_all_data",
        ),
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            Some("check that the server runs and can be reached from here, its host, port and TLS settings")
        }
        ErrorKind::NotFound if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
            Some("correct 'Database', or create it")
        }
        ErrorKind::Config if is_refused_certificate(&error) => {
            Some("check 'SSL certificate', 'SSL mode' and whether the certificate names this host")
        }
        _ => None,
    };
    let message = match error.as_db_error() {
        Some(said) => format!("{what}: {}", said.message()),
        None => what.to_owned(),
    };
    let made = Error::new(kind, message);
    let made = match hint {
        Some(hint) => made.hint(hint),
        None => made,
    };
    // The words of the server are in the message already.
    if error.as_db_error().is_some() { made } else { made.because(error) }
}

/// Whether this side or the server refused the other's certificate.
fn is_refused_certificate(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || within.is_some_and(|within| within.is::<rustls::Error>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn kind(error: &tokio_postgres::Error) -> ErrorKind {
    let Some(state) = error.code() else {
        return if error.to_string().starts_with("invalid configuration") || is_refused_certificate(error) {
            ErrorKind::Config
        } else {
            ErrorKind::Unavailable
        };
    };
    match *state {
        SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Permission,
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_CATALOG_NAME | SqlState::INVALID_SCHEMA_NAME => {
            ErrorKind::NotFound
        }
        SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => ErrorKind::Timeout,
        _ => match state.code().get(..2) {
            Some("28") => ErrorKind::Auth,
            // Connection failures, too few resources, shutdowns, serialisation, internal trouble of a standby.
            Some("08" | "53" | "57" | "58" | "40") => ErrorKind::Unavailable,
            Some("55") => ErrorKind::Config,
            _ => ErrorKind::Config,
        },
    }
}
