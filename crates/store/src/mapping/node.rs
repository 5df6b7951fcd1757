//! The mapping as a tree, as it is written and shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::types::FieldType;

/// What happens to fields that are not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dynamic {
    True,
    False,
    Strict,
    Runtime,
}

impl Dynamic {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Strict => "strict",
            Self::Runtime => "runtime",
        }
    }
}

/// An object (or nested object, which is flattened like any other).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ObjectNode {
    pub(crate) dynamic: Option<Dynamic>,
    pub(crate) enabled: bool,
    pub(crate) nested: bool,
    /// Parameters that are kept and shown only.
    pub(crate) other: Map<String, Value>,
    pub(crate) children: BTreeMap<String, Node>,
}

impl Default for ObjectNode {
    fn default() -> Self {
        Self { dynamic: None, enabled: true, nested: false, other: Map::new(), children: BTreeMap::new() }
    }
}

/// A field with its parameters in Elasticsearch's form, those with default values left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldNode {
    pub(crate) ty: FieldType,
    pub(crate) params: Map<String, Value>,
    pub(crate) subs: BTreeMap<String, FieldNode>,
    /// The number of the leaf, set when the mapping is compiled.
    pub(crate) leaf: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Object(ObjectNode),
    Field(FieldNode),
}

impl FieldNode {
    pub(crate) fn new(ty: FieldType) -> Self {
        Self { ty, params: Map::new(), subs: BTreeMap::new(), leaf: u32::MAX }
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), json!(self.ty.name()));
        out.extend(self.params.clone());
        if !self.subs.is_empty() {
            let subs: Map<String, Value> =
                self.subs.iter().map(|(name, sub)| (name.clone(), sub.to_value())).collect();
            out.insert("fields".into(), Value::Object(subs));
        }
        Value::Object(out)
    }
}

impl ObjectNode {
    /// The `properties` of this object, if it has any.
    pub(crate) fn properties(&self) -> Option<Value> {
        if self.children.is_empty() {
            return None;
        }
        let children = self.children.iter().map(|(name, node)| {
            let value = match node {
                Node::Object(object) => object.to_value(),
                Node::Field(field) => field.to_value(),
            };
            (name.clone(), value)
        });
        Some(Value::Object(children.collect()))
    }

    fn to_value(&self) -> Value {
        let mut out = Map::new();
        if self.nested {
            out.insert("type".into(), json!("nested"));
        } else if self.children.is_empty() {
            out.insert("type".into(), json!("object"));
        }
        if let Some(dynamic) = self.dynamic {
            out.insert("dynamic".into(), json!(dynamic.as_str()));
        }
        if !self.enabled {
            out.insert("enabled".into(), json!(false));
        }
        out.extend(self.other.clone());
        if let Some(properties) = self.properties() {
            out.insert("properties".into(), properties);
        }
        Value::Object(out)
    }

    /// How many mappers Elasticsearch counts below this object.
    pub(crate) fn count(&self) -> usize {
        self.children
            .values()
            .map(|node| match node {
                Node::Object(object) => 1 + object.count(),
                Node::Field(field) => 1 + field.subs.len(),
            })
            .sum()
    }

    /// The deepest level of objects below this one, and a path to it.
    pub(crate) fn depth(&self, path: &str) -> (usize, String) {
        self.children
            .iter()
            .filter_map(|(name, node)| match node {
                Node::Object(object) => {
                    let path = join(path, name);
                    let (depth, deepest) = object.depth(&path);
                    Some((depth + 1, deepest))
                }
                Node::Field(_) => None,
            })
            .max()
            .unwrap_or((1, path.to_owned()))
    }
}

/// A path extended by a name.
pub(crate) fn join(path: &str, name: &str) -> String {
    // For each member of each object of each document: not by way of a formatter.
    if path.is_empty() { name.to_owned() } else { [path, ".", name].concat() }
}
