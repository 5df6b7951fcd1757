//! What each endpoint needs from a caller with limited rights. An endpoint that is not listed needs all rights.

use http::Method;

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A valid caller, nothing more.
    Caller,
    /// A cluster privilege; the action is the name that refusals show.
    Cluster { privilege: &'static str, action: &'static str },
    /// Privileges on every index the call names; checked where names are resolved.
    Index(IndexNeed),
    /// No limits at all.
    Everything,
}

/// Privileges needed on each index, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexNeed {
    pub(crate) privileges: &'static [&'static str],
    pub(crate) action: &'static str,
}

/// The action of bulk requests on one index.
const BULK: &str = "indices:data/write/bulk[s]";

/// What a single write, or what follows it, needs on its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WriteNeed {
    pub(crate) privilege: &'static str,
    pub(crate) action: &'static str,
}

impl WriteNeed {
    pub(crate) const CREATE: Self =
        Self { privilege: "create_doc", action: "indices:data/write/index:op_type/create" };
    /// Elasticsearch's `create` lets one replace documents too.
    pub(crate) const INDEX: Self =
        Self { privilege: "create", action: "indices:data/write/index:op_type/index" };
    pub(crate) const UPDATE: Self = Self { privilege: "index", action: "indices:data/write/update" };
    pub(crate) const REFRESH: Self = Self { privilege: "maintenance", action: "indices:admin/refresh" };
    pub(crate) const DELETE: Self = Self { privilege: "delete", action: "indices:data/write/delete" };
}

impl Need {
    /// What a route needs.
    pub(crate) fn of(method: &Method, pattern: &str) -> Self {
        let read = matches!(*method, Method::GET | Method::HEAD);
        if let Some(rest) = pattern.strip_prefix("/{index}") {
            return on_index(method, rest);
        }
        let mut parts = pattern.split('/').skip(1);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match (first, second) {
            ("", _) => cluster("monitor", "cluster:monitor/main"),
            ("_license", _) if read => cluster("monitor", "cluster:monitor/xpack/license/get"),
            ("_xpack", _) if read => cluster("monitor", "cluster:monitor/xpack/info"),
            ("_nodes", _) if read => cluster("monitor", "cluster:monitor/nodes/info"),
            ("_cluster", "health") if read => cluster("monitor", "cluster:monitor/health"),
            ("_cluster", "settings") if read => cluster("monitor", "cluster:monitor/settings"),
            ("_cluster", _) if read => cluster("monitor", "cluster:monitor/state"),
            ("_tasks", _) if read => cluster("monitor", "cluster:monitor/tasks/lists"),
            ("_cat", "") => Self::Caller,
            ("_cat", "health" | "nodes") => cluster("monitor", "cluster:monitor/health"),
            ("_cat", "indices") => index(&["monitor"], "indices:monitor/stats"),
            ("_cat", "aliases") => index(&["view_index_metadata"], "indices:admin/aliases/get"),
            ("_cat", "count") => index(&["read"], "indices:data/read/search"),
            ("_ingest", _) if pattern.ends_with("_simulate") => {
                cluster("read_pipeline", "cluster:admin/ingest/pipeline/simulate")
            }
            ("_ingest", _) if read => cluster("read_pipeline", "cluster:admin/ingest/pipeline/get"),
            ("_ingest", _) => cluster("manage_pipeline", "cluster:admin/ingest/pipeline/put"),
            ("_index_template" | "_template", _) if read => {
                cluster("read_index_templates", "indices:admin/index_template/get")
            }
            ("_component_template", _) if read => {
                cluster("read_index_templates", "cluster:admin/component_template/get")
            }
            ("_component_template", _) => {
                cluster("manage_index_templates", "cluster:admin/component_template/put")
            }
            ("_index_template" | "_template", _) => {
                cluster("manage_index_templates", "indices:admin/index_template/put")
            }
            ("_connector", "_secret") if read => {
                cluster("read_connector_secrets", "cluster:admin/xpack/connector/secret/get")
            }
            ("_connector", "_secret") => {
                cluster("write_connector_secrets", "cluster:admin/xpack/connector/secret/put")
            }
            ("_connector", _) => cluster(
                if read { "monitor_connector" } else { "manage_connector" },
                connector_action(method, pattern),
            ),
            ("_security", "_authenticate" | "user") => Self::Caller,
            // Which keys a caller may see and invalidate is decided there.
            ("_security", "api_key") if read || *method == Method::DELETE => Self::Caller,
            ("_security", "api_key") if pattern.ends_with('}') => {
                cluster("manage_own_api_key", "cluster:admin/xpack/security/api_key/update")
            }
            ("_security", "api_key") => {
                cluster("manage_own_api_key", "cluster:admin/xpack/security/api_key/create")
            }
            // Whose scroll it is, and what it may show, is checked for each page.
            ("_search", "scroll") | ("_pit", _) => Self::Caller,
            (first, _) if first.starts_with('_') => on_index(method, pattern),
            _ => Self::Everything,
        }
    }
}

