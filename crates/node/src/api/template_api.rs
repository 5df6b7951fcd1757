//! Index and component templates over HTTP.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result};
use crate::node::Node;
use crate::templates::{Kind, shown_settings};

const PARAMS: &[&str] =
    &["create", "cause", "master_timeout", "timeout", "local", "flat_settings", "include_defaults"];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on("PUT,POST", &["/_index_template/{name}"], PARAMS, BodyRule::Required, |node, call| {
        put(node, call, Kind::Index)
    });
    table.on("GET", &["/_index_template", "/_index_template/{name}"], PARAMS, none, |node, call| {
        get(node, call, Kind::Index)
    });
    table.on("HEAD", &["/_index_template/{name}"], PARAMS, none, |node, call| get(node, call, Kind::Index));
    table.on("DELETE", &["/_index_template/{name}"], PARAMS, none, |node, call| {
        delete(node, call, Kind::Index)
    });
    table.on("PUT,POST", &["/_component_template/{name}"], PARAMS, BodyRule::Required, |node, call| {
        put(node, call, Kind::Component)
    });
    table.on("GET", &["/_component_template", "/_component_template/{name}"], PARAMS, none, |node, call| {
        get(node, call, Kind::Component)
    });
    table.on("HEAD", &["/_component_template/{name}"], PARAMS, none, |node, call| {
        get(node, call, Kind::Component)
    });
    table.on("DELETE", &["/_component_template/{name}"], PARAMS, none, |node, call| {
        delete(node, call, Kind::Component)
    });
}

fn keys(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Index => &[
            "index_patterns",
            "template",
            "composed_of",
            "priority",
            "version",
            "_meta",
            "allow_auto_create",
            "data_stream",
            "deprecated",
            "ignore_missing_component_templates",
        ],
        Kind::Component => &["template", "version", "_meta", "allow_auto_create", "deprecated"],
    }
}

async fn put(node: Arc<Node>, call: Call, kind: Kind) -> Result<Reply> {
    let mut body = call.object()?;
    let parser = if kind == Kind::Index { "index_template" } else { "component_template" };
    if let Some(key) = body.keys().find(|key| !keys(kind).contains(&key.as_str())) {
        return Err(ApiError::new(
            400,
            "x_content_parse_exception",
            format!("[1:2] [{parser}] unknown field [{key}]"),
        ));
    }
    let required = if kind == Kind::Index { "index_patterns" } else { "template" };
    if !body.contains_key(required) {
        return Err(ApiError::illegal(format!("Required [{required}]")));
    }
    if body.contains_key("data_stream") {
        return Err(ApiError::not_served("a template for data streams ([data_stream])"));
    }
    if let Some(Value::String(one)) = body.get("index_patterns") {
        let one = json!([one]);
        body.insert("index_patterns".into(), one);
    }
    if let Some(Value::Object(aliases)) = body.get("template").and_then(|template| template.get("aliases")) {
        aliases.values().try_for_each(super::indices::check_alias)?;
    }
    let create = call.params.flag_or("create", false)?;
    let name = call.var("name").to_owned();
    let shared = Arc::clone(&node);
    node.blocking(move |store| shared.templates.put(store, kind, &name, Value::Object(body), create)).await?;
    Ok(Reply::ok(json!({"acknowledged": true})))
}

/// As Elasticsearch shows it: settings nested under `index`, `composed_of` always there.
fn shown(template: Value, kind: Kind) -> Value {
    let Value::Object(mut template) = template else { return template };
    if let Some(settings) = template.get_mut("template").and_then(|inner| inner.get_mut("settings")) {
        *settings = shown_settings(settings);
    }
    if kind == Kind::Component {
        return Value::Object(template);
    }
    let mut ordered = Map::new();
    for key in ["index_patterns", "template", "composed_of"] {
        match (template.remove(key), key) {
            (Some(value), _) => ordered.insert(key.to_owned(), value),
            (None, "composed_of") => ordered.insert(key.to_owned(), json!([])),
            (None, _) => None,
        };
    }
    ordered.extend(template);
    Value::Object(ordered)
}

async fn get(node: Arc<Node>, call: Call, kind: Kind) -> Result<Reply> {
    let pattern = call.maybe_var("name").unwrap_or("*");
    let found = node.templates.list(kind, pattern);
    let (list, member, what) = match kind {
        Kind::Index => ("index_templates", "index_template", "index template"),
        Kind::Component => ("component_templates", "component_template", "component template"),
    };
    if found.is_empty() && !pattern.contains('*') {
        return Err(ApiError::not_found(format!("{what} matching [{pattern}] not found")));
    }
    let entries: Vec<Value> = found
        .into_iter()
        .map(|(name, template)| json!({"name": name, member: shown(template, kind)}))
        .collect();
    Ok(Reply::ok(json!({list: entries})))
}

async fn delete(node: Arc<Node>, call: Call, kind: Kind) -> Result<Reply> {
    let name = call.var("name").to_owned();
    let shared = Arc::clone(&node);
    let pattern = name.clone();
    let found = node.blocking(move |store| shared.templates.delete(store, kind, &pattern)).await?;
    if found || name.contains('*') {
        return Ok(Reply::ok(json!({"acknowledged": true})));
    }
    Err(match kind {
        Kind::Index => {
            ApiError::new(404, "index_template_missing_exception", format!("index_template [{name}] missing"))
        }
        Kind::Component => ApiError::not_found(name),
    })
}
