//! Which mapping a field gets that has none.

use serde_json::{Map, Value, json};

use super::node::{FieldNode, Node, ObjectNode};
use super::parse::{bad_mapping, parse_field};
use super::types::FieldType;
use crate::dates::{Detected, detect};
use crate::error::{Result, StoreError};
use crate::json::Token;
use crate::names::simple_match;

/// `index.mapping` defaults: strings longer than this are not kept in the automatic `.keyword` field.
const DEFAULT_IGNORE_ABOVE: u64 = 256;

/// What dynamic mapping may look at.
pub(super) struct Rules<'a> {
    pub(super) meta: &'a Map<String, Value>,
}

/// Elasticsearch's name of a JSON value's type in `match_mapping_type`.
fn mapping_type(token: &Token<'_>, meta: &Map<String, Value>) -> &'static str {
    match token {
        Token::Bool(_) => "boolean",
        Token::Number(text) if text.contains(['.', 'e', 'E']) => "double",
        Token::Number(_) => "long",
        Token::ObjectStart => "object",
        Token::Str(text) => {
            let on = |name: &str, default: bool| meta.get(name).and_then(Value::as_bool).unwrap_or(default);
            if on("numeric_detection", false) && text.parse::<i64>().is_ok() {
                "long"
            } else if on("numeric_detection", false) && text.parse::<f64>().is_ok_and(f64::is_finite) {
                "double"
            } else if on("date_detection", true) && detect_date(text, meta).is_some() {
                "date"
            } else {
                "string"
            }
        }
        Token::Null | Token::ArrayStart => "string",
    }
}

/// The `format` a detected date's field gets; an empty text means the default.
fn detect_date(text: &str, meta: &Map<String, Value>) -> Option<String> {
    if let Some(Value::Array(formats)) = meta.get("dynamic_date_formats") {
        return formats.iter().filter_map(Value::as_str).find_map(|spec| {
            let formats = crate::dates::DateFormats::parse_spec(spec).ok()?;
            formats.parse(text, false, 0).map(|_| spec.to_owned())
        });
    }
    match detect(text)? {
        Detected::Iso => Some(String::new()),
        Detected::Slashes => Some("yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis".to_owned()),
    }
}

impl Rules<'_> {
    /// The node for a new field of this name with this first value.
    pub(super) fn infer(&self, path: &str, token: &Token<'_>) -> Result<Node> {
        let kind = mapping_type(token, self.meta);
        if let Some(node) = self.template(path, kind)? {
            return Ok(node);
        }
        let field = |ty| Node::Field(FieldNode::new(ty));
        Ok(match kind {
            "boolean" => field(FieldType::Boolean),
            "long" => field(FieldType::Long),
            "double" => field(FieldType::Float),
            "object" => Node::Object(ObjectNode::default()),
            "date" => {
                let mut node = FieldNode::new(FieldType::Date);
                let Token::Str(text) = token else { return Ok(Node::Field(node)) };
                if let Some(format) = detect_date(text, self.meta).filter(|format| !format.is_empty()) {
                    node.params.insert("format".into(), json!(format));
                }
                Node::Field(node)
            }
            _ => Node::Field(default_string()),
        })
    }

    fn template(&self, path: &str, kind: &str) -> Result<Option<Node>> {
        let Some(Value::Array(templates)) = self.meta.get("dynamic_templates") else { return Ok(None) };
        let name = path.rsplit('.').next().unwrap_or(path);
        for template in templates.iter().filter_map(|t| t.as_object()?.values().next()?.as_object()) {
            if !matches_template(template, path, name, kind) {
                continue;
            }
            let default = match kind {
                "string" => "text",
                "double" => "float",
                other => other,
            };
            let Some(mapping) = template.get("mapping").or_else(|| template.get("runtime")) else { continue };
            let filled = fill(mapping, name, default);
            let Value::Object(mut definition) = filled else { continue };
            if !definition.contains_key("type") {
                definition.insert("type".into(), json!(default));
            }
            if matches!(definition["type"].as_str(), Some("object" | "nested")) {
                let nested = definition["type"] == "nested";
                let enabled = definition.get("enabled") != Some(&json!(false));
                return Ok(Some(Node::Object(ObjectNode { nested, enabled, ..ObjectNode::default() })));
            }
            return parse_field(path, &definition).map(|node| Some(Node::Field(node)));
        }
        Ok(None)
    }

    /// The tree that holds one new node at a path.
    pub(super) fn tree(root: &mut ObjectNode, path: &str, node: Node) {
        super::parse::insert(root, path, node);
    }
}

