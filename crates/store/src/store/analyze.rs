//! What analyzers make of texts.

use serde_json::{Map, Value, json};

use super::Store;
use crate::analysis::{Analyzer, Analyzers};
use crate::error::{Result, StoreError};
use crate::mapping::Storage;

/// Words between two texts of one request.
const POSITION_GAP: usize = 100;
/// Characters between them.
const OFFSET_GAP: usize = 1;

/// How texts are to be analysed.
#[derive(Debug, Clone)]
pub enum AnalyzeBy {
    /// As by default.
    Default,
    /// By an analyzer of this name.
    Analyzer(String),
    /// As the values of a field.
    Field(String),
    /// By a normalizer of this name: each text is one term.
    Normalizer(String),
    /// By an analyzer of these parts: `tokenizer`, `filter` and `char_filter` in Elasticsearch's form.
    Parts(Map<String, Value>),
}

/// A term of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyzedToken {
    /// The term.
    pub text: String,
    /// Where it begins, in UTF-16 units.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Counted in words.
    pub position: usize,
    /// Elasticsearch's name for what it is.
    pub kind: &'static str,
}

impl Store {
    /// Analyses texts; `index` is a concrete name, and its analyzers and fields are meant.
    ///
    /// # Errors
    /// `illegal_argument_exception` for what is not there, or has no terms.
    pub fn analyze(
        &self,
        index: Option<&str>,
        by: &AnalyzeBy,
        texts: &[String],
    ) -> Result<Vec<AnalyzedToken>> {
        let state = index.map(|name| self.open_shared()?.catalog.require(name)).transpose()?;
        let global = Analyzers::default();
        let mapping = state.as_ref().map(|state| state.mapping());
        let analyzers = mapping.as_ref().map_or(&global, |mapping| &*mapping.analyzers);
        let default = analyzers.get(analyzers.default_id());
        match by {
            AnalyzeBy::Default => Ok(analyzed(default, texts)),
            AnalyzeBy::Analyzer(name) => match analyzers.find(name) {
                Some(id) => Ok(analyzed(analyzers.get(id), texts)),
                None => {
                    let what = if index.is_some() { "analyzer" } else { "global analyzer" };
                    Err(StoreError::illegal(format!("failed to find {what} [{name}]")))
                }
            },
            AnalyzeBy::Normalizer(name) => match analyzers.normalizer(name) {
                Some(normalizer) => Ok(whole(Some(normalizer), texts, 0)),
                None => Err(StoreError::illegal(format!("failed to find normalizer under [{name}]"))),
            },
            AnalyzeBy::Parts(parts) => {
                let own = own_analyzers(parts).map_err(StoreError::illegal)?;
                let id = own.find(OWN).unwrap_or_default();
                Ok(analyzed(own.get(id), texts))
            }
            AnalyzeBy::Field(name) => {
                let Some(mapping) = &mapping else {
                    return Err(StoreError::illegal("analysis based on a specific field requires an index"));
                };
                let Some(leaf) = mapping.find(name) else { return Ok(analyzed(default, texts)) };
                match (leaf.ty.storage(), &leaf.normalizer) {
                    (Storage::Text, _) => Ok(analyzed(analyzers.get(leaf.analyzer), texts)),
                    (Storage::Keyword, normalizer) => Ok(whole(normalizer.as_deref(), texts, POSITION_GAP)),
                    _ => Err(StoreError::illegal(format!(
                        "Can't process field [{name}], Analysis requests are only supported on tokenized fields"
                    ))),
                }
            }
        }
    }
}

/// The name of an analyzer that a request is made of.
const OWN: &str = "__own";

fn own_analyzers(parts: &Map<String, Value>) -> std::result::Result<Analyzers, String> {
    let mut analysis = Map::new();
    let mut own = json!({"type": "custom"});
    for (kind, value) in parts {
        let mut named = Map::new();
        let mut name_of = |part: &Value| match part {
            Value::Object(_) => {
                let name = format!("__{kind}_{}", named.len());
                named.insert(name.clone(), part.clone());
                json!(name)
            }
            other => other.clone(),
        };
        own[kind] = match value {
            Value::Array(list) => list.iter().map(&mut name_of).collect(),
            one => name_of(one),
        };
        if !named.is_empty() {
            analysis.insert(kind.clone(), Value::Object(named));
        }
    }
    if !parts.contains_key("tokenizer") {
        own["tokenizer"] = json!("keyword");
    }
    analysis.insert("analyzer".into(), json!({ OWN: own }));
    Analyzers::from_settings(Some(&Value::Object(analysis)))
}

/// All terms of texts, each text behind the one before.
fn analyzed(analyzer: &Analyzer, texts: &[String]) -> Vec<AnalyzedToken> {
    gathered(texts, POSITION_GAP, |text| {
        let tokens = analyzer.tokens(text);
        let utf16 = |at: usize| text.get(..at).map_or(at, |before| before.encode_utf16().count());
        let shown = |token: crate::analysis::Token| AnalyzedToken {
            kind: analyzer.kind_of(&token.text),
            start: utf16(token.start),
            end: utf16(token.end),
            position: token.position,
            text: token.text,
        };
        tokens.into_iter().map(shown).collect()
    })
}

/// Texts that are one term each, with so many words between two of them.
fn whole(normalizer: Option<&Analyzer>, texts: &[String], gap: usize) -> Vec<AnalyzedToken> {
    gathered(texts, gap, |text| {
        let end = text.encode_utf16().count();
        let term = normalizer.map_or_else(|| text.to_owned(), |normalizer| normalizer.normalize(text));
        vec![AnalyzedToken { text: term, start: 0, end, position: 0, kind: "word" }]
    })
}

fn gathered(texts: &[String], gap: usize, tokens: impl Fn(&str) -> Vec<AnalyzedToken>) -> Vec<AnalyzedToken> {
    let (mut position, mut offset, mut all) = (0, 0, Vec::new());
    for text in texts {
        let mut last = None;
        for mut token in tokens(text) {
            last = Some(token.position);
            token.position += position;
            token.start += offset;
            token.end += offset;
            all.push(token);
        }
        position += last.map_or(0, |last| last + 1) + gap;
        offset += text.encode_utf16().count() + OFFSET_GAP;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn terms_tell_where_they_stand_in_characters_and_words() {
        let analyzers = Analyzers::default();
        let standard = analyzers.get(analyzers.default_id());
        let found = analyzed(standard, &texts(&["Ä 12", "c"]));
        let shown: Vec<_> =
            found.iter().map(|t| (t.text.as_str(), t.start, t.end, t.position, t.kind)).collect();
        assert_eq!(
            shown,
            [("ä", 0, 1, 0, "<ALPHANUM>"), ("12", 2, 4, 1, "<NUM>"), ("c", 5, 6, 102, "<ALPHANUM>")]
        );
    }

    #[test]
    fn an_analyzer_may_be_made_of_parts() {
        let parts =
            json!({"tokenizer": "whitespace", "filter": ["lowercase", {"type": "stop", "stopwords": ["a"]}]});
        let Value::Object(parts) = parts else { return };
        let own = own_analyzers(&parts).unwrap();
        let found = analyzed(own.get(own.find(OWN).unwrap()), &texts(&["A b"]));
        assert_eq!(found.iter().map(|token| token.text.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
