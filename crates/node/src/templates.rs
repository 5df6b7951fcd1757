//! Index and component templates: those of the Connector Protocol built in, others stored, and what a new index takes
//! from them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_protocol::mappings;
use tributary_store::{CreateIndex, Store};

use crate::error::NodeError;
use crate::http::{ApiError, Result, wildcard_matches};

const INDEX_SPACE: &str = "index_templates";
const COMPONENT_SPACE: &str = "component_templates";

/// Which of the two kinds of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Index,
    Component,
}

impl Kind {
    fn space(self) -> &'static str {
        match self {
            Self::Index => INDEX_SPACE,
            Self::Component => COMPONENT_SPACE,
        }
    }
}

/// All templates, in memory and in the store.
#[derive(Debug)]
pub(crate) struct Templates {
    index: RwLock<BTreeMap<String, Value>>,
    component: RwLock<BTreeMap<String, Value>>,
}

impl Templates {
    pub(crate) fn load(store: &Store) -> Result<Self, NodeError> {
        let read = |kind: Kind| -> Result<BTreeMap<String, Value>, NodeError> {
            let mut all = built_in(kind);
            let stored =
                store.meta_list(kind.space()).map_err(|error| NodeError::Store(error.to_string()))?;
            for (name, bytes) in stored {
                let value = serde_json::from_slice(&bytes)
                    .map_err(|error| NodeError::Store(format!("template '{name}' is damaged: {error}")))?;
                all.insert(name, value);
            }
            Ok(all)
        };
        Ok(Self { index: RwLock::new(read(Kind::Index)?), component: RwLock::new(read(Kind::Component)?) })
    }

    fn of(&self, kind: Kind) -> &RwLock<BTreeMap<String, Value>> {
        match kind {
            Kind::Index => &self.index,
            Kind::Component => &self.component,
        }
    }

    /// The templates whose names match one of the comma-separated patterns.
    pub(crate) fn list(&self, kind: Kind, patterns: &str) -> Vec<(String, Value)> {
        let all = self.of(kind).read().unwrap_or_else(PoisonError::into_inner);
        let wanted = |name: &str| patterns.split(',').any(|pattern| wildcard_matches(pattern, name));
        all.iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Stores a template.
    pub(crate) fn put(
        &self,
        store: &Store,
        kind: Kind,
        name: &str,
        template: Value,
        create: bool,
    ) -> Result<()> {
        let exists = self.of(kind).read().unwrap_or_else(PoisonError::into_inner).contains_key(name);
        if create && exists {
            let what = if kind == Kind::Index { "index template" } else { "component template" };
            return Err(ApiError::illegal(format!("{what} [{name}] already exists")));
        }
        if kind == Kind::Index {
            self.check_index_template(name, &template)?;
            self.check_mappings(name, &template)?;
        } else if let Some(mappings) = template.get("template").and_then(|inner| inner.get("mappings")) {
            tributary_store::check_mappings(mappings)?;
        }
        store.meta_put(kind.space(), name, Bytes::from(template.to_string()))?;
        self.of(kind).write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), template);
        Ok(())
    }

    /// Removes the templates that match; `false` when there was none.
    pub(crate) fn delete(&self, store: &Store, kind: Kind, pattern: &str) -> Result<bool> {
        let names: Vec<String> = self.list(kind, pattern).into_iter().map(|(name, _)| name).collect();
        let built_in = built_in(kind);
        if kind == Kind::Component {
            self.check_unused(&names)?;
        }
        for name in &names {
            store.meta_delete(kind.space(), name)?;
            let mut all = self.of(kind).write().unwrap_or_else(PoisonError::into_inner);
            // The protocol's own templates cannot be lost, only overridden.
            match built_in.get(name) {
                Some(original) => all.insert(name.clone(), original.clone()),
                None => all.remove(name),
            };
        }
        Ok(!names.is_empty())
    }

    /// Refuses to remove component templates that index templates are made of.
    fn check_unused(&self, names: &[String]) -> Result<()> {
        let all = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let uses = |template: &Value, name: &str| texts(template.get("composed_of")).any(|part| part == name);
        let used: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| all.values().any(|template| uses(template, name)))
            .collect();
        if used.is_empty() {
            return Ok(());
        }
        let by = all.iter().filter(|(_, template)| used.iter().any(|name| uses(template, name)));
        let by: Vec<&str> = by.map(|(name, _)| name.as_str()).collect();
        Err(ApiError::illegal(format!(
            "component templates [{}] cannot be removed as they are still in use by index templates [{}]",
            used.join(", "),
            by.join(", ")
        )))
    }

    /// Refuses a template whose indices could not be made.
    fn check_mappings(&self, name: &str, template: &Value) -> Result<()> {
        let components = self.component.read().unwrap_or_else(PoisonError::into_inner);
        let parts =
            texts(template.get("composed_of")).filter_map(|c| components.get(c)?.get("template").cloned());
        let layers: Vec<Value> = parts.chain(template.get("template").cloned()).collect();
        drop(components);
        let Err(error) = tributary_store::check_mappings(&merged(&layers).mappings) else { return Ok(()) };
        let outer = format!("composable template [{name}] template after composition is invalid");
        let middle = json!({
            "type": "illegal_argument_exception", "reason": format!("invalid composite mappings for [{name}]"),
            "caused_by": error.to_value(),
        });
        Err(ApiError::illegal(outer).with("caused_by", middle))
    }

    fn check_index_template(&self, name: &str, template: &Value) -> Result<()> {
        let components = self.component.read().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<&str> =
            texts(template.get("composed_of")).filter(|c| !components.contains_key(*c)).collect();
        let ignored: Vec<&str> = texts(template.get("ignore_missing_component_templates")).collect();
        if missing.iter().any(|component| !ignored.contains(component)) {
            let reason = format!(
                "index_template [{name}] invalid, cause [index template [{name}] specifies component templates [{}] that \
                 do not exist]",
                missing.join(", ")
            );
            return Err(ApiError::new(400, "invalid_index_template_exception", reason));
        }
        if template.get("index_patterns").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            return Err(ApiError::illegal("There must be at least one pattern, zero given"));
        }
        let all = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let patterns: Vec<&str> = texts(template.get("index_patterns")).collect();
        for (other, existing) in all.iter().filter(|(other, _)| *other != name) {
            let shared = texts(existing.get("index_patterns")).any(|pattern| patterns.contains(&pattern));
            if shared && priority(existing) == priority(template) {
                let theirs = texts(existing.get("index_patterns")).collect::<Vec<_>>().join(", ");
                return Err(ApiError::illegal(format!(
                    "index template [{name}] has index patterns [{}] matching patterns from existing templates [{other}] \
                     with patterns ({other} => [{theirs}]) that have the same priority [{}], multiple index templates may \
                     not match during index creation, please use a different priority",
                    patterns.join(", "),
                    priority(template)
                )));
            }
        }
        Ok(())
    }

    /// What a new index of this name is made of: its template with the components, then what was asked for.
    pub(crate) fn for_new_index(&self, name: &str, asked: CreateIndex) -> CreateIndex {
        let mut layers = Vec::new();
        {
            let all = self.index.read().unwrap_or_else(PoisonError::into_inner);
            let components = self.component.read().unwrap_or_else(PoisonError::into_inner);
            let matching = all.values().filter(|template| {
                texts(template.get("index_patterns")).any(|pattern| wildcard_matches(pattern, name))
            });
            if let Some(template) = matching.max_by_key(|template| priority(template)) {
                layers.extend(
                    texts(template.get("composed_of"))
                        .filter_map(|c| components.get(c)?.get("template").cloned()),
                );
                layers.extend(template.get("template").cloned());
            }
        }
        let CreateIndex { settings, mappings, aliases } = asked;
        layers.push(json!({"settings": settings, "mappings": mappings, "aliases": aliases}));
        merged(&layers)
    }
}

