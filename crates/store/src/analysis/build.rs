//! Analyzers from settings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use rust_stemmers::Algorithm;
use serde_json::{Map, Value};

use super::filters::{CharFilter, Filter, WordDelimiter};
use super::{Analyzer, Analyzers, STANDARD, Tokenizer, stopwords};

type Object = Map<String, Value>;
type Built<T> = Result<T, String>;

const LANGUAGES: [(&str, Algorithm); 17] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

fn words(list: &str) -> HashSet<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

fn stop(list: &str) -> Filter {
    Filter::Stop { words: words(list), ignore_case: false }
}

/// The analyzers every index has, in the order of their fields in the search index. Append only.
pub(super) fn builtin() -> Vec<(String, Arc<Analyzer>)> {
    let lower = || Filter::Lowercase;
    let english = || {
        vec![Filter::PossessiveEnglish, lower(), stop(stopwords::ENGLISH), Filter::Stem(Algorithm::English)]
    };
    let mut list = vec![
        (STANDARD.to_owned(), Analyzer::new(vec![], Tokenizer::Standard, vec![lower()])),
        ("whitespace".to_owned(), Analyzer::new(vec![], Tokenizer::Whitespace, vec![])),
        ("keyword".to_owned(), Analyzer::new(vec![], Tokenizer::Keyword, vec![])),
        ("simple".to_owned(), Analyzer::new(vec![], Tokenizer::Letter, vec![lower()])),
        (
            "stop".to_owned(),
            Analyzer::new(vec![], Tokenizer::Letter, vec![lower(), stop(stopwords::ENGLISH)]),
        ),
        ("english".to_owned(), Analyzer::new(vec![], Tokenizer::Standard, english())),
    ];
    for (name, algorithm) in LANGUAGES {
        let stops = stopwords::list(&format!("_{name}_")).unwrap_or_default();
        let filters = vec![lower(), stop(stops), Filter::Stem(algorithm)];
        list.push((name.to_owned(), Analyzer::new(vec![], Tokenizer::Standard, filters)));
    }
    list.into_iter().map(|(name, analyzer)| (name, Arc::new(analyzer))).collect()
}

pub(super) fn builtin_normalizers() -> HashMap<String, Arc<Analyzer>> {
    let lowercase = Analyzer::new(vec![], Tokenizer::Keyword, vec![Filter::Lowercase]);
    HashMap::from([("lowercase".to_owned(), Arc::new(lowercase))])
}

pub(super) fn analyzers(analysis: Option<&Value>) -> Built<Analyzers> {
    let mut out = Analyzers::default();
    let Some(Value::Object(analysis)) = analysis else { return Ok(out) };
    let parts = Parts { analysis };
    let section = |name: &str| -> BTreeMap<&String, &Value> {
        analysis.get(name).and_then(Value::as_object).map(|o| o.iter().collect()).unwrap_or_default()
    };
    for (name, spec) in section("analyzer") {
        let spec = spec.as_object().ok_or_else(|| format!("analyzer [{name}] must be an object"))?;
        let analyzer = Arc::new(parts.analyzer(name, spec)?);
        match out.by_name.get(name) {
            Some(&at) => out.list[at].1 = analyzer,
            None => {
                out.by_name.insert(name.clone(), out.list.len());
                out.list.push((name.clone(), analyzer));
            }
        }
        if name == "default" {
            out.default = out.by_name[name];
        }
    }
    for (name, spec) in section("normalizer") {
        let spec = spec.as_object().ok_or_else(|| format!("normalizer [{name}] must be an object"))?;
        let normalizer =
            Analyzer::new(parts.char_filters(name, spec)?, Tokenizer::Keyword, parts.filters(name, spec)?);
        out.normalizers.insert(name.clone(), Arc::new(normalizer));
    }
    Ok(out)
}

/// Reads a number that settings may hold as a string.
fn number(spec: &Object, key: &str, default: usize) -> Built<usize> {
    match spec.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| format!("Failed to parse value [{value}] for setting [{key}]")),
    }
}

fn flag(spec: &Object, key: &str, default: bool) -> bool {
    match spec.get(key) {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(text)) => text == "true",
        _ => default,
    }
}

