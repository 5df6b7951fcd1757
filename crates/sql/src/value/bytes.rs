use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Text: what is not UTF-8 in it is replaced, never dropped.
#[must_use]
pub fn text(raw: &[u8]) -> Value {
    // Nearly all text is UTF-8, and the check for that alone is much quicker.
    match std::str::from_utf8(raw) {
        Ok(text) => Value::from(text),
        Err(_) => Value::String(String::from_utf8_lossy(raw).into_owned()),
    }
}

/// Bytes: text when they are UTF-8, else base64.
#[must_use]
pub fn bytes(raw: &[u8]) -> Value {
    match std::str::from_utf8(raw) {
        Ok(text) => Value::from(text),
        Err(_) => Value::String(STANDARD.encode(raw)),
    }
}

/// Bytes as they stand in an id: `b'a\x00'`.
#[must_use]
pub fn bytes_in_id(raw: &[u8]) -> String {
    let quote = if raw.contains(&b'\'') && !raw.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for &byte in raw {
        let _written = match byte {
            b'\\' => text.write_str("\\\\"),
            b'\n' => text.write_str("\\n"),
            b'\r' => text.write_str("\\r"),
            b'\t' => text.write_str("\\t"),
            b'\'' if quote == '\'' => text.write_str("\\'"),
            b' '..=b'~' => text.write_char(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}"),
        };
    }
    text.push(quote);
    text
}

/// The first `length` bits, in groups of four: `1010 1`.
#[must_use]
pub fn bits(length: usize, raw: &[u8]) -> String {
    let mut text = String::with_capacity(length + length / 4);
    for n in 0..length.min(raw.len() * 8) {
        if n > 0 && n % 4 == 0 {
            text.push(' ');
        }
        text.push(if raw[n / 8] >> (7 - n % 8) & 1 == 1 { '1' } else { '0' });
    }
    text
}

/// JSON, parsed; text when it cannot be (nested too deeply).
#[must_use]
pub fn json(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap_or_else(|_| text(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_lost() {
        assert_eq!(bytes("grün".as_bytes()), "grün");
        assert_eq!(bytes(&[0xff, 0x00]), "/wA=");
        assert_eq!(text(&[b'a', 0xff]), "a\u{fffd}");
        assert_eq!(bytes_in_id(b"a'\x00\\"), r#"b"a'\x00\\""#);
        assert_eq!(bytes_in_id("\u{e9}\n".as_bytes()), r"b'\xc3\xa9\n'");
    }

    #[test]
    fn bits_come_in_groups_of_four() {
        assert_eq!(bits(8, &[0b1010_1010]), "1010 1010");
        assert_eq!(bits(5, &[0b1010_1010]), "1010 1");
        assert_eq!(bits(0, &[]), "");
    }

    #[test]
    fn json_that_cannot_be_parsed_is_text() {
        assert_eq!(json(br#"{"a":[1,null]}"#), serde_json::json!({"a": [1, null]}));
        let deep = "[".repeat(500);
        assert_eq!(json(deep.as_bytes()), Value::from(deep));
    }
}
