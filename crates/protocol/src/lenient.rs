//! Reading documents that others wrote: null is the same as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::{Time, time};

/// Null reads as the default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a document by `read`. The error names the member that cannot be read, where it is one.
pub(crate) fn named<'de, D, T>(
    deserializer: D,
    read: fn(&Value) -> serde_json::Result<T>,
    required: &[&str],
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let document = Value::Object(Map::deserialize(deserializer)?);
    read(&document).map_err(|error| {
        let (text, absent) = (error.to_string(), required.iter().any(|name| document.get(name).is_none()));
        let culprit = if absent { None } else { culprit(document, &text, read) };
        serde::de::Error::custom(
            culprit.map_or_else(|| text.clone(), |name| format!("field '{name}': {text}")),
        )
    })
}

/// The member without which reading does not fail in this way.
fn culprit<T>(document: Value, error: &str, read: fn(&Value) -> serde_json::Result<T>) -> Option<String> {
    let Value::Object(members) = document else { return None };
    let differs = |name: &str| {
        let mut without = members.clone();
        without.shift_remove(name);
        read(&Value::Object(without)).map_or_else(|other| other.to_string() != error, |_| true)
    };
    members.keys().find(|name| differs(name)).cloned()
}

/// A flag, also as text; null reads as yes.
pub(crate) fn flag_or_yes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    flag(&Value::deserialize(deserializer)?, true).map_err(serde::de::Error::custom)
}

/// A flag, also as text; null reads as no.
pub(crate) fn flag_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    flag(&Value::deserialize(deserializer)?, false).map_err(serde::de::Error::custom)
}

fn flag(value: &Value, when_null: bool) -> Result<bool, String> {
    match value {
        Value::Null => Ok(when_null),
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(format!("{other} is neither true nor false")),
    }
}

/// A whole number, also with a fraction of zero or as text; null reads as 0.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    optional_whole(deserializer).map(Option::unwrap_or_default)
}

/// A whole number, also with a fraction of zero or as text, or nothing.
pub(crate) fn optional_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = match &value {
        Value::Null => return Ok(None),
        Value::Number(number) => whole_number(number),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    read.map(Some).ok_or_else(|| serde::de::Error::custom(format!("{value} is no whole number")))
}

/// A number that is whole; none where it has a fraction, or 64 bits do not hold it.
pub(crate) fn whole_number(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| number.as_f64().filter(|n| n.fract() == 0.0).and_then(to_whole))
}

/// A number without its fraction; none where 64 bits do not hold it.
pub(crate) fn to_whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

/// A text; a number or flag reads as the text it spells, null as none.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
        other => Err(serde::de::Error::custom(format!("{other} is no text"))),
    }
}

/// An array, one item instead of an array of one, or nothing.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    many(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// An item, the first of an array, or nothing; an empty object is nothing too.
pub(crate) fn one_or_first<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let all = many(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)?;
    Ok(all.into_iter().next())
}

fn many<T: DeserializeOwned>(value: Value) -> serde_json::Result<Vec<T>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(object) if object.is_empty() => Ok(Vec::new()),
        Value::Array(items) => items.into_iter().map(serde_json::from_value).collect(),
        one => Ok(vec![serde_json::from_value(one)?]),
    }
}

/// An optional instant, as `#[serde(with = "…")]`.
pub(crate) mod instant {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Time, Value, time};

    pub(crate) fn serialize<S: Serializer>(instant: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        instant.map(time::format).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let refuse = |shown: String| {
            serde::de::Error::custom(format!("{shown} is no instant such as 2026-01-01T00:00:00Z"))
        };
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => time::parse(&text).map(Some).ok_or_else(|| refuse(format!("'{text}'"))),
            Value::Number(number) => {
                let instant = number.as_i64().and_then(Time::from_timestamp_millis);
                instant.map(Some).ok_or_else(|| refuse(number.to_string()))
            }
            other => Err(refuse(other.to_string())),
        }
    }
}
