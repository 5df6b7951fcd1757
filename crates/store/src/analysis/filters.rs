//! Token filters and character filters.

use std::borrow::Cow;
use std::collections::HashSet;

use regex::Regex;
use rust_stemmers::{Algorithm, Stemmer};

use super::Token;
use super::folding::fold;

/// One token filter.
pub(crate) enum Filter {
    Lowercase,
    Uppercase,
    AsciiFolding,
    CjkWidth,
    Trim,
    Reverse,
    Unique,
    DecimalDigit,
    Apostrophe,
    PossessiveEnglish,
    Stop { words: HashSet<String>, ignore_case: bool },
    Stem(Algorithm),
    Elision(HashSet<String>),
    Length { min: usize, max: usize },
    Truncate(usize),
    Limit(usize),
    Ngram { min: usize, max: usize, edge: bool, keep: bool },
    Shingle { min: usize, max: usize, separator: String, unigrams: bool },
    WordDelimiter(WordDelimiter),
    PatternReplace { pattern: Regex, replacement: String },
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

/// `word_delimiter_graph`'s switches.
#[derive(Debug, Clone)]
pub(crate) struct WordDelimiter {
    pub(crate) word_parts: bool,
    pub(crate) number_parts: bool,
    pub(crate) catenate_words: bool,
    pub(crate) catenate_numbers: bool,
    pub(crate) catenate_all: bool,
    pub(crate) split_case: bool,
    pub(crate) split_numerics: bool,
    pub(crate) possessive: bool,
    pub(crate) keep_original: bool,
}

fn map_text(tokens: Vec<Token>, change: impl Fn(&str) -> Option<String>) -> Vec<Token> {
    tokens
        .into_iter()
        .map(|mut token| {
            if let Some(text) = change(&token.text) {
                token.text = text;
            }
            token
        })
        .filter(|token| !token.text.is_empty())
        .collect()
}

impl Filter {
    pub(crate) fn apply(&self, tokens: Vec<Token>) -> Vec<Token> {
        match self {
            Self::Lowercase => map_text(tokens, |text| Some(text.to_lowercase())),
            Self::Uppercase => map_text(tokens, |text| Some(text.to_uppercase())),
            Self::AsciiFolding => map_text(tokens, |text| (!text.is_ascii()).then(|| fold(text))),
            Self::CjkWidth => {
                map_text(tokens, |text| (!text.is_ascii()).then(|| text.chars().map(narrow).collect()))
            }
            Self::Trim => map_text(tokens, |text| Some(text.trim().to_owned())),
            Self::Reverse => map_text(tokens, |text| Some(text.chars().rev().collect())),
            Self::DecimalDigit => {
                map_text(tokens, |text| (!text.is_ascii()).then(|| text.chars().map(narrow).collect()))
            }
            Self::Apostrophe => map_text(tokens, |text| text.split(['\'', '’']).next().map(str::to_owned)),
            Self::PossessiveEnglish => map_text(tokens, |text| strip_possessive(text).map(str::to_owned)),
            Self::Stem(algorithm) => {
                let stemmer = Stemmer::create(*algorithm);
                map_text(tokens, |text| Some(stemmer.stem(text).into_owned()))
            }
            Self::Elision(articles) => map_text(tokens, |text| elide(text, articles)),
            Self::Truncate(length) => map_text(tokens, |text| Some(text.chars().take(*length).collect())),
            Self::PatternReplace { pattern, replacement } => {
                map_text(tokens, |text| Some(pattern.replace_all(text, replacement.as_str()).into_owned()))
            }
            Self::Unique => {
                let mut seen = HashSet::new();
                tokens.into_iter().filter(|token| seen.insert(token.text.clone())).collect()
            }
            Self::Stop { words, ignore_case } => {
                let listed = |text: &str| {
                    if *ignore_case { words.contains(&text.to_lowercase()) } else { words.contains(text) }
                };
                tokens.into_iter().filter(|token| !listed(&token.text)).collect()
            }
            Self::Length { min, max } => tokens
                .into_iter()
                .filter(|token| (*min..=*max).contains(&token.text.chars().count()))
                .collect(),
            Self::Limit(count) => tokens.into_iter().take(*count).collect(),
            Self::Ngram { min, max, edge, keep } => {
                tokens.iter().flat_map(|token| grams(token, *min, *max, *edge, *keep)).collect()
            }
            Self::Shingle { min, max, separator, unigrams } => {
                shingles(&tokens, *min, *max, separator, *unigrams)
            }
            Self::WordDelimiter(rules) => tokens.iter().flat_map(|token| rules.split(token)).collect(),
        }
    }
}

/// Full-width ASCII becomes ASCII; digits of other scripts stay.
fn narrow(c: char) -> char {
    match c as u32 {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        0x3000 => ' ',
        _ => c,
    }
}

fn strip_possessive(text: &str) -> Option<&str> {
    ["'s", "'S", "’s", "’S"].iter().find_map(|ending| text.strip_suffix(ending))
}

fn elide(text: &str, articles: &HashSet<String>) -> Option<String> {
    let (article, rest) = text.split_once(['\'', '’'])?;
    articles.contains(&article.to_lowercase()).then(|| rest.to_owned())
}

pub(super) fn grams(token: &Token, min: usize, max: usize, edge: bool, keep: bool) -> Vec<Token> {
    let bounds: Vec<usize> = token.text.char_indices().map(|(at, _)| at).chain([token.text.len()]).collect();
    let count = bounds.len() - 1;
    let mut out = Vec::new();
    for from in 0..if edge { 1.min(count) } else { count } {
        for length in min..=max.min(count - from) {
            let text = token.text.get(bounds[from]..bounds[from + length]).unwrap_or_default();
            out.push(Token { text: text.to_owned(), ..token.clone() });
        }
    }
    if keep && (count < min || count > max) {
        out.push(token.clone());
    }
    out
}

fn shingles(tokens: &[Token], min: usize, max: usize, separator: &str, unigrams: bool) -> Vec<Token> {
    let mut out = Vec::new();
    for (at, first) in tokens.iter().enumerate() {
        if unigrams {
            out.push(first.clone());
        }
        for size in min..=max {
            let Some(group) = tokens.get(at..at + size) else { break };
            let text = group.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(separator);
            let end = group.last().map_or(first.end, |t| t.end);
            out.push(Token { text, end, ..first.clone() });
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq)]
enum PartKind {
    Lower,
    Upper,
    Digit,
}

impl WordDelimiter {
    fn parts<'t>(&self, text: &'t str) -> Vec<(&'t str, bool)> {
        let kind_of = |c: char| {
            if c.is_numeric() {
                Some(PartKind::Digit)
            } else if c.is_alphabetic() {
                Some(if c.is_uppercase() { PartKind::Upper } else { PartKind::Lower })
            } else {
                None
            }
        };
        let mut parts = Vec::new();
        let mut start: Option<(usize, PartKind)> = None;
        let mut last = PartKind::Lower;
        for (at, c) in text.char_indices() {
            let kind = kind_of(c);
            if let (Some((from, first)), Some(now)) = (start, kind) {
                let numeric = self.split_numerics && (now == PartKind::Digit) != (last == PartKind::Digit);
                let case = self.split_case && now == PartKind::Upper && last == PartKind::Lower;
                if numeric || case {
                    parts.push((&text[from..at], first == PartKind::Digit));
                    start = Some((at, now));
                }
            } else if let (Some((from, first)), None) = (start, kind) {
                parts.push((&text[from..at], first == PartKind::Digit));
                start = None;
            } else if let (None, Some(now)) = (start, kind) {
                start = Some((at, now));
            }
            last = kind.unwrap_or(last);
        }
        if let Some((from, first)) = start {
            parts.push((&text[from..], first == PartKind::Digit));
        }
        parts
    }

    fn split(&self, token: &Token) -> Vec<Token> {
        let text =
            if self.possessive { strip_possessive(&token.text).unwrap_or(&token.text) } else { &token.text };
        let parts = self.parts(text);
        let mut wanted: Vec<Cow<'_, str>> = Vec::new();
        if self.keep_original {
            wanted.push(Cow::Borrowed(&token.text));
        }
        for (part, digits) in &parts {
            if (*digits && self.number_parts) || (!*digits && self.word_parts) {
                wanted.push(Cow::Borrowed(part));
            }
        }
        if parts.len() > 1 {
            for (digits, on) in [(false, self.catenate_words), (true, self.catenate_numbers)] {
                for run in
                    parts.chunk_by(|a, b| a.1 == b.1).filter(|run| on && run.len() > 1 && run[0].1 == digits)
                {
                    wanted.push(Cow::Owned(run.iter().map(|part| part.0).collect()));
                }
            }
            if self.catenate_all {
                wanted.push(Cow::Owned(parts.iter().map(|part| part.0).collect()));
            }
        }
        let mut seen = HashSet::new();
        wanted.retain(|text| seen.insert(text.to_string()));
        wanted.into_iter().map(|text| Token { text: text.into_owned(), ..token.clone() }).collect()
    }
}

/// One character filter.
pub(crate) enum CharFilter {
    HtmlStrip(Regex),
    Mapping(Vec<(String, String)>),
    PatternReplace { pattern: Regex, replacement: String },
}

impl std::fmt::Debug for CharFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CharFilter")
    }
}

