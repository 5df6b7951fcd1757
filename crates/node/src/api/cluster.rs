//! The cluster of one: health, nodes, settings.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_store::{IndexInfo, ResolveOptions};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Params, Reply, Result};
use crate::node::Node;
use crate::writes::{copies, resolve_options};

/// The one node's id in answers.
pub(super) const NODE_ID: &str = "tributary-embedded-node";

const HEALTH_PARAMS: &[&str] = &[
    "expand_wildcards",
    "level",
    "local",
    "master_timeout",
    "timeout",
    "wait_for_active_shards",
    "wait_for_events",
    "wait_for_no_initializing_shards",
    "wait_for_no_relocating_shards",
    "wait_for_nodes",
    "wait_for_status",
];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    table.on("GET", &["/_cluster/health", "/_cluster/health/{index}"], HEALTH_PARAMS, none, health);
    table.on(
        "GET",
        &["/_cluster/settings"],
        &["flat_settings", "include_defaults", "master_timeout", "timeout"],
        none,
        settings,
    );
    table.on(
        "GET",
        &["/_nodes", "/_nodes/{metric}", "/_nodes/{node_id}/{metric}"],
        &["flat_settings", "timeout"],
        none,
        nodes,
    );
}

/// Copies of an index that have no place on the only node.
pub(super) fn unassigned(info: &IndexInfo) -> u64 {
    copies(info).saturating_sub(1)
}

/// `green`, or `yellow` when copies were asked for that one node cannot hold.
pub(super) fn colour(info: &IndexInfo) -> &'static str {
    if unassigned(info) == 0 { "green" } else { "yellow" }
}

fn rank(status: &str) -> Option<u8> {
    match status {
        "green" => Some(0),
        "yellow" => Some(1),
        "red" => Some(2),
        _ => None,
    }
}

fn no_constant(class: &str, text: &str) -> ApiError {
    ApiError::illegal(format!("No enum constant {class}.{}", text.to_ascii_uppercase()))
}

/// Checks what a call may wait for that is always so, and how much it wants to be told.
fn check_waits(params: &Params) -> Result<()> {
    const PRIORITIES: [&str; 6] = ["immediate", "urgent", "high", "normal", "low", "languid"];
    match params.get("wait_for_events") {
        Some(text) if !PRIORITIES.contains(&text.to_ascii_lowercase().as_str()) => {
            return Err(no_constant("org.elasticsearch.common.Priority", text));
        }
        _ => {}
    }
    match params.get("level") {
        None | Some("cluster" | "indices" | "shards") => Ok(()),
        Some(other) => Err(ApiError::illegal(format!(
            "level parameter must be one of [cluster] or [indices] or [shards] but was [{other}]"
        ))),
    }
}

/// Whether one node is as many as are wanted: `2`, `>=2` or `ge(2)`, and so on.
fn one_node_suits(wanted: &str) -> Result<bool> {
    type Form = (&'static [&'static str], fn(i32) -> bool);
    let forms: [Form; 4] = [
        (&[">=", "ge("], |n| 1 >= n),
        (&["<=", "le("], |n| 1 <= n),
        (&[">", "gt("], |n| 1 > n),
        (&["<", "lt("], |n| 1 < n),
    ];
    let found = forms.iter().find_map(|(signs, suits)| {
        let rest = signs.iter().find_map(|sign| wanted.strip_prefix(sign))?;
        Some((rest.strip_suffix(')').unwrap_or(rest), *suits))
    });
    let (number, suits) = found.unwrap_or((wanted, |n| n == 1));
    match number.parse() {
        _ if wanted.is_empty() => Ok(true),
        Ok(number) => Ok(suits(number)),
        Err(_) => {
            let reason = format!("For input string: \"{number}\"");
            Err(ApiError::new(400, "number_format_exception", reason))
        }
    }
}

