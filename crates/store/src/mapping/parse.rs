//! Reading mappings in Elasticsearch's form.

use serde_json::{Map, Value, json};

use super::node::{Dynamic, FieldNode, Node, ObjectNode, join};
use super::types::FieldType;
use crate::error::{Cause, ErrorKind, Result, StoreError};

type Object = Map<String, Value>;

/// The top-level parameters besides `properties` and `dynamic`.
const ROOT_PARAMETERS: [&str; 15] = [
    "_meta",
    "_source",
    "_routing",
    "_size",
    "_data_stream_timestamp",
    "_field_names",
    "_type",
    "dynamic_templates",
    "date_detection",
    "numeric_detection",
    "dynamic_date_formats",
    "runtime",
    "_inference_fields",
    "_doc_count",
    "subobjects",
];

/// A mapping as it was written: the tree and the other top-level parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Written {
    pub(crate) root: ObjectNode,
    pub(crate) meta: Object,
}

/// `mapper_parsing_exception` as Elasticsearch wraps it.
pub(super) fn bad_mapping(reason: impl Into<String>) -> StoreError {
    caused("mapper_parsing_exception", reason.into())
}

fn caused(es_type: &str, reason: String) -> StoreError {
    StoreError::new(ErrorKind::MapperParsing, format!("Failed to parse mapping: {reason}"))
        .because(Cause::new(es_type, reason))
}

fn illegal(reason: String) -> StoreError {
    caused("illegal_argument_exception", reason)
}

/// Fields that every index has.
const OWN_FIELDS: [&str; 8] =
    ["_id", "_index", "_source", "_routing", "_seq_no", "_version", "_field_names", "_ignored"];

/// Looks at mappings without an index.
///
/// # Errors
/// Why they cannot be those of an index.
pub fn check_mappings(mappings: &Value) -> Result<()> {
    parse_mapping(mappings).map(|_| ())
}

/// Reads a whole mapping; null and `{}` are the empty one.
pub(crate) fn parse_mapping(value: &Value) -> Result<Written> {
    let object = match value {
        Value::Null => return Ok(Written::default()),
        Value::Object(object) => object,
        other => return Err(bad_mapping(format!("mappings must be an object, not [{other}]"))),
    };
    // Typed mappings of old clients: {"_doc": {"properties": ...}}.
    if let (1, Some(Value::Object(inner))) = (object.len(), object.get("_doc")) {
        return parse_mapping(&Value::Object(inner.clone()));
    }
    let mut written = Written::default();
    let mut unknown = Vec::new();
    for (name, value) in object {
        match name.as_str() {
            "properties" => {
                parse_properties(&mut written.root, "", value)?;
                if let Some(own) = OWN_FIELDS.iter().find(|own| written.root.children.contains_key(**own)) {
                    let reason = format!("Field [{own}] is defined more than once");
                    return Err(StoreError::new(ErrorKind::MapperParsing, reason));
                }
            }
            "dynamic" => written.root.dynamic = Some(parse_dynamic("dynamic", value)?),
            "enabled" => written.root.enabled = boolean("enabled", value)?,
            name if ROOT_PARAMETERS.contains(&name) => {
                written.meta.insert(name.to_owned(), value.clone());
            }
            name => unknown.push(format!("[{name} : {}]", java_text(value))),
        }
    }
    if !unknown.is_empty() {
        return Err(bad_mapping(format!(
            "Root mapping definition has unsupported parameters:  {}",
            unknown.join(" ")
        )));
    }
    for detection in ["date_detection", "numeric_detection"] {
        if let Some(value) = written.meta.get_mut(detection) {
            *value = json!(boolean(detection, value)?);
        }
    }
    super::dynamic::check_templates(written.meta.get("dynamic_templates"))?;
    Ok(written)
}

