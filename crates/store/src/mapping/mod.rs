//! Mappings: which fields an index has, how their values are read, and what becomes of unknown ones.

mod dynamic;
mod merge;
mod node;
mod parse;
mod types;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub(crate) use node::{Dynamic, FieldNode, Node, ObjectNode, join};
pub use parse::check_mappings;
use parse::{Written, parse_mapping};
pub(crate) use types::{FieldType, Storage};

use crate::analysis::{Analyzer, Analyzers};
use crate::dates::DateFormats;
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::json::Token;

/// One searchable field.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Unique in the index, never reused.
    pub(crate) id: u32,
    /// The id as text: the field's name in the search index.
    pub(crate) key: String,
    /// The field's name for values of flattened objects with their key.
    pub(crate) keyed: String,
    pub(crate) path: String,
    pub(crate) ty: FieldType,
    pub(crate) indexed: bool,
    pub(crate) doc_values: bool,
    pub(crate) norms: bool,
    pub(crate) analyzer: usize,
    pub(crate) search_analyzer: usize,
    pub(crate) normalizer: Option<Arc<Analyzer>>,
    pub(crate) ignore_above: usize,
    pub(crate) ignore_malformed: bool,
    pub(crate) coerce: bool,
    pub(crate) null_value: Option<Value>,
    pub(crate) formats: DateFormats,
    pub(crate) copy_to: Vec<String>,
    pub(crate) scaling: f64,
    /// The field an alias stands for.
    pub(crate) alias: Option<String>,
    /// The field whose source this multi-field reads.
    pub(crate) parent: Option<String>,
    /// The numbers of its multi-fields.
    pub(crate) subs: Vec<u32>,
}

/// Limits from the index's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `index.mapping.total_fields.limit`.
    pub(crate) total_fields: usize,
    /// `index.mapping.total_fields.ignore_dynamic_beyond_limit`.
    pub(crate) ignore_beyond: bool,
    /// `index.mapping.depth.limit`.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total_fields: 1_000, ignore_beyond: false, depth: 20 }
    }
}

/// A compiled mapping. Immutable; a change makes a new one.
#[derive(Debug)]
pub(crate) struct Mapping {
    written: Written,
    leaves: Vec<Arc<Leaf>>,
    by_path: HashMap<String, u32>,
    pub(crate) analyzers: Arc<Analyzers>,
    pub(crate) limits: Limits,
    /// Numbers of all fields ever mapped, so that a reopened index finds its terms again.
    ids: BTreeMap<String, u32>,
}

impl Mapping {
    /// Reads a mapping; `ids` are the field numbers given out before.
    pub(crate) fn new(
        value: &Value,
        ids: BTreeMap<String, u32>,
        analyzers: Arc<Analyzers>,
        limits: Limits,
    ) -> Result<Self> {
        Self::compile(parse_mapping(value)?, ids, analyzers, limits)
    }

    fn compile(
        mut written: Written,
        mut ids: BTreeMap<String, u32>,
        analyzers: Arc<Analyzers>,
        limits: Limits,
    ) -> Result<Self> {
        let count = written.root.count();
        if count > limits.total_fields {
            let reason = format!("Limit of total fields [{}] has been exceeded", limits.total_fields);
            return Err(StoreError::illegal(reason));
        }
        let (depth, deepest) = written.root.depth("");
        if depth > limits.depth {
            let reason = format!(
                "Limit of mapping depth [{}] has been exceeded due to object field [{deepest}]",
                limits.depth
            );
            return Err(StoreError::illegal(reason));
        }
        let mut leaves = Vec::new();
        compile_object(&mut written.root, "", &mut ids, &analyzers, &mut leaves)?;
        let by_path = leaves.iter().map(|leaf| (leaf.path.clone(), leaf.id)).collect();
        let size = ids.values().max().map_or(0, |max| *max as usize + 1);
        let mut table: Vec<Option<Arc<Leaf>>> = vec![None; size];
        for leaf in leaves {
            let at = leaf.id as usize;
            table[at] = Some(Arc::new(leaf));
        }
        let leaves = table.into_iter().flatten().collect::<Vec<_>>();
        Ok(Self { written, leaves, by_path, analyzers, limits, ids })
    }

    /// This mapping with another merged into it.
    pub(crate) fn merged(&self, value: &Value) -> Result<Self> {
        self.merged_with(&parse_mapping(value)?)
    }

