//! Writes JSON text. Most of a request is text without anything to escape: it is looked at eight bytes at a time.

use serde_json::Value;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends any value.
///
/// # Errors
/// As `serde_json`.
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) -> serde_json::Result<()> {
    match value {
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                self::value(out, item)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(out, name);
                out.push(b':');
                self::value(out, field)?;
            }
            out.push(b'}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => serde_json::to_writer(out, value)?,
    }
    Ok(())
}

/// Appends a string in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (clean, after) = rest.split_at(clean_prefix(rest));
        out.extend_from_slice(clean);
        let Some((special, after)) = after.split_first() else { break };
        escape(out, *special);
        rest = after;
    }
    out.push(b'"');
}

/// Appends 32 hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, number: u128) {
    let digits = number.to_be_bytes().map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    out.extend_from_slice(digits.as_flattened());
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend([b'\\', short]);
}

/// Bytes before the first that must be escaped: a quote, a backslash, a control character.
fn clean_prefix(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<8>();
    // Four at a time until something comes up, which processors do at once.
    let any =
        |four: &[[u8; 8]; 4]| four.iter().fold(0, |any, block| any | specials(u64::from_le_bytes(*block)));
    let clean = 4 * blocks.as_chunks::<4>().0.iter().take_while(|four| any(four) == 0).count();
    for (at, block) in blocks.iter().enumerate().skip(clean) {
        let special = specials(u64::from_le_bytes(*block));
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// The high bit of every byte that must be escaped. Bytes above the lowest one of these may be marked wrongly.
fn specials(block: u64) -> u64 {
    let zero_bytes = |block: u64| block.wrapping_sub(ONES) & !block;
    let control = block.wrapping_sub(ONES * 0x20) & !block;
    let quote = zero_bytes(block ^ (ONES * b'"' as u64));
    let backslash = zero_bytes(block ^ (ONES * b'\\' as u64));
    (control | quote | backslash) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(json: &Value) -> String {
        let mut out = b"before".to_vec();
        value(&mut out, json).unwrap();
        String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    #[test]
    fn every_character_at_every_place_is_written_as_serde_json_writes_it() {
        for character in (0..0x180).filter_map(char::from_u32).chain(['\u{2028}', '\u{FFFF}', '😀']) {
            for place in 0..18 {
                let text = format!("{}{character}{}{character}", "x".repeat(place), "é".repeat(7));
                let json = Value::from(text);
                assert_eq!(written(&json), json.to_string());
            }
        }
    }

    #[test]
    fn values_are_written_as_serde_json_writes_them() {
        let json = json!({"a\"b": [1, -2, 3.5, null, true, [], {}], "n": {"x": [{"y": "z\n"}, "é"]}, "": ""});
        assert_eq!(written(&json), json.to_string());
        assert_eq!(written(&json!({})), "{}");
    }

    #[test]
    fn a_number_has_all_its_digits() {
        for number in [0, 1, 0xABCDEF, u128::MAX, u128::MAX / 3] {
            let mut out = Vec::new();
            hex(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:032x}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in ".{0,80}") {
            let json = Value::from(text);
            prop_assert_eq!(written(&json), json.to_string());
        }
    }
}
