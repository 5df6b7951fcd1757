//! Filtering: rules, snippets and the outcome of their validation (connector-api 8.1), in the form in which they are stored.

use serde_json::{Map, Value, json};

use super::configuration::word;
use super::fault::Parsed;
use super::json::Located;
use super::object::{Shape, Takes, optional, required};
use crate::Time;
use crate::time;

const FILTERING: Shape = Shape {
    parser: "connector_filtering",
    strict: false,
    keys: &[required("active", Takes::Object), required("draft", Takes::Object)],
};

const RULES: Shape = Shape {
    parser: "connector_filtering_rules",
    strict: false,
    keys: &[
        required("advanced_snippet", Takes::Object),
        required("rules", Takes::Objects),
        required("validation", Takes::Object),
    ],
};

const RULE: Shape = Shape {
    parser: "connector_filtering_rule",
    strict: false,
    keys: &[
        optional("created_at", Takes::Text),
        required("field", Takes::Text),
        required("id", Takes::Text),
        required("order", Takes::Number),
        required("policy", Takes::Text),
        required("rule", Takes::Text),
        optional("updated_at", Takes::Text),
        required("value", Takes::Text),
    ],
};

const SNIPPET: Shape = Shape {
    parser: "connector_filtering_advanced_snippet",
    strict: false,
    keys: &[
        optional("created_at", Takes::Text),
        optional("updated_at", Takes::Text),
        required("value", Takes::ObjectOrArray),
    ],
};

const VALIDATION: Shape = Shape {
    parser: "filtering_validation_info",
    strict: false,
    keys: &[required("errors", Takes::Objects), required("state", Takes::Text)],
};

const VALIDATION_ERROR: Shape = Shape {
    parser: "connector_filtering_validation",
    strict: false,
    keys: &[required("ids", Takes::Texts), required("messages", Takes::Texts)],
};

const POLICIES: [&str; 2] = ["exclude", "include"];
const CONDITIONS: [&str; 7] = ["contains", "ends_with", "equals", ">", "<", "regex", "starts_with"];
const STATES: [&str; 3] = ["edited", "invalid", "valid"];

/// The array `filtering`. Whatever `domain` is sent, `DEFAULT` is stored.
pub(super) fn list(value: &Located, now: Time) -> Parsed<Value> {
    value.items().iter().map(|item| one(item, now)).collect()
}

fn one(object: &Located, now: Time) -> Parsed<Value> {
    let (mut active, mut draft) = (Value::Null, Value::Null);
    FILTERING.read(object, |key, value| {
        let side = if key == "active" { &mut active } else { &mut draft };
        *side = block(value, now)?;
        Ok(())
    })?;
    Ok(json!({"active": active, "domain": "DEFAULT", "draft": draft}))
}

