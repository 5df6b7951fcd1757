//! Queries: Elasticsearch's query language, parsed once, compiled for each index it runs on.

pub(crate) mod ast;
mod bounds;
mod compile;
mod compile_ip;
mod compile_pattern;
mod compile_range;
mod compile_score;
mod compile_text;
mod fuzzy;
mod leaf;
mod named;
mod parse;
mod parse_term;
mod parse_text;
mod parse_value;
mod phrase;
mod score;
mod string_atoms;
mod string_query;

use serde_json::Value;

use ast::{BoolNode, Node};
pub(crate) use compile::{Compiler, column_of};
pub(crate) use leaf::open_column;
pub(crate) use named::named;
pub(crate) use parse_value::scalar_text;
pub use parse_value::token_name;

use crate::error::Result;

/// Whether a term is at most so many edits away from another.
pub(crate) fn near(word: &str, term: &str, edits: u8) -> bool {
    fuzzy::distance(word, term, edits, true).is_some()
}

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query(pub(crate) Node);

impl Query {
    /// Reads a query in Elasticsearch's form, for example `{"match": {"title": "fox"}}`.
    ///
    /// # Errors
    /// `parsing_exception` and the like for unknown queries and malformed bodies. What only an index can tell (a value
    /// that does not fit a field) is an error of the search.
    pub fn parse(value: &Value) -> Result<Self> {
        parse::Parser::new().query(value).map(Self)
    }

    /// Every document.
    #[must_use]
    pub fn match_all() -> Self {
        Self(Node::All)
    }

    /// No document.
    #[must_use]
    pub fn match_none() -> Self {
        Self(Node::None)
    }

    /// Documents whose field has exactly this value.
    pub fn term(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self(Node::Term { field: field.into(), value: value.into(), case_insensitive: false })
    }

    /// Documents whose field has one of these values.
    pub fn terms(field: impl Into<String>, values: Vec<Value>) -> Self {
        Self(Node::Terms { field: field.into(), values })
    }

    /// Documents whose field has a value.
    pub fn exists(field: impl Into<String>) -> Self {
        Self(Node::Exists { field: field.into() })
    }

    /// Documents with one of these ids.
    #[must_use]
    pub fn ids(ids: Vec<String>) -> Self {
        Self(Node::Ids(ids))
    }

    /// Documents that match all of these, without scoring.
    #[must_use]
    pub fn all_of(queries: Vec<Query>) -> Self {
        let filter = queries.into_iter().map(|query| query.0).collect();
        Self(Node::Bool(BoolNode { filter, ..BoolNode::default() }))
    }

    /// Documents that match at least one of these; none when there is none.
    #[must_use]
    pub fn any_of(queries: Vec<Query>) -> Self {
        if queries.is_empty() {
            return Self::match_none();
        }
        let should = queries.into_iter().map(|query| query.0).collect();
        Self(Node::Bool(BoolNode { should, ..BoolNode::default() }))
    }

    /// Documents that do not match this.
    #[must_use]
    pub fn negate(self) -> Self {
        Self(Node::Bool(BoolNode { must_not: vec![self.0], ..BoolNode::default() }))
    }

    /// Whether every document matches.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_all()
    }
}
