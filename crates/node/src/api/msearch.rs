//! `_msearch`: several searches in one request, each with its own answer or error.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use tributary_store::ResolveOptions;

use super::Table;
use super::hits::answer;
use super::search::Asked;
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result, parse_json, to_json};
use crate::node::Node;
use crate::writes::options_of;

const PARAMS: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "ignore_throttled",
    "rest_total_hits_as_int",
    "typed_keys",
    "search_type",
    "max_concurrent_searches",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "ccs_minimize_roundtrips",
    "include_named_queries_score",
];
/// Searches in one request.
const MOST: usize = 1_000;

pub(super) fn routes(table: &mut Table) {
    table.on("GET,POST", &["/_msearch", "/{index}/_msearch"], PARAMS, BodyRule::Required, msearch);
}

/// One search: where, and the body.
struct One {
    expression: String,
    options: ResolveOptions,
    asked: Asked,
}

fn text_of(key: &str, value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(list) => {
            Ok(list.iter().map(|item| text_of(key, item)).collect::<Result<Vec<_>>>()?.join(","))
        }
        _ => Err(ApiError::illegal(format!(
            "key [{key}] in the header of a search has a value of the wrong type"
        ))),
    }
}

impl One {
    fn read(header: &Map<String, Value>, body: Value, raw: &[u8], call: &Call) -> Result<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for name in PARAMS {
            pairs.extend(call.params.get(name).map(|value| ((*name).to_owned(), value.to_owned())));
        }
        let mut expression = call.maybe_var("index").unwrap_or("_all").to_owned();
        for (key, value) in header.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "index" | "indices" => expression = text_of(key, value)?,
                "search_type" | "preference" | "routing" | "request_cache" | "ignore_unavailable"
                | "allow_no_indices" | "expand_wildcards" => pairs.push((key.clone(), text_of(key, value)?)),
                "allow_partial_search_results" | "ccs_minimize_roundtrips" | "ignore_throttled" => {}
                other => {
                    return Err(ApiError::illegal(format!(
                        "key [{other}] is not supported in the metadata section"
                    )));
                }
            }
        }
        let params = Params::from_pairs(pairs);
        let options = options_of(&params)?;
        let asked = Asked::parse(body, raw, &params)?;
        Ok(Self { expression, options, asked })
    }

    async fn run(self, node: &Node) -> Result<Vec<u8>> {
        let mut asked = self.asked;
        if asked.request.pit.is_none() {
            asked.request.indices = node.resolve_names(&self.expression, self.options)?;
        }
        asked.check_terms(node)?;
        answer(&node.search_as_caller(asked.request).await?, &asked.look, Some(200))
    }
}

fn read_all(call: &Call) -> Result<Vec<One>> {
    if call.body.last() != Some(&b'\n') {
        return Err(ApiError::illegal("The msearch request must be terminated by a newline [\\n]"));
    }
    let mut lines = call.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut all = Vec::new();
    while let Some(header) = lines.next() {
        let Some(body) = lines.next().filter(|body| !body.is_empty()) else {
            // Empty lines at the end are no search.
            if header.is_empty() {
                break;
            } else {
                return Err(ApiError::parse("a search without a body in [_msearch]"));
            }
        };
        let header = if header.is_empty() { Value::Object(Map::new()) } else { parse_json(header)? };
        let Value::Object(header) = header else {
            return Err(ApiError::illegal("the header of a search in [_msearch] must be an object"));
        };
        all.push(One::read(&header, parse_json(body)?, body, call)?);
        if all.len() > MOST {
            return Err(ApiError::illegal(format!("more than [{MOST}] searches in one [_msearch] request")));
        }
    }
    if all.is_empty() { Err(ApiError::validation(["no requests added"])) } else { Ok(all) }
}

async fn msearch(node: Arc<Node>, call: Call) -> Result<Reply> {
    let begin = Instant::now();
    let mut written = Vec::new();
    for (at, one) in read_all(&call)?.into_iter().enumerate() {
        if at > 0 {
            written.push(b',');
        }
        match one.run(&node).await {
            Ok(bytes) => written.extend(bytes),
            Err(error) => written.extend(to_json(&error.body())?),
        }
    }
    let took = begin.elapsed().as_millis();
    let mut body = format!("{{\"took\":{took},\"responses\":[").into_bytes();
    body.extend(written);
    body.extend_from_slice(b"]}");
    Ok(Reply::raw(200, body))
}
