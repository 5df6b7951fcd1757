//! Values as the server sends them in binary form, to JSON and to key values. Nothing here fails: what is not known
//! becomes text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mysql_async::Column;
use mysql_async::Value as Raw;
use mysql_async::consts::ColumnType;
use serde_json::Value;
use tributary_sql::KeyValue;
use tributary_sql::value;

use crate::geometry;

/// The character set of bytes that are no text.
const BINARY: u16 = 63;

/// What of a column decides how its values are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) of: ColumnType,
    pub(crate) is_binary: bool,
}

impl Kind {
    pub(crate) fn new(column: &Column) -> Self {
        Self { of: column.column_type(), is_binary: column.character_set() == BINARY }
    }
}

/// About how many bytes a value takes.
pub(crate) fn size(raw: &Raw) -> usize {
    match raw {
        Raw::NULL => 0,
        Raw::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// A value as it stands in a document.
pub(crate) fn json(kind: Kind, raw: &Raw) -> Value {
    match raw {
        Raw::NULL => Value::Null,
        Raw::Int(number) => Value::from(*number),
        Raw::UInt(number) => Value::from(*number),
        Raw::Float(number) => value::single(*number),
        Raw::Double(number) => value::float(*number),
        // No day of a calendar: a date field would refuse the whole document.
        Raw::Date(_, 0, ..) | Raw::Date(_, _, 0, ..) => Value::Null,
        Raw::Date(..) => Value::from(moment(kind, raw, 'T')),
        Raw::Time(..) => Value::from(time(raw)),
        Raw::Bytes(bytes) => of_bytes(kind, bytes),
    }
}

fn of_bytes(kind: Kind, bytes: &[u8]) -> Value {
    match kind.of {
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            std::str::from_utf8(bytes).map_or_else(|_| value::text(bytes), value::decimal)
        }
        ColumnType::MYSQL_TYPE_BIT => bit(bytes).map_or_else(|| value::bytes(bytes), Value::from),
        ColumnType::MYSQL_TYPE_GEOMETRY => {
            geometry::text(bytes).map_or_else(|| Value::from(STANDARD.encode(bytes)), Value::from)
        }
        ColumnType::MYSQL_TYPE_JSON => value::text(bytes),
        _ if kind.is_binary => value::bytes(bytes),
        _ => value::text(bytes),
    }
}

fn bit(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// A value as it stands in an id, and as the server reads it back.
pub(crate) fn key(kind: Kind, raw: &Raw) -> KeyValue {
    let other = |text: String, literal: String| KeyValue::Other { text, literal };
    match raw {
        Raw::NULL => KeyValue::Null,
        Raw::Int(number) => KeyValue::Int(*number),
        Raw::UInt(number) => KeyValue::Unsigned(*number),
        // As wide as the server compares it.
        Raw::Float(number) => {
            let shown = number.to_string().parse().unwrap_or(f64::from(*number));
            other(value::float_in_id(shown), f64::from(*number).to_string())
        }
        Raw::Double(number) => other(value::float_in_id(*number), number.to_string()),
        Raw::Date(..) => {
            // A time of the world is told apart from others by its number alone, so no zone stands in an id.
            let plain = Kind {
                of: if kind.of == ColumnType::MYSQL_TYPE_DATE {
                    kind.of
                } else {
                    ColumnType::MYSQL_TYPE_DATETIME
                },
                ..kind
            };
            KeyValue::Text(moment(plain, raw, ' '))
        }
        Raw::Time(..) => KeyValue::Text(time(raw)),
        Raw::Bytes(bytes) => match kind.of {
            ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                other(value::decimal_in_id(&text), text)
            }
            ColumnType::MYSQL_TYPE_BIT => {
                let literal = bit(bytes).unwrap_or_default().to_string();
                other(value::bytes_in_id(bytes), literal)
            }
            _ if kind.is_binary => {
                let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                other(value::bytes_in_id(bytes), hex)
            }
            _ => KeyValue::Text(String::from_utf8_lossy(bytes).into_owned()),
        },
    }
}

fn moment(kind: Kind, raw: &Raw, between: char) -> String {
    let Raw::Date(year, month, day, hour, minute, second, micros) = raw else { return String::new() };
    let date = format!("{year:04}-{month:02}-{day:02}");
    if matches!(kind.of, ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE) {
        return date;
    }
    let fraction = if *micros == 0 { String::new() } else { format!(".{micros:06}") };
    let zone = match kind.of {
        ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2 => "+00:00",
        _ => "",
    };
    format!("{date}{between}{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
}

/// Hours go beyond a day, and may be negative.
fn time(raw: &Raw) -> String {
    let Raw::Time(negative, days, hours, minutes, seconds, micros) = raw else { return String::new() };
    let sign = if *negative { "-" } else { "" };
    let hours = u64::from(*days) * 24 + u64::from(*hours);
    let fraction = if *micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}
