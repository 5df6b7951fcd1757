//! What the layers give, key by key, before it is read.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::{self, Key};
use crate::kind::Kind;
use crate::problem::{Place, Problem};
use crate::substitute;
use crate::yaml::{self, Entry, Yaml};

/// The layers, the later winning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// Environment variables literally named like a key, with dots (sync-runtime 2.1, rule 3).
    DottedEnv,
    File,
    Env,
    Override,
}

/// A value that was given for a key.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) value: Yaml,
    pub(crate) place: Place,
    pub(crate) layer: Layer,
}

/// Collects what all layers give.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    env: &'a BTreeMap<String, String>,
    /// By path; `<path>_file` for secrets from files. In the order of the layers.
    pub(crate) given: BTreeMap<String, Vec<Given>>,
    /// Paths whose value in the file could not be completed.
    failed: BTreeSet<String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
}

/// What a path leads to.
enum Target {
    Key,
    /// A name inside a key that takes names with texts.
    Inside(&'static Key, String),
    Section,
    Nothing,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(env: &'a BTreeMap<String, String>) -> Self {
        Self {
            env,
            given: BTreeMap::new(),
            failed: BTreeSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes environment variables whose names are known keys, dots and all.
    pub(crate) fn dotted_env(&mut self) {
        let env = self.env;
        for (name, value) in env.iter().filter(|(name, _)| name.contains('.')) {
            if matches!(target(name), Target::Key) {
                self.text(name, value, &Place::Env(name.clone()), Layer::DottedEnv);
            }
        }
    }

    /// Takes `TRIBUTARY_A__B=value` as `a.b: value`. One level without `__` is taken only where it is a key: other names
    /// belong to the command line. `TRIBUTARY__A` is short for `TRIBUTARY_TRIBUTARY__A`.
    pub(crate) fn tributary_env(&mut self) {
        let env = self.env;
        for (name, value) in env {
            let Some(rest) = name.strip_prefix("TRIBUTARY_") else { continue };
            let path = match rest.strip_prefix('_') {
                Some(own) => format!("tributary.{}", own.replace("__", ".")),
                None => rest.replace("__", "."),
            };
            let path = path.to_lowercase();
            if path.contains('.') || matches!(target(&path), Target::Key) {
                self.text(&path, value, &Place::Env(name.clone()), Layer::Env);
            }
        }
    }

    /// Takes a flag.
    pub(crate) fn override_with(&mut self, path: &str, value: &str) {
        self.text(path, value, &Place::Override, Layer::Override);
    }

    /// Takes a file's text.
    pub(crate) fn file(&mut self, name: &str, text: &str) {
        let place = |line| Place::File { name: name.to_owned(), line: Some(line) };
        match yaml::parse(text) {
            Err(invalid) => self.problem(
                place(invalid.line),
                "",
                format!("not valid YAML: {}", invalid.reason),
                "mend the line; indent with spaces, quote texts with special characters".into(),
            ),
            Ok(Yaml::Null) => {}
            Ok(Yaml::Map(entries)) => self.section("", &entries, &place),
            Ok(_) => {
                self.problem(
                    place(1),
                    "",
                    "holds no keys".into(),
                    "expected lines such as key: value".into(),
                );
            }
        }
    }

    /// A value that comes as text: structured kinds are written as in YAML.
    fn text(&mut self, path: &str, text: &str, place: &Place, layer: Layer) {
        let structured = match keys::find(path).map(|key| key.kind) {
            Some(Kind::Connectors | Kind::Table | Kind::Counts) => true,
            Some(Kind::Texts | Kind::Urls) => text.trim_start().starts_with('['),
            _ => false,
        };
        let value = match structured.then(|| yaml::parse(text)) {
            Some(Ok(value)) => value,
            Some(Err(_)) | None => Yaml::Scalar(text.to_owned()),
        };
        self.entry(path, value, place, layer);
    }

    fn section(&mut self, prefix: &str, entries: &[Entry], place: &impl Fn(usize) -> Place) {
        for entry in entries {
            let path = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
            match (target(&path), &entry.value) {
                (Target::Section, Yaml::Map(inner)) => self.section(&path, inner, place),
                (Target::Section, Yaml::Null) => {}
                (Target::Section, _) => self.problem(
                    place(entry.line),
                    &path,
                    "is a section, not a value".into(),
                    format!("its keys go below it: {}", inside(&path)),
                ),
                (_, value) => {
                    let place = place(entry.line);
                    let known = self.problems.len();
                    let value = self.expanded(value, &path, &place);
                    // A text that kept its variable is refused once; as a number it would be refused again.
                    if self.problems.len() > known && !takes_any_text(&path) {
                        self.failed.insert(path);
                    } else {
                        self.entry(&path, value, &place, Layer::File);
                    }
                }
            }
        }
    }

    fn entry(&mut self, path: &str, value: Yaml, place: &Place, layer: Layer) {
        let (path, value) = match target(path) {
            Target::Key => (path, value),
            Target::Inside(key, name) => (key.path, Yaml::Map(vec![Entry { key: name, line: 0, value }])),
            Target::Section | Target::Nothing => {
                let message = "is not a known key".to_owned();
                let accepted = format!("nearest known key: {}", nearest(path));
                return self.problem(place.clone(), path, message, accepted);
            }
        };
        let all = self.given.entry(path.to_owned()).or_default();
        let merges = keys::find(path).is_some_and(|key| key.kind.is_table());
        if let Some(earlier) = all.iter().find(|earlier| earlier.layer == layer && !merges) {
            self.warnings.push(format!("{place}: {path} is given twice; {} no longer counts", earlier.place));
        }
        all.push(Given { value, place: place.clone(), layer });
    }

    /// The value with its variables replaced; a text whose variables are a problem stays as it is.
    fn expanded(&mut self, value: &Yaml, path: &str, place: &Place) -> Yaml {
        match value {
            Yaml::Null => Yaml::Null,
            Yaml::Scalar(text) => Yaml::Scalar(self.expanded_text(text, path, place)),
            Yaml::List(items) => {
                let items = items.iter().enumerate();
                Yaml::List(
                    items.map(|(n, item)| self.expanded(item, &format!("{path}[{n}]"), place)).collect(),
                )
            }
            Yaml::Map(entries) => {
                let entries = entries.iter().map(|entry| {
                    let place = at_line(place, entry.line);
                    let value = self.expanded(&entry.value, &format!("{path}.{}", entry.key), &place);
                    Entry { value, ..entry.clone() }
                });
                Yaml::Map(entries.collect())
            }
        }
    }

    fn expanded_text(&mut self, text: &str, path: &str, place: &Place) -> String {
        let expanded = substitute::expand(text, self.env);
        for name in &expanded.unset {
            self.problem(
                place.clone(),
                path,
                format!("needs the environment variable {name}, which is not set"),
                format!("set it, or write ${{{name}|default}}"),
            );
        }
        if expanded.malformed {
            let message = "holds a ${ that begins no variable".to_owned();
            let accepted =
                "expected ${NAME} or ${NAME|default}; write $${ for the characters themselves".to_owned();
            self.problem(place.clone(), path, message, accepted);
        }
        if expanded.bare.is_some() {
            self.warnings.push(format!(
                "{place}: {path} holds a $ before the name of a variable that is set; it is taken as it stands. \
                 Write ${{NAME}} to insert a variable, $$ to end this warning"
            ));
        }
        if expanded.unset.is_empty() && !expanded.malformed { expanded.text } else { text.to_owned() }
    }

    /// Whether a layer gives a path a value, right or wrong.
    pub(crate) fn has_value(&self, path: &str) -> bool {
        self.failed.contains(path)
            || self.given.get(path).is_some_and(|all| {
                all.iter().any(|given| {
                    !matches!(&given.value, Yaml::Null) && given.value != Yaml::Scalar(String::new())
                })
            })
    }

    /// Whether it is named and given nothing.
    pub(crate) fn is_null(&self, path: &str) -> bool {
        self.given.contains_key(path) && !self.has_value(path)
    }

    pub(crate) fn problem(&mut self, place: Place, key: &str, message: String, accepted: String) {
        self.problems.push(Problem { place, key: key.to_owned(), message, accepted });
    }
}

/// The same file at another line.
pub(crate) fn at_line(place: &Place, line: usize) -> Place {
    match place {
        Place::File { name, .. } if line > 0 => Place::File { name: name.clone(), line: Some(line) },
        other => other.clone(),
    }
}

fn target(path: &str) -> Target {
    if keys::find(path).is_some() || secret_file(path).is_some() {
        return Target::Key;
    }
    let section = |key: &&Key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    if keys::keys().iter().any(|key| section(&key)) {
        return Target::Section;
    }
    let table = keys::keys().iter().filter(|key| key.kind.is_table()).find_map(|key| {
        let name = path.strip_prefix(key.path)?.strip_prefix('.')?;
        Some(Target::Inside(key, name.to_owned()))
    });
    table.unwrap_or(Target::Nothing)
}

/// The secret key whose file a path names.
fn secret_file(path: &str) -> Option<&'static Key> {
    let key = keys::find(path.strip_suffix("_file")?)?;
    (key.secret && key.kind == Kind::Text).then_some(key)
}

/// Whether a key's texts cannot be wrong.
fn takes_any_text(path: &str) -> bool {
    match keys::find(path).map(|key| key.kind) {
        Some(kind) => matches!(
            kind,
            Kind::Text | Kind::Path | Kind::Texts | Kind::Table | Kind::Counts | Kind::Connectors
        ),
        None => true,
    }
}

/// What may stand directly below a section.
fn inside(section: &str) -> String {
    let below = keys::keys()
        .iter()
        .filter_map(|key| key.path.strip_prefix(section)?.strip_prefix('.')?.split('.').next());
    let mut seen = BTreeSet::new();
    below.filter(|name| seen.insert(*name)).collect::<Vec<_>>().join(", ")
}

/// The known key most like a path: by the whole, or by its last part where only the section is wrong.
fn nearest(path: &str) -> &'static str {
    let last = |path: &'_ str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(path, known);
        let part = strsim::normalized_damerau_levenshtein(&last(path), &last(known));
        0.5 * whole + 0.5 * part
    };
    let known = keys::keys().iter().map(|key| key.path);
    known.max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}

/// The name most like `name` among some.
pub(crate) fn nearest_of<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> &'k str {
    let score = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    known.max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}
