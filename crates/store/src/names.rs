//! Names and ids: what Elasticsearch accepts, what the store makes up, and `*` patterns.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;

use crate::error::{ErrorKind, StoreError};

/// The longest id in bytes.
pub(crate) const MAX_ID_BYTES: usize = 512;

const FORBIDDEN: [char; 11] = ['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '\0'];

/// Why a name cannot be an index's or alias's name.
fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if name.contains(FORBIDDEN) {
        return Some(
            "must not contain the following characters [' ','\"','*',',','/','<','>','?','\\','|']"
                .to_owned(),
        );
    }
    if name.contains('#') {
        return Some("must not contain '#'".to_owned());
    }
    if name.contains(':') {
        return Some("must not contain ':'".to_owned());
    }
    if name.starts_with(['_', '-', '+']) {
        return Some("must not start with '_', '-', or '+'".to_owned());
    }
    if name.len() > 255 {
        return Some(format!("index name is too long, ({} > 255)", name.len()));
    }
    if name == "." || name == ".." {
        return Some("must not be '.' or '..'".to_owned());
    }
    None
}

/// Checks a new index's name.
pub(crate) fn check_index_name(name: &str) -> Result<(), StoreError> {
    let upper = name.chars().any(char::is_uppercase).then(|| "must be lowercase".to_owned());
    match name_problem(name).or(upper) {
        None => Ok(()),
        Some(why) => {
            let reason = format!("Invalid index name [{name}], {why}");
            Err(StoreError::new(ErrorKind::InvalidIndexName, reason).in_index(name, "_na_"))
        }
    }
}

/// Checks a new alias's name.
pub(crate) fn check_alias_name(name: &str) -> Result<(), StoreError> {
    match name_problem(name) {
        None => Ok(()),
        Some(why) => {
            let reason = format!("Invalid alias name [{name}]: {why}");
            Err(StoreError::new(ErrorKind::InvalidAliasName, reason))
        }
    }
}

/// Checks a document's id.
pub(crate) fn check_id(id: &str) -> Result<(), StoreError> {
    if id.is_empty() {
        return Err(StoreError::illegal("if _id is specified it must not be empty"));
    }
    if id.len() > MAX_ID_BYTES {
        let reason = format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len());
        return Err(StoreError::illegal(reason));
    }
    Ok(())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// A new document id: 20 URL-safe characters, roughly ordered by time, not guessable.
pub(crate) fn new_id() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let mut bytes = [0u8; 15];
    let millis = now_ms().to_be_bytes();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6..8].copy_from_slice(&count[2..]);
    rand::rng().fill_bytes(&mut bytes[8..]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A new UUID of an index or cluster: 22 URL-safe characters.
pub(crate) fn new_uuid() -> String {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether `text` matches a pattern in which `*` stands for any characters. Linear in practice: it never looks back
/// behind the last star.
pub(crate) fn simple_match(pattern: &str, text: &str) -> bool {
    glob_match(pattern, text, false)
}

/// As [`simple_match`], and with `single` a `?` stands for one character and `\` takes the next one literally.
pub(crate) fn glob_match(pattern: &str, text: &str, single: bool) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    Glob::new(&pattern, single).matches(text)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum GlobItem {
    Star,
    One,
    Char(char),
}

/// A compiled `*` and `?` pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Vec<GlobItem>);

impl Glob {
    pub(crate) fn new(pattern: &[char], single: bool) -> Self {
        let mut items = Vec::with_capacity(pattern.len());
        let mut chars = pattern.iter();
        while let Some(&c) = chars.next() {
            items.push(match c {
                '*' => GlobItem::Star,
                '?' if single => GlobItem::One,
                '\\' if single => GlobItem::Char(chars.next().copied().unwrap_or('\\')),
                c => GlobItem::Char(c),
            });
        }
        items.dedup_by(|a, b| *a == GlobItem::Star && *b == GlobItem::Star);
        Self(items)
    }

    /// The characters every match begins with.
    pub(crate) fn literal_prefix(&self) -> String {
        self.0.iter().map_while(|item| if let GlobItem::Char(c) = item { Some(*c) } else { None }).collect()
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some(GlobItem::Star) => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(GlobItem::One) => (p, t) = (p + 1, t + 1),
                Some(GlobItem::Char(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
                _ => match star {
                    Some((at, from)) => {
                        star = Some((at, from + 1));
                        (p, t) = (at + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0[p..].iter().all(|item| *item == GlobItem::Star)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_follow_elasticsearchs_rules() {
        for name in ["a", ".hidden", "a.b-c_d", "日本"] {
            assert!(check_index_name(name).is_ok(), "{name}");
        }
        let table = [
            ("", "must not be empty"),
            ("A", "must be lowercase"),
            ("a b", "must not contain the following characters"),
            ("a#", "must not contain '#'"),
            ("a:b", "must not contain ':'"),
            ("_a", "must not start with"),
            ("..", "must not be '.' or '..'"),
        ];
        for (name, why) in table {
            let error = check_index_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidIndexName);
            assert!(error.reason().contains(why), "{name}: {}", error.reason());
        }
        assert!(
            check_index_name(&"x".repeat(256))
                .unwrap_err()
                .reason()
                .ends_with("index name is too long, (256 > 255)")
        );
    }

    #[test]
    fn made_up_ids_are_20_url_safe_characters_and_differ() {
        let ids: std::collections::HashSet<String> = (0..1_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 20
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
        );
    }

    #[test]
    fn star_patterns() {
        let table = [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*d", "abc", false),
            ("abc", "abc", true),
            ("ab", "abc", false),
            ("*b*", "abc", true),
            ("a**c", "ac", true),
            ("", "a", false),
        ];
        for (pattern, text, wanted) in table {
            assert_eq!(simple_match(pattern, text), wanted, "{pattern} on {text}");
        }
        assert!(glob_match("a?c", "abc", true));
        assert!(!glob_match("a?c", "ac", true));
        assert!(glob_match("a\\*c", "a*c", true));
        assert!(!glob_match("a\\*c", "abc", true));
    }
}
