//! The privileges there are, and which contain which.

/// Cluster privileges that descriptors may name, in the order of Elasticsearch's refusals.
pub(super) const CLUSTER: &[&str] = &[
    "manage_own_api_key",
    "manage_data_stream_global_retention",
    "monitor_data_stream_global_retention",
    "none",
    "cancel_task",
    "clone_api_key",
    "cross_cluster_replication",
    "cross_cluster_search",
    "delegate_pki",
    "grant_api_key",
    "manage_autoscaling",
    "manage_index_templates",
    "manage_logstash_pipelines",
    "manage_oidc",
    "manage_saml",
    "manage_search_application",
    "manage_search_query_rules",
    "manage_search_synonyms",
    "manage_service_account",
    "manage_token",
    "manage_user_profile",
    "monitor_connector",
    "monitor_enrich",
    "monitor_esql",
    "monitor_inference",
    "monitor_ml",
    "monitor_rollup",
    "monitor_snapshot",
    "monitor_stats",
    "monitor_text_structure",
    "monitor_watcher",
    "post_behavioral_analytics_event",
    "read_ccr",
    "read_connector_secrets",
    "read_fleet_secrets",
    "read_ilm",
    "read_pipeline",
    "read_project_routing",
    "read_security",
    "read_slm",
    "transport_client",
    "write_connector_secrets",
    "write_fleet_secrets",
    "create_snapshot",
    "manage_behavioral_analytics",
    "manage_ccr",
    "manage_connector",
    "manage_enrich",
    "manage_ilm",
    "manage_inference",
    "manage_ml",
    "manage_project_routing",
    "manage_rollup",
    "manage_slm",
    "manage_watcher",
    "monitor_data_frame_transforms",
    "monitor_transform",
    "manage_ingest_pipelines",
    "manage_pipeline",
    "manage_api_key",
    "manage_data_frame_transforms",
    "manage_transform",
    "manage_security",
    "monitor",
    "manage",
    "all",
];

/// Index privileges that descriptors may name.
pub(super) const INDEX: &[&str] = &[
    "all",
    "auto_configure",
    "create",
    "create_doc",
    "create_index",
    "create_view",
    "cross_cluster_replication",
    "cross_cluster_replication_internal",
    "delete",
    "delete_index",
    "delete_view",
    "index",
    "maintenance",
    "manage",
    "manage_data_stream_lifecycle",
    "manage_failure_store",
    "manage_follow_index",
    "manage_ilm",
    "manage_leader_index",
    "manage_view",
    "monitor",
    "none",
    "read",
    "read_cross_cluster",
    "read_failure_store",
    "read_view_metadata",
    "view_index_metadata",
    "write",
];

/// The index privileges that contain this one, the narrowest first, as refusals list them.
pub(super) fn index_grants(wanted: &str) -> &'static [&'static str] {
    match wanted {
        "read" => &["read", "all"],
        "create_doc" => &["create_doc", "create", "index", "write", "all"],
        "create" => &["create", "index", "write", "all"],
        "index" => &["index", "write", "all"],
        "delete" => &["delete", "write", "all"],
        "write" => &["write", "all"],
        // No privilege of its own: whoever may write anything may send a bulk request.
        "bulk" => &["create_doc", "create", "delete", "index", "write", "all"],
        "auto_configure" => &["auto_configure", "create_index", "manage", "all"],
        "create_index" => &["create_index", "manage", "all"],
        "delete_index" => &["delete_index", "manage", "all"],
        "monitor" => &["monitor", "cross_cluster_replication", "manage", "all"],
        // These two are no privileges of their own either.
        "see_fields" => &["view_index_metadata", "manage", "read", "all"],
        "see_settings" => &["monitor", "view_index_metadata", "manage", "all"],
        "view_index_metadata" => &["view_index_metadata", "manage", "all"],
        "maintenance" => &["maintenance", "manage", "all"],
        "manage" => &["manage", "all"],
        _ => &["all"],
    }
}

/// The cluster privileges that contain this one, the narrowest first.
pub(super) fn cluster_grants(wanted: &str) -> &'static [&'static str] {
    match wanted {
        "monitor" => &["monitor", "manage", "all"],
        "monitor_connector" => &["monitor_connector", "manage_connector", "manage", "all"],
        "manage_connector" => &["manage_connector", "manage", "all"],
        "read_connector_secrets" => &["read_connector_secrets", "manage", "all"],
        "write_connector_secrets" => &["write_connector_secrets", "manage", "all"],
        "read_pipeline" => &["read_pipeline", "manage_ingest_pipelines", "manage_pipeline", "manage", "all"],
        "manage_pipeline" => &["manage_ingest_pipelines", "manage_pipeline", "manage", "all"],
        "read_index_templates" => &["manage_index_templates", "monitor", "manage", "all"],
        "manage_index_templates" => &["manage_index_templates", "manage", "all"],
        "manage_own_api_key" => &["manage_own_api_key", "manage_api_key", "manage_security", "all"],
        "manage_api_key" => &["manage_api_key", "manage_security", "all"],
        "read_security" => &["read_security", "manage_api_key", "manage_security", "all"],
        "manage_security" => &["manage_security", "all"],
        "manage" => &["manage", "all"],
        _ => &["all"],
    }
}

/// Whether one of the granted privileges contains the wanted one.
pub(super) fn contains(granted: &[String], wanted: &str, containing: &[&str]) -> bool {
    granted.iter().any(|have| have == wanted || containing.contains(&have.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_is_contained_in_itself_and_in_wider_ones_only() {
        let have = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let table = [
            ("read", "read", true),
            ("read", "all", true),
            ("read", "write", false),
            ("index", "write", true),
            ("write", "index", false),
            ("create_index", "manage", true),
            ("read", "manage", false),
            ("all", "manage", false),
        ];
        for (wanted, granted, holds) in table {
            assert_eq!(
                contains(&have(&[granted]), wanted, index_grants(wanted)),
                holds,
                "{wanted} by {granted}"
            );
        }
        assert!(!contains(
            &have(&["manage_connector"]),
            "read_connector_secrets",
            cluster_grants("read_connector_secrets")
        ));
        assert!(!contains(&have(&["manage"]), "manage_api_key", cluster_grants("manage_api_key")));
        assert!(!contains(&have(&["none"]), "read", index_grants("read")));
    }

    #[test]
    fn whatever_contains_a_privilege_has_a_known_name() {
        for wanted in CLUSTER {
            assert!(cluster_grants(wanted).iter().all(|name| CLUSTER.contains(name)), "{wanted}");
        }
        for wanted in INDEX {
            assert!(index_grants(wanted).iter().all(|name| INDEX.contains(name)), "{wanted}");
        }
    }
}
