use tributary_client::{ClientError, ErrorKind};

/// Why the daemon, or a sync in the foreground, could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DaemonError {
    message: String,
    hint: Option<String>,
    mendable: bool,
}

impl DaemonError {
    /// Something that the person who runs us can mend.
    pub(crate) fn mendable(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, mendable: true }
    }

    /// A defect of ours, or of the cluster.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, mendable: false }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the person should do next, if known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the person who runs us can mend it; otherwise the fault is ours or the cluster's.
    #[must_use]
    pub fn is_mendable(&self) -> bool {
        self.mendable
    }
}

impl From<ClientError> for DaemonError {
    fn from(error: ClientError) -> Self {
        let mendable = !matches!(error.kind(), ErrorKind::Server | ErrorKind::BadAnswer);
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned), mendable }
    }
}

/// Message and hint of a failed call in one line, for the protocol's documents.
pub(crate) fn told(error: &ClientError) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

/// Longest error text that a document gets, in bytes: Elasticsearch refuses keywords longer than 32,766.
const LONGEST_TEXT: usize = 8 << 10;

/// `text` as it may be stored in a document's `error`.
pub(crate) fn storable(text: &str) -> String {
    if text.is_empty() {
        return "unknown error".to_owned();
    }
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let end = (0..=LONGEST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_text_always_fits_into_a_document_and_is_never_empty() {
        assert_eq!(storable(""), "unknown error");
        assert_eq!(storable("a"), "a");
        assert!(storable(&"é".repeat(40_000)).len() < 32_766);
    }

    #[test]
    fn a_refused_call_is_the_users_to_mend_and_a_broken_answer_is_not() {
        for (kind, mendable) in
            [(ErrorKind::Auth, true), (ErrorKind::Unreachable, true), (ErrorKind::BadAnswer, false)]
        {
            assert_eq!(DaemonError::from(ClientError::new(kind, "x")).is_mendable(), mendable, "{kind:?}");
        }
    }
}
