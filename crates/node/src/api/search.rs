//! `_search` and `_count`: what the path, the parameters and the body ask for, made into a search of the store.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::{
    ErrorKind, Query, SearchRequest, SearchResponse, SortKey, SourceFilter, StoreError, TrackTotal,
};

use super::Table;
use super::hits::{Look, render};
use super::scroll;
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result, position_of, token_name};
use crate::node::Node;
use crate::writes::resolve_options;

const SEARCH: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "ignore_throttled",
    "q",
    "df",
    "analyzer",
    "analyze_wildcard",
    "default_operator",
    "lenient",
    "size",
    "from",
    "sort",
    "_source",
    "_source_includes",
    "_source_excludes",
    "stored_fields",
    "docvalue_fields",
    "track_total_hits",
    "track_scores",
    "rest_total_hits_as_int",
    "version",
    "seq_no_primary_term",
    "scroll",
    "typed_keys",
    "timeout",
    "terminate_after",
    "explain",
    "stats",
    "search_type",
    "preference",
    "routing",
    "request_cache",
    "batched_reduce_size",
    "ccs_minimize_roundtrips",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "allow_partial_search_results",
    "min_compatible_shard_node",
    "force_synthetic_source",
    "include_named_queries_score",
];
const COUNT: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "ignore_throttled",
    "q",
    "df",
    "analyzer",
    "analyze_wildcard",
    "default_operator",
    "lenient",
    "min_score",
    "preference",
    "routing",
    "terminate_after",
];

pub(super) fn routes(table: &mut Table) {
    table.on("GET,POST", &["/_search", "/{index}/_search"], SEARCH, BodyRule::Optional, search);
    table.on("GET,POST", &["/_count", "/{index}/_count"], COUNT, BodyRule::Optional, count);
}

/// A search as one caller states it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: SearchRequest,
    pub(super) scroll_ms: Option<u64>,
    pub(super) look: Look,
    /// Whether an aggregation lists terms that no matching document has.
    lists_unmatched: bool,
}

/// Whether buckets of terms are asked for that are empty.
fn lists_unmatched(aggs: &Value) -> bool {
    let empty =
        |options: &Value| options.get("min_doc_count").is_some_and(|least| *least == 0 || *least == "0");
    match aggs {
        Value::Object(object) => object.iter().any(|(key, value)| {
            // The empty buckets of histograms tell nothing about documents.
            (empty(value) && !matches!(key.as_str(), "histogram" | "date_histogram"))
                || lists_unmatched(value)
        }),
        _ => false,
    }
}

/// Refuses the companions of the parameter `q` without it, as 9 does.
fn check_companions(call: &Call, endpoint: &str) -> Result<()> {
    let companions = ["df", "analyzer", "analyze_wildcard", "lenient", "default_operator"];
    let alone: Vec<&str> = companions.into_iter().filter(|name| call.params.has(name)).collect();
    if alone.is_empty() || call.params.has("q") {
        return Ok(());
    }
    let index = call.maybe_var("index").map_or_else(String::new, |index| format!("/{index}"));
    Err(ApiError::illegal(format!(
        "request [{index}/{endpoint}] contains parameters [{}] but missing query string parameter 'q'.",
        alone.join(", ")
    )))
}

/// The query that the parameter `q` and its companions make.
pub(super) fn query_of_params(params: &Params) -> Result<Option<Query>> {
    let Some(text) = params.text("q") else { return Ok(None) };
    let mut parts = Map::new();
    parts.insert("query".into(), json!(text));
    for (param, key) in [("df", "default_field"), ("analyzer", "analyzer")] {
        if let Some(value) = params.text(param) {
            parts.insert(key.into(), json!(value));
        }
    }
    if let Some(operator) = params.text("default_operator") {
        let operator = operator.to_ascii_uppercase();
        if !matches!(operator.as_str(), "AND" | "OR") {
            return Err(ApiError::illegal(format!(
                "No enum constant org.elasticsearch.index.query.Operator.{operator}"
            )));
        }
        parts.insert("default_operator".into(), json!(operator));
    }
    for name in ["lenient", "analyze_wildcard"] {
        if let Some(on) = params.flag(name)? {
            parts.insert(name.into(), json!(on));
        }
    }
    Ok(Some(Query::parse(&json!({"query_string": parts}))?))
}

