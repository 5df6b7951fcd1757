//! Indices: create, show, delete, mappings, settings, refresh, statistics.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::{CreateIndex, IndexInfo};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, wildcard_matches};
use crate::node::Node;
use crate::templates::flat_settings;
use crate::writes::{copies, resolve_options, shards};

const SHOW: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "local",
    "master_timeout",
    "flat_settings",
    "include_defaults",
    "features",
];
const CHANGE: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "master_timeout",
    "timeout",
    "write_index_only",
    "preserve_existing",
    "reopen",
    "flat_settings",
];
const MAINTAIN: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "force",
    "wait_if_ongoing",
    "max_num_segments",
    "flush",
    "only_expunge_deletes",
    "wait_for_completion",
    "query",
    "fielddata",
    "request",
    "fields",
];
const STATS: &[&str] = &[
    "expand_wildcards",
    "ignore_unavailable",
    "allow_no_indices",
    "level",
    "forbid_closed_indices",
    "fields",
    "groups",
    "completion_fields",
    "fielddata_fields",
    "include_segment_file_sizes",
    "include_unloaded_segments",
];

const DATA_STREAMS: &[&str] = &["expand_wildcards", "include_defaults", "master_timeout", "verbose"];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on(
        "PUT",
        &["/{index}"],
        &["timeout", "master_timeout", "wait_for_active_shards"],
        BodyRule::Optional,
        create,
    );
    table.on("GET,HEAD", &["/{index}"], SHOW, none, show);
    table.on("DELETE", &["/{index}"], CHANGE, none, delete);
    table.on("GET", &["/_mapping", "/{index}/_mapping"], SHOW, none, get_mapping);
    table.on("PUT,POST", &["/{index}/_mapping"], CHANGE, BodyRule::Required, put_mapping);
    table.on(
        "GET",
        &["/_settings", "/{index}/_settings", "/_settings/{name}", "/{index}/_settings/{name}"],
        SHOW,
        none,
        get_settings,
    );
    table.on("PUT", &["/_settings", "/{index}/_settings"], CHANGE, BodyRule::Required, put_settings);
    let refresh = &["/_refresh", "/{index}/_refresh"];
    table.on("POST,GET", refresh, MAINTAIN, none, refresh_indices);
    // Writes are durable when acknowledged and merges run by themselves: there is nothing to do but to check the names.
    let upkeep = &[
        "/_flush",
        "/{index}/_flush",
        "/_forcemerge",
        "/{index}/_forcemerge",
        "/_cache/clear",
        "/{index}/_cache/clear",
    ];
    table.on("POST,GET", upkeep, MAINTAIN, none, nothing_to_do);
    table.on(
        "GET",
        &["/_stats", "/{index}/_stats", "/_stats/{metric}", "/{index}/_stats/{metric}"],
        STATS,
        none,
        stats,
    );
    table.on("GET", &["/_resolve/index/{name}"], &super::INDICES, none, resolve_index);
    table.on("GET", &["/_data_stream", "/_data_stream/{name}"], DATA_STREAMS, none, data_streams);
}

fn member(body: &mut Map<String, Value>, name: &str) -> Result<Value> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(value @ Value::Object(_)) => Ok(value),
        Some(other) => {
            let token = crate::http::token_name(&other);
            Err(ApiError::parse(format!("key [{name}] must be an object, not {token}")))
        }
    }
}

/// Alias filters restrict what a search through the alias may see, so ignoring one would show too much.
pub(super) fn check_alias(properties: &Value) -> Result<()> {
    match properties.get("filter") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ApiError::not_served("an alias with a filter ([filter])")),
    }
}

async fn create(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut body = call.object()?;
    let settings = member(&mut body, "settings")?;
    let mappings = member(&mut body, "mappings")?;
    let aliases = match member(&mut body, "aliases")? {
        Value::Object(aliases) => aliases,
        _ => Map::new(),
    };
    if let Some(key) = body.keys().next() {
        return Err(ApiError::parse(format!("unknown key [{key}] for create index")));
    }
    aliases.values().try_for_each(check_alias)?;
    aliases.keys().try_for_each(|alias| node.check_name(alias))?;
    let name = call.var("index").to_owned();
    node.create_index(&name, CreateIndex { settings, mappings, aliases }).await?;
    Ok(Reply::ok(json!({"acknowledged": true, "shards_acknowledged": true, "index": name})))
}

