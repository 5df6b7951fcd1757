//! Text analysis: from a text to the terms it is found by.

mod build;
mod filters;
mod folding;
mod standard;
mod stopwords;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;
use tantivy::tokenizer::{BoxTokenStream, Token as TantivyToken, TokenStream, Tokenizer as TantivyTokenizer};

use filters::{CharFilter, Filter};
pub(crate) use standard::Words;

/// The default analyzer's name.
pub(crate) const STANDARD: &str = "standard";

/// A term with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted in words.
    pub(crate) position: usize,
    /// Byte range in the text.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug)]
enum Tokenizer {
    Standard,
    Whitespace,
    Keyword,
    Letter,
    /// Splits at matches of the pattern.
    Pattern(Regex),
    Chars(Vec<char>),
    Ngram {
        min: usize,
        max: usize,
        edge: bool,
    },
    PathHierarchy(char),
}

/// A chain of character filters, one tokenizer and token filters.
#[derive(Debug)]
pub(crate) struct Analyzer {
    char_filters: Vec<CharFilter>,
    tokenizer: Tokenizer,
    filters: Vec<Filter>,
    /// Standard tokenizer and lower case only: runs without intermediate lists.
    simple: bool,
}

impl Analyzer {
    fn new(char_filters: Vec<CharFilter>, tokenizer: Tokenizer, filters: Vec<Filter>) -> Self {
        let simple = char_filters.is_empty()
            && matches!(tokenizer, Tokenizer::Standard)
            && matches!(filters.as_slice(), [Filter::Lowercase]);
        Self { char_filters, tokenizer, filters, simple }
    }

    /// All terms of a text.
    pub(crate) fn tokens(&self, text: &str) -> Vec<Token> {
        let mut filtered = Cow::Borrowed(text);
        for filter in &self.char_filters {
            filtered = Cow::Owned(filter.apply(&filtered).into_owned());
        }
        let tokens = self.tokenizer.tokens(&filtered);
        self.filters.iter().fold(tokens, |tokens, filter| filter.apply(tokens))
    }

    /// What Elasticsearch says a term is.
    pub(crate) fn kind_of(&self, term: &str) -> &'static str {
        if !matches!(self.tokenizer, Tokenizer::Standard) {
            return "word";
        }
        let of = |range: &[std::ops::RangeInclusive<char>]| {
            term.chars().next().is_some_and(|first| range.iter().any(|range| range.contains(&first)))
        };
        match term {
            _ if of(&['\u{3041}'..='\u{309f}']) => "<HIRAGANA>",
            _ if of(&['\u{30a0}'..='\u{30ff}']) => "<KATAKANA>",
            _ if of(&['\u{ac00}'..='\u{d7a3}']) => "<HANGUL>",
            _ if of(&['\u{3400}'..='\u{9fff}', '\u{20000}'..='\u{2ffff}']) => "<IDEOGRAPHIC>",
            _ if of(&['\u{1f000}'..='\u{1faff}', '\u{2600}'..='\u{27bf}']) => "<EMOJI>",
            term if term.chars().all(char::is_numeric) => "<NUM>",
            _ => "<ALPHANUM>",
        }
    }

    /// The terms alone.
    pub(crate) fn terms(&self, text: &str) -> Vec<String> {
        self.tokens(text).into_iter().map(|token| token.text).collect()
    }

    /// How many words a text has for scoring, the length that norms are made of.
    pub(crate) fn length(&self, text: &str) -> u64 {
        if self.simple { Words::new(text).count() as u64 } else { self.tokens(text).len() as u64 }
    }

    /// The whole text as one term, for prefix and wildcard queries and for normalizers.
    pub(crate) fn normalize(&self, text: &str) -> String {
        let mut filtered = Cow::Borrowed(text);
        for filter in &self.char_filters {
            filtered = Cow::Owned(filter.apply(&filtered).into_owned());
        }
        let token = Token { position: 0, start: 0, end: filtered.len(), text: filtered.into_owned() };
        let keeps = |filter: &&Filter| {
            matches!(
                filter,
                Filter::Lowercase
                    | Filter::Uppercase
                    | Filter::AsciiFolding
                    | Filter::CjkWidth
                    | Filter::Trim
            )
        };
        let tokens =
            self.filters.iter().filter(keeps).fold(vec![token], |tokens, filter| filter.apply(tokens));
        tokens.into_iter().next().map(|token| token.text).unwrap_or_default()
    }
}

fn push(tokens: &mut Vec<Token>, text: &str, start: usize, end: usize) {
    if let Some(word) = text.get(start..end).filter(|word| !word.is_empty()) {
        tokens.push(Token { text: word.to_owned(), position: tokens.len(), start, end });
    }
}

