//! One scalar of a document, read as its field's type wants it.

use std::net::{IpAddr, Ipv6Addr};

use super::flat::Number;
use crate::error::Cause;
use crate::json::Token;
use crate::mapping::{FieldType, Leaf};

/// Lucene's longest term.
pub(crate) const MAX_TERM_BYTES: usize = 32_766;

/// Why a value does not fit its field.
#[derive(Debug)]
pub(super) struct BadValue {
    pub(super) cause: Cause,
    /// What the error shows instead of the value as written.
    pub(super) preview: Option<String>,
}

fn bad(es_type: &str, reason: impl Into<String>) -> BadValue {
    BadValue { cause: Cause::new(es_type, reason), preview: None }
}

fn illegal(reason: impl Into<String>) -> BadValue {
    bad("illegal_argument_exception", reason)
}

fn token_name(token: &Token<'_>) -> &'static str {
    match token {
        Token::Null => "VALUE_NULL",
        Token::Bool(true) => "VALUE_TRUE",
        Token::Bool(false) => "VALUE_FALSE",
        Token::Number(text) if text.contains(['.', 'e', 'E']) => "VALUE_NUMBER_FLOAT",
        Token::Number(_) => "VALUE_NUMBER_INT",
        Token::Str(_) => "VALUE_STRING",
        Token::ObjectStart => "START_OBJECT",
        Token::ArrayStart => "START_ARRAY",
    }
}

/// A scalar's text, as text and keyword fields see it.
pub(crate) fn scalar_text<'t>(token: &'t Token<'_>) -> Option<&'t str> {
    match token {
        Token::Str(text) => Some(text),
        Token::Number(text) => Some(text),
        Token::Bool(true) => Some("true"),
        Token::Bool(false) => Some("false"),
        _ => None,
    }
}

/// Reads a number, date or boolean; `None` means that the value counts as null.
pub(super) fn number(leaf: &Leaf, token: &Token<'_>) -> Result<Option<Number>, BadValue> {
    match leaf.ty {
        FieldType::Boolean => boolean(token),
        FieldType::Date | FieldType::DateNanos => date(leaf, token).map(Some),
        _ => numeric(leaf, token),
    }
}

fn numeric(leaf: &Leaf, token: &Token<'_>) -> Result<Option<Number>, BadValue> {
    let (text, string) = match token {
        Token::Number(text) => (*text, false),
        Token::Str(text) if leaf.coerce && text.is_empty() => return Ok(None),
        Token::Str(text) if leaf.coerce => (text.trim(), true),
        Token::Str(_) => return Err(illegal(format!("{} value passed as String", java_class(leaf.ty)))),
        other => {
            let name = token_name(other);
            let reason = format!("Current token ({name}) not numeric, can not use numeric value accessors");
            return Err(bad("x_content_parse_exception", reason));
        }
    };
    match leaf.ty.int_bounds() {
        Some(bounds) => integer(leaf, text, string, bounds).map(Some),
        None => float(leaf, text).map(Some),
    }
}

fn java_class(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Integer => "Integer",
        FieldType::Short => "Short",
        FieldType::Byte => "Byte",
        FieldType::Double => "Double",
        FieldType::Float => "Float",
        FieldType::HalfFloat => "HalfFloat",
        _ => "Long",
    }
}

fn integer(leaf: &Leaf, text: &str, string: bool, bounds: (i128, i128, &str)) -> Result<Number, BadValue> {
    let (min, max, name) = bounds;
    let value = match text.parse::<i64>().map(i128::from).or_else(|_| text.parse::<i128>()) {
        Ok(value) => value,
        Err(_) => {
            let numeric = text.parse::<f64>().ok().filter(|_| !text.contains(['n', 'N', 'f', 'i', 'I']));
            let Some(float) = numeric else { return Err(illegal(format!("For input string: \"{text}\""))) };
            if !leaf.coerce && float.fract() != 0.0 {
                return Err(illegal(format!("Value [{text}] has a decimal part")));
            }
            // Saturates, and what saturates is out of range below.
            float.trunc() as i128
        }
    };
    if value < min || value > max {
        if string {
            let article = if leaf.ty == FieldType::Integer { "an integer" } else { "a long" };
            let article = match leaf.ty {
                FieldType::Short => "a short",
                FieldType::Byte => "a byte",
                _ => article,
            };
            return Err(illegal(format!("Value [{text}] is out of range for {article}")));
        }
        let range = if name.starts_with("Java") { String::new() } else { format!(" ({min} - {max})") };
        let reason = format!("Numeric value ({text}) out of range of {name}{range}");
        return Err(bad("x_content_parse_exception", reason));
    }
    Ok(i64::try_from(value).map_or_else(|_| Number::Unsigned(value as u64), Number::Int))
}

