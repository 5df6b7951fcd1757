//! Where in a body an error lies. It is looked for only when there is an error: reading keeps no positions.

use serde_json::Value;

use crate::json::{JsonError, Reader, Token, line_col};

/// Tells a value from all others of the same tree.
pub(crate) fn identity(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

/// Line and column of the value of this identity, in the text that `root` was read from.
pub(crate) fn position(wanted: usize, root: &Value, text: &str) -> Option<(usize, usize)> {
    let offset = find(wanted, root, &mut Reader::new(text)).ok()??;
    Some(line_col(text, offset))
}

fn find(wanted: usize, value: &Value, reader: &mut Reader<'_>) -> Result<Option<usize>, JsonError> {
    reader.peek();
    if identity(value) == wanted {
        return Ok(Some(reader.offset()));
    }
    let mut first = true;
    match reader.token()? {
        Token::ObjectStart => {
            while let Some(key) = reader.key(&mut first)? {
                match value.get(&*key) {
                    Some(inner) => {
                        if let Some(found) = find(wanted, inner, reader)? {
                            return Ok(Some(found));
                        }
                    }
                    None => reader.skip()?,
                }
            }
        }
        Token::ArrayStart => {
            let mut items = value.as_array().into_iter().flatten();
            while reader.element(&mut first)? {
                match items.next() {
                    Some(inner) => {
                        if let Some(found) = find(wanted, inner, reader)? {
                            return Ok(Some(found));
                        }
                    }
                    None => reader.skip()?,
                }
            }
        }
        _ => {}
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_where_it_begins() {
        let text = "{\"a\": 1,\n \"b\": [true, {\"c\": \"x\"}]}";
        let root: Value = serde_json::from_str(text).unwrap();
        let at = |pointer: &str| position(identity(root.pointer(pointer).unwrap()), &root, text);
        assert_eq!(at(""), Some((1, 1)));
        assert_eq!(at("/a"), Some((1, 7)));
        assert_eq!(at("/b/1"), Some((2, 14)));
        assert_eq!(at("/b/1/c"), Some((2, 20)));
        assert_eq!(position(identity(&root.clone()), &root, text), None);
    }
}
