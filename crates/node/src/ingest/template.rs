//! `{{field}}` in the values of processors.

use serde_json::Value;

use super::doc::IngestDoc;

/// A value in which texts may name fields.
#[derive(Debug, Clone)]
pub(super) struct Template(Value);

impl Template {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    /// The value for a document.
    pub(super) fn render(&self, doc: &IngestDoc) -> Value {
        render(&self.0, doc)
    }

    /// The text for a document.
    pub(super) fn text(&self, doc: &IngestDoc) -> String {
        shown(&self.render(doc))
    }
}

fn render(value: &Value, doc: &IngestDoc) -> Value {
    match value {
        Value::String(text) if text.contains("{{") => Value::String(fill(text, doc)),
        Value::Array(items) => items.iter().map(|item| render(item, doc)).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), render(value, doc))).collect()
        }
        other => other.clone(),
    }
}

fn fill(text: &str, doc: &IngestDoc) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        out.push_str(&rest[..start]);
        let inside = rest[start + 2..start + length].trim_matches(['{', '}', ' ']);
        if let Some(value) = doc.get(inside) {
            out.push_str(&shown(&value));
        }
        let mut end = start + length + 2;
        if rest[end..].starts_with('}') {
            end += 1;
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_filled_in_and_missing_ones_are_empty() {
        let doc =
            IngestDoc::new("i".into(), None, json!({"a": {"b": 1}, "t": "x"}).as_object().unwrap().clone());
        for (template, expected) in [
            ("{{a.b}}-{{{t}}}", "1-x"),
            ("<{{none}}>", "<>"),
            ("{{ t }}", "x"),
            ("{{open", "{{open"),
            ("{{_index}}", "i"),
        ] {
            assert_eq!(Template::new(json!(template)).text(&doc), expected, "{template}");
        }
    }
}
