//! From a parsed query to one that runs on an index's search index.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur,
    Query as TantivyQuery,
};
use tantivy::schema::Field;

use super::ast::{BoolNode, Bounds, Node, minimum_should_match};
use super::bounds::{self, BadValue, Clock};
use super::compile_range::keyword_range;
use super::leaf::{Boosting, Leaf as LeafQuery, Matcher};
use super::parse_value::scalar_text;
use crate::document::{canonical_ip, fields};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::indexing::View;
use crate::mapping::{FieldType, Leaf, Mapping, Storage};
use crate::names::simple_match;

/// Fields one query without named fields looks at.
const MAX_FIELDS: usize = 1_024;

pub(super) type Compiled = Box<dyn TantivyQuery>;

/// What a query is compiled for.
pub(crate) struct Compiler<'a> {
    pub(super) index: &'a str,
    pub(super) uuid: &'a str,
    pub(super) mapping: &'a Mapping,
    pub(super) view: &'a View,
    pub(crate) now_ms: i64,
    /// Whether scores are wanted.
    pub(super) scored: bool,
}

pub(super) fn none() -> Compiled {
    Box::new(EmptyQuery)
}

/// The path of a field inside the search index, as terms have it: the field's number, a separator, the kind of value.
pub(super) fn term_of(field: Field, key: &str, text: &str) -> Term {
    let mut term = Term::from_field_json_path(field, key, false);
    term.append_type_and_str(text);
    term
}

