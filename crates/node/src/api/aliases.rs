//! Aliases.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tributary_store::{IndexInfo, ResolveOptions, Store, StoreError};

use super::Table;
use super::indices::check_alias;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, token_name, wildcard_matches};
use crate::node::Node;
use crate::writes::resolve_options;

const SHOW: &[&str] =
    &["expand_wildcards", "ignore_unavailable", "allow_no_indices", "local", "master_timeout"];
const CHANGE: &[&str] = &["master_timeout", "timeout"];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on("POST", &["/_aliases"], CHANGE, BodyRule::Required, change);
    let show_paths = &["/_alias", "/_alias/{name}", "/{index}/_alias", "/{index}/_alias/{name}"];
    table.on("GET", show_paths, SHOW, none, show);
    table.on("HEAD", &["/_alias/{name}", "/{index}/_alias", "/{index}/_alias/{name}"], SHOW, none, show);
    let one = &["/{index}/_alias/{name}", "/{index}/_aliases/{name}"];
    table.on("PUT,POST", one, CHANGE, BodyRule::Optional, put);
    table.on("DELETE", one, CHANGE, none, delete);
}

fn done() -> Reply {
    Reply::ok(json!({"acknowledged": true, "errors": false}))
}

async fn show(node: Arc<Node>, call: Call) -> Result<Reply> {
    let wanted: Option<Vec<&str>> = call.maybe_var("name").map(|names| names.split(',').collect());
    let takes = |alias: &str| {
        wanted
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| *name == "_all" || wildcard_matches(name, alias)))
    };
    let index = call.maybe_var("index");
    // Asked for by alias, hidden indices count as well: the name was given.
    let options = ResolveOptions { expand_hidden: index.is_none(), ..resolve_options(&call)? };
    let found = node.resolve(index.unwrap_or("_all"), options)?;
    let (mut body, mut seen) = (Map::new(), Vec::new());
    for info in &found {
        let chosen: Map<String, Value> = info
            .aliases
            .iter()
            .filter(|(alias, _)| takes(alias))
            .map(|(a, p)| (a.clone(), p.clone()))
            .collect();
        seen.extend(chosen.keys().cloned());
        if !chosen.is_empty() || wanted.is_none() {
            body.insert(info.name.clone(), json!({"aliases": chosen}));
        }
    }
    let missing: Vec<&str> = wanted
        .unwrap_or_default()
        .into_iter()
        .filter(|name| !name.contains('*') && *name != "_all" && !seen.iter().any(|alias| alias == name))
        .collect();
    if missing.is_empty() {
        return Ok(Reply::ok(Value::Object(body)));
    }
    let plural = if missing.len() > 1 { "aliases" } else { "alias" };
    let mut answer = json!({"error": format!("{plural} [{}] missing", missing.join(",")), "status": 404});
    if let Some(object) = answer.as_object_mut() {
        object.extend(body);
    }
    Ok(Reply::status(404, answer))
}

async fn put(node: Arc<Node>, call: Call) -> Result<Reply> {
    let properties = Value::Object(call.object()?);
    check_alias(&properties)?;
    let names = node.resolve_names(call.var("index"), ResolveOptions::default())?;
    let alias = call.var("name").to_owned();
    node.check_name(&alias)?;
    node.blocking(move |store| {
        names.iter().try_for_each(|name| Ok(store.put_alias(name, &alias, properties.clone())?))
    })
    .await?;
    Ok(done())
}

fn missing(names: &str) -> ApiError {
    ApiError::new(404, "aliases_not_found_exception", format!("aliases [{names}] missing"))
        .with("resource.type", "aliases")
        .with("resource.id", names)
}

/// The aliases of these indices that match; an error when there is none.
fn matching(found: &[IndexInfo], names: &str) -> Result<Vec<(String, String)>> {
    let takes = |alias: &str| names.split(',').any(|name| name == "_all" || wildcard_matches(name, alias));
    let pairs: Vec<(String, String)> = found
        .iter()
        .flat_map(|info| info.aliases.keys().map(move |alias| (info.name.clone(), alias.clone())))
        .filter(|(_, alias)| takes(alias))
        .collect();
    if pairs.is_empty() { Err(missing(names)) } else { Ok(pairs) }
}

async fn delete(node: Arc<Node>, call: Call) -> Result<Reply> {
    let found =
        node.resolve(call.var("index"), ResolveOptions { expand_hidden: true, ..ResolveOptions::default() })?;
    let pairs = matching(&found, call.var("name"))?;
    node.blocking(move |store| {
        pairs.iter().try_for_each(|(index, alias)| Ok(store.delete_alias(index, alias)?))
    })
    .await?;
    Ok(done())
}

/// One step of `_aliases`, checked.
enum Step {
    Put { index: String, alias: String, properties: Value },
    Remove { index: String, alias: String },
    RemoveIndex(String),
}

impl Step {
    fn run(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Self::Put { index, alias, properties } => store.put_alias(index, alias, properties.clone()),
            Self::Remove { index, alias } => store.delete_alias(index, alias),
            Self::RemoveIndex(index) => store.delete_index(index),
        }
    }
}

