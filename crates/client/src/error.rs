use std::fmt;
use std::time::Duration;

/// Result of a call.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Longest reason that is kept, in bytes.
const REASON_LIMIT: usize = 2000;

/// What went wrong, as far as callers react differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client's options or arguments are wrong; nothing was sent.
    Config,
    /// No connection, or it broke before an answer came.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The credentials are not accepted (401).
    Auth,
    /// The credentials do not allow this (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// Somebody else wrote the document in between, or it exists already (409).
    Conflict,
    /// The request is larger than the cluster takes (413).
    TooLarge,
    /// The cluster asks to slow down (429).
    Throttled,
    /// The cluster, or a proxy before it, cannot serve now (502, 503, 504).
    Unavailable,
    /// The request is refused for another reason (other 4xx).
    Rejected,
    /// The cluster failed (other 5xx).
    Server,
    /// The answer is not what was expected.
    BadAnswer,
    /// The answer is not Elasticsearch's: a page of a proxy, or a redirect.
    Foreign,
}

impl ErrorKind {
    /// The kind that an HTTP status means.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Auth,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::Throttled,
            502..=504 => Self::Unavailable,
            400..=499 => Self::Rejected,
            500..=599 => Self::Server,
            _ => Self::BadAnswer,
        }
    }
}

/// A call failed. `Display` is one line for people and never contains credentials; [`ClientError::kind`] is for the
/// program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    kind: ErrorKind,
    status: Option<u16>,
    es_type: Option<String>,
    reason: String,
    host: Option<String>,
    operation: Option<String>,
    retry_after: Option<Duration>,
    maybe_done: bool,
    attempts: u32,
}

impl ClientError {
    /// An error of `kind` with a reason for people. A reason of several lines is made one line.
    pub fn new(kind: ErrorKind, reason: impl AsRef<str>) -> Self {
        Self(Box::new(Parts {
            kind,
            status: None,
            es_type: None,
            reason: one_line(reason.as_ref()),
            host: None,
            operation: None,
            retry_after: None,
            maybe_done: matches!(kind, ErrorKind::Timeout | ErrorKind::Unreachable),
            attempts: 1,
        }))
    }

    pub(crate) fn config(reason: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Config, reason)
    }

    pub(crate) fn bad_answer(reason: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::BadAnswer, reason)
    }

    pub(crate) fn foreign(reason: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Foreign, reason)
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_type(mut self, es_type: Option<String>) -> Self {
        self.0.es_type = es_type;
        self
    }

    pub(crate) fn with_reason(mut self, reason: &str) -> Self {
        self.0.reason = one_line(reason);
        self
    }

    pub(crate) fn with_host(mut self, host: &str) -> Self {
        self.0.host = Some(host.to_owned());
        self
    }

    pub(crate) fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(crate) fn with_maybe_done(mut self, maybe_done: bool) -> Self {
        self.0.maybe_done = maybe_done;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// HTTP status of the answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Elasticsearch's type of the error, such as `version_conflict_engine_exception`.
    #[must_use]
    pub fn es_type(&self) -> Option<&str> {
        self.0.es_type.as_deref()
    }

    /// The reason, for people: one line.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Address of the node that was asked, without credentials.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.0.host.as_deref()
    }

    /// Method and path of the request.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// How long the cluster asked to wait (`Retry-After`).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many times the request was sent or tried to be sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the same call may work later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Throttled | ErrorKind::Unavailable
        )
    }

    /// Whether the request may have been carried out although it failed for us: no answer came, or it came from a
    /// proxy. `false` means that it certainly was not.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.0.maybe_done
    }

    /// Whether the reason is that an index does not exist.
    #[must_use]
    pub fn is_missing_index(&self) -> bool {
        self.es_type() == Some("index_not_found_exception")
    }

    /// Whether there was an answer over the network, but no TLS that both sides accept: the host runs, so the address or a
    /// certificate has to be mended.
    #[must_use]
    pub fn is_about_tls(&self) -> bool {
        self.0.kind == ErrorKind::Unreachable && connect_hint(&self.0.reason).is_some()
    }

    /// Whether it was the HTTP proxy (`tributary.proxy`) that did not let the connection through.
    #[must_use]
    pub fn is_about_proxy(&self) -> bool {
        // The words of reqwest's connector.
        self.0.kind == ErrorKind::Unreachable && self.0.reason.contains("tunnel error")
    }

    /// What the person should do next, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.0.kind {
            _ if self.is_about_proxy() => {
                "check the user and password in tributary.proxy, and that the proxy lets requests through to the cluster"
            }
            ErrorKind::Unreachable => match connect_hint(&self.0.reason) {
                Some(hint) => hint,
                None => {
                    "check the address in elasticsearch.host (also whether it is http or https) and that the cluster runs"
                }
            },
            ErrorKind::Timeout => {
                "check the cluster's load and the network, or raise elasticsearch.request_timeout"
            }
            ErrorKind::Auth => {
                "check elasticsearch.api_key, or elasticsearch.username and elasticsearch.password"
            }
            ErrorKind::Forbidden => {
                "the API key or role lacks a right; docs/operate.md (Rights) names those that are needed"
            }
            ErrorKind::TooLarge => {
                "lower elasticsearch.bulk.chunk_max_mem_size, or raise http.max_content_length of the cluster or proxy"
            }
            ErrorKind::Throttled => {
                "the cluster is overloaded: lower elasticsearch.bulk.max_concurrency or wait"
            }
            ErrorKind::Foreign => {
                "check the address in elasticsearch.host, and what stands before the cluster (a proxy, a login page)"
            }
            ErrorKind::Unavailable => "wait until the cluster is healthy again (GET _cluster/health)",
            _ => return None,
        })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.0;
        match (&parts.operation, parts.kind) {
            (Some(operation), _) => write!(f, "{operation}: ")?,
            (None, ErrorKind::Config) => f.write_str("client: ")?,
            (None, _) => {}
        }
        if let Some(status) = parts.status {
            write!(f, "{status} ")?;
        }
        if let Some(es_type) = &parts.es_type {
            write!(f, "{es_type}: ")?;
        }
        f.write_str(&parts.reason)?;
        match (&parts.host, parts.attempts) {
            (Some(host), 0..=1) => write!(f, " ({host})"),
            (Some(host), tries) => write!(f, " ({host}, {tries} tries)"),
            (None, _) => Ok(()),
        }
    }
}

