//! What is wrong with a configuration.

use std::fmt;

use crate::settings::Settings;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A configuration file; the line counts from 1 and is absent when the whole file is meant.
    File {
        /// The file as it was named.
        name: String,
        /// The line, from 1.
        line: Option<usize>,
    },
    /// An environment variable.
    Env(String),
    /// A command line flag (or whatever the caller passed as an override).
    Override,
    /// No single place: values that do not go together, or one that is missing.
    Whole,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Override => f.write_str("command line"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong. Its text is a line: place, what is wrong, what is accepted instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was found.
    pub place: Place,
    /// The key's whole path, such as `elasticsearch.bulk.chunk_size`; empty when a whole file is meant.
    pub key: String,
    /// What is wrong, with the value found; secrets are shown as `***`.
    pub message: String,
    /// What is accepted, or how to mend it.
    pub accepted: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        f.write_str(&self.message)?;
        if self.accepted.is_empty() { Ok(()) } else { write!(f, "; {}", self.accepted) }
    }
}

/// Everything that is wrong, in the order of the keys' places. Never empty when returned as an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Problems {
    found: Vec<Problem>,
    read: Option<Box<Settings>>,
}

impl Problems {
    /// A file that cannot be read at all.
    pub(crate) fn of_file(problem: Problem) -> Self {
        Self { found: vec![problem], read: None }
    }

    /// What is wrong with some keys, and the settings as far as they could be read.
    pub(crate) fn of_keys(found: Vec<Problem>, read: Settings) -> Self {
        Self { found, read: Some(Box::new(read)) }
    }

    /// The settings as far as they could be read, defaults in place of what could not: to look for more problems in them, never
    /// to work with.
    #[must_use]
    pub fn partly_read(&self) -> Option<&Settings> {
        self.read.as_deref()
    }

    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.found.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} problems in the configuration:", self.found.len())?;
        self.found.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
