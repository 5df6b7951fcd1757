//! What the endings of a job write (sync-runtime 5.5). Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tributary_engine::{Figures, Refusal, Refusals};
use tributary_protocol::{Connector, ConnectorStatus, JobType, SyncStatus};

use crate::error::storable;
use crate::lease::{Lease, METADATA, time};
use crate::observe::Lock;
use crate::redact::Redactor;

/// Where our part of a job's metadata has its last log lines.
pub(crate) const LOG: &str = "log";
/// Refused documents that a job's document names.
const NAMED: usize = 100;
/// Longest reason there, in bytes.
const LONGEST_REASON: usize = 300;

/// How a job ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: SyncStatus,
    /// Why it failed.
    pub(crate) error: Option<String>,
    pub(crate) figures: Figures,
    /// Documents in the index afterwards, where they could be counted.
    pub(crate) total: Option<u64>,
    /// Where the next incremental sync starts; `None`: where it would have before.
    pub(crate) cursor: Option<Value>,
    /// Where a suspended job goes on.
    pub(crate) checkpoint: Option<String>,
    pub(crate) refusals: Refusals,
    pub(crate) warnings: Vec<String>,
    /// Dead letters that are kept of the refused documents.
    pub(crate) letters: u64,
    /// The job's last log lines, where there are new ones.
    pub(crate) log: Option<Vec<String>>,
}

impl Outcome {
    pub(crate) fn of(status: SyncStatus, figures: Figures) -> Self {
        Self {
            status,
            error: None,
            figures,
            total: None,
            cursor: None,
            checkpoint: None,
            refusals: Refusals::default(),
            warnings: Vec::new(),
            letters: 0,
            log: None,
        }
    }

    /// Hides secrets in everything that people will read.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        let texts = self.error.iter_mut().chain(&mut self.warnings);
        let refusals = self.refusals.samples.iter_mut().chain(&mut self.refusals.last);
        let reasons = refusals.map(|refusal| &mut refusal.reason);
        for text in texts.chain(reasons) {
            *text = redactor.owned(std::mem::take(text));
        }
    }

    pub(crate) fn failed(figures: Figures, error: &str) -> Self {
        Self { error: Some(storable(error)), ..Self::of(SyncStatus::Error, figures) }
    }

    /// The same ending where somebody asked to cancel the job meanwhile: such a job may only end as cancelled or
    /// failed (connector-api 11.2).
    pub(crate) fn given(&self, current: SyncStatus) -> SyncStatus {
        match (current, self.status) {
            (SyncStatus::Canceling, SyncStatus::Error) => SyncStatus::Error,
            (SyncStatus::Canceling, _) => SyncStatus::Canceled,
            (_, status) => status,
        }
    }

    /// The job's document.
    pub(crate) fn job_change(&self, current: SyncStatus, lease: &Lease, now: DateTime<Utc>) -> Value {
        let status = self.given(current);
        let ended = Lease {
            token: None,
            expires_at: None,
            checkpoint: self.checkpoint.clone().filter(|_| status == SyncStatus::Suspended),
            ..lease.clone()
        };
        let mut change = counts(&self.figures);
        change["status"] = status.as_str().into();
        change["error"] = json!(self.error);
        change["last_seen"] = time(now).into();
        change["metadata"] = ended.to_metadata();
        change["metadata"][METADATA]["figures"] = json!(self.figures);
        if let Some(total) = self.total {
            change["total_document_count"] = whole(total).into();
        }
        if status.is_final() {
            change["completed_at"] = time(now).into();
        }
        if status == SyncStatus::Canceled {
            change["canceled_at"] = time(now).into();
        }
        if !self.refusals.counts.is_empty() {
            change["metadata"][METADATA]["refused"] = refused(&self.refusals, self.letters);
        }
        if let Some(log) = &self.log {
            change["metadata"][METADATA][LOG] = json!(log);
        }
        if !self.warnings.is_empty() {
            change["metadata"][METADATA]["warnings"] = json!(self.warnings);
        }
        change
    }

    /// The connector's document. `status`: as the job ended.
    pub(crate) fn connector_change(
        &self,
        status: SyncStatus,
        kind: JobType,
        doc: &Connector,
        now: DateTime<Utc>,
    ) -> Value {
        let (status_field, error_field) = Lock::of(kind).fields();
        let mut change = json!({
            status_field: status.as_str(),
            error_field: self.error,
            "last_synced": time(now),
        });
        // Configuring goes on whatever a sync of the former configuration came to.
        match doc.status {
            ConnectorStatus::Created | ConnectorStatus::NeedsConfiguration => {}
            ConnectorStatus::Configured if self.error.is_none() => {}
            _ => {
                let told =
                    if self.error.is_some() { ConnectorStatus::Error } else { ConnectorStatus::Connected };
                change["status"] = told.as_str().into();
                change["error"] = json!(self.error);
            }
        }
        if status.is_final() {
            change["last_indexed_document_count"] = self.figures.indexed().into();
            change["last_deleted_document_count"] = self.figures.deleted.into();
        }
        if status == SyncStatus::Completed
            && kind.is_content()
            && let Some(cursor) = &self.cursor
        {
            change["sync_cursor"] = cursor.clone();
        }
        change
    }
}

