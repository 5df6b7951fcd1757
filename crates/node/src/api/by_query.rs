//! Deleting and rewriting what a query finds.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tributary_store::{Action, Condition, ErrorKind, Hit, Outcome, Query, SearchRequest, SortKey, WriteOp};

use super::Table;
use super::written::{Piped, pipe, pipeline_names};
use crate::http::{ApiError, BodyRule, Call, Reply, Result, token_name};
use crate::node::Node;
use crate::security::WriteNeed;
use crate::writes::{Refresh, Target, resolve_options};

const PARAMS: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "conflicts",
    "refresh",
    "max_docs",
    "scroll_size",
    "slices",
    "wait_for_completion",
    "requests_per_second",
    "timeout",
    "wait_for_active_shards",
    "routing",
    "pipeline",
    "scroll",
    "search_timeout",
    "search_type",
    "request_cache",
    "preference",
    "terminate_after",
    "stats",
    "version",
    "q",
    "df",
    "analyzer",
    "analyze_wildcard",
    "default_operator",
    "lenient",
    "from",
    "sort",
];
/// Documents found and written in one go.
const BATCH: usize = 1000;

pub(super) fn routes(table: &mut Table) {
    table.on("POST", &["/{index}/_delete_by_query"], PARAMS, BodyRule::Optional, |node, call| {
        run(node, call, Work::Delete)
    });
    table.on("POST", &["/{index}/_update_by_query"], PARAMS, BodyRule::Optional, |node, call| {
        let pipeline = call.params.get("pipeline").map(str::to_owned);
        run(node, call, Work::Update { pipeline })
    });
}

/// What is done with what is found.
enum Work {
    Delete,
    Update { pipeline: Option<String> },
}

/// What was done.
#[derive(Default)]
struct Done {
    total: u64,
    batches: u64,
    deleted: u64,
    updated: u64,
    noops: u64,
    conflicts: u64,
    failures: Vec<Value>,
    /// The highest of all failures.
    status: u16,
}

impl Done {
    fn fail(&mut self, index: &str, id: &str, cause: &Value, status: u16) {
        self.status = self.status.max(status);
        self.failures.push(json!({"index": index, "id": id, "cause": cause, "status": status}));
    }
}

struct Asked {
    query: Query,
    max_docs: Option<u64>,
    proceed: bool,
}

impl Asked {
    fn read(call: &Call, work: &Work) -> Result<Self> {
        let mut body = call.object()?;
        if body.contains_key("script") {
            return Err(ApiError::not_served("updating with a script ([script])"));
        }
        let query = match (body.remove("query"), super::search::query_of_params(&call.params)?) {
            (_, Some(query)) => query,
            (Some(query), None) => Query::parse(&query)?,
            (None, None) if matches!(work, Work::Delete) => {
                return Err(ApiError::validation(["query is missing"]));
            }
            (None, None) => Query::parse(&json!({"match_all": {}}))?,
        };
        let conflicts = body.remove("conflicts").and_then(|value| value.as_str().map(str::to_owned));
        let conflicts = call.params.text("conflicts").map(str::to_owned).or(conflicts);
        let proceed = match conflicts.as_deref() {
            None | Some("abort") => false,
            Some("proceed") => true,
            Some(other) => {
                return Err(ApiError::illegal(format!(
                    "conflicts may only be \"proceed\" or \"abort\" but was [{other}]"
                )));
            }
        };
        let of_body = body.remove("max_docs").and_then(|value| value.as_i64());
        // -1 is no limit.
        let max_docs = match call.params.long("max_docs")?.or(of_body).filter(|number| *number != -1) {
            None => None,
            Some(0) => return Err(ApiError::illegal("[max_docs] should be >= [slices]")),
            Some(number) => Some(u64::try_from(number).map_err(|_| {
                ApiError::illegal(format!("[max_docs] parameter cannot be negative, found [{number}]"))
            })?),
        };
        if !call.params.flag_or("wait_for_completion", true)? {
            return Err(ApiError::not_served("working in the background ([wait_for_completion=false])"));
        }
        body.remove("slice");
        if let Some((key, value)) = body.iter().next() {
            let reason = format!("Unknown key for a {} in [{key}].", token_name(value));
            return Err(ApiError::new(400, "parsing_exception", reason));
        }
        Ok(Self { query, max_docs, proceed })
    }
}

async fn run(node: Arc<Node>, call: Call, work: Work) -> Result<Reply> {
    let start = Instant::now();
    let asked = Asked::read(&call, &work)?;
    let refresh = Refresh::flag(&call)?;
    let indices = node.resolve_names(call.var("index"), resolve_options(&call)?)?;
    if refresh != Refresh::Later {
        // Elasticsearch notices it once the work is done.
        indices.iter().try_for_each(|index| node.check_write(index, WriteNeed::REFRESH))?;
    }
    let mut done = Done::default();
    if !indices.is_empty() {
        let filter = node.visible_to_caller(&indices)?;
        let pit = node.store.open_pit(&indices, 300_000).await?;
        let ended = walk(&node, &pit, &asked, filter, &work, &mut done).await;
        node.store.close_pit(&pit);
        ended?;
        node.refresh_after(refresh, &indices).await?;
    }
    Ok(Reply::status(done.status.max(200), body(&done, &work, start).into()))
}