const fn cluster(privilege: &'static str, action: &'static str) -> Need {
    Need::Cluster { privilege, action }
}

const fn index(privileges: &'static [&'static str], action: &'static str) -> Need {
    Need::Index(IndexNeed { privileges, action })
}

/// The part of a path behind the index.
fn on_index(method: &Method, rest: &str) -> Need {
    let read = matches!(*method, Method::GET | Method::HEAD);
    let delete = *method == Method::DELETE;
    match rest.split('/').nth(1).unwrap_or_default() {
        "" if read => index(&["view_index_metadata"], "indices:admin/get"),
        "" if delete => index(&["delete_index"], "indices:admin/delete"),
        "" => index(&["create_index"], "indices:admin/create"),
        "_pit" => index(&["read"], "indices:data/read/open_point_in_time"),
        "_search" | "_count" | "_msearch" => index(&["read"], "indices:data/read/search"),
        "_field_caps" => index(&["see_fields"], "indices:data/read/field_caps"),
        "_resolve" => index(&["see_fields"], "indices:admin/resolve/index"),
        "_mget" => index(&["read"], "indices:data/read/mget[shard]"),
        "_doc" | "_source" if read => index(&["read"], "indices:data/read/get"),
        "_doc" if delete => index(&["delete"], "indices:data/write/delete"),
        // Whether it may replace a document is checked where it is known whether it could.
        "_doc" => index(&["create_doc"], "indices:data/write/index"),
        "_create" => index(&["create_doc"], "indices:data/write/index"),
        "_update" => index(&["index"], "indices:data/write/update"),
        // Each item needs the privilege for what it does besides; that is checked with the item.
        "_bulk" => index(&["bulk"], BULK),
        "_delete_by_query" => index(&["read", "delete"], "indices:data/write/delete/byquery"),
        "_update_by_query" => index(&["read", "index"], "indices:data/write/update/byquery"),
        "_refresh" => index(&["maintenance"], "indices:admin/refresh"),
        "_flush" => index(&["maintenance"], "indices:admin/flush"),
        "_forcemerge" => index(&["maintenance"], "indices:admin/forcemerge"),
        "_mapping" if read && rest.contains("/field/") => {
            index(&["view_index_metadata"], "indices:admin/mappings/fields/get")
        }
        "_mapping" if read => index(&["view_index_metadata"], "indices:admin/mappings/get"),
        "_settings" if read => index(&["see_settings"], "indices:monitor/settings/get"),
        "_alias" if read => index(&["view_index_metadata"], "indices:admin/aliases/get"),
        "_explain" => index(&["read"], "indices:data/read/explain"),
        "_validate" => index(&["view_index_metadata"], "indices:admin/validate/query"),
        "_analyze" => index(&["manage"], "indices:admin/analyze"),
        "_mapping" => index(&["manage"], "indices:admin/mapping/put"),
        "_settings" => index(&["manage"], "indices:admin/settings/update"),
        "_alias" | "_aliases" => index(&["manage"], "indices:admin/aliases"),
        "_cache" => index(&["manage"], "indices:admin/cache/clear"),
        "_stats" => index(&["monitor"], "indices:monitor/stats"),
        "_data_stream" if read => index(&["view_index_metadata"], "indices:admin/data_stream/get"),
        _ => Need::Everything,
    }
}

