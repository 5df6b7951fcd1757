//! `convert`: a value of another type.

use std::net::IpAddr;

use serde_json::{Number, Value, json};

use super::doc::{IngestDoc, missing};
use super::processor::{Options, property};
use super::template::shown;
use crate::http::{ApiError, Result};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Long,
    Float,
    Boolean,
    Text,
    Ip,
    Auto,
}

#[derive(Debug)]
pub(super) struct Convert {
    field: String,
    target: String,
    kind: Kind,
    ignore_missing: bool,
}

impl Convert {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let kind = options.required_text("type")?;
        let target = options.text("target_field")?.unwrap_or_else(|| field.clone());
        let kind = match kind.to_ascii_lowercase().as_str() {
            "integer" => Kind::Integer,
            "long" => Kind::Long,
            "float" | "double" => Kind::Float,
            "boolean" => Kind::Boolean,
            "string" => Kind::Text,
            "ip" => Kind::Ip,
            "auto" => Kind::Auto,
            other => {
                return Err(property(
                    "type",
                    &format!("type [{other}] not supported, cannot convert field."),
                ));
            }
        };
        Ok(Self { field, target, kind, ignore_missing: options.flag("ignore_missing", false)? })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let value = match doc.get(&self.field) {
            None | Some(Value::Null) if self.ignore_missing => return Ok(()),
            None => return Err(missing(&self.field)),
            Some(Value::Null) => {
                return Err(ApiError::illegal(format!(
                    "Field [{}] is null, cannot be converted to type",
                    self.field
                )));
            }
            Some(Value::Array(items)) => {
                Value::Array(items.iter().map(|item| self.one(item)).collect::<Result<_>>()?)
            }
            Some(one) => self.one(&one)?,
        };
        doc.set(&self.target, value)
    }

    fn one(&self, value: &Value) -> Result<Value> {
        let text = shown(value);
        let unable = |what: &str| ApiError::illegal(format!("unable to convert [{text}] to {what}"));
        let whole = || {
            let hex = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
            hex.or_else(|| text.parse::<i64>().ok())
        };
        match self.kind {
            Kind::Integer => whole()
                .filter(|n| i32::try_from(*n).is_ok())
                .map(Value::from)
                .ok_or_else(|| unable("integer")),
            Kind::Long => whole().map(Value::from).ok_or_else(|| unable("long")),
            Kind::Float => {
                let number = text.parse().ok().and_then(Number::from_f64);
                number.map(Value::Number).ok_or_else(|| unable("float"))
            }
            Kind::Boolean => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(json!(true)),
                "false" => Ok(json!(false)),
                _ => Err(ApiError::illegal(format!(
                    "[{text}] is not a boolean value, cannot convert to boolean"
                ))),
            },
            Kind::Text => Ok(Value::String(text)),
            Kind::Ip if text.parse::<IpAddr>().is_ok() => Ok(Value::String(text)),
            Kind::Ip => Err(ApiError::illegal(format!("'{text}' is not an IP string literal."))),
            Kind::Auto if !value.is_string() => Ok(value.clone()),
            Kind::Auto => Ok(match text.as_str() {
                "true" => json!(true),
                "false" => json!(false),
                _ => text
                    .parse::<i64>()
                    .map(Value::from)
                    .ok()
                    .or_else(|| text.parse().ok().and_then(Number::from_f64).map(Value::Number))
                    .unwrap_or(Value::String(text)),
            }),
        }
    }
}
