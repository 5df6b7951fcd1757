use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tributary_client::{Created, ErrorKind, LicenseLevel};
use tributary_protocol::{ConnectorId, JobType, SyncStatus, TriggerMethod, ops};

use super::change_connector;
use crate::error::DaemonError;
use crate::lease::{METADATA, time};
use crate::memory::is_locked;
use crate::metrics::Metric;
use crate::observe::Lock;
use crate::plan::{credible, custom_job_id, slot_job_id};
use crate::service::Service;

impl Service {
    /// Creates the job of a slot and notes that the slot is served, in this order: whoever dies in between has lost
    /// nothing, since the slot is due still and its job's id is known.
    pub(crate) async fn create_slot_job(
        &self,
        id: &ConnectorId,
        kind: JobType,
        slot: DateTime<Utc>,
    ) -> Result<(), DaemonError> {
        let Some(connector) = self.client.connector(id).await?.filter(|connector| !connector.doc.deleted)
        else {
            return Ok(());
        };
        // Somebody else has served it.
        if credible(connector.doc.last_scheduled_at(kind), self.now()).is_some_and(|last| last >= slot) {
            return Ok(());
        }
        if kind == JobType::AccessControl {
            let license = self.client.license().await?;
            if !license.allows(LicenseLevel::Platinum) {
                let text = no_license(&license.kind);
                self.tell_unscheduled(id, kind, &text).await?;
                return Err(DaemonError::mendable(text));
            }
        }
        let source =
            serde_json::to_value(&connector.doc).map_err(|error| DaemonError::internal(error.to_string()))?;
        let job = ops::sync_job::create(id, &source, kind, TriggerMethod::Scheduled, self.now())
            .map_err(|error| DaemonError::mendable(error.to_string()))?;
        let job_id = slot_job_id(id, kind, slot);
        if let Created::New(_) = self.client.create_job_document(&job_id, &job).await? {
            tracing::info!(job_id = %job_id, kind = kind.as_str(), %slot, "the schedule created a job");
            self.options.metrics.count(Metric::Scheduled, &[("job_type", kind.as_str())], 1);
        }
        let field = scheduled_at(kind);
        change_connector(&self.client, id, |connector| {
            let served =
                credible(connector.doc.last_scheduled_at(kind), self.now()).is_some_and(|last| last >= slot);
            (!served).then(|| json!({ field: time(slot) }))
        })
        .await?;
        Ok(())
    }

    /// Shows in the connector's document why its schedule creates no job, as a job that failed would: once, so that what
    /// other syncs tell meanwhile is left alone.
    async fn tell_unscheduled(&self, id: &ConnectorId, kind: JobType, text: &str) -> Result<(), DaemonError> {
        let lock = Lock::of(kind);
        let (status, error) = lock.fields();
        change_connector(&self.client, id, |connector| {
            let told = match lock {
                Lock::Content => &connector.doc.last_sync_error,
                Lock::AccessControl => &connector.doc.last_access_control_sync_error,
            };
            let new = told.as_deref() != Some(text) && !is_locked(&connector.doc, lock);
            new.then(
                || json!({status: SyncStatus::Error.as_str(), error: text, "status": "error", "error": text}),
            )
        })
        .await?;
        Ok(())
    }

    /// Creates the job of a custom schedule's slot, a full sync with the schedule's configuration values, and notes that the
    /// slot is served. What such a sync does not list is not deleted: it lists a part.
    pub(crate) async fn create_custom_job(
        &self,
        id: &ConnectorId,
        key: &str,
        slot: DateTime<Utc>,
    ) -> Result<(), DaemonError> {
        let Some(connector) = self.client.connector(id).await?.filter(|connector| !connector.doc.deleted)
        else {
            return Ok(());
        };
        let found = connector.doc.custom_schedules().find(|(known, _)| *known == key);
        let Some((_, Ok(schedule))) = found else { return Ok(()) };
        if !schedule.enabled || credible(schedule.last_synced, self.now()).is_some_and(|last| last >= slot) {
            return Ok(());
        }
        let mut doc = connector.doc.clone();
        let unknown = schedule.lay_over(&mut doc.configuration);
        let partial = schedule.overrides().next().is_some();
        let source = serde_json::to_value(&doc).map_err(|error| DaemonError::internal(error.to_string()))?;
        let mut job = ops::sync_job::create(id, &source, JobType::Full, TriggerMethod::Scheduled, self.now())
            .map_err(|error| DaemonError::mendable(error.to_string()))?;
        job["metadata"] = json!({METADATA: {
            "schedule": key, "partial": partial, "unknown_overrides": unknown,
        }});
        let job_id = custom_job_id(id, key, slot);
        if let Created::New(_) = self.client.create_job_document(&job_id, &job).await? {
            tracing::info!(job_id = %job_id, schedule = key, %slot, "the custom schedule created a job");
            self.options.metrics.count(Metric::Scheduled, &[("job_type", JobType::Full.as_str())], 1);
        }
        change_connector(&self.client, id, |connector| {
            let mut entries = connector.doc.custom_schedules();
            let (_, read) = entries.find(|(known, _)| *known == key)?;
            let served = credible(read.ok()?.last_synced, self.now()).is_some_and(|last| last >= slot);
            (!served).then(|| json!({"custom_scheduling": {key: {"last_synced": time(slot)}}}))
        })
        .await?;
        Ok(())
    }

    /// Releases a lock that nobody holds, with the outcome of the last job under it.
    pub(crate) async fn unlock(&self, id: &ConnectorId, lock: Lock) -> Result<(), DaemonError> {
        // Read before the jobs are looked at, and written only as read: who takes the lock meanwhile keeps it.
        let Some(connector) = self.client.connector(id).await? else { return Ok(()) };
        if !is_locked(&connector.doc, lock) || self.runs(id, lock, None).await? {
            return Ok(());
        }
        let filter = tributary_client::JobFilter {
            connector_id: Some(id.clone()),
            types: lock.kinds().to_vec(),
            size: Some(1),
            ..Default::default()
        };
        let last = self.client.jobs(&filter).await?.into_iter().next();
        let outcome = last.filter(|job| job.doc.status != SyncStatus::Pending);
        let (status, error) = lock.fields();
        let change: Value = json!({
            status: outcome.as_ref().map(|job| job.doc.status.as_str()),
            error: outcome.as_ref().and_then(|job| job.doc.error.clone()),
        });
        match self.client.update_connector(id, &change, Some(connector.version)).await {
            Ok(_) => {
                tracing::warn!("released the connector's lock, which was taken although no job runs");
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why access control does not sync.
pub(crate) fn no_license(kind: &str) -> String {
    format!("access-control syncs need a platinum licence or a trial; the cluster's licence is '{kind}'")
}

fn scheduled_at(kind: JobType) -> &'static str {
    match kind {
        JobType::Full => "last_sync_scheduled_at",
        JobType::Incremental => "last_incremental_sync_scheduled_at",
        JobType::AccessControl => "last_access_control_sync_scheduled_at",
    }
}
