use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::config::ConfigSchema;
use crate::filtering::Filtering;
use crate::lenient::{flag_or_no, flag_or_yes, instant, named, one_or_many, optional_whole, or_default};
use crate::mappings::ACCESS_CONTROL_PREFIX;
use crate::{ConnectorStatus, JobType, SyncStatus, Time};

/// A connector document (connector-api 5.1). Reading takes null for absent; unknown fields are kept in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, remote = "Self")]
pub struct Connector {
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The index that receives the documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_name: Option<String>,
    /// The kind of source, such as `dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
    /// Language of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether Elastic's own service runs it.
    #[serde(deserialize_with = "flag_or_no")]
    pub is_native: bool,
    /// Whether it was deleted softly.
    #[serde(deserialize_with = "flag_or_no")]
    pub deleted: bool,
    /// Kept for old documents; nothing reads it.
    #[serde(deserialize_with = "flag_or_no")]
    pub sync_now: bool,
    /// Its status.
    #[serde(deserialize_with = "status")]
    pub status: ConnectorStatus,
    /// Why its status is `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its configuration fields with their values.
    #[serde(deserialize_with = "or_default")]
    pub configuration: ConfigSchema,
    /// Schedules with overrides, by name (connector-api 10.3).
    #[serde(deserialize_with = "or_default")]
    pub custom_scheduling: Map<String, Value>,
    /// When it syncs.
    #[serde(deserialize_with = "or_default")]
    pub scheduling: Scheduling,
    /// The ingest pipeline, where one was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Pipeline>,
    /// What its kind of source can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// The sync rules; normally one element.
    #[serde(deserialize_with = "one_or_many")]
    pub filtering: Vec<Filtering>,
    /// Id of the API key for its index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<String>,
    /// Id of the secret that holds the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_secret_id: Option<String>,
    /// Last check-in of a daemon.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// End of the last sync of any kind.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Time>,
    /// Slot of the last scheduled full sync.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_sync_scheduled_at: Option<Time>,
    /// Slot of the last scheduled incremental sync.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_incremental_sync_scheduled_at: Option<Time>,
    /// Slot of the last scheduled access-control sync.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_access_control_sync_scheduled_at: Option<Time>,
    /// Status of the last content sync; `in_progress` while one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_status: Option<SyncStatus>,
    /// The same of the last access-control sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_access_control_sync_status: Option<SyncStatus>,
    /// Error of the last content sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_error: Option<String>,
    /// Error of the last access-control sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_access_control_sync_error: Option<String>,
    /// Documents the last sync wrote.
    #[serde(deserialize_with = "optional_whole", skip_serializing_if = "Option::is_none")]
    pub last_indexed_document_count: Option<i64>,
    /// Documents the last sync deleted.
    #[serde(deserialize_with = "optional_whole", skip_serializing_if = "Option::is_none")]
    pub last_deleted_document_count: Option<i64>,
    /// Where the next incremental sync starts; the source's own affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_cursor: Option<Value>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Serialize for Connector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Connector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        named(deserializer, |document| Self::deserialize(document), &[])
    }
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ConnectorStatus, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(ConnectorStatus::Created))
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            name: None,
            description: None,
            index_name: None,
            service_type: None,
            language: None,
            is_native: false,
            deleted: false,
            sync_now: false,
            status: ConnectorStatus::Created,
            error: None,
            configuration: ConfigSchema::default(),
            custom_scheduling: Map::new(),
            scheduling: Scheduling::default(),
            pipeline: None,
            features: None,
            filtering: Vec::new(),
            api_key_id: None,
            api_key_secret_id: None,
            last_seen: None,
            last_synced: None,
            last_sync_scheduled_at: None,
            last_incremental_sync_scheduled_at: None,
            last_access_control_sync_scheduled_at: None,
            last_sync_status: None,
            last_access_control_sync_status: None,
            last_sync_error: None,
            last_access_control_sync_error: None,
            last_indexed_document_count: None,
            last_deleted_document_count: None,
            sync_cursor: None,
            other: Map::new(),
        }
    }
}

impl Connector {
    /// Its schedule of this kind, where one was ever set.
    #[must_use]
    pub fn schedule(&self, kind: JobType) -> Option<&ScheduleEntry> {
        match kind {
            JobType::Full => self.scheduling.full.as_ref(),
            JobType::Incremental => self.scheduling.incremental.as_ref(),
            JobType::AccessControl => self.scheduling.access_control.as_ref(),
        }
    }

    /// Slot of the last scheduled sync of this kind.
    #[must_use]
    pub fn last_scheduled_at(&self, kind: JobType) -> Option<Time> {
        match kind {
            JobType::Full => self.last_sync_scheduled_at,
            JobType::Incremental => self.last_incremental_sync_scheduled_at,
            JobType::AccessControl => self.last_access_control_sync_scheduled_at,
        }
    }

    /// Its pipeline, or the one that consumers assume (connector-api 10.2).
    #[must_use]
    pub fn pipeline_or_default(&self) -> Pipeline {
        self.pipeline.clone().unwrap_or_default()
    }

    /// The index that a job of this kind writes to.
    #[must_use]
    pub fn target_index(&self, kind: JobType) -> Option<String> {
        let name = self.index_name.as_deref().filter(|name| !name.is_empty())?;
        Some(if kind.is_content() { name.to_owned() } else { format!("{ACCESS_CONTROL_PREFIX}{name}") })
    }