fn float(leaf: &Leaf, text: &str) -> Result<Number, BadValue> {
    let Ok(value) = text.parse::<f64>() else {
        return Err(bad("number_format_exception", format!("For input string: \"{text}\"")));
    };
    let value = match leaf.ty {
        FieldType::Float => f64::from(value as f32),
        FieldType::HalfFloat => half(value),
        FieldType::ScaledFloat => (value * leaf.scaling).round() / leaf.scaling,
        _ => value,
    };
    if !value.is_finite() {
        let shown = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        let reason = format!("[{}] supports only finite values, but got [{shown}]", leaf.ty.name());
        return Err(BadValue { preview: Some(shown.to_owned()), ..illegal(reason) });
    }
    Ok(Number::Float(value))
}

/// Rounds to half precision: 11 significant bits.
fn half(value: f64) -> f64 {
    if value.abs() >= 65_520.0 {
        return if value > 0.0 { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    if value == 0.0 {
        return value;
    }
    let exponent = value.abs().log2().floor().max(-14.0);
    let unit = (exponent - 10.0).exp2();
    (value / unit).round_ties_even() * unit
}

fn boolean(token: &Token<'_>) -> Result<Option<Number>, BadValue> {
    match token {
        Token::Bool(on) => Ok(Some(Number::Int(i64::from(*on)))),
        Token::Str(text) => match text.as_ref() {
            "true" => Ok(Some(Number::Int(1))),
            "false" | "" => Ok(Some(Number::Int(0))),
            other => Err(illegal(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        },
        other => {
            let reason = format!("Current token ({}) not of boolean type", token_name(other));
            Err(bad("x_content_parse_exception", reason))
        }
    }
}

fn date(leaf: &Leaf, token: &Token<'_>) -> Result<Number, BadValue> {
    let text = scalar_text(token).ok_or_else(|| illegal("Cannot parse object or array as a date value"))?;
    if let Some(millis) = leaf.formats.parse(text, false, 0) {
        return Ok(Number::Int(millis));
    }
    let reason = format!("failed to parse date field [{text}] with format [{}]", leaf.formats.spec());
    let mut error = illegal(reason);
    let inner = Cause::new("date_time_parse_exception", "Failed to parse with all enclosed parsers");
    error.cause.caused_by = Some(Box::new(inner));
    Err(error)
}

/// The one way an address is written.
pub(crate) fn canonical_ip(text: &str) -> Option<String> {
    let ip: IpAddr = text.parse().ok()?;
    Some(match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| v6.to_string(), |v4| v4.to_string()),
    })
}

/// An address as a number, IPv4 mapped into IPv6.
pub(crate) fn ip_number(text: &str) -> Option<u128> {
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(Ipv6Addr::from(v6.octets())),
    })
}

/// The error of a term too long for Lucene.
pub(super) fn check_term(path: &str, text: &str) -> Result<(), BadValue> {
    if text.len() <= MAX_TERM_BYTES {
        return Ok(());
    }
    let prefix: Vec<String> = text.bytes().take(30).map(|b| b.to_string()).collect();
    Err(illegal(format!(
        "Document contains at least one immense term in field=\"{path}\" (whose UTF8 encoding is longer than the max length \
         {MAX_TERM_BYTES}), all of which were skipped. Please correct the analyzer to not produce such terms. The prefix of \
         the first immense term is: '[{}]...'",
        prefix.join(", ")
    )))
}

/// The address of an `ip` field.
pub(super) fn ip(token: &Token<'_>) -> Result<String, BadValue> {
    let text = scalar_text(token).unwrap_or_default();
    canonical_ip(text).ok_or_else(|| illegal(format!("'{text}' is not an IP string literal.")))
}

/// The cause given for an object where a scalar belongs; `at` is its position.
pub(super) fn object_cause(ty: FieldType, at: (usize, usize)) -> Cause {
    let reason = if ty.is_date() {
        "Cannot parse object or array as a date value".to_owned()
    } else if ty.is_number() {
        "Cannot parse object as number".to_owned()
    } else {
        format!("Expected text at {}:{} but found START_OBJECT", at.0, at.1)
    };
    Cause::new("illegal_argument_exception", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_rounds_like_hardware() {
        let table = [
            (1.0, 1.0),
            (0.1, 0.099_975_585_937_5),
            (65_504.0, 65_504.0),
            (2049.0, 2048.0),
            (-3.3, -3.300_781_25),
        ];
        for (value, wanted) in table {
            assert_eq!(half(value), wanted);
        }
        assert!(half(1e6).is_infinite());
    }

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(canonical_ip("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(canonical_ip("2001:DB8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(canonical_ip("zzz"), None);
        assert!(ip_number("10.0.0.2") > ip_number("10.0.0.1"));
    }
}