impl CharFilter {
    pub(crate) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Self::HtmlStrip(tags) => Cow::Owned(decode_entities(&tags.replace_all(text, " "))),
            Self::Mapping(pairs) => {
                let mut out = Cow::Borrowed(text);
                for (from, to) in pairs {
                    if out.contains(from.as_str()) {
                        out = Cow::Owned(out.replace(from.as_str(), to));
                    }
                }
                out
            }
            Self::PatternReplace { pattern, replacement } => pattern.replace_all(text, replacement.as_str()),
        }
    }
}

fn decode_entities(text: &str) -> String {
    let table = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    table.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &Filter, words: &[&str]) -> Vec<String> {
        let tokens = words
            .iter()
            .enumerate()
            .map(|(at, w)| Token { text: (*w).to_owned(), position: at, start: 0, end: w.len() })
            .collect();
        filter.apply(tokens).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn grams_and_shingles() {
        let edge = Filter::Ngram { min: 1, max: 3, edge: true, keep: false };
        assert_eq!(run(&edge, &["fox", "a"]), ["f", "fo", "fox", "a"]);
        let pairs = Filter::Shingle { min: 2, max: 2, separator: " ".into(), unigrams: true };
        assert_eq!(run(&pairs, &["a", "b", "c"]), ["a", "a b", "b", "b c", "c"]);
    }

    #[test]
    fn word_delimiter_splits_and_joins() {
        let rules = WordDelimiter {
            word_parts: true,
            number_parts: true,
            catenate_words: true,
            catenate_numbers: true,
            catenate_all: true,
            split_case: true,
            split_numerics: true,
            possessive: true,
            keep_original: false,
        };
        assert_eq!(
            run(&Filter::WordDelimiter(rules), &["Wi-FiSD500's"]),
            ["Wi", "Fi", "SD", "500", "WiFiSD", "WiFiSD500"]
        );
    }

    #[test]
    fn folding_stemming_and_stopping() {
        assert_eq!(run(&Filter::AsciiFolding, &["café", "Straße"]), ["cafe", "Strasse"]);
        assert_eq!(run(&Filter::Stem(Algorithm::English), &["running", "foxes"]), ["run", "fox"]);
        let stop = Filter::Stop { words: ["the".to_owned()].into(), ignore_case: false };
        assert_eq!(run(&stop, &["the", "fox"]), ["fox"]);
    }
}
