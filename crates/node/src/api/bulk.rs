//! `_bulk`: many writes in one request, each with its own answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tributary_store::{Outcome, SourceFilter, StoreError, WriteOp, WriteResult};

use super::Table;
use super::bulk_lines::{Item, Meta, Wanted, parse};
use super::updates::{pipe_upsert, shown};
use super::written::{
    Piped, answer, asked_pipeline, check_waiting, dropped, op, pipe, pipeline_names, status,
};
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result, to_json};
use crate::ingest::Pipelines;
use crate::node::Node;
use crate::security::WriteNeed;
use crate::update::Updated;
use crate::writes::{Refresh, Target};

const BULK: &[&str] = &[
    "refresh",
    "routing",
    "timeout",
    "wait_for_active_shards",
    "pipeline",
    "require_alias",
    "require_data_stream",
    "_source",
    "_source_includes",
    "_source_excludes",
    "list_executed_pipelines",
    "include_source_on_error",
    "type",
];

pub(super) fn routes(table: &mut Table) {
    table.on("POST,PUT", &["/_bulk", "/{index}/_bulk"], BULK, BodyRule::Required, bulk);
}

/// One item on its way.
struct Planned {
    action: &'static str,
    index: String,
    id: Option<String>,
    copies: u64,
    state: State,
}

enum State {
    /// It is to be written; an update shows this much of what it leaves.
    Write(Box<WriteOp>, Option<(Updated, SourceFilter)>),
    /// It is answered already.
    Answered(u16, Map<String, Value>),
}

impl Planned {
    fn refused(action: &'static str, meta: Meta, error: &ApiError) -> Self {
        let (index, id) = (meta.index.unwrap_or_default(), meta.id);
        let state = State::Answered(error.status().as_u16(), failure(&index, id.as_deref(), &error.item()));
        Self { action, index, id, copies: 1, state }
    }
}

/// How a refused item is answered.
fn failure(index: &str, id: Option<&str>, error: &Value) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("_index".into(), index.into());
    body.insert("_id".into(), id.into());
    body.insert("error".into(), error.clone());
    body
}

/// What all items share.
struct Defaults {
    pipeline: Option<String>,
    require_alias: bool,
    source: Option<SourceFilter>,
    params: Params,
}

async fn bulk(node: Arc<Node>, call: Call) -> Result<Reply> {
    let start = Instant::now();
    node.check_anywhere("bulk", "indices:data/write/bulk")?;
    let refresh = Refresh::of(&call)?;
    let items = parse(&call.body, call.maybe_var("index"))?;
    let defaults = Defaults {
        pipeline: asked_pipeline(&call.params)?.map(str::to_owned),
        require_alias: call.params.flag_or("require_alias", false)?,
        source: super::search::source_of_params(&call.params)?,
        params: call.params.clone(),
    };
    let targets = targets(&node, &items, &defaults).await;
    let (planned, ingest_ms) = plan(&node, items, targets, defaults).await?;
    let (answers, errors, written) = perform(&node, planned, refresh).await?;
    node.refresh_after(refresh, &written).await?;
    let mut body = Vec::with_capacity(64 + answers.iter().map(Vec::len).sum::<usize>());
    let took = start.elapsed().as_millis();
    body.extend_from_slice(format!("{{\"errors\":{errors},\"took\":{took},").as_bytes());
    if let Some(ingest_ms) = ingest_ms {
        body.extend_from_slice(format!("\"ingest_took\":{ingest_ms},").as_bytes());
    }
    body.extend_from_slice(b"\"items\":[");
    for (at, answer) in answers.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(answer);
    }
    body.extend_from_slice(b"]}");
    Ok(Reply::raw(200, body))
}

/// Where the writes to a name go, or why they cannot; each name is looked up once.
type Targets = HashMap<(String, bool), Result<Target>>;

async fn targets(node: &Node, items: &[Item], defaults: &Defaults) -> Targets {
    let mut found = Targets::new();
    for item in items {
        let Some(index) = &item.meta.index else { continue };
        let key = (index.clone(), item.meta.require_alias.unwrap_or(defaults.require_alias));
        if found.contains_key(&key) {
            continue;
        }
        let target = match item.wanted {
            // A delete does not make an index.
            Wanted::Delete => match node.read_index(index) {
                Ok(concrete) => node.target(&concrete, false).await,
                Err(error) => Err(error),
            },
            _ => node.target(index, key.1).await,
        };
        // An item that creates the index after a delete of the same name that found none is looked up again.
        if matches!(item.wanted, Wanted::Delete)
            && target.is_err()
            && items.iter().any(|other| makes(other, index))
        {
            let target = node.target(index, key.1).await;
            found.insert(key, target);
        } else {
            found.insert(key, target);
        }
    }
    found
}

