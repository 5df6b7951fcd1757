//! `new-connector NAME`: a source that compiles and keeps all laws, to be changed from there. It is a copy of
//! `xtask/template`, which is a crate of the workspace itself, so that it cannot fall behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, connectors};

/// Where the template is, from the workspace's root.
const TEMPLATE: &str = "xtask/template";

/// The forms of a source's name.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// As in connector documents and crates: `my_shop`.
    snake: String,
    /// As in folders and packages: `my-shop`.
    kebab: String,
    /// As in types: `MyShop`.
    camel: String,
}

/// Makes the source and adds it to the built-in ones.
pub(crate) fn run(root: &Path, name: &str) -> Outcome {
    let name = Name::parse(name)?;
    let folder = root.join("connectors").join(&name.kebab);
    if folder.exists() {
        return Err(format!("connectors/{} exists already", name.kebab));
    }
    // Everything is read and changed before anything is written.
    let template = root.join(TEMPLATE);
    let mut files = Vec::new();
    for path in list(&template)? {
        let target = folder.join(path.strip_prefix(&template).unwrap_or(&path));
        files.push((target, name.fill(&read(&path)?)));
    }
    let manifest = root.join("Cargo.toml");
    let changed = declared(&read(&manifest)?, &name)
        .ok_or_else(|| format!("{} does not look as expected; nothing was written", manifest.display()))?;
    files.push((manifest, changed));
    let mut sources = connectors::found(root)?;
    let (folder, kind, service_type) = (name.kebab.clone(), name.camel.clone(), name.snake.clone());
    sources.push(connectors::Source { folder, kind, service_type });
    sources.sort();
    files.push((root.join(connectors::MANIFEST), connectors::manifest(&sources)));
    files.push((root.join(connectors::REGISTRY), connectors::registry(&sources)));
    for (path, content) in files {
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| unwritable(&path, &error))?;
        fs::write(&path, content).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(format!(
        "connectors/{kebab} is there and built in as '{snake}'.\nNext: cargo test -p tributary-connector-{kebab}, then \
         docs/write-a-source.md",
        kebab = name.kebab,
        snake = name.snake
    ))
}

impl Name {
    fn parse(given: &str) -> Result<Self, String> {
        let words: Vec<&str> = given.split(['-', '_']).collect();
        let is_word = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !words.iter().all(is_word) || !given.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(format!(
                "'{given}' is no name of a source; expected lower-case words such as my-shop"
            ));
        }
        if given == "all" || given == "sample" {
            return Err(format!("'{given}' is taken; choose another name"));
        }
        let camel = words.iter().map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
        Ok(Self { snake: words.join("_"), kebab: words.join("-"), camel })
    }

    /// The template's text with this name in it.
    fn fill(&self, text: &str) -> String {
        text.replace("tributary-connector-sample", &format!("tributary-connector-{}", self.kebab))
            .replace("Sample", &self.camel)
            .replace("sample", &self.snake)
    }
}

/// The workspace's manifest with the new source in it.
fn declared(text: &str, name: &Name) -> Option<String> {
    let package = format!("tributary-connector-{}", name.kebab);
    after_last(
        text,
        "tributary-connector-",
        &format!("{package} = {{ path = \"connectors/{}\" }}", name.kebab),
    )
}

/// Adds a line after the last that begins so.
fn after_last(text: &str, start: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with(start))?;
    lines.insert(last + 1, line);
    Some(lines.join("\n") + "\n")
}

/// All files of a folder and those below it.
fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be listed: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() { files.extend(list(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of what the task reads and changes.
    fn workspace() -> tempfile::TempDir {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let copy = tempfile::tempdir().unwrap();
        let mut paths = list(&real.join(TEMPLATE)).unwrap();
        paths.extend(
            ["Cargo.toml", "connectors/all/Cargo.toml", "connectors/all/src/lib.rs"]
                .map(|path| real.join(path)),
        );
        for path in paths {
            let target = copy.path().join(path.strip_prefix(real).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(path, target).unwrap();
        }
        copy
    }

    #[test]
    fn the_new_source_has_its_name_everywhere_and_is_built_in() {
        let root = workspace();
        run(root.path(), "my-shop").unwrap();
        let files = list(&root.path().join("connectors/my-shop")).unwrap();
        assert_eq!(files.len(), list(&root.path().join(TEMPLATE)).unwrap().len());
        for path in &files {
            let text = read(path).unwrap().to_lowercase();
            assert!(!text.contains("sample"), "{}", path.display());
        }
        let text = |path: &str| read(&root.path().join(path)).unwrap();
        assert!(
            text("connectors/my-shop/src/lib.rs").contains("const SERVICE_TYPE: &'static str = \"my_shop\";")
        );
        assert!(
            text("connectors/my-shop/tests/conformance.rs").contains("tributary_connector_my_shop::MyShop")
        );
        assert!(
            text("Cargo.toml")
                .contains("\ntributary-connector-my-shop = { path = \"connectors/my-shop\" }\n")
        );
        let feature = "\ntributary-connector-my-shop = { workspace = true, optional = true }\n";
        assert!(text("connectors/all/Cargo.toml").contains(feature));
        assert!(text("connectors/all/src/lib.rs").contains(".with::<tributary_connector_my_shop::MyShop>()"));
    }

    #[test]
    fn a_source_that_exists_is_left_alone() {
        let root = workspace();
        run(root.path(), "my-shop").unwrap();
        assert!(run(root.path(), "my_shop").unwrap_err().contains("exists already"));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let root = workspace();
        for name in ["", "My-Shop", "1shop", "my--shop", "shop/..", "all", "sample", "-x"] {
            assert!(run(root.path(), name).is_err(), "{name}");
        }
        assert!(!root.path().join("connectors/shop").exists());
    }
}
