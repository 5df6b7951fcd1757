//! What is made from the folders of sources: `connectors/all`, with one cargo feature for each source, all of them on, and
//! their pages in `docs/connectors`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::fields::{self, Fields};

/// The crate that names all sources, from the workspace's root.
pub(crate) const MANIFEST: &str = "connectors/all/Cargo.toml";
pub(crate) const REGISTRY: &str = "connectors/all/src/lib.rs";

/// One source's crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Its folder, which is its feature and the end of its package's name.
    pub(crate) folder: String,
    /// The type that implements `Connector`.
    pub(crate) kind: String,
    /// The protocol's name of it.
    pub(crate) service_type: String,
}

/// All sources, in the order of their names.
pub(crate) fn found(root: &Path) -> Result<Vec<Source>, String> {
    let folder = root.join("connectors");
    let unreadable = |error: std::io::Error| format!("{} cannot be listed: {error}", folder.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(text) = fs::read_to_string(entry.path().join("src/lib.rs")) else { continue };
        let folder = entry.file_name().to_string_lossy().into_owned();
        let named = between(&text, "impl Connector for ", " ").zip(between(
            &text,
            "SERVICE_TYPE: &'static str = \"",
            "\"",
        ));
        if let Some((kind, service_type)) = named.filter(|_| folder != "all") {
            sources.push(Source { folder, kind: kind.to_owned(), service_type: service_type.to_owned() });
        }
    }
    sources.sort();
    Ok(sources)
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// The texts of all sources that have a `README.md`, with the tables of their fields, as they are beside the code and as pages,
/// and a list of them.
pub(crate) fn pages(
    root: &Path,
    sources: &[Source],
    fields: &BTreeMap<String, Fields>,
) -> Result<Vec<(String, String)>, String> {
    let mut list = "<!-- Written by `cargo xtask generate`. -->\n\n# Sources\n\n| Service type | What it reads |\n|---|---|\n".to_owned();
    let mut pages = Vec::new();
    for Source { folder, service_type, .. } in sources {
        let path = format!("connectors/{folder}/README.md");
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let declared =
            fields.get(service_type).ok_or_else(|| format!("{service_type} declares no fields"))?;
        let text = fields::fill(&text, declared)
            .ok_or_else(|| format!("{path} has no marks for the table of fields; xtask/template has them"))?;
        let title = between(&text, "# Source ", "\n")
            .and_then(|line| line.split_once(": "))
            .map_or("", |(_, name)| name);
        list.push_str(&format!("| [`{service_type}`]({service_type}.md) | {title} |\n"));
        let here =
            format!("<!-- Written by `cargo xtask generate` from connectors/{folder}/README.md. -->\n\n");
        let linked = text.replace("](example.json)", &format!("](../../connectors/{folder}/example.json)"));
        pages.push((format!("docs/connectors/{service_type}.md"), here + &linked));
        pages.push((path, text));
    }
    pages.push(("docs/connectors/README.md".to_owned(), list));
    Ok(pages)
}

/// The manifest of `connectors/all`.
pub(crate) fn manifest(sources: &[Source]) -> String {
    let lines = |line: &dyn Fn(&str) -> String| {
        sources.iter().map(|source| line(&source.folder) + "\n").collect::<Vec<_>>().concat()
    };
    let default =
        sources.iter().map(|source| format!("\"{}\"", source.folder)).collect::<Vec<_>>().join(", ");
    format!(
        "# Written by `cargo xtask generate`.\n\
         [package]\n\
         name = \"tributary-connectors\"\n\
         description = \"All sources built into the binary.\"\n\
         version.workspace = true\n\
         edition.workspace = true\n\
         rust-version.workspace = true\n\
         license.workspace = true\n\
         publish.workspace = true\n\n\
         [lints]\n\
         workspace = true\n\n\
         [features]\n\
         default = [{default}]\n{}\n\
         [dependencies]\n\
         tributary-sdk.workspace = true\n{}\n\
         [dev-dependencies]\n\
         serde_json.workspace = true\n",
        lines(&|name| format!("{name} = [\"dep:tributary-connector-{name}\"]")),
        lines(&|name| format!("tributary-connector-{name} = {{ workspace = true, optional = true }}")),
    )
}

/// The code of `connectors/all`.
pub(crate) fn registry(sources: &[Source]) -> String {
    let added: String = sources
        .iter()
        .map(|Source { folder, kind, .. }| {
            let package = folder.replace('-', "_");
            format!(
                "    #[cfg(feature = \"{folder}\")]\n    \
                 let registry = registry.with::<tributary_connector_{package}::{kind}>();\n"
            )
        })
        .collect();
    format!(
        "//! All sources built into the binary, each behind a feature of its folder's name. Written by `cargo xtask \
         generate`.\n\n\
         use tributary_sdk::Registry;\n\n\
         /// Every source this program has.\n\
         #[must_use]\n\
         pub fn registry() -> Registry {{\n    \
         let registry = Registry::new();\n{added}    registry\n}}\n\n{TESTS}"
    )
}

const TESTS: &str = "\
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_declares_fields_with_labels() {
        for kind in registry().iter() {
            let schema = kind.schema();
            assert!(!schema.is_empty(), \"{}\", kind.service_type());
            assert!(schema.iter().all(|(_, field)| !field.label.is_empty()), \"{}\", kind.service_type());
        }
    }
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_with_a_connector_is_a_feature_and_is_registered() {
        let root = tempfile::tempdir().unwrap();
        let shop = "impl Connector for MyShop {\n    const SERVICE_TYPE: &'static str = \"my_shop\";\n}";
        let crates = [("my-shop", shop), ("all", shop), ("notes", "")];
        for (folder, text) in crates {
            let folder = root.path().join("connectors").join(folder).join("src");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("lib.rs"), text).unwrap();
        }
        let sources = found(root.path()).unwrap();
        let text = |text: &str| text.to_owned();
        let expected =
            Source { folder: text("my-shop"), kind: text("MyShop"), service_type: text("my_shop") };
        assert_eq!(sources, [expected]);
        let manifest = manifest(&sources);
        assert!(
            manifest.contains("default = [\"my-shop\"]\nmy-shop = [\"dep:tributary-connector-my-shop\"]\n")
        );
        assert!(manifest.contains("tributary-connector-my-shop = { workspace = true, optional = true }\n"));
        let registry = registry(&sources);
        assert!(registry.contains(
            "    #[cfg(feature = \"my-shop\")]\n    let registry = \
             registry.with::<tributary_connector_my_shop::MyShop>();\n"
        ));
    }

    #[test]
    fn a_source_with_a_readme_has_a_page() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("connectors/my-shop");
        fs::create_dir_all(&folder).unwrap();
        let marks =
            "<!-- fields: written by `cargo xtask generate` from src/config.rs -->\n<!-- end of fields -->\n";
        let readme = format!("# Source `my_shop`: My Shop\n\n{marks}[all](example.json)\n");
        fs::write(folder.join("README.md"), readme).unwrap();
        let text = |text: &str| text.to_owned();
        let shop = Source { folder: text("my-shop"), kind: text("MyShop"), service_type: text("my_shop") };
        let bare = Source { folder: text("bare"), kind: text("Bare"), service_type: text("bare") };
        let fields = BTreeMap::from([("my_shop".to_owned(), Fields::new())]);
        assert!(super::pages(root.path(), std::slice::from_ref(&shop), &BTreeMap::new()).is_err());
        let pages = pages(root.path(), &[bare, shop], &fields).unwrap();
        assert_eq!(pages.len(), 3, "no page without a text");
        assert_eq!(pages[0].0, "docs/connectors/my_shop.md");
        assert!(pages[0].1.ends_with("[all](../../connectors/my-shop/example.json)\n"));
        assert_eq!(pages[1].0, "connectors/my-shop/README.md");
        assert!(pages[1].1.contains("| Key |") && pages[0].1.contains("| Key |"));
        assert!(pages[2].1.ends_with("| [`my_shop`](my_shop.md) | My Shop |\n"), "{}", pages[2].1);
    }
}
