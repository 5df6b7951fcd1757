//! What a field's value means by its type.

use serde_json::{Number, Value};

use super::field::{ConfigField, FieldType};
use crate::lenient::to_whole;

/// A value that cannot be read as its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// What is accepted.
    pub(super) accepted: &'static str,
}

/// Whether a field counts as having no value: null, an empty text, a list of such.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        _ => false,
    }
}

/// The value that counts: the field's own; the default where an optional field has none (connector-api 14.2). Read by
/// the field's type; empty is "" for texts, an empty list for lists, null for others.
pub(super) fn effective(field: &ConfigField) -> Result<Value, Unreadable> {
    let own = if !field.required && is_empty(&field.value) { &field.default_value } else { &field.value };
    coerce(own, field.kind)
}

/// Reads a value as a type.
pub(super) fn coerce(value: &Value, kind: FieldType) -> Result<Value, Unreadable> {
    let empty = matches!(value, Value::Null) || value.as_str() == Some("");
    match kind {
        FieldType::Str if empty => Ok(Value::from("")),
        FieldType::List if empty => Ok(Value::Array(Vec::new())),
        _ if empty => Ok(Value::Null),
        FieldType::Str => Ok(Value::String(text(value))),
        FieldType::List => Ok(Value::Array(list(value))),
        FieldType::Int => whole(value).map(Value::from).ok_or(Unreadable { accepted: "a whole number" }),
        FieldType::Float => float(value)
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or(Unreadable { accepted: "a number" }),
        FieldType::Bool => flag(value).map(Value::Bool).ok_or(Unreadable { accepted: "true or false" }),
    }
}

/// The text of a value: texts as they are, anything else as JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        other => vec![other.clone()],
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        // A fraction is cut off a number, as the reference does; a text with one was meant as something else.
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(to_whole)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_by_the_type_of_their_field() {
        for (value, kind, expected) in [
            (json!(5), FieldType::Str, json!("5")),
            (json!(null), FieldType::Str, json!("")),
            (json!("5"), FieldType::Int, json!(5)),
            (json!(5.7), FieldType::Int, json!(5)),
            (json!(""), FieldType::Int, json!(null)),
            (json!("1.5"), FieldType::Float, json!(1.5)),
            (json!("false"), FieldType::Bool, json!(false)),
            (json!("Yes"), FieldType::Bool, json!(true)),
            (json!(" a, b ,,c"), FieldType::List, json!(["a", "b", "c"])),
            (json!(["a"]), FieldType::List, json!(["a"])),
            (json!(7), FieldType::List, json!([7])),
            (json!(""), FieldType::List, json!([])),
        ] {
            assert_eq!(coerce(&value, kind), Ok(expected), "{value} {kind:?}");
        }
        for (value, kind) in [
            (json!("5.5"), FieldType::Int),
            (json!("abc"), FieldType::Int),
            (json!(1e300), FieldType::Int),
            (json!(true), FieldType::Int),
            (json!("nan"), FieldType::Float),
            (json!("maybe"), FieldType::Bool),
            (json!([1]), FieldType::Bool),
        ] {
            assert!(coerce(&value, kind).is_err(), "{value}");
        }
    }

    #[test]
    fn the_default_counts_only_for_optional_fields_without_a_value() {
        let field = |required, value: Value| ConfigField {
            required,
            value,
            default_value: json!("d"),
            ..ConfigField::default()
        };
        assert_eq!(effective(&field(false, json!(""))), Ok(json!("d")));
        assert_eq!(effective(&field(false, json!("v"))), Ok(json!("v")));
        assert_eq!(effective(&field(true, json!(""))), Ok(json!("")));
    }
}
