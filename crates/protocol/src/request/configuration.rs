//! Definitions of configuration fields (connector-api 7.2), in the form in which they are stored.

use serde_json::{Map, Value};

use super::fault::{Cause, Fault, Parsed};
use super::json::{Kind, Located};
use super::object::{Shape, Takes, optional, required};

const FIELD: Shape = Shape {
    parser: "connector_configuration",
    strict: false,
    keys: &[
        optional("category", Takes::Text),
        optional("default_value", Takes::Anything),
        optional("depends_on", Takes::Objects),
        optional("display", Takes::Text),
        required("label", Takes::Text),
        optional("options", Takes::Objects),
        optional("order", Takes::Number),
        optional("placeholder", Takes::TextOrNull),
        optional("required", Takes::Flag),
        optional("sensitive", Takes::Flag),
        optional("tooltip", Takes::TextOrNull),
        optional("type", Takes::TextOrNull),
        optional("ui_restrictions", Takes::Texts),
        optional("validations", Takes::Objects),
        optional("value", Takes::Anything),
    ],
};

const DEPENDENCY: Shape = Shape {
    parser: "connector_configuration_dependency",
    strict: false,
    keys: &[required("field", Takes::Text), required("value", Takes::Anything)],
};

const OPTION: Shape = Shape {
    parser: "connector_configuration_select_option",
    strict: false,
    keys: &[required("label", Takes::Text), required("value", Takes::Anything)],
};

const VALIDATION: Shape = Shape {
    parser: "connector_configuration_validation",
    strict: false,
    keys: &[required("constraint", Takes::Anything), required("type", Takes::Text)],
};

const DISPLAYS: [&str; 6] = ["text", "textbox", "textarea", "numeric", "toggle", "dropdown"];
const TYPES: [&str; 4] = ["str", "int", "list", "bool"];
const VALIDATIONS: [&str; 5] = ["less_than", "greater_than", "list_type", "included_in", "regex"];

/// The field definitions of a body.
pub(super) fn fields(object: &Located) -> Parsed<Map<String, Value>> {
    let Kind::Object(members) = &object.kind else { return Ok(Map::new()) };
    members.iter().map(|member| Ok((member.name.clone(), field(&member.value)?))).collect()
}

fn field(object: &Located) -> Parsed<Value> {
    let mut given = Map::new();
    FIELD.read(object, |key, value| {
        let stored = match key {
            "default_value" => {
                scalar(value, &["VALUE_STRING", "VALUE_NUMBER", "VALUE_BOOLEAN", "VALUE_NULL"])?
            }
            "depends_on" => list(value, dependency)?,
            "display" => word(value, "ConfigurationDisplayType", &DISPLAYS)?,
            "options" => list(value, select_option)?,
            "order" => value.int()?.into(),
            "required" | "sensitive" => value.flag()?.into(),
            "type" if value.is_null() => return Ok(()),
            "type" => exact_type(value)?,
            "ui_restrictions" => value.texts()?,
            "validations" => list(value, validation)?,
            "value" => scalar(
                value,
                &["VALUE_STRING", "VALUE_NUMBER", "VALUE_BOOLEAN", "VALUE_NULL", "START_OBJECT"],
            )?,
            // `category`, `label`, `placeholder`, `tooltip`: texts; an explicit null is the same as none.
            _ => match value.text() {
                Some(text) => text.into(),
                None => return Ok(()),
            },
        };
        given.insert(key.to_owned(), stored);
        Ok(())
    })?;
    for (key, default) in DEFAULTS {
        given.entry(key).or_insert(default);
    }
    Ok(in_order(given))
}

/// What is always stored.
const DEFAULTS: [(&str, Value); 4] = [
    ("default_value", Value::Null),
    ("required", Value::Bool(false)),
    ("sensitive", Value::Bool(false)),
    ("value", Value::Null),
];

/// The properties by name, as they are shown.
fn in_order(mut given: Map<String, Value>) -> Value {
    Value::Object(
        FIELD_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), given.remove(*key)?))).collect(),
    )
}

const FIELD_KEYS: [&str; 15] = [
    "category",
    "default_value",
    "depends_on",
    "display",
    "label",
    "options",
    "order",
    "placeholder",
    "required",
    "sensitive",
    "tooltip",
    "type",
    "ui_restrictions",
    "validations",
    "value",
];

/// A stored configuration as a job's snapshot has it: foreign properties are left out, defaults filled in
/// (connector-api 12.1). What does not look like a definition is left out.
pub(crate) fn reread(stored: &Value) -> Value {
    let Value::Object(fields) = stored else { return Value::Object(Map::new()) };
    let read = |definition: &Map<String, Value>| {
        let mut given = definition.clone();
        given.retain(|key, value| !value.is_null() || DEFAULTS.iter().any(|(name, _)| name == key));
        for (key, default) in DEFAULTS {
            let entry = given.entry(key).or_insert(Value::Null);
            if entry.is_null() {
                *entry = default;
            }
        }
        in_order(given)
    };
    Value::Object(
        fields
            .iter()
            .filter_map(|(name, definition)| Some((name.clone(), read(definition.as_object()?))))
            .collect(),
    )
}

fn list(value: &Located, item: fn(&Located) -> Parsed<Value>) -> Parsed<Value> {
    value.items().iter().map(item).collect()
}

/// A value whose first token is one of these.
fn scalar(value: &Located, tokens: &[&str]) -> Parsed<Value> {
    if tokens.contains(&value.token()) {
        return Ok(value.to_value());
    }
    if let Kind::Broken(fault) = &value.kind {
        return Err((**fault).clone());
    }
    let reason = format!("Unsupported token [{}]", value.token());
    Err(Fault::of(value.at, Cause::new("x_content_parse_exception", reason)))
}

