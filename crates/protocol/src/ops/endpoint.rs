//! The endpoints that change a document: their paths, bodies, and how they miss a document.

use crate::ProtocolError;

/// An endpoint that changes a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectorOp {
    /// `_filtering/_activate`.
    ActivateFiltering,
    /// `_api_key_id`.
    ApiKeyId,
    /// `_check_in`.
    CheckIn,
    /// `_configuration`.
    Configuration,
    /// `_error`.
    Error,
    /// `_features`.
    Features,
    /// `_filtering`.
    Filtering,
    /// `_filtering/_validation`.
    FilteringValidation,
    /// `_index_name`.
    IndexName,
    /// `_last_sync`.
    LastSync,
    /// `_name`.
    Name,
    /// `_native`.
    Native,
    /// `_pipeline`.
    Pipeline,
    /// `_scheduling`.
    Scheduling,
    /// `_service_type`.
    ServiceType,
    /// `_status`.
    Status,
}

impl ConnectorOp {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::ActivateFiltering,
        Self::ApiKeyId,
        Self::CheckIn,
        Self::Configuration,
        Self::Error,
        Self::Features,
        Self::Filtering,
        Self::FilteringValidation,
        Self::IndexName,
        Self::LastSync,
        Self::Name,
        Self::Native,
        Self::Pipeline,
        Self::Scheduling,
        Self::ServiceType,
        Self::Status,
    ];

    /// The path, with the connector's id in braces (connector-api 1.1).
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ActivateFiltering => "/_connector/{connector_id}/_filtering/_activate",
            Self::ApiKeyId => "/_connector/{connector_id}/_api_key_id",
            Self::CheckIn => "/_connector/{connector_id}/_check_in",
            Self::Configuration => "/_connector/{connector_id}/_configuration",
            Self::Error => "/_connector/{connector_id}/_error",
            Self::Features => "/_connector/{connector_id}/_features",
            Self::Filtering => "/_connector/{connector_id}/_filtering",
            Self::FilteringValidation => "/_connector/{connector_id}/_filtering/_validation",
            Self::IndexName => "/_connector/{connector_id}/_index_name",
            Self::LastSync => "/_connector/{connector_id}/_last_sync",
            Self::Name => "/_connector/{connector_id}/_name",
            Self::Native => "/_connector/{connector_id}/_native",
            Self::Pipeline => "/_connector/{connector_id}/_pipeline",
            Self::Scheduling => "/_connector/{connector_id}/_scheduling",
            Self::ServiceType => "/_connector/{connector_id}/_service_type",
            Self::Status => "/_connector/{connector_id}/_status",
        }
    }

    /// Whether the endpoint takes a body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        !matches!(self, Self::CheckIn | Self::ActivateFiltering)
    }
}

/// An endpoint that changes a sync job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncJobOp {
    /// `_cancel`.
    Cancel,
    /// `_check_in`.
    CheckIn,
    /// `_claim`.
    Claim,
    /// `_error`.
    Error,
    /// `_stats`.
    Stats,
}

impl SyncJobOp {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cancel, Self::CheckIn, Self::Claim, Self::Error, Self::Stats];

    /// The path, with the job's id in braces (connector-api 1.2).
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Cancel => "/_connector/_sync_job/{connector_sync_job_id}/_cancel",
            Self::CheckIn => "/_connector/_sync_job/{connector_sync_job_id}/_check_in",
            Self::Claim => "/_connector/_sync_job/{connector_sync_job_id}/_claim",
            Self::Error => "/_connector/_sync_job/{connector_sync_job_id}/_error",
            Self::Stats => "/_connector/_sync_job/{connector_sync_job_id}/_stats",
        }
    }

    /// Whether the endpoint takes a body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        !matches!(self, Self::Cancel | Self::CheckIn)
    }

    /// The error for a job that is not there (connector-api 2.7).
    #[must_use]
    pub fn missing(self, id: &str) -> ProtocolError {
        match self {
            Self::CheckIn | Self::Stats => super::sync_job::not_found(id),
            Self::Cancel | Self::Claim | Self::Error => ProtocolError::not_found(id),
        }
    }
}
