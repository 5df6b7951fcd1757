//! How values are shown: numbers as Java writes them, dates, booleans, decimal patterns.

use crate::dates::{DateFormats, Zone};

/// The format of an aggregation's values.
#[derive(Debug, Clone, Default)]
pub(super) enum Show {
    /// Numbers without a text beside them.
    #[default]
    Raw,
    Boolean,
    Date(DateFormats, Zone),
    Decimal(Decimal),
}

impl Show {
    /// The text beside a number; `None` when there is none.
    pub(super) fn text(&self, value: f64) -> Option<String> {
        match self {
            Self::Raw => None,
            Self::Boolean => Some((value != 0.0).to_string()),
            Self::Date(formats, zone) => {
                // What no calendar holds has no text.
                chrono::DateTime::from_timestamp_millis(value as i64)?;
                let millis = value as i64;
                Some(formats.format_at(millis, zone.offset_at(millis)))
            }
            Self::Decimal(decimal) => Some(decimal.format(value)),
        }
    }

    /// The number as a part of a bucket's key.
    pub(super) fn key(&self, value: f64) -> String {
        self.text(value).unwrap_or_else(|| java_double(value))
    }

    /// Whether numbers are truth values.
    pub(super) fn is_truth(&self) -> bool {
        matches!(self, Self::Boolean)
    }

    /// Whether numbers have a text beside them.
    pub(super) fn is_raw(&self) -> bool {
        matches!(self, Self::Raw)
    }
}

/// A number as Java's `Double.toString` writes it.
pub(super) fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// A pattern such as `#,##0.00`, the part of Java's `DecimalFormat` that answers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    prefix: String,
    suffix: String,
    /// Digits before the point at least.
    whole: usize,
    /// Digits after it at least and at most.
    least: usize,
    most: usize,
    /// Digits between separators; 0 for none.
    group: usize,
    percent: bool,
}

impl Decimal {
    /// Reads a pattern; `None` when it has no digits.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let pattern = pattern.split(';').next().unwrap_or(pattern);
        let is_digit = |c: char| matches!(c, '#' | '0' | ',' | '.');
        let start = pattern.find(is_digit)?;
        let rest = &pattern[start..];
        let end = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let (digits, suffix) = rest.split_at(end);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let group = whole.rfind(',').map_or(0, |at| whole.len() - at - 1);
        let zeros = |text: &str| text.matches('0').count();
        let plain = |text: &str| text.replace('\'', "");
        Some(Self {
            prefix: plain(&pattern[..start]),
            suffix: plain(suffix),
            whole: zeros(whole),
            least: zeros(fraction),
            most: fraction.len(),
            group,
            percent: suffix.contains('%'),
        })
    }

    fn format(&self, value: f64) -> String {
        let value = if self.percent { value * 100.0 } else { value };
        let text = format!("{:.*}", self.most, value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = fraction.to_owned();
        while fraction.len() > self.least && fraction.ends_with('0') {
            fraction.pop();
        }
        let whole = if whole == "0" && self.whole == 0 && !fraction.is_empty() { "" } else { whole };
        let whole = format!("{whole:0>width$}", width = self.whole);
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if self.group > 0 && at > 0 && (whole.len() - at).is_multiple_of(self.group) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let negative = value < 0.0
            && (grouped.contains(|c| matches!(c, '1'..='9'))
                || fraction.contains(|c| matches!(c, '1'..='9')));
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{grouped}{point}{fraction}{}", self.prefix, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        let table = [
            (2.0, "2.0"),
            (-0.5, "-0.5"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (0.0001, "1.0E-4"),
            (0.0, "0.0"),
        ];
        for (value, wanted) in table {
            assert_eq!(java_double(value), wanted);
        }
    }

    #[test]
    fn decimal_patterns_format_numbers() {
        let table = [
            ("#,##0.00", 1234567.891, "1,234,567.89"),
            ("#,##0.00", -3.0, "-3.00"),
            ("0.0", 12.0, "12.0"),
            ("000", 7.0, "007"),
            ("#.##", 0.5, ".5"),
            ("0.#", 2.0, "2"),
            ("$0.00", 1.5, "$1.50"),
            ("0%", 0.25, "25%"),
        ];
        for (pattern, value, wanted) in table {
            assert_eq!(Decimal::parse(pattern).unwrap().format(value), wanted, "{pattern} of {value}");
        }
        assert_eq!(Decimal::parse("none"), None);
    }
}
