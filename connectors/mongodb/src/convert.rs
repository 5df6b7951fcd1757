//! From BSON to JSON: total, so that no value of any type stops a sync.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bson::raw::{RawBinaryRef, RawBsonRef, RawDocument};
use bson::spec::BinarySubtype;
use bson::{Binary, UuidRepresentation};
use chrono::{DateTime, Timelike as _};
use serde_json::{Map, Number, Value, json};
use tributary_sdk::{Error, ErrorKind, Result};

use crate::config::DateMode;

/// The first and last millisecond that has a date.
const DATES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// How what has no JSON of its own is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converter {
    pub(crate) dates: DateMode,
    /// What UUIDs of the old kind mean; without it they are bytes.
    pub(crate) legacy_uuids: Option<UuidRepresentation>,
}

impl Converter {
    /// The members of a document.
    pub(crate) fn document(self, document: &RawDocument) -> Result<Map<String, Value>> {
        let mut members = Map::new();
        for member in document {
            let (name, value) = member.map_err(unreadable)?;
            members.insert(name.as_str().to_owned(), self.value(value)?);
        }
        Ok(members)
    }

    /// One value.
    pub(crate) fn value(self, value: RawBsonRef<'_>) -> Result<Value> {
        Ok(match value {
            RawBsonRef::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
            RawBsonRef::String(text) | RawBsonRef::Symbol(text) | RawBsonRef::JavaScriptCode(text) => {
                text.into()
            }
            RawBsonRef::Array(items) => {
                let item = |item: bson::error::Result<RawBsonRef<'_>>| self.value(item.map_err(unreadable)?);
                items.into_iter().map(item).collect::<Result<Vec<_>>>()?.into()
            }
            RawBsonRef::Document(document) => Value::Object(self.document(document)?),
            RawBsonRef::Boolean(value) => value.into(),
            RawBsonRef::Null | RawBsonRef::Undefined => Value::Null,
            RawBsonRef::RegularExpression(regex) => {
                format!("/{}/{}", regex.pattern.as_str(), regex.options.as_str()).into()
            }
            RawBsonRef::JavaScriptCodeWithScope(code) => {
                json!({ "$code": code.code, "$scope": self.document(code.scope)? })
            }
            RawBsonRef::Int32(number) => number.into(),
            RawBsonRef::Int64(number) => number.into(),
            RawBsonRef::Timestamp(stamp) => json!({ "t": stamp.time, "i": stamp.increment }),
            RawBsonRef::Binary(binary) => self.binary(binary),
            RawBsonRef::ObjectId(id) => id.to_hex().into(),
            RawBsonRef::DateTime(date) => self.date(date.timestamp_millis())?,
            RawBsonRef::Decimal128(number) => decimal(&number.to_string()),
            RawBsonRef::MaxKey => "MaxKey".into(),
            RawBsonRef::MinKey => "MinKey".into(),
            RawBsonRef::DbPointer(pointer) => bson::Bson::try_from(RawBsonRef::DbPointer(pointer))
                .map_err(unreadable)?
                .into_relaxed_extjson(),
        })
    }

    fn binary(self, binary: RawBinaryRef<'_>) -> Value {
        let uuid = match (binary.subtype, self.legacy_uuids) {
            (BinarySubtype::Uuid, _) => owned(binary).to_uuid().ok(),
            (BinarySubtype::UuidOld, Some(kind)) => owned(binary).to_uuid_with_representation(kind).ok(),
            _ => None,
        };
        uuid.map_or_else(|| BASE64_STANDARD.encode(binary.bytes), |uuid| uuid.to_string()).into()
    }

    fn date(self, milliseconds: i64) -> Result<Value> {
        let in_range = milliseconds.clamp(*DATES.start(), *DATES.end());
        match self.dates {
            DateMode::Milliseconds => return Ok(milliseconds.into()),
            DateMode::Auto if in_range != milliseconds => return Ok(milliseconds.into()),
            DateMode::Refuse if in_range != milliseconds => {
                let message =
                    format!("a date of {milliseconds} ms since 1970 is outside of the years 1 to 9999");
                let hint = "set 'Out-of-range date handling' to another value than 'Raise an error'";
                return Err(Error::new(ErrorKind::InvalidData, message).hint(hint));
            }
            _ => {}
        }
        let date = DateTime::from_timestamp_millis(in_range).unwrap_or_default();
        let form = if date.nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S%.6f" };
        Ok(date.format(form).to_string().into())
    }
}

