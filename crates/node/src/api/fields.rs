//! Which fields indices have: `_field_caps` and `_mapping/field`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::IndexInfo;

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, wildcard_matches};
use crate::node::Node;
use crate::writes::resolve_options;

const CAPS: &[&str] = &[
    "fields",
    "include_unmapped",
    "include_empty_fields",
    "filters",
    "types",
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
];
const FIELD: &[&str] = &["include_defaults", "expand_wildcards", "ignore_unavailable", "allow_no_indices"];

/// The fields that every index has: name, type, whether it can be searched and aggregated.
const METADATA: [(&str, &str, bool, bool); 15] = [
    ("_data_stream_timestamp", "_data_stream_timestamp", false, false),
    ("_doc_count", "integer", false, false),
    ("_field_names", "_field_names", true, false),
    ("_id", "_id", true, false),
    ("_ignored", "_ignored", true, true),
    ("_ignored_source", "_ignored_source", false, false),
    ("_index", "_index", true, true),
    ("_index_mode", "_index_mode", true, true),
    ("_inference_fields", "_inference_fields", false, false),
    ("_nested_path", "_nested_path", true, false),
    ("_routing", "_routing", true, false),
    ("_seq_no", "_seq_no", true, true),
    ("_source", "_source", false, false),
    ("_tier", "keyword", true, true),
    ("_version", "_version", false, true),
];

pub(super) fn routes(table: &mut Table) {
    table.on("GET,POST", &["/_field_caps", "/{index}/_field_caps"], CAPS, BodyRule::Optional, field_caps);
    table.on(
        "GET",
        &["/_mapping/field/{fields}", "/{index}/_mapping/field/{fields}"],
        FIELD,
        BodyRule::None,
        field_mappings,
    );
}

/// A field of a mapping.
struct Field {
    path: String,
    /// Its definition; none for metadata.
    definition: Value,
    kind: String,
    metadata: bool,
    searchable: bool,
    aggregatable: bool,
}

impl Field {
    fn of(path: String, definition: &Value) -> Self {
        let on = |name: &str| definition[name] != json!(false) && definition[name] != json!("false");
        let kind = match definition["type"].as_str() {
            Some("constant_keyword" | "wildcard") => "keyword",
            Some("match_only_text") => "text",
            Some(kind) => kind,
            None => "object",
        };
        let text = matches!(kind, "text" | "search_as_you_type");
        let holder = matches!(kind, "object" | "nested" | "binary");
        let columns = on("doc_values") && !text && !holder;
        Self {
            path,
            definition: definition.clone(),
            kind: kind.to_owned(),
            metadata: false,
            searchable: !holder && (on("index") || columns),
            aggregatable: columns,
        }
    }
}

/// All fields of an index, objects too.
fn fields_of(info: &IndexInfo) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(&info.mappings, "", &mut fields);
    let metadata = |(name, kind, searchable, aggregatable): (&str, &str, bool, bool)| Field {
        path: name.to_owned(),
        definition: Value::Null,
        kind: kind.to_owned(),
        metadata: true,
        searchable,
        aggregatable,
    };
    fields.extend(METADATA.map(metadata));
    fields
}

fn collect(node: &Value, path: &str, fields: &mut Vec<Field>) {
    for members in ["properties", "fields"].iter().filter_map(|name| node[*name].as_object()) {
        for (name, definition) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let before = fields.len();
            collect(definition, &path, fields);
            let field = Field::of(path, definition);
            // An object is there for what is in it.
            if field.kind != "object" || fields.len() > before {
                fields.push(field);
            }
        }
    }
}

/// An alias is told as what it stands for.
fn resolved(fields: &mut [Field]) {
    for at in 0..fields.len() {
        let target = fields[at].definition["path"].as_str().filter(|_| fields[at].kind == "alias");
        let Some(found) = target.and_then(|path| fields.iter().position(|field| field.path == path)) else {
            continue;
        };
        let target = &fields[found];
        let (kind, searchable, aggregatable) = (target.kind.clone(), target.searchable, target.aggregatable);
        let alias = &mut fields[at];
        (alias.kind, alias.searchable, alias.aggregatable) = (kind, searchable, aggregatable);
    }
}

fn chosen(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| wildcard_matches(pattern, path))
}

async fn field_mappings(node: Arc<Node>, call: Call) -> Result<Reply> {
    if call.params.flag_or("include_defaults", false)? {
        return Err(ApiError::not_served("[include_defaults] for the mappings of fields"));
    }
    let patterns: Vec<String> = call.var("fields").split(',').map(str::to_owned).collect();
    let mut body = Map::new();
    for info in node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)? {
        let fields = fields_of(&info);
        let wanted = fields.iter().filter(|field| !matches!(field.kind.as_str(), "object" | "nested"));
        let shown: Map<String, Value> = wanted
            .filter(|field| chosen(&patterns, &field.path))
            .map(|field| {
                let name = field.path.rsplit('.').next().unwrap_or_default();
                let mapping = if field.metadata { json!({}) } else { json!({name: field.definition}) };
                (field.path.clone(), json!({"full_name": field.path, "mapping": mapping}))
            })
            .collect();
        body.insert(info.name, json!({"mappings": shown}));
    }
    Ok(Reply::ok(Value::Object(body)))
}

