//! The tables of configuration fields in the pages of sources, made from what the sources declare.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::cargo;

/// What stands before and after the table in a source's `README.md`.
const BEGIN: &str = "<!-- fields: written by `cargo xtask generate` from src/config.rs -->\n";
const END: &str = "<!-- end of fields -->\n";

/// The fields of one source, by their keys.
pub(crate) type Fields = BTreeMap<String, Field>;

/// What is declared of a field.
#[derive(Debug, Deserialize)]
pub(crate) struct Field {
    label: String,
    #[serde(rename = "type")]
    kind: String,
    order: i64,
    required: bool,
    sensitive: bool,
    default_value: Value,
    value: Value,
    depends_on: Vec<Dependency>,
    options: Vec<Choice>,
    tooltip: Option<String>,
    validations: Vec<Validation>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    field: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Choice {
    label: String,
    value: Value,
}

#[derive(Debug, Deserialize)]
struct Validation {
    #[serde(rename = "type")]
    kind: String,
    constraint: Value,
}

/// The fields of all sources, by service type. The sources are built for it, so they must compile.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, Fields>, String> {
    // As part of the workspace: by itself it would be built with fewer features of its libraries, which takes minutes twice.
    let built = cargo::command(root)
        .args(["build", "--quiet", "--workspace", "--example", "fields"])
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !built.status.success() {
        return Err(format!("the sources do not compile: {}", String::from_utf8_lossy(&built.stderr)));
    }
    let asked = Command::new(cargo::built(root, "debug").join("examples/fields"))
        .output()
        .map_err(|error| format!("the sources cannot be asked: {error}"))?;
    if !asked.status.success() {
        return Err(format!("the sources do not answer: {}", String::from_utf8_lossy(&asked.stderr)));
    }
    serde_json::from_slice(&asked.stdout).map_err(|error| format!("the sources declare odd fields: {error}"))
}

/// A text with the table between its marks; `None` when it has no marks.
pub(crate) fn fill(text: &str, fields: &Fields) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n{END}{after}", table(fields)))
}

fn table(fields: &Fields) -> String {
    let mut rows: Vec<(&String, &Field)> = fields.iter().collect();
    rows.sort_by_key(|(_, field)| field.order);
    let rows = rows.into_iter().map(|(name, field)| {
        let required = if field.is_needed() { "yes" } else { "" };
        let starts = Some(shown(field.start())).filter(|text| !text.is_empty());
        let starts = starts.map_or_else(String::new, |text| format!("`{text}`"));
        format!("| `{name}` | {} | {starts} | {required} | {} |\n", field.kind(), field.meaning())
    });
    let head = "| Key | Type | Starts as | Required | Meaning |\n|---|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>()
}

impl Field {
    fn kind(&self) -> &str {
        match self.kind.as_str() {
            _ if self.sensitive => "secret",
            _ if !self.options.is_empty() => "choice",
            "int" => "number",
            "bool" => "yes or no",
            "list" => "list",
            _ => "text",
        }
    }

    /// What it is where nobody gave a value.
    fn start(&self) -> &Value {
        if self.value.is_null() || self.value == "" { &self.default_value } else { &self.value }
    }

    /// Whether a person has to give a value.
    fn is_needed(&self) -> bool {
        self.required && shown(self.start()).is_empty()
    }

    fn meaning(&self) -> String {
        let mut words = vec![format!("**{}**:", escaped(&self.label))];
        words.extend(self.tooltip.as_deref().map(escaped));
        if !self.options.is_empty() {
            let choice = |choice: &Choice| format!("`{}`: {}", shown(&choice.value), escaped(&choice.label));
            words.push(format!("{}.", self.options.iter().map(choice).collect::<Vec<_>>().join("; ")));
        }
        words.extend(self.range());
        for Dependency { field, value } in &self.depends_on {
            words.push(format!("Counts while `{field}` is `{}`.", shown(value)));
        }
        if words.len() == 1 {
            return format!("**{}**", escaped(&self.label));
        }
        words.join(" ")
    }

    fn range(&self) -> Option<String> {
        let bound = |kind: &str| {
            let found = self.validations.iter().find(|validation| validation.kind == kind);
            found.and_then(|validation| validation.constraint.as_i64())
        };
        match (bound("greater_than").map(|bound| bound + 1), bound("less_than").map(|bound| bound - 1)) {
            (Some(least), Some(most)) => Some(format!("{least} to {most}.")),
            (Some(least), None) => Some(format!("At least {least}.")),
            (None, Some(most)) => Some(format!("At most {most}.")),
            (None, None) => None,
        }
    }
}

/// A value as people write it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// A text that does not end a cell, and whose stars stay stars.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        let common = serde_json::json!({
            "label": "Host", "type": "str", "order": 2, "required": true, "sensitive": false, "default_value": null,
            "value": "", "depends_on": [], "options": [], "tooltip": "a | b.", "validations": [],
        });
        let with = |values: Value| {
            let mut field = common.clone();
            let (Some(field_values), Value::Object(values)) = (field.as_object_mut(), values) else {
                unreachable!()
            };
            field_values.extend(values);
            field
        };
        let all = serde_json::json!({
            "host": common,
            "key": with(serde_json::json!({"order": 1, "sensitive": true, "required": false, "tooltip": null})),
            "size": with(serde_json::json!({
                "order": 3, "type": "int", "default_value": 5, "tooltip": null,
                "validations": [{"type": "greater_than", "constraint": 0}],
                "depends_on": [{"field": "on", "value": true}],
            })),
            "mode": with(serde_json::json!({
                "order": 4, "value": "a", "tooltip": null,
                "options": [{"label": "One", "value": "a"}, {"label": "Two", "value": "b"}],
            })),
        });
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_field_is_a_row_in_its_place() {
        let rows = [
            "| `key` | secret |  |  | **Host** |",
            "| `host` | text |  | yes | **Host**: a \\| b. |",
            "| `size` | number | `5` |  | **Host**: At least 1. Counts while `on` is `yes`. |",
            "| `mode` | choice | `a` |  | **Host**: `a`: One; `b`: Two. |",
        ];
        let table = table(&fields());
        assert_eq!(table.lines().skip(2).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_the_rest_is_kept() {
        let text = format!("# Shop\n\n{BEGIN}old\n{END}\nmore\n");
        let filled = fill(&text, &fields()).unwrap();
        assert!(filled.starts_with("# Shop\n") && filled.ends_with("\nmore\n") && !filled.contains("old"));
        assert_eq!(fill(&filled, &fields()).unwrap(), filled);
        assert!(fill("# Shop\n", &fields()).is_none());
    }
}