fn text<'o>(spec: &'o Object, key: &str) -> Option<&'o str> {
    spec.get(key).and_then(Value::as_str)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        Some(Value::String(one)) => one.split(',').map(|part| part.trim().to_owned()).collect(),
        // Settings that came through the flat form have arrays as objects with numbers for keys.
        Some(Value::Object(numbered)) => {
            numbered.values().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn pattern(spec: &Object, default: &str) -> Built<Regex> {
    let source = text(spec, "pattern").unwrap_or(default);
    RegexBuilder::new(source)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| format!("Failed to parse pattern [{source}]: {error}"))
}

fn stop_words(spec: &Object, default: &str) -> HashSet<String> {
    match spec.get("stopwords") {
        None => words(stopwords::list(default).unwrap_or_default()),
        Some(value) => strings(Some(value))
            .iter()
            .flat_map(|word| stopwords::list(word).map_or_else(|| HashSet::from([word.clone()]), words))
            .collect(),
    }
}

fn algorithm(language: &str) -> Built<Option<Algorithm>> {
    let name = language.to_lowercase();
    if matches!(name.as_str(), "possessive_english") {
        return Ok(None);
    }
    let base = name
        .trim_start_matches("light_")
        .trim_start_matches("minimal_")
        .trim_end_matches("_nn")
        .trim_end_matches('2');
    if matches!(base, "english" | "porter" | "kstem" | "lovins") {
        return Ok(Some(Algorithm::English));
    }
    LANGUAGES
        .iter()
        .find(|(known, _)| *known == base)
        .map(|(_, algorithm)| Some(*algorithm))
        .ok_or_else(|| format!("stemmer language [{language}] is not supported by the embedded node"))
}

struct Parts<'a> {
    analysis: &'a Object,
}