/// Indices that have a field as one type.
struct Holders<'a> {
    kind: &'a str,
    metadata: bool,
    indices: Vec<&'a str>,
    not_searchable: Vec<&'a str>,
    not_aggregatable: Vec<&'a str>,
}

impl Holders<'_> {
    fn shown(&self, alone: bool) -> Value {
        let mut shown = json!({
            "type": self.kind,
            "metadata_field": self.metadata,
            "searchable": self.not_searchable.is_empty(),
            "aggregatable": self.not_aggregatable.is_empty(),
        });
        if !alone {
            shown["indices"] = json!(self.indices);
        }
        let some = |some: &[&str]| !some.is_empty() && some.len() < self.indices.len();
        if some(&self.not_searchable) {
            shown["non_searchable_indices"] = json!(self.not_searchable);
        }
        if some(&self.not_aggregatable) {
            shown["non_aggregatable_indices"] = json!(self.not_aggregatable);
        }
        shown
    }
}

/// The patterns of the parameter or the body.
fn wanted_fields(call: &Call) -> Result<Vec<String>> {
    let body = call.object()?;
    if let Some(other) = body.keys().find(|key| *key != "fields") {
        return Err(ApiError::not_served(&format!("[{other}] of a request for fields")));
    }
    let given = match body.get("fields") {
        Some(Value::Array(list)) => list.iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => call.params.list("fields").unwrap_or_default(),
    };
    if given.is_empty() { Err(ApiError::validation(["no fields specified"])) } else { Ok(given) }
}

async fn field_caps(node: Arc<Node>, call: Call) -> Result<Reply> {
    if let Some(name) = ["filters", "types"].into_iter().find(|name| call.params.text(name).is_some()) {
        return Err(ApiError::not_served(&format!("the parameter [{name}] of a request for fields")));
    }
    if !call.params.flag_or("include_empty_fields", true)? {
        return Err(ApiError::not_served("[include_empty_fields=false]"));
    }
    let with_unmapped = call.params.flag_or("include_unmapped", false)?;
    let patterns = wanted_fields(&call)?;
    let mut infos = node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    infos.sort_by(|a, b| a.name.cmp(&b.name));
    let mut found: Vec<(&str, Vec<Field>)> = Vec::with_capacity(infos.len());
    for info in &infos {
        let mut fields = fields_of(info);
        resolved(&mut fields);
        fields.retain(|field| chosen(&patterns, &field.path));
        found.push((&info.name, fields));
    }
    let paths: BTreeSet<&str> =
        found.iter().flat_map(|(_, fields)| fields.iter().map(|field| field.path.as_str())).collect();
    let shown: Map<String, Value> =
        paths.into_iter().map(|path| (path.to_owned(), caps_of(path, &found, with_unmapped))).collect();
    let indices: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    Ok(Reply::ok(json!({"indices": indices, "fields": shown})))
}

/// What a field is in all indices, by type.
fn caps_of(path: &str, found: &[(&str, Vec<Field>)], with_unmapped: bool) -> Value {
    let mut kinds: Vec<Holders<'_>> = Vec::new();
    let unmapped = Field {
        path: String::new(),
        definition: Value::Null,
        kind: "unmapped".to_owned(),
        metadata: false,
        searchable: false,
        aggregatable: false,
    };
    for (index, fields) in found {
        let field = match fields.iter().find(|field| field.path == path) {
            Some(field) => field,
            None if with_unmapped => &unmapped,
            None => continue,
        };
        let at = kinds.iter().position(|holders| holders.kind == field.kind).unwrap_or(kinds.len());
        if at == kinds.len() {
            kinds.push(Holders {
                kind: &field.kind,
                metadata: field.metadata,
                indices: Vec::new(),
                not_searchable: Vec::new(),
                not_aggregatable: Vec::new(),
            });
        }
        let holders = &mut kinds[at];
        holders.indices.push(index);
        if !field.searchable {
            holders.not_searchable.push(index);
        }
        if !field.aggregatable {
            holders.not_aggregatable.push(index);
        }
    }
    let alone = kinds.len() == 1;
    let shown: Map<String, Value> =
        kinds.iter().map(|holders| (holders.kind.to_owned(), holders.shown(alone))).collect();
    Value::Object(shown)
}