fn owned(binary: RawBinaryRef<'_>) -> Binary {
    Binary { subtype: binary.subtype, bytes: binary.bytes.to_vec() }
}

fn unreadable(error: bson::error::Error) -> Error {
    Error::new(ErrorKind::InvalidData, "the document holds something that is no BSON").because(error)
}

/// A number where that is exact; else a text with all digits, which an index with numbers takes too.
fn decimal(text: &str) -> Value {
    let Ok(number) = text.parse::<f64>() else { return Value::Null };
    if !number.is_finite() {
        // An infinity of its own means nothing to an index; a number that is too large for a double is kept.
        return if text.contains(|c: char| c.is_ascii_digit()) { text.into() } else { Value::Null };
    }
    if digits(text) == digits(&format!("{number:e}")) {
        return Number::from_f64(number).map_or(Value::Null, Value::Number);
    }
    text.into()
}

/// The digits that count, and the power of ten of the first: equal for equal numbers.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{part}");
    let counting = all.trim_start_matches('0');
    if counting.is_empty() {
        return Some((negative, String::new(), 0));
    }
    let leading = i64::try_from(all.len() - counting.len()).ok()?;
    let power = exponent + i64::try_from(whole.len()).ok()? - leading;
    Some((negative, counting.trim_end_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, DbPointer, Decimal128, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp, doc};

    fn converter(dates: DateMode) -> Converter {
        Converter { dates, legacy_uuids: None }
    }

    fn converted(value: impl Into<Bson>) -> Value {
        try_converted(converter(DateMode::Refuse), value).unwrap()
    }

    fn try_converted(converter: Converter, value: impl Into<Bson>) -> Result<Value> {
        let document = RawDocumentBuf::try_from(&doc! { "v": value.into() }).unwrap();
        Ok(converter.document(&document)?.remove("v").unwrap())
    }

    fn regex(pattern: &str, options: &str) -> Regex {
        let text = |text: &str| text.to_owned().try_into().unwrap();
        Regex { pattern: text(pattern), options: text(options) }
    }

    fn date(milliseconds: i64) -> bson::DateTime {
        bson::DateTime::from_millis(milliseconds)
    }

    #[test]
    fn every_type_has_its_json() {
        let id = "65a1b2c3d4e5f60718293a4b";
        for (value, expected) in [
            (Bson::from(1.5), json!(1.5)),
            (Bson::from(1.0), json!(1.0)),
            (Bson::from("a"), json!("a")),
            (Bson::from(vec![1, 2]), json!([1, 2])),
            (doc! { "a": { "b": [doc! { "c": Bson::Null }] } }.into(), json!({"a": {"b": [{"c": null}]}})),
            (true.into(), json!(true)),
            (Bson::Null, json!(null)),
            (Bson::Undefined, json!(null)),
            (5_i32.into(), json!(5)),
            (i64::MAX.into(), json!(9_223_372_036_854_775_807_i64)),
            (i64::MIN.into(), json!(-9_223_372_036_854_775_808_i64)),
            (bson::oid::ObjectId::parse_str(id).unwrap().into(), json!(id)),
            (date(1_577_840_523_456).into(), json!("2020-01-01T01:02:03.456000")),
            (date(1_577_840_523_000).into(), json!("2020-01-01T01:02:03")),
            (date(-62_135_596_800_000).into(), json!("0001-01-01T00:00:00")),
            (Timestamp { time: 7, increment: 9 }.into(), json!({"t": 7, "i": 9})),
            (Bson::RegularExpression(regex("^a.*", "i")), json!("/^a.*/i")),
            (Bson::JavaScriptCode("f()".to_owned()), json!("f()")),
            (
                JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! { "x": 1 } }.into(),
                json!({"$code": "f()", "$scope": {"x": 1}}),
            ),
            (Bson::Symbol("s".to_owned()), json!("s")),
            (Bson::MinKey, json!("MinKey")),
            (Bson::MaxKey, json!("MaxKey")),
            (Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] }.into(), json!("AP8=")),
            (Binary { subtype: BinarySubtype::Md5, bytes: vec![1] }.into(), json!("AQ==")),
        ] {
            assert_eq!(converted(value.clone()), expected, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_null() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(converted(number), json!(null));
        }
        for text in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(converted(text.parse::<Decimal128>().unwrap()), json!(null), "{text}");
        }
    }

    #[test]
    fn decimals_are_numbers_where_that_is_exact_and_else_keep_their_digits() {
        for (text, expected) in [
            ("0.1", json!(0.1)),
            ("1.50", json!(1.5)),
            ("-2E+3", json!(-2000.0)),
            ("0", json!(0.0)),
            ("0.1000000000000000000001", json!("0.1000000000000000000001")),
            ("9007199254740993", json!("9007199254740993")),
            ("1E+6000", json!("1E+6000")),
        ] {
            assert_eq!(converted(text.parse::<Decimal128>().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn uuids_are_texts_and_old_ones_where_their_kind_is_known() {
        let bytes: Vec<u8> = (0..16).collect();
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: bytes.clone() };
        assert_eq!(converted(uuid), json!("00010203-0405-0607-0809-0a0b0c0d0e0f"));
        let old = Binary { subtype: BinarySubtype::UuidOld, bytes: bytes.clone() };
        assert_eq!(converted(old.clone()), json!("AAECAwQFBgcICQoLDA0ODw=="), "unknown kind: the bytes");
        for (kind, expected) in [
            (UuidRepresentation::PythonLegacy, "00010203-0405-0607-0809-0a0b0c0d0e0f"),
            (UuidRepresentation::JavaLegacy, "07060504-0302-0100-0f0e-0d0c0b0a0908"),
            (UuidRepresentation::CSharpLegacy, "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        ] {
            let converter = Converter { legacy_uuids: Some(kind), ..converter(DateMode::Refuse) };
            assert_eq!(try_converted(converter, old.clone()).unwrap(), json!(expected));
        }
        let short = Binary { subtype: BinarySubtype::Uuid, bytes: vec![1] };
        assert_eq!(converted(short), json!("AQ=="), "not 16 bytes");
    }

    #[test]
    fn dates_out_of_range_are_dealt_with_as_configured() {
        let (early, late) = (date(i64::MIN), date(253_402_300_800_000));
        let with = |mode, date: bson::DateTime| try_converted(converter(mode), date);
        assert!(with(DateMode::Refuse, late).unwrap_err().hint_text().is_some());
        assert_eq!(with(DateMode::Clamp, late).unwrap(), json!("9999-12-31T23:59:59.999000"));
        assert_eq!(with(DateMode::Clamp, early).unwrap(), json!("0001-01-01T00:00:00"));
        assert_eq!(with(DateMode::Auto, late).unwrap(), json!(253_402_300_800_000_i64));
        assert_eq!(with(DateMode::Auto, early).unwrap(), json!(i64::MIN));
        assert_eq!(with(DateMode::Auto, date(0)).unwrap(), json!("1970-01-01T00:00:00"));
        assert_eq!(with(DateMode::Milliseconds, date(5)).unwrap(), json!(5));
    }

    #[test]
    fn references_are_objects() {
        let reference = doc! { "$ref": "c", "$id": 5, "$db": "d" };
        assert_eq!(converted(reference), json!({"$ref": "c", "$id": 5, "$db": "d"}));
        let pointer = serde_json::from_value::<DbPointer>(json!({
            "$dbPointer": {"$ref": "c", "$id": {"$oid": "65a1b2c3d4e5f60718293a4b"}}
        }));
        if let Ok(pointer) = pointer {
            assert!(converted(Bson::DbPointer(pointer)).to_string().contains("65a1b2c3d4e5f60718293a4b"));
        }
    }

    #[test]
    fn a_document_that_is_no_bson_is_an_error_and_no_panic() {
        // {"a": "\xff"}
        let bytes = [14, 0, 0, 0, 2, b'a', 0, 2, 0, 0, 0, 0xFF, 0, 0];
        let document = RawDocument::from_bytes(&bytes).unwrap();
        let error = converter(DateMode::Refuse).document(document).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
