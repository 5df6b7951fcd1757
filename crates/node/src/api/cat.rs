//! `_cat`: what there is, for people, as tables.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tributary_store::{IndexInfo, Query, ResolveOptions};

use super::Table;
use super::cat_table::{Cell, Column, Grid};
use super::cluster::{NODE_ID, colour, unassigned};
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;
use crate::writes::{copies, resolve_options};

const PARAMS: &[&str] = &[
    "v",
    "h",
    "s",
    "help",
    "bytes",
    "time",
    "ts",
    "local",
    "master_timeout",
    "health",
    "pri",
    "expand_wildcards",
    "include_unloaded_segments",
    "full_id",
    "include_hidden",
    "allow_no_indices",
    "ignore_unavailable",
];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on("GET", &["/_cat"], &[], none, list);
    table.on("GET", &["/_cat/indices", "/_cat/indices/{index}"], PARAMS, none, indices);
    table.on("GET", &["/_cat/health"], PARAMS, none, health);
    table.on("GET", &["/_cat/count", "/_cat/count/{index}"], PARAMS, none, count);
    table.on("GET", &["/_cat/aliases", "/_cat/aliases/{name}"], PARAMS, none, aliases);
    table.on("GET", &["/_cat/nodes"], PARAMS, none, nodes);
}

async fn list(_node: Arc<Node>, _call: Call) -> Result<Reply> {
    let paths = [
        "=^.^=",
        "/_cat/nodes",
        "/_cat/indices",
        "/_cat/indices/{index}",
        "/_cat/count",
        "/_cat/count/{index}",
        "/_cat/health",
        "/_cat/aliases",
        "/_cat/aliases/{alias}",
    ];
    Ok(Reply::text(paths.join("\n") + "\n"))
}

const INDICES: &[Column] = &[
    Column::new("health", &["h"], "current health status"),
    Column::new("status", &["s"], "open/close status"),
    Column::new("index", &["i", "idx"], "index name"),
    Column::new("uuid", &["id", "uuid"], "index uuid"),
    Column::right("pri", &["p", "shards.primary", "shardsPrimary"], "number of primary shards"),
    Column::right("rep", &["r", "shards.replica", "shardsReplica"], "number of replica shards"),
    Column::right("docs.count", &["dc", "docsCount"], "available docs"),
    Column::right("docs.deleted", &["dd", "docsDeleted"], "deleted docs"),
    Column::new("creation.date", &["cd"], "index creation date (millisecond value)").hidden(),
    Column::new("creation.date.string", &["cds"], "index creation date (as string)").hidden(),
    Column::right("store.size", &["ss", "storeSize"], "store size of primaries & replicas"),
    Column::right("pri.store.size", &[], "store size of primaries"),
    Column::right("dataset.size", &[], "total size of dataset"),
];

async fn indices(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut grid = Grid::new(INDICES, &call)?;
    let health = call.params.text("health");
    if let Some(wanted) = health.filter(|wanted| !["green", "yellow", "red"].contains(wanted)) {
        return Err(ApiError::illegal(format!("unknown cluster health status [{wanted}]")));
    }
    let found = node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    for info in found.iter().filter(|info| health.is_none_or(|wanted| wanted == colour(info))) {
        grid.push(index_row(info, node.store.stored_bytes(&info.name)));
    }
    grid.reply()
}

