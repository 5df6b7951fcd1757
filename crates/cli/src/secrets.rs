//! What this process must not say.

use std::borrow::Cow;
use std::sync::LazyLock;

use tributary_daemon::Redactor;

/// One for all, since a panic knows nothing of where it happens.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::default);

/// Hides the secrets that any part of the process told it of.
pub(crate) fn redactor() -> Redactor {
    REDACTOR.clone()
}

/// The text without secrets.
pub(crate) fn hidden(text: &str) -> Cow<'_, str> {
    REDACTOR.text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_part_learns_is_hidden_everywhere() {
        redactor().learn(["planted-in-secrets-rs"]);
        assert_eq!(hidden("panicked: planted-in-secrets-rs"), "panicked: ***");
    }
}
