//! Halves of surrogate pairs that stand alone in JSON. They stand for no character, so no text can hold them; yet some
//! programs write them for bytes that they could not read.

use bytes::Bytes;

/// How the replacement character is escaped.
const REPLACED: &[u8; 6] = b"\\ufffd";

/// The JSON with the replacement character for each half that has no other half.
pub(super) fn joined(json: Bytes) -> Bytes {
    if !json.contains(&b'\\') {
        return json;
    }
    let lone = lone(&json);
    if lone.is_empty() {
        return json;
    }
    let mut mended = json.to_vec();
    for at in lone {
        mended[at..at + REPLACED.len()].copy_from_slice(REPLACED);
    }
    mended.into()
}

/// Where the escapes of lone halves begin.
fn lone(json: &[u8]) -> Vec<usize> {
    let (mut lone, mut at) = (Vec::new(), 0);
    while let Some(found) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        at += match unit(json, at) {
            // A backslash and what it escapes.
            None => 2,
            Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                lone.push(at);
                6
            }
            Some(_) => 6,
        };
        if at >= json.len() {
            break;
        }
    }
    lone
}

/// The UTF-16 unit whose escape begins here.
fn unit(json: &[u8], at: usize) -> Option<u32> {
    let escape = json.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, byte| Some(unit * 16 + char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_halves_are_replaced() {
        for (json, wanted) in [
            (r#"{"a":"x"}"#, r#"{"a":"x"}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"\uDC00":"\uDBFFx"}"#, r#"{"\ufffd":"\ufffdx"}"#),
            (r#"["\uD83D\uDE00","\ud83d"]"#, r#"["\uD83D\uDE00","\ufffd"]"#),
            (r#"["\uDE00\uD83D","\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ufffd","\ufffd\ud83d\ude00"]"#),
            (r#"["\\ud800","\\\ud800","\n\u00e9"]"#, r#"["\\ud800","\\\ufffd","\n\u00e9"]"#),
            (r#"["\ud80"#, r#"["\ud80"#),
            ("\\", "\\"),
            (r#"["\ud800\"#, r#"["\ufffd\"#),
        ] {
            assert_eq!(joined(Bytes::from_static(json.as_bytes())), wanted, "{json}");
        }
    }
}
