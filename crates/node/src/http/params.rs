//! Query parameters (connector-api 2.1).

use percent_encoding::percent_decode_str;

use super::envelope::{ApiError, Result};

/// Parameters that every endpoint takes.
pub(crate) const COMMON: [&str; 7] =
    ["pretty", "human", "error_trace", "filter_path", "format", "source", "source_content_type"];

/// The decoded query string. Of a repeated parameter the last one counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params(Vec<(String, String)>);

/// Percent-decodes one component; in a query `+` is a space.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String> {
    let bytes = text.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        if !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(ApiError::illegal(format!(
                "invalid hex byte or partial escape sequence in [{text}]"
            )));
        }
    }
    let spaced = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::illegal(format!("[{text}] is not valid UTF-8")))
}

impl Params {
    /// Reads the part of the URI behind `?`.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self> {
        let mut list = Vec::new();
        for pair in query.unwrap_or_default().split(['&', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            list.push((decode(name, true)?, decode(value, true)?));
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

    /// Refuses parameters that neither the endpoint nor every endpoint takes.
    pub(crate) fn check_known(&self, path: &str, allowed: &[&str]) -> Result<()> {
        let known = |name: &str| allowed.contains(&name) || COMMON.contains(&name);
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

/// A time value such as `5m` in milliseconds; `name` is for the error.
pub(crate) fn parse_time_ms(text: &str, name: &str) -> Result<u64> {
    let bad = || {
        ApiError::illegal(format!(
            "failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or unrecognized"
        ))
    };
    if text == "0" {
        return Ok(0);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..split].parse().map_err(|_| bad())?;
    let factor = match &text[split..] {
        "nanos" | "micros" => return Ok(1),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).ok_or_else(bad)
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
        assert!(Params::parse(Some("q=%zz")).is_err());
        assert!(Params::parse(Some("q=%ff")).is_err());
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
            assert_eq!(params(query).check_known("/x", &["refresh"]).unwrap_err().reason(), wanted);
        }
        assert!(params("pretty&refresh=true").check_known("/x", &["refresh"]).is_ok());
    }

    #[test]
    fn time_values_need_a_unit() {
        for (text, wanted) in
            [("5m", 300_000), ("1s", 1_000), ("250ms", 250), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_time_ms(text, "t").unwrap(), wanted);
        }
        for text in ["", "5", "m", "5 m", "5w", "-1s"] {
            assert!(parse_time_ms(text, "t").is_err(), "{text}");
        }
    }
}
