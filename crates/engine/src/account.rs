use std::collections::BTreeMap;

use crate::batch::OpKind;
use crate::letters::{LetterBox, Letters};
use crate::monitor::ErrorMonitor;
use crate::port::ItemResult;
use crate::progress::Progress;
use crate::redact::without_values;
use crate::report::{Refusal, Refusals, SyncError, SyncErrorKind};
use crate::sender::{Outcome, Refused};
use crate::spec::{ErrorLimits, Limits};

/// Keeps the job's numbers and reasons. Every document ends in exactly one of its figures.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    progress: &'a Progress,
    monitor: ErrorMonitor,
    refusals: Refusals,
    samples: usize,
    queue: usize,
    /// The dead letters of the same documents.
    pub(crate) letters: LetterBox,
}

/// What an answer means to the stages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// The operation is settled.
    Settled,
    /// It is settled, under another id.
    SettledAs(String),
    /// There was no answer.
    Open,
}

impl<'a> Account<'a> {
    pub(crate) fn new(
        progress: &'a Progress,
        errors: ErrorLimits,
        limits: &Limits,
        letters: Option<Letters>,
    ) -> Self {
        Self {
            progress,
            monitor: ErrorMonitor::new(errors),
            refusals: Refusals::default(),
            samples: limits.samples,
            queue: errors.queue,
            letters: LetterBox::new(letters),
        }
    }

    pub(crate) fn restore(&mut self, counts: BTreeMap<String, u64>) {
        self.refusals.counts = counts;
    }

    pub(crate) fn progress(&self) -> &'a Progress {
        self.progress
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    pub(crate) fn into_refusals(self) -> Refusals {
        self.refusals
    }

    /// A document, listed as number `position`, stays as it is for a reason on our side.
    pub(crate) fn skipped(&mut self, refusal: Refusal, position: u64) {
        tracing::debug!(id = refusal.id, kind = refusal.kind, reason = refusal.reason, "document skipped");
        self.progress.skipped(1);
        self.left_out(refusal, OpKind::Index, position, false);
    }

    /// A document cannot be written.
    pub(crate) fn failed(&mut self, refusal: Refusal, position: u64) {
        self.refused(refusal, OpKind::Index, position);
    }

    fn refused(&mut self, refusal: Refusal, op: OpKind, position: u64) {
        tracing::debug!(id = refusal.id, kind = refusal.kind, reason = refusal.reason, "document refused");
        self.progress.failed(1);
        self.left_out(refusal, op, position, false);
    }

    fn left_out(&mut self, refusal: Refusal, op: OpKind, position: u64, written: bool) {
        self.letters.note(&refusal, op, position, written);
        self.refusals.add(refusal, self.samples);
    }

    /// A document is written without its content.
    pub(crate) fn content_left_out(&mut self, id: &str, reason: String, position: u64) {
        let refusal =
            Refusal { id: id.to_owned(), kind: "content_left_out".to_owned(), reason, status: None };
        self.left_out(refusal, OpKind::Index, position, true);
    }

    /// The index answered (or not); the error is the error monitor's, when it trips.
    pub(crate) fn answered(&mut self, outcome: Outcome, position: u64) -> (Noted, Result<(), SyncError>) {
        match outcome {
            Outcome::Abandoned => (Noted::Open, Ok(())),
            Outcome::Done { result, changed_id } => {
                self.monitor.success();
                self.done(result);
                (changed_id.map_or(Noted::Settled, |id| Noted::SettledAs(id.into())), Ok(()))
            }
            Outcome::Dropped { id } => {
                self.monitor.success();
                let id = id.into();
                let reason = "an ingest pipeline dropped the document".to_owned();
                let kind = "dropped_by_pipeline".to_owned();
                self.skipped(Refusal { id, kind, reason, status: None }, position);
                (Noted::Settled, Ok(()))
            }
            Outcome::Refused(refused) => {
                let Refused { id, op, status, kind, reason } = *refused;
                let reason = without_values(&reason, &id);
                let last = format!("{kind}: {reason}");
                let refusal = Refusal { id, kind, reason, status: Some(status) };
                self.refusals.refused_last(&refusal, self.queue);
                self.refused(refusal, op, position);
                let verdict = self.monitor.refusal(&last);
                if verdict.is_err() {
                    self.tell_last();
                }
                (Noted::Settled, verdict.map_err(too_many))
            }
        }
    }

    /// What led to the end, for the log.
    fn tell_last(&self) {
        for Refusal { id, kind, reason, status } in &self.refusals.last {
            tracing::error!(id, status, "refused: {kind}: {reason}");
        }
    }

    fn done(&self, result: ItemResult) {
        match result {
            ItemResult::Created => self.progress.created(1),
            ItemResult::Updated => self.progress.updated(1),
            ItemResult::Deleted => self.progress.deleted(1),
            ItemResult::Noop | ItemResult::NotFound => {}
        }
    }
}

fn too_many(mut message: String) -> SyncError {
    crate::report::shorten(&mut message, 2048);
    SyncError::new(SyncErrorKind::TooManyErrors, message).hint(
        "see the refused documents of this job; the error monitor's limits can be raised or switched off",
    )
}
