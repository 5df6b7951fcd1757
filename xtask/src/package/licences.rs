//! The licences of the crates that are in the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{read, unreadable};

/// How files begin that hold a licence, or what a licence demands to be passed on.
const NAMES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
/// Folders of what is not in the program.
const OUTSIDE: [&str; 6] = ["tests", "test_data", "benches", "examples", "resources", "target"];
/// Where texts are kept whose crates come without.
const KEPT: &str = "packaging/licences";

/// A text, and where it is from: the path in the crate's sources, or what was taken instead.
type Texts = BTreeMap<String, String>;

/// The document of `list` (`name version licence`, one a line), with what `cargo metadata` says of them.
///
/// # Errors
///
/// For a crate whose licence text is nowhere.
pub(super) fn third_party(root: &Path, list: &str, metadata: &str) -> Result<String, String> {
    let packages = packages(metadata)?;
    let mut texts = BTreeMap::new();
    for line in list.lines() {
        let name: Vec<&str> = line.split(' ').take(2).collect();
        let name = name.join(" ");
        let package = packages.get(&name).ok_or_else(|| format!("cargo metadata does not know {name}"))?;
        let mut found = package.texts()?;
        if found.is_empty() {
            found = instead(root, package, &packages)?;
        }
        texts.insert(name, found);
    }
    Ok(document(list, &texts))
}

/// A crate, as `cargo metadata` describes it.
#[derive(Debug, PartialEq)]
struct Package {
    name: String,
    version: String,
    licence: String,
    repository: Option<String>,
    folder: PathBuf,
    /// Where the manifest says the licence is.
    file: Option<String>,
}

/// All of them by `name version`.
fn packages(metadata: &str) -> Result<BTreeMap<String, Package>, String> {
    let metadata: Value =
        serde_json::from_str(metadata).map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let package = |package: &Value| {
        let text = |field: &str| package[field].as_str().map(str::to_owned);
        let found = Package {
            name: text("name")?,
            version: text("version")?,
            licence: text("license").unwrap_or_default(),
            repository: text("repository"),
            folder: Path::new(&text("manifest_path")?).parent()?.to_owned(),
            file: text("license_file"),
        };
        Some((format!("{} {}", found.name, found.version), found))
    };
    Ok(packages.iter().filter_map(package).collect())
}

impl Package {
    /// The texts in its sources, other projects' that it contains included.
    fn texts(&self) -> Result<Texts, String> {
        let mut texts = Texts::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
                let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
                let within = path.strip_prefix(&self.folder).unwrap_or(&path);
                if path.is_dir() {
                    if !OUTSIDE.iter().any(|outside| within.ends_with(outside)) {
                        folders.push(path);
                    }
                } else if holds_a_licence(within)
                    || self.file.as_deref().is_some_and(|file| within == Path::new(file))
                {
                    let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
                    let text = String::from_utf8_lossy(&bytes).trim().replace("\r\n", "\n");
                    if !text.is_empty() {
                        texts.insert(within.display().to_string(), text);
                    }
                }
            }
        }
        Ok(texts)
    }

    /// Whether the Apache License alone is enough.
    fn allows_apache(&self) -> bool {
        let licence = self.licence.replace('/', " OR ");
        !licence.contains("AND") && licence.split(" OR ").any(|one| one.trim() == "Apache-2.0")
    }
}

/// Whether a file of this path is one. Sources may be called `license.rs`.
fn holds_a_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_code = [".rs", ".c", ".h", ".py", ".sh"].iter().any(|end| name.ends_with(end));
    // <https://reuse.software> keeps them in a folder, named as the licences.
    let is_in_folder = path.parent().is_some_and(|folder| folder.ends_with("LICENSES"));
    !is_code && (is_in_folder || NAMES.iter().any(|begin| name.starts_with(begin)))
}

/// The texts of a crate that has none: kept ones, those of a crate from the same repository, or the Apache License.
fn instead(root: &Path, package: &Package, all: &BTreeMap<String, Package>) -> Result<Texts, String> {
    let kept = root.join(KEPT).join(&package.name);
    if kept.is_file() {
        return Ok(Texts::from([("kept text".to_owned(), read(&kept)?.trim().to_owned())]));
    }
    let same = |other: &&Package| {
        package.repository.is_some()
            && (&other.repository, &other.licence) == (&package.repository, &package.licence)
    };
    for other in all.values().filter(same) {
        let texts = other.texts()?;
        if !texts.is_empty() {
            let from = |(path, text)| (format!("{path} of {}", other.name), text);
            return Ok(texts.into_iter().map(from).collect());
        }
    }
    if package.allows_apache() {
        let text = read(&root.join("LICENSE"))?;
        return Ok(Texts::from([("Apache-2.0".to_owned(), text.trim().to_owned())]));
    }
    let Package { name, version, licence, .. } = package;
    Err(format!(
        "the sources of the crate {name} {version} ({licence}) hold no text of its licence: put it into {KEPT}/{name}"
    ))
}

/// All of it: the list of crates, then each text once, below the crates it belongs to.
fn document(list: &str, texts: &BTreeMap<String, Texts>) -> String {
    let mut places: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, texts) in texts {
        for (path, text) in texts {
            places.entry(text).or_default().insert(format!("{name}: {path}"));
        }
    }
    let mut by_places: Vec<(BTreeSet<String>, &str)> =
        places.into_iter().map(|(text, places)| (places, text)).collect();
    by_places.sort();
    let mut document = format!("The crates in the program, each with its version and licence:\n\n{list}");
    for (places, text) in by_places {
        let places: Vec<String> = places.into_iter().collect();
        document.push_str(&format!("\n{}\n{}\n\n{text}\n", "=".repeat(80), places.join("\n")));
    }
    document
}

#[cfg(test)]
mod tests;
