//! The kinds of value that keys take: how they are read and how they are described.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use crate::duration;
use crate::yaml::Yaml;

/// What a bare number means where a size is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Mebibytes.
    MiB,
}

impl Unit {
    fn bytes(self) -> u64 {
        match self {
            Self::Bytes => 1,
            Self::MiB => 1 << 20,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::MiB => "MiB",
        }
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`, also in YAML's older words (`yes`, `off`).
    Bool,
    /// A whole number within bounds.
    Whole {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number within bounds.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Any text; numbers are taken as they are written.
    Text,
    /// One of some words, in any letter case.
    Choice(&'static [&'static str]),
    /// A path of a file or folder.
    Path,
    /// An http or https address.
    Url,
    /// One or several http or https addresses.
    Urls,
    /// An IP address with a port.
    Address,
    /// A time span.
    Duration {
        /// Smallest value.
        min: Duration,
    },
    /// An amount of bytes.
    Size {
        /// What a bare number counts.
        unit: Unit,
        /// Whether 0, null or `none` switch the limit off.
        optional: bool,
    },
    /// A list of texts; one text is split at commas.
    Texts,
    /// Names with texts.
    Table,
    /// Names with whole numbers of at least 1.
    Counts,
    /// The list of connectors.
    Connectors,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed {
    Bool(bool),
    Whole(u64),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
    Address(SocketAddr),
    Duration(Duration),
    /// `None`: switched off.
    Size(Option<u64>),
    Table(BTreeMap<String, String>),
}

impl Kind {
    /// Whether the value is a section with free names.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Table | Self::Counts)
    }

    /// What is accepted, as a phrase for people.
    #[must_use]
    pub fn accepts(&self) -> String {
        match *self {
            Self::Bool => "expected true or false".into(),
            Self::Whole { min, max: u64::MAX } => format!("expected a whole number of at least {min}"),
            Self::Whole { min, max } => format!("expected a whole number from {min} to {max}"),
            Self::Number { min, max } if max == f64::MAX => format!("expected a number of at least {min}"),
            Self::Number { min, max } => format!("expected a number from {min} to {max}"),
            Self::Text => "expected a text".into(),
            Self::Choice(words) => format!("expected one of {}", words.join(", ")),
            Self::Path => "expected a path".into(),
            Self::Url => "expected an address such as http://localhost:9200, without credentials in it".into(),
            Self::Urls => {
                "expected an address such as http://localhost:9200, or a list of them, without credentials in it".into()
            }
            Self::Address => "expected an IP address with a port, such as 127.0.0.1:9200".into(),
            Self::Duration { min } => {
                let least = if min.is_zero() { "" } else { &format!(" of at least {}", duration::show(min)) };
                format!("expected a time span{least}: a number of seconds, or a text such as 30s, 5m or 250ms")
            }
            Self::Size { unit, optional } => {
                let none = if optional { "; 0 or none for no limit" } else { "" };
                format!("expected a size: a number of {}, or a text such as 512kb or 3mb{none}", unit.name())
            }
            Self::Texts => "expected a list of texts".into(),
            Self::Table => "expected names with texts, such as {name: text}".into(),
            Self::Counts => "expected names with whole numbers of at least 1, such as {name: 2}".into(),
            Self::Connectors => "expected a list of {connector_id, service_type, api_key}".into(),
        }
    }

    /// The kind's short name, for tables.
    #[must_use]
    pub fn name(&self) -> String {
        match *self {
            Self::Bool => "bool".into(),
            Self::Whole { .. } => "whole number".into(),
            Self::Number { .. } => "number".into(),
            Self::Text => "text".into(),
            Self::Choice(words) => words.join(", "),
            Self::Path => "path".into(),
            Self::Url => "URL".into(),
            Self::Urls => "URL or list of URLs".into(),
            Self::Address => "IP address and port".into(),
            Self::Duration { .. } => "time span (s)".into(),
            Self::Size { unit, .. } => format!("size ({})", unit.name()),
            Self::Texts => "list of texts".into(),
            Self::Table => "names with texts".into(),
            Self::Counts => "names with whole numbers".into(),
            Self::Connectors => "list of objects".into(),
        }
    }

    /// Reads a value; `None` when it is not what [`accepts`](Self::accepts) says.
    pub(crate) fn read(&self, value: &Yaml) -> Option<Parsed> {
        match (*self, value) {
            (Self::Urls, Yaml::List(_)) => {
                let urls = texts(value)?;
                let usable = !urls.is_empty() && urls.iter().all(|url| is_url(url));
                usable.then(|| Parsed::Texts(urls.iter().map(|url| trim(url)).collect()))
            }
            (Self::Texts, Yaml::List(_)) => texts(value).map(Parsed::Texts),
            (Self::Table, Yaml::Map(entries)) => {
                let pairs =
                    entries.iter().map(|entry| Some((entry.key.clone(), text(&entry.value)?.to_owned())));
                pairs.collect::<Option<_>>().map(Parsed::Table)
            }
            (Self::Counts, Yaml::Map(entries)) => {
                let pairs = entries.iter().map(|entry| {
                    let count = whole(text(&entry.value)?.trim()).filter(|count| *count > 0)?;
                    Some((entry.key.clone(), count.to_string()))
                });
                pairs.collect::<Option<_>>().map(Parsed::Table)
            }
            (Self::Size { optional: true, .. }, Yaml::Null) => Some(Parsed::Size(None)),
            (kind, Yaml::Scalar(text)) => kind.read_text(text.trim(), text),
            _ => None,
        }
    }

    fn read_text(&self, text: &str, untrimmed: &str) -> Option<Parsed> {
        let lower = text.to_lowercase();
        match *self {
            Self::Bool => boolean(&lower).map(Parsed::Bool),
            Self::Whole { min, max } => whole(text).filter(|n| (min..=max).contains(n)).map(Parsed::Whole),
            Self::Number { min, max } => {
                text.parse().ok().filter(|n| (min..=max).contains(n)).map(Parsed::Number)
            }
            Self::Text => Some(Parsed::Text(untrimmed.to_owned())),
            Self::Path => Some(Parsed::Text(text.to_owned())),
            Self::Choice(words) => words
                .iter()
                .find(|word| word.to_lowercase() == lower)
                .map(|word| Parsed::Text((*word).to_owned())),
            Self::Url => is_url(text).then(|| Parsed::Text(trim(text))),
            Self::Urls => {
                let urls: Vec<&str> = text.split(',').map(str::trim).collect();
                urls.iter()
                    .all(|url| is_url(url))
                    .then(|| Parsed::Texts(urls.into_iter().map(trim).collect()))
            }
            Self::Address => text.parse().ok().map(Parsed::Address),
            Self::Duration { min } => {
                duration::duration(&lower).filter(|span| *span >= min).map(Parsed::Duration)
            }
            Self::Size { optional: true, .. } if lower == "none" => Some(Parsed::Size(None)),
            Self::Size { unit, optional } => duration::size(&lower, unit.bytes())
                .map(|bytes| Parsed::Size(Some(bytes).filter(|bytes| !optional || *bytes > 0))),
            Self::Texts => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Parsed::Texts(items.map(str::to_owned).collect()))
            }
            Self::Table | Self::Counts | Self::Connectors => None,
        }
    }
}

/// A scalar's text.
pub(crate) fn text(value: &Yaml) -> Option<&str> {
    match value {
        Yaml::Scalar(text) => Some(text),
        _ => None,
    }
}

fn texts(value: &Yaml) -> Option<Vec<String>> {
    let Yaml::List(items) = value else { return None };
    items.iter().map(|item| text(item).map(|text| text.trim().to_owned())).collect()
}

/// YAML 1.1's words too: the Python service reads them so.
fn boolean(lower: &str) -> Option<bool> {
    match lower {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Digits, which may be grouped by underscores (YAML 1.1) and may end in `.0`.
fn whole(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    digits.strip_suffix(".0").unwrap_or(&digits).parse().ok()
}

fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn trim(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Option<Parsed> {
        kind.read(&Yaml::Scalar(text.to_owned()))
    }

    #[test]
    fn each_kind_reads_what_it_says_and_nothing_else() {
        let small = Kind::Whole { min: 2, max: 1000 };
        let share = Kind::Number { min: 0.0, max: 1.0 };
        let level = Kind::Choice(&["INFO", "DEBUG"]);
        let limit = Kind::Size { unit: Unit::MiB, optional: true };
        for (kind, good, bad) in [
            (Kind::Bool, vec!["true", "False", "YES", "off"], vec!["1", "maybe", ""]),
            (small, vec!["2", "1000", "1_000", "30.0"], vec!["1", "1001", "-3", "2.5", "two"]),
            (share, vec!["0", "0.2", "1"], vec!["1.1", "-0.1", "NaN", "20%"]),
            (level, vec!["info", "Debug"], vec!["loud"]),
            (
                Kind::Urls,
                vec!["http://a", "https://a:9200/, http://[::1]:92/es"],
                vec!["a:9200", "ftp://a", "http://u:p@a", "http://a,", "http://a?x=1"],
            ),
            (Kind::Url, vec!["http://a:8090"], vec!["http://a, http://b", "localhost"]),
            (Kind::Address, vec!["127.0.0.1:9200", "[::1]:0"], vec!["localhost:9200", "127.0.0.1", ":1"]),
            (
                Kind::Duration { min: Duration::from_millis(100) },
                vec!["0.1", "100ms", "5m"],
                vec!["0", "50ms", "-1"],
            ),
            (limit, vec!["0", "none", "3", "3MB"], vec!["-1", "three"]),
        ] {
            for text in good {
                assert!(read(kind, text).is_some(), "{kind:?} takes {text:?}");
            }
            for text in bad {
                assert_eq!(read(kind, text), None, "{kind:?} refuses {text:?}");
            }
        }
    }

    #[test]
    fn an_optional_size_is_switched_off_by_zero_none_and_null() {
        let limit = Kind::Size { unit: Unit::MiB, optional: true };
        for off in ["0", "none", "None"] {
            assert_eq!(read(limit, off), Some(Parsed::Size(None)));
        }
        assert_eq!(limit.read(&Yaml::Null), Some(Parsed::Size(None)));
        assert_eq!(read(limit, "2"), Some(Parsed::Size(Some(2 << 20))));
        assert_eq!(read(Kind::Size { unit: Unit::Bytes, optional: false }, "0"), Some(Parsed::Size(Some(0))));
    }

    #[test]
    fn a_text_keeps_its_spaces_and_a_list_does_not() {
        assert_eq!(read(Kind::Text, " pass word "), Some(Parsed::Text(" pass word ".into())));
        assert_eq!(read(Kind::Texts, "dir, s3,"), Some(Parsed::Texts(vec!["dir".into(), "s3".into()])));
    }
}
