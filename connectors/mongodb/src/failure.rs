//! From what the driver and the server say to what a person can act on.

use mongodb::error::{Error as DriverError, ErrorKind as DriverErrorKind};
use tributary_sdk::{Error, ErrorKind};

const UNREACHABLE: &str = "check that the server runs, that 'Server hostname' is right, and that 'SSL/TLS Connection' is what \
                           the server expects; a replica set whose members are known by other names needs 'Direct \
                           connection'";
const UNTRUSTED: &str = "put the authority that signed the server's certificate into 'Certificate Authority (.pem)', and \
                         use the name that is in the certificate as 'Server hostname'";
const REFUSED: &str =
    "check 'Username' and 'Password', and the database of the user (authSource in the connection string)";
const FORBIDDEN: &str = "give the user the role 'read' on the database";

/// An error of the driver.
pub(crate) fn of(what: &str, error: &DriverError) -> Error {
    let text = error.kind.to_string();
    let (kind, hint) = classify(error, &text);
    let told = Error::new(kind, what.to_owned()).because(text);
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

fn classify(error: &DriverError, text: &str) -> (ErrorKind, Option<&'static str>) {
    match error.kind.as_ref() {
        DriverErrorKind::Authentication { .. } => (ErrorKind::Auth, Some(REFUSED)),
        DriverErrorKind::Command(answer) => by_code(answer.code),
        DriverErrorKind::Io(_)
        | DriverErrorKind::ConnectionPoolCleared { .. }
        | DriverErrorKind::ServerSelection { .. }
        | DriverErrorKind::DnsResolve { .. } => {
            if text.contains("certificate") {
                (ErrorKind::Config, Some(UNTRUSTED))
            } else {
                (ErrorKind::Unavailable, Some(UNREACHABLE))
            }
        }
        DriverErrorKind::InvalidTlsConfig { .. } | DriverErrorKind::InvalidArgument { .. } => {
            (ErrorKind::Config, None)
        }
        DriverErrorKind::IncompatibleServer { .. } | DriverErrorKind::SessionsNotSupported => {
            (ErrorKind::Unsupported, None)
        }
        _ => (ErrorKind::InvalidData, None),
    }
}

fn by_code(code: i32) -> (ErrorKind, Option<&'static str>) {
    match code {
        18 | 11 => (ErrorKind::Auth, Some(REFUSED)),
        13 => (ErrorKind::Permission, Some(FORBIDDEN)),
        26 => (ErrorKind::NotFound, None),
        // The time the rule or the server allows is over.
        50 | 262 => (ErrorKind::Timeout, None),
        // Too many requests, as managed servers say it.
        16_500 => (ErrorKind::Throttled(None), None),
        // A member that stops, steps down or cannot be reached; a cursor that waited too long.
        6 | 7 | 43 | 89 | 91 | 134 | 136 | 175 | 189 | 9_001 | 10_107 | 11_600 | 11_602 | 13_435 | 13_436 => {
            (ErrorKind::Unavailable, None)
        }
        _ => (ErrorKind::InvalidData, None),
    }
}

/// Whether a server does not understand a value, or does not know it yet.
pub(crate) fn is_bad_value(code: i32) -> bool {
    matches!(code, 2 | 9 | 14 | 238)
}

/// The server's number for an error.
pub(crate) fn code(error: &DriverError) -> Option<i32> {
    match error.kind.as_ref() {
        DriverErrorKind::Command(answer) => Some(answer.code),
        _ => None,
    }
}
