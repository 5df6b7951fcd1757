//! Compiling prefixes, wildcards and regular expressions.

use std::sync::Arc;

use regex::RegexBuilder;

use super::compile::{Compiled, Compiler, dis_max, none, term_of};
use super::leaf::{Leaf as LeafQuery, Matcher};
use crate::error::Result;
use crate::mapping::{Leaf, Storage};
use crate::names::Glob;

/// The longest regular expression.
const MAX_REGEX: usize = 1_000;

impl Compiler<'_> {
    /// The same kind of query on one field or, with a pattern, on all string fields it means.
    pub(super) fn on_fields(
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

    /// Terms of a field that begin so and match.
    pub(super) fn pattern(&self, leaf: &Leaf, literal: &str, matcher: Option<Matcher>) -> Compiled {
        let field = Self::field_of(leaf);
        let skip = term_of(field, &leaf.key, "").serialized_value_bytes().len();
        let prefix = term_of(field, &leaf.key, literal).serialized_value_bytes().to_vec();
        Box::new(LeafQuery::Pattern { field, prefix, skip, matcher })
    }

    /// The text of a pattern as the field's terms are written; on a text field only where that is asked for.
    pub(super) fn pattern_text(&self, leaf: &Leaf, text: &str, analyzed: bool) -> String {
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

    pub(super) fn wildcard(&self, leaf: &Leaf, text: &str, case_insensitive: bool) -> Compiled {
        if case_insensitive {
            let glob = Glob::new(&text.to_lowercase().chars().collect::<Vec<_>>(), true);
            return self.pattern(leaf, "", Some(Arc::new(move |term| glob.matches(&term.to_lowercase()))));
        }
        let glob = Glob::new(&text.chars().collect::<Vec<_>>(), true);
        let literal = glob.literal_prefix();
        self.pattern(leaf, &literal, Some(Arc::new(move |term| glob.matches(term))))
    }

    pub(super) fn regexp(&self, leaf: &Leaf, text: &str, case_insensitive: bool) -> Result<Compiled> {
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
