//! Environment variables inside values (sync-runtime 2.1): `${VAR}`, `${VAR|default}`, `$$`.
//!
//! Unlike the Python service this works on values, not on the file's text, and a `$` that begins nothing stays, so
//! that a password may hold one.

use std::collections::BTreeMap;

/// What a value became.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Variables that are not set and have no default.
    pub(crate) unset: Vec<String>,
    /// What stands in braces without being a variable's name, or was not closed.
    pub(crate) malformed: bool,
    /// A set variable written as `$VAR`, which the Python service would have replaced.
    pub(crate) bare: Option<String>,
}

/// Replaces the variables in `text`.
pub(crate) fn expand(text: &str, env: &BTreeMap<String, String>) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                out.malformed = true;
                return out;
            };
            variable(inside, env, &mut out);
            rest = after;
        } else {
            out.text.push('$');
            out.bare = out.bare.or_else(|| bare(rest, env));
        }
    }
    out.text.push_str(rest);
    out
}

fn variable(inside: &str, env: &BTreeMap<String, String>, out: &mut Expanded) {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if name_length(name) != name.len() || name.is_empty() {
        out.malformed = true;
    } else if let Some(value) = env.get(name).map(String::as_str).or(default) {
        out.text.push_str(value);
    } else {
        out.unset.push(name.to_owned());
    }
}

fn bare(rest: &str, env: &BTreeMap<String, String>) -> Option<String> {
    let name = &rest[..name_length(rest)];
    env.contains_key(name).then(|| name.to_owned())
}

/// How much of the beginning could be a variable's name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        [("HOST", "es1"), ("EMPTY", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn variables_are_replaced_and_other_dollars_stay() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("http://${HOST}:9200", "http://es1:9200"),
            ("${HOST}${HOST|x}", "es1es1"),
            ("${NONE|fallback}", "fallback"),
            ("${NONE|}", ""),
            ("${EMPTY|fallback}", ""),
            ("${NONE|a|b}", "a|b"),
            ("$$HOST costs 5$", "$HOST costs 5$"),
            ("$${HOST}", "${HOST}"),
            ("pa$$word", "pa$word"),
            ("pa$5w$-rd$", "pa$5w$-rd$"),
        ] {
            let out = expand(text, &env());
            assert_eq!((out.text.as_str(), out.malformed, out.unset.len()), (expanded, false, 0), "{text}");
        }
    }

    #[test]
    fn every_unset_variable_is_named() {
        assert_eq!(expand("${ONE}-${HOST}-${TWO}", &env()).unset, ["ONE", "TWO"]);
    }

    #[test]
    fn braces_without_a_name_or_an_end_are_malformed() {
        for text in ["${", "a${HOST", "${}", "${1A}", "${A-B}", "${ HOST }"] {
            assert!(expand(text, &env()).malformed, "{text}");
        }
    }

    #[test]
    fn a_set_variable_without_braces_is_noticed() {
        assert_eq!(expand("x$HOST", &env()).bare.as_deref(), Some("HOST"));
        assert_eq!(expand("x$HOSTS", &env()).bare, None);
        assert_eq!(expand("x$$HOST", &env()).bare, None);
    }
}
