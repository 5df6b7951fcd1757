//! Reading full text queries.

use serde_json::{Map, Value};

use super::ast::{BoostedField, FuzzyOptions, MultiKind, Node, TextKind, TextOptions};
use super::parse_value::{flag, fuzziness, not_supported, number, one_field, scalar_text, token_name, whole};
use super::string_query::{self, Syntax};
use crate::error::{ErrorKind, Result, StoreError};

type Object = Map<String, Value>;

fn no_text() -> StoreError {
    StoreError::parsing("No text specified for text query")
}

/// The text of a full text query: a scalar.
fn text_of(value: &Value) -> Result<String> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            Err(StoreError::illegal(format!("Expected text but found {}", token_name(value))))
        }
        scalar => Ok(scalar_text(scalar)),
    }
}

fn operator(value: &Value) -> Result<bool> {
    let text = scalar_text(value);
    if text.eq_ignore_ascii_case("and") {
        return Ok(true);
    }
    if text.eq_ignore_ascii_case("or") {
        return Ok(false);
    }
    let upper = text.to_uppercase();
    Err(StoreError::illegal(format!("No enum constant org.elasticsearch.index.query.Operator.{upper}")))
}

/// Reads an option that full text queries share; false when it is none of them.
fn option(
    query: &str,
    key: &str,
    value: &Value,
    options: &mut TextOptions,
    fuzzy: &mut FuzzyParts,
) -> Result<bool> {
    match key {
        "operator" | "default_operator" => options.and = operator(value)?,
        "minimum_should_match" => options.minimum_should_match = Some(scalar_text(value)),
        "analyzer" => options.analyzer = value.as_str().map(str::to_owned),
        "lenient" => options.lenient = flag(query, key, value)?,
        "slop" | "phrase_slop" => options.slop = u32::try_from(whole(query, key, value)?).unwrap_or(u32::MAX),
        "zero_terms_query" => match scalar_text(value).as_str() {
            "none" | "NONE" => options.zero_terms_all = false,
            "all" | "ALL" => options.zero_terms_all = true,
            other => {
                return Err(StoreError::parsing(format!("Unsupported zero_terms_query value [{other}]")));
            }
        },
        "fuzziness" => fuzzy.fuzziness = Some(fuzziness(value)?),
        "prefix_length" | "fuzzy_prefix_length" => fuzzy.prefix_length = whole(query, key, value)?,
        "max_expansions" | "fuzzy_max_expansions" => {
            options.max_expansions = whole(query, key, value)?.max(1);
        }
        "fuzzy_transpositions" => fuzzy.transpositions = flag(query, key, value)?,
        "auto_generate_synonyms_phrase_query" | "fuzzy_rewrite" | "cutoff_frequency" | "_name" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

struct FuzzyParts {
    fuzziness: Option<super::ast::Fuzziness>,
    prefix_length: usize,
    transpositions: bool,
}

impl FuzzyParts {
    fn new() -> Self {
        Self { fuzziness: None, prefix_length: 0, transpositions: true }
    }

    fn finish(&self, options: &mut TextOptions) {
        options.fuzzy = self.fuzziness.map(|fuzziness| FuzzyOptions {
            fuzziness,
            prefix_length: self.prefix_length,
            max_expansions: options.max_expansions,
            transpositions: self.transpositions,
        });
    }
}

/// `match` and its relatives on one field.
pub(super) fn text(query: &str, body: &Object) -> Result<Node> {
    let Some((field, value)) = one_field(query, body)? else { return Err(no_text()) };
    let kind = match query {
        "match_phrase" => TextKind::Phrase,
        "match_phrase_prefix" => TextKind::PhrasePrefix,
        "match_bool_prefix" => TextKind::BoolPrefix,
        _ => TextKind::Match,
    };
    let (mut options, mut fuzzy) = (TextOptions::default(), FuzzyParts::new());
    let (mut text, mut boost) = (None, 1.0);
    match value {
        Value::Object(given) => {
            for (key, value) in given {
                match key.as_str() {
                    "query" => text = Some(text_of(value)?),
                    "boost" => boost = number(query, key, value)?,
                    key if option(query, key, value, &mut options, &mut fuzzy)? => {}
                    other => return Err(not_supported(query, other).about(value)),
                }
            }
        }
        scalar => text = Some(text_of(scalar)?),
    }
    fuzzy.finish(&mut options);
    let text = text.ok_or_else(no_text)?;
    Ok(Node::Text { kind, field: field.clone(), text, options }.boosted(boost))
}

fn boosted_fields(query: &str, value: &Value) -> Result<Vec<BoostedField>> {
    let list = match value {
        Value::Array(list) => list.clone(),
        Value::String(_) => vec![value.clone()],
        other => {
            return Err(StoreError::parsing(format!(
                "[{query}] [fields] must be an array, not {}",
                token_name(other)
            )));
        }
    };
    list.iter()
        .map(|field| {
            let text = scalar_text(field);
            match text.split_once('^') {
                None => Ok(BoostedField { name: text, boost: 1.0 }),
                Some((name, boost)) => {
                    let boost = boost.parse().map_err(|_| {
                        StoreError::illegal(format!("[{query}] the boost of field [{text}] must be a number"))
                    })?;
                    Ok(BoostedField { name: name.to_owned(), boost })
                }
            }
        })
        .collect()
}

/// `multi_match`, and `combined_fields` as the nearest form of it.
pub(super) fn multi_match(query: &str, body: &Object) -> Result<Node> {
    let (mut options, mut fuzzy) = (TextOptions::default(), FuzzyParts::new());
    let (mut text, mut boost, mut fields, mut tie_breaker) = (None, 1.0, Vec::new(), None);
    let mut kind = if query == "combined_fields" { "cross_fields" } else { "best_fields" }.to_owned();
    for (key, value) in body {
        match key.as_str() {
            "query" => text = Some(text_of(value)?),
            "fields" => fields = boosted_fields(query, value)?,
            "type" => kind = scalar_text(value),
            "tie_breaker" => tie_breaker = Some(number(query, key, value)?),
            "boost" => boost = number(query, key, value)?,
            key if option(query, key, value, &mut options, &mut fuzzy)? => {}
            other => return Err(not_supported(query, other).about(value)),
        }
    }
    fuzzy.finish(&mut options);
    let (multi, text_kind, tie) = match kind.as_str() {
        "best_fields" => (MultiKind::Best, TextKind::Match, 0.0),
        "most_fields" => (MultiKind::Most, TextKind::Match, 1.0),
        "cross_fields" => (MultiKind::Cross, TextKind::Match, 0.0),
        "phrase" => (MultiKind::Best, TextKind::Phrase, 0.0),
        "phrase_prefix" => (MultiKind::Best, TextKind::PhrasePrefix, 0.0),
        "bool_prefix" => (MultiKind::Most, TextKind::BoolPrefix, 1.0),
        other => {
            let reason = format!("failed to parse [{query}] query type [{other}]. unknown type.");
            return Err(StoreError::new(ErrorKind::Parse, reason));
        }
    };
    let text = text.ok_or_else(|| StoreError::parsing("No text specified for multi_match query"))?;
    let tie_breaker = tie_breaker.unwrap_or(tie);
    Ok(Node::Multi { kind: multi, text_kind, fields, text, options, tie_breaker }.boosted(boost))
}

/// What the two string queries share.
fn string_body(query: &str, body: &Object, syntax: Syntax) -> Result<Node> {
    let (mut options, mut fuzzy) = (TextOptions::default(), FuzzyParts::new());
    let (mut text, mut boost, mut fields, mut tie_breaker, mut wildcard) =
        (None, 1.0, Vec::new(), 0.0, false);
    let (mut leading, mut restricted) = (true, false);
    for (key, value) in body {
        match key.as_str() {
            "query" => text = Some(text_of(value)?),
            "fields" => fields = boosted_fields(query, value)?,
            "default_field" => fields = boosted_fields(query, &Value::Array(vec![value.clone()]))?,
            "boost" => boost = number(query, key, value)?,
            "tie_breaker" => tie_breaker = number(query, key, value)?,
            "analyze_wildcard" => wildcard = flag(query, key, value)?,
            "allow_leading_wildcard" => leading = flag(query, key, value)?,
            "flags" => restricted = simple_flags(value)?,
            "type"
            | "escape"
            | "time_zone"
            | "quote_analyzer"
            | "quote_field_suffix"
            | "enable_position_increments"
            | "max_determinized_states"
            | "rewrite"
            | "all_fields" => {}
            key if option(query, key, value, &mut options, &mut fuzzy)? => {}
            other => {
                let reason = format!("[{query}] query does not support [{other}]");
                return Err(StoreError::parsing(reason));
            }
        }
    }
    fuzzy.finish(&mut options);
    let _ = wildcard;
    let text =
        text.ok_or_else(|| StoreError::parsing(format!("[{query}] must be provided with a [query]")))?;
    if restricted && text.contains(OPERATORS) {
        let reason = "[flags] that leave out operators are not supported by the embedded node";
        return Err(StoreError::new(ErrorKind::Unsupported, reason));
    }
    let defaults = string_query::Defaults { fields, options, tie_breaker, leading };
    Ok(string_query::parse(&text, syntax, &defaults).boosted(boost))
}

/// What means something in a `simple_query_string`.
const OPERATORS: [char; 9] = ['+', '|', '-', '"', '*', '(', ')', '~', '\\'];

/// Checks the operators that a `simple_query_string` allows; true when those are not all.
fn simple_flags(value: &Value) -> Result<bool> {
    const FLAGS: [&str; 13] = [
        "ALL",
        "NONE",
        "AND",
        "NOT",
        "OR",
        "PREFIX",
        "PHRASE",
        "PRECEDENCE",
        "ESCAPE",
        "WHITESPACE",
        "FUZZY",
        "NEAR",
        "SLOP",
    ];
    let text = scalar_text(value);
    match text.split('|').find(|flag| !flag.is_empty() && !FLAGS.contains(&flag.to_uppercase().as_str())) {
        Some(unknown) if !value.is_number() => {
            Err(StoreError::illegal(format!("Unknown simple_query_string flag [{unknown}]")))
        }
        _ => Ok(!text.eq_ignore_ascii_case("ALL") && text != "-1"),
    }
}

pub(super) fn query_string(body: &Object) -> Result<Node> {
    string_body("query_string", body, Syntax::Full)
}

pub(super) fn simple_query_string(body: &Object) -> Result<Node> {
    string_body("simple_query_string", body, Syntax::Simple)
}
