//! `/`, the licence and what features there are.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Table;
use crate::http::{BodyRule, Call, Reply, Result};
use crate::node::Node;

pub(super) fn routes(table: &mut Table) {
    table.on("GET,HEAD", &["/"], &[], BodyRule::None, info);
    table.on("GET", &["/_license"], &["local", "accept_enterprise"], BodyRule::None, license);
    table.on("GET", &["/_license/basic_status", "/_license/trial_status"], &[], BodyRule::None, trial);
    table.on("GET", &["/_xpack"], &["categories", "accept_enterprise"], BodyRule::None, xpack);
}

async fn info(node: Arc<Node>, _call: Call) -> Result<Reply> {
    let major = if node.version.starts_with('8') { ("7.17.0", "7.0.0") } else { ("8.19.0", "8.0.0") };
    let body = json!({
        "name": "tributary",
        "cluster_name": node.cluster_name,
        "cluster_uuid": node.store.cluster_uuid(),
        "version": {
            "number": node.version,
            "build_flavor": "default",
            "build_type": "tributary",
            "build_hash": concat!("tributary-", env!("CARGO_PKG_VERSION")),
            "build_date": "2025-01-01T00:00:00.000000000Z",
            "build_snapshot": false,
            "lucene_version": "10.2.2",
            "minimum_wire_compatibility_version": major.0,
            "minimum_index_compatibility_version": major.1,
        },
        "tagline": "You Know, for Search",
    });
    Ok(Reply::ok(body).for_people())
}

/// The Python service schedules access control syncs only under a platinum licence or a higher one (sync-runtime 3.6);
/// this node has no licences and serves everything it has.
async fn license(node: Arc<Node>, _call: Call) -> Result<Reply> {
    let body = json!({"license": {
        "status": "active",
        "uid": "00000000-0000-0000-0000-000000000000",
        "type": "enterprise",
        "issue_date": "2025-01-01T00:00:00.000Z",
        "issue_date_in_millis": 1_735_689_600_000_i64,
        "max_nodes": null,
        "max_resource_units": 1,
        "issued_to": node.cluster_name,
        "issuer": "tributary",
        "start_date_in_millis": 1_735_689_600_000_i64,
    }});
    Ok(Reply::ok(body).for_people())
}

async fn trial(_node: Arc<Node>, _call: Call) -> Result<Reply> {
    Ok(Reply::ok(json!({"eligible_to_start_basic": false, "eligible_to_start_trial": false})))
}

async fn xpack(node: Arc<Node>, _call: Call) -> Result<Reply> {
    let feature = |enabled: bool| json!({"available": enabled, "enabled": enabled});
    let absent: Vec<&str> = vec![
        "ccr",
        "eql",
        "esql",
        "graph",
        "ilm",
        "logstash",
        "ml",
        "monitoring",
        "rollup",
        "searchable_snapshots",
        "slm",
        "sql",
        "transform",
        "watcher",
    ];
    let mut features: serde_json::Map<String, Value> =
        absent.into_iter().map(|name| (name.to_owned(), feature(false))).collect();
    features.insert("enterprise_search".into(), feature(true));
    features.insert("security".into(), json!({"available": true, "enabled": node.access.enabled()}));
    let body = json!({
        "build": {"hash": concat!("tributary-", env!("CARGO_PKG_VERSION")), "date": "2025-01-01T00:00:00.000Z"},
        "license": {
            "uid": "00000000-0000-0000-0000-000000000000", "type": "enterprise", "mode": "enterprise", "status": "active",
        },
        "features": features,
        "tagline": "You know, for X",
    });
    Ok(Reply::ok(body))
}
