use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::Serialize;
use tributary_sdk::{Cursor, ErrorKind};

use crate::port::{PortError, PortErrorKind};
use crate::progress::Figures;
use crate::spec::Checkpoint;

/// How a sync ended.
#[derive(Debug)]
#[must_use]
pub enum Ended {
    /// Source and index are equal, apart from what the report names as failed or skipped.
    Completed(Report),
    /// Stopped on request; what was read is written as far as the index took it.
    Suspended {
        /// What was done.
        report: Report,
        /// Where to go on; `None`: from the beginning.
        checkpoint: Option<Checkpoint>,
    },
    /// Stopped for good on request; nothing was deleted after the request.
    Canceled(Report),
    /// Stopped by an error, or ended with one. Nothing was deleted, unless the error came while deleting.
    Failed {
        /// What was done.
        report: Report,
        /// Why.
        error: SyncError,
    },
}

impl Ended {
    /// What was done.
    #[must_use]
    pub fn report(&self) -> &Report {
        match self {
            Self::Completed(report) | Self::Canceled(report) => report,
            Self::Suspended { report, .. } | Self::Failed { report, .. } => report,
        }
    }
}

/// What a sync did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The job's numbers, earlier attempts included.
    pub figures: Figures,
    /// Refused and skipped documents.
    pub refusals: Refusals,
    /// What the person should know although the sync went on.
    pub warnings: Vec<String>,
    /// Last checkpoint of the source whose documents are all settled: where a later incremental sync may start.
    /// `None`: the source gave none, and a cursor of an earlier sync still holds.
    pub cursor: Option<Cursor>,
    /// What would be done; only of a dry run.
    pub plan: Option<Plan>,
    /// Dead letters kept of documents that this job left out; 0 too where none can be kept.
    pub letters: u64,
}

/// What a dry run found, by id. The lists are bounded by [`crate::Limits::samples`]; the figures are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Documents that would be new.
    pub created: Vec<String>,
    /// Documents that would be replaced.
    pub updated: Vec<String>,
    /// Documents that would be deleted.
    pub deleted: Vec<String>,
}

/// Documents that were not written, with their reasons: nothing is left out silently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// The first ones, at most [`crate::Limits::samples`].
    pub samples: Vec<Refusal>,
    /// How many in all, by [`Refusal::kind`].
    pub counts: BTreeMap<String, u64>,
    /// The last ones that the index refused, at most [`crate::ErrorLimits::queue`].
    pub last: VecDeque<Refusal>,
}

/// One document that was not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its id.
    pub id: String,
    /// The index's error type (`document_parsing_exception`), or one of the engine's: `source`, `body`,
    /// `content_left_out` (the document itself was written), `too_large`, `reserved_field`, `id_too_long`,
    /// `dropped_by_pipeline`.
    pub kind: String,
    /// Why, for people.
    pub reason: String,
    /// HTTP status of the index's answer, where there was one.
    pub status: Option<u16>,
}

/// Kinds counted by name; an index that invents error types does not grow the map.
const MAX_KINDS: usize = 64;
/// Longest reason that is kept, in bytes.
pub(crate) const MAX_REASON: usize = 1024;

impl Refusals {
    pub(crate) fn add(&mut self, mut refusal: Refusal, samples: usize) {
        let known = self.counts.len() < MAX_KINDS || self.counts.contains_key(&refusal.kind);
        let kind = if known { refusal.kind.clone() } else { "other".to_owned() };
        *self.counts.entry(kind).or_default() += 1;
        if self.samples.len() < samples {
            shorten(&mut refusal.reason, MAX_REASON);
            self.samples.push(refusal);
        }
    }
}

impl Refusals {
    /// The index refused a document: it is among the last `most` now.
    pub(crate) fn refused_last(&mut self, refusal: &Refusal, most: usize) {
        if most == 0 {
            return;
        }
        self.last.truncate(self.last.len().min(most));
        if self.last.len() == most {
            self.last.pop_front();
        }
        let mut refusal = refusal.clone();
        shorten(&mut refusal.reason, MAX_REASON);
        self.last.push_back(refusal);
    }
}

/// Cuts `text` to at most `limit` bytes, at a character boundary.
pub(crate) fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// Why a sync failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncError {
    /// Chooses the reaction.
    pub kind: SyncErrorKind,
    /// One line for people.
    pub message: String,
    /// What the person should do next, if known.
    pub hint: Option<String>,
}

/// What made a sync fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncErrorKind {
    /// The source could not be listed, or not completely.
    Source(ErrorKind),
    /// The source cannot do this kind of sync.
    Unsupported,
    /// The index did not take part.
    Index(PortErrorKind),
    /// Too many documents were refused.
    TooManyErrors,
    /// The delete guard stopped a mass deletion.
    DeleteGuard,
    /// The spool could not be written or read.
    Spool,
}

impl SyncError {
    pub(crate) fn new(kind: SyncErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Message and hint in one line, for job documents.
    #[must_use]
    pub fn report(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }

    pub(crate) fn source(error: &tributary_sdk::Error) -> Self {
        let kind = SyncErrorKind::Source(error.kind());
        // `report` has the hint in it already.
        Self::new(kind, error.report())
    }

    pub(crate) fn spool(error: &std::io::Error) -> Self {
        Self::new(SyncErrorKind::Spool, format!("the spool of seen ids failed: {error}"))
            .hint("check space and permissions of the state folder")
    }
}

impl From<PortError> for SyncError {
    fn from(error: PortError) -> Self {
        Self { kind: SyncErrorKind::Index(error.kind), message: error.message, hint: error.hint }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SyncError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: &str) -> Refusal {
        Refusal { id: "a".to_owned(), kind: kind.to_owned(), reason: "é".repeat(2000), status: None }
    }

    #[test]
    fn every_refusal_is_counted_and_only_the_first_are_kept() {
        let mut refusals = Refusals::default();
        for _ in 0..5 {
            refusals.add(refusal("body"), 2);
        }
        assert_eq!((refusals.samples.len(), refusals.counts["body"]), (2, 5));
        assert!(refusals.samples[0].reason.len() <= MAX_REASON + '…'.len_utf8());
    }

    #[test]
    fn the_last_refusals_are_kept_in_their_order() {
        let mut refusals = Refusals::default();
        for kind in ["a", "b", "c"] {
            refusals.refused_last(&refusal(kind), 2);
        }
        let kinds: Vec<&str> = refusals.last.iter().map(|refusal| refusal.kind.as_str()).collect();
        assert_eq!(kinds, ["b", "c"]);
        refusals.refused_last(&refusal("d"), 0);
        assert_eq!(refusals.last.len(), 2);
    }

    #[test]
    fn invented_kinds_do_not_grow_the_counts_without_bound() {
        let mut refusals = Refusals::default();
        for kind in 0..1000 {
            refusals.add(refusal(&kind.to_string()), 0);
        }
        assert_eq!(refusals.counts.len(), MAX_KINDS + 1);
        assert_eq!(refusals.counts.values().sum::<u64>(), 1000);
    }
}