/// The settings of an index as asked for: nested or flat.
fn shown_settings(info: &IndexInfo, call: &Call) -> Result<Value> {
    if !call.params.flag_or("flat_settings", false)? {
        return Ok(json!({"index": info.settings}));
    }
    let flat =
        flat_settings(&info.settings).into_iter().map(|(name, value)| (format!("index.{name}"), value));
    Ok(Value::Object(flat.collect()))
}

async fn show(node: Arc<Node>, call: Call) -> Result<Reply> {
    let features = call.params.list("features");
    let wants = |feature: &str| features.as_ref().is_none_or(|list| list.iter().any(|name| name == feature));
    let mut body = Map::new();
    for info in node.resolve(call.var("index"), resolve_options(&call)?)? {
        let settings = if wants("settings") { shown_settings(&info, &call)? } else { json!({}) };
        let entry = json!({
            "aliases": if wants("aliases") { Value::Object(info.aliases) } else { json!({}) },
            "mappings": if wants("mappings") { info.mappings } else { json!({}) },
            "settings": settings,
        });
        body.insert(info.name, entry);
    }
    Ok(Reply::ok(Value::Object(body)))
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let expression = call.var("index");
    if expression.contains('*') || expression == "_all" {
        return Err(ApiError::illegal("Wildcard expressions or all indices are not allowed"));
    }
    let found = node.resolve_names(expression, resolve_options(&call)?)?;
    let given: Vec<&str> = expression.split(',').collect();
    let by_alias = given.iter().find(|name| !found.iter().any(|index| index == *name));
    if let Some(alias) = by_alias.filter(|name| node.store.write_index(name).is_some()) {
        return Err(ApiError::illegal(format!(
            "The provided expression [{alias}] matches an alias, specify the corresponding concrete indices instead."
        )));
    }
    node.blocking(move |store| {
        for name in &found {
            store.delete_index(name)?;
        }
        Ok(())
    })
    .await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

async fn get_mapping(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut body = Map::new();
    for info in node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)? {
        body.insert(info.name, json!({"mappings": info.mappings}));
    }
    Ok(Reply::ok(Value::Object(body)))
}

async fn put_mapping(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mappings = Value::Object(call.object()?);
    let names = node.resolve_names(call.var("index"), resolve_options(&call)?)?;
    node.blocking(move |store| {
        for name in &names {
            store.put_mapping(name, &mappings)?;
        }
        Ok(())
    })
    .await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

async fn get_settings(node: Arc<Node>, call: Call) -> Result<Reply> {
    let wanted = call.maybe_var("name").map(str::to_owned);
    let flat = call.params.flag_or("flat_settings", false)?;
    let mut body = Map::new();
    for info in node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)? {
        let settings = match &wanted {
            None => shown_settings(&info, &call)?,
            Some(patterns) => chosen_settings(&info, patterns, flat),
        };
        body.insert(info.name, json!({"settings": settings}));
    }
    Ok(Reply::ok(Value::Object(body)))
}

fn chosen_settings(info: &IndexInfo, patterns: &str, flat: bool) -> Value {
    let wanted =
        |name: &str| patterns.split(',').any(|pattern| pattern == "_all" || wildcard_matches(pattern, name));
    let chosen: Map<String, Value> = flat_settings(&info.settings)
        .into_iter()
        .map(|(name, value)| (format!("index.{name}"), value))
        .filter(|(name, _)| wanted(name))
        .collect();
    if flat { Value::Object(chosen) } else { crate::templates::shown_settings(&Value::Object(chosen)) }
}

