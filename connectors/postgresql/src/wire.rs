//! The server's binary forms of single values.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Number;

/// A double holds every number of so many decimal digits exactly enough to give them back.
const MOST_IN_DOUBLE: i64 = 1_000_000_000_000_000;
/// Powers of ten up to this one are doubles; one division by it is rounded once, as reading the number as text would be.
const MOST_PLACES: u32 = 18;

/// Bytes that are read from the front; `None` when there are too few.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.fixed().map(u8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// Text that ends with a zero.
    pub(crate) fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(self.take(end)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    /// Bytes after their length; the inner `None` is null.
    pub(crate) fn sized(&mut self) -> Option<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?)),
        }
    }
}

/// A numeric, with all its digits: groups of four decimal digits with a weight, and how many stand after the point.
pub(crate) fn numeric(raw: &[u8]) -> Option<String> {
    let mut bytes = Bytes(raw);
    let (groups, weight, sign, scale) = (bytes.i16()?, bytes.i16()?, bytes.i16()?, bytes.i16()?);
    match sign as u16 {
        0x0000 | 0x4000 => {}
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    }
    let mut digits = Vec::with_capacity(usize::try_from(groups).ok()?);
    for _ in 0..groups {
        digits.push(bytes.i16()?);
    }
    let weight = i32::from(weight);
    let group =
        |place: i32| usize::try_from(weight - place).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let mut text = String::with_capacity(digits.len() * 4 + 8);
    if sign as u16 == 0x4000 {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    }
    for place in (0..=weight).rev() {
        let _written = if place == weight {
            write!(text, "{}", group(place))
        } else {
            write!(text, "{:04}", group(place))
        };
    }
    let scale = usize::try_from(scale).ok()?;
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut place = -1;
        while text.len() < end {
            let _written = write!(text, "{:04}", group(place));
            place -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}

/// The same number as a JSON number, without its text in between, for the short ones that nearly all columns hold; `None`
/// when it takes [`numeric`] to tell.
pub(crate) fn short_numeric(raw: &[u8]) -> Option<Number> {
    let mut bytes = Bytes(raw);
    let (groups, weight, sign, scale) = (bytes.i16()?, bytes.i16()?, bytes.i16()?, bytes.i16()?);
    let is_negative = match sign as u16 {
        0x0000 => false,
        0x4000 => true,
        _ => return None,
    };
    let mut digits = 0_i64;
    for _ in 0..groups {
        let group = bytes.i16().filter(|group| (0..10_000).contains(group))?;
        digits = digits.checked_mul(10_000)?.checked_add(group.into())?;
    }
    let digits = if is_negative { -digits } else { digits };
    if groups == 0 || digits == 0 {
        return (groups == 0 && !is_negative && scale >= 0)
            .then(|| if scale == 0 { Some(Number::from(0)) } else { Number::from_f64(0.0) })?;
    }
    let last = 4 * (i32::from(weight) - i32::from(groups) + 1);
    let (digits, places) = match u32::try_from(last) {
        Ok(zeros) => (digits.checked_mul(10_i64.checked_pow(zeros)?)?, 0),
        Err(_) => (digits, last.unsigned_abs()),
    };
    let scale = u32::try_from(scale).ok()?;
    if places > scale && digits % 10_i64.checked_pow(places - scale)? != 0 {
        return None;
    }
    match scale {
        0 => Some(Number::from(digits / 10_i64.checked_pow(places)?)),
        _ if places > MOST_PLACES || digits.abs() >= MOST_IN_DOUBLE => None,
        _ => Number::from_f64(digits as f64 / 10_i64.checked_pow(places)? as f64),
    }
}

pub(crate) fn uuid(raw: &[u8]) -> Option<String> {
    let raw: &[u8; 16] = raw.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (n, byte) in raw.iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _written = write!(text, "{byte:02x}");
    }
    Some(text)
}

pub(crate) fn mac(raw: &[u8]) -> String {
    let parts: Vec<String> = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// An address, with its prefix unless it is a single host of type inet.
pub(crate) fn network(raw: &[u8]) -> Option<String> {
    let mut bytes = Bytes(raw);
    let (_family, prefix, is_network, length) = (bytes.u8()?, bytes.u8()?, bytes.u8()?, bytes.u8()?);
    let address = bytes.take(length.into())?;
    let (text, whole) = match length {
        4 => (Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(), 32),
        16 => (Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
        _ => return None,
    };
    Some(if prefix == whole && is_network == 0 { text } else { format!("{text}/{prefix}") })
}

#[cfg(test)]
mod tests {
    use tributary_sql::value;

    use super::*;

    fn raw(weight: i16, sign: u16, scale: i16, groups: &[i16]) -> Vec<u8> {
        let head = [groups.len() as i16, weight, sign as i16, scale];
        head.iter().chain(groups).flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn a_short_numeric_is_the_number_its_text_is() {
        let groups: [&[i16]; 9] = [
            &[],
            &[1],
            &[123, 4500],
            &[9999, 9999, 9999],
            &[7, 0, 1],
            &[1000],
            &[1, 2, 3, 4],
            &[9999, 9999, 9999, 9999, 9999, 9999],
            &[3, 1410],
        ];
        let mut short = 0;
        for groups in groups {
            for (weight, sign) in (-6..6).flat_map(|weight| [(weight, 0), (weight, 0x4000)]) {
                for scale in 0..24 {
                    let bytes = raw(weight, sign, scale, groups);
                    let Some(number) = short_numeric(&bytes) else { continue };
                    let text = numeric(&bytes).unwrap();
                    assert_eq!(serde_json::Value::Number(number), value::decimal(&text), "{text}");
                    short += 1;
                }
            }
        }
        assert!(short > 1_500, "{short} are short");
        let number = |weight, scale, groups: &[i16]| {
            short_numeric(&raw(weight, 0, scale, groups)).map(|n| n.to_string())
        };
        assert_eq!(number(0, 20, &[123, 4500]).as_deref(), Some("123.45"));
        assert_eq!(number(1, 0, &[1]).as_deref(), Some("10000"));
        assert_eq!(number(0, 2, &[]).as_deref(), Some("0.0"));
        assert_eq!((number(0, 0, &[-1]), short_numeric(&raw(0, 0xC000, 0, &[]))), (None, None));
        assert_eq!(short_numeric(&[0, 1]), None);
    }

    #[test]
    fn numerics_keep_their_scale() {
        for (bytes, text) in [
            (raw(0, 0, 4, &[123, 4500]), "123.4500"),
            (raw(0, 0x4000, 0, &[7]), "-7"),
            (raw(1, 0, 0, &[1]), "10000"),
            (raw(-1, 0, 4, &[25]), "0.0025"),
            (raw(-2, 0, 8, &[1]), "0.00000001"),
            (raw(0, 0, 2, &[]), "0.00"),
            (raw(0, 0xC000, 0, &[]), "NaN"),
        ] {
            assert_eq!(numeric(&bytes).as_deref(), Some(text));
        }
        assert_eq!(numeric(&[0, 1]), None);
    }
}