/// The name of a field's column.
pub(crate) fn column_of(leaf: &Leaf) -> String {
    match leaf.ty.storage() {
        Storage::Keyword | Storage::Flattened if leaf.indexed => format!("k.{}", leaf.key),
        Storage::Keyword | Storage::Flattened => format!("c.{}", leaf.key),
        _ => format!("n.{}", leaf.key),
    }
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        index: &'a str,
        uuid: &'a str,
        mapping: &'a Mapping,
        view: &'a View,
        now_ms: i64,
        scored: bool,
    ) -> Self {
        Self { index, uuid, mapping, view, now_ms, scored }
    }

    fn unscored(&self) -> Self {
        Self { scored: false, ..*self }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { now_ms: self.now_ms }
    }

    /// An error of a running search.
    pub(super) fn fail(&self, error: StoreError) -> StoreError {
        error.in_search(self.index, self.uuid)
    }

    pub(super) fn shard_error(&self, reason: String) -> StoreError {
        self.fail(StoreError::new(ErrorKind::QueryShard, reason))
    }

    pub(super) fn bad_value(&self, bad: BadValue) -> StoreError {
        self.fail(bad.error)
    }

    /// The error for a query that could not be made.
    pub(super) fn not_created(&self, es_type: &str, reason: String) -> StoreError {
        let error = StoreError::new(ErrorKind::QueryShard, format!("failed to create query: {reason}"));
        self.fail(error.because(Cause::new(es_type, reason)))
    }

    /// Compiles a query.
    pub(crate) fn compile(&self, node: &Node) -> Result<Compiled> {
        match node {
            Node::All => Ok(Box::new(AllQuery)),
            Node::None => Ok(none()),
            Node::Invalid { reason } => Err(self.shard_error(reason.clone())),
            Node::Boost(inner, boost) => {
                let inner = self.compile(inner)?;
                Ok(if self.scored { Box::new(BoostQuery::new(inner, *boost)) } else { inner })
            }
            Node::ConstantScore(inner) => {
                let inner = self.unscored().compile(inner)?;
                Ok(Box::new(ConstScoreQuery::new(inner, 1.0)))
            }
            Node::Term { field, value, case_insensitive } => self.term(field, value, *case_insensitive),
            Node::Terms { field, values } => self.terms(field, values),
            Node::Range { field, bounds } => self.range(field, bounds),
            Node::Exists { field } => Ok(self.exists(field)),
            Node::Ids(ids) => Ok(ids_query(ids)),
            Node::Prefix { field, value, case_insensitive, analyzed } => {
                self.on_fields(field, "prefix", |leaf| {
                    let text = self.pattern_text(leaf, value, *analyzed);
                    self.prefix(leaf, &text, *case_insensitive)
                })
            }
            Node::Wildcard { field, value, case_insensitive, analyzed } => {
                self.on_fields(field, "wildcard", |leaf| {
                    let text = self.pattern_text(leaf, value, *analyzed);
                    Ok(self.wildcard(leaf, &text, *case_insensitive))
                })
            }
            Node::Regexp { field, value, case_insensitive } => {
                self.on_fields(field, "regexp", |leaf| self.regexp(leaf, value, *case_insensitive))
            }
            Node::Fuzzy { field, value, options } => self.fuzzy(field, value, options),
            Node::Text { kind, field, text, options } => self.text(*kind, field, text, options),
            Node::Multi { kind, text_kind, fields, text, options, tie_breaker } => {
                self.multi(*kind, *text_kind, fields, text, options, *tie_breaker)
            }
            Node::Bool(parts) => self.boolean(parts),
            Node::DisMax { queries, tie_breaker } => {
                let queries = queries.iter().map(|query| self.compile(query)).collect::<Result<Vec<_>>>()?;
                Ok(dis_max(queries, *tie_breaker))
            }
            Node::Boosting { positive, negative, factor } => Ok(Box::new(Boosting {
                positive: self.compile(positive)?,
                negative: self.unscored().compile(negative)?,
                factor: *factor,
            })),
            Node::Nested { path, query, ignore_unmapped } => self.nested(path, query, *ignore_unmapped),
        }
    }

    fn nested(&self, path: &str, query: &Node, ignore_unmapped: bool) -> Result<Compiled> {
        if self.mapping.is_nested(path) {
            return self.compile(query);
        }
        if ignore_unmapped {
            return Ok(none());
        }
        Err(self.shard_error(format!("[nested] failed to find nested object under path [{path}]")))
    }

    fn boolean(&self, parts: &BoolNode) -> Result<Compiled> {
        let mut clauses: Vec<(Occur, Compiled)> = Vec::new();
        for query in &parts.must {
            clauses.push((Occur::Must, self.clause(query)?));
        }
        for query in &parts.filter {
            let inner = self.unscored().compile(query)?;
            let inner = if self.scored { Box::new(ConstScoreQuery::new(inner, 0.0)) } else { inner };
            clauses.push((Occur::Must, inner));
        }
        let required = !clauses.is_empty();
        let least = match &parts.minimum_should_match {
            Some(spec) => minimum_should_match(spec, parts.should.len()).map_err(|text| {
                self.not_created("number_format_exception", format!("For input string: \"{text}\""))
            })?,
            None => usize::from(!required && !parts.should.is_empty()),
        };
        if least > parts.should.len() {
            return Ok(none());
        }
        for query in &parts.should {
            let compiled = self.clause(query)?;
            // Optional clauses only add to scores.
            if self.scored || least > 0 {
                clauses.push((Occur::Should, compiled));
            }
        }
        if clauses.is_empty() {
            // Nothing is required: all documents, with a score only when nothing is forbidden either.
            let score = if parts.must_not.is_empty() { 1.0 } else { 0.0 };
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), score))));
        } else if !required && least == 0 {
            clauses.push((Occur::Must, Box::new(ConstScoreQuery::new(Box::new(AllQuery), 0.0))));
        }
        for query in &parts.must_not {
            clauses.push((Occur::MustNot, self.unscored().compile(query)?));
        }
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least)))
    }

    /// A clause that adds to the score. Tantivy drops the score of clauses that match everything.
    fn clause(&self, query: &Node) -> Result<Compiled> {
        match query {
            Node::All if self.scored => Ok(Box::new(ConstScoreQuery::new(Box::new(AllQuery), 1.0))),
            Node::Boost(inner, boost) if self.scored && matches!(**inner, Node::All) => {
                Ok(Box::new(ConstScoreQuery::new(Box::new(AllQuery), *boost)))
            }
            other => self.compile(other),
        }
    }

    /// The leaves a field name or pattern means.
    pub(super) fn leaves(&self, pattern: &str) -> Vec<Arc<Leaf>> {
        if !pattern.contains('*') {
            return self.mapping.find(pattern).cloned().into_iter().collect();
        }
        let usable = |leaf: &&Arc<Leaf>| {
            matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword | Storage::Int | Storage::Float)
                && simple_match(pattern, &leaf.path)
        };
        self.mapping.leaves().iter().filter(usable).take(MAX_FIELDS).cloned().collect()
    }

    /// The search index's field of a string field.
    pub(super) fn field_of(leaf: &Leaf) -> Field {
        match leaf.ty.storage() {
            Storage::Text => fields::text(leaf.analyzer),
            _ => fields::KEYWORD,
        }
    }

    pub(super) fn check_searchable(&self, leaf: &Leaf) -> Result<()> {
        let text_without_index = leaf.ty.is_text() && !leaf.indexed;
        let nothing = !leaf.indexed && !leaf.doc_values;
        if text_without_index || nothing || leaf.ty.storage() == Storage::Nothing {
            let reason =
                format!("Cannot search on field [{}] since it is not indexed nor has doc values.", leaf.path);
            return Err(self.not_created("illegal_argument_exception", reason));
        }
        Ok(())
    }

    /// A query for one term of a string field.
    pub(super) fn term_query(&self, leaf: &Leaf, text: &str) -> Result<Compiled> {
        if leaf.ty.storage() == Storage::Keyword && !leaf.indexed {
            return Ok(Box::new(keyword_range(leaf, Some((text, true)), Some((text, true)))));
        }
        let term = term_of(Self::field_of(leaf), &leaf.key, text);
        let bm25 = if self.scored { self.bm25(leaf, &[self.doc_freq(&term)?])? } else { None };
        Ok(Box::new(LeafQuery::Term { term, bm25 }))
    }

    /// A keyword as the field keeps it.
    pub(super) fn keyword_text(leaf: &Leaf, text: &str) -> String {
        match (&leaf.normalizer, leaf.ty) {
            (Some(normalizer), _) => normalizer.normalize(text),
            (None, FieldType::Ip) => canonical_ip(text).unwrap_or_else(|| text.to_owned()),
            (None, _) => text.to_owned(),
        }
    }

    fn term(&self, field: &str, value: &Value, case_insensitive: bool) -> Result<Compiled> {
        match field {
            "_id" => return Ok(ids_query(&[scalar_text(value)])),
            "_index" => {
                let same = simple_match(&scalar_text(value), self.index);
                return Ok(if same { Box::new(AllQuery) } else { none() });
            }
            "_seq_no" => {
                return self.seq_range(&Bounds {
                    lower: Some((value.clone(), true)),
                    upper: Some((value.clone(), true)),
                    ..Bounds::default()
                });
            }
            _ => {}
        }
        let Some(leaf) = self.mapping.find(field) else { return self.flattened_term(field, value) };
        self.exact(leaf, value, case_insensitive)
    }

    fn flattened_term(&self, field: &str, value: &Value) -> Result<Compiled> {
        let Some((leaf, key)) = self.mapping.find_flattened(field) else { return Ok(none()) };
        let term = term_of(fields::KEYWORD, &leaf.keyed, &format!("{key}\0{}", scalar_text(value)));
        let frequencies = if self.scored { vec![self.doc_freq(&term)?] } else { Vec::new() };
        let bm25 = self.column_bm25(&format!("k.{}", leaf.keyed), &frequencies)?;
        Ok(Box::new(LeafQuery::Term { term, bm25 }))
    }

    /// A value exactly, by the field's type.
    pub(super) fn exact(&self, leaf: &Leaf, value: &Value, case_insensitive: bool) -> Result<Compiled> {
        self.check_searchable(leaf)?;
        match leaf.ty.storage() {
            Storage::Int | Storage::Float => {
                let range = bounds::exactly(leaf, value, self.clock()).map_err(|bad| self.bad_value(bad))?;
                Ok(match range {
                    Some(range) if self.scored && leaf.ty == FieldType::Boolean => {
                        self.truth(column_of(leaf), range)?
                    }
                    Some(range) => Box::new(LeafQuery::Numbers { column: column_of(leaf), range }),
                    None => none(),
                })
            }
            _ if leaf.ty == FieldType::Ip && scalar_text(value).contains('/') => {
                self.ip_network(leaf, &scalar_text(value))
            }
            _ if leaf.ty == FieldType::Ip && canonical_ip(&scalar_text(value)).is_none() => {
                let reason = format!("'{}' is not an IP string literal.", scalar_text(value));
                Err(self.not_created("illegal_argument_exception", reason))
            }
            _ if case_insensitive => {
                let wanted = scalar_text(value).to_lowercase();
                let matcher: Matcher = Arc::new(move |text| text.to_lowercase() == wanted);
                Ok(self.pattern(leaf, "", Some(matcher)))
            }
            // Addresses match or do not, as numbers do.
            _ if leaf.ty == FieldType::Ip => {
                self.unscored().term_query(leaf, &Self::keyword_text(leaf, &scalar_text(value)))
            }
            _ => self.term_query(leaf, &Self::keyword_text(leaf, &scalar_text(value))),
        }
    }

    fn terms(&self, field: &str, values: &[Value]) -> Result<Compiled> {
        if field == "_id" {
            return Ok(ids_query(&values.iter().map(scalar_text).collect::<Vec<_>>()));
        }
        let special = field.starts_with('_') && self.mapping.find(field).is_none();
        let leaf = self.mapping.find(field);
        let plain = leaf.filter(|leaf| {
            leaf.indexed
                && matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword | Storage::Flattened)
                && leaf.ty != FieldType::Ip
        });
        if let (Some(leaf), false) = (plain, special) {
            let field = Self::field_of(leaf);
            let texts: BTreeSet<String> =
                values.iter().map(|value| Self::keyword_text(leaf, &scalar_text(value))).collect();
            let terms = texts.iter().map(|text| term_of(field, &leaf.key, text)).collect();
            return Ok(Box::new(LeafQuery::Set { field, terms: Arc::new(terms) }));
        }
        let each = values
            .iter()
            .map(|value| self.unscored().term(field, value, false))
            .collect::<Result<Vec<_>>>()?;
        let clauses = each.into_iter().map(|query| (Occur::Should, query)).collect();
        Ok(Box::new(ConstScoreQuery::new(
            Box::new(BooleanQuery::with_minimum_required_clauses(clauses, 1)),
            1.0,
        )))
    }

    fn exists(&self, field: &str) -> Compiled {
        if matches!(field, "_id" | "_index" | "_source" | "_seq_no" | "_version") {
            return Box::new(AllQuery);
        }
        let below = format!("{field}.");
        let wanted = |leaf: &&Arc<Leaf>| {
            let named = if field.contains('*') {
                simple_match(field, &leaf.path)
            } else {
                leaf.path == field || (leaf.path.starts_with(&below) && self.mapping.is_object(field))
            };
            named && leaf.ty.storage() != Storage::Nothing
        };
        let mut columns: Vec<String> =
            self.mapping.leaves().iter().filter(wanted).map(|leaf| column_of(leaf)).collect();
        if let Some(leaf) = self.mapping.find(field) {
            columns.push(column_of(leaf));
        }
        if columns.is_empty() {
            if let Some((leaf, key)) = self.mapping.find_flattened(field) {
                let prefix = term_of(fields::KEYWORD, &leaf.keyed, &format!("{key}\0"));
                let bytes = prefix.serialized_value_bytes().to_vec();
                return Box::new(LeafQuery::Pattern {
                    field: fields::KEYWORD,
                    prefix: bytes,
                    skip: 0,
                    matcher: None,
                });
            }
            return none();
        }
        Box::new(LeafQuery::Exists { columns })
    }
}

/// Documents by id.
fn ids_query(ids: &[String]) -> Compiled {
    let unique: BTreeSet<&String> = ids.iter().collect();
    let terms = unique.into_iter().map(|id| Term::from_field_text(fields::ID, id)).collect();
    Box::new(LeafQuery::Set { field: fields::ID, terms: Arc::new(terms) })
}

/// The best of several queries.
pub(super) fn dis_max(mut queries: Vec<Compiled>, tie_breaker: f32) -> Compiled {
    match queries.len() {
        0 => none(),
        1 => queries.remove(0),
        _ => Box::new(DisjunctionMaxQuery::with_tie_breaker(queries, tie_breaker)),
    }
}
