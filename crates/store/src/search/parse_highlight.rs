//! Reading `highlight`.

use serde_json::Value;

use super::parse::{flag, malformed, strings, whole};
use super::request::{HighlightField, HighlightRequest};
use crate::error::{Result, StoreError};
use crate::query::{Query, scalar_text};

/// Settings that may stand for all fields and for one.
#[derive(Clone)]
struct HighlightSettings {
    pre_tag: String,
    post_tag: String,
    fragment_size: usize,
    number_of_fragments: usize,
    no_match_size: usize,
    require_field_match: bool,
    query: Option<Query>,
    kind: String,
}

impl HighlightSettings {
    fn read(&mut self, key: &str, value: &Value) -> Result<bool> {
        let size = |value: &Value| whole(value).map(|number| usize::try_from(number).unwrap_or(0));
        match key {
            "pre_tags" => self.pre_tag = strings(value).into_iter().next().unwrap_or_default(),
            "post_tags" => self.post_tag = strings(value).into_iter().next().unwrap_or_default(),
            "fragment_size" => self.fragment_size = size(value)?,
            "number_of_fragments" => self.number_of_fragments = size(value)?,
            "no_match_size" => self.no_match_size = size(value)?,
            "require_field_match" => self.require_field_match = flag(key, value)?,
            "highlight_query" => self.query = Some(Query::parse(value)?),
            "type" => self.kind = scalar_text(value),
            "order"
            | "encoder"
            | "tags_schema"
            | "boundary_scanner"
            | "boundary_chars"
            | "boundary_max_scan"
            | "boundary_scanner_locale"
            | "phrase_limit"
            | "max_analyzed_offset"
            | "fragmenter"
            | "force_source"
            | "matched_fields"
            | "options"
            | "fragment_offset"
            | "highlight_filter"
            | "max_fragment_length" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn no_fields(value: &Value) -> StoreError {
    let reason = "[fields] can be a single object with any number of fields or an array where each entry is an object \
                  with a single field";
    malformed(reason).about(value).in_field("highlight", "fields")
}

pub(super) fn highlight(value: &Value) -> Result<HighlightRequest> {
    let Some(object) = value.as_object() else { return Err(malformed("[highlight] must be an object")) };
    let mut common = HighlightSettings {
        pre_tag: "<em>".to_owned(),
        post_tag: "</em>".to_owned(),
        fragment_size: 100,
        number_of_fragments: 5,
        no_match_size: 0,
        require_field_match: true,
        query: None,
        kind: "unified".to_owned(),
    };
    for (key, value) in object.iter().filter(|(key, _)| *key != "fields") {
        if !common.read(key, value)? {
            return Err(malformed(format!("[highlight] unknown field [{key}]")));
        }
    }
    let mut entries: Vec<(&String, &Value)> = Vec::new();
    match object.get("fields") {
        Some(Value::Object(fields)) => entries.extend(fields),
        Some(Value::Array(list)) => {
            for entry in list {
                let single = entry.as_object().filter(|fields| fields.len() == 1);
                entries.extend(single.ok_or_else(|| no_fields(entry))?);
            }
        }
        Some(other) => return Err(no_fields(other)),
        None => {}
    }
    let mut fields = Vec::with_capacity(entries.len());
    for (pattern, options) in entries {
        let mut own = common.clone();
        for (key, value) in options.as_object().into_iter().flatten() {
            if !own.read(key, value)? {
                return Err(malformed(format!("[highlight_field] unknown field [{key}]")));
            }
        }
        fields.push(HighlightField {
            pattern: pattern.clone(),
            pre_tag: own.pre_tag,
            post_tag: own.post_tag,
            fragment_size: own.fragment_size,
            number_of_fragments: own.number_of_fragments,
            no_match_size: own.no_match_size,
            require_field_match: own.require_field_match,
            query: own.query,
            kind: own.kind,
        });
    }
    Ok(HighlightRequest { fields })
}