/// One of the words, in any letter case; stored in lower case.
pub(super) fn word(value: &Located, type_name: &str, words: &[&str]) -> Parsed<Value> {
    value.word(type_name, |text| {
        let lower = text.to_lowercase();
        words.contains(&lower.as_str()).then_some(Value::String(lower))
    })
}

fn exact_type(value: &Located) -> Parsed<Value> {
    value.word("ConfigurationFieldType", |text| TYPES.contains(&text).then(|| text.into()))
}

fn dependency(object: &Located) -> Parsed<Value> {
    pair(&DEPENDENCY, object, &["VALUE_STRING", "VALUE_NUMBER", "VALUE_BOOLEAN", "VALUE_NULL"])
}

fn select_option(object: &Located) -> Parsed<Value> {
    pair(&OPTION, object, &["VALUE_STRING", "VALUE_NUMBER"])
}

/// A text, and a `value` of one of these kinds.
fn pair(shape: &Shape, object: &Located, tokens: &[&str]) -> Parsed<Value> {
    let mut stored = Map::new();
    shape.read(object, |key, value| {
        let read = if key == "value" { scalar(value, tokens)? } else { value.string()?.into() };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

fn validation(object: &Located) -> Parsed<Value> {
    let mut stored = Map::new();
    VALIDATION.read(object, |key, value| {
        let read = match key {
            "type" => word(value, "ConfigurationValidationType", &VALIDATIONS)?,
            _ => constraint(value)?,
        };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

/// A text, a number, or a list of both.
fn constraint(value: &Located) -> Parsed<Value> {
    let one = ["VALUE_STRING", "VALUE_NUMBER"];
    match &value.kind {
        Kind::Array(items) => items.iter().map(|item| scalar(item, &one)).collect(),
        _ => scalar(value, &one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: &Value) -> Parsed<Value> {
        fields(&Located::parse(body.to_string().as_bytes()).unwrap()).map(Value::Object)
    }

    #[test]
    fn definitions_are_stored_with_defaults_and_without_what_is_unknown() {
        let body = json!({
            "host": {"type": "str", "label": "Host", "display": "TextBox", "validations": [{"type": "REGEX", "constraint": "a.*"}],
                     "tooltip": null, "placeholder": "p", "order": "2", "required": "true", "new_property": 1},
            "mode": {"label": "Mode", "type": null, "options": {"label": "A", "value": 1}, "ui_restrictions": "advanced",
                     "depends_on": [{"field": "host", "value": null, "x": 1}], "default_value": 5, "value": {"a": [1]}},
        });
        let wanted = json!({
            "host": {"default_value": null, "display": "textbox", "label": "Host", "order": 2, "placeholder": "p", "required": true,
                     "sensitive": false, "type": "str", "validations": [{"type": "regex", "constraint": "a.*"}], "value": null},
            "mode": {"default_value": 5, "depends_on": [{"field": "host", "value": null}], "label": "Mode",
                     "options": [{"label": "A", "value": 1}], "required": false, "sensitive": false,
                     "ui_restrictions": ["advanced"], "value": {"a": [1]}},
        });
        assert_eq!(parse(&body).unwrap(), wanted);
    }

    #[test]
    fn a_bad_property_is_named_with_the_cause() {
        let table = [
            (
                json!({"a": 1}),
                "[1:6] [connector_configuration] Expected START_OBJECT but was: VALUE_NUMBER",
                "",
            ),
            (json!({"a": {}}), "Required [label]", ""),
            (
                json!({"a": {"display": "x"}}),
                "[1:17] [connector_configuration] failed to parse field [display]",
                "Unknown ConfigurationDisplayType [x].",
            ),
            (
                json!({"a": {"display": null}}),
                "[1:17] [connector_configuration] display doesn't support values of type: VALUE_NULL",
                "",
            ),
            (
                json!({"a": {"type": "Str"}}),
                "[1:14] [connector_configuration] failed to parse field [type]",
                "Unknown ConfigurationFieldType [Str].",
            ),
            (
                json!({"a": {"value": [1]}}),
                "[1:15] [connector_configuration] failed to parse field [value]",
                "Unsupported token [START_ARRAY]",
            ),
            (
                json!({"a": {"default_value": {}}}),
                "[1:23] [connector_configuration] failed to parse field [default_value]",
                "Unsupported token [START_OBJECT]",
            ),
            (
                json!({"a": {"validations": [{"type": "max", "constraint": 1}]}}),
                "[1:30] [connector_configuration] failed to parse field [validations]",
                "[1:30] [connector_configuration_validation] failed to parse field [type]",
            ),
            (
                json!({"a": {"options": [{"label": "x"}]}}),
                "[1:30] [connector_configuration] failed to parse field [options]",
                "Required [value]",
            ),
        ];
        for (body, reason, inner) in table {
            let cause = *parse(&body).unwrap_err().cause;
            assert_eq!(cause.reason, reason, "{body}");
            assert_eq!(cause.caused_by.map_or(String::new(), |cause| cause.reason), inner, "{body}");
        }
    }

    #[test]
    fn a_snapshot_has_the_known_properties_and_their_defaults() {
        let stored = json!({"a": {"label": "A", "value": [1], "foreign": true, "tooltip": null, "required": null}, "junk": 1});
        let wanted = json!({"a": {"default_value": null, "label": "A", "required": false, "sensitive": false, "value": [1]}});
        assert_eq!(reread(&stored), wanted);
        assert_eq!(reread(&Value::Null), json!({}));
    }
}
