//! Values as the server sends them in binary form, to JSON and to key values. Nothing here fails: bytes of an unexpected
//! form become text.

use serde_json::Value;
use tokio_postgres::types::{Kind, Type};
use tributary_sql::KeyValue;
use tributary_sql::value::{self, Moment};

use crate::geometry;
use crate::wire::{self, Bytes};

/// Microseconds and days from 1970 to 2000, where the server counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;
/// What other implementations make of `infinity`: the last and the first moment of their calendars.
const LAST: &str = "9999-12-31";
const FIRST: &str = "0001-01-01";
const LAST_TIME: &str = "23:59:59.999999";
const FIRST_TIME: &str = "00:00:00";

/// Whether [`json`] reads values of this type; others are asked for as text.
pub(crate) fn is_known(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Simple => is_simple(kind),
        Kind::Array(element) => matches!(element.kind(), Kind::Simple) && is_simple(element),
        _ => false,
    }
}

fn is_simple(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::BOOL
            | Type::INT2
            | Type::INT4
            | Type::INT8
            | Type::OID
            | Type::FLOAT4
            | Type::FLOAT8
            | Type::NUMERIC
            | Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
            | Type::XML
            | Type::JSON
            | Type::JSONB
            | Type::BYTEA
            | Type::DATE
            | Type::TIME
            | Type::TIMETZ
            | Type::TIMESTAMP
            | Type::TIMESTAMPTZ
            | Type::UUID
            | Type::INET
            | Type::CIDR
            | Type::MACADDR
            | Type::BIT
            | Type::VARBIT
            | Type::POINT
            | Type::LSEG
            | Type::BOX
            | Type::PATH
            | Type::POLYGON
            | Type::LINE
            | Type::CIRCLE
    )
}

/// A value as it stands in a document.
pub(crate) fn json(kind: &Type, raw: Option<&[u8]>) -> Value {
    let Some(raw) = raw else { return Value::Null };
    if let Kind::Array(element) = kind.kind() {
        return array(element, raw).unwrap_or_else(|| value::text(raw));
    }
    simple(kind, raw).unwrap_or_else(|| value::text(raw))
}

fn simple(kind: &Type, raw: &[u8]) -> Option<Value> {
    let mut bytes = Bytes(raw);
    Some(match *kind {
        Type::BOOL => Value::from(bytes.u8()? != 0),
        Type::INT2 => Value::from(bytes.i16()?),
        Type::INT4 => Value::from(bytes.i32()?),
        Type::INT8 => Value::from(bytes.i64()?),
        Type::OID => Value::from(bytes.u32()?),
        Type::FLOAT4 => value::single(f32::from_bits(bytes.u32()?)),
        Type::FLOAT8 => value::float(bytes.f64()?),
        Type::NUMERIC => match wire::short_numeric(raw) {
            Some(number) => Value::Number(number),
            None => value::decimal(&wire::numeric(raw)?),
        },
        Type::JSON => value::json(raw),
        Type::JSONB => value::json(raw.get(1..)?),
        Type::BYTEA => value::bytes(raw),
        Type::TIMETZ => {
            let (micros, west) = (bytes.i64()?, bytes.i32()?);
            Value::from(value::time_of_day(micros) + &value::offset(west.saturating_neg()))
        }
        Type::TIME => Value::from(value::time_of_day(bytes.i64()?)),
        Type::DATE => Value::from(date(bytes.i32()?)),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            Value::from(moment(bytes.i64()?, *kind == Type::TIMESTAMPTZ, 'T'))
        }
        Type::UUID => Value::from(wire::uuid(raw)?),
        Type::INET | Type::CIDR => Value::from(wire::network(raw)?),
        Type::MACADDR => Value::from(wire::mac(raw)),
        Type::BIT | Type::VARBIT => Value::from(value::bits(usize::try_from(bytes.i32()?).ok()?, bytes.0)),
        Type::POINT | Type::LSEG | Type::BOX | Type::PATH | Type::POLYGON | Type::LINE | Type::CIRCLE => {
            Value::from(geometry::text(kind, raw)?)
        }
        _ => value::text(raw),
    })
}

/// A value as it stands in an id, and as the server reads it back.
pub(crate) fn key(kind: &Type, raw: Option<&[u8]>) -> KeyValue {
    let Some(raw) = raw else { return KeyValue::Null };
    simple_key(kind, raw).unwrap_or_else(|| match json(kind, Some(raw)) {
        Value::String(text) => KeyValue::Text(text),
        other => KeyValue::Text(other.to_string()),
    })
}