fn track_total(text: &str) -> Result<TrackTotal> {
    match text {
        "true" => Ok(TrackTotal::Exact),
        "false" | "-1" => Ok(TrackTotal::No),
        number => match number.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(TrackTotal::UpTo(number.unsigned_abs())),
            Ok(number) => Err(ApiError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {number}"
            ))),
            Err(_) => Err(ApiError::illegal(format!(
                "Failed to parse int parameter [track_total_hits] with value [{number}]"
            ))
            .because("number_format_exception", format!("For input string: \"{number}\""))),
        },
    }
}

/// What the `_source` parameters say, as a part of a body.
pub(super) fn source_of_params(params: &Params) -> Result<Option<SourceFilter>> {
    let list = |name: &str| params.list(name).unwrap_or_default();
    let mut filter = SourceFilter::default();
    match params.get("_source") {
        Some("false") => filter.enabled = false,
        Some("true" | "") | None => {}
        Some(_) => filter.includes = list("_source"),
    }
    if params.has("_source_includes") {
        filter.includes = list("_source_includes");
    }
    filter.excludes = list("_source_excludes");
    let given = ["_source", "_source_includes", "_source_excludes"].iter().any(|name| params.has(name));
    Ok(given.then_some(filter))
}

fn whole(params: &Params, name: &str, refuse: impl Fn(i32) -> String) -> Result<Option<usize>> {
    let Some(number) = params.int(name)? else { return Ok(None) };
    usize::try_from(number).map(Some).map_err(|_| ApiError::illegal(refuse(number)))
}

/// Parameters of the URL; they win over the body.
fn apply_params(request: &mut SearchRequest, params: &Params) -> Result<()> {
    if let Some(query) = query_of_params(params)? {
        request.query = query;
    }
    if let Some(size) =
        whole(params, "size", |n| format!("[size] parameter cannot be negative, found [{n}]"))?
    {
        request.size = size;
    }
    if let Some(from) =
        whole(params, "from", |n| format!("[from] parameter cannot be negative but was [{n}]"))?
    {
        request.from = from;
    }
    if let Some(count) = whole(params, "terminate_after", |_| "terminateAfter must be > 0".to_owned())? {
        request.terminate_after = Some(count as u64).filter(|count| *count > 0);
    }
    if let Some(sort) = params.list("sort") {
        request.sort = SortKey::parse_list(&json!(sort))?;
    }
    if let Some(filter) = source_of_params(params)? {
        request.source = filter;
        request.source_given = true;
    }
    if let Some(text) = params.get("track_total_hits") {
        request.track_total_hits = track_total(text)?;
    }
    let switches = [
        ("version", &mut request.version),
        ("seq_no_primary_term", &mut request.seq_no_primary_term),
        ("track_scores", &mut request.track_scores),
    ];
    for (name, switch) in switches {
        if let Some(on) = params.flag(name)? {
            *switch = on;
        }
    }
    match params.get("search_type") {
        None | Some("query_then_fetch" | "dfs_query_then_fetch") => Ok(()),
        Some(other) => Err(ApiError::illegal(format!("No search type for [{other}]"))),
    }
}

/// Fields asked for by parameters are added as the body's members of the same name.
fn with_field_params(body: &mut Map<String, Value>, params: &Params) {
    for name in ["docvalue_fields", "stored_fields"] {
        if let Some(list) = params.list(name) {
            body.insert(name.to_owned(), json!(list));
        }
    }
}

fn object(body: Value) -> Result<Map<String, Value>> {
    match body {
        Value::Null => Ok(Map::new()),
        Value::Object(object) => Ok(object),
        other => {
            let reason = format!("Expected [START_OBJECT] but found [{}]", token_name(&other));
            Err(ApiError::new(400, "parsing_exception", reason).with("line", 1).with("col", 1))
        }
    }
}