fn makes(item: &Item, index: &str) -> bool {
    !matches!(item.wanted, Wanted::Delete) && item.meta.index.as_deref() == Some(index)
}

/// Turns items into writes. Pipelines run where waiting does no harm; how long they took, if there were any.
async fn plan(
    node: &Arc<Node>,
    items: Vec<Item>,
    targets: Targets,
    defaults: Defaults,
) -> Result<(Vec<Planned>, Option<u128>)> {
    let piped = items.iter().any(|item| {
        let key = (
            item.meta.index.clone().unwrap_or_default(),
            item.meta.require_alias.unwrap_or(defaults.require_alias),
        );
        let target = targets.get(&key).and_then(|target| target.as_ref().ok());
        let asked = item.meta.pipeline.as_deref().or(defaults.pipeline.as_deref());
        target.is_some_and(|target| !pipeline_names(asked, target).is_empty())
    });
    let start = Instant::now();
    let all = move |node: &Node| -> Vec<Planned> {
        items.into_iter().map(|item| plan_one(node, item, &targets, &defaults)).collect()
    };
    if !piped {
        return Ok((all(node), None));
    }
    let shared = Arc::clone(node);
    let mut planned = node.blocking(move |_| Ok(all(&shared))).await?;
    redirect(node, &mut planned).await;
    Ok((planned, Some(start.elapsed().as_millis())))
}

/// Looks up the indices that pipelines sent documents to.
async fn redirect(node: &Node, planned: &mut [Planned]) {
    for one in planned {
        let State::Write(op, _) = &mut one.state else { continue };
        if op.index == one.index {
            continue;
        }
        let target = match node.target(&op.index, false).await {
            Ok(target) => {
                node.check_write(&target.index, need(one.action, one.id.is_some())).map(|()| target)
            }
            Err(error) => Err(error),
        };
        match target {
            Ok(target) => op.index = target.index,
            Err(error) => {
                let body = failure(&op.index, one.id.as_deref(), &error.item());
                one.state = State::Answered(error.status().as_u16(), body);
            }
        }
    }
}

fn plan_one(node: &Node, item: Item, targets: &Targets, defaults: &Defaults) -> Planned {
    let Item { action, meta, wanted } = item;
    let key = (meta.index.clone().unwrap_or_default(), meta.require_alias.unwrap_or(defaults.require_alias));
    let target = match targets.get(&key) {
        Some(Ok(target)) => target,
        Some(Err(error)) => return Planned::refused(action, meta, error),
        None => return Planned::refused(action, meta, &ApiError::validation(["index is missing"])),
    };
    match write_of(node, action, &meta, wanted, target, defaults) {
        Ok(state) => {
            Planned { action, index: target.index.clone(), id: meta.id, copies: target.copies, state }
        }
        Err(error) => Planned::refused(action, Meta { index: Some(target.index.clone()), ..meta }, &error),
    }
}

/// What an item needs of its caller.
fn need(action: &str, has_id: bool) -> WriteNeed {
    match action {
        "delete" => WriteNeed::DELETE,
        "update" => WriteNeed::UPDATE,
        "index" if has_id => WriteNeed::INDEX,
        _ => WriteNeed::CREATE,
    }
}

