use serde_json::{Number, Value};

/// A decimal number, exactly: a JSON number when its double is the same number, else text with all digits, which an index
/// takes for a number too. What is no number (`NaN`, `Infinity`) is null, since no index takes it.
#[must_use]
pub fn decimal(text: &str) -> Value {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Value::Null;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    if let Ok(number) = text.parse::<u64>() {
        return Value::from(number);
    }
    match text.parse::<f64>().ok().filter(|double| is_same(text, *double)).and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
}

/// Whether the shortest way to write `double` has the digits of `text`.
fn is_same(text: &str, double: f64) -> bool {
    digits(text).is_some_and(|given| Some(given) == digits(&format!("{double}")))
}

/// A plain decimal number without leading and trailing zeros: sign, digits before the point, digits after it.
fn digits(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some((negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction))
}

/// A decimal number as it stands in an id: as written, very small ones with an exponent (`1E-8`).
#[must_use]
pub fn decimal_in_id(text: &str) -> String {
    let (sign, plain) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let is_small =
        whole.bytes().all(|byte| byte == b'0') && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_small || fraction.len() <= 6 {
        return text.to_owned();
    }
    let digits = fraction.trim_start_matches('0');
    // Zero keeps one digit.
    let digits = if digits.is_empty() { "0" } else { digits };
    let adjusted = digits.len() as i64 - 1 - fraction.len() as i64;
    if adjusted >= -6 {
        return text.to_owned();
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted}")
}

/// A double; null when it is no number, since no index takes it.
#[must_use]
pub fn float(double: f64) -> Value {
    Number::from_f64(double).map_or(Value::Null, Value::Number)
}

/// A number of four bytes, as it is written (`1.1`, not `1.100000023841858`).
#[must_use]
pub fn single(number: f32) -> Value {
    number.to_string().parse().map_or(Value::Null, float)
}

/// A double as it stands in an id: `1.5`, `1.0`, `1e+16`, `nan`.
#[must_use]
pub fn float_in_id(double: f64) -> String {
    if double.is_nan() {
        return "nan".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = double.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{double:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{double:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn decimals_keep_every_digit() {
        for (text, value) in [
            ("1", json!(1)),
            ("-12", json!(-12)),
            ("123.4500", json!(123.45)),
            ("0.00", json!(0.0)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("12345678901234567890.123456789", json!("12345678901234567890.123456789")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            ("NaN", Value::Null),
            ("-Infinity", Value::Null),
        ] {
            assert_eq!(decimal(text), value, "{text}");
        }
    }

    #[test]
    fn numbers_stand_in_ids_as_before() {
        for (text, id) in [
            ("1.50", "1.50"),
            ("0.00000001", "1E-8"),
            ("-0.000000123", "-1.23E-7"),
            ("0.000001", "0.000001"),
            ("0.00000000", "0E-8"),
            ("0.0000010", "0.0000010"),
        ] {
            assert_eq!(decimal_in_id(text), id, "{text}");
        }
        for (double, id) in [
            (1.0, "1.0"),
            (1.5, "1.5"),
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (-2.5e300, "-2.5e+300"),
            (0.0, "0.0"),
        ] {
            assert_eq!(float_in_id(double), id);
        }
    }

    #[test]
    fn no_number_is_null() {
        assert_eq!((float(f64::NAN), single(f32::INFINITY)), (Value::Null, Value::Null));
        assert_eq!(single(1.1), json!(1.1));
    }

    proptest! {
        #[test]
        fn a_decimal_is_a_number_or_its_own_text(text in "-?[0-9]{1,25}(\\.[0-9]{1,25})?") {
            match decimal(&text) {
                Value::String(same) => prop_assert_eq!(same, text),
                Value::Number(number) => {
                    let written = number.as_f64().map(|double| format!("{double}"));
                    let whole = number.as_i64().map(|n| n.to_string()).or_else(|| number.as_u64().map(|n| n.to_string()));
                    let same = [written, whole].into_iter().flatten().any(|other| digits(&other) == digits(&text));
                    prop_assert!(same, "{} {}", text, number);
                }
                other => prop_assert!(false, "{other}"),
            }
        }
    }
}
