use std::collections::BTreeSet;

use tributary_sdk::{Error, ErrorKind};

use crate::{Found, TableName};

/// Which tables are read: names with or without their schema, `*` for any part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(Vec<String>);

/// What a selection found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Tables to read, in their stable order.
    pub tables: Vec<TableName>,
    /// Tables that were asked for by name or pattern and may not be read.
    pub denied: Vec<TableName>,
    /// Tables that may not be read and were not asked for by name.
    pub passed_over: Vec<TableName>,
    /// Names and patterns that nothing answers to.
    pub missing: Vec<String>,
}

impl Selected {
    /// What was asked for by name and cannot be read.
    pub fn faults(&self) -> impl Iterator<Item = Error> + '_ {
        let denied = self.denied.iter().map(|table| {
            Error::new(ErrorKind::Permission, format!("these credentials may not read the table {table}"))
                .hint("grant SELECT on it and USAGE on its schema, or take it out of the list of tables")
        });
        let missing = self.missing.iter().map(|name| {
            Error::new(ErrorKind::NotFound, format!("there is no table '{name}'"))
                .hint("correct the list of tables, or grant the rights to see it")
        });
        denied.chain(missing)
    }
}

impl Selection {
    /// These names and patterns; none means all.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self(if names.is_empty() { vec!["*".to_owned()] } else { names.to_vec() })
    }

    /// Whether everything is read.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.iter().any(|name| name == "*")
    }

    /// What it means among the tables that are there.
    #[must_use]
    pub fn of(&self, found: &[Found]) -> Selected {
        self.among(found, &[])
    }

    /// The same, where names may also mean tables of other schemas that are read apart: those are not missed here.
    #[must_use]
    pub fn among(&self, found: &[Found], elsewhere: &[&str]) -> Selected {
        let mut selected = Selected::default();
        let mut tables = BTreeSet::new();
        for pattern in &self.0 {
            let mut any = pattern == "*";
            for Found { name, only_by_name, readable } in found {
                let fits = matches(pattern, &name.name) || matches(pattern, &name.to_string());
                if !fits || (*only_by_name && pattern == "*") {
                    continue;
                }
                any = true;
                match (readable, pattern == "*") {
                    (true, _) => drop(tables.insert(name.clone())),
                    (false, true) => selected.passed_over.push(name.clone()),
                    (false, false) => selected.denied.push(name.clone()),
                }
            }
            let is_elsewhere =
                |schema: &&str| pattern.strip_prefix(*schema).is_some_and(|rest| rest.starts_with('.'));
            if !any && !elsewhere.iter().any(is_elsewhere) {
                selected.missing.push(pattern.clone());
            }
        }
        selected.tables = tables.into_iter().collect();
        selected
    }
}

/// Whether `text` is of the form of `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("s.*", "s.t", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_was_asked_for_by_name_and_cannot_be_read_is_told() {
        let found = |name: &str, readable| {
            let name = TableName::new("s", name);
            Found { name, only_by_name: false, readable }
        };
        let all = [found("b", true), found("a", true), found("secret", false)];
        let select = |names: &[&str]| {
            Selection::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).of(&all)
        };
        let everything = select(&["*"]);
        assert_eq!(everything.tables, [TableName::new("s", "a"), TableName::new("s", "b")]);
        assert_eq!((everything.denied.len(), everything.passed_over.len()), (0, 1));
        let some = select(&["s.b", "secret", "zzz"]);
        assert_eq!(some.tables, [TableName::new("s", "b")]);
        assert_eq!(some.denied, [TableName::new("s", "secret")]);
        assert_eq!(some.missing, ["zzz"]);
        assert_eq!(select(&[]).tables.len(), 2);
        let missed = |name: &str| Selection::new(&[name.to_owned()]).among(&all, &["other"]).missing;
        assert_eq!(missed("other.b"), [""; 0]);
        assert_eq!((missed("other"), missed("s.zzz")), (vec!["other".to_owned()], vec!["s.zzz".to_owned()]));
        let parent = Found { only_by_name: true, ..all[0].clone() };
        let of =
            |name: &str| Selection::new(&[name.to_owned()]).of(std::slice::from_ref(&parent)).tables.len();
        assert_eq!((of("*"), of("b"), of("b*")), (0, 1, 1));
    }
}
