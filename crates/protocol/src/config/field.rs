use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::lenient::{flag_or_no, flag_or_yes, optional_whole, or_default};

macro_rules! lower_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// The protocol's word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            fn read(word: &str) -> Option<Self> {
                [$((Self::$variant, $word)),*].into_iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(v, _)| v)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Null and unknown words read as the default: a definition by somebody newer is no reason to fail.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word: Option<Cow<'_, str>> = Option::deserialize(deserializer)?;
                Ok(word.and_then(|word| Self::read(&word)).unwrap_or_default())
            }
        }
    };
}

lower_words! {
    /// The type of a field's value.
    FieldType {
        /// Text.
        #[default]
        Str = "str",
        /// A whole number.
        Int = "int",
        /// A number.
        Float = "float",
        /// Several texts, kept as text separated by commas.
        List = "list",
        /// Yes or no.
        Bool = "bool",
    }
}

lower_words! {
    /// How a field is shown.
    Display {
        /// A line of text.
        #[default]
        Text = "text",
        /// The same, by its other name.
        Textbox = "textbox",
        /// Several lines of text.
        Textarea = "textarea",
        /// A number.
        Numeric = "numeric",
        /// A switch.
        Toggle = "toggle",
        /// One of [`ConfigField::options`].
        Dropdown = "dropdown",
    }
}

/// One configuration field: its definition and its value. Absent members read as the defaults of sync-runtime 10.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigField {
    /// The name people read.
    #[serde(deserialize_with = "or_default")]
    pub label: String,
    /// The type of the value.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// How it is shown.
    pub display: Display,
    /// Its place among the fields.
    #[serde(deserialize_with = "place")]
    pub order: i64,
    /// Whether it must have a value.
    #[serde(deserialize_with = "flag_or_yes")]
    pub required: bool,
    /// Whether its value is a secret.
    #[serde(deserialize_with = "flag_or_no")]
    pub sensitive: bool,
    /// The value that counts when an optional field has none.
    pub default_value: Value,
    /// The value.
    pub value: Value,
    /// The field counts only when these fields have these values.
    #[serde(deserialize_with = "or_default")]
    pub depends_on: Vec<Dependency>,
    /// What a dropdown offers.
    #[serde(deserialize_with = "or_default")]
    pub options: Vec<SelectOption>,
    /// A longer explanation.
    pub tooltip: Option<String>,
    /// What an empty field shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// Where it is not shown.
    #[serde(deserialize_with = "or_default")]
    pub ui_restrictions: Vec<String>,
    /// What its value must satisfy.
    #[serde(deserialize_with = "or_default")]
    pub validations: Vec<Validation>,
    /// A group of fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn place<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(optional_whole(deserializer)?.unwrap_or(1))
}

/// Without the values of a sensitive field, and without members that nobody knows: those may be secret too.
impl fmt::Debug for ConfigField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| {
            if self.sensitive && !value.is_null() { "***".to_owned() } else { value.to_string() }
        };
        f.debug_struct("ConfigField")
            .field("label", &self.label)
            .field("kind", &self.kind)
            .field("required", &self.required)
            .field("sensitive", &self.sensitive)
            .field("default_value", &shown(&self.default_value))
            .field("value", &shown(&self.value))
            .field("depends_on", &self.depends_on)
            .field("validations", &self.validations)
            .finish_non_exhaustive()
    }
}

impl Default for ConfigField {
    fn default() -> Self {
        Self {
            label: String::new(),
            kind: FieldType::Str,
            display: Display::Text,
            order: 1,
            required: true,
            sensitive: false,
            default_value: Value::Null,
            value: Value::String(String::new()),
            depends_on: Vec::new(),
            options: Vec::new(),
            tooltip: None,
            placeholder: None,
            ui_restrictions: Vec::new(),
            validations: Vec::new(),
            category: None,
            other: Map::new(),
        }
    }
}

impl ConfigField {
    /// Reads an entry of a stored configuration; anything but an object is the value of a text field with the name as
    /// label (sync-runtime 10).
    pub(super) fn read(name: &str, entry: Value) -> serde_json::Result<Self> {
        if entry.is_object() {
            return serde_json::from_value(entry);
        }
        let mut letters = name.chars();
        let label =
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
        Ok(Self { label, value: entry, ..Self::default() })
    }

    /// The password in a value that is an address with one (`scheme://user:password@host`), as it stands there: a secret
    /// even where the field is none.
    #[must_use]
    pub fn password_in_address(&self) -> Option<&str> {
        let (_, rest) = self.value.as_str()?.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (credentials, _) = authority.rsplit_once('@')?;
        credentials.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
    }

    /// The label, or the field's name where it has none.
    pub(super) fn label_or<'a>(&'a self, name: &'a str) -> &'a str {
        if self.label.is_empty() { name } else { &self.label }
    }
}

/// A condition on another field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    /// Name of the other field.
    pub field: String,
    /// The value it must have.
    #[serde(default)]
    pub value: Value,
}

/// One choice of a dropdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectOption {
    /// What people read.
    pub label: String,
    /// What is stored.
    #[serde(default)]
    pub value: Value,
}

/// A rule for a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The kind of rule.
    #[serde(rename = "type")]
    pub kind: ValidationKind,
    /// What the kind compares with.
    #[serde(default)]
    pub constraint: Value,
}

/// A kind of rule for values (connector-api 14.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValidationKind {
    /// Less than the constraint.
    LessThan,
    /// Greater than the constraint.
    GreaterThan,
    /// A list whose items are all of the type `str` or `int`.
    ListType,
    /// The value, or each item, is in the constraint.
    IncludedIn,
    /// A text that matches the pattern in full.
    Regex,
    /// A kind this version does not know; it passes.
    Other(String),
}

impl ValidationKind {
    /// The protocol's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::LessThan => "less_than",
            Self::GreaterThan => "greater_than",
            Self::ListType => "list_type",
            Self::IncludedIn => "included_in",
            Self::Regex => "regex",
            Self::Other(word) => word,
        }
    }
}

impl Serialize for ValidationKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ValidationKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = [Self::LessThan, Self::GreaterThan, Self::ListType, Self::IncludedIn, Self::Regex];
        let found = known.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(&word));
        Ok(found.unwrap_or(Self::Other(word)))
    }
}
