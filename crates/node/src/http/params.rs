//! Query parameters (connector-api 2.1).

use super::envelope::{ApiError, Result};

/// Parameters that every endpoint takes.
pub(crate) const COMMON: [&str; 5] = ["pretty", "human", "error_trace", "filter_path", "format"];
/// Parameters that stand for a body, where an endpoint takes them and there is none.
pub(super) const SOURCE: [&str; 2] = ["source", "source_content_type"];

/// The decoded query string. Of a repeated parameter the last one counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params(Vec<(String, String)>);

/// Percent-decodes one component, as Elasticsearch does: in a query `+` is a space, `%%` is a percent sign, and bytes that
/// are no UTF-8 become the replacement character.
///
/// # Errors
/// Why the escapes cannot be read, in Elasticsearch's words.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> std::result::Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let byte = match byte {
            b'+' if plus_is_space => b' ',
            b'%' => match *behind {
                [] => return Err(format!("unterminated escape sequence at end of string: {text}")),
                [b'%', ..] => {
                    rest = &behind[1..];
                    b'%'
                }
                [_] => return Err(format!("partial escape sequence at end of string: {text}")),
                [high, low, ..] => {
                    rest = &behind[2..];
                    escape(high, low).ok_or_else(|| {
                        let at = text.len() - behind.len() - 1;
                        let shown = String::from_utf8_lossy(&behind[..2]);
                        format!("invalid escape sequence `%{shown}' at index {at} of: {text}")
                    })?
                }
            },
            other => *other,
        };
        decoded.push(byte);
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

fn escape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn bad_parameter(why: String) -> ApiError {
    let reason = format!("java.lang.IllegalArgumentException: {why}");
    ApiError::new(400, "bad_parameter_exception", reason).because("illegal_argument_exception", why)
}

impl Params {
    /// Reads the part of the URI behind `?`.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self> {
        let mut list = Vec::new();
        for pair in query.unwrap_or_default().split(['&', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.split_once('=') {
                // A value without a name is taken for a name.
                Some(("", "")) => continue,
                Some(("", value)) => (value, ""),
                named => named.unwrap_or((pair, "")),
            };
            let decode = |text| decode(text, true).map_err(bad_parameter);
            list.push((decode(name)?, decode(value)?));
        }
        Ok(Self(list))
    }

    /// Parameters that come from elsewhere than a URI.
    pub(crate) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// A parameter's text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter's text, unless empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// Whether the parameter is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// `true`, `false`, or bare presence (true).
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some("" | "true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(not_a_flag(other)),
        }
    }

    /// As [`Params::flag`] with a default.
    pub(crate) fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.flag(name)?.unwrap_or(default))
    }

    /// A 32-bit integer.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i32>> {
        self.number(name, "int")
    }

    /// A 64-bit integer.
    pub(crate) fn long(&self, name: &str) -> Result<Option<i64>> {
        self.number(name, "long")
    }

    fn number<T: std::str::FromStr>(&self, name: &str, kind: &str) -> Result<Option<T>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let reason = format!("Failed to parse {kind} parameter [{name}] with value [{text}]");
            ApiError::illegal(reason)
                .because("number_format_exception", format!("For input string: \"{text}\""))
        })
    }

    /// A comma-separated list, untrimmed; empty items are dropped.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.get(name)?;
        Some(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    /// A time value in milliseconds.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<u64>> {
        self.get(name).map(|text| parse_time_ms(text, name)).transpose()
    }

    /// Refuses parameters that neither the endpoint nor every endpoint takes; `read` ones are known besides.
    pub(crate) fn check_known(&self, path: &str, allowed: &[&str], read: &[&str]) -> Result<()> {
        let known = |name: &str| allowed.contains(&name) || COMMON.contains(&name) || read.contains(&name);
        let mut unknown: Vec<&str> =
            self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !known(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let described: Vec<String> = unknown.iter().map(|name| describe_unknown(name, allowed)).collect();
        let plural = if unknown.len() > 1 { "s" } else { "" };
        let reason =
            format!("request [{path}] contains unrecognized parameter{plural}: {}", described.join(", "));
        Err(ApiError::illegal(reason))
    }
}

/// The error for a boolean that is none.
pub(crate) fn not_a_flag(text: &str) -> ApiError {
    ApiError::illegal(format!("Failed to parse value [{text}] as only [true] or [false] are allowed."))
}

fn split_time(text: &str) -> Option<(&str, i64)> {
    // Of units that share letters the longer one comes first.
    const UNITS: [(&str, i64); 7] = [
        ("nanos", 0),
        ("micros", 0),
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    Some((number.trim_end(), factor))
}

/// Checks a time value such as `5m`; `name` is for the error. Neither `0` nor `-1`, for no limit, needs a unit.
pub(super) fn check_time(text: &str, name: &str) -> Result<()> {
    let lower = text.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "0" | "-1") {
        return Ok(());
    }
    let (number, _) = split_time(&lower).ok_or_else(|| bad_time(text, name))?;
    match number.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => {
            let why = if number.parse::<f64>().is_ok() {
                format!("failed to parse [{text}], fractional time values are not supported")
            } else {
                format!("failed to parse [{text}]")
            };
            Err(ApiError::illegal(why)
                .because("number_format_exception", format!("For input string: \"{number}\"")))
        }
    }
}

fn bad_time(text: &str, name: &str) -> ApiError {
    ApiError::illegal(format!(
        "failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or unrecognized"
    ))
}