fn merged(layers: &[Value]) -> CreateIndex {
    let mut settings = BTreeMap::new();
    let mut mappings = Map::new();
    let mut aliases = Map::new();
    for layer in layers {
        settings.extend(flat_settings(layer.get("settings").unwrap_or(&Value::Null)));
        if let Some(Value::Object(more)) = layer.get("mappings") {
            merge_mappings(&mut mappings, more);
        }
        if let Some(Value::Object(more)) = layer.get("aliases") {
            aliases.extend(more.clone());
        }
    }
    CreateIndex {
        settings: Value::Object(settings.into_iter().collect()),
        mappings: Value::Object(mappings),
        aliases,
    }
}

/// Later definitions of a field replace earlier ones; objects are joined.
fn merge_mappings(base: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (key, new) in more {
        match (key.as_str(), base.get_mut(key), new) {
            ("properties", Some(Value::Object(fields)), Value::Object(new)) => {
                for (field, definition) in new {
                    match (fields.get_mut(field), definition) {
                        (Some(Value::Object(old)), Value::Object(new))
                            if old.contains_key("properties") && new.contains_key("properties") =>
                        {
                            merge_mappings(old, new);
                        }
                        _ => {
                            fields.insert(field.clone(), definition.clone());
                        }
                    }
                }
            }
            ("dynamic_templates", Some(Value::Array(old)), Value::Array(new)) => {
                let name = |entry: &Value| entry.as_object().and_then(|entry| entry.keys().next().cloned());
                old.retain(|entry| !new.iter().any(|other| name(other) == name(entry)));
                old.extend(new.iter().cloned());
            }
            ("_meta", Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
            _ => {
                base.insert(key.clone(), new.clone());
            }
        }
    }
}

/// Strings of a list, or one string.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, list) = match value {
        Some(Value::String(text)) => (Some(text.as_str()), None),
        Some(Value::Array(list)) => (None, Some(list)),
        _ => (None, None),
    };
    one.into_iter().chain(list.into_iter().flatten().filter_map(Value::as_str))
}