    /// Its active and draft sync rules.
    #[must_use]
    pub fn filtering(&self) -> Option<&Filtering> {
        self.filtering.first()
    }
}

/// When a connector syncs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scheduling {
    /// Full syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<ScheduleEntry>,
    /// Incremental syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<ScheduleEntry>,
    /// Access-control syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_control: Option<ScheduleEntry>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleEntry {
    /// Whether it fires.
    #[serde(deserialize_with = "flag_or_no")]
    pub enabled: bool,
    /// A Quartz expression, in UTC (connector-api 9.2).
    #[serde(deserialize_with = "or_default")]
    pub interval: String,
}

/// The ingest pipeline of a connector and its switches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pipeline {
    /// Name of the pipeline.
    #[serde(deserialize_with = "pipeline_name")]
    pub name: String,
    /// Whether text is extracted from binary content.
    #[serde(deserialize_with = "flag_or_yes")]
    pub extract_binary_content: bool,
    /// Whether runs of white space become one space.
    #[serde(deserialize_with = "flag_or_yes")]
    pub reduce_whitespace: bool,
    /// Whether inference processors run.
    #[serde(deserialize_with = "flag_or_yes")]
    pub run_ml_inference: bool,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn pipeline_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(|| Pipeline::default().name))
}

impl Default for Pipeline {
    /// What consumers assume where a connector has none (sync-runtime 5.1).
    fn default() -> Self {
        Self {
            name: "search-default-ingestion".to_owned(),
            extract_binary_content: true,
            reduce_whitespace: true,
            run_ml_inference: true,
            other: Map::new(),
        }
    }
}

/// What a connector's kind of source can do, as its document tells (connector-api 10.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(pub Map<String, Value>);

impl Features {
    /// Basic sync rules, also by the legacy flag (sync-runtime 4.8).
    #[must_use]
    pub fn basic_rules(&self) -> bool {
        self.enabled(&["sync_rules", "basic"]) || self.legacy("filtering_rules")
    }

    /// Advanced sync rules, also by the legacy flag.
    #[must_use]
    pub fn advanced_rules(&self) -> bool {
        self.enabled(&["sync_rules", "advanced"]) || self.legacy("filtering_advanced_config")
    }

    /// Document level security: access control.
    #[must_use]
    pub fn document_level_security(&self) -> bool {
        self.enabled(&["document_level_security"])
    }

    /// Incremental syncs.
    #[must_use]
    pub fn incremental_sync(&self) -> bool {
        self.enabled(&["incremental_sync"])
    }

    fn enabled(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let found =
            rest.iter().try_fold(self.0.get(*first), |value, name| value.map(|value| value.get(name)));
        found.flatten().and_then(|feature| feature.get("enabled")).and_then(Value::as_bool).unwrap_or(false)
    }

    fn legacy(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn connector(value: Value) -> Connector {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nulls_and_missing_members_read_as_absent() {
        let read = connector(json!({
            "status": "connected", "configuration": null, "filtering": null, "name": null, "last_seen": null,
            "scheduling": null, "pipeline": null, "is_native": null, "custom_scheduling": null,
        }));
        assert_eq!(read, Connector { status: ConnectorStatus::Connected, ..Connector::default() });
        assert_eq!(connector(json!({})), Connector::default());
    }

    #[test]
    fn unknown_fields_are_written_back() {
        let value = json!({"status": "created", "new_thing": {"a": [1]}, "scheduling": {"yearly": {"enabled": true}}});
        let written = serde_json::to_value(connector(value)).unwrap();
        assert_eq!(written["new_thing"], json!({"a": [1]}));
        assert_eq!(written["scheduling"]["yearly"]["enabled"], true);
    }

    #[test]
    fn an_unknown_status_is_an_error_that_names_it() {
        let error =
            serde_json::from_value::<Connector>(json!({"status": "sleeping"})).unwrap_err().to_string();
        assert!(error.contains("'sleeping'") && error.contains("needs_configuration"), "{error}");
        assert!(error.contains("field 'status'"), "{error}");
    }

    #[test]
    fn features_count_by_their_new_and_old_names() {
        let features = |value: Value| serde_json::from_value::<Features>(value).unwrap();
        assert!(features(json!({"sync_rules": {"basic": {"enabled": true}}})).basic_rules());
        assert!(features(json!({"filtering_rules": true})).basic_rules());
        assert!(features(json!({"filtering_advanced_config": true})).advanced_rules());
        assert!(features(json!({"document_level_security": {"enabled": true}})).document_level_security());
        let none = features(json!({"incremental_sync": {}, "sync_rules": null}));
        assert!(!none.incremental_sync() && !none.basic_rules());
    }

    #[test]
    fn an_access_control_job_writes_to_an_index_of_its_own() {
        let connector = connector(json!({"index_name": "docs"}));
        assert_eq!(connector.target_index(JobType::Full).unwrap(), "docs");
        assert_eq!(connector.target_index(JobType::AccessControl).unwrap(), ".search-acl-filter-docs");
        assert_eq!(Connector::default().target_index(JobType::Full), None);
    }
}
