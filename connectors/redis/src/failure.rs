//! From what the driver and the server say to what a person can act on.

use redis::{RedisError, ServerError};
use tributary_sdk::{Error, ErrorKind};

const UNREACHABLE: &str = "check that the server runs, that 'Host' and 'Port' are right, and that 'SSL/TLS Connection' is \
                           what the server expects on this port; one that wants a certificate of the client needs \
                           'Mutual SSL/TLS Connection'";
const UNTRUSTED: &str = "put the authority that signed the server's certificate into 'Certificate Authority (.pem)', and \
                         use the name that is in the certificate as 'Host'";
const REFUSED: &str =
    "check 'Username' and 'Password'; a server with a password wants one even without a user name";
const FORBIDDEN: &str = "give the user what the source's documentation lists, such as: ACL SETUSER name on >password ~* \
                         +@connection +@read +info";

/// An error of the connection or of a whole request.
pub(crate) fn of(what: &str, error: RedisError) -> Error {
    let text = error.to_string();
    let wants_ours = text.contains("CertificateRequired");
    let (kind, hint) = if text.contains("certificate") && !wants_ours {
        (ErrorKind::Config, Some(UNTRUSTED))
    } else if wants_ours || text.contains("InvalidContentType") {
        (ErrorKind::Config, Some(UNREACHABLE))
    } else if error.is_timeout() {
        (ErrorKind::Timeout, Some(UNREACHABLE))
    } else if error.kind() == redis::ErrorKind::AuthenticationFailed {
        (ErrorKind::Auth, Some(REFUSED))
    } else if error.is_io_error() || error.is_connection_dropped() {
        (ErrorKind::Unavailable, Some(UNREACHABLE))
    } else {
        classify(error.code().unwrap_or_default())
    };
    told(what, kind, hint, error)
}

/// An error that the server answered one command with.
pub(crate) fn answered(what: &str, error: &ServerError) -> Error {
    let (kind, hint) = classify(error.code());
    told(what, kind, hint, RedisError::from(error.clone()))
}

fn told(what: &str, kind: ErrorKind, hint: Option<&str>, cause: RedisError) -> Error {
    let error = Error::new(kind, what.to_owned()).because(cause);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn classify(code: &str) -> (ErrorKind, Option<&'static str>) {
    match code {
        "WRONGPASS" | "NOAUTH" => (ErrorKind::Auth, Some(REFUSED)),
        "NOPERM" => (ErrorKind::Permission, Some(FORBIDDEN)),
        "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Unavailable, Some("the server is busy; it will be tried again"))
        }
        _ => (ErrorKind::InvalidData, None),
    }
}

/// Whether the connection broke, so that a new one may do.
pub(crate) fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_timeout()
}
