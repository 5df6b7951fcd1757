//! `new-connector NAME`: a source that compiles and keeps all laws, to be changed from there. It is a copy of
//! `xtask/template`, which is a crate of the workspace itself, so that it cannot fall behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// Where the template is, from the workspace's root.
const TEMPLATE: &str = "xtask/template";
/// Longest line that rustfmt leaves alone.
const WIDTH: usize = 110;

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
    for (path, change) in registrations() {
        let path = root.join(path);
        let changed = change(&read(&path)?, &name)
            .ok_or_else(|| format!("{} does not look as expected; nothing was written", path.display()))?;
        files.push((path, changed));
    }
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

    fn package(&self) -> String {
        format!("tributary-connector-{}", self.kebab)
    }
}

type Change = fn(&str, &Name) -> Option<String>;

/// Files that name all sources, each with its change.
fn registrations() -> [(&'static str, Change); 3] {
    [
        ("Cargo.toml", |text, name| {
            let line = format!("{} = {{ path = \"connectors/{}\" }}", name.package(), name.kebab);
            after_last(text, "tributary-connector-", &line)
        }),
        ("connectors/all/Cargo.toml", |text, name| {
            after_last(text, "tributary-connector-", &format!("{}.workspace = true", name.package()))
        }),
        ("connectors/all/src/lib.rs", |text, name| {
            with_source(text, &format!("tributary_connector_{}::{}", name.snake, name.camel))
        }),
    ]
}

/// Adds a line after the last that begins so.
fn after_last(text: &str, start: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with(start))?;
    lines.insert(last + 1, line);
    Some(lines.join("\n") + "\n")
}

/// Adds a source to the chain of `.with::<…>()`, laid out as rustfmt does.
fn with_source(text: &str, source: &str) -> Option<String> {
    const START: &str = "    Registry::new()";
    let (before, rest) = text.split_once(START)?;
    let (chain, after) = rest.split_once("\n}")?;
    let mut sources: Vec<&str> =
        chain.split(".with::<").skip(1).filter_map(|part| part.split_once(">()")).map(|(s, _)| s).collect();
    sources.push(source);
    let calls: Vec<String> = sources.iter().map(|source| format!(".with::<{source}>()")).collect();
    let line = format!("{START}{}", calls.concat());
    let chain =
        if line.len() <= WIDTH { line } else { format!("{START}\n        {}", calls.join("\n        ")) };
    Some(format!("{before}{chain}\n}}{after}"))
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
        assert!(
            text("connectors/all/Cargo.toml").contains("\ntributary-connector-my-shop.workspace = true\n")
        );
        assert!(text("connectors/all/src/lib.rs").contains(".with::<tributary_connector_my_shop::MyShop>()"));
    }

    #[test]
    fn a_source_that_exists_is_left_alone() {
        let root = workspace();
        run(root.path(), "my-shop").unwrap();
        assert!(run(root.path(), "my_shop").unwrap_err().contains("exists already"));
    }

    #[test]
    fn the_chain_of_sources_is_laid_out_as_rustfmt_does() {
        let one = "f() {\n    Registry::new().with::<a::A>()\n}\n";
        let two = with_source(one, "b::B").unwrap();
        assert_eq!(two, "f() {\n    Registry::new().with::<a::A>().with::<b::B>()\n}\n");
        let long = format!("c::{}", "C".repeat(60));
        let three = with_source(&two, &long).unwrap();
        let expected = format!(
            "f() {{\n    Registry::new()\n        .with::<a::A>()\n        .with::<b::B>()\n        .with::<{long}>()\n}}\n"
        );
        assert_eq!(three, expected);
        assert!(with_source(&three, "d::D").unwrap().contains("        .with::<d::D>()\n}"));
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
