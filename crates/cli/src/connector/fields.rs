//! Configuration values as the user gives and sees them.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use tributary_protocol::config::{ConfigField, ConfigSchema, FieldType};
use tributary_sdk::Registry;

use crate::error::{CliError, Result};

/// What is shown instead of a sensitive value.
const MASK: &str = "***";

/// Reads `KEY=VALUE` texts; `@FILE` as value stands for the file's content.
pub(crate) fn parse(pairs: &[String]) -> Result<Vec<(String, String)>> {
    pairs.iter().map(|pair| parse_one(pair)).collect()
}

fn parse_one(pair: &str) -> Result<(String, String)> {
    // What is no pair may be a secret that was given without its name: it is not repeated.
    let (key, value) = pair
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or_else(|| CliError::user("a value of --set has no key").hint("write --set KEY=VALUE"))?;
    let value = match value.strip_prefix('@') {
        Some(file) => read(Path::new(file))?.trim_end_matches(['\r', '\n']).to_owned(),
        None => value.to_owned(),
    };
    Ok((key.trim().to_owned(), value))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| {
        CliError::user(format!("file '{}' cannot be read: {error}", file.display()))
            .hint("name a text file you may read")
    })
}

/// Reads a JSON file of values.
pub(crate) fn from_file(file: &Path) -> Result<Map<String, Value>> {
    match json_file(file)? {
        Value::Object(values) => Ok(values),
        _ => Err(CliError::user(format!("file '{}' holds no JSON object", file.display()))
            .hint("expected {\"FIELD\": VALUE, ...}")),
    }
}

/// Reads a JSON file.
pub(crate) fn json_file(file: &Path) -> Result<Value> {
    serde_json::from_str(&read(file)?)
        .map_err(|error| CliError::user(format!("file '{}' is no JSON: {error}", file.display())))
}

/// Puts values into their fields; every unknown field and every value of the wrong kind is told of.
pub(crate) fn apply(
    schema: &mut ConfigSchema,
    pairs: Vec<(String, String)>,
    from_file: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let texts = pairs.into_iter().map(|(name, text)| (name, Value::String(text)));
    let (mut values, mut problems) = (Map::new(), Vec::new());
    for (name, given) in from_file.into_iter().chain(texts) {
        let known = names(schema);
        match schema.get_mut(&name) {
            None => problems.push(format!("there is no field '{name}'; the fields are {known}")),
            Some(field) => match typed(field, given) {
                Ok(value) => {
                    field.value = value.clone();
                    values.insert(name, value);
                }
                Err(expected) => problems.push(format!("field '{name}' {expected}")),
            },
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(CliError::all(problems)) }
}

fn names(schema: &ConfigSchema) -> String {
    let names: Vec<&str> = schema.iter().map(|(name, _)| name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A value in the kind of its field.
fn typed(field: &ConfigField, given: Value) -> Result<Value, String> {
    let shown = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if field.sensitive { MASK.to_owned() } else { text }
    };
    let refused = |expected: &str| Err(format!("is '{}', {expected}", shown(&given)));
    let text = match &given {
        Value::String(text) => text.trim(),
        Value::Array(items) if field.kind == FieldType::List => return Ok(Value::String(joined(items))),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return refused("expected a text, a number, true or false");
        }
        _ => return Ok(given),
    };
    match field.kind {
        FieldType::Bool => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true.into()),
            "false" | "no" | "off" => Ok(false.into()),
            _ => refused("expected true or false"),
        },
        FieldType::Int => {
            text.parse::<i64>().map(Value::from).or_else(|_| refused("expected a whole number"))
        }
        FieldType::Float => text.parse::<f64>().map(Value::from).or_else(|_| refused("expected a number")),
        FieldType::Str | FieldType::List => Ok(given),
    }
}

/// A list as the protocol's documents hold it.
fn joined(items: &[Value]) -> String {
    items.iter().map(crate::source::plain).collect::<Vec<_>>().join(", ")
}

/// What keeps the values from working, one line each.
pub(crate) fn problems(schema: &ConfigSchema) -> Vec<String> {
    schema.check().iter().map(|problem| format!("field '{}': {problem}", problem.field)).collect()
}

/// The schema without its sensitive values. What is sensitive is also asked of the source's own schema: a connector's
/// document may hold bare values.
pub(crate) fn masked(schema: &ConfigSchema, service_type: Option<&str>) -> ConfigSchema {
    let registry: Registry = tributary_connectors::registry();
    let declared =
        service_type.and_then(|name| registry.get(name)).map(|kind| kind.schema()).unwrap_or_default();
    let mut shown = ConfigSchema::new();
    for (name, field) in schema.iter() {
        let mut field = field.clone();
        let sensitive = field.sensitive || declared.get(name).is_some_and(|declared| declared.sensitive);
        if sensitive {
            hide(&mut field.value);
            hide(&mut field.default_value);
        } else if let (Some(password), Some(text)) = (field.password_in_address(), field.value.as_str()) {
            field.value = text.replace(&format!(":{password}@"), &format!(":{MASK}@")).into();
        }
        shown.insert(name.to_owned(), field);
    }
    shown
}

fn hide(value: &mut Value) {
    if !value.is_null() && value.as_str() != Some("") {
        *value = Value::String(MASK.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> ConfigSchema {
        let field = |kind, sensitive| ConfigField {
            kind,
            sensitive,
            label: "L".to_owned(),
            ..ConfigField::default()
        };
        let mut schema = ConfigSchema::new();
        schema.insert("port".to_owned(), field(FieldType::Int, false));
        schema.insert("password".to_owned(), field(FieldType::Str, true));
        schema.insert("tls".to_owned(), field(FieldType::Bool, false));
        schema.insert("tables".to_owned(), field(FieldType::List, false));
        schema
    }

    fn set(pairs: &[&str]) -> Result<Map<String, Value>> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        apply(&mut schema(), parse(&pairs)?, Map::new())
    }

    #[test]
    fn values_get_the_kind_of_their_field() {
        let values = set(&["port=5432", "tls=Yes", "tables=a, b", "password=a=b"]).unwrap();
        assert_eq!(
            Value::Object(values),
            serde_json::json!({"port": 5432, "tls": true, "tables": "a, b", "password": "a=b"})
        );
    }

    #[test]
    fn every_bad_value_is_told_of_at_once_and_no_secret_is_repeated() {
        let error = set(&["port=many", "ports=1", "tls=maybe"]).unwrap_err();
        assert_eq!(error.lines().len(), 3);
        let error = set(&["hunter2"]).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_masked_schema_holds_no_secret() {
        let mut schema = schema();
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let pairs = vec![set("password", "hunter2"), set("tables", "mongodb://ann:hunter2@host/?a=b")];
        apply(&mut schema, pairs, Map::new()).unwrap();
        let shown = serde_json::to_string(&masked(&schema, None)).unwrap();
        assert!(!shown.contains("hunter2") && shown.contains("mongodb://ann:***@host/?a=b"), "{shown}");
    }
}
