//! Geometries as the server keeps them (a number of the reference system, then well-known binary) to well-known text.

use std::fmt::Write as _;

/// Collections inside collections, at most.
const DEEPEST: usize = 16;

/// Well-known text; `None` when the bytes are of another form.
pub(crate) fn text(raw: &[u8]) -> Option<String> {
    let mut bytes = raw.get(4..)?;
    let mut text = String::new();
    geometry(&mut bytes, &mut text, 0)?;
    bytes.is_empty().then_some(text)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*front)
}

fn number(bytes: &mut &[u8], little: bool) -> Option<u32> {
    let raw = take::<4>(bytes)?;
    Some(if little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
}

fn double(bytes: &mut &[u8], little: bool) -> Option<f64> {
    let raw = take::<8>(bytes)?;
    Some(if little { f64::from_le_bytes(raw) } else { f64::from_be_bytes(raw) })
}

fn geometry(bytes: &mut &[u8], text: &mut String, depth: usize) -> Option<()> {
    let little = match take::<1>(bytes)? {
        [0] => false,
        [1] => true,
        _ => return None,
    };
    let kind = number(bytes, little)?;
    let name = match kind {
        1 => "POINT",
        2 => "LINESTRING",
        3 => "POLYGON",
        4 => "MULTIPOINT",
        5 => "MULTILINESTRING",
        6 => "MULTIPOLYGON",
        7 => "GEOMETRYCOLLECTION",
        _ => return None,
    };
    text.push_str(name);
    body(kind, bytes, little, text, depth)
}

fn body(kind: u32, bytes: &mut &[u8], little: bool, text: &mut String, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    if kind == 1 {
        text.push('(');
        point(bytes, little, text)?;
        text.push(')');
        return Some(());
    }
    let count = number(bytes, little)?;
    if count == 0 {
        text.push_str(" EMPTY");
        return Some(());
    }
    text.push('(');
    for n in 0..count {
        if n > 0 {
            text.push(',');
        }
        match kind {
            2 => point(bytes, little, text)?,
            3 => body(2, bytes, little, text, depth + 1)?,
            7 => geometry(bytes, text, depth + 1)?,
            // Parts carry their own head, which the text leaves out.
            _ => {
                let little = take::<1>(bytes)? == [1];
                if number(bytes, little)? != kind - 3 {
                    return None;
                }
                body(kind - 3, bytes, little, text, depth + 1)?;
            }
        }
    }
    text.push(')');
    Some(())
}

fn point(bytes: &mut &[u8], little: bool, text: &mut String) -> Option<()> {
    let (x, y) = (double(bytes, little)?, double(bytes, little)?);
    write!(text, "{x} {y}").ok()
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn bytes_of_another_form_are_no_geometry() {
        for raw in
            [&b""[..], b"abc", &[0, 0, 0, 0, 1, 9, 0, 0, 0], &[0, 0, 0, 0, 1, 2, 0, 0, 0, 255, 255, 255, 255]]
        {
            assert_eq!(text(raw), None);
        }
        let mut point = vec![0, 0, 0, 0, 1, 1, 0, 0, 0];
        point.extend(1.5_f64.to_le_bytes());
        point.extend((-2.0_f64).to_le_bytes());
        assert_eq!(text(&point).as_deref(), Some("POINT(1.5 -2)"));
    }
}
