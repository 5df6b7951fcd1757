use std::collections::HashMap;

use serde_json::Value;

use super::evaluate::pattern;
use super::rules::{DEFAULT_RULE, FilteringValidation, ValidationError, ValidationState};
use crate::lenient::whole_number;

/// Length from which an id is shortened in messages.
const LONG_ID: usize = 32;

/// Checks basic rules (connector-api 14.3, sync-runtime 8.4). Takes the array of rules or an object with one under
/// `rules`, as JSON, so that rules which cannot even be read are told like any other fault. A regular expression that
/// cannot be used is a fault too.
#[must_use]
pub fn validate(rules: &Value) -> FilteringValidation {
    let list = if rules.is_object() { &rules["rules"] } else { rules };
    let mut errors = Vec::new();
    let rules = match list {
        Value::Array(rules) => rules.as_slice(),
        Value::Null => &[],
        _ => {
            errors.push(ValidationError { ids: Vec::new(), messages: vec!["data must be array".to_owned()] });
            &[]
        }
    };
    for rule in rules {
        let mut messages = schema(rule);
        messages.extend(expression(rule));
        if !messages.is_empty() {
            errors.push(ValidationError { ids: vec![id(rule)], messages });
        }
    }
    errors.extend(duplicates(rules));
    let state = if errors.is_empty() { ValidationState::Valid } else { ValidationState::Invalid };
    FilteringValidation { errors, state }
}

fn id(rule: &Value) -> String {
    rule.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn schema(rule: &Value) -> Vec<String> {
    let Some(members) = rule.as_object() else { return vec!["data must be object".to_owned()] };
    let mut messages = Vec::new();
    for name in ["id", "field", "value"] {
        match members.get(name) {
            None => messages.push(format!("data must contain '{name}' property")),
            Some(Value::String(text)) if text.is_empty() => {
                messages.push(format!("data.{name} must be longer than or equal to 1 characters"));
            }
            Some(Value::String(_)) => {}
            Some(_) => messages.push(format!("data.{name} must be string")),
        }
    }
    for (name, accepted) in [
        ("policy", &["include", "exclude"][..]),
        ("rule", &["contains", "ends_with", "equals", ">", "<", "regex", "starts_with"][..]),
    ] {
        let known = |word: &str| accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(word));
        match members.get(name) {
            None => messages.push(format!("data must contain '{name}' property")),
            Some(Value::String(word)) if known(word) => {}
            Some(_) => messages.push(format!("data.{name} must be one of {}", accepted.join(", "))),
        }
    }
    match members.get("order") {
        None => messages.push("data must contain 'order' property".to_owned()),
        Some(Value::Number(order)) if whole_number(order).is_some() => {}
        // The place of a rule can be nothing else, so it could not be read.
        Some(Value::Number(_)) => messages.push("data.order must be a whole number".to_owned()),
        Some(_) => messages.push("data.order must be number".to_owned()),
    }
    messages
}

/// What is wrong with a regular expression, apart from the default rule's.
fn expression(rule: &Value) -> Option<String> {
    let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("id") == DEFAULT_RULE || !text("rule").eq_ignore_ascii_case("regex") {
        return None;
    }
    if matches!(text("value"), ".*" | "(.*)") {
        return Some(format!(
            "{} uses a match all regexps ['.*', '(.*)'], which are not allowed.",
            named(rule, "Basic rule")
        ));
    }
    pattern(text("value")).err()
}

/// The first two rules that mean the same, as two errors.
fn duplicates(rules: &[Value]) -> Vec<ValidationError> {
    // A rule that lacks one of them is told already.
    let text = |rule: &Value, name: &str| rule.get(name).and_then(Value::as_str).map(str::to_owned);
    let meaning =
        |rule: &Value| Some((text(rule, "field")?, text(rule, "rule")?.to_lowercase(), text(rule, "value")?));
    let mut seen: HashMap<_, &Value> = HashMap::new();
    for second in rules {
        let Some(meaning) = meaning(second) else { continue };
        let Some(first) = seen.insert(meaning, second) else { continue };
        let tell = |one: &Value, other: &Value| ValidationError {
            ids: vec![id(one)],
            messages: vec![format!(
                "{} is semantically equal to {}.",
                named(one, "Basic rule"),
                named(other, "Basic rule")
            )],
        };
        return vec![tell(first, second), tell(second, first)];
    }
    Vec::new()
}

/// The rule as messages name it.
fn named(rule: &Value, what: &str) -> String {
    let order = rule.get("order").and_then(Value::as_i64).unwrap_or_default();
    format!("{what} {} (id: '{}')", order.saturating_add(1), short(&id(rule)))
}