fn write_of(
    node: &Node,
    action: &str,
    meta: &Meta,
    wanted: Wanted,
    target: &Target,
    defaults: &Defaults,
) -> Result<State> {
    let condition = meta.stated().condition();
    check_waiting(&defaults.params, target)?;
    node.check_write(&target.index, need(action, meta.id.is_some()))?;
    let id = meta.id.clone();
    let plain =
        |action| State::Write(Box::new(op(target.index.clone(), meta.id.clone(), action, condition)), None);
    match wanted {
        Wanted::Delete => Ok(plain(tributary_store::Action::Delete)),
        Wanted::Index(source) => {
            put(&node.pipelines, meta, target, defaults, source, condition, tributary_store::Action::Index)
        }
        Wanted::Create(source) => {
            put(&node.pipelines, meta, target, defaults, source, condition, tributary_store::Action::Create)
        }
        Wanted::Update(mut request) => {
            request.check_served()?;
            node.check_update(
                &target.index,
                "Can't execute a bulk item request with update requests embedded if field or document level security is enabled",
            )?;
            let filter = match meta.source.as_ref().or(request.source.as_ref()) {
                Some(value) => Some(SourceFilter::parse(value)?),
                None => defaults.source.clone(),
            };
            // The pipeline that was asked for is for documents, not for changes.
            let asked = meta
                .pipeline
                .as_deref()
                .or(defaults.pipeline.as_deref())
                .filter(|_| request.has_own_upsert());
            pipe_upsert(node, &mut request, target, asked, id.as_deref().unwrap_or_default())?;
            let (action, updated) = request.into_action(id.as_deref().unwrap_or_default(), None);
            let op = op(target.index.clone(), id, action, tributary_store::Condition::default());
            Ok(State::Write(Box::new(op), filter.map(|filter| (updated, filter))))
        }
    }
}

fn put(
    pipelines: &Pipelines,
    meta: &Meta,
    target: &Target,
    defaults: &Defaults,
    source: Bytes,
    condition: tributary_store::Condition,
    action: fn(Bytes) -> tributary_store::Action,
) -> Result<State> {
    let asked = meta.pipeline.as_deref().or(defaults.pipeline.as_deref());
    let names = pipeline_names(asked, target);
    match pipe(pipelines, &names, target.index.clone(), meta.id.clone(), source)? {
        Piped::Write { index, id, source } => {
            Ok(State::Write(Box::new(op(index, id, action(source), condition)), None))
        }
        Piped::Dropped => Ok(State::Answered(200, dropped(&target.index, meta.id.as_deref()))),
    }
}

/// How an item that is to be written is answered once it is.
struct Pending {
    action: &'static str,
    index: String,
    id: Option<String>,
    copies: u64,
    shows: Option<(Updated, SourceFilter)>,
}

/// Does the writes; the answers of all items, whether any failed, and the indices written to.
async fn perform(
    node: &Node,
    planned: Vec<Planned>,
    refresh: Refresh,
) -> Result<(Vec<Vec<u8>>, bool, Vec<String>)> {
    let (mut ops, mut slots) = (Vec::with_capacity(planned.len()), Vec::with_capacity(planned.len()));
    for one in planned {
        match one.state {
            State::Write(op, shows) => {
                ops.push(*op);
                let Planned { action, index, id, copies, .. } =
                    Planned { state: State::Answered(0, Map::new()), ..one };
                slots.push(Ok(Pending { action, index, id, copies, shows }));
            }
            State::Answered(status, body) => slots.push(Err((one.action, status, body))),
        }
    }
    let mut results = if ops.is_empty() { Vec::new() } else { node.store.write(ops).await }.into_iter();
    let (mut answers, mut errors, mut written) = (Vec::with_capacity(slots.len()), false, Vec::new());
    for slot in slots {
        let (action, status, mut body) = match slot {
            Err(answered) => answered,
            Ok(pending) => {
                let result = results.next().unwrap_or_else(|| Err(StoreError::closed()));
                if let Ok(result) = &result
                    && result.result != Outcome::Noop
                    && written.last() != Some(&result.index)
                    && !written.contains(&result.index)
                {
                    written.push(result.index.clone());
                }
                settle(&pending, result, refresh)
            }
        };
        errors |= body.contains_key("error");
        body.insert("status".into(), status.into());
        if let Some(error) = body.remove("error") {
            body.insert("error".into(), error);
        }
        answers.push(to_json(&json!({ action: body }))?);
    }
    Ok((answers, errors, written))
}

fn settle(
    pending: &Pending,
    result: Result<WriteResult, StoreError>,
    refresh: Refresh,
) -> (&'static str, u16, Map<String, Value>) {
    match result {
        Ok(written) => {
            let mut body = answer(&written, pending.copies, refresh, false);
            if let Some((updated, filter)) = &pending.shows
                && let Some(get) = shown(updated, filter, &body)
            {
                body.insert("get".into(), get);
            }
            (pending.action, status(written.result), body)
        }
        Err(error) => {
            let body = failure(&pending.index, pending.id.as_deref(), &error.to_value());
            (pending.action, error.status(), body)
        }
    }
}
