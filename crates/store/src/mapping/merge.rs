//! Merging a mapping into another.

use serde_json::Value;

use super::node::{FieldNode, Node, ObjectNode, join};
use super::parse::Written;
use super::types::FieldType;
use crate::error::{Result, StoreError};

/// Parameters that may be changed on an existing field.
const UPDATABLE: [&str; 14] = [
    "ignore_above",
    "ignore_malformed",
    "coerce",
    "search_analyzer",
    "search_quote_analyzer",
    "meta",
    "boost",
    "null_value",
    "copy_to",
    "fielddata",
    "eager_global_ordinals",
    "split_queries_on_whitespace",
    "locale",
    "depth_limit",
];

/// Merges `new` into `old`.
///
/// # Errors
/// `illegal_argument_exception` where an existing field would change.
pub(super) fn merge(old: &mut Written, new: &Written) -> Result<()> {
    merge_object(&mut old.root, &new.root, "")?;
    for (key, value) in &new.meta {
        match (key.as_str(), old.meta.get_mut(key)) {
            ("dynamic_templates", Some(Value::Array(existing))) => merge_templates(existing, value),
            _ => {
                old.meta.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(())
}

/// Templates of the same name are replaced, others appended.
fn merge_templates(existing: &mut Vec<Value>, new: &Value) {
    for template in new.as_array().into_iter().flatten() {
        let name = template.as_object().and_then(|object| object.keys().next());
        let same =
            existing.iter().position(|old| old.as_object().and_then(|object| object.keys().next()) == name);
        match same {
            Some(at) => existing[at] = template.clone(),
            None => existing.push(template.clone()),
        }
    }
}

fn merge_object(old: &mut ObjectNode, new: &ObjectNode, path: &str) -> Result<()> {
    if new.dynamic.is_some() {
        old.dynamic = new.dynamic;
    }
    if !new.enabled && old.enabled && !path.is_empty() {
        let reason = format!("the [enabled] parameter can't be updated for the object mapping [{path}]");
        return Err(StoreError::illegal(reason));
    }
    old.other.extend(new.other.clone());
    for (name, node) in &new.children {
        let path = join(path, name);
        match (old.children.get_mut(name), node) {
            (None, node) => {
                old.children.insert(name.clone(), node.clone());
            }
            (Some(Node::Object(old)), Node::Object(new)) => {
                if new.nested && !old.nested {
                    return Err(StoreError::illegal(format!(
                        "can't merge a non-nested mapping [{path}] with a nested mapping"
                    )));
                }
                merge_object(old, new, &path)?;
            }
            (Some(Node::Field(old)), Node::Field(new)) => merge_field(old, new, &path)?,
            _ => {
                let reason = format!("can't merge a non object mapping [{path}] with an object mapping");
                return Err(StoreError::illegal(reason));
            }
        }
    }
    Ok(())
}

fn merge_field(old: &mut FieldNode, new: &FieldNode, path: &str) -> Result<()> {
    if old.ty != new.ty {
        let reason =
            format!("mapper [{path}] cannot be changed from type [{}] to [{}]", old.ty.name(), new.ty.name());
        return Err(StoreError::illegal(reason));
    }
    let mut conflicts = Vec::new();
    for key in old.params.keys().chain(new.params.keys().filter(|key| !old.params.contains_key(*key))) {
        let (before, after) = (old.params.get(key), new.params.get(key));
        if before != after && !UPDATABLE.contains(&key.as_str()) {
            let (before, after) = (shown(old.ty, key, before), shown(new.ty, key, after));
            conflicts.push(format!("\n\tCannot update parameter [{key}] from [{before}] to [{after}]"));
        }
    }
    if !conflicts.is_empty() {
        let reason = format!("Mapper for [{path}] conflicts with existing mapper:{}", conflicts.concat());
        return Err(StoreError::illegal(reason));
    }
    old.params = new.params.clone();
    for (name, sub) in &new.subs {
        match old.subs.get_mut(name) {
            Some(existing) => merge_field(existing, sub, &join(path, name))?,
            None => {
                old.subs.insert(name.clone(), sub.clone());
            }
        }
    }
    Ok(())
}

fn shown(ty: FieldType, key: &str, value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => match key {
            "analyzer" | "search_analyzer" | "search_quote_analyzer" => "default".to_owned(),
            "format" => crate::dates::DEFAULT_FORMAT.to_owned(),
            "index" | "doc_values" => "true".to_owned(),
            "norms" => ty.is_text().to_string(),
            "store" => "false".to_owned(),
            "index_options" => if ty.is_text() { "positions" } else { "docs" }.to_owned(),
            _ => "null".to_owned(),
        },
    }
}
