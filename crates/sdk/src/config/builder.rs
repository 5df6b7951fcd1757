use serde_json::Value;
use tributary_protocol::config::{
    ConfigField, ConfigSchema, Dependency, Display, FieldType, SelectOption, Validation, ValidationKind,
};

use crate::ConfigValue;

/// Declares one field; what the derive macro of `SourceConfig` writes, and for schemas made by hand.
#[derive(Clone, Debug)]
#[must_use = "call add"]
pub struct FieldBuilder(ConfigField);

impl FieldBuilder {
    /// A field whose definition follows from the type of its value.
    pub fn of<T: ConfigValue>(label: &str) -> Self {
        let mut field = T::field();
        label.clone_into(&mut field.label);
        Self(field)
    }

    /// A longer explanation.
    pub fn tooltip(mut self, text: &str) -> Self {
        self.0.tooltip = Some(text.to_owned());
        self
    }

    /// What an empty field shows.
    pub fn placeholder(mut self, text: &str) -> Self {
        self.0.placeholder = Some(text.to_owned());
        self
    }

    /// The group it is shown in.
    pub fn category(mut self, text: &str) -> Self {
        self.0.category = Some(text.to_owned());
        self
    }

    /// How it is shown.
    pub fn display(mut self, display: Display) -> Self {
        self.0.display = display;
        self
    }

    /// Marks it as a secret.
    pub fn sensitive(mut self) -> Self {
        self.0.sensitive = true;
        self
    }

    /// Hides it in simple user interfaces.
    pub fn advanced(mut self) -> Self {
        self.0.ui_restrictions = vec!["advanced".to_owned()];
        self
    }

    /// What counts while it is empty; makes it optional.
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        let value = self.stored(value.into());
        self.0.default_value = value.clone();
        self.0.value = value;
        self.0.required = false;
        self
    }

    /// What a new connector starts with.
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.0.value = self.stored(value.into());
        self
    }

    /// A value in the form in which documents keep it: lists as one text, since the Connector APIs refuse arrays.
    fn stored(&self, value: Value) -> Value {
        match value {
            Value::Array(items) if self.0.kind == FieldType::List => {
                let texts: Vec<String> = items
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect();
                Value::from(texts.join(","))
            }
            other => other,
        }
    }

    /// Adds a choice.
    pub fn option(mut self, value: impl Into<Value>, label: &str) -> Self {
        self.0.display = Display::Dropdown;
        self.0.options.push(SelectOption { label: label.to_owned(), value: value.into() });
        self
    }

    /// Makes it count only while the field `name` has `value`.
    pub fn depends_on(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.depends_on.push(Dependency { field: name.to_owned(), value: value.into() });
        self
    }

    /// Adds a check.
    pub fn validation(mut self, kind: ValidationKind, constraint: impl Into<Value>) -> Self {
        self.0.validations.push(Validation { kind, constraint: constraint.into() });
        self
    }

    /// Adds the field to `schema`, after those that are there.
    pub fn add(mut self, schema: &mut ConfigSchema, name: &str) {
        self.0.order = i64::try_from(schema.len()).unwrap_or(i64::MAX).saturating_add(1);
        if self.0.value.is_null() && matches!(self.0.kind, FieldType::Str | FieldType::List) {
            self.0.value = Value::from("");
        }
        schema.insert(name, self.0);
    }
}
