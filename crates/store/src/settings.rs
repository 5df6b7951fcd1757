//! Index settings: from any of the forms Elasticsearch takes to one flat table, and back to the nested form it shows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::{Cause, Result, StoreError};
use crate::mapping::Limits;

/// Settings that may be given, as names or as prefixes that end in a dot.
const KNOWN: [&str; 62] = [
    "number_of_shards",
    "number_of_replicas",
    "number_of_routing_shards",
    "auto_expand_replicas",
    "hidden",
    "refresh_interval",
    "max_result_window",
    "max_inner_result_window",
    "max_rescore_window",
    "max_docvalue_fields_search",
    "max_script_fields",
    "max_ngram_diff",
    "max_shingle_diff",
    "max_terms_count",
    "max_regex_length",
    "max_refresh_listeners",
    "max_slices_per_scroll",
    "max_slices_per_pit",
    "max_adjacency_matrix_filters",
    "analyze.",
    "highlight.",
    "blocks.",
    "codec",
    "routing.",
    "routing_path",
    "routing_partition_size",
    "load_fixed_bitset_filters_eagerly",
    "mapping.",
    "mapper.",
    "query.",
    "similarity.",
    "sort.",
    "store.",
    "translog.",
    "merge.",
    "search.",
    "indexing.",
    "lifecycle.",
    "default_pipeline",
    "final_pipeline",
    "gc_deletes",
    "priority",
    "provided_name",
    "creation_date",
    "uuid",
    "version.",
    "analysis.",
    "soft_deletes.",
    "shard.",
    "unassigned.",
    "write.",
    "verified_before_close",
    "format",
    "mode",
    "time_series.",
    "requests.",
    "warmer.",
    "allocation.",
    "top_metrics_max_size",
    "fast_refresh",
    "flush_after_merge",
    "plugins.",
];

/// Settings that are fixed when the index is created.
const STATIC: [&str; 13] = [
    "number_of_shards",
    "number_of_routing_shards",
    "codec",
    "routing_partition_size",
    "load_fixed_bitset_filters_eagerly",
    "sort.",
    "store.",
    "analysis.",
    "soft_deletes.enabled",
    "mode",
    "similarity.",
    "shard.check_on_startup",
    "uuid",
];

/// One index's settings, flat, without the prefix `index.`; values are strings or lists of strings.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings(BTreeMap<String, Value>);

fn listed(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| *known == name || (known.ends_with('.') && name.starts_with(known)))
}

/// Settings are strings, whatever they were given as.
fn text_value(value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Null => value.clone(),
        Value::Array(list) => list.iter().map(text_value).collect(),
        other => json!(other.to_string()),
    }
}

fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, inner, out);
            }
        }
        other => {
            let key = prefix.strip_prefix("index.").unwrap_or(prefix).to_owned();
            out.insert(key, text_value(other));
        }
    }
}

fn bad_value(name: &str, value: &str) -> StoreError {
    StoreError::illegal(format!("Failed to parse value [{value}] for setting [index.{name}]"))
        .because(Cause::new("number_format_exception", format!("For input string: \"{value}\"")))
}

/// A time value such as `1s`, `500ms`; `-1` means never.
pub(crate) fn parse_time(text: &str) -> Option<Option<Duration>> {
    if text == "-1" {
        return Some(None);
    }
    if text == "0" {
        return Some(Some(Duration::ZERO));
    }
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "nanos" | "micros" => 0,
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(|millis| Some(Duration::from_millis(millis)))
}

impl Settings {
    /// Reads the settings of a new index.
    pub(crate) fn parse(value: &Value) -> Result<Self> {
        let mut flat = BTreeMap::new();
        match value {
            Value::Null => {}
            Value::Object(_) => flatten("", value, &mut flat),
            other => return Err(StoreError::illegal(format!("settings must be an object, not [{other}]"))),
        }
        flat.retain(|_, value| !value.is_null());
        let settings = Self(flat);
        settings.check()?;
        Ok(settings)
    }