impl Asked {
    /// Reads a search from a body and parameters; `raw` is the body as it came, for the positions of errors. The indices are not set yet.
    pub(super) fn parse(body: Value, raw: &[u8], params: &Params) -> Result<Self> {
        let mut body = object(body)?;
        with_field_params(&mut body, params);
        let tracked = body.contains_key("track_total_hits") || params.has("track_total_hits");
        check_pit(body.get("pit"))?;
        let lists_unmatched =
            ["aggs", "aggregations"].iter().filter_map(|key| body.get(*key)).any(lists_unmatched);
        let body = Value::Object(body);
        let mut request = SearchRequest::parse(&body).map_err(|error| error.located(&body, raw))?;
        apply_params(&mut request, params)?;
        let scroll_ms = match params.text("scroll") {
            Some(text) => Some(crate::http::parse_time_ms(text, "scroll")?),
            None => None,
        };
        let look = Look { total_as_int: params.flag_or("rest_total_hits_as_int", false)?, ..Look::default() };
        request.typed_keys = params.flag_or("typed_keys", false)?;
        if !tracked && (look.total_as_int || scroll_ms.is_some()) {
            request.track_total_hits = TrackTotal::Exact;
        }
        look.check(request.track_total_hits)?;
        let asked = Self { request, scroll_ms, look, lists_unmatched };
        let broken = asked.broken_rules(params);
        if broken.is_empty() { Ok(asked) } else { Err(ApiError::validation(broken)) }
    }

    /// Terms that no visible document has would tell what is in the hidden ones.
    pub(super) fn check_terms(&self, node: &Node) -> Result<()> {
        if !self.lists_unmatched {
            return Ok(());
        }
        let indices = match &self.request.pit {
            Some(id) => node.store.pit_indices(id).map_err(context_error)?,
            None => self.request.indices.clone(),
        };
        match node.visible_to_caller(&indices)? {
            None => Ok(()),
            Some(_) => Err(ApiError::illegal(
                "[min_doc_count] of [0] cannot be used if document level security is enabled",
            )),
        }
    }

    /// What does not go together, in Elasticsearch's order.
    fn broken_rules(&self, params: &Params) -> Vec<&'static str> {
        let (request, mut broken) = (&self.request, Vec::new());
        let mut rule = |holds: bool, message| {
            if holds {
                broken.push(message);
            }
        };
        if self.scroll_ms.is_some() {
            rule(
                request.track_total_hits != TrackTotal::Exact,
                "disabling [track_total_hits] is not allowed in a scroll context",
            );
            rule(request.from > 0, "using [from] is not allowed in a scroll context");
            rule(request.size == 0, "[size] cannot be [0] in a scroll context");
            rule(request.search_after.is_some(), "[search_after] cannot be used in a scroll context");
            rule(
                params.get("request_cache").is_some_and(|v| v != "false"),
                "[request_cache] cannot be used in a scroll context",
            );
        }
        if request.pit.is_some() {
            rule(self.scroll_ms.is_some(), "using [point in time] is not allowed in a scroll context");
            rule(params.has("routing"), "[routing] cannot be used with point in time");
            rule(params.has("preference"), "[preference] cannot be used with point in time");
        }
        let both = request.search_after.is_some() && request.from > 0;
        rule(both, "[from] parameter must be set to 0 when [search_after] is used");
        broken
    }
}

fn check_pit(pit: Option<&Value>) -> Result<()> {
    let Some(pit) = pit.and_then(Value::as_object) else { return Ok(()) };
    if let Some(unknown) = pit.keys().find(|key| !matches!(key.as_str(), "id" | "keep_alive")) {
        return Err(ApiError::new(
            400,
            "x_content_parse_exception",
            format!("[pit] unknown field [{unknown}]"),
        ));
    }
    match pit.get("id") {
        None => Err(ApiError::illegal("point in time id is not provided")),
        Some(id) => match id.as_str().and_then(super::pit::not_an_id) {
            None => Ok(()),
            Some(error) => {
                let reason = "[pit] failed to parse field [id]";
                let outer = ApiError::new(400, "x_content_parse_exception", reason);
                Err(outer.because(&error.es_type(), error.reason()))
            }
        },
    }
}

