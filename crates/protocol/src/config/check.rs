use std::fmt;

use regex::Regex;
use serde_json::Value;

use super::field::{ConfigField, FieldType, Validation, ValidationKind};
use super::schema::ConfigSchema;
use super::value::{Unreadable, coerce, effective, is_empty, text};

/// What is wrong with a field's value. Never shows the value of a sensitive field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Name of the field.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ConfigSchema {
    /// The value that counts for a field: its own or, where an optional field has none, the default, read by the
    /// field's type. `None` when there is no such field or the value cannot be read as its type.
    #[must_use]
    pub fn effective(&self, name: &str) -> Option<Value> {
        effective(self.get(name)?).ok()
    }

    /// Whether a field counts: all fields it depends on have the values it wants.
    #[must_use]
    pub fn is_active(&self, name: &str) -> bool {
        let Some(field) = self.get(name) else { return false };
        field.depends_on.iter().all(|wanted| {
            let Some(other) = self.get(&wanted.field) else { return false };
            let is = effective(other);
            is.is_ok() && is == coerce(&wanted.value, other.kind)
        })
    }

    /// Everything that is wrong with the values, in the order of the fields (connector-api 14.2).
    #[must_use]
    pub fn check(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for (name, field) in self.iter() {
            let mut tell = |message: String| problems.push(ConfigProblem { field: name.to_owned(), message });
            let label = field.label_or(name);
            let unknown: Vec<_> = field.depends_on.iter().filter(|d| self.get(&d.field).is_none()).collect();
            for dependency in &unknown {
                tell(format!(
                    "'{label}' depends on configuration '{}', but it does not exist.",
                    dependency.field
                ));
            }
            if unknown.is_empty() && self.is_active(name) {
                check_field(label, field, &mut tell);
            }
        }
        problems
    }
}

fn check_field(label: &str, field: &ConfigField, tell: &mut impl FnMut(String)) {
    let value = match effective(field) {
        Ok(value) => value,
        Err(Unreadable { accepted }) => {
            let shown = Shown { field, value: &field.value };
            return tell(format!("'{label}' value {shown} should be {accepted}."));
        }
    };
    if is_empty(&value) {
        if field.required {
            tell(format!("'{label}' cannot be empty."));
        }
        return;
    }
    for validation in &field.validations {
        if let Some(message) = fault(label, field, &value, validation) {
            tell(message);
        }
    }
}

/// A value as messages show it.
struct Shown<'a> {
    field: &'a ConfigField,
    value: &'a Value,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.sensitive { f.write_str("'***'") } else { write!(f, "'{}'", text(self.value)) }
    }
}

fn fault(label: &str, field: &ConfigField, value: &Value, validation: &Validation) -> Option<String> {
    let Validation { kind, constraint } = validation;
    let shown = Shown { field, value };
    let bound = text(constraint);
    match kind {
        ValidationKind::LessThan => (!compare(value, constraint, |v, c| v < c))
            .then(|| format!("'{label}' value {shown} should be less than {bound}.")),
        ValidationKind::GreaterThan => (!compare(value, constraint, |v, c| v > c))
            .then(|| format!("'{label}' value {shown} should be greater than {bound}.")),
        ValidationKind::ListType => list_type(label, field, value, &bound),
        ValidationKind::IncludedIn => included_in(label, field, value, constraint),
        ValidationKind::Regex => regex(label, field, value, &bound),
        ValidationKind::Other(_) => None,
    }
}

fn compare(value: &Value, constraint: &Value, test: fn(f64, f64) -> bool) -> bool {
    let number = |value: &Value| coerce(value, FieldType::Float).ok().and_then(|value| value.as_f64());
    match (number(value), number(constraint)) {
        (Some(value), Some(constraint)) => test(value, constraint),
        _ => false,
    }
}

fn list_type(label: &str, field: &ConfigField, value: &Value, item_type: &str) -> Option<String> {
    let Value::Array(items) = value else {
        let shown = Shown { field, value };
        return Some(format!("Cannot list_type validate '{label}' because its value {shown} is not a list."));
    };
    let kind = if item_type == "int" { FieldType::Int } else { FieldType::Str };
    let bad = items.iter().find(|item| match kind {
        // The items of a list are texts where it was written as one text.
        FieldType::Int => coerce(item, kind).is_err(),
        _ => !item.is_string(),
    })?;
    let shown = Shown { field, value: bad };
    Some(format!("'{label}' list value {shown} should be of type {item_type}."))
}