    /// As stored.
    pub(crate) fn from_stored(value: &Value) -> Self {
        let entries = value.as_object().into_iter().flatten();
        Self(entries.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    pub(crate) fn to_stored(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// These settings with others set, and those that are null removed.
    pub(crate) fn merged(&self, value: &Value, index: &str, uuid: &str) -> Result<Self> {
        let mut changes = BTreeMap::new();
        flatten("", value, &mut changes);
        let fixed: Vec<String> = changes
            .iter()
            .filter(|(name, value)| listed(&STATIC, name) && self.0.get(*name) != Some(*value))
            .map(|(name, _)| format!("index.{name}"))
            .collect();
        if !fixed.is_empty() {
            let reason = format!(
                "Can't update non dynamic settings [[{}]] for open indices [[{index}/{uuid}]]",
                fixed.join(", ")
            );
            return Err(StoreError::illegal(reason));
        }
        let mut merged = self.clone();
        for (name, value) in changes {
            if value.is_null() {
                merged.0.remove(&name);
            } else {
                merged.0.insert(name, value);
            }
        }
        merged.check()?;
        Ok(merged)
    }

    fn check(&self) -> Result<()> {
        if let Some(name) = self.0.keys().find(|name| !listed(&KNOWN, name)) {
            return Err(StoreError::illegal(format!(
                "unknown setting [index.{name}] please check that any required plugins are installed, or check the breaking \
                 changes documentation for removed settings"
            )));
        }
        for (name, least) in [
            ("number_of_shards", 1),
            ("number_of_replicas", 0),
            ("mapping.total_fields.limit", 0),
            ("mapping.depth.limit", 1),
            ("max_result_window", 1),
        ] {
            let Some(text) = self.text(name) else { continue };
            let number: i64 = text.parse().map_err(|_| bad_value(name, text))?;
            if number < least {
                let reason =
                    format!("Failed to parse value [{text}] for setting [index.{name}] must be >= {least}");
                return Err(StoreError::illegal(reason));
            }
        }
        if let Some(text) = self.text("refresh_interval").filter(|text| parse_time(text).is_none()) {
            let reason = format!(
                "failed to parse setting [index.refresh_interval] with value [{text}] as a time value: unit is missing or \
                 unrecognized"
            );
            return Err(StoreError::illegal(reason));
        }
        if let Some(text) = self.text("hidden").filter(|text| !matches!(*text, "true" | "false")) {
            let reason = format!("Failed to parse value [{text}] as only [true] or [false] are allowed.");
            return Err(StoreError::illegal(reason));
        }
        Ok(())
    }

    /// A setting's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    pub(crate) fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            total_fields: self.number("mapping.total_fields.limit", default.total_fields),
            ignore_beyond: self.text("mapping.total_fields.ignore_dynamic_beyond_limit") == Some("true"),
            depth: self.number("mapping.depth.limit", default.depth),
        }
    }

    pub(crate) fn max_result_window(&self) -> usize {
        self.number("max_result_window", 10_000)
    }

    /// How long a write may stay invisible; `None` means until asked for.
    pub(crate) fn refresh_interval(&self) -> Option<Duration> {
        self.text("refresh_interval").and_then(parse_time).unwrap_or(Some(Duration::from_secs(1)))
    }

    pub(crate) fn hidden(&self) -> bool {
        self.text("hidden") == Some("true")
    }

    /// The section `analysis`, nested.
    pub(crate) fn analysis(&self) -> Option<Value> {
        let own = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix("analysis.")?, value)));
        let nested = nest(own);
        (!nested.is_empty()).then_some(Value::Object(nested))
    }

    /// The content of `settings.index` as Elasticsearch shows it.
    pub(crate) fn shown(&self, name: &str, uuid: &str, created_at: i64) -> Value {
        let mut all = self.0.clone();
        let defaults = [
            ("number_of_shards", "1".to_owned()),
            ("number_of_replicas", "1".to_owned()),
            ("provided_name", name.to_owned()),
        ];
        for (key, value) in defaults {
            all.entry(key.to_owned()).or_insert_with(|| json!(value));
        }
        all.insert("creation_date".to_owned(), json!(created_at.to_string()));
        all.insert("uuid".to_owned(), json!(uuid));
        all.insert("version.created".to_owned(), json!("9094000"));
        Value::Object(nest(all.iter().map(|(name, value)| (name.as_str(), value))))
    }
}

fn nest<'v>(entries: impl Iterator<Item = (&'v str, &'v Value)>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in entries {
        let mut object = &mut out;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                object.insert(part.to_owned(), value.clone());
                break;
            }
            let child = object.entry(part.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            let Some(inner) = child.as_object_mut() else { break };
            object = inner;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_mean_the_same() {
        let wanted = Settings::parse(
            &json!({"index": {"mapping": {"total_fields": {"limit": 5}}, "number_of_replicas": 0}}),
        )
        .unwrap();
        for value in [
            json!({"index.mapping.total_fields.limit": "5", "number_of_replicas": "0"}),
            json!({"mapping": {"total_fields.limit": 5}, "index": {"number_of_replicas": 0}}),
        ] {
            assert_eq!(Settings::parse(&value).unwrap(), wanted);
        }
        assert_eq!(wanted.limits().total_fields, 5);
        let shown = wanted.shown("x", "u", 7);
        assert_eq!(shown["mapping"]["total_fields"]["limit"], "5");
        assert_eq!(shown["number_of_shards"], "1");
    }

    #[test]
    fn unknown_and_malformed_settings_are_refused() {
        let table = [
            (json!({"index.foo": 1}), "unknown setting [index.foo] please check"),
            (
                json!({"number_of_shards": "abc"}),
                "Failed to parse value [abc] for setting [index.number_of_shards]",
            ),
            (json!({"refresh_interval": "fast"}), "failed to parse setting [index.refresh_interval]"),
        ];
        for (value, wanted) in table {
            assert!(Settings::parse(&value).unwrap_err().reason().starts_with(wanted));
        }
    }

    #[test]
    fn static_settings_stay() {
        let settings = Settings::parse(&json!({"number_of_shards": 1})).unwrap();
        let error = settings.merged(&json!({"number_of_shards": 2}), "i", "u").unwrap_err();
        assert_eq!(
            error.reason(),
            "Can't update non dynamic settings [[index.number_of_shards]] for open indices [[i/u]]"
        );
        let changed = settings.merged(&json!({"index": {"refresh_interval": "5s"}}), "i", "u").unwrap();
        assert_eq!(changed.refresh_interval(), Some(Duration::from_secs(5)));
        assert_eq!(changed.merged(&json!({"refresh_interval": null}), "i", "u").unwrap(), settings);
    }

    #[test]
    fn analysis_is_nested_again() {
        let settings = Settings::parse(&json!({"analysis.filter.x.type": "stop", "analysis": {"filter": {"x": {"stopwords": ["a", "b"]}}}})).unwrap();
        assert_eq!(
            settings.analysis().unwrap(),
            json!({"filter": {"x": {"type": "stop", "stopwords": ["a", "b"]}}})
        );
    }
}