impl std::error::Error for ClientError {}

/// What a connection that failed asks for, where its reason tells; the words are those of rustls.
fn connect_hint(reason: &str) -> Option<&'static str> {
    let says = |word: &str| reason.to_ascii_lowercase().contains(word);
    // A server that speaks no TLS answers the handshake with something that is none.
    if says("invalidcontenttype") {
        return Some(
            "the host seems to speak plain HTTP there: write http:// instead of https:// in elasticsearch.host",
        );
    }
    if !says("certificate") {
        return None;
    }
    // What `openssl req -x509` makes by default. No authority helps: rustls takes no authority's certificate for a host's.
    if says("causedasendentity") {
        return Some(
            "the host's certificate is one for an authority, which none may serve with: give the host one made with \
             basicConstraints CA:FALSE",
        );
    }
    Some(if says("expired") {
        "the host's certificate has to be renewed; if it was, check this machine's clock"
    } else if says("not valid yet") || says("notvalidyet") {
        "check the clocks of this machine and of the one that made the certificate"
    } else if says("not valid for name") || says("notvalidforname") {
        "give a name or address that the host's certificate holds in elasticsearch.host, or a certificate for this one to the host"
    } else {
        "name the file of the certificate authority in elasticsearch.ca_certs"
    })
}

/// `text` without line breaks and control characters, cut to a sane length.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(REASON_LIMIT));
    for word in text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > REASON_LIMIT {
            let cut = (0..=REASON_LIMIT).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(cut);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_that_names_operation_status_type_reason_and_host() {
        let error = ClientError::new(ErrorKind::NotFound, "connector [x]\n not\tfound")
            .with_operation("GET /_connector/x")
            .with_status(404)
            .with_type(Some("resource_not_found_exception".into()))
            .with_host("http://localhost:9200");
        assert_eq!(
            error.to_string(),
            "GET /_connector/x: 404 resource_not_found_exception: connector [x] not found (http://localhost:9200)"
        );
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let error = ClientError::new(ErrorKind::Rejected, "ä".repeat(5000));
        assert!(error.reason().len() <= REASON_LIMIT + '…'.len_utf8());
        assert!(error.reason().ends_with('…'));
    }

    #[test]
    fn the_hint_for_a_connection_that_failed_follows_from_its_reason() {
        let hint = |reason| ClientError::new(ErrorKind::Unreachable, reason).hint().unwrap_or_default();
        for (reason, expected) in [
            (
                "cannot connect: received corrupt message of type InvalidContentType",
                "http:// instead of https://",
            ),
            ("invalid peer certificate: UnknownIssuer", "elasticsearch.ca_certs"),
            ("invalid peer certificate: certificate expired: verification time 2 (UNIX)", "renewed"),
            (
                "invalid peer certificate: certificate not valid for name \"a\"; it is for \"b\"",
                "name or address",
            ),
            ("invalid peer certificate: certificate not valid yet: verification time 1", "clocks"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
            ("cannot connect: tunnel error: proxy authorization required", "tributary.proxy"),
            ("cannot connect: Connection refused (os error 111)", "that the cluster runs"),
        ] {
            assert!(hint(reason).contains(expected), "{reason}: {}", hint(reason));
        }
        assert!(!ClientError::new(ErrorKind::Unreachable, "Connection refused").is_about_tls());
    }

    #[test]
    fn every_failing_status_has_a_kind_and_only_passing_ones_are_retryable() {
        for status in 400..600 {
            let error = ClientError::new(ErrorKind::of_status(status), "").with_status(status);
            assert_ne!(error.kind(), ErrorKind::BadAnswer, "{status}");
            assert_eq!(error.is_retryable(), matches!(status, 408 | 429 | 502..=504), "{status}");
        }
    }
}
