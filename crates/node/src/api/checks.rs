//! Looking at queries and texts without searching: `_validate/query` and `_analyze`.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::{AnalyzeBy, AnalyzedToken, Query, SearchRequest};

use super::Table;
use super::search::query_of_params;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, token_name};
use crate::node::Node;
use crate::writes::resolve_options;

const VALIDATE: &[&str] = &[
    "explain",
    "rewrite",
    "all_shards",
    "q",
    "df",
    "analyzer",
    "default_operator",
    "lenient",
    "analyze_wildcard",
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
];

pub(super) fn routes(table: &mut Table) {
    let optional = BodyRule::Optional;
    table.on("GET,POST", &["/_validate/query", "/{index}/_validate/query"], VALIDATE, optional, validate);
    table.on("GET,POST", &["/_analyze", "/{index}/_analyze"], &[], optional, analyze);
}

/// Whether a query can be read, and run on each index.
async fn validate(node: Arc<Node>, call: Call) -> Result<Reply> {
    let explain =
        ["explain", "rewrite"].into_iter().any(|name| call.params.flag_or(name, false).unwrap_or(true));
    let all_shards = call.params.flag_or("all_shards", false)?;
    let query = match read(&call) {
        Ok(query) => query,
        // There is nothing to judge.
        Err(error) if error.es_type() == "action_request_validation_exception" => return Err(error),
        Err(error) if explain => {
            let error = format!("{}: {}", error.es_type(), error.reason());
            return Ok(Reply::ok(json!({"valid": false, "error": error})));
        }
        Err(_) => return Ok(Reply::ok(json!({"valid": false}))),
    };
    let indices = node.resolve_names(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    let (mut valid, mut explanations) = (true, Vec::new());
    for index in &indices {
        let mut request = SearchRequest::new(vec![index.clone()]);
        request.query = query.clone();
        request.size = 0;
        let mut explanation = Map::new();
        explanation.insert("index".into(), json!(index));
        if all_shards {
            explanation.insert("shard".into(), json!(0));
        }
        let outcome = node.search_as_caller(request).await;
        explanation.insert("valid".into(), json!(outcome.is_ok()));
        if let Err(error) = outcome {
            valid = false;
            explanation
                .insert("error".into(), json!(format!("[{index}] {}: {}", error.es_type(), error.reason())));
        }
        explanations.push(explanation);
    }
    let shards = indices.len();
    let mut answer = json!({"_shards": {"total": shards, "successful": shards, "failed": 0}, "valid": valid});
    if explain && !explanations.is_empty() {
        answer["explanations"] = json!(explanations);
    }
    Ok(Reply::ok(answer))
}

fn read(call: &Call) -> Result<Query> {
    if let Some(query) = query_of_params(&call.params)? {
        return Ok(query);
    }
    if !call.has_body() {
        return Ok(Query::match_all());
    }
    let body = call.object()?;
    match body.iter().next() {
        None => Err(ApiError::validation(["query cannot be null"])),
        Some((key, query)) if key == "query" && body.len() == 1 => Ok(Query::parse(query)?),
        Some((key, _)) => Err(ApiError::parse(format!("request does not support [{key}]"))),
    }
}

const PARSER: &str = "analyze_request";

/// What a request to analyse says.
#[derive(Default)]
struct Asked {
    texts: Vec<String>,
    analyzer: Option<String>,
    field: Option<String>,
    normalizer: Option<String>,
    parts: Map<String, Value>,
}

impl Asked {
    fn parse(call: &Call) -> Result<Self> {
        let mut asked = Self::default();
        for (key, value) in call.object()? {
            match (key.as_str(), value) {
                ("text", Value::String(text)) => asked.texts.push(text),
                ("text", Value::Array(list)) => {
                    let text = |item: Value| match item {
                        Value::String(text) => Ok(text),
                        Value::Number(number) => Ok(number.to_string()),
                        other => Err(wrong(call, &key, &other)),
                    };
                    asked.texts = list.into_iter().map(text).collect::<Result<_>>()?;
                }
                ("analyzer", Value::String(name)) => asked.analyzer = Some(name),
                ("field", Value::String(name)) => asked.field = Some(name),
                ("normalizer", Value::String(name)) => asked.normalizer = Some(name),
                ("tokenizer" | "filter" | "char_filter", value) => drop(asked.parts.insert(key, value)),
                ("explain", Value::Bool(false)) => {}
                ("explain", Value::Bool(true)) => {
                    return Err(ApiError::not_served("[explain] of [_analyze]"));
                }
                ("text" | "analyzer" | "field" | "normalizer" | "explain", other) => {
                    return Err(wrong(call, &key, &other));
                }
                _ => return Err(call.unknown_field(PARSER, &key)),
            }
        }
        asked.check(call)?;
        Ok(asked)
    }

    fn check(&self, call: &Call) -> Result<()> {
        let mut broken = Vec::new();
        if self.texts.is_empty() {
            broken.push("text is missing");
        }
        if self.normalizer.is_some() && call.maybe_var("index").is_none() {
            broken.push("index is required if normalizer is specified");
        }
        if self.normalizer.is_some() && (self.analyzer.is_some() || self.parts.contains_key("tokenizer")) {
            broken.push("tokenizer/analyze should be null if normalizer is specified");
        }
        if self.analyzer.is_some() && !self.parts.is_empty() {
            broken.push("cannot define extra components on a named analyzer");
        }
        if self.normalizer.is_some() && !self.parts.is_empty() {
            broken.push("cannot define extra components on a named normalizer");
        }
        if broken.is_empty() { Ok(()) } else { Err(ApiError::validation(broken)) }
    }

    fn by(&self) -> AnalyzeBy {
        match (&self.normalizer, &self.analyzer, &self.field) {
            (Some(name), ..) => AnalyzeBy::Normalizer(name.clone()),
            (None, Some(name), _) => AnalyzeBy::Analyzer(name.clone()),
            (None, None, _) if !self.parts.is_empty() => AnalyzeBy::Parts(self.parts.clone()),
            (None, None, Some(field)) => AnalyzeBy::Field(field.clone()),
            (None, None, None) => AnalyzeBy::Default,
        }
    }
}

fn wrong(call: &Call, key: &str, value: &Value) -> ApiError {
    let at = super::value_position(key, &call.body);
    let reason = format!("[{at}] [{PARSER}] {key} doesn't support values of type: {}", token_name(value));
    ApiError::new(400, "x_content_parse_exception", reason)
}

async fn analyze(node: Arc<Node>, call: Call) -> Result<Reply> {
    if !call.has_body() {
        return Err(ApiError::parse("request body or source parameter is required"));
    }
    let asked = Asked::parse(&call)?;
    let index = match call.maybe_var("index") {
        Some(name) => Some(node.read_index(name)?),
        None => {
            node.check_anywhere("manage", "indices:admin/analyze")?;
            None
        }
    };
    let tokens =
        node.blocking(move |store| Ok(store.analyze(index.as_deref(), &asked.by(), &asked.texts)?)).await?;
    let tokens: Vec<Value> = tokens.iter().map(shown).collect();
    Ok(Reply::ok(json!({"tokens": tokens})))
}

fn shown(token: &AnalyzedToken) -> Value {
    json!({
        "token": token.text, "start_offset": token.start, "end_offset": token.end, "type": token.kind,
        "position": token.position,
    })
}
