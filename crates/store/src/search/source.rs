//! Parts of sources: `_source` filtering and the values of `fields`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::request::{FieldRequest, SourceFilter};
use crate::dates::DateFormats;
use crate::document::canonical_ip;
use crate::mapping::{FieldType, Leaf, Mapping, Storage};
use crate::names::simple_match;

impl SourceFilter {
    /// Whether the source is returned as it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.enabled && self.includes.is_empty() && self.excludes.is_empty()
    }

    /// The wanted part of a source; `None` when none is wanted.
    #[must_use]
    pub fn apply(&self, source: &Bytes) -> Option<Bytes> {
        if !self.enabled {
            return None;
        }
        if self.is_whole() {
            return Some(source.clone());
        }
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(source) else {
            return Some(source.clone());
        };
        let filtered = self.object(&object, "", self.includes.is_empty());
        Some(Bytes::from(Value::Object(filtered).to_string()))
    }

    fn object(&self, object: &Map<String, Value>, path: &str, included: bool) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, value) in object {
            let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if self.excludes.iter().any(|pattern| simple_match(pattern, &full)) {
                continue;
            }
            let hit = included || self.includes.iter().any(|pattern| simple_match(pattern, &full));
            if !hit && !self.may_match_below(&full) {
                continue;
            }
            if let Some(kept) = self.value(value, &full, hit) {
                out.insert(name.clone(), kept);
            }
        }
        out
    }

    /// Whether a pattern could match something below a path.
    fn may_match_below(&self, path: &str) -> bool {
        let below = format!("{path}.");
        self.includes.iter().any(|pattern| {
            pattern.starts_with(&below)
                || pattern.find('*').is_some_and(|star| {
                    below.starts_with(&pattern[..star]) || pattern[..star].starts_with(&below)
                })
        })
    }

    fn value(&self, value: &Value, path: &str, included: bool) -> Option<Value> {
        match value {
            Value::Object(inner) => {
                let kept = self.object(inner, path, included);
                (included || !kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(list) => {
                let kept: Vec<Value> =
                    list.iter().filter_map(|item| self.value(item, path, included)).collect();
                (included || !kept.is_empty()).then_some(Value::Array(kept))
            }
            scalar => included.then(|| scalar.clone()),
        }
    }
}

/// All values at a path, through objects, arrays and names with dots.
pub(super) fn values_at<'v>(value: &'v Value, path: &str, out: &mut Vec<&'v Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| values_at(item, path, out)),
        Value::Object(object) if !path.is_empty() => {
            if let Some(inner) = object.get(path) {
                values_at(inner, "", out);
            }
            for (at, _) in path.match_indices('.') {
                if let Some(inner) = object.get(&path[..at]) {
                    values_at(inner, &path[at + 1..], out);
                }
            }
        }
        Value::Null => {}
        scalar if path.is_empty() => out.push(scalar),
        _ => {}
    }
}

/// The path of a field in the source.
pub(super) fn source_path(leaf: &Leaf) -> &str {
    leaf.parent.as_deref().unwrap_or(&leaf.path)
}

/// The content of `fields` for a document.
pub(super) fn field_values(
    mapping: &Mapping,
    requests: &[FieldRequest],
    source: &Value,
) -> Map<String, Value> {
    let mut out = Map::new();
    for request in requests {
        for leaf in mapping.leaves() {
            if !simple_match(&request.pattern, &leaf.path) {
                continue;
            }
            let Some(target) = mapping.find(&leaf.path) else { continue };
            let mut found = Vec::new();
            values_at(source, source_path(target), &mut found);
            let values: Vec<Value> = found
                .into_iter()
                .filter_map(|value| shown(target, value, request.format.as_deref()))
                .collect();
            if !values.is_empty() {
                out.insert(leaf.path.clone(), Value::Array(values));
            }
        }
    }
    out
}

/// A value as `fields` shows it: what the field holds, not how it was written.
fn shown(leaf: &Leaf, value: &Value, format: Option<&str>) -> Option<Value> {
    let text = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match leaf.ty.storage() {
        Storage::Keyword => {
            let text = text();
            let text = if leaf.ty == FieldType::Ip { canonical_ip(&text)? } else { text };
            let text =
                leaf.normalizer.as_ref().map_or(text.clone(), |normalizer| normalizer.normalize(&text));
            (text.chars().count() <= leaf.ignore_above).then(|| json!(text))
        }
        Storage::Text => Some(json!(text())),
        _ if leaf.ty.is_date() => {
            let millis = leaf.formats.parse(&text(), false, 0)?;
            let own = format.and_then(|spec| DateFormats::parse_spec(spec).ok());
            Some(json!(own.as_ref().unwrap_or(&leaf.formats).format(millis)))
        }
        _ if leaf.ty == FieldType::Boolean => Some(json!(matches!(text().as_str(), "true"))),
        Storage::Int => text()
            .parse::<i64>()
            .ok()
            .map(|n| json!(n))
            .or_else(|| text().parse::<f64>().ok().map(|n| json!(n as i64))),
        Storage::Float => text().parse::<f64>().ok().map(|number| json!(number)),
        Storage::Flattened | Storage::Nothing => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(includes: &[&str], excludes: &[&str], source: &Value) -> Value {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let filter = SourceFilter { enabled: true, includes: own(includes), excludes: own(excludes) };
        serde_json::from_slice(&filter.apply(&Bytes::from(source.to_string())).unwrap()).unwrap()
    }

    #[test]
    fn source_filters_keep_and_drop_paths() {
        let source = json!({"a": {"b": 1, "c": {"d": 2}}, "x": [{"y": 1, "z": 2}, {"z": 3}], "k": "v"});
        assert_eq!(filter(&["a"], &[], &source), json!({"a": {"b": 1, "c": {"d": 2}}}));
        assert_eq!(filter(&["a.b"], &[], &source), json!({"a": {"b": 1}}));
        assert_eq!(filter(&["a.*"], &["a.c"], &source), json!({"a": {"b": 1}}));
        assert_eq!(filter(&["*.d"], &[], &source), json!({"a": {"c": {"d": 2}}}));
        assert_eq!(filter(&["x.y"], &[], &source), json!({"x": [{"y": 1}]}));
        assert_eq!(filter(&[], &["x", "a.c"], &source), json!({"a": {"b": 1}, "k": "v"}));
        assert_eq!(filter(&["nothing"], &[], &source), json!({}));
    }

    #[test]
    fn values_are_found_through_arrays_and_dots() {
        let source = json!({"a": [{"b": 1}, {"b": [2, null]}], "a.b": 3});
        let mut found = Vec::new();
        values_at(&source, "a.b", &mut found);
        assert_eq!(found, [&json!(3), &json!(1), &json!(2)]);
    }
}