fn priority(template: &Value) -> i64 {
    template.get("priority").and_then(Value::as_i64).unwrap_or(0)
}

/// Settings in any spelling as one flat table without the prefix `index.`; scalars become strings.
pub(crate) fn flat_settings(settings: &Value) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(object) => {
                for (key, inner) in object {
                    let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&name, inner, out);
                }
            }
            Value::Null if prefix.is_empty() => {}
            other => {
                let scalar = match other {
                    Value::Bool(_) | Value::Number(_) => json!(other.to_string()),
                    other => other.clone(),
                };
                out.insert(prefix.strip_prefix("index.").unwrap_or(prefix).to_owned(), scalar);
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", settings, &mut out);
    out
}

/// The settings part of a template as Elasticsearch shows it: nested under `index`.
pub(crate) fn shown_settings(settings: &Value) -> Value {
    let mut root = Map::new();
    for (name, value) in flat_settings(settings) {
        let mut level = &mut root;
        let full = format!("index.{name}");
        let mut parts = full.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                level.insert(part.to_owned(), value.clone());
                break;
            }
            let next = level.entry(part.to_owned()).or_insert_with(|| json!({}));
            match next {
                Value::Object(object) => level = object,
                _ => break,
            }
        }
    }
    Value::Object(root)
}

/// The Connector Protocol's own templates (connector-api 4).
fn built_in(kind: Kind) -> BTreeMap<String, Value> {
    let settings = json!({"hidden": true, "number_of_shards": 1, "number_of_replicas": 0, "auto_expand_replicas": "0-3"});
    let meta = json!({"managed": true, "description": "used by connectors"});
    let component = |template: Value| json!({"template": template, "_meta": meta, "version": 1});
    let list = match kind {
        Kind::Component => vec![
            ("elastic-connectors-settings", component(json!({"settings": settings}))),
            ("elastic-connectors-mappings", component(json!({"mappings": mappings::connectors()}))),
            ("elastic-connectors-sync-jobs-mappings", component(json!({"mappings": mappings::sync_jobs()}))),
        ],
        Kind::Index => {
            let index = |concrete: &str, alias: &str, own: &str| {
                json!({
                    "index_patterns": [concrete],
                    "template": {"aliases": {alias: {}}},
                    "composed_of": ["elastic-connectors-settings", own],
                    "priority": 100, "version": 1, "allow_auto_create": true, "_meta": meta,
                })
            };
            vec![
                (
                    "elastic-connectors",
                    index(
                        mappings::CONNECTORS_INDEX,
                        mappings::CONNECTORS_ALIAS,
                        "elastic-connectors-mappings",
                    ),
                ),
                (
                    "elastic-connectors-sync-jobs",
                    index(
                        mappings::SYNC_JOBS_INDEX,
                        mappings::SYNC_JOBS_ALIAS,
                        "elastic-connectors-sync-jobs-mappings",
                    ),
                ),
                (
                    "search-acl-filter",
                    json!({
                        "index_patterns": [".search-acl-filter-*"],
                        "template": {
                            "settings": {"hidden": true, "number_of_shards": 1, "auto_expand_replicas": "0-1", "number_of_replicas": 0},
                            "mappings": {"dynamic": "false", "properties": {"created_at": {"type": "date"}}},
                        },
                        "composed_of": [], "priority": 100, "version": 1, "allow_auto_create": true, "_meta": meta,
                    }),
                ),
            ]
        }
    };
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_all_spellings_are_one_table() {
        let wanted: BTreeMap<String, Value> =
            [("number_of_replicas".to_owned(), json!("0")), ("mapping.depth.limit".to_owned(), json!("5"))]
                .into();
        for settings in [
            json!({"index": {"number_of_replicas": 0, "mapping": {"depth": {"limit": 5}}}}),
            json!({"index.number_of_replicas": "0", "mapping.depth.limit": 5}),
        ] {
            assert_eq!(flat_settings(&settings), wanted);
        }
        assert_eq!(shown_settings(&json!({"a.b": 1})), json!({"index": {"a": {"b": "1"}}}));
    }

    #[test]
    fn later_layers_win_and_objects_are_joined() {
        let layers = [
            json!({"settings": {"number_of_replicas": 1}, "mappings": {"dynamic": "false", "properties": {
                "a": {"type": "keyword", "ignore_above": 5}, "o": {"properties": {"x": {"type": "long"}}}}}}),
            json!({"settings": {"index": {"number_of_replicas": 0}}, "mappings": {"properties": {
                "a": {"type": "text"}, "o": {"properties": {"y": {"type": "long"}}}}}, "aliases": {"al": {}}}),
        ];
        let spec = merged(&layers);
        assert_eq!(spec.settings, json!({"number_of_replicas": "0"}));
        assert_eq!(
            spec.mappings,
            json!({"dynamic": "false", "properties": {"a": {"type": "text"},
                "o": {"properties": {"x": {"type": "long"}, "y": {"type": "long"}}}}})
        );
        assert!(spec.aliases.contains_key("al"));
    }
}