    fn merged_with(&self, new: &Written) -> Result<Self> {
        let mut written = self.written.clone();
        merge::merge(&mut written, new)?;
        Self::compile(written, self.ids.clone(), Arc::clone(&self.analyzers), self.limits)
    }

    /// This mapping with fields added that documents brought.
    pub(crate) fn with_new_fields(&self, fields: &ObjectNode) -> Result<Self> {
        let added = fields.count();
        self.merged_with(&Written { root: fields.clone(), meta: Map::new() }).map_err(|error| {
            if error.reason().starts_with("Limit of total fields") {
                return StoreError::illegal(format!("{} while adding new fields [{added}]", error.reason()));
            }
            error
        })
    }

    /// This mapping under other limits.
    pub(crate) fn with_limits(&self, limits: Limits) -> Result<Self> {
        Self::compile(self.written.clone(), self.ids.clone(), Arc::clone(&self.analyzers), limits)
    }

    /// In Elasticsearch's form.
    pub(crate) fn to_value(&self) -> Value {
        let mut out = Map::new();
        if let Some(dynamic) = self.written.root.dynamic {
            out.insert("dynamic".into(), json!(dynamic.as_str()));
        }
        if !self.written.root.enabled {
            out.insert("enabled".into(), json!(false));
        }
        out.extend(self.written.meta.clone());
        if let Some(properties) = self.written.root.properties() {
            out.insert("properties".into(), properties);
        }
        Value::Object(out)
    }

    pub(crate) fn ids(&self) -> &BTreeMap<String, u32> {
        &self.ids
    }

    pub(crate) fn root(&self) -> &ObjectNode {
        &self.written.root
    }

    /// The leaf of a number given by a compiled node.
    pub(crate) fn leaf(&self, id: u32) -> Option<&Arc<Leaf>> {
        // Fields are never removed, so numbers are positions; the check guards against a damaged record.
        self.leaves
            .get(id as usize)
            .filter(|leaf| leaf.id == id)
            .or_else(|| self.leaves.iter().find(|leaf| leaf.id == id))
    }

    pub(crate) fn leaves(&self) -> &[Arc<Leaf>] {
        &self.leaves
    }

    /// The leaf at a path, through aliases.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Leaf>> {
        let leaf = self.leaf(*self.by_path.get(path)?)?;
        match &leaf.alias {
            Some(target) if target != path => {
                self.leaf(*self.by_path.get(target)?).filter(|leaf| leaf.alias.is_none())
            }
            _ => Some(leaf),
        }
    }

    /// The flattened field a path leads into, and the key below it.
    pub(crate) fn find_flattened<'p>(&self, path: &'p str) -> Option<(&Arc<Leaf>, &'p str)> {
        path.match_indices('.').find_map(|(at, _)| {
            let leaf = self.find(&path[..at]).filter(|leaf| leaf.ty == FieldType::Flattened)?;
            Some((leaf, &path[at + 1..]))
        })
    }

    /// Whether an object is mapped at this path.
    pub(crate) fn is_object(&self, path: &str) -> bool {
        self.object_at(path).is_some()
    }

    /// Whether a nested object is mapped at this path.
    pub(crate) fn is_nested(&self, path: &str) -> bool {
        self.object_at(path).is_some_and(|object| object.nested)
    }

    fn object_at(&self, path: &str) -> Option<&ObjectNode> {
        path.split('.').try_fold(&self.written.root, |object, part| match object.children.get(part) {
            Some(Node::Object(inner)) => Some(inner),
            _ => None,
        })
    }

    /// The node a new field gets.
    ///
    /// # Errors
    /// When a dynamic template's mapping is wrong.
    pub(crate) fn infer(&self, path: &str, token: &Token<'_>) -> Result<Node> {
        dynamic::Rules { meta: &self.written.meta }.infer(path, token)
    }

    /// `date_detection` and the like live at the top level.
    pub(crate) fn source_enabled(&self) -> bool {
        self.written.meta.get("_source").and_then(|s| s.get("enabled")) != Some(&json!(false))
    }
}

/// Puts a node found while reading a document into the tree of new fields.
pub(crate) fn add_new_field(fields: &mut ObjectNode, path: &str, node: Node) {
    dynamic::Rules::tree(fields, path, node);
}

