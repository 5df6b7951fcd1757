use mysql_async::{DriverError, Error as MysqlError, IoError, TlsError};
use tributary_sdk::{Error, ErrorKind};

/// What the server or the connection said, with what was being done.
pub(crate) fn told(what: &str, error: MysqlError) -> Error {
    let kind = kind(&error);
    let hint = match kind {
        ErrorKind::Auth => {
            Some("check the user name and the password, and the hosts that the account may come from")
        }
        ErrorKind::Permission => Some(
            "grant the account SELECT on the database or on the tables; a database that is not there is refused alike",
        ),
        ErrorKind::NotFound if is_database(&error) => Some("correct 'Database', or create it"),
        ErrorKind::Config if refused(&error).is_some() => {
            Some("check 'SSL certificate', 'SSL mode' and whether the certificate names this host")
        }
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
    match refused(&error).cloned() {
        // Else it would be told three times.
        Some(refused) => made.because(refused),
        // The words of the server are in the message already.
        None => match error {
            MysqlError::Server(_) => made,
            // The driver says twice that it is one.
            MysqlError::Io(IoError::Io(error)) => made.because(error),
            error => made.because(error),
        },
    }
}

fn is_database(error: &MysqlError) -> bool {
    matches!(error, MysqlError::Server(said) if said.code == 1049)
}

/// Why the encryption was refused, by either side.
pub(crate) fn refused(error: &MysqlError) -> Option<&rustls::Error> {
    match error {
        MysqlError::Io(IoError::Tls(TlsError::Tls(refused))) => Some(refused),
        MysqlError::Io(IoError::Io(error)) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
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
        _ if refused(error).is_some() => return ErrorKind::Config,
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