async fn put_settings(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut body = call.object()?;
    let mut settings = match body.remove("settings") {
        Some(settings @ Value::Object(_)) if body.is_empty() => settings,
        Some(other) => {
            body.insert("settings".into(), other);
            Value::Object(body)
        }
        None => Value::Object(body),
    };
    if settings.as_object().is_some_and(Map::is_empty) {
        return Err(ApiError::validation(["no settings to update"]));
    }
    let names = node.resolve_names(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    let keep = call.params.flag_or("preserve_existing", false)?;
    node.blocking(move |store| {
        for name in &names {
            if keep && let Some(info) = store.index(name) {
                let present = flat_settings(&info.settings);
                let new =
                    flat_settings(&settings).into_iter().filter(|(name, _)| !present.contains_key(name));
                settings = Value::Object(new.collect());
            }
            store.put_settings(name, &settings)?;
        }
        Ok(())
    })
    .await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

async fn touched(node: &Node, call: &Call) -> Result<(Vec<String>, Value)> {
    let found = node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(call)?)?;
    let total = found.iter().map(copies).sum();
    let successful = found.len() as u64;
    Ok((found.into_iter().map(|info| info.name).collect(), shards(total, successful)))
}

async fn refresh_indices(node: Arc<Node>, call: Call) -> Result<Reply> {
    let (names, shards) = touched(&node, &call).await?;
    node.store.refresh(&names).await?;
    Ok(Reply::ok(json!({"_shards": shards})))
}

async fn nothing_to_do(node: Arc<Node>, call: Call) -> Result<Reply> {
    let (_, shards) = touched(&node, &call).await?;
    Ok(Reply::ok(json!({"_shards": shards})))
}

fn numbers(docs: u64, deleted: u64, bytes: u64) -> Value {
    json!({
        "docs": {"count": docs, "deleted": deleted, "total_size_in_bytes": bytes},
        "shard_stats": {"total_count": 1},
        "store": {"size_in_bytes": bytes, "total_data_set_size_in_bytes": bytes, "reserved_in_bytes": 0},
    })
}

async fn stats(node: Arc<Node>, call: Call) -> Result<Reply> {
    let found = node.resolve(call.maybe_var("index").unwrap_or("_all"), resolve_options(&call)?)?;
    let (mut docs, mut deleted, mut bytes) = (0, 0, 0);
    let mut indices = Map::new();
    for info in &found {
        docs += info.doc_count;
        deleted += info.deleted;
        let stored = node.store.stored_bytes(&info.name);
        bytes += stored;
        let own = numbers(info.doc_count, info.deleted, stored);
        let entry = json!({
            "uuid": info.uuid, "health": super::cluster::colour(info), "status": "open", "primaries": own, "total": own,
        });
        indices.insert(info.name.clone(), entry);
    }
    let all = numbers(docs, deleted, bytes);
    let total: u64 = found.iter().map(copies).sum();
    Ok(Reply::ok(json!({
        "_shards": shards(total, found.len() as u64),
        "_all": {"primaries": all, "total": all},
        "indices": indices,
    })))
}

/// There are no data streams. Official clients ask whether an index that they copy into is one.
async fn data_streams(_: Arc<Node>, call: Call) -> Result<Reply> {
    let named = |name: &&str| !name.contains('*') && *name != "_all";
    match call.maybe_var("name").and_then(|names| names.split(',').find(named)) {
        Some(name) => Err(tributary_store::StoreError::no_such_index(name).into()),
        None => Ok(Reply::ok(json!({"data_streams": []}))),
    }
}

async fn resolve_index(node: Arc<Node>, call: Call) -> Result<Reply> {
    let found = node.resolve(call.var("name"), resolve_options(&call)?)?;
    let mut aliases: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    let indices: Vec<Value> = found
        .iter()
        .map(|info| {
            let names: Vec<&String> = info.aliases.keys().collect();
            for alias in &names {
                let meant = call.var("name").split(',').any(|pattern| wildcard_matches(pattern, alias));
                if meant && node.check_name(alias).is_ok() {
                    aliases.entry((*alias).clone()).or_default().push(info.name.clone());
                }
            }
            let mut attributes = vec!["open"];
            if info.hidden {
                attributes.push("hidden");
            }
            let mut entry = json!({"name": info.name});
            if !names.is_empty() {
                entry["aliases"] = json!(names);
            }
            entry["attributes"] = json!(attributes);
            entry["mode"] = json!("standard");
            entry
        })
        .collect();
    let aliases: Vec<Value> =
        aliases.into_iter().map(|(name, indices)| json!({"name": name, "indices": indices})).collect();
    Ok(Reply::ok(json!({"indices": indices, "aliases": aliases, "data_streams": []})))
}
