use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Value};

use super::rules::{Condition, DEFAULT_RULE, Policy, Rule};
use crate::{Time, time};

/// Basic rules, ready to be asked.
///
/// The first rule that matches decides; a document that none matches is synced (sync-runtime 8.2). Nothing a document
/// holds makes a rule fail: what cannot be compared does not match, and neither does null.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Ready>,
}

#[derive(Clone, Debug)]
struct Ready {
    field: String,
    include: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Contains(String),
    EndsWith(String),
    StartsWith(String),
    Regex(Regex),
    Equals(Operand),
    Ordered(Operand, Ordering),
}

/// A rule's value in every reading, so that none is made for each document.
#[derive(Clone, Debug)]
struct Operand {
    text: String,
    number: Option<f64>,
    flag: Option<bool>,
    instant: Option<Time>,
}

impl RuleSet {
    /// Prepares rules; the default rule is left out, since it only says what happens anyway.
    ///
    /// # Errors
    /// The first rule that cannot be used, with the reason.
    pub fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut sorted: Vec<&Rule> = rules.iter().filter(|rule| rule.id != DEFAULT_RULE).collect();
        sorted.sort_by_key(|rule| rule.order);
        Ok(Self { rules: sorted.into_iter().map(Ready::new).collect::<Result<_, _>>()? })
    }

    /// Whether it has no rule, so that every document is synced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a document is synced. Rules see its top-level fields.
    #[must_use]
    pub fn admits(&self, document: &Map<String, Value>) -> bool {
        let decides = |rule: &&Ready| document.get(&rule.field).is_some_and(|value| rule.test.matches(value));
        self.rules.iter().find(decides).is_none_or(|rule| rule.include)
    }
}

/// The pattern of a regex rule as it is meant: from the text's beginning on.
pub(super) fn pattern(value: &str) -> Result<Regex, String> {
    // By itself first: `a)|(b` is one only with the parentheses around it.
    Regex::new(value)
        .and_then(|_| Regex::new(&format!("^(?:{value})")))
        .map_err(|_| format!("'{value}' is not a regular expression"))
}

impl Ready {
    fn new(rule: &Rule) -> Result<Self, String> {
        let about = |what: String| format!("rule '{}': {what}", rule.id);
        let value = || rule.value.clone();
        let include = match &rule.policy {
            Policy::Include => true,
            Policy::Exclude => false,
            Policy::Other(word) => {
                return Err(about(format!("policy '{word}' is neither include nor exclude")));
            }
        };
        let test = match &rule.rule {
            Condition::Contains => Test::Contains(value()),
            Condition::EndsWith => Test::EndsWith(value()),
            Condition::StartsWith => Test::StartsWith(value()),
            Condition::Regex => Test::Regex(pattern(&rule.value).map_err(about)?),
            Condition::Equals => Test::Equals(Operand::new(&rule.value)),
            Condition::Greater => Test::Ordered(Operand::new(&rule.value), Ordering::Greater),
            Condition::Less => Test::Ordered(Operand::new(&rule.value), Ordering::Less),
            Condition::Other(word) => return Err(about(format!("'{word}' is no known comparison"))),
        };
        Ok(Self { field: rule.field.clone(), include, test })
    }
}

impl Operand {
    fn new(text: &str) -> Self {
        let flag = match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" => Some(true),
            "" | "false" | "f" | "no" | "n" | "off" => Some(false),
            _ => None,
        };
        let number = text.trim().parse().ok().filter(|number: &f64| !number.is_nan());
        Self { text: text.to_owned(), number, flag, instant: instant(text) }
    }

    /// How `value` compares with this, where both are of one kind.
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match value {
            Value::Number(number) => number.as_f64()?.partial_cmp(&self.number?),
            Value::Bool(flag) => (Some(*flag) == self.flag).then_some(Ordering::Equal),
            Value::String(text) => match (instant(text), self.instant) {
                (Some(document), Some(rule)) => Some(document.cmp(&rule)),
                _ => Some(text.as_str().cmp(&self.text)),
            },
            _ => None,
        }
    }

    fn equals(&self, value: &Value) -> bool {
        match self.compare(value) {
            Some(ordering) => ordering == Ordering::Equal,
            None => {
                !value.is_null()
                    && !matches!(value, Value::Bool(_))
                    && text(value).as_deref() == Some(&self.text)
            }
        }
    }
}

