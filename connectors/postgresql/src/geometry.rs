//! Geometric values as text.

use std::fmt::Write as _;

use tokio_postgres::types::Type;
use tributary_sql::value::float_in_id as number;

use crate::wire::Bytes;

/// `(1.5, 2.5)`, `[(0.0, 0.0), …]`, `open [(…), …]`, `((0.0, 0.0), 5.0)`.
pub(crate) fn text(kind: &Type, raw: &[u8]) -> Option<String> {
    let mut bytes = Bytes(raw);
    Some(match *kind {
        Type::POINT => point(&mut bytes)?,
        Type::LSEG | Type::BOX => points(2, &mut bytes)?,
        Type::POLYGON => {
            let count = bytes.i32()?;
            points(count, &mut bytes)?
        }
        Type::PATH => {
            let is_closed = bytes.u8()? != 0;
            let count = bytes.i32()?;
            format!("{} {}", if is_closed { "closed" } else { "open" }, points(count, &mut bytes)?)
        }
        Type::LINE => {
            let (a, b, c) = (bytes.f64()?, bytes.f64()?, bytes.f64()?);
            format!("({}, {}, {})", number(a), number(b), number(c))
        }
        Type::CIRCLE => {
            let centre = point(&mut bytes)?;
            format!("({centre}, {})", number(bytes.f64()?))
        }
        _ => return None,
    })
}

fn point(bytes: &mut Bytes<'_>) -> Option<String> {
    let (x, y) = (bytes.f64()?, bytes.f64()?);
    Some(format!("({}, {})", number(x), number(y)))
}

fn points(count: i32, bytes: &mut Bytes<'_>) -> Option<String> {
    let mut text = String::from("[");
    for n in 0..count {
        let _written = write!(text, "{}{}", if n > 0 { ", " } else { "" }, point(bytes)?);
    }
    text.push(']');
    Some(text)
}
