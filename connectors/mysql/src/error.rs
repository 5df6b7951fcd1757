use mysql_async::{DriverError, Error as MysqlError, IoError};
use tributary_sdk::{Error, ErrorKind};

/// What the server or the connection said, with what was being done.
pub(crate) fn told(what: &str, error: MysqlError) -> Error {
    let kind = kind(&error);
    let hint = match kind {
        ErrorKind::Auth => {
            Some("check the user name and the password, and the hosts that the account may come from")
        }
        ErrorKind::Permission => Some("grant the account SELECT on the database or on the tables"),
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            Some("check that the server runs and can be reached from here, its host, port and TLS settings")
        }
        _ => None,
    };
    let made = match &error {
        MysqlError::Server(said) => Error::new(kind, format!("{what}: {}", said.message)),
        _ => Error::new(kind, what.to_owned()),
    };
    let made = match hint {
        Some(hint) => made.hint(hint),
        None => made,
    };
    // The words of the server are in the message already.
    if matches!(error, MysqlError::Server(_)) { made } else { made.because(error) }
}

fn kind(error: &MysqlError) -> ErrorKind {
    let said = match error {
        MysqlError::Server(said) => said,
        MysqlError::Io(IoError::Tls(_)) | MysqlError::Url(_) => return ErrorKind::Config,
        MysqlError::Driver(
            DriverError::NoClientSslFlagFromServer
            | DriverError::NoKeyFound
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => return ErrorKind::Config,
        _ => return ErrorKind::Unavailable,
    };
    match said.code {
        1044 | 1142 | 1143 | 1227 | 1370 => ErrorKind::Permission,
        1045 | 1698 | 1862 | 4151 => ErrorKind::Auth,
        1049 | 1051 | 1109 | 1146 => ErrorKind::NotFound,
        1969 | 3024 => ErrorKind::Timeout,
        // Too many connections, shutdowns, broken packets, lock waits, deadlocks, killed statements.
        1040 | 1053 | 1077 | 1152 | 1158..=1161 | 1203 | 1205 | 1213 | 1226 | 1317 | 1927 | 2006 | 2013 => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Config,
    }
}
