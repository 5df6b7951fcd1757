//! The layout of `?pretty`: two spaces, `"key" : value`, `[ ]` and `{ }` when empty.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

#[derive(Default)]
struct Pretty {
    depth: usize,
    filled: bool,
}

impl Pretty {
    fn line<W: ?Sized + io::Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }

    fn open<W: ?Sized + io::Write>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(mark)
    }

    fn close<W: ?Sized + io::Write>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(out)?;
        } else {
            out.write_all(b" ")?;
        }
        self.filled = true;
        out.write_all(mark)
    }

    fn item<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.line(out)
    }
}

impl Formatter for Pretty {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b" : ")
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, _out: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

/// A value in that layout, with a final newline.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut out, Pretty::default());
    // Writing a `Value` into a vector cannot fail.
    let _infallible = value.serialize(&mut serializer);
    out.push(b'\n');
    out
}

/// A value as YAML: blocks for what has content, JSON for scalars and empty containers.
pub(crate) fn yaml(value: &Value) -> Vec<u8> {
    let mut out = String::from("---\n");
    match value {
        Value::Object(_) | Value::Array(_) if !empty(value) => block(value, 0, &mut out),
        scalar => out.push_str(&format!("{scalar}\n")),
    }
    out.into_bytes()
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let mut entry = |head: String, inner: &Value, deeper: usize| {
        out.push_str(&indent);
        out.push_str(&head);
        match inner {
            Value::Object(_) | Value::Array(_) if !empty(inner) => {
                out.push('\n');
                block(inner, deeper, out);
            }
            scalar => out.push_str(&format!(" {scalar}\n")),
        }
    };
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let plain =
                    name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) && !name.is_empty();
                let key = if plain { name.clone() } else { Value::from(name.as_str()).to_string() };
                let deeper = if inner.is_array() { depth } else { depth + 1 };
                entry(format!("{key}:"), inner, deeper);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| entry("-".to_owned(), inner, depth + 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_layout_is_elasticsearchs() {
        let value = json!({"a": 1, "list": [1, {"x": true}], "empty": {}, "none": []});
        let wanted = "{\n  \"a\" : 1,\n  \"list\" : [\n    1,\n    {\n      \"x\" : true\n    }\n  ],\n  \"empty\" : { },\n  \"none\" : [ ]\n}\n";
        assert_eq!(String::from_utf8(pretty(&value)).unwrap(), wanted);
        assert_eq!(pretty(&json!({})), b"{ }\n");
    }

    #[test]
    fn yaml_nests_by_indent() {
        let value = json!({"name": "n", "v": {"number": "9", "ok": true}, "l": [1, {"a": 2}], "e": {}});
        let wanted = "---\nname: \"n\"\nv:\n  number: \"9\"\n  ok: true\nl:\n- 1\n-\n  a: 2\ne: {}\n";
        assert_eq!(String::from_utf8(yaml(&value)).unwrap(), wanted);
    }
}
