use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::field::ConfigField;

/// The fields of a configuration by name, in their stored order.
#[derive(Clone, Debug, Default)]
pub struct ConfigSchema {
    fields: Vec<(String, ConfigField)>,
    /// Whether the stored form lacked properties that reading has filled in.
    pub(super) gaps: bool,
}

/// Equal are the fields, however they were stored.
impl PartialEq for ConfigSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl ConfigSchema {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field; one of the same name is replaced in its place.
    pub fn insert(&mut self, name: impl Into<String>, field: ConfigField) {
        let name = name.into();
        match self.get_mut(&name) {
            Some(old) => *old = field,
            None => self.fields.push((name, field)),
        }
    }

    /// A field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ConfigField> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| field)
    }

    /// A field, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut ConfigField> {
        self.fields.iter_mut().find(|(known, _)| known == name).map(|(_, field)| field)
    }

    /// All fields, in their stored order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ConfigField)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Names of fields that `declared` has and this does not.
    #[must_use]
    pub fn missing_from(&self, declared: &Self) -> Vec<String> {
        declared
            .iter()
            .filter(|(name, _)| self.get(name).is_none())
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

impl Serialize for ConfigSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for ConfigSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Map::<String, Value>::deserialize(deserializer)?;
        let gaps = Self::has_gaps(&entries);
        let read = |(name, entry): (String, Value)| {
            // The error of a field's reader may quote a value; the name is enough to find it.
            let field = ConfigField::read(&name, entry).map_err(|_| {
                serde::de::Error::custom(format!("configuration field '{name}' is no valid field definition"))
            })?;
            Ok((name, field))
        };
        let fields = entries.into_iter().map(read).collect::<Result<_, D::Error>>()?;
        Ok(Self { fields, gaps })
    }
}

impl FromIterator<(String, ConfigField)> for ConfigSchema {
    fn from_iter<I: IntoIterator<Item = (String, ConfigField)>>(fields: I) -> Self {
        let mut schema = Self::new();
        for (name, field) in fields {
            schema.insert(name, field);
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_configuration_keeps_its_order_and_what_it_does_not_know() {
        let stored =
            json!({"z": {"label": "Z", "value": 1, "new": {"x": 1}}, "a": {"label": "A", "type": null}});
        let schema: ConfigSchema = serde_json::from_value(stored).unwrap();
        assert_eq!(schema.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(serde_json::to_value(&schema).unwrap()["z"]["new"], json!({"x": 1}));
    }

    #[test]
    fn a_bare_value_is_a_text_field_named_after_its_key() {
        let schema: ConfigSchema = serde_json::from_value(json!({"host": "x"})).unwrap();
        let field = schema.get("host").unwrap();
        assert_eq!((field.label.as_str(), &field.value), ("Host", &json!("x")));
    }

    #[test]
    fn a_broken_field_is_named_without_its_value() {
        let error =
            serde_json::from_value::<ConfigSchema>(json!({"token": {"label": 5, "value": "hunter2"}}))
                .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("'token'") && !text.contains("hunter2"), "{text}");
    }
}
