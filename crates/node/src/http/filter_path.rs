//! `filter_path`: keeps or leaves out parts of an answer.

use serde_json::{Map, Value};

/// A parsed `filter_path`.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    /// Reads a comma-separated list of paths; those that begin with `-` exclude. `None` when there is no path at all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut filter = Self::default();
        for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            match path.strip_prefix('-') {
                Some(excluded) => filter.excludes.push(segments(excluded)),
                None => filter.includes.push(segments(path)),
            }
        }
        (!filter.includes.is_empty() || !filter.excludes.is_empty()).then_some(filter)
    }

    /// What is left of a value. Nothing at all leaves `{}`.
    pub(crate) fn apply(&self, value: Value) -> Value {
        let mut value = value;
        if !self.includes.is_empty() {
            let paths: Vec<&[String]> = self.includes.iter().map(Vec::as_slice).collect();
            value = include(value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        if !self.excludes.is_empty() {
            let paths: Vec<&[String]> = self.excludes.iter().map(Vec::as_slice).collect();
            value = exclude(value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        value
    }
}

/// Splits at dots; `\.` is a dot in a name.
fn segments(path: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => {
                chars.next();
                if let Some(last) = list.last_mut() {
                    last.push('.');
                }
            }
            '.' => list.push(String::new()),
            c => {
                if let Some(last) = list.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    // Several in a row mean the same as one.
    list.dedup_by(|a, b| a == "**" && b == "**");
    list
}

/// `*` stands for any characters of one name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return name.is_empty() };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// The paths that are left after going down to `name`. `**` goes down any number of levels.
fn step<'p>(paths: &[&'p [String]], name: &str) -> Vec<&'p [String]> {
    let mut next = Vec::new();
    for path in paths {
        let Some((head, tail)) = path.split_first() else { continue };
        if head == "**" {
            next.push(*path);
            next.extend(step(&[tail], name));
            if tail.is_empty() {
                next.push(tail);
            }
        } else if matches(head, name) {
            next.push(tail);
        }
    }
    // All are ends of the same few paths; met twice, they would become more with every level.
    next.sort_unstable_by_key(|path| (path.as_ptr() as usize, path.len()));
    next.dedup_by_key(|path| (path.as_ptr() as usize, path.len()));
    next
}

fn include(value: Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let kept: Map<String, Value> = object
                .into_iter()
                .filter_map(|(name, inner)| {
                    let next = step(paths, &name);
                    if next.iter().any(|path| path.is_empty()) {
                        return Some((name, inner));
                    }
                    if next.is_empty() { None } else { include(inner, &next).map(|inner| (name, inner)) }
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) => {
            let kept: Vec<Value> = list.into_iter().filter_map(|inner| include(inner, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn exclude(value: Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(object) if !object.is_empty() => {
            let kept: Map<String, Value> = object
                .into_iter()
                .filter_map(|(name, inner)| {
                    let next = step(paths, &name);
                    if next.iter().any(|path| path.is_empty()) {
                        return None;
                    }
                    if next.is_empty() {
                        Some((name, inner))
                    } else {
                        exclude(inner, &next).map(|inner| (name, inner))
                    }
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) if !list.is_empty() => {
            let kept: Vec<Value> = list.into_iter().filter_map(|inner| exclude(inner, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_keep_and_leave_out_parts() {
        let body = json!({
            "took": 1, "errors": true,
            "items": [{"index": {"_id": "1", "error": {"type": "x"}}}, {"index": {"_id": "2"}}],
            "a": {"b": {"c": 1, "d": 2}, "c": 3}
        });
        let table = [
            ("took", json!({"took": 1})),
            ("took,errors", json!({"took": 1, "errors": true})),
            ("items.*.error", json!({"items": [{"index": {"error": {"type": "x"}}}]})),
            ("**.c", json!({"a": {"b": {"c": 1}, "c": 3}})),
            ("a.b", json!({"a": {"b": {"c": 1, "d": 2}}})),
            ("t*", json!({"took": 1})),
            ("-items,-a", json!({"took": 1, "errors": true})),
            ("a,-a.b", json!({"a": {"c": 3}})),
            ("nothing", json!({})),
            ("took.deeper", json!({})),
        ];
        for (path, wanted) in table {
            assert_eq!(FilterPath::parse(path).unwrap().apply(body.clone()), wanted, "{path}");
        }
        assert!(FilterPath::parse(" , ").is_none());
    }

    #[test]
    fn an_escaped_dot_belongs_to_the_name() {
        let body = json!({"a.b": 1, "a": {"b": 2}});
        assert_eq!(FilterPath::parse("a\\.b").unwrap().apply(body), json!({"a.b": 1}));
    }

    #[test]
    fn very_many_stars_cost_little() {
        let body = json!({"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}});
        for path in ["**.".repeat(50_000) + "f", "**.*.".repeat(2000) + "**.f"] {
            FilterPath::parse(&path).unwrap().apply(body.clone());
        }
        assert_eq!(FilterPath::parse("**.**.f").unwrap().apply(body.clone()), body);
    }

    #[test]
    fn stars_match_any_characters() {
        let table = [
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*", "b", false),
            ("*b*", "abc", true),
            ("abc", "ab", false),
        ];
        for (pattern, name, wanted) in table {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