async fn health(node: Arc<Node>, call: Call) -> Result<Reply> {
    let wanted = match call.params.get("wait_for_status") {
        None => 2,
        Some(text) => rank(&text.to_ascii_lowercase())
            .ok_or_else(|| no_constant("org.elasticsearch.cluster.health.ClusterHealthStatus", text))?,
    };
    check_waits(&call.params)?;
    let enough_nodes = call.params.get("wait_for_nodes").map_or(Ok(true), one_node_suits)?;
    let timeout = Duration::from_millis(call.params.time_ms("timeout")?.unwrap_or(30_000).min(60_000));
    let started = tokio::time::Instant::now();
    loop {
        let (body, reached) = state(&node, &call, wanted)?;
        if reached && enough_nodes {
            return Ok(Reply::ok(body));
        }
        if started.elapsed() >= timeout {
            let mut body = body;
            body["timed_out"] = json!(true);
            return Ok(Reply::status(408, body));
        }
        tokio::time::sleep(Duration::from_millis(100).min(timeout)).await;
    }
}

fn state(node: &Node, call: &Call, wanted: u8) -> Result<(Value, bool)> {
    let (indices, missing) = match call.maybe_var("index") {
        None => (node.store.indices(), false),
        Some(expression) => {
            let options =
                ResolveOptions { ignore_unavailable: true, expand_hidden: true, ..resolve_options(call)? };
            let found = node.resolve(expression, options)?;
            let missing = found.is_empty() && !expression.contains('*');
            (found, missing)
        }
    };
    let active = indices.len() as u64;
    let unassigned: u64 = indices.iter().map(unassigned).sum();
    let status = match (missing, unassigned) {
        (true, _) => "red",
        (false, 0) => "green",
        (false, _) => "yellow",
    };
    let percent =
        if active + unassigned == 0 { 100.0 } else { active as f64 * 100.0 / (active + unassigned) as f64 };
    let mut body = json!({
        "cluster_name": node.cluster_name,
        "status": status,
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": active,
        "active_shards": active,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": unassigned,
        "unassigned_primary_shards": 0,
        "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": percent,
    });
    if matches!(call.params.get("level"), Some("indices" | "shards")) {
        let each = indices.iter().map(|info| {
            let entry = json!({
                "status": colour(info), "number_of_shards": 1, "number_of_replicas": copies(info) - 1,
                "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0,
                "unassigned_shards": copies(info) - 1, "unassigned_primary_shards": 0,
            });
            (info.name.clone(), entry)
        });
        body["indices"] = Value::Object(each.collect());
    }
    let reached = !missing && rank(status).is_some_and(|rank| rank <= wanted);
    Ok((body, reached))
}

async fn settings(_node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut body = json!({"persistent": {}, "transient": {}});
    if call.params.flag_or("include_defaults", false)? {
        body["defaults"] =
            json!({"action": {"auto_create_index": "true"}, "cluster": {"name": _node.cluster_name}});
    }
    Ok(Reply::ok(body))
}

async fn nodes(node: Arc<Node>, call: Call) -> Result<Reply> {
    if call
        .maybe_var("metric")
        .is_some_and(|metric| metric.contains("stats") || metric.contains("hot_threads"))
    {
        return Err(ApiError::not_served("node statistics ([_nodes/stats])"));
    }
    let info = json!({
        "name": "tributary",
        "host": "127.0.0.1",
        "ip": "127.0.0.1",
        "version": node.version,
        "build_flavor": "default",
        "build_type": "tributary",
        "roles": ["data", "data_content", "ingest", "master"],
        "attributes": {},
        "http": {"max_content_length_in_bytes": node.bodies.max_bytes},
        "ingest": {"processors": crate::ingest::processor_names().map(|name| json!({"type": name})).collect::<Vec<_>>()},
        "plugins": [],
        "modules": [],
    });
    Ok(Reply::ok(json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0},
        "cluster_name": node.cluster_name,
        "nodes": {NODE_ID: info},
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_is_compared_with_what_is_wanted() {
        for (wanted, suits) in [
            ("1", true),
            ("2", false),
            (">=1", true),
            (">=2", false),
            (">0", true),
            (">1", false),
            ("<2", true),
            ("<=1", true),
            ("ge(1)", true),
            ("gt(1)", false),
            ("le(0)", false),
            ("", true),
        ] {
            assert_eq!(one_node_suits(wanted).unwrap(), suits, "{wanted}");
        }
        assert_eq!(one_node_suits(">=x").unwrap_err().reason(), "For input string: \"x\"");
    }
}