/// Strings without anything special: text, and a keyword beside it.
fn default_string() -> FieldNode {
    let mut keyword = FieldNode::new(FieldType::Keyword);
    keyword.params.insert("ignore_above".into(), json!(DEFAULT_IGNORE_ABOVE));
    let mut text = FieldNode::new(FieldType::Text);
    text.subs.insert("keyword".to_owned(), keyword);
    text
}

/// Replaces `{name}` and `{dynamic_type}` everywhere.
fn fill(value: &Value, name: &str, dynamic_type: &str) -> Value {
    let replace = |text: &str| text.replace("{name}", name).replace("{dynamic_type}", dynamic_type);
    match value {
        Value::String(text) => Value::String(replace(text)),
        Value::Array(list) => list.iter().map(|v| fill(v, name, dynamic_type)).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(k, v)| (replace(k), fill(v, name, dynamic_type))).collect())
        }
        other => other.clone(),
    }
}

fn patterns<'v>(template: &'v Map<String, Value>, key: &str) -> Vec<&'v str> {
    match template.get(key) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn matches_template(template: &Map<String, Value>, path: &str, name: &str, kind: &str) -> bool {
    let regex = template.get("match_pattern").and_then(Value::as_str) == Some("regex");
    let hit = |pattern: &str, text: &str| {
        if regex {
            regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|r| r.is_match(text))
        } else {
            simple_match(pattern, text)
        }
    };
    let any = |key: &str, text: &str, default: bool| {
        let list = patterns(template, key);
        if list.is_empty() { default } else { list.iter().any(|pattern| hit(pattern, text)) }
    };
    let types = patterns(template, "match_mapping_type");
    let typed = match types.as_slice() {
        // Without a type, a template is for fields; objects only match when asked for.
        [] => kind != "object" || template.contains_key("path_match") || template.contains_key("match"),
        list => list.iter().any(|wanted| *wanted == kind || *wanted == "*"),
    };
    let untyped_object = types.is_empty() && kind == "object";
    let target = template.get("mapping").and_then(|m| m.get("type")).and_then(Value::as_str);
    typed
        && (!untyped_object || matches!(target, Some("object" | "nested" | "flattened")))
        && !patterns(template, "unmatch_mapping_type").contains(&kind)
        && any("match", name, true)
        && !any("unmatch", name, false)
        && any("path_match", path, true)
        && !any("path_unmatch", path, false)
}

/// Checks the shape of `dynamic_templates`.
pub(super) fn check_templates(templates: Option<&Value>) -> Result<()> {
    let list = match templates {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(list)) => list,
        Some(_) => {
            return Err(bad_mapping("Dynamic template syntax error. An array of named objects is expected."));
        }
    };
    for template in list {
        let Some((name, body)) = template.as_object().filter(|o| o.len() == 1).and_then(|o| o.iter().next())
        else {
            return Err(bad_mapping("A dynamic template must be defined with a name"));
        };
        let Some(body) = body.as_object() else {
            return Err(bad_mapping(format!("Dynamic template [{name}] must be an object")));
        };
        if !body.contains_key("mapping") && !body.contains_key("runtime") {
            return Err(bad_mapping(format!("template [{name}] must have either mapping or runtime set")));
        }
    }
    Ok(())
}

/// The error of a strict mapping.
pub(super) fn strict_error(position: (usize, usize), name: &str, within: &str) -> StoreError {
    let within = if within.is_empty() { "_doc" } else { within };
    let (line, col) = position;
    StoreError::new(
        crate::ErrorKind::StrictDynamicMapping,
        format!(
            "[{line}:{col}] mapping set to strict, dynamic introduction of [{name}] within [{within}] is not allowed"
        ),
    )
}