impl Parts<'_> {
    fn defined(&self, kind: &str, name: &str) -> Option<&Object> {
        self.analysis.get(kind)?.get(name)?.as_object()
    }

    fn analyzer(&self, name: &str, spec: &Object) -> Built<Analyzer> {
        let kind = text(spec, "type").unwrap_or("custom");
        match kind {
            "custom" => {
                let tokenizer = text(spec, "tokenizer").ok_or_else(|| {
                    format!("analyzer [{name}] must specify either an analyzer type, or a tokenizer")
                })?;
                Ok(Analyzer::new(
                    self.char_filters(name, spec)?,
                    self.tokenizer(name, tokenizer)?,
                    self.filters(name, spec)?,
                ))
            }
            "standard" | "stop" | "fingerprint" => {
                let tokenizer = if kind == "stop" { Tokenizer::Letter } else { Tokenizer::Standard };
                let default = if kind == "stop" { "_english_" } else { "_none_" };
                let mut filters = vec![Filter::Lowercase];
                let words = stop_words(spec, default);
                if !words.is_empty() {
                    filters.push(Filter::Stop { words, ignore_case: false });
                }
                Ok(Analyzer::new(vec![], tokenizer, filters))
            }
            "pattern" => {
                let mut filters = Vec::new();
                if flag(spec, "lowercase", true) {
                    filters.push(Filter::Lowercase);
                }
                Ok(Analyzer::new(vec![], Tokenizer::Pattern(pattern(spec, r"\W+")?), filters))
            }
            "simple" => Ok(Analyzer::new(vec![], Tokenizer::Letter, vec![Filter::Lowercase])),
            "whitespace" => Ok(Analyzer::new(vec![], Tokenizer::Whitespace, vec![])),
            "keyword" => Ok(Analyzer::new(vec![], Tokenizer::Keyword, vec![])),
            language => {
                let algorithm = algorithm(language).ok().flatten();
                let algorithm =
                    algorithm.ok_or_else(|| format!("Unknown analyzer type [{language}] for [{name}]"))?;
                let words = stop_words(spec, &format!("_{language}_"));
                let filters = vec![
                    Filter::Lowercase,
                    Filter::Stop { words, ignore_case: false },
                    Filter::Stem(algorithm),
                ];
                Ok(Analyzer::new(vec![], Tokenizer::Standard, filters))
            }
        }
    }

    fn tokenizer(&self, analyzer: &str, name: &str) -> Built<Tokenizer> {
        let empty = Object::new();
        let spec = self.defined("tokenizer", name).unwrap_or(&empty);
        let kind = text(spec, "type").unwrap_or(name);
        Ok(match kind {
            "standard" | "classic" | "uax_url_email" | "icu_tokenizer" | "thai" => Tokenizer::Standard,
            "whitespace" => Tokenizer::Whitespace,
            "keyword" => Tokenizer::Keyword,
            "letter" | "lowercase" => Tokenizer::Letter,
            "pattern" => Tokenizer::Pattern(pattern(spec, r"\W+")?),
            "char_group" => Tokenizer::Chars(char_group(spec)),
            "ngram" | "nGram" => Tokenizer::Ngram {
                min: number(spec, "min_gram", 1)?,
                max: number(spec, "max_gram", 2)?,
                edge: false,
            },
            "edge_ngram" | "edgeNGram" => Tokenizer::Ngram {
                min: number(spec, "min_gram", 1)?,
                max: number(spec, "max_gram", 2)?,
                edge: true,
            },
            "path_hierarchy" => Tokenizer::PathHierarchy(
                text(spec, "delimiter").and_then(|d| d.chars().next()).unwrap_or('/'),
            ),
            other => {
                return Err(format!(
                    "Custom Analyzer [{analyzer}] failed to find tokenizer under name [{other}]"
                ));
            }
        })
    }

    fn filters(&self, analyzer: &str, spec: &Object) -> Built<Vec<Filter>> {
        let mut filters = Vec::new();
        if text(spec, "tokenizer").is_some_and(|t| t == "lowercase") {
            filters.push(Filter::Lowercase);
        }
        for name in strings(spec.get("filter")) {
            filters.extend(self.filter(analyzer, &name)?);
        }
        Ok(filters)
    }

    fn filter(&self, analyzer: &str, name: &str) -> Built<Option<Filter>> {
        let empty = Object::new();
        let spec = self.defined("filter", name).unwrap_or(&empty);
        let kind = text(spec, "type").unwrap_or(name);
        Ok(Some(match kind {
            "lowercase" => Filter::Lowercase,
            "uppercase" => Filter::Uppercase,
            "asciifolding" | "icu_folding" => Filter::AsciiFolding,
            "cjk_width" | "icu_normalizer" => Filter::CjkWidth,
            "trim" => Filter::Trim,
            "reverse" => Filter::Reverse,
            "unique" | "remove_duplicates" => Filter::Unique,
            "decimal_digit" => Filter::DecimalDigit,
            "apostrophe" => Filter::Apostrophe,
            "stop" => Filter::Stop {
                words: stop_words(spec, "_english_"),
                ignore_case: flag(spec, "ignore_case", false),
            },
            "porter_stem" | "kstem" => Filter::Stem(Algorithm::English),
            "stemmer" | "snowball" => {
                match algorithm(text(spec, "language").or(text(spec, "name")).unwrap_or("english"))? {
                    Some(algorithm) => Filter::Stem(algorithm),
                    None => Filter::PossessiveEnglish,
                }
            }
            "elision" => Filter::Elision(strings(spec.get("articles")).into_iter().collect()),
            "length" => {
                Filter::Length { min: number(spec, "min", 0)?, max: number(spec, "max", usize::MAX)? }
            }
            "truncate" => Filter::Truncate(number(spec, "length", 10)?),
            "limit" => Filter::Limit(number(spec, "max_token_count", 1)?),
            "ngram" | "nGram" | "edge_ngram" | "edgeNGram" => Filter::Ngram {
                min: number(spec, "min_gram", 1)?,
                max: number(spec, "max_gram", 2)?,
                edge: kind.starts_with("edge"),
                keep: flag(spec, "preserve_original", false),
            },
            "shingle" => Filter::Shingle {
                min: number(spec, "min_shingle_size", 2)?,
                max: number(spec, "max_shingle_size", 2)?,
                separator: text(spec, "token_separator").unwrap_or(" ").to_owned(),
                unigrams: flag(spec, "output_unigrams", true),
            },
            "word_delimiter" | "word_delimiter_graph" => Filter::WordDelimiter(WordDelimiter {
                word_parts: flag(spec, "generate_word_parts", true),
                number_parts: flag(spec, "generate_number_parts", true),
                catenate_words: flag(spec, "catenate_words", false),
                catenate_numbers: flag(spec, "catenate_numbers", false),
                catenate_all: flag(spec, "catenate_all", false),
                split_case: flag(spec, "split_on_case_change", true),
                split_numerics: flag(spec, "split_on_numerics", true),
                possessive: flag(spec, "stem_english_possessive", true),
                keep_original: flag(spec, "preserve_original", false),
            }),
            "pattern_replace" => Filter::PatternReplace {
                pattern: pattern(spec, "")?,
                replacement: text(spec, "replacement").unwrap_or("").to_owned(),
            },
            "flatten_graph"
            | "cjk_bigram"
            | "keyword_repeat"
            | "keyword_marker"
            | "arabic_normalization"
            | "german_normalization"
            | "persian_normalization"
            | "hindi_normalization"
            | "indic_normalization"
            | "scandinavian_folding"
            | "scandinavian_normalization"
            | "serbian_normalization"
            | "classic" => return Ok(None),
            other => {
                return Err(format!(
                    "Custom Analyzer [{analyzer}] failed to find filter under name [{other}]"
                ));
            }
        }))
    }

    fn char_filters(&self, analyzer: &str, spec: &Object) -> Built<Vec<CharFilter>> {
        let empty = Object::new();
        let tag = Regex::new(r"<[^>]*>").map_err(|error| error.to_string())?;
        let mut filters = Vec::new();
        for name in strings(spec.get("char_filter")) {
            let spec = self.defined("char_filter", &name).unwrap_or(&empty);
            filters.push(match text(spec, "type").unwrap_or(&name) {
                "html_strip" => CharFilter::HtmlStrip(tag.clone()),
                "mapping" => CharFilter::Mapping(
                    strings(spec.get("mappings"))
                        .iter()
                        .filter_map(|rule| rule.split_once("=>"))
                        .map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()))
                        .collect(),
                ),
                "pattern_replace" => CharFilter::PatternReplace {
                    pattern: pattern(spec, "")?,
                    replacement: text(spec, "replacement").unwrap_or("").to_owned(),
                },
                other => {
                    return Err(format!(
                        "Custom Analyzer [{analyzer}] failed to find char_filter under name [{other}]"
                    ));
                }
            });
        }
        Ok(filters)
    }
}