/// The error for an unmapped field under `dynamic: strict`.
pub(crate) fn strict_error(position: (usize, usize), name: &str, within: &str) -> StoreError {
    dynamic::strict_error(position, name, within)
}

fn compile_object(
    object: &mut ObjectNode,
    path: &str,
    ids: &mut BTreeMap<String, u32>,
    analyzers: &Analyzers,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    for (name, node) in &mut object.children {
        let path = join(path, name);
        match node {
            Node::Object(inner) => compile_object(inner, &path, ids, analyzers, leaves)?,
            Node::Field(field) => {
                compile_field(field, &path, None, ids, analyzers, leaves)?;
            }
        }
    }
    Ok(())
}

fn compile_field(
    field: &mut FieldNode,
    path: &str,
    parent: Option<&str>,
    ids: &mut BTreeMap<String, u32>,
    analyzers: &Analyzers,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    let next = ids.len() as u32;
    let id = *ids.entry(path.to_owned()).or_insert(next);
    field.leaf = id;
    let at = leaves.len();
    leaves.push(compile_leaf(field, id, path, parent, analyzers)?);
    for (name, sub) in &mut field.subs {
        compile_field(sub, &join(path, name), Some(path), ids, analyzers, leaves)?;
    }
    leaves[at].subs = field.subs.values().map(|sub| sub.leaf).collect();
    Ok(())
}

fn not_configured(what: &str, name: &str) -> StoreError {
    let reason = format!("{what} [{name}] has not been configured in mappings");
    StoreError::new(ErrorKind::MapperParsing, format!("Failed to parse mapping: {reason}"))
        .because(Cause::new("illegal_argument_exception", reason))
}

fn compile_leaf(
    field: &FieldNode,
    id: u32,
    path: &str,
    parent: Option<&str>,
    analyzers: &Analyzers,
) -> Result<Leaf> {
    let param = |key: &str| field.params.get(key);
    let flag = |key: &str, default: bool| match param(key) {
        Some(Value::Bool(on)) => *on,
        Some(Value::Object(_)) => true,
        _ => default,
    };
    let text = |key: &str| param(key).and_then(Value::as_str);
    let find = |name: &str| analyzers.find(name).ok_or_else(|| not_configured("analyzer", name));
    let analyzer = text("analyzer").map_or(Ok(analyzers.default_id()), find)?;
    let search_analyzer = text("search_analyzer").map_or(Ok(analyzer), find)?;
    if let Some(quote) = text("search_quote_analyzer") {
        find(quote)?;
    }
    let normalizer = match text("normalizer") {
        None => None,
        Some(name) => {
            let missing = || {
                let reason = format!("normalizer [{name}] not found for field [{path}]");
                StoreError::new(ErrorKind::MapperParsing, format!("Failed to parse mapping: {reason}"))
                    .because(Cause::new("mapper_parsing_exception", reason))
            };
            Some(Arc::clone(analyzers.normalizer(name).ok_or_else(missing)?))
        }
    };
    let formats = match text("format") {
        None => DateFormats::default(),
        Some(spec) => DateFormats::parse_spec(spec).map_err(|why| {
            StoreError::new(ErrorKind::MapperParsing, format!("Failed to parse mapping: {why}"))
                .because(Cause::new("illegal_argument_exception", why))
        })?,
    };
    let copy_to = param("copy_to").and_then(Value::as_array).into_iter().flatten();
    Ok(Leaf {
        id,
        key: id.to_string(),
        keyed: format!("{id}k"),
        path: path.to_owned(),
        ty: field.ty,
        indexed: flag("index", true),
        doc_values: flag("doc_values", true),
        norms: flag("norms", field.ty.is_text()),
        analyzer,
        search_analyzer,
        normalizer,
        ignore_above: param("ignore_above").and_then(Value::as_u64).map_or(usize::MAX, |n| n as usize),
        ignore_malformed: flag("ignore_malformed", false),
        coerce: flag("coerce", true),
        null_value: param("null_value").cloned(),
        formats,
        copy_to: copy_to.filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        scaling: param("scaling_factor").and_then(Value::as_f64).unwrap_or(1.0),
        alias: text("path").filter(|_| field.ty == FieldType::Alias).map(str::to_owned),
        parent: parent.map(str::to_owned),
        subs: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