async fn walk(
    node: &Arc<Node>,
    pit: &str,
    asked: &Asked,
    filter: Option<Query>,
    work: &Work,
    done: &mut Done,
) -> Result<()> {
    let mut after = None;
    loop {
        let left = asked.max_docs.map_or(BATCH as u64, |max| max.saturating_sub(done.total));
        let size = BATCH.min(usize::try_from(left).unwrap_or(BATCH));
        if size == 0 {
            return Ok(());
        }
        let mut request = SearchRequest::new(Vec::new());
        request.pit = Some(pit.to_owned());
        request.query = asked.query.clone();
        request.filter = filter.clone();
        request.sort = vec![SortKey::new("_shard_doc")];
        request.search_after = after.take();
        request.size = size;
        request.seq_no_primary_term = true;
        request.source.enabled = matches!(work, Work::Update { .. });
        request.now_ms = Some(node.now_ms());
        let found = node.store.search(request).await?;
        let Some(last) = found.hits.last() else { return Ok(()) };
        after = last.sort.clone();
        done.batches += 1;
        done.total += found.hits.len() as u64;
        write(node, &found.hits, work, asked.proceed, done).await?;
        if !done.failures.is_empty() {
            return Ok(());
        }
    }
}

async fn write(node: &Arc<Node>, hits: &[Hit], work: &Work, proceed: bool, done: &mut Done) -> Result<()> {
    if let Work::Update { pipeline: Some(name) } = work
        && name.is_empty()
    {
        return Err(ApiError::validation(hits.iter().map(|_| "pipeline cannot be an empty string")));
    }
    let mut ops = Vec::with_capacity(hits.len());
    let mut target: Option<Target> = None;
    for hit in hits {
        let action = match work {
            Work::Delete => Action::Delete,
            Work::Update { pipeline } => {
                let source = hit.source.clone().unwrap_or_default();
                let here = match target.take() {
                    Some(target) if target.index == hit.index => target,
                    _ => node.target(&hit.index, false).await?,
                };
                let names = pipeline_names(pipeline.as_deref(), &here);
                let piped = pipe(&node.pipelines, &names, hit.index.clone(), Some(hit.id.clone()), source);
                target = Some(here);
                match piped {
                    Ok(Piped::Write { source, .. }) => Action::Index(source),
                    // The others of the batch are written all the same.
                    Err(error) => {
                        done.fail(&hit.index, &hit.id, &error.item(), error.status().as_u16());
                        continue;
                    }
                    Ok(Piped::Dropped) => {
                        done.noops += 1;
                        continue;
                    }
                }
            }
        };
        let condition = Condition { if_seq_no: hit.seq_no, if_primary_term: hit.primary_term, version: None };
        ops.push(WriteOp { index: hit.index.clone(), id: Some(hit.id.clone()), action, condition });
    }
    let named: Vec<(String, String)> =
        ops.iter().map(|op| (op.index.clone(), op.id.clone().unwrap_or_default())).collect();
    for (result, (index, id)) in node.store.write(ops).await.into_iter().zip(named) {
        match result {
            Ok(written) => match written.result {
                Outcome::Deleted => done.deleted += 1,
                Outcome::NotFound | Outcome::Noop => done.noops += 1,
                Outcome::Created | Outcome::Updated => done.updated += 1,
            },
            Err(error) => {
                let is_conflict = error.kind() == ErrorKind::VersionConflict;
                done.conflicts += u64::from(is_conflict);
                if !(is_conflict && proceed) {
                    done.fail(&index, &id, &error.to_value(), error.status());
                }
            }
        }
    }
    Ok(())
}

fn body(done: &Done, work: &Work, start: Instant) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("took".into(), u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).into());
    body.insert("timed_out".into(), false.into());
    body.insert("total".into(), done.total.into());
    if matches!(work, Work::Update { .. }) {
        body.insert("updated".into(), done.updated.into());
    }
    body.insert("deleted".into(), done.deleted.into());
    body.insert("batches".into(), done.batches.into());
    body.insert("version_conflicts".into(), done.conflicts.into());
    body.insert("noops".into(), done.noops.into());
    body.insert("retries".into(), json!({"bulk": 0, "search": 0}));
    body.insert("throttled_millis".into(), 0.into());
    body.insert("requests_per_second".into(), json!(-1.0));
    body.insert("throttled_until_millis".into(), 0.into());
    body.insert("failures".into(), Value::Array(done.failures.clone()));
    body
}