/// What a renewal of the lease writes: that the worker lives, and how far it is.
pub(crate) fn progress_change(
    figures: &Figures,
    expires_at: DateTime<Utc>,
    log: Option<&[String]>,
    now: DateTime<Utc>,
) -> Value {
    let mut change = counts(figures);
    change["last_seen"] = time(now).into();
    change["metadata"] = json!({ METADATA: { "lease_expires_at": time(expires_at) } });
    if let Some(log) = log {
        change["metadata"][METADATA][LOG] = json!(log);
    }
    change
}

fn counts(figures: &Figures) -> Value {
    json!({
        "indexed_document_count": whole(figures.indexed()),
        "indexed_document_volume": whole((figures.wire_bytes + (1 << 19)) >> 20),
        "deleted_document_count": whole(figures.deleted),
    })
}

/// The protocol's indices hold counts as 32-bit integers.
fn whole(count: u64) -> u64 {
    count.min(i32::MAX as u64)
}

/// Where dead letters tell of the documents, the job's document names only the last ones that were refused.
fn refused(refusals: &Refusals, letters: u64) -> Value {
    let last: Vec<Value> = refusals.last.iter().take(NAMED).map(named).collect();
    let mut told = json!({"counts": refusals.counts, "last": last, "dead_letters": letters});
    if letters == 0 {
        told["samples"] = refusals.samples.iter().take(NAMED).map(named).collect();
    }
    told
}

fn named(refusal: &Refusal) -> Value {
    let mut reason = refusal.reason.as_str();
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        reason = &reason[..end];
    }
    json!({"id": refusal.id, "kind": refusal.kind, "reason": reason, "status": refusal.status})
}

/// A source's cursor as a connector's document holds it: as an object, which the protocol demands.
pub(crate) fn stored_cursor(cursor: &Value) -> Value {
    if cursor.is_object() { cursor.clone() } else { json!({ METADATA: cursor }) }
}

/// The source's cursor in a connector's document.
pub(crate) fn source_cursor(stored: &Value) -> Option<Value> {
    match stored {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::Object(fields) if fields.len() == 1 => Some(fields.get(METADATA).unwrap_or(stored).clone()),
        _ => Some(stored.clone()),
    }
}

