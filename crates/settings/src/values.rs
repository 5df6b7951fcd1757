//! The values of all keys, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::given::{Gather, Given, Layer};
use crate::keys::{self, Key};
use crate::kind::{Kind, Parsed};
use crate::problem::Place;
use crate::secret::Secret;
use crate::yaml::Yaml;

/// The longest text of a value that a problem shows.
const SHOWN: usize = 60;

/// Values by path; absent where nothing is given and there is no default.
#[derive(Debug)]
pub(crate) struct Values {
    parsed: BTreeMap<&'static str, Parsed>,
    given: BTreeSet<&'static str>,
}

/// Reads every key but `connectors`; what is wrong goes to the problems, and its default stands in for it.
pub(crate) fn read(gather: &mut Gather<'_>) -> Values {
    let mut values = Values { parsed: BTreeMap::new(), given: BTreeSet::new() };
    for key in keys::keys().iter().filter(|key| key.kind != Kind::Connectors) {
        if let Some(default) = default(key) {
            values.parsed.insert(key.path, default);
        }
        if let Some(value) = given(gather, key) {
            values.given.insert(key.path);
            values.parsed.insert(key.path, value);
        }
    }
    warn_of_inert(gather, &values);
    values
}

/// The default of a key.
fn default(key: &Key) -> Option<Parsed> {
    let text = key.default?;
    let value = crate::yaml::parse(text).ok()?;
    key.kind.read(&value)
}

/// What the layers give for a key, the strongest winning; a table's layers are put together.
fn given(gather: &mut Gather<'_>, key: &'static Key) -> Option<Parsed> {
    let mut all = gather.given.get(key.path).cloned().unwrap_or_default();
    if let Some(from_file) = secret_file(gather, key, &all) {
        all = vec![from_file];
    }
    if !key.kind.is_table() {
        all = all.pop().into_iter().collect();
    }
    let mut table = BTreeMap::new();
    let mut found = None;
    for one in all {
        if is_unset(key, &one.value) {
            continue;
        }
        match key.kind.read(&one.value) {
            Some(Parsed::Table(entries)) => table.extend(entries),
            Some(value) => found = Some(value),
            None => {
                let message = format!("is {}", describe(&one.value, key.secret));
                gather.problem(one.place, key.path, message, key.kind.accepts());
            }
        }
    }
    if key.kind.is_table() && !table.is_empty() { Some(Parsed::Table(table)) } else { found }
}

/// Null and an empty text mean that nothing is given, save where null is a value.
fn is_unset(key: &Key, value: &Yaml) -> bool {
    match value {
        Yaml::Null => !matches!(key.kind, Kind::Size { optional: true, .. }),
        Yaml::Scalar(text) => text.is_empty(),
        Yaml::List(_) | Yaml::Map(_) => false,
    }
}

/// The secret from the file named by `<path>_file`, where that is given in a stronger layer than the secret itself.
fn secret_file(gather: &mut Gather<'_>, key: &Key, direct: &[Given]) -> Option<Given> {
    let path = format!("{}_file", key.path);
    let named = gather.given.get(&path)?.last()?.clone();
    match direct.last().map(|direct| direct.layer.cmp(&named.layer)) {
        Some(std::cmp::Ordering::Greater) => return None,
        Some(std::cmp::Ordering::Equal) => {
            let message = format!("is given beside {}", key.path);
            gather.problem(named.place, &path, message, "give one of the two".into());
            return None;
        }
        _ => {}
    }
    let secret = read_secret(gather, &path, &named.value, &named.place)?;
    Some(Given { value: Yaml::Scalar(secret), ..named })
}

/// Reads a secret's file, without the line break at its end.
pub(crate) fn read_secret(gather: &mut Gather<'_>, path: &str, file: &Yaml, place: &Place) -> Option<String> {
    let accepted = "expected the path of a readable file that holds the secret";
    let trouble = match file {
        Yaml::Scalar(file) => match fs::read_to_string(file.trim()) {
            Ok(text) if !text.trim().is_empty() => {
                return Some(text.trim_end_matches(['\r', '\n']).to_owned());
            }
            Ok(_) => format!("names an empty file, {file}"),
            Err(error) => format!("names {file}, which cannot be read: {error}"),
        },
        Yaml::Null => return None,
        other => format!("is {}", describe(other, false)),
    };
    gather.problem(place.clone(), path, trouble, accepted.into());
    None
}