impl Node {
    /// Searches for the caller: only what the caller may see is found.
    pub(crate) async fn search_as_caller(&self, mut request: SearchRequest) -> Result<SearchResponse> {
        let indices = match &request.pit {
            Some(id) => self.store.pit_indices(id).map_err(context_error)?,
            None => request.indices.clone(),
        };
        if request.pit.is_some() {
            self.check_readable(&indices)?;
        }
        request.filter = self.visible_to_caller(&indices)?;
        request.now_ms = Some(self.now_ms());
        self.store.search(request).await.map_err(context_error)
    }

    /// Counts for the caller.
    pub(crate) async fn count_as_caller(
        &self,
        indices: &[String],
        query: Query,
        min_score: Option<f32>,
    ) -> Result<u64> {
        if min_score.is_none() {
            let query = match self.visible_to_caller(indices)? {
                None => query,
                Some(filter) => Query::all_of(vec![query, filter]),
            };
            return Ok(self.store.count_at(indices, &query, self.now_ms()).await?);
        }
        let mut request = SearchRequest::new(indices.to_vec());
        request.query = query;
        request.size = 0;
        request.min_score = min_score;
        request.track_total_hits = TrackTotal::Exact;
        Ok(self.search_as_caller(request).await?.total.map_or(0, |total| total.value))
    }
}

/// `search_phase_execution_exception` around a failure that is not one index's.
pub(super) fn all_shards_failed(status: u16, cause: &Value) -> ApiError {
    let failed = json!([{"shard": -1, "index": null, "reason": cause}]);
    ApiError::new(status, "search_phase_execution_exception", "all shards failed")
        .with("phase", "query")
        .with("grouped", true)
        .with("failed_shards", failed)
        .with("caused_by", cause.clone())
        .with_root(cause.clone())
}

/// A point in time that is gone is a failed search to Elasticsearch.
pub(super) fn context_error(error: StoreError) -> ApiError {
    match error.kind() {
        ErrorKind::SearchContextMissing => all_shards_failed(404, &error.to_value()),
        _ => error.into(),
    }
}

async fn search(node: Arc<Node>, call: Call) -> Result<Reply> {
    check_companions(&call, "_search")?;
    let mut asked = Asked::parse(call.json()?, &call.body, &call.params)?;
    if asked.request.pit.is_some() {
        if call.maybe_var("index").is_some() {
            return Err(ApiError::validation([
                "[indices] cannot be used with point in time. Do not specify any index with point in time.",
            ]));
        }
        if super::INDICES.iter().any(|name| call.params.has(name)) {
            return Err(ApiError::validation(["[indicesOptions] cannot be used with point in time"]));
        }
    } else {
        asked.request.indices =
            node.resolve_names(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    }
    asked.check_terms(&node)?;
    match asked.scroll_ms {
        Some(keep_alive_ms) => scroll::open(&node, call.identity, asked, keep_alive_ms).await,
        None => {
            let found = node.search_as_caller(asked.request).await?;
            render(&found, &asked.look)
        }
    }
}

async fn count(node: Arc<Node>, call: Call) -> Result<Reply> {
    check_companions(&call, "_count")?;
    let body = object(call.json()?)?;
    if let Some(unknown) = body.keys().find(|key| *key != "query") {
        let (line, col) = position_of(unknown, &call.body);
        return Err(ApiError::new(400, "parsing_exception", format!("request does not support [{unknown}]"))
            .with("line", line)
            .with("col", col));
    }
    let query = match (query_of_params(&call.params)?, body.get("query")) {
        (Some(query), _) => query,
        (None, Some(query)) => Query::parse(query)?,
        (None, None) => Query::match_all(),
    };
    let min_score = call.params.text("min_score").map(|text| {
        text.parse::<f32>().map_err(|_| {
            ApiError::illegal(format!("Failed to parse float parameter [min_score] with value [{text}]"))
        })
    });
    let min_score = min_score.transpose()?.filter(|least| *least >= 0.0);
    let indices = node.resolve_names(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    let count = node.count_as_caller(&indices, query, min_score).await?;
    let shards = indices.len();
    Ok(Reply::ok(json!({
        "count": count,
        "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0},
    })))
}