fn char_group(spec: &Object) -> Vec<char> {
    strings(spec.get("tokenize_on_chars"))
        .iter()
        .flat_map(|name| match name.as_str() {
            "whitespace" => vec![' ', '\t', '\n', '\r'],
            "punctuation" => (33u8..127).map(char::from).filter(char::is_ascii_punctuation).collect(),
            "\\n" => vec!['\n'],
            "\\t" => vec!['\t'],
            other => other.chars().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_custom_chain_runs_in_order() {
        let settings = json!({
            "analyzer": {"mine": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding", "short"]}},
            "filter": {"short": {"type": "length", "min": "2", "max": 4}},
        });
        let analyzers = Analyzers::from_settings(Some(&settings)).unwrap();
        let mine = analyzers.get(analyzers.find("mine").unwrap());
        assert_eq!(mine.terms("Élan a ÉTÉ toolong"), ["elan", "ete"]);
    }

    #[test]
    fn what_is_not_known_is_an_error_that_names_it() {
        let table = [
            (json!({"analyzer": {"x": {"tokenizer": "nope"}}}), "failed to find tokenizer under name [nope]"),
            (
                json!({"analyzer": {"x": {"tokenizer": "standard", "filter": ["nope"]}}}),
                "failed to find filter under name [nope]",
            ),
            (json!({"analyzer": {"x": {}}}), "must specify either an analyzer type, or a tokenizer"),
        ];
        for (settings, wanted) in table {
            let error = Analyzers::from_settings(Some(&settings)).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn built_in_analyzers_keep_their_numbers() {
        let analyzers = Analyzers::default();
        for (at, name) in
            ["standard", "whitespace", "keyword", "simple", "stop", "english"].iter().enumerate()
        {
            assert_eq!(analyzers.find(name), Some(at));
        }
        assert_eq!(analyzers.get(5).terms("The running foxes' tails"), ["run", "fox", "tail"]);
    }
}
