use serde_json::{Map, Value};

use super::field::ConfigField;
use super::schema::ConfigSchema;

impl ConfigSchema {
    /// The configuration that a connector document should have, given what it has and what its source declares; `None`
    /// when nothing is to be written (sync-runtime 4.4). Values never change, fields are never removed; definitions
    /// follow the source.
    #[must_use]
    pub fn registered(stored: &Self, declared: &Self) -> Option<Self> {
        let mut wanted = stored.clone();
        for (name, field) in declared.iter() {
            let registered = match stored.get(name) {
                Some(old) => upgraded(old, field),
                None => field.clone(),
            };
            wanted.insert(name, registered);
        }
        wanted.gaps = false;
        (stored.gaps || wanted != *stored).then_some(wanted)
    }

    /// Whether a stored configuration (its JSON) has fields that lack properties of a definition. Reading it fills them
    /// in, so [`ConfigSchema::registered`] cannot tell.
    #[must_use]
    pub fn has_gaps(stored: &Map<String, Value>) -> bool {
        const PROPERTIES: [&str; 13] = [
            "default_value",
            "depends_on",
            "display",
            "label",
            "options",
            "order",
            "required",
            "sensitive",
            "tooltip",
            "type",
            "ui_restrictions",
            "validations",
            "value",
        ];
        stored.values().any(|field| PROPERTIES.iter().any(|property| field.get(property).is_none()))
    }
}

/// A stored field with the definition its source declares now.
fn upgraded(stored: &ConfigField, declared: &ConfigField) -> ConfigField {
    ConfigField { value: stored.value.clone(), other: stored.other.clone(), ..declared.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(value: Value) -> ConfigSchema {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_empty_configuration_gets_all_declared_fields() {
        let declared = schema(json!({"a": {"label": "A", "value": "x"}}));
        assert_eq!(ConfigSchema::registered(&ConfigSchema::new(), &declared), Some(declared));
    }

    #[test]
    fn nothing_is_written_when_nothing_differs() {
        let declared = schema(json!({"a": {"label": "A", "value": "default"}}));
        let stored =
            schema(json!({"a": {"label": "A", "value": "mine"}, "extra": {"label": "E", "value": 1}}));
        let whole = schema(serde_json::to_value(stored).unwrap());
        assert_eq!(ConfigSchema::registered(&whole, &declared), None);
    }

    #[test]
    fn definitions_follow_the_source_and_values_and_extra_fields_stay() {
        let declared = schema(json!({"a": {"label": "New", "order": 2}, "b": {"label": "B", "value": "d"}}));
        let stored = schema(json!({"a": {"label": "Old", "value": "mine", "x": 1}, "extra": {"label": "E"}}));
        let registered = ConfigSchema::registered(&stored, &declared).unwrap();
        let a = registered.get("a").unwrap();
        assert_eq!((a.label.as_str(), &a.value, &a.other["x"]), ("New", &json!("mine"), &json!(1)));
        assert_eq!(registered.get("b").unwrap().value, json!("d"));
        assert!(registered.get("extra").is_some());
    }

    #[test]
    fn a_stored_field_that_lacks_properties_is_written_whole_with_its_value() {
        let stored = schema(json!({"a": {"label": "A", "value": "mine"}, "extra": {"value": 1}}));
        let declared = schema(json!({"a": {"label": "A", "value": "theirs"}}));
        let registered = ConfigSchema::registered(&stored, &declared).unwrap();
        assert_eq!(registered.get("a").unwrap().value, json!("mine"));
        let written = serde_json::to_value(&registered).unwrap();
        assert!(!ConfigSchema::has_gaps(written.as_object().unwrap()), "{written}");
        let stored = schema(written);
        assert_eq!(ConfigSchema::registered(&stored, &declared), None);
    }

    #[test]
    fn a_field_that_lacks_a_property_is_a_gap() {
        let whole = serde_json::to_value(schema(json!({"a": {"label": "A"}}))).unwrap();
        assert!(!ConfigSchema::has_gaps(whole.as_object().unwrap()));
        assert!(ConfigSchema::has_gaps(json!({"a": {"label": "A"}}).as_object().unwrap()));
    }
}