/// Whether merging `new` into `old` gives something else than `new`.
pub(crate) fn merging_differs(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().any(|(name, value)| new.get(name).is_none_or(|new| merging_differs(value, new)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn figures() -> Figures {
        Figures { created: 2, updated: 1, deleted: 4, wire_bytes: 5 << 20, ..Figures::default() }
    }

    #[test]
    fn every_ending_writes_the_fields_of_the_protocol() {
        use SyncStatus::{Canceled, Completed, Error, Suspended};
        for (status, completed_at, canceled_at) in [
            (Completed, true, false),
            (Error, true, false),
            (Canceled, true, true),
            (Suspended, false, false),
        ] {
            let outcome = Outcome::of(status, figures());
            let change = outcome.job_change(SyncStatus::InProgress, &Lease::default(), now());
            assert_eq!(change["status"], status.as_str());
            assert_eq!(change.get("completed_at").is_some(), completed_at, "{status:?}");
            assert_eq!(change.get("canceled_at").is_some(), canceled_at, "{status:?}");
            assert_eq!(change["indexed_document_count"], 3);
            assert_eq!(change["indexed_document_volume"], 5);
            assert!(change["metadata"]["tributary"]["token"].is_null(), "nobody holds the job any more");
            let connector = outcome.connector_change(status, JobType::Full, &Connector::default(), now());
            assert_eq!(connector["last_sync_status"], status.as_str());
            assert_eq!(connector.get("last_indexed_document_count").is_some(), status != Suspended);
        }
    }

    #[test]
    fn a_job_that_was_to_be_cancelled_ends_as_cancelled_or_failed() {
        use SyncStatus::{Canceled, Canceling, Completed, Error, InProgress, Suspended};
        for (current, status, expected) in [
            (Canceling, Completed, Canceled),
            (Canceling, Suspended, Canceled),
            (Canceling, Error, Error),
            (InProgress, Completed, Completed),
        ] {
            assert_eq!(Outcome::of(status, figures()).given(current), expected);
        }
    }

    #[test]
    fn the_end_of_a_sync_does_not_take_back_that_somebody_configured_the_connector() {
        let change = |status, error: Option<&str>| {
            let outcome = error.map_or_else(
                || Outcome::of(SyncStatus::Completed, figures()),
                |error| Outcome::failed(figures(), error),
            );
            let doc = Connector { status, ..Connector::default() };
            outcome.connector_change(outcome.status, JobType::AccessControl, &doc, now())["status"].clone()
        };
        assert_eq!(change(ConnectorStatus::Connected, Some("x")), "error");
        assert_eq!(change(ConnectorStatus::Error, None), "connected");
        assert_eq!(change(ConnectorStatus::Configured, None), Value::Null);
        assert_eq!(change(ConnectorStatus::NeedsConfiguration, Some("x")), Value::Null);
    }

    #[test]
    fn refused_documents_are_named_up_to_a_bound_and_all_counted() {
        let refusal =
            Refusal { id: "a".into(), kind: "k".into(), reason: "é".repeat(500), status: Some(400) };
        let refusals = Refusals {
            samples: vec![refusal.clone(); 500],
            counts: [("k".to_owned(), 700)].into(),
            last: [refusal].into(),
        };
        let outcome = Outcome { refusals, ..Outcome::of(SyncStatus::Completed, figures()) };
        let change = outcome.job_change(SyncStatus::InProgress, &Lease::default(), now());
        let refused = &change["metadata"]["tributary"]["refused"];
        assert_eq!(refused["samples"].as_array().unwrap().len(), NAMED);
        assert_eq!(refused["counts"]["k"], 700);
        assert_eq!(refused["last"].as_array().unwrap().len(), 1);
        assert!(change.to_string().len() < 100_000);
        let outcome = Outcome { letters: 700, ..outcome };
        let change = outcome.job_change(SyncStatus::InProgress, &Lease::default(), now());
        let refused = &change["metadata"]["tributary"]["refused"];
        assert_eq!(refused["dead_letters"], 700);
        assert!(refused["samples"].is_null(), "dead letters tell of them");
    }

    #[test]
    fn any_cursor_comes_back_as_the_source_gave_it() {
        for cursor in [json!("2026"), json!(5), json!([1]), json!({"a": 1, "b": 2}), json!({"a": {"b": 1}})] {
            assert_eq!(source_cursor(&stored_cursor(&cursor)), Some(cursor));
        }
        assert_eq!(source_cursor(&json!({})), None);
        assert_eq!(source_cursor(&Value::Null), None);
    }

    #[test]
    fn a_cursor_that_lost_a_member_cannot_be_merged_into_the_former_one() {
        for (old, new, differs) in [
            (json!({"a": 1}), json!({"a": 2}), false),
            (json!({"a": 1}), json!({"b": 2}), true),
            (json!({"a": {"x": 1}}), json!({"a": {"y": 1}}), true),
            (json!({"a": {"x": 1}}), json!({"a": 5}), false),
            (Value::Null, json!({"a": 5}), false),
        ] {
            assert_eq!(merging_differs(&old, &new), differs, "{old} {new}");
        }
    }
}