/// A long id without its middle.
fn short(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    if letters.len() < LONG_ID {
        return id.to_owned();
    }
    let kept = letters.len() - 26;
    let (head, tail) = (kept / 2, kept - kept / 2);
    let text = |letters: &[char]| letters.iter().collect::<String>();
    format!("{}...{}", text(&letters[..head]), text(&letters[letters.len() - tail..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;
    use crate::filtering::{Rule, default_filtering};
    use proptest::prelude::*;
    use serde_json::json;

    fn rule(id: &str, condition: &str, value: &str) -> Value {
        json!({"id": id, "field": "f", "order": 1, "policy": "include", "rule": condition, "value": value})
    }

    fn messages(rules: &Value) -> Vec<String> {
        validate(rules).errors.into_iter().flat_map(|error| error.messages).collect()
    }

    #[test]
    fn the_filtering_of_a_new_connector_is_valid() {
        let active = default_filtering(Time::UNIX_EPOCH).active;
        assert_eq!(validate(&serde_json::to_value(active).unwrap()).state, ValidationState::Valid);
    }

    #[test]
    fn every_fault_of_a_rule_is_told() {
        let broken =
            json!([{"id": "r", "field": "", "policy": "maybe", "rule": "like", "order": "1", "value": 5}]);
        let found = validate(&broken);
        assert_eq!(found.state, ValidationState::Invalid);
        assert_eq!(found.errors[0].ids, ["r"]);
        assert_eq!(
            messages(&broken),
            [
                "data.field must be longer than or equal to 1 characters",
                "data.value must be string",
                "data.policy must be one of include, exclude",
                "data.rule must be one of contains, ends_with, equals, >, <, regex, starts_with",
                "data.order must be number",
            ]
        );
    }

    #[test]
    fn the_order_of_a_rule_must_be_one_that_can_be_read() {
        for (order, expected) in [
            (json!(3), &[][..]),
            (json!(-3.0), &[]),
            (json!(1.5), &["data.order must be a whole number"]),
            (json!(6.5e33), &["data.order must be a whole number"]),
            (json!(u64::MAX), &["data.order must be a whole number"]),
        ] {
            let mut one = rule("r", "equals", "v");
            one["order"] = order;
            assert_eq!(messages(&json!([one])), expected, "{one}");
            assert_eq!(serde_json::from_value::<Rule>(one.clone()).is_ok(), expected.is_empty(), "{one}");
        }
    }

    #[test]
    fn a_rule_must_not_match_everything_and_must_be_a_regular_expression() {
        for value in [".*", "(.*)"] {
            let found = messages(&json!([rule("r", "regex", value)]));
            assert_eq!(
                found,
                ["Basic rule 2 (id: 'r') uses a match all regexps ['.*', '(.*)'], which are not allowed."]
            );
        }
        for broken in ["(", "a)|(b", "[", "(?<=a)b"] {
            assert_eq!(
                messages(&json!([rule("r", "regex", broken)])),
                [format!("'{broken}' is not a regular expression")]
            );
        }
        assert!(messages(&json!([rule("DEFAULT", "regex", ".*")])).is_empty());
    }

    #[test]
    fn two_rules_of_one_meaning_are_told_as_two_errors() {
        let found =
            validate(&json!([rule("a", "equals", "x"), rule("b", "equals", "x"), rule("c", "equals", "x")]));
        let ids: Vec<_> = found.errors.iter().map(|error| error.ids[0].as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(
            found.errors[0].messages,
            ["Basic rule 2 (id: 'a') is semantically equal to Basic rule 2 (id: 'b')."]
        );
    }

    #[test]
    fn a_rule_that_says_nothing_is_no_duplicate_of_another_and_rules_are_an_array() {
        assert_eq!(
            messages(&json!([null, {}])).iter().filter(|message| message.contains("equal")).count(),
            0
        );
        assert_eq!(messages(&json!({"rules": "all"})), ["data must be array"]);
        for nothing in [json!(null), json!([]), json!({}), json!({"rules": null})] {
            assert_eq!(validate(&nothing).state, ValidationState::Valid, "{nothing}");
        }
    }

    #[test]
    fn a_long_id_loses_its_middle() {
        assert_eq!(short("0123456789abcdef0123456789abcdef0123"), "01234...f0123");
        assert_eq!(short("short"), "short");
    }

    proptest! {
        #[test]
        fn no_rules_make_the_validation_panic(id in ".{0,40}", value in ".{0,10}", order in any::<i64>()) {
            let _ = validate(&json!([{"id": id, "field": "f", "order": order, "policy": "include", "rule": "regex", "value": value}, null, 5]));
        }
    }
}
