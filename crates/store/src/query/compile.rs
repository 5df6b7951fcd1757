//! From a parsed query to one that runs on an index's search index.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::Value;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur,
    Query as TantivyQuery,
};
use tantivy::schema::Field;

use super::ast::{BoolNode, Bounds, Node, minimum_should_match};
use super::bounds::{self, BadValue, Clock, NumberRange};
use super::leaf::{Boosting, Leaf as LeafQuery, Matcher};
use super::parse::scalar_text;
use crate::document::{canonical_ip, fields};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::indexing::View;
use crate::mapping::{FieldType, Leaf, Mapping, Storage};
use crate::names::{Glob, simple_match};

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

/// The longest regular expression.
const MAX_REGEX: usize = 1_000;

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

    /// The same kind of query on one field or, with a pattern, on all string fields it means.
    fn on_fields(
        &self,
        field: &str,
        query: &str,
        make: impl Fn(&Arc<Leaf>) -> Result<Compiled>,
    ) -> Result<Compiled> {
        if field.contains('*') {
            let leaves = self.leaves(field);
            let strings =
                leaves.iter().filter(|leaf| matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword));
            return Ok(dis_max(strings.map(make).collect::<Result<Vec<_>>>()?, 0.0));
        }
        if field == "_id" {
            return self.id_pattern(query, field);
        }
        let Some(leaf) = self.mapping.find(field) else { return Ok(none()) };
        match leaf.ty.storage() {
            Storage::Text | Storage::Keyword | Storage::Flattened => make(leaf),
            _ => Err(self.shard_error(format!(
                "Can only use {query} queries on keyword, text and wildcard fields - not on [{field}] which is of type [{}]",
                leaf.ty.name()
            ))),
        }
    }

    fn id_pattern(&self, query: &str, field: &str) -> Result<Compiled> {
        Err(self.shard_error(format!(
            "Can only use {query} queries on keyword, text and wildcard fields - not on [{field}] which is of type [_id]"
        )))
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

    fn seq_range(&self, bounds: &Bounds) -> Result<Compiled> {
        let number = |bound: &Option<(Value, bool)>, open: i128, step: i128| match bound {
            None => Ok(open),
            Some((value, included)) => {
                let text = scalar_text(value);
                let number: i128 = text.parse().map_err(|_| {
                    self.not_created("number_format_exception", format!("For input string: \"{text}\""))
                })?;
                Ok(if *included { number } else { number + step })
            }
        };
        let range =
            NumberRange::Int(number(&bounds.lower, i128::MIN, 1)?, number(&bounds.upper, i128::MAX, -1)?);
        Ok(Box::new(LeafQuery::Numbers { column: "s".to_owned(), range }))
    }

    fn range(&self, field: &str, bounds: &Bounds) -> Result<Compiled> {
        if field.contains('*') {
            let lenient = |leaf: &Arc<Leaf>| self.leaf_range(leaf, bounds).unwrap_or_else(|_| none());
            return Ok(dis_max(self.leaves(field).iter().map(lenient).collect(), 0.0));
        }
        if field == "_seq_no" {
            return self.seq_range(bounds);
        }
        match self.mapping.find(field) {
            Some(leaf) => self.leaf_range(leaf, bounds),
            None => Ok(none()),
        }
    }

    fn leaf_range(&self, leaf: &Leaf, bounds: &Bounds) -> Result<Compiled> {
        self.check_searchable(leaf)?;
        match leaf.ty.storage() {
            Storage::Int | Storage::Float => {
                let range = bounds::between(leaf, bounds, self.clock()).map_err(|bad| self.bad_value(bad))?;
                Ok(Box::new(LeafQuery::Numbers { column: column_of(leaf), range }))
            }
            Storage::Keyword if leaf.ty == FieldType::Ip => self.ip_range(leaf, bounds),
            Storage::Keyword | Storage::Flattened => {
                let text = |bound: &Option<(Value, bool)>| {
                    bound
                        .as_ref()
                        .map(|(value, included)| (Self::keyword_text(leaf, &scalar_text(value)), *included))
                };
                let (lower, upper) = (text(&bounds.lower), text(&bounds.upper));
                let borrow = |bound: &Option<(String, bool)>| {
                    bound.as_ref().map(|(text, included)| (text.clone(), *included))
                };
                let (lower, upper) = (borrow(&lower), borrow(&upper));
                Ok(Box::new(keyword_range(
                    leaf,
                    lower.as_ref().map(|(text, included)| (text.as_str(), *included)),
                    upper.as_ref().map(|(text, included)| (text.as_str(), *included)),
                )))
            }
            Storage::Text => {
                let bounds = bounds.clone();
                let inside = move |text: &str| {
                    let above = bounds.lower.as_ref().is_none_or(|(low, included)| {
                        let low = scalar_text(low);
                        if *included { text >= low.as_str() } else { text > low.as_str() }
                    });
                    above
                        && bounds.upper.as_ref().is_none_or(|(high, included)| {
                            let high = scalar_text(high);
                            if *included { text <= high.as_str() } else { text < high.as_str() }
                        })
                };
                Ok(self.pattern(leaf, "", Some(Arc::new(inside))))
            }
            Storage::Nothing => Ok(none()),
        }
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

    /// Terms of a field that begin so and match.
    pub(super) fn pattern(&self, leaf: &Leaf, literal: &str, matcher: Option<Matcher>) -> Compiled {
        let field = Self::field_of(leaf);
        let skip = term_of(field, &leaf.key, "").serialized_value_bytes().len();
        let prefix = term_of(field, &leaf.key, literal).serialized_value_bytes().to_vec();
        Box::new(LeafQuery::Pattern { field, prefix, skip, matcher })
    }

    /// The text of a pattern as the field's terms are written; on a text field only where that is asked for.
    fn pattern_text(&self, leaf: &Leaf, text: &str, analyzed: bool) -> String {
        match leaf.ty.storage() {
            Storage::Text if !analyzed => text.to_owned(),
            Storage::Text => self.mapping.analyzers.get(leaf.search_analyzer).normalize(text),
            _ => leaf
                .normalizer
                .as_ref()
                .map_or_else(|| text.to_owned(), |normalizer| normalizer.normalize(text)),
        }
    }

    pub(super) fn prefix(&self, leaf: &Leaf, text: &str, case_insensitive: bool) -> Result<Compiled> {
        self.check_searchable(leaf)?;
        if case_insensitive {
            let wanted = text.to_lowercase();
            return Ok(self.pattern(
                leaf,
                "",
                Some(Arc::new(move |term| term.to_lowercase().starts_with(&wanted))),
            ));
        }
        Ok(self.pattern(leaf, text, None))
    }

    fn wildcard(&self, leaf: &Leaf, text: &str, case_insensitive: bool) -> Compiled {
        if case_insensitive {
            let glob = Glob::new(&text.to_lowercase().chars().collect::<Vec<_>>(), true);
            return self.pattern(leaf, "", Some(Arc::new(move |term| glob.matches(&term.to_lowercase()))));
        }
        let glob = Glob::new(&text.chars().collect::<Vec<_>>(), true);
        let literal = glob.literal_prefix();
        self.pattern(leaf, &literal, Some(Arc::new(move |term| glob.matches(term))))
    }

    fn regexp(&self, leaf: &Leaf, text: &str, case_insensitive: bool) -> Result<Compiled> {
        let length = text.chars().count();
        if length > MAX_REGEX {
            let reason = format!(
                "The length of regex [{length}] used in the Regexp Query request has exceeded the allowed maximum of \
                 [{MAX_REGEX}]. This maximum can be set by changing the [index.max_regex_length] index level setting."
            );
            return Err(self.not_created("illegal_argument_exception", reason));
        }
        let regex = RegexBuilder::new(&format!("^(?:{text})$"))
            .case_insensitive(case_insensitive)
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.not_created(
                    "illegal_argument_exception",
                    format!("{why} in the regular expression [{text}]"),
                )
            })?;
        Ok(self.pattern(leaf, "", Some(Arc::new(move |term| regex.is_match(term)))))
    }
}

/// Documents by id.
fn ids_query(ids: &[String]) -> Compiled {
    let unique: BTreeSet<&String> = ids.iter().collect();
    let terms = unique.into_iter().map(|id| Term::from_field_text(fields::ID, id)).collect();
    Box::new(LeafQuery::Set { field: fields::ID, terms: Arc::new(terms) })
}

fn keyword_range(leaf: &Leaf, lower: Option<(&str, bool)>, upper: Option<(&str, bool)>) -> LeafQuery {
    let bytes = |(text, included): (&str, bool)| (text.as_bytes().to_vec(), included);
    LeafQuery::Keywords { column: column_of(leaf), lower: lower.map(bytes), upper: upper.map(bytes) }
}

/// The best of several queries.
pub(super) fn dis_max(mut queries: Vec<Compiled>, tie_breaker: f32) -> Compiled {
    match queries.len() {
        0 => none(),
        1 => queries.remove(0),
        _ => Box::new(DisjunctionMaxQuery::with_tie_breaker(queries, tie_breaker)),
    }
}
