//! The protocol's indices: names, settings, mappings (connector-api 4).

use serde_json::{Value, json};

/// Alias of the connectors' documents.
pub const CONNECTORS_ALIAS: &str = ".elastic-connectors";
/// The index behind it.
pub const CONNECTORS_INDEX: &str = ".elastic-connectors-v1";
/// Alias of the sync jobs' documents.
pub const SYNC_JOBS_ALIAS: &str = ".elastic-connectors-sync-jobs";
/// The index behind it.
pub const SYNC_JOBS_INDEX: &str = ".elastic-connectors-sync-jobs-v1";
/// What the index of a connector's identities begins with; the content index's name follows.
pub const ACCESS_CONTROL_PREFIX: &str = ".search-acl-filter-";

/// Settings of both indices.
#[must_use]
pub fn settings() -> Value {
    json!({"index": {
        "hidden": true, "number_of_shards": 1, "number_of_replicas": 0, "auto_expand_replicas": "0-3",
    }})
}

/// Mappings of the connectors' index.
#[must_use]
pub fn connectors() -> Value {
    let schedule = || json!({"properties": {"enabled": boolean(), "interval": text()}});
    let enabled = || json!({"properties": {"enabled": boolean()}});
    let side = || {
        json!({"properties": {
            "advanced_snippet": snippet(),
            "rules": rules(),
            "validation": {"properties": {
                "errors": {"properties": {"ids": keyword(), "messages": text()}},
                "state": keyword(),
            }},
        }})
    };
    json!({
        "_meta": {
            "version": 3,
            "pipeline": {
                "default_name": "search-default-ingestion",
                "default_extract_binary_content": true,
                "default_run_ml_inference": true,
                "default_reduce_whitespace": true,
            },
        },
        "dynamic": "false",
        "properties": {
            "api_key_id": keyword(),
            "configuration": object(),
            "custom_scheduling": object(),
            "deleted": boolean(),
            "description": text(),
            "error": keyword(),
            "features": {"properties": {
                "filtering_advanced_config": boolean(),
                "filtering_rules": boolean(),
                "incremental_sync": enabled(),
                "sync_rules": {"properties": {"basic": enabled(), "advanced": enabled()}},
            }},
            "filtering": {"properties": {"active": side(), "domain": keyword(), "draft": side()}},
            "index_name": keyword(),
            "is_native": boolean(),
            "language": keyword(),
            "last_access_control_sync_error": keyword(),
            "last_access_control_sync_scheduled_at": date(),
            "last_access_control_sync_status": keyword(),
            "last_deleted_document_count": long(),
            "last_incremental_sync_scheduled_at": date(),
            "last_indexed_document_count": long(),
            "last_seen": date(),
            "last_sync_error": keyword(),
            "last_sync_scheduled_at": date(),
            "last_sync_status": keyword(),
            "last_synced": date(),
            "name": keyword(),
            "pipeline": pipeline(),
            "scheduling": {"properties": {
                "access_control": schedule(), "full": schedule(), "incremental": schedule(),
            }},
            "service_type": keyword(),
            "status": keyword(),
            "sync_cursor": object(),
            "sync_now": boolean(),
        },
    })
}

/// Mappings of the sync jobs' index.
#[must_use]
pub fn sync_jobs() -> Value {
    json!({
        "_meta": {"version": 3},
        "dynamic": "false",
        "properties": {
            "cancelation_requested_at": date(),
            "canceled_at": date(),
            "completed_at": date(),
            "connector": {"properties": {
                "configuration": object(),
                "filtering": {"properties": {
                    "advanced_snippet": snippet(),
                    "domain": keyword(),
                    "rules": rules(),
                    "warnings": {"properties": {"ids": keyword(), "messages": text()}},
                }},
                "id": keyword(),
                "index_name": keyword(),
                "language": keyword(),
                "pipeline": pipeline(),
                "service_type": keyword(),
                "sync_cursor": object(),
            }},
            "created_at": date(),
            "deleted_document_count": integer(),
            "error": keyword(),
            "indexed_document_count": integer(),
            "indexed_document_volume": integer(),
            "job_type": keyword(),
            "last_seen": date(),
            "metadata": object(),
            "started_at": date(),
            "status": keyword(),
            "total_document_count": integer(),
            "trigger_method": keyword(),
            "worker_hostname": keyword(),
        },
    })
}

fn snippet() -> Value {
    json!({"properties": {"created_at": date(), "updated_at": date(), "value": object()}})
}

fn rules() -> Value {
    json!({"properties": {
        "created_at": date(), "field": keyword(), "id": keyword(), "order": {"type": "short"}, "policy": keyword(),
        "rule": keyword(), "updated_at": date(), "value": keyword(),
    }})
}

fn pipeline() -> Value {
    json!({"properties": {
        "extract_binary_content": boolean(), "name": keyword(), "reduce_whitespace": boolean(),
        "run_ml_inference": boolean(),
    }})
}

fn keyword() -> Value {
    json!({"type": "keyword"})
}

fn text() -> Value {
    json!({"type": "text"})
}

fn date() -> Value {
    json!({"type": "date"})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

fn long() -> Value {
    json!({"type": "long"})
}

fn integer() -> Value {
    json!({"type": "integer"})
}

fn object() -> Value {
    json!({"type": "object"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_types_of_the_reference() {
        let (connectors, jobs) = (connectors(), sync_jobs());
        for (mappings, path, expected) in [
            (&connectors, "/properties/description/type", "text"),
            (&connectors, "/properties/scheduling/properties/full/properties/interval/type", "text"),
            (
                &connectors,
                "/properties/filtering/properties/draft/properties/rules/properties/order/type",
                "short",
            ),
            (&connectors, "/properties/last_indexed_document_count/type", "long"),
            (&connectors, "/_meta/pipeline/default_name", "search-default-ingestion"),
            (&jobs, "/properties/indexed_document_count/type", "integer"),
            (&jobs, "/properties/connector/properties/id/type", "keyword"),
        ] {
            assert_eq!(mappings.pointer(path).unwrap(), expected, "{path}");
        }
        assert!(connectors.pointer("/properties/api_key_secret_id").is_none());
    }
}