/// An instant or a date; a bare number is not meant as one.
fn instant(text: &str) -> Option<Time> {
    // Cheap for the many texts that are no dates.
    let begins = text.as_bytes().get(..5)?;
    if !begins[..4].iter().all(u8::is_ascii_digit) || begins[4] != b'-' {
        return None;
    }
    time::parse(text).or_else(|| time::parse(&format!("{text}T00:00:00")))
}

impl Test {
    fn matches(&self, value: &Value) -> bool {
        let shown = |test: &dyn Fn(&str) -> bool| text(value).is_some_and(|text| test(&text));
        match self {
            Self::Contains(part) => shown(&|text| text.contains(part.as_str())),
            Self::EndsWith(end) => shown(&|text| text.ends_with(end.as_str())),
            Self::StartsWith(start) => shown(&|text| text.starts_with(start.as_str())),
            Self::Regex(regex) => shown(&|text| regex.is_match(text)),
            Self::Equals(operand) => operand.equals(value),
            Self::Ordered(_, _) if value.is_boolean() => false,
            Self::Ordered(operand, wanted) => operand.compare(value) == Some(*wanted),
        }
    }
}

/// A value's text: texts as they are, others as JSON. Null has none.
fn text(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn rule(id: &str, order: i64, policy: &str, field: &str, condition: &str, value: &str) -> Rule {
        serde_json::from_value(
            json!({"id": id, "order": order, "policy": policy, "field": field, "rule": condition, "value": value}),
        )
        .unwrap()
    }

    fn matches(condition: &str, value: &str, document: &Value) -> bool {
        let set = RuleSet::new(&[rule("r", 1, "exclude", "f", condition, value)]).unwrap();
        !set.admits(json!({"f": document}).as_object().unwrap())
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let set = RuleSet::new(&[
            rule("DEFAULT", 9, "include", "_", "regex", ".*"),
            rule("all", 5, "exclude", "name", "regex", ".*"),
            rule("md", 2, "include", "name", "ends_with", ".md"),
        ])
        .unwrap();
        let admits = |document: Value| set.admits(document.as_object().unwrap());
        assert!(admits(json!({"name": "a.md"})));
        assert!(!admits(json!({"name": "a.txt"})));
        assert!(admits(json!({"other": 1})));
    }

    #[test]
    fn conditions_compare_as_the_reference_says() {
        for (condition, value, document, expected) in [
            ("equals", "zip", json!("zip"), true),
            ("equals", "5", json!(5), true),
            ("equals", "5.0", json!(5), true),
            ("equals", "05", json!("5"), false),
            ("equals", "yes", json!(true), true),
            ("equals", "true", json!(false), false),
            ("equals", "2026-01-01T01:00:00+01:00", json!("2026-01-01T00:00:00Z"), true),
            ("equals", "null", json!(null), false),
            ("contains", "b", json!("abc"), true),
            ("contains", "b", json!(["a", "b"]), true),
            ("starts_with", "ab", json!("abc"), true),
            ("starts_with", "5", json!(55), true),
            ("ends_with", "bc", json!("abc"), true),
            ("regex", "b", json!("abc"), false),
            ("regex", "a.", json!("abc"), true),
            ("regex", ".*", json!(null), false),
            (">", "10", json!(9), false),
            (">", "10", json!(11), true),
            (">", "10", json!("9"), true),
            ("<", "2026-01-02", json!("2026-01-01T23:59:59Z"), true),
            ("<", "10", json!("x"), false),
            (">", "a", json!(true), false),
            (">", "a", json!([1]), false),
            ("<", "nan", json!(1), false),
        ] {
            assert_eq!(matches(condition, value, &document), expected, "{document} {condition} {value}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_used_is_named() {
        let error = RuleSet::new(&[rule("r1", 1, "include", "f", "regex", "(")]).unwrap_err();
        assert!(error.contains("'r1'") && error.contains("regular expression"), "{error}");
        assert!(RuleSet::new(&[rule("r1", 1, "maybe", "f", "equals", "x")]).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            "[0-9]{4}-[0-9T:.Z]{0,8}".prop_map(Value::from),
            Just(json!([1, {"a": null}])),
        ]
    }

    proptest! {
        #[test]
        fn no_document_makes_a_rule_panic(document in any_value(), value in ".{0,8}", which in 0..6_usize) {
            let condition = ["equals", "contains", "starts_with", "ends_with", ">", "<"][which];
            matches(condition, &value, &document);
        }

        #[test]
        fn a_number_is_never_both_less_and_greater_than_a_value(number in any::<i32>(), value in any::<i32>()) {
            let document = json!(number);
            let both = matches("<", &value.to_string(), &document) && matches(">", &value.to_string(), &document);
            prop_assert!(!both);
        }
    }
}
