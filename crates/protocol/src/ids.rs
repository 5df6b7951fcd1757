use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ProtocolError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as owned text.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Id of a connector document.
    ConnectorId
}

id! {
    /// Id of a sync job document.
    SyncJobId
}

/// Longest name of an index, in bytes of UTF-8.
const LONGEST_INDEX_NAME: usize = 255;
/// Characters that no index name may have, in Elasticsearch's order.
const FORBIDDEN: [char; 11] = ['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '\0'];

/// A name that Elasticsearch takes for an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IndexName(String);

impl IndexName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is wrong with `name`, in the words of connector-api 2.5 (where capitals pass: they are refused only when
    /// the index is made).
    #[must_use]
    pub fn fault(name: &str) -> Option<String> {
        if name.is_empty() {
            return Some("must not be empty".to_owned());
        }
        if name.contains(FORBIDDEN) {
            let list: Vec<String> = FORBIDDEN.iter().take(10).map(|c| format!("'{c}'")).collect();
            return Some(format!("must not contain the following characters [{}]", list.join(",")));
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
        if name.len() > LONGEST_INDEX_NAME {
            return Some(format!("index name is too long, ({} > {LONGEST_INDEX_NAME})", name.len()));
        }
        matches!(name, "." | "..").then(|| "must not be '.' or '..'".to_owned())
    }
}

impl TryFrom<String> for IndexName {
    type Error = ProtocolError;

    /// # Errors
    /// The first rule that the name breaks.
    fn try_from(name: String) -> Result<Self, ProtocolError> {
        let capitals = || name.chars().any(char::is_uppercase).then(|| "must be lowercase".to_owned());
        match Self::fault(&name).or_else(capitals) {
            None => Ok(Self(name)),
            Some(why) => Err(ProtocolError::new(
                400,
                "invalid_index_name_exception",
                format!("Invalid index name [{name}], {why}"),
            )),
        }
    }
}

impl From<IndexName> for String {
    fn from(name: IndexName) -> Self {
        name.0
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_are_those_that_elasticsearch_takes() {
        for good in ["a", "search-docs", ".search-acl-filter-x", "ä", "1", "a.b_c-d+e"] {
            assert_eq!(IndexName::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", "must not be empty"),
            ("a b", "must not contain the following characters"),
            ("a*", "must not contain the following characters"),
            ("a#b", "must not contain '#'"),
            ("a:b", "must not contain ':'"),
            ("_a", "must not start with '_', '-', or '+'"),
            ("Docs", "must be lowercase"),
            ("..", "must not be '.' or '..'"),
            (&*"a".repeat(256), "index name is too long, (256 > 255)"),
        ] {
            let error = IndexName::try_from(bad.to_owned()).unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
        }
    }
}
