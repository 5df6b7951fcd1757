//! What the table of keys says, for people: the example file and the reference page.

use std::fmt::Write;

use crate::keys::{self, Key, Origin};
use crate::kind::Kind;

const EXAMPLE_HEAD: &str = "\
# Configuration of Tributary. Generated from the table of keys: do not edit config.example.yml, copy it.
#
# Every key is here with its default, or with an example where there is none; remove the # to set it. Dotted and nested
# keys mean the same. Values may hold ${VARIABLE} and ${VARIABLE|default}; $$ is a $. Time spans are numbers of
# seconds or texts such as 250ms, 30s, 5m; sizes are numbers in the unit given or texts such as 512kb, 3mb.
# Secrets can be kept in files: elasticsearch.password_file: /run/secrets/password.
# Environment variables go before this file: TRIBUTARY_ELASTICSEARCH__HOST sets elasticsearch.host.
";

const REFERENCE_HEAD: &str = "\
<!-- Generated from the table of keys in crates/settings by `cargo xtask generate`. Do not edit. -->
# Configuration

Tributary reads a YAML file (`tributary run -c config.yml`). Without one, defaults apply and the embedded node is used.
`tributary check -c config.yml` reports every problem at once. Every key of the Python
connector service's file is accepted with the same meaning.

- **Layers**, the later winning: defaults; environment variables literally named like a key, such as
  `elasticsearch.host`; the file; environment variables `TRIBUTARY_…`; flags.
- **Keys** may be dotted, nested or both. Unknown keys are errors. A key given as null or as an empty text counts as not
  given.
- **Environment**: `TRIBUTARY_ELASTICSEARCH__BULK__CHUNK_SIZE` sets `elasticsearch.bulk.chunk_size`: two underscores begin a
  level. `TRIBUTARY__POLL_INTERVAL` is short for `TRIBUTARY_TRIBUTARY__POLL_INTERVAL`. Lists are split at commas or
  written as YAML (`[a, b]`).
- **Variables**: values of the file may hold `${NAME}` or `${NAME|default}`. `$$` is a `$`; any other `$` stays. A variable
  that is not set and has no default is an error.
- **Secrets** (🔒) may be kept in files: `elasticsearch.password_file: /run/secrets/password`. They never show in logs or
  errors.
- **Time spans** are numbers of seconds or texts with `ms`, `s`, `m`, `h`, `d`. **Sizes** are numbers in the unit
  shown or texts with `b`, `kb`, `mb`, `gb` (powers of 1024).
- **Reload**: on SIGHUP a running daemon reads the file and its secrets again and says in the log what changed. Keys that
  need a restart keep their former value until then. A file that is broken changes nothing.
- Keys under `tributary` are Tributary's own; the others are those of the Python service.
";

/// The sections in the order in which they are shown: prefix, heading.
const SECTIONS: [(&str, &str); 7] = [
    ("", "Connectors"),
    ("elasticsearch.", "Elasticsearch"),
    ("elasticsearch.bulk.", "Bulk writing"),
    ("service.", "Service"),
    ("extraction_service.", "Data extraction service"),
    ("sources", "Sources"),
    ("tributary.", "Tributary"),
];

/// `config.example.yml`: every key commented out, with its default and a line of explanation.
#[must_use]
pub fn example_yaml() -> String {
    let mut out = EXAMPLE_HEAD.to_owned();
    for (section, heading) in SECTIONS {
        let _ = write!(out, "\n# ---- {heading} ----\n");
        for key in keys_of(section) {
            let _ = write!(out, "\n# {}{}\n", key.doc, no_effect(key));
            if key.kind == Kind::Connectors {
                connector_example(&mut out);
            } else {
                let _ = writeln!(out, "#{}: {}", key.path, key.example);
            }
        }
    }
    out
}

fn connector_example(out: &mut String) {
    out.push_str("#connectors:\n");
    for (n, key) in keys::connector_keys().iter().enumerate() {
        let bullet = if n == 0 { "- " } else { "  " };
        let _ = writeln!(out, "#{bullet}{}: {}  # {}", key.path, key.example, key.doc);
    }
}

/// `docs/configuration.md`: a table for each section.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = REFERENCE_HEAD.to_owned();
    for (section, heading) in SECTIONS {
        let _ = write!(out, "\n## {heading}\n\n| Key | Takes | Default | Meaning |\n|---|---|---|---|\n");
        for key in keys_of(section) {
            row(&mut out, key.path, key);
            if key.kind == Kind::Connectors {
                for inner in keys::connector_keys() {
                    row(&mut out, &format!("connectors[].{}", inner.path), inner);
                }
            }
        }
    }
    out
}

fn row(out: &mut String, path: &str, key: &Key) {
    let lock = if key.secret { " 🔒" } else { "" };
    let default = key.default.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
    let _ =
        writeln!(out, "| `{path}`{lock} | {} | {default} | {}{} |", key.kind.name(), key.doc, no_effect(key));
}

fn no_effect(key: &Key) -> String {
    if key.restart {
        return " A change needs a restart.".to_owned();
    }
    match (key.inert, key.origin) {
        (Some(why), Origin::Python) => format!(" Accepted without effect: {why}."),
        (Some(why), Origin::Tributary) => format!(" Without effect: {why}."),
        (None, _) => String::new(),
    }
}

/// The keys of a section: those with the longest of the prefixes that fit.
fn keys_of(section: &'static str) -> impl Iterator<Item = &'static Key> {
    keys::keys().iter().filter(move |key| section_of(key.path) == section)
}

fn section_of(path: &str) -> &'static str {
    // What is left of the time before `service.worker_mode` belongs to the sources.
    if matches!(path, "native_service_types" | "_force_allow_native") {
        return "sources";
    }
    let fitting = SECTIONS.iter().map(|(prefix, _)| *prefix).filter(|prefix| path.starts_with(prefix));
    fitting.max_by_key(|prefix| prefix.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// What a reader does: remove the `#` before keys.
    fn uncommented(example: &str) -> String {
        let lines = example.lines().filter_map(|line| {
            let rest = line.strip_prefix('#')?;
            (!rest.starts_with(' ') || rest.starts_with("  ")).then_some(rest)
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_example_holds_every_key_and_reads_once_its_lines_are_uncommented() {
        let example = example_yaml();
        assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')), "all is commented out");
        let text = uncommented(&example);
        for key in keys::keys() {
            assert!(text.contains(&format!("{}:", key.path)), "{} is missing", key.path);
        }
        let settings = Settings::from_yaml_str(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(settings.connectors.len(), 1);
    }

    #[test]
    fn the_reference_explains_every_key() {
        let reference = reference_markdown();
        for key in keys::keys() {
            assert!(reference.contains(&format!("| `{}`", key.path)), "{} is missing", key.path);
        }
    }
}
