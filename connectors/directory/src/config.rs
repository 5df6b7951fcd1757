use std::path::PathBuf;

use serde_json::Value;
use tributary_sdk::{ConfigField, ConfigValue, SourceConfig};

/// The configuration of the source `dir`.
#[derive(Clone, Debug, SourceConfig)]
pub struct DirectoryConfig {
    /// The folder whose files are listed.
    #[config(
        label = "Directory path",
        tooltip = "The folder to index, on the machine that this service runs on."
    )]
    pub directory: PathBuf,
    /// Which files, relative to the folder.
    #[config(
        label = "File glob-like pattern",
        tooltip = "Which files: * stays within one folder, ** spans any number of folders.",
        value = "**/*.*"
    )]
    pub pattern: String,
    /// Which files and folders not.
    #[config(
        label = "Excluded files and folders",
        tooltip = "Patterns as in a .gitignore file, separated by commas, such as .git, *.tmp, /build/.",
        default = ""
    )]
    pub exclude: Vec<String>,
    /// Whether folders behind links are walked.
    #[config(
        label = "Follow links to folders",
        tooltip = "List the files of folders that links lead to. Links to files are always followed.",
        default = false
    )]
    pub follow_links: bool,
    /// What ids are made of.
    #[config(
        label = "Document ids from",
        tooltip = "With relative paths the folder can be moved without indexing everything again.",
        default = "absolute"
    )]
    pub id_mode: IdMode,
    /// Who extracts the text of files that are no text. The engine reads it.
    #[config(
        label = "Use text extraction service",
        tooltip = "Extract text with the configured extraction service instead of the index's ingest pipeline.",
        default = false
    )]
    pub use_text_extraction_service: bool,
}

/// What a document's id is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdMode {
    /// The whole path, as other implementations of this source do.
    #[default]
    Absolute,
    /// The path below the folder.
    Relative,
}

impl ConfigValue for IdMode {
    fn field() -> ConfigField {
        use tributary_sdk::{Display, SelectOption};
        let option = |value: &str, label: &str| SelectOption { label: label.to_owned(), value: value.into() };
        let options =
            vec![option("absolute", "The whole path"), option("relative", "The path below the folder")];
        ConfigField { display: Display::Dropdown, options, ..String::field() }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("absolute") => Ok(Self::Absolute),
            Some("relative") => Ok(Self::Relative),
            _ => Err("one of absolute, relative".to_owned()),
        }
    }
}
