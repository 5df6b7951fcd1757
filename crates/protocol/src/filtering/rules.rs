use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Time;
use crate::lenient::{instant, or_default, text, whole};

/// Id of the rule that every set of rules ends with.
pub(super) const DEFAULT_RULE: &str = "DEFAULT";

/// The sync rules of a connector: those in use, and those being edited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filtering {
    /// The rules in use.
    #[serde(deserialize_with = "or_default")]
    pub active: FilteringRules,
    /// Always `DEFAULT`.
    #[serde(deserialize_with = "or_default")]
    pub domain: String,
    /// The rules being edited.
    #[serde(deserialize_with = "or_default")]
    pub draft: FilteringRules,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One set of rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilteringRules {
    /// The advanced rules.
    #[serde(deserialize_with = "or_default")]
    pub advanced_snippet: AdvancedSnippet,
    /// The basic rules.
    #[serde(deserialize_with = "or_default")]
    pub rules: Vec<Rule>,
    /// Outcome of their validation.
    #[serde(deserialize_with = "or_default")]
    pub validation: FilteringValidation,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl FilteringRules {
    /// The value of the advanced rules, where there are any: neither null nor empty (sync-runtime 8.1).
    #[must_use]
    pub fn advanced_value(&self) -> Option<&Value> {
        match &self.advanced_snippet.value {
            Value::Null => None,
            Value::Object(object) if object.is_empty() => None,
            Value::Array(items) if items.is_empty() => None,
            value => Some(value),
        }
    }
}

/// Advanced rules: the source's own affair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdvancedSnippet {
    /// When they were made.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When they were changed.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// An object or an array.
    pub value: Value,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for AdvancedSnippet {
    fn default() -> Self {
        Self { created_at: None, updated_at: None, value: Value::Object(Map::new()), other: Map::new() }
    }
}

/// A basic rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// When it was made.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// The field it looks at, a name at the document's top level.
    #[serde(default, deserialize_with = "text")]
    pub field: String,
    /// Its id.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// Its place: rules are asked in ascending order.
    #[serde(default, deserialize_with = "whole")]
    pub order: i64,
    /// What becomes of a document that matches.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub policy: Policy,
    /// How the field is compared.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub rule: Condition,
    /// When it was changed.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// What the field is compared with.
    #[serde(default, deserialize_with = "text")]
    pub value: String,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Rule {
    /// The rule that ends every set: whatever reaches it is included.
    #[must_use]
    pub fn default_rule(order: i64, instant: Time) -> Self {
        Self {
            created_at: Some(instant),
            field: "_".to_owned(),
            id: DEFAULT_RULE.to_owned(),
            order,
            policy: Policy::Include,
            rule: Condition::Regex,
            updated_at: Some(instant),
            value: ".*".to_owned(),
            other: Map::new(),
        }
    }

    /// Whether it is the default rule; order and times do not matter (connector-api 8.2).
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.id == DEFAULT_RULE
            && self.field == "_"
            && self.policy == Policy::Include
            && self.rule == Condition::Regex
            && self.value == ".*"
    }
}

fn is_unsaid<T: Default + PartialEq>(word: &T) -> bool {
    *word == T::default()
}

macro_rules! open_words {
    ($(#[$doc:meta])* $name:ident, absent: $absent:expr, { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A word this version does not know; validation refuses it.
            Other(String),
        }

        impl $name {
            /// The protocol's word for it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)* Self::Other(word) => word }
            }

            fn read(word: &str) -> Self {
                let known = [$((Self::$variant, $word)),*];
                let found = known.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(word));
                found.map_or_else(|| Self::Other(word.to_owned()), |(value, _)| value)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $absent
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word: Option<String> = Option::deserialize(deserializer)?;
                Ok(word.map_or_else(Self::default, |word| Self::read(&word)))
            }
        }
    };
}

open_words! {
    /// What becomes of a document that matches a rule. Where nothing is said no policy is guessed: a guess might sync
    /// what should not be.
    Policy, absent: Self::Other(String::new()), {
        /// It is synced.
        Include = "include",
        /// It is not.
        Exclude = "exclude",
    }
}

open_words! {
    /// How a rule compares a field. Where nothing is said none is guessed.
    Condition, absent: Self::Other(String::new()), {
        /// The text contains the value.
        Contains = "contains",
        /// The text ends with the value.
        EndsWith = "ends_with",
        /// It is the value.
        Equals = "equals",
        /// It is greater than the value.
        Greater = ">",
        /// It is less than the value.
        Less = "<",
        /// The text matches the value, a regular expression, from its beginning on.
        Regex = "regex",
        /// The text starts with the value.
        StartsWith = "starts_with",
    }
}