fn runs(text: &str, inside: impl Fn(char) -> bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (start, inside(c)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                push(&mut tokens, text, from, at);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        push(&mut tokens, text, from, text.len());
    }
    tokens
}

impl Tokenizer {
    fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        match self {
            Self::Standard => {
                Words::new(text).for_each(|range| push(&mut tokens, text, range.start, range.end));
            }
            Self::Whitespace => return runs(text, |c| !c.is_whitespace()),
            Self::Letter => return runs(text, char::is_alphabetic),
            Self::Chars(separators) => return runs(text, |c| !separators.contains(&c)),
            Self::Keyword => push(&mut tokens, text, 0, text.len()),
            Self::Pattern(pattern) => {
                let mut from = 0;
                for gap in pattern.find_iter(text) {
                    push(&mut tokens, text, from, gap.start());
                    from = gap.end();
                }
                push(&mut tokens, text, from, text.len());
            }
            Self::Ngram { min, max, edge } => {
                let whole = Token { text: text.to_owned(), position: 0, start: 0, end: text.len() };
                return filters::grams(&whole, *min, *max, *edge, false);
            }
            Self::PathHierarchy(separator) => {
                for (at, _) in text.char_indices().filter(|(at, c)| *at > 0 && c == separator) {
                    push(&mut tokens, text, 0, at);
                }
                push(&mut tokens, text, 0, text.len());
            }
        }
        tokens
    }
}

/// The analyzers of one index: the built-in ones and those its settings define. The order is part of the search index's
/// format: every analyzer has a field of its own there.
#[derive(Debug)]
pub(crate) struct Analyzers {
    list: Vec<(String, Arc<Analyzer>)>,
    by_name: HashMap<String, usize>,
    normalizers: HashMap<String, Arc<Analyzer>>,
    default: usize,
}

impl Analyzers {
    /// Reads `analysis` of an index's settings.
    ///
    /// # Errors
    /// A text in Elasticsearch's words.
    pub(crate) fn from_settings(analysis: Option<&Value>) -> Result<Self, String> {
        build::analyzers(analysis)
    }

    /// The number of an analyzer.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        if name == "default" { Some(self.default) } else { self.by_name.get(name).copied() }
    }

    /// The number of the analyzer for fields that name none.
    pub(crate) fn default_id(&self) -> usize {
        self.default
    }

    pub(crate) fn get(&self, id: usize) -> &Arc<Analyzer> {
        &self.list[id.min(self.list.len() - 1)].1
    }

    pub(crate) fn normalizer(&self, name: &str) -> Option<&Arc<Analyzer>> {
        self.normalizers.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }
}

impl Default for Analyzers {
    fn default() -> Self {
        let builtin = build::builtin();
        let by_name = builtin.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { list: builtin, by_name, normalizers: build::builtin_normalizers(), default: 0 }
    }
}

/// An analyzer as tantivy calls it while indexing.
#[derive(Clone)]
pub(crate) struct IndexTokenizer(pub(crate) Arc<Analyzer>);

impl TantivyTokenizer for IndexTokenizer {
    type TokenStream<'a> = BoxTokenStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> BoxTokenStream<'a> {
        if self.0.simple {
            let token = TantivyToken { position: usize::MAX, ..TantivyToken::default() };
            return BoxTokenStream::new(SimpleStream { text, words: Words::new(text), token });
        }
        BoxTokenStream::new(ListStream {
            tokens: self.0.tokens(text).into_iter(),
            token: TantivyToken::default(),
        })
    }
}

struct SimpleStream<'a> {
    text: &'a str,
    words: Words<'a>,
    token: TantivyToken,
}

impl TokenStream for SimpleStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(range) = self.words.next() else { return false };
        let word = self.text.get(range.clone()).unwrap_or_default();
        self.token.text.clear();
        if word.is_ascii() {
            self.token.text.push_str(word);
            self.token.text.make_ascii_lowercase();
        } else {
            self.token.text.push_str(&word.to_lowercase());
        }
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (range.start, range.end);
        true
    }

    fn token(&self) -> &TantivyToken {
        &self.token
    }

    fn token_mut(&mut self) -> &mut TantivyToken {
        &mut self.token
    }
}

struct ListStream {
    tokens: std::vec::IntoIter<Token>,
    token: TantivyToken,
}

impl TokenStream for ListStream {
    fn advance(&mut self) -> bool {
        let Some(next) = self.tokens.next() else { return false };
        self.token.text = next.text;
        (self.token.position, self.token.offset_from, self.token.offset_to) =
            (next.position, next.start, next.end);
        true
    }

    fn token(&self) -> &TantivyToken {
        &self.token
    }

    fn token_mut(&mut self) -> &mut TantivyToken {
        &mut self.token
    }
}