/// A value as Java prints it.
fn java_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(object) => {
            let parts: Vec<String> = object.iter().map(|(k, v)| format!("{k}={}", java_text(v))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(java_text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn parse_dynamic(field: &str, value: &Value) -> Result<Dynamic> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.as_str() {
        "true" => Ok(Dynamic::True),
        "false" => Ok(Dynamic::False),
        "strict" => Ok(Dynamic::Strict),
        "runtime" => Ok(Dynamic::Runtime),
        _ => {
            let mut cause = Cause::new(
                "illegal_argument_exception",
                format!("Could not convert [{field}.dynamic] to boolean"),
            );
            let inner = format!("Failed to parse value [{text}] as only [true] or [false] are allowed.");
            cause.caused_by = Some(Box::new(Cause::new("illegal_argument_exception", inner)));
            let reason = format!("Failed to parse mapping: {}", cause.reason);
            Err(StoreError::new(ErrorKind::MapperParsing, reason).because(cause))
        }
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(on) => Ok(*on),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => {
            let shown = java_text(other);
            Err(illegal(format!(
                "Failed to parse value [{shown}] as only [true] or [false] are allowed for [{name}]."
            )))
        }
    }
}

fn parse_properties(object: &mut ObjectNode, path: &str, value: &Value) -> Result<()> {
    let Value::Object(properties) = value else {
        return Err(caused("parse_exception", "properties must be a map type".to_owned()));
    };
    for (name, definition) in properties {
        let full = join(path, name);
        if name.is_empty() {
            return Err(illegal("field name cannot be an empty string".to_owned()));
        }
        if name.split('.').any(|part| part.trim().is_empty()) {
            return Err(illegal(format!("field name cannot contain only whitespace: ['{name}']")));
        }
        let node = parse_node(&full, definition)?;
        insert(object, name, node);
    }
    Ok(())
}

/// Puts a node at a name that may hold dots, making the objects between.
pub(super) fn insert(object: &mut ObjectNode, name: &str, node: Node) {
    let Some((first, rest)) = name.split_once('.') else {
        object.children.insert(name.to_owned(), node);
        return;
    };
    let child =
        object.children.entry(first.to_owned()).or_insert_with(|| Node::Object(ObjectNode::default()));
    if let Node::Object(inner) = child {
        insert(inner, rest, node);
    }
}

fn parse_node(path: &str, definition: &Value) -> Result<Node> {
    let Value::Object(definition) = definition else {
        let reason =
            format!("Expected map for property [fields] on field [{path}] but got a class java.lang.String");
        return Err(bad_mapping(reason));
    };
    match definition.get("type").and_then(Value::as_str) {
        None if definition.contains_key("properties")
            || definition.contains_key("dynamic")
            || definition.contains_key("enabled") =>
        {
            parse_object(path, definition, false).map(Node::Object)
        }
        None => Err(bad_mapping(format!("No type specified for field [{}]", last(path)))),
        Some("object") => parse_object(path, definition, false).map(Node::Object),
        Some("nested") => parse_object(path, definition, true).map(Node::Object),
        Some(_) => parse_field(path, definition).map(Node::Field),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn parse_object(path: &str, definition: &Object, nested: bool) -> Result<ObjectNode> {
    let mut node = ObjectNode { nested, ..ObjectNode::default() };
    for (name, value) in definition {
        match name.as_str() {
            "type" => {}
            "properties" => parse_properties(&mut node, path, value)?,
            "dynamic" => node.dynamic = Some(parse_dynamic(last(path), value)?),
            "enabled" => node.enabled = boolean("enabled", value)?,
            "subobjects"
            | "include_in_root"
            | "include_in_parent"
            | "synthetic_source_keep"
            | "store_array_source" => {
                node.other.insert(name.clone(), value.clone());
            }
            _ => {
                let reason = format!(
                    "Mapping definition for [{}] has unsupported parameters:  [{name} : {}]",
                    last(path),
                    java_text(value)
                );
                return Err(bad_mapping(reason));
            }
        }
    }
    Ok(node)
}

/// Reads one field's definition.
pub(super) fn parse_field(path: &str, definition: &Object) -> Result<FieldNode> {
    let name = definition.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(ty) = FieldType::parse(name) else {
        if FieldType::is_unsupported(name) {
            let reason = format!(
                "The mapper type [{name}] declared on field [{path}] is not supported by the embedded node"
            );
            return Err(bad_mapping(reason));
        }
        return Err(bad_mapping(format!(
            "The mapper type [{name}] declared on field [{}] does not exist. It might have been created within a future \
             version or requires a plugin to be installed. Check the documentation.",
            last(path)
        )));
    };
    let mut node = FieldNode::new(ty);
    for (key, value) in definition {
        match key.as_str() {
            "type" => {}
            "fields" => parse_sub_fields(&mut node, path, value)?,
            key if ty.accepts(key) => {
                let value = normalize(key, value)?;
                if !is_default(ty, key, &value) {
                    node.params.insert(key.to_owned(), value);
                }
            }
            key => {
                let reason = format!("unknown parameter [{key}] on mapper [{}] of type [{name}]", last(path));
                return Err(bad_mapping(reason));
            }
        }
    }
    sort_params(&mut node.params);
    Ok(node)
}

fn parse_sub_fields(node: &mut FieldNode, path: &str, value: &Value) -> Result<()> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(list) if list.is_empty() => return Ok(()),
        _ => {
            let reason =
                format!("expected map for property [fields] on field [{}] but got a list", last(path));
            return Err(bad_mapping(reason));
        }
    };
    for (name, definition) in fields {
        let full = join(path, name);
        let Value::Object(definition) = definition else {
            return Err(bad_mapping(format!(
                "illegal field [{name}], only fields can be specified inside fields"
            )));
        };
        if name.contains('.') {
            return Err(bad_mapping(format!(
                "Field name [{name}] which is a multi field of [{path}] cannot contain '.'"
            )));
        }
        match definition.get("type").and_then(Value::as_str) {
            None => return Err(bad_mapping(format!("no type specified for property [{name}]"))),
            Some(ty @ ("object" | "nested" | "alias")) => {
                return Err(bad_mapping(format!("Type [{ty}] cannot be used in multi field")));
            }
            Some(_) => {
                node.subs.insert(name.clone(), parse_field(&full, definition)?);
            }
        }
    }
    Ok(())
}

/// Brings a parameter's value into the one form it is shown in.
fn normalize(key: &str, value: &Value) -> Result<Value> {
    const FLAGS: [&str; 10] = [
        "index",
        "store",
        "doc_values",
        "norms",
        "coerce",
        "ignore_malformed",
        "fielddata",
        "eager_global_ordinals",
        "index_phrases",
        "split_queries_on_whitespace",
    ];
    const NUMBERS: [&str; 4] = ["ignore_above", "position_increment_gap", "depth_limit", "max_shingle_size"];
    if FLAGS.contains(&key) && !value.is_object() {
        return boolean(key, value).map(Value::Bool);
    }
    if NUMBERS.contains(&key) {
        let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        return number.map(Value::from).ok_or_else(|| {
            caused("number_format_exception", format!("For input string: \"{}\"", java_text(value)))
        });
    }
    Ok(match (key, value) {
        ("copy_to", Value::String(_)) => json!([value]),
        _ => value.clone(),
    })
}

fn is_default(ty: FieldType, key: &str, value: &Value) -> bool {
    match key {
        "index" | "doc_values" | "coerce" => *value == json!(true),
        "norms" => *value == json!(ty.is_text()),
        "store" | "ignore_malformed" | "fielddata" | "eager_global_ordinals" | "index_phrases" => {
            *value == json!(false)
        }
        "split_queries_on_whitespace" => *value == json!(false),
        "index_options" => *value == json!(if ty.is_text() { "positions" } else { "docs" }),
        "position_increment_gap" => *value == json!(100),
        "ignore_above" => *value == json!(i32::MAX),
        "format" => *value == json!(crate::dates::DEFAULT_FORMAT) || value.is_null(),
        "analyzer" | "search_analyzer" | "search_quote_analyzer" => *value == json!("default"),
        "null_value" | "normalizer" => value.is_null(),
        "boost" => value.as_f64() == Some(1.0),
        "copy_to" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    }
}

/// The order in which Elasticsearch shows parameters.
fn sort_params(params: &mut Object) {
    const ORDER: [&str; 22] = [
        "boost",
        "index",
        "doc_values",
        "store",
        "norms",
        "index_options",
        "analyzer",
        "search_analyzer",
        "search_quote_analyzer",
        "similarity",
        "term_vector",
        "position_increment_gap",
        "fielddata",
        "null_value",
        "eager_global_ordinals",
        "ignore_above",
        "normalizer",
        "format",
        "ignore_malformed",
        "coerce",
        "copy_to",
        "meta",
    ];
    let rank = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut entries: Vec<(String, Value)> = std::mem::take(params).into_iter().collect();
    entries.sort_by_key(|(key, _)| rank(key));
    params.extend(entries);
}
