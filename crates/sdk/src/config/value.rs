use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tributary_protocol::config::{ConfigField, Display, FieldType};

use crate::Secret;

/// A type that a configuration field can have.
pub trait ConfigValue: Sized {
    /// The definition that follows from the type: its kind and display, whether it is required or a secret, and its
    /// options.
    fn field() -> ConfigField;

    /// Reads a field's effective value, which its kind has been applied to already: text for text fields, a number
    /// or null for numbers, and so on.
    ///
    /// # Errors
    /// What is accepted instead, to follow the words "should be" ("a whole number from 0 to 255").
    fn from_value(value: &Value) -> Result<Self, String>;
}

fn field(kind: FieldType, display: Display) -> ConfigField {
    ConfigField { kind, display, required: true, value: Value::Null, ..ConfigField::default() }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a text".to_owned())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

impl ConfigValue for String {
    fn field() -> ConfigField {
        field(FieldType::Str, Display::Text)
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

impl ConfigValue for PathBuf {
    fn field() -> ConfigField {
        field(FieldType::Str, Display::Text)
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match text(value)? {
            path if path.contains('\0') => Err("a path".to_owned()),
            path => Ok(Self::from(path)),
        }
    }
}

impl ConfigValue for bool {
    fn field() -> ConfigField {
        field(FieldType::Bool, Display::Toggle)
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "true or false".to_owned())
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl ConfigValue for $type {
            fn field() -> ConfigField {
                field(FieldType::Int, Display::Numeric)
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                let number = value.as_i64().and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| {
                    // The protocol's whole numbers have 64 bits and a sign.
                    let most = i64::try_from(<$type>::MAX).unwrap_or(i64::MAX);
                    format!("a whole number from {} to {most}", <$type>::MIN)
                })
            }
        }
    )*};
}

whole_numbers!(i32, i64, u8, u16, u32, u64, usize);

impl ConfigValue for f64 {
    /// A text with a numeric display: the Connector APIs know no other number than whole ones.
    fn field() -> ConfigField {
        field(FieldType::Str, Display::Numeric)
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|number| number.is_finite()).ok_or_else(|| "a number".to_owned())
    }
}

impl ConfigValue for Vec<String> {
    fn field() -> ConfigField {
        field(FieldType::List, Display::Textarea)
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| "a list".to_owned())?;
        let item = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        Ok(items.iter().filter(|item| !is_empty(item)).map(item).collect())
    }
}

impl ConfigValue for Duration {
    fn field() -> ConfigField {
        field(FieldType::Str, Display::Text)
    }

    /// Seconds, or a number with one of the units `ms`, `s`, `m`, `h`, `d`.
    fn from_value(value: &Value) -> Result<Self, String> {
        text(value)
            .ok()
            .and_then(duration)
            .ok_or_else(|| "a duration such as 500ms, 30s, 5m, 2h or 1d".to_owned())
    }
}

fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit.trim_start() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    fn field() -> ConfigField {
        ConfigField { required: false, ..T::field() }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        if is_empty(value) { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: ConfigValue> ConfigValue for Secret<T> {
    fn field() -> ConfigField {
        ConfigField { sensitive: true, ..T::field() }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        T::from_value(value).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_outside_their_type_are_refused_with_the_range() {
        assert_eq!(u16::from_value(&json!(65_535)), Ok(65_535));
        assert_eq!(u16::from_value(&json!(65_536)).unwrap_err(), "a whole number from 0 to 65535");
        assert_eq!(u64::from_value(&json!(-1)).unwrap_err(), "a whole number from 0 to 9223372036854775807");
        assert_eq!(f64::from_value(&json!("1.5")), Ok(1.5));
        assert!(f64::from_value(&json!("inf")).is_err());
    }

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("30", Some(Duration::from_secs(30))),
            ("500ms", Some(Duration::from_millis(500))),
            ("2 h", Some(Duration::from_secs(7_200))),
            ("1d", Some(Duration::from_secs(86_400))),
            ("-1s", None),
            ("s", None),
            ("5 weeks", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Duration::from_value(&json!(text)).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_field_follows_from_the_type() {
        let field = <Option<Secret<String>>>::field();
        assert!(!field.required && field.sensitive);
        assert!(String::field().required && !String::field().sensitive);
        assert_eq!(<Vec<String>>::field().kind, FieldType::List);
        assert_eq!(f64::field().kind, FieldType::Str, "the Connector APIs refuse the type float");
    }
}
