//! Reading documents that others wrote: null is the same as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{Time, time};

/// Null reads as the default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
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
        let refuse = |shown: String| serde::de::Error::custom(format!("{shown} is no instant such as 2026-01-01T00:00:00Z"));
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