open_words! {
    /// Whether rules may be used.
    ValidationState, absent: Self::Valid, {
        /// They were changed since the last validation.
        Edited = "edited",
        /// They have errors.
        Invalid = "invalid",
        /// They may be used; also where nothing is said (sync-runtime 4.6).
        Valid = "valid",
    }
}

/// Outcome of a validation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilteringValidation {
    /// What is wrong.
    #[serde(deserialize_with = "or_default")]
    pub errors: Vec<ValidationError>,
    /// Whether the rules may be used.
    pub state: ValidationState,
}

/// One thing that is wrong with rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ValidationError {
    /// The rules it is about; `advanced_snippet` for the advanced ones.
    #[serde(deserialize_with = "or_default")]
    pub ids: Vec<String>,
    /// What is wrong.
    #[serde(deserialize_with = "or_default")]
    pub messages: Vec<String>,
}

/// The filtering of a new connector (connector-api 5.2).
#[must_use]
pub fn default_filtering(now: Time) -> Filtering {
    let rules = FilteringRules {
        advanced_snippet: AdvancedSnippet {
            created_at: Some(now),
            updated_at: Some(now),
            ..AdvancedSnippet::default()
        },
        rules: normalise(Vec::new(), now),
        validation: FilteringValidation::default(),
        other: Map::new(),
    };
    Filtering { active: rules.clone(), domain: "DEFAULT".to_owned(), draft: rules, other: Map::new() }
}

/// Rules as they are stored when submitted: in their order, the default rule rebuilt at the end (connector-api 8.2).
#[must_use]
pub fn normalise(rules: Vec<Rule>, now: Time) -> Vec<Rule> {
    let default_from =
        rules.iter().find(|rule| rule.is_default()).and_then(|rule| rule.created_at).unwrap_or(now);
    let mut kept: Vec<Rule> = rules.into_iter().filter(|rule| !rule.is_default()).collect();
    kept.sort_by_key(|rule| rule.order);
    let order = kept.last().map_or(0, |last| last.order.saturating_add(1));
    kept.push(Rule::default_rule(order, default_from));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    fn rule(id: &str, order: i64) -> Rule {
        Rule { id: id.to_owned(), order, field: "f".to_owned(), ..Rule::default_rule(0, at(1)) }
    }

    #[test]
    fn submitted_rules_are_sorted_and_end_with_the_default_rule() {
        let sent = vec![Rule::default_rule(0, at(5)), rule("b", 7), rule("a", 3), rule("c", 3)];
        let stored = normalise(sent, at(9));
        let ids: Vec<_> = stored.iter().map(|rule| (rule.id.as_str(), rule.order)).collect();
        assert_eq!(ids, [("a", 3), ("c", 3), ("b", 7), ("DEFAULT", 8)]);
        assert_eq!((stored[3].created_at, stored[3].updated_at), (Some(at(5)), Some(at(5))));
        assert_eq!(normalise(Vec::new(), at(9)), [Rule::default_rule(0, at(9))]);
    }

    #[test]
    fn rules_that_nobody_knows_are_kept_as_they_are() {
        let stored = json!({"id": "x", "field": "f", "order": 1, "policy": "maybe", "rule": "sounds_like", "value": "v"});
        let rule: Rule = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(rule).unwrap(), stored);
    }

    #[test]
    fn an_empty_snippet_is_none() {
        for value in [json!({}), json!([]), json!(null)] {
            let rules: FilteringRules =
                serde_json::from_value(json!({"advanced_snippet": {"value": value}})).unwrap();
            assert_eq!(rules.advanced_value(), None);
        }
        let rules: FilteringRules =
            serde_json::from_value(json!({"advanced_snippet": {"value": [1]}})).unwrap();
        assert_eq!(rules.advanced_value(), Some(&json!([1])));
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(orders in prop::collection::vec(-5..5_i64, 0..6), with_default: bool) {
            let mut rules: Vec<Rule> = orders.iter().enumerate().map(|(n, order)| rule(&n.to_string(), *order)).collect();
            if with_default {
                rules.insert(0, Rule::default_rule(0, at(3)));
            }
            let once = normalise(rules, at(7));
            prop_assert_eq!(normalise(once.clone(), at(8)), once);
        }
    }
}
