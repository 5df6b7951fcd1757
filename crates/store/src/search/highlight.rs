//! Highlighting: the places of a document's text that a query asked for.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::request::{HighlightField, HighlightRequest};
use super::source::{source_path, values_at};
use crate::analysis::Token;
use crate::mapping::{Leaf, Mapping, Storage};
use crate::names::{Glob, simple_match};
use crate::query::ast::{Node, TextKind};
use crate::query::{Query, scalar_text};

/// What a query looks for in a field.
#[derive(Debug, Clone)]
enum Wanted {
    Term(String),
    Fuzzy(String, u8),
    Prefix(String),
    Glob(Glob),
    /// Terms one after another, with the slack allowed.
    Phrase(Vec<String>, u32),
}

impl Wanted {
    fn matches(&self, term: &str) -> bool {
        match self {
            Self::Term(text) => text == term,
            Self::Fuzzy(text, edits) => crate::query::near(text, term, *edits),
            Self::Prefix(prefix) => term.starts_with(prefix.as_str()),
            Self::Glob(glob) => glob.matches(term),
            Self::Phrase(..) => false,
        }
    }
}

/// Highlights documents of one index.
pub(super) struct Highlighter<'a> {
    request: &'a HighlightRequest,
    mapping: &'a Mapping,
    wanted: HashMap<String, Vec<Wanted>>,
    own: Vec<Option<HashMap<String, Vec<Wanted>>>>,
}

impl<'a> Highlighter<'a> {
    pub(super) fn new(
        request: &'a HighlightRequest,
        query: &Query,
        mapping: &'a Mapping,
        _now_ms: i64,
    ) -> Self {
        let collect = |query: &Query| {
            let mut wanted = HashMap::new();
            Collector { mapping, wanted: &mut wanted }.node(&query.0);
            wanted
        };
        let own = request.fields.iter().map(|field| field.query.as_ref().map(collect)).collect();
        Self { request, mapping, wanted: collect(query), own }
    }

    /// The content of a hit's `highlight`.
    pub(super) fn highlight(&self, source: &Value) -> Map<String, Value> {
        let mut out = Map::new();
        for (field, own) in self.request.fields.iter().zip(&self.own) {
            let wanted = own.as_ref().unwrap_or(&self.wanted);
            for leaf in self.mapping.leaves().iter().filter(|leaf| simple_match(&field.pattern, &leaf.path)) {
                if out.contains_key(&leaf.path) {
                    continue;
                }
                let fragments = self.fragments(leaf, field, wanted, source);
                if !fragments.is_empty() {
                    out.insert(leaf.path.clone(), json!(fragments));
                }
            }
        }
        out
    }

    fn fragments(
        &self,
        leaf: &Leaf,
        field: &HighlightField,
        wanted: &HashMap<String, Vec<Wanted>>,
        source: &Value,
    ) -> Vec<String> {
        if !matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword) {
            return Vec::new();
        }
        let all: Vec<&Wanted> = if field.require_field_match {
            wanted.get(&leaf.path).into_iter().flatten().collect()
        } else {
            wanted.values().flatten().collect()
        };
        let mut values = Vec::new();
        values_at(source, source_path(leaf), &mut values);
        let mut scored: Vec<(usize, usize, String)> = Vec::new();
        for value in &values {
            let text = scalar_text(value);
            if leaf.ty.storage() == Storage::Keyword && text.chars().count() > leaf.ignore_above {
                continue;
            }
            let tokens = self.tokens(leaf, &text);
            let marks = marks(&tokens, &all);
            if marks.is_empty() {
                continue;
            }
            if field.number_of_fragments == 0 {
                scored.push((0, scored.len(), tagged(&text, 0..text.len(), &marks, field)));
                continue;
            }
            for range in cut(&text, field.fragment_size, &marks) {
                let hits = marks.iter().filter(|mark| mark.0 >= range.start && mark.1 <= range.end).count();
                scored.push((usize::MAX - hits, scored.len(), tagged(&text, range, &marks, field)));
            }
        }
        if scored.is_empty() && field.no_match_size > 0 {
            let text = values.first().map(|value| scalar_text(value)).unwrap_or_default();
            let end = text.char_indices().nth(field.no_match_size).map_or(text.len(), |(at, _)| at);
            let head = text.get(..word_end(&text, end)).unwrap_or_default();
            return if head.is_empty() { Vec::new() } else { vec![head.to_owned()] };
        }
        if field.number_of_fragments > 0 && scored.len() > field.number_of_fragments {
            scored.sort();
            scored.truncate(field.number_of_fragments);
        }
        scored.into_iter().map(|(_, _, text)| text).collect()
    }

    fn tokens(&self, leaf: &Leaf, text: &str) -> Vec<Token> {
        if leaf.ty.storage() == Storage::Text {
            return self.mapping.analyzers.get(leaf.analyzer).tokens(text);
        }
        let term =
            leaf.normalizer.as_ref().map_or_else(|| text.to_owned(), |normalizer| normalizer.normalize(text));
        vec![Token { text: term, position: 0, start: 0, end: text.len() }]
    }
}