fn included_in(label: &str, field: &ConfigField, value: &Value, constraint: &Value) -> Option<String> {
    let allowed = constraint.as_array().map_or_else(|| std::slice::from_ref(constraint), Vec::as_slice);
    let items = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    // A text that was split from a list stands for the number it spells.
    let is_allowed =
        |item: &Value| allowed.iter().any(|allowed| allowed == item || text(allowed) == text(item));
    let bad = items.iter().find(|item| !is_allowed(item))?;
    let list: Vec<String> = allowed.iter().map(text).collect();
    let shown = Shown { field, value: bad };
    Some(format!("'{label}' list value {shown} should be one of {}.", list.join(", ")))
}

fn regex(label: &str, field: &ConfigField, value: &Value, pattern: &str) -> Option<String> {
    let shown = Shown { field, value };
    let Value::String(text) = value else {
        return Some(format!("Cannot regex validate '{label}' because {shown} is not a string."));
    };
    // By itself first: `a)|(b` is one only with the parentheses around it.
    match Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$"))) {
        Ok(regex) if regex.is_match(text) => None,
        Ok(_) => Some(format!("'{label}' value {shown} failed regex check {pattern}.")),
        Err(_) => {
            Some(format!("'{label}' cannot be checked: its pattern {pattern} is not a regular expression."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn messages(configuration: Value) -> Vec<String> {
        let schema: ConfigSchema = serde_json::from_value(configuration).unwrap();
        schema.check().into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn messages_are_those_of_the_reference_and_come_all_at_once() {
        let validated = |kind: &str, constraint: Value, value: Value, of: &str| json!({"label": "F", "type": of, "value": value, "validations": [{"type": kind, "constraint": constraint}]});
        assert_eq!(
            messages(json!({
                "a": {"label": "A", "value": ""},
                "b": validated("less_than", json!(5), json!("7"), "int"),
                "c": validated("greater_than", json!(5), json!(5), "int"),
                "d": validated("list_type", json!("int"), json!("1,x"), "list"),
                "e": validated("included_in", json!(["x", "y"]), json!("x,z"), "list"),
                "f": validated("regex", json!("https://.*"), json!("http://a"), "str"),
                "g": {"label": "G", "value": "v", "depends_on": [{"field": "nope", "value": true}]},
                "h": {"label": "H", "type": "int", "value": "many"},
                "i": {"label": "I", "type": "int", "value": "", "required": false, "validations": [{"type": "less_than", "constraint": 3}]},
            })),
            [
                "'A' cannot be empty.",
                "'F' value '7' should be less than 5.",
                "'F' value '5' should be greater than 5.",
                "'F' list value 'x' should be of type int.",
                "'F' list value 'z' should be one of x, y.",
                "'F' value 'http://a' failed regex check https://.*.",
                "'G' depends on configuration 'nope', but it does not exist.",
                "'H' value 'many' should be a whole number.",
            ]
        );
    }

    #[test]
    fn a_field_whose_condition_does_not_hold_is_not_checked() {
        let with = |tls: Value| {
            messages(json!({
                "tls": {"label": "TLS", "type": "bool", "value": tls},
                "ca": {"label": "CA", "value": "", "depends_on": [{"field": "tls", "value": true}]},
            }))
        };
        assert_eq!(with(json!("false")), Vec::<String>::new());
        assert_eq!(with(json!("true")), ["'CA' cannot be empty."]);
    }

    #[test]
    fn a_sensitive_value_is_never_shown() {
        let shown = messages(
            json!({"t": {"label": "T", "sensitive": true, "value": "hunter2", "type": "int"},
            "u": {"label": "U", "sensitive": true, "value": "hunter2", "validations": [
                {"type": "regex", "constraint": "x"}, {"type": "included_in", "constraint": ["y"]}, {"type": "less_than", "constraint": 1}]}}),
        );
        assert_eq!(shown.len(), 4);
        assert!(!shown.concat().contains("hunter2"), "{shown:?}");
    }

    proptest! {
        #[test]
        fn no_configuration_makes_the_check_panic(value in "[a-z0-9,.\\-()*+ ]{0,8}", constraint in "[a-z0-9,.()*+\\[]{0,6}", kind in 0..5_usize, of in 0..5_usize) {
            let kinds = ["less_than", "greater_than", "list_type", "included_in", "regex"];
            let types = ["str", "int", "float", "list", "bool"];
            let _ = messages(json!({"f": {"label": "F", "type": types[of], "value": value,
                "validations": [{"type": kinds[kind], "constraint": constraint}]}}));
        }
    }
}
