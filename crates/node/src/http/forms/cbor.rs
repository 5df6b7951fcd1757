//! CBOR (RFC 8949), as much of it as has a counterpart in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Json;

const BREAK: u8 = 0xff;

/// Reads one value as JSON. Bytes become base64, tags are stepped over.
pub(super) fn read(body: &[u8]) -> Result<String, String> {
    let mut reader = Reader { rest: body, json: Json::default() };
    reader.value()?;
    Ok(reader.json.out)
}

struct Reader<'b> {
    rest: &'b [u8],
    json: Json,
}

/// How many items follow: a number, or all up to the break.
enum Count {
    Known(u64),
    Open,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: u64) -> Result<&'b [u8], String> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends too soon")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn at_break(&mut self) -> Result<bool, String> {
        let found = *self.rest.first().ok_or("it ends too soon")? == BREAK;
        self.rest = &self.rest[usize::from(found)..];
        Ok(found)
    }

    fn number(&mut self, info: u8) -> Result<u64, String> {
        let length = match info {
            0..=23 => return Ok(u64::from(info)),
            24..=27 => 1 << (info - 24),
            _ => return Err(format!("[{info}] is no length")),
        };
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn count(&mut self, info: u8) -> Result<Count, String> {
        if info == 31 { Ok(Count::Open) } else { Ok(Count::Known(self.number(info)?)) }
    }

    fn value(&mut self) -> Result<(), String> {
        let mut first = self.byte()?;
        while first >> 5 == 6 {
            self.number(first & 31)?;
            first = self.byte()?;
        }
        let (kind, info) = (first >> 5, first & 31);
        if self.json.wants_name() && kind != 3 {
            return Err("a name is no text".into());
        }
        match kind {
            0 => {
                let number = self.number(info)?;
                self.json.scalar(number);
            }
            1 => {
                let number = self.number(info)?;
                // -1 - n, which i64 holds for half of them.
                self.json.token(&(-1 - i128::from(number)).to_string());
            }
            2 => {
                let bytes = self.string(2, info)?;
                self.json.text(&STANDARD.encode(bytes));
            }
            3 => {
                let bytes = self.string(3, info)?;
                let text = String::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
                self.json.text(&text);
            }
            4 | 5 => self.items(kind == 5, info)?,
            _ => self.simple(info)?,
        }
        Ok(())
    }

    fn string(&mut self, kind: u8, info: u8) -> Result<Vec<u8>, String> {
        if let Count::Known(length) = self.count(info)? {
            return Ok(self.take(length)?.to_vec());
        }
        let mut joined = Vec::new();
        while !self.at_break()? {
            let first = self.byte()?;
            if first >> 5 != kind {
                return Err("a piece of a text is something else".into());
            }
            let length = self.number(first & 31)?;
            joined.extend(self.take(length)?);
        }
        Ok(joined)
    }

    fn items(&mut self, object: bool, info: u8) -> Result<(), String> {
        let count = self.count(info)?;
        self.json.begin(object)?;
        match count {
            Count::Known(count) => {
                let each = if object { 2 } else { 1 };
                for _ in 0..count.saturating_mul(each) {
                    self.value()?;
                }
            }
            Count::Open => {
                while !self.at_break()? {
                    self.value()?;
                    if object {
                        self.value()?;
                    }
                }
            }
        }
        self.json.end();
        Ok(())
    }

    fn simple(&mut self, info: u8) -> Result<(), String> {
        match info {
            20 => self.json.scalar(false),
            21 => self.json.scalar(true),
            22 | 23 => self.json.scalar(Value::Null),
            25..=27 => {
                let bits = self.number(info)?;
                let number = match info {
                    25 => half(bits),
                    26 => f64::from(f32::from_bits(bits as u32)),
                    _ => f64::from_bits(bits),
                };
                let number = serde_json::Number::from_f64(number).ok_or("a number is not finite")?;
                self.json.scalar(number);
            }
            _ => return Err(format!("simple value [{info}] means nothing in JSON")),
        }
        Ok(())
    }
}

/// A number of sixteen bits.
fn half(bits: u64) -> f64 {
    let (exponent, mantissa) = ((bits >> 10) & 31, (bits & 1023) as f64);
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 => f64::INFINITY,
        _ => (1.0 + mantissa / 1024.0) * 2f64.powi(exponent as i32 - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// A value as CBOR.
pub(super) fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(value, &mut out);
    out
}

fn head(kind: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let (info, from) = match number {
        0..=23 => (bytes[7], 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    out.push(kind << 5 | info);
    out.extend(&bytes[from..]);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    head(3, text.len() as u64, out);
    out.extend(text.as_bytes());
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(0xf4 + u8::from(*flag)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => head(0, number, out),
            (_, Some(number)) => head(1, !(number as u64), out),
            _ => {
                out.push(0xfb);
                out.extend(number.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => put_text(text, out),
        Value::Array(items) => {
            out.push(0x9f);
            items.iter().for_each(|item| put(item, out));
            out.push(BREAK);
        }
        Value::Object(members) => {
            out.push(0xbf);
            for (name, member) in members {
                put_text(name, out);
                put(member, out);
            }
            out.push(BREAK);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let table: [(&[u8], &str); 19] = [
            (b"\x00", "0"),
            (b"\x18\x64", "100"),
            (b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "-18446744073709551616"),
            (b"\x38\x63", "-100"),
            (b"\xf9\x3c\x00", "1.0"),
            (b"\xf9\xc4\x00", "-4.0"),
            (b"\xf9\x00\x01", "5.960464477539063e-8"),
            (b"\xfa\x47\xc3\x50\x00", "100000.0"),
            (b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a", "1.1"),
            (b"\xf5", "true"),
            (b"\xf6", "null"),
            (b"\xf7", "null"),
            (b"\x63\xc3\xbc\x61", r#""üa""#),
            (b"\x43\x01\x02\x03", r#""AQID""#),
            (b"\xc1\x1a\x51\x4b\x67\xb0", "1363896240"),
            (b"\x83\x01\x82\x02\x03\x80", "[1,[2,3],[]]"),
            (b"\xbf\x61a\x01\x61b\x9f\x02\x03\xff\xff", r#"{"a":1,"b":[2,3]}"#),
            (b"\x7f\x65strea\x64ming\xff", r#""streaming""#),
        ];
        for (bytes, wanted) in table {
            assert_eq!(read(bytes).as_deref(), Ok(wanted), "{bytes:x?}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        for bytes in [
            &b"\x18"[..],
            b"\x62a",
            b"\x81",
            b"\xa1\x01\x01",
            b"\xf9\x7c\x00",
            b"\xe0",
            b"\x9f\x01",
            b"\xff",
            b"\x61\xff",
            b"\x1c",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let read = read(bytes);
            assert!(read.is_err(), "{bytes:x?} {read:?}");
        }
    }

    /// The bytes of an Elasticsearch 9.4.
    #[test]
    fn values_are_written_as_elasticsearch_writes_them() {
        let value = json!({"_index": "ax", "_version": 1, "found": true, "l": [-100, 200, 70000, "é", null]});
        let wanted =
            b"\xbff_indexbaxh_version\x01efound\xf5al\x9f8c\x18\xc8\x1a\x00\x01\x11pb\xc3\xa9\xf6\xff\xff";
        assert_eq!(write(&value), wanted);
    }
}
