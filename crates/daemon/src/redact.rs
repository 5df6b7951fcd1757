use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;
use tributary_protocol::config::ConfigSchema;

/// What stands where a secret stood.
const MASK: &str = "***";
/// Shorter values are no secrets; hiding them would make every text unreadable.
const SHORTEST: usize = 4;
/// Shorter secrets are hidden only where they stand alone: `test` must not spoil `latest`.
const SHORT: usize = 8;
/// Lines of a secret of several lines (a private key) are hidden one by one from this length on.
const SECRET_LINE: usize = 16;

/// Hides secrets in texts that people see: log lines, errors in documents, traces. It knows the values of sensitive
/// configuration fields and whatever else it is told. Cheap to clone; all clones know the same.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    secrets: BTreeSet<String>,
    /// Finds any form of any secret.
    matcher: Option<AhoCorasick>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Redactor({} secrets)", known.secrets.len())
    }
}

impl Redactor {
    /// Takes note of secrets.
    pub fn learn<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) {
        let known =
            |secret: &&str| self.0.read().unwrap_or_else(PoisonError::into_inner).secrets.contains(*secret);
        let new: Vec<String> = secrets
            .into_iter()
            .filter(|secret| secret.len() >= SHORTEST && !known(secret))
            .map(str::to_owned)
            .collect();
        if new.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.secrets.extend(new);
        let forms: BTreeSet<String> = known.secrets.iter().flat_map(|secret| forms(secret)).collect();
        // Without a matcher nothing would be hidden, so a failure keeps the former one; it cannot happen with texts.
        match AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms) {
            Ok(matcher) => known.matcher = Some(matcher),
            Err(error) => tracing::error!(%error, "secrets cannot be hidden in texts"),
        }
    }

    /// Takes note of the values of a configuration that its document or its source's declaration calls sensitive, and of
    /// passwords in addresses.
    pub fn learn_configuration(&self, stored: &ConfigSchema, declared: Option<&ConfigSchema>) {
        let sensitive = stored.iter().filter(|(name, field)| {
            field.sensitive
                || declared.and_then(|declared| declared.get(name)).is_some_and(|field| field.sensitive)
        });
        let mut secrets = Vec::new();
        for (_, field) in sensitive {
            texts(&field.value, &mut secrets);
        }
        let in_addresses = stored.iter().filter_map(|(_, field)| field.password_in_address());
        self.learn(secrets.iter().map(String::as_str).chain(in_addresses));
    }

    /// The text without secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(matcher) = &known.matcher else { return Cow::Borrowed(text) };
        let mut clean = String::new();
        let mut from = 0;
        for found in matcher.find_iter(text) {
            if found.len() < SHORT && !stands_alone(text, found.start(), found.end()) {
                continue;
            }
            clean.push_str(&text[from..found.start()]);
            clean.push_str(MASK);
            from = found.end();
        }
        if from == 0 {
            return Cow::Borrowed(text);
        }
        clean.push_str(&text[from..]);
        Cow::Owned(clean)
    }

    /// The text without secrets, as its owner.
    pub(crate) fn owned(&self, text: String) -> String {
        match self.text(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        }
    }
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// How a secret may stand in a text: as it is, escaped as in JSON once or twice (a log line that quotes an error that
/// quotes a value), escaped as in an address, or line by line.
fn forms(secret: &str) -> Vec<String> {
    let escaped = |text: &str| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let once = escaped(secret);
    let mut forms = vec![secret.to_owned(), escaped(&once), once, in_address(secret)];
    let trimmed = secret.trim();
    if trimmed.len() >= SHORTEST {
        forms.push(trimmed.to_owned());
    }
    forms.extend(secret.lines().map(str::trim).filter(|line| line.len() >= SECRET_LINE).map(str::to_owned));
    forms
}

fn in_address(secret: &str) -> String {
    let mut text = String::with_capacity(secret.len());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let part = |char: char| char.is_alphanumeric();
    !text[..start].chars().next_back().is_some_and(part) && !text[end..].chars().next().is_some_and(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(secrets.iter().copied());
        redactor
    }

    #[test]
    fn a_secret_is_hidden_in_whatever_form_it_stands() {
        let redactor = knowing(&["p\"ss/wörd 1"]);
        for text in [
            "no p\"ss/wörd 1 here".to_owned(),
            format!("no {} here", json!("p\"ss/wörd 1")),
            format!("no {} here", json!(json!("p\"ss/wörd 1").to_string())),
            format!("no {:?} here", "p\"ss/wörd 1"),
            "http://u:p%22ss%2Fw%C3%B6rd%201@host".to_owned(),
        ] {
            let clean = redactor.text(&text);
            assert!(clean.contains(MASK) && !clean.contains("ss/w") && !clean.contains("%2F"), "{clean}");
        }
    }

    #[test]
    fn short_secrets_are_hidden_only_where_they_stand_alone() {
        let redactor = knowing(&["test", "ab"]);
        assert_eq!(redactor.text("the latest test: 'test' ab"), "the latest ***: '***' ab");
    }

    #[test]
    fn every_line_of_a_key_is_hidden() {
        let redactor = knowing(&["-----BEGIN KEY-----\nAAAABBBBCCCCDDDDEEEE\n-----END KEY-----"]);
        assert_eq!(redactor.text("line AAAABBBBCCCCDDDDEEEE of it"), "line *** of it");
    }

    #[test]
    fn sensitive_fields_are_known_by_document_or_declaration() {
        let schema = |value: Value| serde_json::from_value::<ConfigSchema>(value).unwrap();
        let stored = schema(json!({
            "a": {"value": "secret-one", "sensitive": true}, "b": {"value": "secret-two"}, "c": {"value": "public"},
            "d": {"value": "mongodb://user:secret-three@host"},
        }));
        let declared = schema(json!({"b": {"sensitive": true}}));
        let redactor = Redactor::default();
        redactor.learn_configuration(&stored, Some(&declared));
        assert_eq!(redactor.text("secret-one secret-two public secret-three"), "*** *** public ***");
        assert!(!format!("{redactor:?}").contains("secret-one"));
    }
}
