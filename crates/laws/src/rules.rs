//! Sync rules: `{"rules": [...], "document": {...}}`.

use serde_json::{Map, Value, json};
use tributary_protocol::Time;
use tributary_protocol::filtering::{Filtering, Policy, Rule, RuleSet, ValidationState, normalise, validate};

pub(crate) fn law(input: &[u8]) {
    let Ok(Value::Object(given)) = serde_json::from_slice(input) else { return };
    let list = given.get("rules").cloned().unwrap_or_default();
    let validation = validate(&list);
    assert_eq!(validation.state == ValidationState::Valid, validation.errors.is_empty());
    assert_eq!(validate(&json!({"rules": list})), validation, "in an object as alone");
    if let Ok(filtering) = serde_json::from_value::<Filtering>(Value::Object(given.clone())) {
        let written = serde_json::to_value(&filtering).expect("filtering is JSON");
        let read: Filtering = serde_json::from_value(written).expect("what is written can be read");
        assert_eq!(read, filtering);
    }
    if list.is_null() {
        return assert_eq!(validation.state, ValidationState::Valid, "no rules are valid rules");
    }
    let Ok(rules) = serde_json::from_value::<Vec<Rule>>(list) else {
        return assert_eq!(validation.state, ValidationState::Invalid, "valid rules can be read");
    };
    for rule in &rules {
        let read: Rule =
            serde_json::from_value(serde_json::to_value(rule).expect("a rule is JSON")).expect("a rule");
        assert_eq!(&read, rule);
    }
    stored(&rules);
    let Ok(set) = RuleSet::new(&rules) else {
        return assert_eq!(validation.state, ValidationState::Invalid, "valid rules can be used");
    };
    if let Some(Value::Object(document)) = given.get("document") {
        asked(&rules, &set, document);
    }
}

/// Storing sorts rules, keeps them all, and stores the same when done again.
fn stored(rules: &[Rule]) {
    let now = Time::UNIX_EPOCH;
    let once = normalise(rules.to_vec(), now);
    assert!(once.last().is_some_and(Rule::is_default));
    assert_eq!(once.iter().filter(|rule| rule.is_default()).count(), 1);
    let own = rules.iter().filter(|rule| !rule.is_default()).count();
    assert_eq!(once.len(), own + 1);
    assert_eq!(normalise(once.clone(), now), once);
}

fn asked(rules: &[Rule], set: &RuleSet, document: &Map<String, Value>) {
    let admits = set.admits(document);
    assert_eq!(
        RuleSet::new(&normalise(rules.to_vec(), Time::UNIX_EPOCH)).expect("usable").admits(document),
        admits
    );
    if set.is_empty() {
        return assert!(admits, "without rules every document is synced");
    }
    // The rule that decides says the opposite when all policies are turned; where none matches, both admit.
    let turned: Vec<Rule> = rules.iter().cloned().map(turn).collect();
    let opposite = RuleSet::new(&turned).expect("turned rules are as good").admits(document);
    assert!(admits || opposite);
    // A rule that is asked last changes nothing where another decided.
    let mut more = rules.to_vec();
    if more.iter().all(|rule| rule.order < i64::MAX) {
        more.push(Rule {
            id: "last".into(),
            policy: Policy::Exclude,
            order: i64::MAX,
            ..Rule::default_rule(0, Time::UNIX_EPOCH)
        });
        let with_more = RuleSet::new(&more).expect("one more good rule").admits(document);
        assert!(admits == with_more || (admits && opposite), "the last rule decided though another had");
    }
}

fn turn(mut rule: Rule) -> Rule {
    rule.policy = match rule.policy {
        Policy::Include => Policy::Exclude,
        Policy::Exclude => Policy::Include,
        other => other,
    };
    rule
}