fn simple_key(kind: &Type, raw: &[u8]) -> Option<KeyValue> {
    let mut bytes = Bytes(raw);
    let other = |text: String, literal: String| KeyValue::Other { text, literal };
    Some(match *kind {
        Type::INT2 => KeyValue::Int(bytes.i16()?.into()),
        Type::INT4 => KeyValue::Int(bytes.i32()?.into()),
        Type::INT8 => KeyValue::Int(bytes.i64()?),
        Type::OID => KeyValue::Unsigned(bytes.u32()?.into()),
        Type::BOOL if bytes.u8()? != 0 => other("True".to_owned(), "true".to_owned()),
        Type::BOOL => other("False".to_owned(), "false".to_owned()),
        Type::NUMERIC => {
            let text = wire::numeric(raw)?;
            other(value::decimal_in_id(&text), text)
        }
        Type::FLOAT4 => {
            let single = f32::from_bits(bytes.u32()?);
            other(value::float_in_id(single.into()), single.to_string())
        }
        Type::FLOAT8 => {
            let double = bytes.f64()?;
            other(value::float_in_id(double), double.to_string())
        }
        Type::BYTEA => {
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            other(value::bytes_in_id(raw), format!("\\x{hex}"))
        }
        Type::DATE => {
            let days = bytes.i32()?;
            other(
                date(days),
                infinity(days == i32::MAX, days == i32::MIN)
                    .map_or_else(|| literal_date(days), str::to_owned),
            )
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = bytes.i64()?;
            let utc = *kind == Type::TIMESTAMPTZ;
            let literal = infinity(micros == i64::MAX, micros == i64::MIN);
            other(
                moment(micros, utc, ' '),
                literal.map_or_else(|| literal_moment(micros, utc), str::to_owned),
            )
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
            KeyValue::Text(String::from_utf8_lossy(raw).into_owned())
        }
        Type::BIT | Type::VARBIT => {
            let text = value::bits(usize::try_from(bytes.i32()?).ok()?, bytes.0);
            let literal = text.replace(' ', "");
            other(text, literal)
        }
        _ => return None,
    })
}

fn infinity(is_last: bool, is_first: bool) -> Option<&'static str> {
    match (is_last, is_first) {
        (true, _) => Some("infinity"),
        (_, true) => Some("-infinity"),
        _ => None,
    }
}

fn date(days: i32) -> String {
    match days {
        i32::MAX => LAST.to_owned(),
        i32::MIN => FIRST.to_owned(),
        days => value::date(i64::from(days) + EPOCH_DAYS),
    }
}

fn moment(micros: i64, utc: bool, between: char) -> String {
    let zone = if utc { "+00:00" } else { "" };
    match micros {
        i64::MAX => format!("{LAST}{between}{LAST_TIME}{zone}"),
        i64::MIN => format!("{FIRST}{between}{FIRST_TIME}{zone}"),
        micros => {
            let moment = Moment { micros: micros.saturating_add(EPOCH_MICROS), utc };
            if between == 'T' { moment.iso() } else { moment.in_id() }
        }
    }
}

/// The server writes years before the first with `BC`, and large ones without a sign.
fn literal_date(days: i32) -> String {
    server_year(&value::date(i64::from(days) + EPOCH_DAYS))
}

fn literal_moment(micros: i64, utc: bool) -> String {
    server_year(&Moment { micros: micros.saturating_add(EPOCH_MICROS), utc }.in_id())
}

fn server_year(iso: &str) -> String {
    if let Some(rest) = iso.strip_prefix('+') {
        return rest.to_owned();
    }
    let (negative, rest) = iso.strip_prefix('-').map_or((false, iso), |rest| (true, rest));
    let Some((year, rest)) = rest.split_once('-') else { return iso.to_owned() };
    match (negative, year.parse::<i64>()) {
        (true, Ok(year)) => format!("{:04}-{rest} BC", year + 1),
        (false, Ok(0)) => format!("0001-{rest} BC"),
        _ => iso.to_owned(),
    }
}

/// An array of any number of dimensions.
fn array(element: &Type, raw: &[u8]) -> Option<Value> {
    let mut bytes = Bytes(raw);
    let dimensions = usize::try_from(bytes.i32()?).ok()?;
    let (_has_nulls, _element) = (bytes.i32()?, bytes.u32()?);
    let mut lengths = Vec::with_capacity(dimensions.min(8));
    for _ in 0..dimensions {
        lengths.push(usize::try_from(bytes.i32()?).ok()?);
        let _lower_bound = bytes.i32()?;
    }
    if lengths.is_empty() {
        return Some(Value::Array(Vec::new()));
    }
    level(element, &lengths, &mut bytes)
}

fn level(element: &Type, lengths: &[usize], bytes: &mut Bytes<'_>) -> Option<Value> {
    let (&length, inner) = lengths.split_first()?;
    let mut items = Vec::with_capacity(length.min(bytes.0.len()));
    for _ in 0..length {
        items.push(if inner.is_empty() {
            let item = bytes.sized()?;
            json(element, item)
        } else {
            level(element, inner, bytes)?
        });
    }
    Some(Value::Array(items))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_written_as_the_server_reads_them() {
        for (iso, server) in [
            ("2024-01-02", "2024-01-02"),
            ("+10000-01-01", "10000-01-01"),
            ("0000-05-06 01:02:03", "0001-05-06 01:02:03 BC"),
            ("-0043-03-15", "0044-03-15 BC"),
        ] {
            assert_eq!(server_year(iso), server);
        }
    }

    #[test]
    fn bytes_of_an_unexpected_form_become_text() {
        for kind in
            [Type::INT8, Type::NUMERIC, Type::DATE, Type::UUID, Type::INET, Type::POLYGON, Type::INT4_ARRAY]
        {
            assert!(json(&kind, Some(b"x")).is_string(), "{kind}");
            assert!(matches!(key(&kind, Some(b"x")), KeyValue::Text(_)), "{kind}");
        }
        assert_eq!((json(&Type::INT8, None), key(&Type::INT8, None)), (Value::Null, KeyValue::Null));
    }
}