/// A time value such as `5m` in milliseconds, and no limit as the longest; `name` is for the error.
pub(crate) fn parse_time_ms(text: &str, name: &str) -> Result<u64> {
    check_time(text, name)?;
    let lower = text.trim().to_ascii_lowercase();
    match lower.as_str() {
        "0" => return Ok(0),
        "-1" => return Ok(u64::MAX),
        _ => {}
    }
    let negative = || {
        ApiError::illegal(format!(
            "failed to parse setting [{name}] with value [{text}] as a time value: negative durations are not supported"
        ))
    };
    let (number, factor) = split_time(&lower).ok_or_else(|| bad_time(text, name))?;
    let number: u64 = number.parse().map_err(|_| negative())?;
    // Less than a millisecond is one.
    if factor == 0 { Ok(1) } else { Ok(number.saturating_mul(factor.unsigned_abs())) }
}

fn describe_unknown(name: &str, allowed: &[&str]) -> String {
    let mut near: Vec<(usize, &str)> = allowed
        .iter()
        .chain(&COMMON)
        .filter_map(|candidate| {
            let longest = candidate.chars().count().max(name.chars().count());
            let distance = edit_distance(name, candidate);
            // Elasticsearch proposes names that share more than half of their letters.
            (distance * 2 < longest).then_some((distance, *candidate))
        })
        .collect();
    near.sort_unstable();
    match near.as_slice() {
        [] => format!("[{name}]"),
        [(_, only)] => format!("[{name}] -> did you mean [{only}]?"),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, candidate)| *candidate).collect();
            format!("[{name}] -> did you mean any of [{}]?", names.join(", "))
        }
    }
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(Some(query)).unwrap()
    }

    #[test]
    fn flags_take_true_false_and_bare_presence() {
        let given = params("a&b=true&c=false&d=x");
        assert_eq!(given.flag("a").unwrap(), Some(true));
        assert_eq!(given.flag("b").unwrap(), Some(true));
        assert_eq!(given.flag("c").unwrap(), Some(false));
        assert_eq!(given.flag("none").unwrap(), None);
        let reason = given.flag("d").unwrap_err().reason();
        assert_eq!(reason, "Failed to parse value [x] as only [true] or [false] are allowed.");
    }

    #[test]
    fn integers_name_the_parameter_they_fail_on() {
        let error = params("size=foo").int("size").unwrap_err();
        assert_eq!(error.reason(), "Failed to parse int parameter [size] with value [foo]");
        assert_eq!(params("n=5").long("n").unwrap(), Some(5));
    }

    #[test]
    fn the_query_is_decoded_and_the_last_of_a_name_counts() {
        let given = params("q=a%20b+c&q=d%2Be");
        assert_eq!(given.get("q"), Some("d+e"));
    }

    /// Taken from the answers of Elasticsearch 9.4.
    #[test]
    fn escapes_are_read_as_elasticsearch_reads_them() {
        for (text, wanted) in [("a%20b+c", "a b+c"), ("%c3%A4%ff", "ä\u{fffd}"), ("%%41", "%41"), ("ä", "ä")]
        {
            assert_eq!(decode(text, false).as_deref(), Ok(wanted), "{text}");
        }
        let table = [
            ("/a/%", "unterminated escape sequence at end of string: /a/%"),
            ("/a/%4", "partial escape sequence at end of string: /a/%4"),
            ("/a/x%4z", "invalid escape sequence `%4z' at index 4 of: /a/x%4z"),
            ("/a%/x", "invalid escape sequence `%/x' at index 2 of: /a%/x"),
            ("%+1", "invalid escape sequence `%+1' at index 0 of: %+1"),
        ];
        for (text, wanted) in table {
            assert_eq!(decode(text, false).unwrap_err(), wanted);
        }
        let error = Params::parse(Some("a=1&foo=a%4")).unwrap_err();
        assert_eq!(error.es_type(), "bad_parameter_exception");
        let why = "partial escape sequence at end of string: a%4";
        assert_eq!(error.reason(), format!("java.lang.IllegalArgumentException: {why}"));
    }

    #[test]
    fn a_value_without_a_name_is_a_name() {
        assert!(params("=b&=&a==c").check_known("/x", &["a", "b"], &[]).is_ok());
        assert_eq!(params("=b").get("b"), Some(""));
        assert_eq!(params("a==c").get("a"), Some("=c"));
    }

    #[test]
    fn lists_are_split_on_commas_without_trimming() {
        assert_eq!(params("l=a,%20b,,c").list("l").unwrap(), ["a", " b", "c"]);
    }

    #[test]
    fn unknown_parameters_are_named_together_with_near_ones() {
        let table = [
            ("foo=1", "request [/x] contains unrecognized parameter: [foo]"),
            ("form=1", "request [/x] contains unrecognized parameter: [form] -> did you mean [format]?"),
            ("zzzz=1&aaaa=2", "request [/x] contains unrecognized parameters: [aaaa], [zzzz]"),
        ];
        for (query, wanted) in table {
            assert_eq!(params(query).check_known("/x", &["refresh"], &[]).unwrap_err().reason(), wanted);
        }
        assert!(params("pretty&refresh=true").check_known("/x", &["refresh"], &[]).is_ok());
    }

    #[test]
    fn time_values_need_a_unit() {
        for (text, wanted) in [
            ("5m", 300_000),
            ("1s", 1_000),
            ("250ms", 250),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("5 M", 300_000),
        ] {
            assert_eq!(parse_time_ms(text, "t").unwrap(), wanted);
        }
        for text in ["", "5", "m", "5w", "-1s", "1.5s"] {
            assert!(parse_time_ms(text, "t").is_err(), "{text}");
        }
    }
}