/// The names of the connector actions, as refusals show them.
fn connector_action(method: &Method, pattern: &str) -> &'static str {
    let read = matches!(*method, Method::GET | Method::HEAD);
    let last = pattern.rsplit('/').find(|part| !part.starts_with('{')).unwrap_or_default();
    let listed = !pattern.ends_with('}');
    match (pattern.contains("_sync_job"), last) {
        (true, "_sync_job") if read && listed => "cluster:admin/xpack/connector/sync_job/list",
        (true, "_sync_job") if read => "cluster:admin/xpack/connector/sync_job/get",
        (true, "_sync_job") if *method == Method::DELETE => "cluster:admin/xpack/connector/sync_job/delete",
        (true, "_sync_job") => "cluster:admin/xpack/connector/sync_job/post",
        (true, "_claim") => "cluster:admin/xpack/connector/sync_job/claim",
        (true, "_check_in") => "cluster:admin/xpack/connector/sync_job/check_in",
        (true, "_cancel") => "cluster:admin/xpack/connector/sync_job/cancel",
        (true, "_error") => "cluster:admin/xpack/connector/sync_job/update_error",
        (true, _) => "cluster:admin/xpack/connector/sync_job/update_stats",
        (false, "_connector") if read && listed => "cluster:admin/xpack/connector/list",
        (false, "_connector") if read => "cluster:admin/xpack/connector/get",
        (false, "_connector") if *method == Method::DELETE => "cluster:admin/xpack/connector/delete",
        (false, "_connector") if *method == Method::POST => "cluster:admin/xpack/connector/post",
        (false, "_connector") => "cluster:admin/xpack/connector/put",
        (false, "_check_in") => "cluster:admin/xpack/connector/update_last_seen",
        (false, "_last_sync") => "cluster:admin/xpack/connector/update_last_sync_stats",
        (false, "_configuration") => "cluster:admin/xpack/connector/update_configuration",
        (false, "_scheduling") => "cluster:admin/xpack/connector/update_scheduling",
        (false, "_filtering") => "cluster:admin/xpack/connector/update_filtering",
        (false, "_validation") => "cluster:admin/xpack/connector/update_filtering/draft_validation",
        (false, "_activate") => "cluster:admin/xpack/connector/update_filtering/activate",
        (false, "_name") => "cluster:admin/xpack/connector/update_name",
        (false, "_index_name") => "cluster:admin/xpack/connector/update_index_name",
        (false, "_native") => "cluster:admin/xpack/connector/update_native",
        (false, "_service_type") => "cluster:admin/xpack/connector/update_service_type",
        (false, "_status") => "cluster:admin/xpack/connector/update_status",
        (false, "_error") => "cluster:admin/xpack/connector/update_error",
        (false, "_features") => "cluster:admin/xpack/connector/update_features",
        (false, "_pipeline") => "cluster:admin/xpack/connector/update_pipeline",
        (false, _) => "cluster:admin/xpack/connector/update_api_key_id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_not_listed_needs_all_rights() {
        for (method, pattern) in [
            (Method::POST, "/_something"),
            (Method::PUT, "/_cluster/settings"),
            (Method::GET, "/{index}/_new"),
        ] {
            assert_eq!(Need::of(&method, pattern), Need::Everything, "{pattern}");
        }
    }

    #[test]
    fn reading_and_writing_need_different_privileges() {
        let table = [
            (Method::GET, "/{index}/_doc/{id}", index(&["read"], "indices:data/read/get")),
            (Method::PUT, "/{index}/_doc/{id}", index(&["create_doc"], "indices:data/write/index")),
            (Method::DELETE, "/{index}/_doc/{id}", index(&["delete"], "indices:data/write/delete")),
            (Method::GET, "/_search", index(&["read"], "indices:data/read/search")),
            (Method::POST, "/_search/scroll", Need::Caller),
            (Method::POST, "/{index}/_pit", index(&["read"], "indices:data/read/open_point_in_time")),
            (Method::DELETE, "/_pit", Need::Caller),
            (Method::GET, "/_connector", cluster("monitor_connector", "cluster:admin/xpack/connector/list")),
            (
                Method::PUT,
                "/_connector/{connector_id}/_index_name",
                cluster("manage_connector", "cluster:admin/xpack/connector/update_index_name"),
            ),
            (
                Method::GET,
                "/_connector/_secret/{id}",
                cluster("read_connector_secrets", "cluster:admin/xpack/connector/secret/get"),
            ),
        ];
        for (method, pattern, wanted) in table {
            assert_eq!(Need::of(&method, pattern), wanted, "{method} {pattern}");
        }
    }
}