fn block(object: &Located, now: Time) -> Parsed<Value> {
    let mut stored = Map::new();
    RULES.read(object, |key, value| {
        let read = match key {
            "advanced_snippet" => snippet(value, now)?,
            "rules" => Value::Array(rules(value, now)?),
            _ => validation(value)?,
        };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

/// Rules as they were sent, with times.
pub(super) fn rules(value: &Located, now: Time) -> Parsed<Vec<Value>> {
    value.items().iter().map(|item| rule(item, now)).collect()
}

fn rule(object: &Located, now: Time) -> Parsed<Value> {
    let mut stored = timed(now);
    RULE.read(object, |key, value| {
        let read = match key {
            "created_at" | "updated_at" => value.instant()?,
            "order" => value.int()?.into(),
            "policy" => word(value, "FilteringPolicy", &POLICIES)?,
            "rule" => value.word("FilteringRuleCondition", |text| {
                CONDITIONS.contains(&text).then(|| Value::from(text))
            })?,
            _ => value.string()?.into(),
        };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

/// An advanced snippet, with times.
pub(super) fn snippet(object: &Located, now: Time) -> Parsed<Value> {
    let mut stored = timed(now);
    SNIPPET.read(object, |key, value| {
        let read = if key == "value" { value.to_value() } else { value.instant()? };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

fn timed(now: Time) -> Map<String, Value> {
    let now = Value::String(time::format(now));
    Map::from_iter([("created_at".to_owned(), now.clone()), ("updated_at".to_owned(), now)])
}

/// The outcome of a validation.
pub(super) fn validation(object: &Located) -> Parsed<Value> {
    let (mut errors, mut state) = (Value::Null, Value::Null);
    VALIDATION.read(object, |key, value| {
        match key {
            "errors" => errors = value.items().iter().map(validation_error).collect::<Parsed<Value>>()?,
            _ => state = word(value, "FilteringValidationState", &STATES)?,
        }
        Ok(())
    })?;
    Ok(json!({"errors": errors, "state": state}))
}

fn validation_error(object: &Located) -> Parsed<Value> {
    let mut stored = Map::new();
    VALIDATION_ERROR.read(object, |key, value| {
        stored.insert(key.to_owned(), value.texts()?);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::fault::Cause;

    fn now() -> Time {
        Time::from_timestamp_millis(0).unwrap()
    }

    fn read<T>(body: &Value, parse: impl Fn(&Located) -> Parsed<T>) -> Result<T, Cause> {
        parse(&Located::parse(body.to_string().as_bytes()).unwrap()).map_err(|fault| *fault.cause)
    }

    #[test]
    fn rules_get_the_present_time_where_none_was_sent() {
        let sent = json!({"id": "r", "field": "f", "order": 3, "policy": "EXCLUDE", "rule": ">", "value": "5",
                          "created_at": "2020-01-01T00:00:00Z", "junk": 1});
        let stored = json!([{"created_at": "2020-01-01T00:00:00.000Z", "updated_at": "1970-01-01T00:00:00.000Z", "id": "r", "field": "f",
                            "order": 3, "policy": "exclude", "rule": ">", "value": "5"}]);
        assert_eq!(Value::Array(read(&sent, |value| rules(value, now())).unwrap()), stored);
    }

    #[test]
    fn words_and_kinds_are_checked() {
        let rule_with = |key: &str, value: Value| {
            let mut rule = json!({"id": "r", "field": "f", "order": 3, "policy": "include", "rule": "equals", "value": "5"});
            rule[key] = value;
            rule
        };
        let table = [
            (
                rule_with("policy", json!("drop")),
                "failed to parse field [policy]",
                "Unknown FilteringPolicy [drop].",
            ),
            (
                rule_with("rule", json!("Equals")),
                "failed to parse field [rule]",
                "Unknown FilteringRuleCondition [Equals].",
            ),
            (rule_with("value", json!(5)), "value doesn't support values of type: VALUE_NUMBER", ""),
            (
                rule_with("created_at", Value::Null),
                "created_at doesn't support values of type: VALUE_NULL",
                "",
            ),
            (json!({"id": "r"}), "Required [field, order, policy, rule, value]", ""),
        ];
        for (body, reason, inner) in table {
            let cause = read(&body, |value| rules(value, now())).unwrap_err();
            assert!(cause.reason.ends_with(reason), "{body}: {cause:?}");
            assert_eq!(cause.caused_by.map_or(String::new(), |cause| cause.reason), inner, "{body}");
        }
        let cause = read(&json!({"value": "x"}), |value| snippet(value, now())).unwrap_err();
        assert!(cause.reason.ends_with("value doesn't support values of type: VALUE_STRING"), "{cause:?}");
        let cause = read(&json!({"state": "done", "errors": []}), validation).unwrap_err();
        assert_eq!(cause.caused_by.unwrap().reason, "Unknown FilteringValidationState [done].");
    }

    #[test]
    fn the_domain_is_always_the_default_one() {
        let block = json!({"advanced_snippet": {"value": {}}, "rules": [], "validation": {"state": "Valid", "errors": []}});
        let stored =
            read(&json!([{"domain": "other", "active": block, "draft": block}]), |value| list(value, now()))
                .unwrap();
        assert_eq!(stored[0]["domain"], "DEFAULT");
        assert_eq!(stored[0]["draft"]["validation"], json!({"errors": [], "state": "valid"}));
        assert_eq!(stored[0]["active"]["advanced_snippet"]["created_at"], "1970-01-01T00:00:00.000Z");
    }
}
