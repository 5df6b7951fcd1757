//! The server's binary forms of single values.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

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
    use super::*;

    fn raw(weight: i16, sign: u16, scale: i16, groups: &[i16]) -> Vec<u8> {
        let head = [groups.len() as i16, weight, sign as i16, scale];
        head.iter().chain(groups).flat_map(|number| number.to_be_bytes()).collect()
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
