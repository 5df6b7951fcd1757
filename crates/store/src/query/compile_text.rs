//! Compiling full text queries: the text is analysed as the field was.

use std::sync::Arc;

use serde_json::json;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, BoostQuery, Occur};

use super::ast::{BoostedField, FuzzyOptions, MultiKind, TextKind, TextOptions, minimum_should_match};
use super::compile::{Compiled, Compiler, dis_max, none, term_of};
use super::fuzzy::distance;
use super::leaf::{Leaf as LeafQuery, for_terms};
use super::phrase::{Phrase, Slot};
use crate::analysis::Token;
use crate::error::Result;
use crate::indexing::search_error;
use crate::mapping::{Leaf, Storage};

impl Compiler<'_> {
    /// A text query on one field (or on the fields of a pattern).
    pub(super) fn text(
        &self,
        kind: TextKind,
        field: &str,
        text: &str,
        options: &TextOptions,
    ) -> Result<Compiled> {
        if field.contains('*') {
            let fields = [BoostedField { name: field.to_owned(), boost: 1.0 }];
            return self.multi(MultiKind::Best, kind, &fields, text, options, 0.0);
        }
        if field == "_id" {
            return self.compile(&super::ast::Node::Ids(vec![text.to_owned()]));
        }
        match self.mapping.find(field) {
            Some(leaf) => self.leaf_text(kind, leaf, text, options),
            None => match self.mapping.find_flattened(field) {
                Some(_) => self.compile(&super::ast::Node::Term {
                    field: field.to_owned(),
                    value: json!(text),
                    case_insensitive: false,
                }),
                None => Ok(none()),
            },
        }
    }

    fn leaf_text(
        &self,
        kind: TextKind,
        leaf: &Arc<Leaf>,
        text: &str,
        options: &TextOptions,
    ) -> Result<Compiled> {
        if !leaf.ty.is_text() {
            if kind == TextKind::PhrasePrefix && !options.lenient {
                let (path, ty) = (&leaf.path, leaf.ty.name());
                let reason = format!(
                    "Can only use phrase prefix queries on text fields - not on [{path}] which is of type [{ty}]"
                );
                return Err(self.not_created("illegal_argument_exception", reason));
            }
            let query = match (leaf.ty.storage(), options.fuzzy, kind) {
                (Storage::Keyword, Some(fuzzy), TextKind::Match) => self.fuzzy_terms(leaf, text, &fuzzy),
                (Storage::Keyword, _, TextKind::BoolPrefix) => self.prefix(leaf, text, false),
                _ => self.exact(leaf, &json!(text), false),
            };
            return match query {
                Err(_) if options.lenient => Ok(none()),
                other => other,
            };
        }
        self.check_searchable(leaf)?;
        let tokens = self.analyzed(leaf, text, options)?;
        if tokens.is_empty() {
            return Ok(if options.zero_terms_all { Box::new(AllQuery) } else { none() });
        }
        match kind {
            TextKind::Match => self.match_tokens(leaf, &tokens, options, false),
            TextKind::BoolPrefix => self.match_tokens(leaf, &tokens, options, true),
            TextKind::Phrase => self.phrase(leaf, &tokens, options, false),
            TextKind::PhrasePrefix => self.phrase(leaf, &tokens, options, true),
        }
    }

    fn analyzed(&self, leaf: &Leaf, text: &str, options: &TextOptions) -> Result<Vec<Token>> {
        let analyzer = match &options.analyzer {
            None => leaf.search_analyzer,
            Some(name) => self
                .mapping
                .analyzers
                .find(name)
                .ok_or_else(|| self.shard_error(format!("[match] analyzer [{name}] not found")))?,
        };
        Ok(self.mapping.analyzers.get(analyzer).tokens(text))
    }

    /// Words, each place in the text being one clause.
    fn match_tokens(
        &self,
        leaf: &Arc<Leaf>,
        tokens: &[Token],
        options: &TextOptions,
        prefix: bool,
    ) -> Result<Compiled> {
        let places: Vec<&[Token]> = tokens.chunk_by(|a, b| a.position == b.position).collect();
        let mut clauses = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let last = prefix && at + 1 == places.len();
            let mut alternatives = Vec::with_capacity(place.len());
            for token in *place {
                alternatives.push(match options.fuzzy {
                    _ if last => self.prefix(leaf, &token.text, false)?,
                    Some(fuzzy) => self.fuzzy_terms(leaf, &token.text, &fuzzy)?,
                    None => self.term_query(leaf, &token.text)?,
                });
            }
            clauses.push(any_of(alternatives));
        }
        if clauses.len() == 1 {
            return Ok(clauses.remove(0));
        }
        let least = if options.and {
            clauses.len()
        } else {
            match &options.minimum_should_match {
                None => 1,
                Some(spec) => {
                    let bad = |text: String| {
                        self.not_created("number_format_exception", format!("For input string: \"{text}\""))
                    };
                    minimum_should_match(spec, clauses.len()).map_err(bad)?.max(1)
                }
            }
        };
        if least > clauses.len() {
            return Ok(none());
        }
        let occur = if least == clauses.len() { Occur::Must } else { Occur::Should };
        let required = if occur == Occur::Must { 0 } else { least };
        let clauses = clauses.into_iter().map(|clause| (occur, clause)).collect();
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, required)))
    }

    fn phrase(
        &self,
        leaf: &Arc<Leaf>,
        tokens: &[Token],
        options: &TextOptions,
        prefix: bool,
    ) -> Result<Compiled> {
        let places: Vec<&[Token]> = tokens.chunk_by(|a, b| a.position == b.position).collect();
        if let [place] = places.as_slice() {
            let one = |token: &Token| {
                if prefix {
                    self.beginning(leaf, &token.text, options.max_expansions)
                } else {
                    self.term_query(leaf, &token.text)
                }
            };
            return Ok(any_of(place.iter().map(one).collect::<Result<Vec<_>>>()?));
        }
        let field = Self::field_of(leaf);
        let first = places.first().and_then(|place| place.first()).map_or(0, |token| token.position);
        let (mut slots, mut frequencies) = (Vec::with_capacity(places.len()), Vec::new());
        for (at, place) in places.iter().enumerate() {
            let offset = place.first().map_or(0, |token| token.position - first);
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            if prefix && at + 1 == places.len() {
                let text = place.first().map_or("", |token| token.text.as_str());
                let skip = term_of(field, &leaf.key, "").serialized_value_bytes().len();
                let bytes = term_of(field, &leaf.key, text).serialized_value_bytes().to_vec();
                if self.scored {
                    frequencies.extend(self.expansions(leaf, text, options.max_expansions)?);
                }
                slots.push((Slot::Prefix { bytes, skip, most: options.max_expansions }, offset));
                continue;
            }
            let terms: Vec<Term> = place.iter().map(|token| term_of(field, &leaf.key, &token.text)).collect();
            if self.scored {
                for term in &terms {
                    frequencies.push(self.doc_freq(term)?);
                }
            }
            slots.push((Slot::Terms(terms), offset));
        }
        let bm25 = self.bm25(leaf, &frequencies)?;
        Ok(Box::new(LeafQuery::Phrase(Arc::new(Phrase { field, slots, slop: options.slop, bm25 }))))
    }

    /// Terms that begin so, scored as one term that is as rare as all of them.
    fn beginning(&self, leaf: &Leaf, text: &str, most: usize) -> Result<Compiled> {
        let found = self.matching_terms(leaf, text, most, |_| Some(0))?;
        let frequencies: Vec<u64> = found.iter().map(|(_, _, frequency)| *frequency).collect();
        let bm25 = self.bm25(leaf, &frequencies)?;
        let field = Self::field_of(leaf);
        let term = |text: &str| LeafQuery::Term { term: term_of(field, &leaf.key, text), bm25: bm25.clone() };
        Ok(any_of(found.iter().map(|(text, _, _)| Box::new(term(text)) as Compiled).collect()))
    }

    /// The document frequencies of the terms with a prefix.
    fn expansions(&self, leaf: &Leaf, prefix: &str, most: usize) -> Result<Vec<u64>> {
        let found = self.matching_terms(leaf, prefix, most, |_| Some(0))?;
        Ok(found.into_iter().map(|(_, _, frequency)| frequency).collect())
    }

    /// Terms that begin so and that the judge accepts, with the judge's rank and their frequency, best first.
    fn matching_terms(
        &self,
        leaf: &Leaf,
        prefix: &str,
        most: usize,
        judge: impl Fn(&str) -> Option<u8>,
    ) -> Result<Vec<(String, u8, u64)>> {
        let field = Self::field_of(leaf);
        let skip = term_of(field, &leaf.key, "").serialized_value_bytes().len();
        let bytes = term_of(field, &leaf.key, prefix).serialized_value_bytes().to_vec();
        let mut found = std::collections::BTreeMap::<String, (u8, u64)>::new();
        for segment in self.view.searcher.segment_readers() {
            for_terms(segment, field, &bytes, skip, |text, info| {
                if let Some(rank) = judge(text) {
                    found.entry(text.to_owned()).or_insert((rank, 0)).1 += u64::from(info.doc_freq);
                }
                true
            })
            .map_err(|error| search_error(&error))?;
        }
        let mut found: Vec<_> =
            found.into_iter().map(|(text, (rank, frequency))| (text, rank, frequency)).collect();
        found.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(most);
        Ok(found)
    }

    pub(super) fn fuzzy(&self, field: &str, value: &str, options: &FuzzyOptions) -> Result<Compiled> {
        let Some(leaf) = self.mapping.find(field) else { return Ok(none()) };
        if !matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword) {
            let reason = format!(
                "Can only use fuzzy queries on keyword and text fields - not on [{field}] which is of type [{}]",
                leaf.ty.name()
            );
            return Err(self.not_created("illegal_argument_exception", reason));
        }
        self.fuzzy_terms(leaf, value, options)
    }

    /// Terms near a word, the nearer the higher.
    fn fuzzy_terms(&self, leaf: &Arc<Leaf>, word: &str, options: &FuzzyOptions) -> Result<Compiled> {
        let edits = options.fuzziness.edits(word);
        if edits == 0 {
            return self.term_query(leaf, word);
        }
        let prefix: String = word.chars().take(options.prefix_length).collect();
        let near = |text: &str| distance(word, text, edits, options.transpositions);
        let found = self.matching_terms(leaf, &prefix, options.max_expansions, near)?;
        let frequency = found.iter().map(|(_, _, frequency)| *frequency).max().unwrap_or(0);
        let bm25 = self.bm25(leaf, &[frequency])?;
        let length = word.chars().count();
        let field = Self::field_of(leaf);
        let clauses = found.iter().map(|(text, edits, _)| {
            let shorter = text.chars().count().min(length).max(1);
            let query: Compiled =
                Box::new(LeafQuery::Term { term: term_of(field, &leaf.key, text), bm25: bm25.clone() });
            let boost = 1.0 - f32::from(*edits) / shorter as f32;
            if self.scored { Box::new(BoostQuery::new(query, boost)) as Compiled } else { query }
        });
        Ok(any_of(clauses.collect()))
    }

    /// A text in several fields.
    pub(super) fn multi(
        &self,
        kind: MultiKind,
        text_kind: TextKind,
        fields: &[BoostedField],
        text: &str,
        options: &TextOptions,
        tie_breaker: f32,
    ) -> Result<Compiled> {
        let all = [BoostedField { name: "*".to_owned(), boost: 1.0 }];
        let fields = if fields.is_empty() { &all } else { fields };
        let mut leaves: Vec<(Arc<Leaf>, f32)> = Vec::new();
        let mut options = options.clone();
        for field in fields {
            options.lenient |= field.name == "*";
            for leaf in self.leaves(&field.name) {
                let textual = matches!(leaf.ty.storage(), Storage::Text | Storage::Keyword);
                if field.name.contains('*') && (!textual || (leaf.ty.is_text() && !leaf.indexed)) {
                    continue;
                }
                match leaves.iter_mut().find(|(known, _)| known.id == leaf.id) {
                    Some((_, boost)) => *boost *= field.boost,
                    None => leaves.push((leaf, field.boost)),
                }
            }
        }
        if kind == MultiKind::Cross && text_kind == TextKind::Match {
            return self.cross_fields(&leaves, text, &options, tie_breaker);
        }
        let mut queries = Vec::with_capacity(leaves.len());
        for (leaf, boost) in &leaves {
            queries.push(self.boosted(self.leaf_text(text_kind, leaf, text, &options)?, *boost));
        }
        Ok(dis_max(queries, tie_breaker))
    }

    fn boosted(&self, query: Compiled, boost: f32) -> Compiled {
        if self.scored && (boost - 1.0).abs() > f32::EPSILON {
            Box::new(BoostQuery::new(query, boost))
        } else {
            query
        }
    }

    /// The fields as if they were one: each word in any of them.
    fn cross_fields(
        &self,
        leaves: &[(Arc<Leaf>, f32)],
        text: &str,
        options: &TextOptions,
        tie_breaker: f32,
    ) -> Result<Compiled> {
        let Some((first, _)) = leaves.iter().find(|(leaf, _)| leaf.ty.is_text()).or(leaves.first()) else {
            return Ok(none());
        };
        let words: Vec<String> = if first.ty.is_text() {
            self.analyzed(first, text, options)?.into_iter().map(|token| token.text).collect()
        } else {
            vec![text.to_owned()]
        };
        let single = TextOptions { and: false, minimum_should_match: None, ..options.clone() };
        let mut clauses = Vec::with_capacity(words.len());
        for word in &words {
            let mut anywhere = Vec::with_capacity(leaves.len());
            for (leaf, boost) in leaves {
                anywhere.push(self.boosted(self.leaf_text(TextKind::Match, leaf, word, &single)?, *boost));
            }
            clauses.push((Occur::Should, dis_max(anywhere, tie_breaker)));
        }
        if clauses.is_empty() {
            return Ok(if options.zero_terms_all { Box::new(AllQuery) } else { none() });
        }
        let least = match &options.minimum_should_match {
            _ if options.and => clauses.len(),
            None => 1,
            Some(spec) => {
                let bad = |text: String| {
                    self.not_created("number_format_exception", format!("For input string: \"{text}\""))
                };
                minimum_should_match(spec, clauses.len()).map_err(bad)?.clamp(1, clauses.len())
            }
        };
        Ok(Box::new(BooleanQuery::with_minimum_required_clauses(clauses, least)))
    }
}

fn any_of(mut queries: Vec<Compiled>) -> Compiled {
    match queries.len() {
        0 => none(),
        1 => queries.remove(0),
        _ => {
            let clauses = queries.into_iter().map(|query| (Occur::Should, query)).collect();
            Box::new(BooleanQuery::with_minimum_required_clauses(clauses, 1))
        }
    }
}