/// A name or a list of names, under the singular or the plural key.
fn names(action: &mut Map<String, Value>, one: &str, many: &str) -> Result<Vec<String>> {
    let bad = |key: &str, value: &Value| {
        let token = token_name(value);
        ApiError::new(
            400,
            "x_content_parse_exception",
            format!("[alias_action] {key} doesn't support values of type: {token}"),
        )
    };
    let mut list = Vec::new();
    for key in [one, many] {
        match action.remove(key) {
            None => {}
            Some(Value::String(name)) => list.push(name),
            Some(Value::Array(given)) => {
                for name in given {
                    list.push(name.as_str().map(str::to_owned).ok_or_else(|| bad(key, &name))?);
                }
            }
            Some(other) => return Err(bad(key, &other)),
        }
    }
    Ok(list)
}

fn steps(node: &Node, action: Value) -> Result<Vec<Step>> {
    let Value::Object(action) = action else {
        return Err(ApiError::new(400, "x_content_parse_exception", "[alias_action] Expected START_OBJECT"));
    };
    let Some((kind, Value::Object(mut action))) = action.into_iter().next() else {
        return Err(ApiError::illegal("[alias_action] needs one of [add], [remove], [remove_index]"));
    };
    if !matches!(kind.as_str(), "add" | "remove" | "remove_index") {
        let cause = format!("[alias_action] unknown field [{kind}]");
        return Err(ApiError::new(
            400,
            "x_content_parse_exception",
            "[aliases] failed to parse field [actions]",
        )
        .because("x_content_parse_exception", cause));
    }
    let indices = names(&mut action, "index", "indices")?;
    let aliases = names(&mut action, "alias", "aliases")?;
    let in_actions = |error: ApiError| {
        let reason = "[aliases] failed to parse field [actions]";
        ApiError::new(400, "x_content_parse_exception", reason).because(&error.es_type(), error.reason())
    };
    if indices.is_empty() {
        return Err(in_actions(ApiError::illegal("One of [index] or [indices] is required")));
    }
    if aliases.is_empty() && kind != "remove_index" {
        return Err(in_actions(ApiError::illegal("One of [alias] or [aliases] is required")));
    }
    check_options(&kind, &action)?;
    let must_exist = action.remove("must_exist");
    let found = node
        .resolve(&indices.join(","), ResolveOptions { expand_hidden: true, ..ResolveOptions::default() })?;
    match kind.as_str() {
        "add" => {
            let properties = Value::Object(action);
            check_alias(&properties)?;
            aliases.iter().try_for_each(|alias| node.check_name(alias))?;
            let pairs = found
                .iter()
                .flat_map(|info| aliases.iter().map(move |alias| (info.name.clone(), alias.clone())));
            Ok(pairs
                .map(|(index, alias)| Step::Put { index, alias, properties: properties.clone() })
                .collect())
        }
        "remove" => match matching(&found, &aliases.join(",")) {
            Ok(pairs) => Ok(pairs.into_iter().map(|(index, alias)| Step::Remove { index, alias }).collect()),
            Err(_) if must_exist == Some(Value::Bool(false)) => Ok(Vec::new()),
            Err(error) => Err(error),
        },
        _ => Ok(found.into_iter().map(|info| Step::RemoveIndex(info.name)).collect()),
    }
}

/// Refuses members of an action that it does not have.
fn check_options(kind: &str, action: &Map<String, Value>) -> Result<()> {
    const ADD: [&str; 7] = [
        "filter",
        "routing",
        "index_routing",
        "indexRouting",
        "search_routing",
        "is_write_index",
        "is_hidden",
    ];
    let known = |key: &str| match kind {
        "add" => ADD.contains(&key) || matches!(key, "searchRouting" | "must_exist"),
        _ => key == "must_exist",
    };
    let Some(unknown) = action.keys().find(|key| !known(key)) else { return Ok(()) };
    let error = |reason: String| json!({"type": "x_content_parse_exception", "reason": reason});
    let inner = error(format!("[{kind}] unknown field [{unknown}]"));
    let mut middle = error(format!("[alias_action] failed to parse field [{kind}]"));
    middle["caused_by"] = inner.clone();
    Err(ApiError::new(400, "x_content_parse_exception", "[aliases] failed to parse field [actions]")
        .with("caused_by", middle)
        .with_root(inner))
}

async fn change(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut body = call.object()?;
    let actions = match body.remove("actions") {
        Some(Value::Array(actions)) => actions,
        _ => return Err(ApiError::illegal("No action specified")),
    };
    if actions.is_empty() {
        return Err(ApiError::illegal("No action specified"));
    }
    // All are checked before the first is done.
    let mut all = Vec::new();
    for action in actions {
        all.extend(steps(&node, action)?);
    }
    node.blocking(move |store| all.iter().try_for_each(|step| Ok(step.run(store)?))).await?;
    Ok(done())
}
