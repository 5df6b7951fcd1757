//! Advanced sync rules: which keys of which databases.

use serde_json::{Map, Value};

use crate::keys::Target;

/// Reads rules; `None` when there are none.
///
/// # Errors
/// One message for each fault.
pub(crate) fn targets(rules: &Value) -> Result<Option<Vec<Target>>, Vec<String>> {
    let items = match rules {
        Value::Null => return Ok(None),
        Value::Object(members) if members.is_empty() => return Ok(None),
        Value::Array(items) if items.is_empty() => return Ok(None),
        Value::Array(items) => items,
        _ => return Err(vec!["data must be array".to_owned()]),
    };
    let mut faults = Vec::new();
    let read = |(place, rule): (usize, &Value)| target(&format!("data[{place}]"), rule, &mut faults);
    let targets: Vec<Target> = items.iter().enumerate().filter_map(read).collect();
    if faults.is_empty() { Ok(Some(targets)) } else { Err(faults) }
}

fn target(place: &str, rule: &Value, faults: &mut Vec<String>) -> Option<Target> {
    let Some(rule) = rule.as_object() else {
        faults.push(format!("{place} must be object"));
        return None;
    };
    for name in rule.keys().filter(|name| !["database", "key_pattern", "type"].contains(&name.as_str())) {
        faults.push(format!(
            "{place} must not contain {{'{name}'}} properties; accepted are database, key_pattern, type"
        ));
    }
    let database = database(place, rule, faults);
    let pattern = text(place, rule, "key_pattern", faults);
    let kind = text(place, rule, "type", faults);
    if !rule.contains_key("key_pattern") && !rule.contains_key("type") {
        faults.push(format!("{place} must contain at least one of ['key_pattern', 'type'] properties"));
    }
    let database = database?;
    Some(Target { database, name: Value::from(database), pattern, kind })
}

fn database(place: &str, rule: &Map<String, Value>, faults: &mut Vec<String>) -> Option<u32> {
    let fault = match rule.get("database") {
        None => format!("{place} must contain ['database'] properties"),
        Some(value) => match value.as_i64() {
            None => format!("{place}.database must be integer"),
            Some(number) => match u32::try_from(number) {
                Ok(number) => return Some(number),
                Err(_) if number < 0 => format!("{place}.database must be bigger than or equal to 0"),
                Err(_) => format!("{place}.database must be smaller than or equal to {}", u32::MAX),
            },
        },
    };
    faults.push(fault);
    None
}

fn text(place: &str, rule: &Map<String, Value>, name: &str, faults: &mut Vec<String>) -> Option<String> {
    match rule.get(name)? {
        Value::String(text) if !text.is_empty() => return Some(text.clone()),
        Value::String(_) => {
            faults.push(format!("{place}.{name} must be longer than or equal to 1 characters"));
        }
        _ => faults.push(format!("{place}.{name} must be string")),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_say_which_keys_of_which_databases() {
        let rules = json!([{"database": 0, "key_pattern": "user_*"}, {"database": 2, "type": "hash"}]);
        let targets = targets(&rules).unwrap().unwrap();
        let told: Vec<_> =
            targets.iter().map(|t| (t.database, t.pattern.as_deref(), t.kind.as_deref())).collect();
        assert_eq!(told, [(0, Some("user_*"), None), (2, None, Some("hash"))]);
    }

    #[test]
    fn no_rules_are_no_rules() {
        for rules in [json!(null), json!([]), json!({})] {
            assert_eq!(targets(&rules), Ok(None));
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let faults = |rules: Value| targets(&rules).unwrap_err().join("; ");
        assert_eq!(faults(json!({"database": 0})), "data must be array");
        for (rule, expected) in [
            (json!(1), "data[0] must be object"),
            (json!({"key_pattern": "a"}), "data[0] must contain ['database'] properties"),
            (json!({"database": "0", "type": "set"}), "data[0].database must be integer"),
            (json!({"database": -1, "type": "set"}), "data[0].database must be bigger than or equal to 0"),
            (
                json!({"database": 0}),
                "data[0] must contain at least one of ['key_pattern', 'type'] properties",
            ),
            (
                json!({"database": 0, "key_pattern": ""}),
                "data[0].key_pattern must be longer than or equal to 1 characters",
            ),
            (json!({"database": 0, "type": 5}), "data[0].type must be string"),
            (
                json!({"database": 0, "type": "set", "x": 1}),
                "data[0] must not contain {'x'} properties; accepted are database, key_pattern, type",
            ),
        ] {
            assert_eq!(faults(json!([rule])), expected);
        }
    }
}
