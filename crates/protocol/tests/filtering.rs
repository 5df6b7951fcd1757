//! Laws of the sync rules (connector-api 8 and 14.3, sync-runtime 8).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tributary_protocol::Time;
use tributary_protocol::filtering::{Rule, RuleSet, ValidationState, default_filtering, normalise, validate};

const CONDITIONS: [&str; 7] = ["contains", "ends_with", "equals", ">", "<", "regex", "starts_with"];

fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

fn rules(rules: Value) -> Vec<Rule> {
    serde_json::from_value(rules).unwrap()
}

fn admitted(set: &Value, document: &Value) -> bool {
    RuleSet::new(&rules(set.clone())).unwrap().admits(document.as_object().unwrap())
}

#[test]
fn the_example_of_the_reference_is_stored_as_it_says() {
    let sent = rules(
        json!([{"id": "r1", "field": "ext", "order": 3, "policy": "exclude", "rule": "equals", "value": "zip"}]),
    );
    let stored: Vec<_> = normalise(sent, at(0)).into_iter().map(|rule| (rule.id, rule.order)).collect();
    assert_eq!(stored, [("r1".to_owned(), 3), ("DEFAULT".to_owned(), 4)]);
}

#[test]
fn a_rule_called_default_with_other_content_is_an_ordinary_rule() {
    let sent = rules(
        json!([{"id": "DEFAULT", "field": "a", "order": 3, "policy": "exclude", "rule": "equals", "value": "b"}]),
    );
    let ids: Vec<_> = normalise(sent, at(0)).into_iter().map(|rule| rule.id).collect();
    assert_eq!(ids, ["DEFAULT", "DEFAULT"]);
}

#[test]
fn the_first_rule_in_order_decides_and_what_no_rule_matches_is_synced() {
    let set = json!([
        {"id": "b", "field": "ext", "order": 2, "policy": "exclude", "rule": "regex", "value": "."},
        {"id": "a", "field": "ext", "order": 1, "policy": "include", "rule": "equals", "value": "md"},
        {"id": "DEFAULT", "field": "_", "order": 0, "policy": "exclude", "rule": "regex", "value": ".*"},
    ]);
    for (document, synced) in [
        (json!({"ext": "md"}), true),
        (json!({"ext": "zip"}), false),
        (json!({"ext": null}), true),
        (json!({"ext": ""}), true),
        (json!({"other": "zip"}), true),
        (json!({}), true),
    ] {
        assert_eq!(admitted(&set, &document), synced, "{document}");
    }
}

#[test]
fn a_rule_sees_only_a_key_of_exactly_its_fields_name() {
    let set =
        json!([{"id": "r", "field": "a.b", "order": 1, "policy": "exclude", "rule": "equals", "value": "x"}]);
    assert!(admitted(&set, &json!({"a": {"b": "x"}})));
    assert!(!admitted(&set, &json!({"a.b": "x"})));
}

#[test]
fn words_count_in_any_case() {
    let set = json!([{"id": "r", "field": "f", "order": 1, "policy": "EXCLUDE", "rule": "Starts_With", "value": "x"}]);
    assert!(!admitted(&set, &json!({"f": "xy"})));
}

#[test]
fn a_rule_that_does_not_say_what_to_do_is_refused_and_never_guessed() {
    let whole =
        json!({"id": "r", "field": "f", "order": 1, "policy": "exclude", "rule": "equals", "value": "x"});
    for (name, usable) in [("policy", false), ("rule", false), ("id", true), ("field", true), ("value", true)]
    {
        let mut rule = whole.clone();
        rule.as_object_mut().unwrap().remove(name);
        // As the daemon sees it: read, and written for the validation.
        let read = rules(json!([rule]));
        assert_eq!(validate(&serde_json::to_value(&read).unwrap()).state, ValidationState::Invalid, "{name}");
        assert_eq!(RuleSet::new(&read).is_ok(), usable, "{name}");
    }
}

#[test]
fn without_rules_but_the_default_one_the_set_is_empty() {
    let filtering = default_filtering(at(0));
    let set = RuleSet::new(&filtering.active.rules).unwrap();
    assert!(set.is_empty() && set.admits(&Map::new()));
}

