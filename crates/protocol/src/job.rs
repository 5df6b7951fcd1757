use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::config::ConfigSchema;
use crate::filtering::FilteringRules;
use crate::lenient::{instant, named, one_or_first, optional_whole, or_default, whole};
use crate::{ConnectorId, JobType, Pipeline, SyncStatus, Time, TriggerMethod};

/// A sync job document (connector-api 12.1). Reading takes null for absent; unknown fields are kept in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct SyncJob {
    /// The connector as it was when the job was created.
    pub connector: JobConnector,
    /// Its status.
    pub status: SyncStatus,
    /// What it syncs.
    #[serde(default = "full", deserialize_with = "job_type")]
    pub job_type: JobType,
    /// Why it was created.
    #[serde(default = "on_demand", deserialize_with = "trigger_method")]
    pub trigger_method: TriggerMethod,
    /// When it was created.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When a worker claimed it last.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// When it was canceled.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<Time>,
    /// When somebody asked for that.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub cancelation_requested_at: Option<Time>,
    /// Last sign of life of its worker.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// The worker that claimed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_hostname: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Documents written.
    #[serde(default, deserialize_with = "whole")]
    pub indexed_document_count: i64,
    /// What was written, in MiB.
    #[serde(default, deserialize_with = "whole")]
    pub indexed_document_volume: i64,
    /// Documents deleted.
    #[serde(default, deserialize_with = "whole")]
    pub deleted_document_count: i64,
    /// Documents in the index when it ended.
    #[serde(default, deserialize_with = "optional_whole", skip_serializing_if = "Option::is_none")]
    pub total_document_count: Option<i64>,
    /// What its worker and others keep with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Serialize for SyncJob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SyncJob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        named(deserializer, |document| Self::deserialize(document), &["connector", "status"])
    }
}

fn job_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobType, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(full))
}

fn trigger_method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TriggerMethod, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(on_demand))
}

fn full() -> JobType {
    JobType::Full
}

fn on_demand() -> TriggerMethod {
    TriggerMethod::OnDemand
}

/// What a job keeps of its connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobConnector {
    /// The connector's id.
    pub id: ConnectorId,
    /// The index that the job writes to; of an access-control job that of the identities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_name: Option<String>,
    /// Language of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The kind of source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// The ingest pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Pipeline>,
    /// The configuration.
    #[serde(default, deserialize_with = "or_default")]
    pub configuration: ConfigSchema,
    /// The active sync rules. Other writers keep an array of one, or a connector's filtering with both halves.
    #[serde(default, deserialize_with = "active_rules", skip_serializing_if = "Option::is_none")]
    pub filtering: Option<FilteringRules>,
    /// Where an incremental sync starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_cursor: Option<Value>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn active_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FilteringRules>, D::Error> {
    let found: Option<Value> = one_or_first(deserializer)?;
    let rules = found.map(|mut one| one.get_mut("active").map(Value::take).unwrap_or(one));
    rules.map(serde_json::from_value).transpose().map_err(serde::de::Error::custom)
}

impl SyncJob {
    /// The job's pipeline, or the one that consumers assume (connector-api 10.2).
    #[must_use]
    pub fn pipeline_or_default(&self) -> Pipeline {
        self.connector.pipeline.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_reads_with_nulls_and_writes_back_what_it_does_not_know() {
        let job: SyncJob = serde_json::from_value(json!({
            "connector": {"id": "c", "filtering": [{"rules": [], "advanced_snippet": {"value": {}}}], "configuration": null, "x": 1},
            "status": "suspended", "job_type": "incremental", "trigger_method": "scheduled",
            "created_at": "2026-01-01T00:00:00+00:00", "completed_at": null, "error": null,
            "indexed_document_count": null, "metadata": null, "y": {"z": 2},
        }))
        .unwrap();
        assert!(job.connector.filtering.is_some());
        assert_eq!(
            (job.status, job.job_type, job.indexed_document_count),
            (SyncStatus::Suspended, JobType::Incremental, 0)
        );
        let written = serde_json::to_value(&job).unwrap();
        assert_eq!((&written["y"]["z"], &written["connector"]["x"]), (&json!(2), &json!(1)));
        assert_eq!(written["created_at"], "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_job_without_a_status_is_refused() {
        let error = serde_json::from_value::<SyncJob>(json!({"connector": {"id": "c"}})).unwrap_err();
        assert!(error.to_string().contains("status"), "{error}");
    }
}