/// The byte ranges to be marked, in order and apart.
fn marks(tokens: &[Token], wanted: &[&Wanted]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = tokens
        .iter()
        .filter(|token| wanted.iter().any(|wanted| wanted.matches(&token.text)))
        .map(|token| (token.start, token.end))
        .collect();
    for wanted in wanted {
        let Wanted::Phrase(terms, slop) = wanted else { continue };
        for at in 0..tokens.len() {
            // A phrase is one hit, from its first word to its last.
            if let Some(end) = phrase_at(tokens, at, terms, *slop as usize) {
                found.push((tokens[at].start, end));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    let mut merged: Vec<(usize, usize)> = Vec::with_capacity(found.len());
    for (start, end) in found {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Where a phrase ends that begins with a token.
fn phrase_at(tokens: &[Token], at: usize, terms: &[String], slop: usize) -> Option<usize> {
    let (mut next, mut slack, mut end) = (at, slop, None);
    for (index, term) in terms.iter().enumerate() {
        let reach = if index == 0 { 0 } else { slack };
        let found = (next..=next + reach)
            .find(|place| tokens.get(*place).is_some_and(|token| token.text == *term))?;
        slack -= found - next;
        end = tokens.get(found).map(|token| token.end);
        next = found + 1;
    }
    end
}

/// Parts of about the wanted size around the marks, cut between words.
fn cut(text: &str, size: usize, marks: &[(usize, usize)]) -> Vec<std::ops::Range<usize>> {
    let size = size.max(18);
    let mut parts: Vec<std::ops::Range<usize>> = Vec::new();
    for &(start, end) in marks {
        if parts.last().is_some_and(|part| end <= part.end) {
            continue;
        }
        let margin = size.saturating_sub(end - start) / 2;
        let from = parts.last().map_or(0, |part| part.end);
        let begin = word_start(text, start.saturating_sub(margin).max(from), start);
        let finish = word_end(text, (begin + size).min(text.len()).max(end));
        parts.push(begin..finish);
    }
    parts
}

fn word_start(text: &str, mut at: usize, limit: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    if at == 0 {
        return 0;
    }
    let skipped = text.get(at..limit).and_then(|part| part.find(char::is_whitespace));
    skipped.map_or(at.min(limit), |offset| {
        let after = at + offset;
        text.get(after..limit).map_or(limit, |rest| after + (rest.len() - rest.trim_start().len()))
    })
}

fn word_end(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    if at >= text.len() {
        return text.len();
    }
    text.get(at..).and_then(|rest| rest.find(char::is_whitespace)).map_or(text.len(), |offset| at + offset)
}

fn tagged(
    text: &str,
    range: std::ops::Range<usize>,
    marks: &[(usize, usize)],
    field: &HighlightField,
) -> String {
    let mut out = String::with_capacity(range.len() + 32);
    let mut at = range.start;
    for &(start, end) in marks.iter().filter(|(start, end)| *start >= range.start && *end <= range.end) {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push_str(&field.pre_tag);
        out.push_str(text.get(start..end).unwrap_or_default());
        out.push_str(&field.post_tag);
        at = end;
    }
    out.push_str(text.get(at..range.end).unwrap_or_default());
    out
}

/// Gathers what a query looks for, by field.
struct Collector<'a> {
    mapping: &'a Mapping,
    wanted: &'a mut HashMap<String, Vec<Wanted>>,
}

impl Collector<'_> {
    fn leaves(&self, field: &str) -> Vec<Arc<Leaf>> {
        if field.contains('*') {
            return self
                .mapping
                .leaves()
                .iter()
                .filter(|leaf| simple_match(field, &leaf.path))
                .cloned()
                .collect();
        }
        self.mapping.find(field).cloned().into_iter().collect()
    }

    fn add(&mut self, leaf: &Leaf, wanted: Wanted) {
        self.wanted.entry(leaf.path.clone()).or_default().push(wanted);
    }

    fn each(&mut self, field: &str, make: impl Fn(&Leaf) -> Wanted) {
        for leaf in self.leaves(field) {
            let wanted = make(&leaf);
            self.add(&leaf, wanted);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Term { field, value, .. } => self.each(field, |_| Wanted::Term(scalar_text(value))),
            Node::Terms { field, values } => {
                for value in values {
                    self.each(field, |_| Wanted::Term(scalar_text(value)));
                }
            }
            Node::Prefix { field, value, analyzed: true, .. } => {
                self.each(field, |_| Wanted::Prefix(value.to_lowercase()));
            }
            Node::Prefix { field, value, .. } => self.each(field, |_| Wanted::Prefix(value.clone())),
            Node::Wildcard { field, value, .. } => {
                self.each(field, |_| {
                    Wanted::Glob(Glob::new(&value.to_lowercase().chars().collect::<Vec<_>>(), true))
                });
            }
            Node::Fuzzy { field, value, options } => {
                self.each(field, |_| Wanted::Fuzzy(value.clone(), options.fuzziness.edits(value)));
            }
            Node::Text { kind, field, text, options } => self.text(*kind, field, text, options),
            Node::Multi { text_kind, fields, text, options, .. } => {
                if fields.is_empty() {
                    self.text(*text_kind, "*", text, options);
                }
                for field in fields {
                    self.text(*text_kind, &field.name, text, options);
                }
            }
            Node::Bool(parts) => {
                parts
                    .must
                    .iter()
                    .chain(&parts.should)
                    .chain(&parts.filter)
                    .for_each(|query| self.node(query));
            }
            Node::ConstantScore(inner) | Node::Boost(inner, _) | Node::Nested { query: inner, .. } => {
                self.node(inner);
            }
            Node::DisMax { queries, .. } => queries.iter().for_each(|query| self.node(query)),
            Node::Boosting { positive, .. } => self.node(positive),
            _ => {}
        }
    }

    fn text(&mut self, kind: TextKind, field: &str, text: &str, options: &crate::query::ast::TextOptions) {
        for leaf in self.leaves(field) {
            if leaf.ty.storage() == Storage::Keyword {
                self.add(&leaf, Wanted::Term(text.to_owned()));
                continue;
            }
            if leaf.ty.storage() != Storage::Text {
                continue;
            }
            let terms = self.mapping.analyzers.get(leaf.search_analyzer).terms(text);
            match kind {
                TextKind::Phrase if terms.len() > 1 => self.add(&leaf, Wanted::Phrase(terms, options.slop)),
                _ => {
                    let last = terms.len().saturating_sub(1);
                    let prefix = matches!(kind, TextKind::BoolPrefix | TextKind::PhrasePrefix);
                    for (at, term) in terms.into_iter().enumerate() {
                        let wanted = match options.fuzzy {
                            _ if prefix && at == last => Wanted::Prefix(term),
                            Some(fuzzy) => {
                                let edits = fuzzy.fuzziness.edits(&term);
                                Wanted::Fuzzy(term, edits)
                            }
                            None => Wanted::Term(term),
                        };
                        self.add(&leaf, wanted);
                    }
                }
            }
        }
    }
}