#[test]
fn prepared_rules_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<RuleSet>();
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,4}-[0-9T:.Z+-]{0,16}".prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_rule() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        ".{0,8}",
        "[a-z.*+()|\\[\\]?^$]{0,6}",
        "[0-9.e-]{0,6}",
        "[0-9]{4}-[0-9T:.Z+-]{0,16}",
        "true|no|on|nan|inf"
    ];
    let id = prop_oneof![3 => "[a-z]{1,3}", 1 => Just("DEFAULT".to_owned())];
    (id, "[a-c_]", -3..9_i64, any::<bool>(), prop::sample::select(CONDITIONS.to_vec()), value).prop_map(
        |(id, field, order, include, condition, value)| {
            let policy = if include { "include" } else { "exclude" };
            json!({"id": id, "field": field, "order": order, "policy": policy, "rule": condition, "value": value})
        },
    )
}

fn any_rules() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(any_rule(), 0..6)
}

fn any_document() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec(("[a-c_]", any_value()), 0..5).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn valid_rules_can_be_used_and_no_document_makes_them_panic(set in any_rules(), documents in prop::collection::vec(any_document(), 1..8)) {
        let valid = validate(&json!(set)).state == ValidationState::Valid;
        let prepared = RuleSet::new(&rules(json!(set)));
        prop_assert!(prepared.is_ok() || !valid, "{prepared:?}");
        if let Ok(prepared) = prepared {
            for document in &documents {
                let _ = prepared.admits(document);
            }
        }
    }

    #[test]
    fn a_rule_decides_by_its_policy_alone(rule in any_rule(), document in any_document()) {
        let with = |policy: &str| {
            let mut rule = rule.clone();
            rule["policy"] = json!(policy);
            RuleSet::new(&rules(json!([rule]))).map(|set| set.admits(&document))
        };
        // An include rule alone changes nothing: what it does not match is synced too.
        prop_assert!(with("include").unwrap_or(true));
        prop_assert_eq!(with("include").is_ok(), with("exclude").is_ok());
    }

    #[test]
    fn the_order_in_which_rules_are_listed_does_not_matter(set in any_rules(), document in any_document()) {
        let mut listed = set;
        for (at, rule) in listed.iter_mut().enumerate() {
            rule["order"] = json!(at);
        }
        let forth = RuleSet::new(&rules(json!(listed))).map(|set| set.admits(&document));
        listed.reverse();
        let back = RuleSet::new(&rules(json!(listed))).map(|set| set.admits(&document));
        prop_assert_eq!(forth.is_ok(), back.is_ok());
        prop_assert!(forth.is_err() || forth == back);
    }

    #[test]
    fn normalising_is_done_after_once_and_changes_no_decision(set in any_rules(), defaults in 0..3_usize, document in any_document()) {
        let mut sent = rules(json!(set));
        for at in 0..defaults {
            let place = (at * 2).min(sent.len());
            sent.insert(place, Rule::default_rule(at as i64, stamp(at)));
        }
        let once = normalise(sent.clone(), at(7));
        prop_assert_eq!(normalise(once.clone(), at(8)), once.clone());
        prop_assert!(once.last().unwrap().is_default());
        prop_assert_eq!(once.iter().filter(|rule| rule.is_default()).count(), 1);
        let ordinary = sent.iter().filter(|rule| !rule.is_default()).count();
        prop_assert_eq!(once.len(), ordinary + 1);
        let decide = |rules: &[Rule]| RuleSet::new(rules).map(|set| set.admits(&document)).ok();
        prop_assert_eq!(decide(&once), decide(&sent));
    }

    #[test]
    fn a_validation_is_invalid_exactly_when_it_has_errors(set in prop_oneof![any_rules().prop_map(Value::from), any_value()]) {
        let found = validate(&set);
        prop_assert_eq!(found.state == ValidationState::Invalid, !found.errors.is_empty());
        prop_assert!(found.errors.iter().all(|error| !error.messages.is_empty()));
        let again = validate(&json!({"rules": set}));
        prop_assert!(set.is_object() || found == again);
    }
}

fn stamp(offset: usize) -> Time {
    at(offset as i64)
}