fn index_row(info: &IndexInfo, stored: u64) -> Vec<Cell> {
    let created = DateTime::<Utc>::from_timestamp_millis(info.created_at).unwrap_or_default();
    vec![
        Cell::text(colour(info)),
        Cell::text("open"),
        Cell::text(&info.name),
        Cell::text(&info.uuid),
        Cell::number(1),
        Cell::number(copies(info) - 1),
        Cell::number(info.doc_count),
        Cell::number(info.deleted),
        Cell::number(info.created_at.unsigned_abs()),
        Cell::text(created.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        Cell::bytes(stored),
        Cell::bytes(stored),
        Cell::bytes(stored),
    ]
}

const HEALTH: &[Column] = &[
    Column::new("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    Column::new("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    Column::new("cluster", &["cl"], "cluster name"),
    Column::new("status", &["st"], "health status"),
    Column::right("node.total", &["nt", "nodeTotal"], "total number of nodes"),
    Column::right("node.data", &["nd", "nodeData"], "number of nodes that can store data"),
    Column::right("shards", &["sh", "shards.total", "shardsTotal"], "total number of shards"),
    Column::right("pri", &["p", "shards.primary", "shardsPrimary"], "number of primary shards"),
    Column::right("relo", &["r", "shards.relocating", "shardsRelocating"], "number of relocating nodes"),
    Column::right(
        "init",
        &["i", "shards.initializing", "shardsInitializing"],
        "number of initializing nodes",
    ),
    Column::right("unassign", &["u", "shards.unassigned", "shardsUnassigned"], "number of unassigned shards"),
    Column::right(
        "unassign.pri",
        &["up", "shards.unassigned.primary", "shardsUnassignedPrimary"],
        "number of unassigned primary shards",
    ),
    Column::right("pending_tasks", &["pt", "pendingTasks"], "number of pending tasks"),
    Column::right("max_task_wait_time", &["mtwt", "maxTaskWaitTime"], "wait time of longest task pending"),
    Column::right(
        "active_shards_percent",
        &["asp", "activeShardsPercent"],
        "active number of shards in percent",
    ),
];

async fn health(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut grid = Grid::new(HEALTH, &call)?;
    if !call.params.flag_or("ts", true)? {
        grid.leave_out(&["epoch", "timestamp"]);
    }
    let all = node.store.indices();
    let (active, waiting) = (all.len() as u64, all.iter().map(unassigned).sum::<u64>());
    let percent =
        if active + waiting == 0 { 100.0 } else { active as f64 * 100.0 / (active + waiting) as f64 };
    let now = node.now();
    grid.push(vec![
        Cell::number(now.timestamp().unsigned_abs()),
        Cell::text(now.format("%H:%M:%S").to_string()),
        Cell::text(&node.cluster_name),
        Cell::text(if waiting == 0 { "green" } else { "yellow" }),
        Cell::number(1),
        Cell::number(1),
        Cell::number(active),
        Cell::number(active),
        Cell::number(0),
        Cell::number(0),
        Cell::number(waiting),
        Cell::number(0),
        Cell::number(0),
        Cell::text("-"),
        Cell::text(format!("{percent:.1}%")),
    ]);
    grid.reply()
}

const COUNT: &[Column] = &[
    Column::new("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    Column::new("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    Column::new("count", &["dc", "docs.count", "docsCount"], "the document count"),
];

async fn count(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut grid = Grid::new(COUNT, &call)?;
    let indices = node.resolve_names(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    let count = node.count_as_caller(&indices, Query::match_all(), None).await?;
    let now = node.now();
    grid.push(vec![
        Cell::number(now.timestamp().unsigned_abs()),
        Cell::text(now.format("%H:%M:%S").to_string()),
        Cell::number(count),
    ]);
    grid.reply()
}

const ALIASES: &[Column] = &[
    Column::new("alias", &["a"], "alias name"),
    Column::new("index", &["i", "idx"], "index alias points to"),
    Column::new("filter", &["f", "fi"], "filter"),
    Column::new("routing.index", &["ri", "routingIndex"], "index routing"),
    Column::new("routing.search", &["rs", "routingSearch"], "search routing"),
    Column::new("is_write_index", &["w", "isWriteIndex"], "write index"),
];

async fn aliases(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut grid = Grid::new(ALIASES, &call)?;
    let wanted = call.maybe_var("name");
    let takes = |alias: &str| {
        wanted.is_none_or(|names| {
            names.split(',').any(|name| name == "_all" || crate::http::wildcard_matches(name, alias))
        })
    };
    let options = ResolveOptions { expand_hidden: true, ..resolve_options(&call)? };
    for info in node.resolve("_all", options)? {
        for (alias, properties) in info.aliases.iter().filter(|(alias, _)| takes(alias)) {
            let text = |name: &str| match properties.get(name) {
                None | Some(Value::Null) => Cell::text("-"),
                Some(Value::String(text)) => Cell::text(text),
                Some(Value::Object(_)) => Cell::text("*"),
                Some(other) => Cell::text(other.to_string()),
            };
            grid.push(vec![
                Cell::text(alias),
                Cell::text(&info.name),
                text("filter"),
                text("index_routing"),
                text("search_routing"),
                text("is_write_index"),
            ]);
        }
    }
    grid.reply()
}

const NODES: &[Column] = &[
    Column::new("id", &["id", "nodeId"], "unique node id").hidden(),
    Column::new("ip", &["i"], "ip address"),
    Column::new("version", &["v"], "es version").hidden(),
    Column::new("node.role", &["r", "role", "nodeRole"], "d: data, s: content, i: ingest, m: master"),
    Column::new("master", &["m"], "*: the current master"),
    Column::new("name", &["n"], "node name"),
    Column::right("disk.used", &["du", "diskUsed"], "bytes of all indices").hidden(),
];

async fn nodes(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut grid = Grid::new(NODES, &call)?;
    let id = if call.params.flag_or("full_id", false)? { NODE_ID } else { &NODE_ID[..4] };
    let used = node.store.indices().iter().map(|info| node.store.stored_bytes(&info.name)).sum();
    grid.push(vec![
        Cell::text(id),
        Cell::text("127.0.0.1"),
        Cell::text(&node.version),
        Cell::text("dims"),
        Cell::text("*"),
        Cell::text("tributary"),
        Cell::bytes(used),
    ]);
    grid.reply()
}