/// A value found, as a problem shows it.
pub(crate) fn describe(value: &Yaml, secret: bool) -> String {
    match value {
        Yaml::Null => "empty".into(),
        Yaml::List(_) => "a list".into(),
        Yaml::Map(_) => "a section".into(),
        Yaml::Scalar(_) if secret => "***".into(),
        // An address may hold a password before the `@`, well-formed or not.
        Yaml::Scalar(text) if text.contains('@') => "a text with @ in it (not shown)".into(),
        Yaml::Scalar(text) if text.chars().count() > SHOWN => {
            format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
        }
        Yaml::Scalar(text) => format!("{text:?}"),
    }
}

/// Says which keys change nothing, where they were set to anything but their default.
fn warn_of_inert(gather: &mut Gather<'_>, values: &Values) {
    for key in keys::keys() {
        let Some(why) = key.inert else { continue };
        if !values.is_given(key.path) || default(key).as_ref() == values.parsed.get(key.path) {
            continue;
        }
        let place =
            gather.given.get(key.path).and_then(|all| all.last()).map(|given| given.place.to_string());
        let place = place.unwrap_or_default();
        gather.warnings.push(format!("{place}: {} has no effect: {why}", key.path));
    }
}

impl Values {
    /// Whether a layer gives the key a value that counts.
    pub(crate) fn is_given(&self, path: &str) -> bool {
        self.given.contains(path)
    }

    /// Whether a layer gives any key of a section.
    pub(crate) fn is_section_given(&self, section: &str) -> bool {
        self.given.iter().any(|path| path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')))
    }

    fn get(&self, path: &str) -> Option<&Parsed> {
        debug_assert!(keys::find(path).is_some(), "{path} is not in the table");
        self.parsed.get(path)
    }

    pub(crate) fn bool(&self, path: &str) -> Option<bool> {
        match self.get(path) {
            Some(Parsed::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn is(&self, path: &str) -> bool {
        self.bool(path).unwrap_or_default()
    }

    pub(crate) fn whole(&self, path: &str) -> u64 {
        match self.get(path) {
            Some(Parsed::Whole(value)) => *value,
            _ => 0,
        }
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        usize::try_from(self.whole(path)).unwrap_or(usize::MAX)
    }

    pub(crate) fn number(&self, path: &str) -> f64 {
        match self.get(path) {
            Some(Parsed::Number(value)) => *value,
            _ => 0.0,
        }
    }

    pub(crate) fn optional_number(&self, path: &str) -> Option<f64> {
        match self.get(path) {
            Some(Parsed::Number(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn optional_duration(&self, path: &str) -> Option<Duration> {
        match self.get(path) {
            Some(Parsed::Duration(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match self.get(path) {
            Some(Parsed::Text(value)) => Some(value.clone()),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, path: &str) -> Option<Secret> {
        self.text(path).map(Secret::new)
    }

    pub(crate) fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path).map(PathBuf::from)
    }

    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        match self.get(path) {
            Some(Parsed::Texts(value)) => value.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn address(&self, path: &str) -> Option<SocketAddr> {
        match self.get(path) {
            Some(Parsed::Address(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, path: &str) -> Duration {
        match self.get(path) {
            Some(Parsed::Duration(value)) => *value,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn size(&self, path: &str) -> Option<u64> {
        match self.get(path) {
            Some(Parsed::Size(value)) => *value,
            _ => None,
        }
    }

    /// Whole numbers by name.
    pub(crate) fn counts(&self, path: &str) -> BTreeMap<String, usize> {
        let counts = self.table(path).into_iter();
        counts.filter_map(|(name, count)| Some((name, count.parse().ok()?))).collect()
    }

    /// Everything by path.
    pub(crate) fn into_parsed(self) -> BTreeMap<&'static str, Parsed> {
        self.parsed
    }

    pub(crate) fn table(&self, path: &str) -> BTreeMap<String, String> {
        match self.get(path) {
            Some(Parsed::Table(value)) => value.clone(),
            _ => BTreeMap::new(),
        }
    }
}

/// The place of what a key was given, strongest layer first.
pub(crate) fn place_of(gather: &Gather<'_>, path: &str) -> Place {
    let strongest = gather
        .given
        .get(path)
        .and_then(|all| all.iter().max_by_key(|given: &&Given| -> Layer { given.layer }));
    strongest.map_or(Place::Whole, |given| given.place.clone())
}
