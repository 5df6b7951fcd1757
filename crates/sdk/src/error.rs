use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Result of everything a source does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a source. The kind chooses the runtime's reaction, the message and hint help a person, the
/// cause stays a cause (it is not part of the message).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// The reactions a source can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work; the person who wrote it must change it.
    Config,
    /// The remote side does not accept the credentials.
    Auth,
    /// The credentials are good but do not allow this.
    Permission,
    /// The thing asked for is not there (any more).
    NotFound,
    /// The remote side asks to slow down; wait at least this long, when it said so.
    Throttled(Option<Duration>),
    /// The remote side cannot be reached or answers "later"; trying again may work.
    Unavailable,
    /// It took longer than allowed.
    Timeout,
    /// The remote side sent something that cannot be understood, or one document cannot be represented.
    InvalidData,
    /// One document or body is larger than allowed.
    TooLarge,
    /// An incremental listing cannot go on from where the last one ended: the runtime makes a full one instead.
    PositionGone,
    /// The source cannot do what was asked of it.
    Unsupported,
    /// A defect in the source itself.
    Internal,
}

impl Error {
    /// An error of `kind` with a one-line message that names the thing concerned.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, cause: None }
    }

    /// Adds what the person should do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Which reaction this asks for.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the person should do next, if known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the same call may work a little later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Throttled(_) | ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Message, causes and hint in one line, for job documents and reports. A cause that its effect already repeated
    /// (libraries often do) is not told again.
    #[must_use]
    pub fn report(&self) -> String {
        let mut line = self.message.clone();
        let mut cause = self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static));
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            line.push_str(" (");
            line.push_str(hint);
            line.push(')');
        }
        line
    }

    /// An input/output error on `what`, with the kind that fits it.
    pub fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied => ErrorKind::Permission,
            Io::TimedOut => ErrorKind::Timeout,
            Io::ConnectionRefused | Io::ConnectionReset | Io::ConnectionAborted | Io::NotConnected => {
                ErrorKind::Unavailable
            }
            _ => ErrorKind::InvalidData,
        };
        Self::new(kind, what.to_string()).because(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_message_causes_and_hint_once_each() {
        let io = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
        let error = Error::io("cannot read /srv/a", io).hint("give the service read access");
        assert_eq!(error.kind(), ErrorKind::Permission);
        assert_eq!(error.to_string(), "cannot read /srv/a");
        assert_eq!(error.report(), "cannot read /srv/a: permission denied (give the service read access)");
    }

    #[test]
    fn a_cause_that_its_effect_repeats_is_told_once() {
        #[derive(Debug)]
        struct Repeats(std::io::Error);
        impl fmt::Display for Repeats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "input/output: {}", self.0)
            }
        }
        impl StdError for Repeats {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let refused = Repeats(std::io::Error::other("refused"));
        let error = Error::new(ErrorKind::Unavailable, "cannot connect").because(refused);
        assert_eq!(error.report(), "cannot connect: input/output: refused");
    }
}
