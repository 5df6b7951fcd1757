mod answer;
mod compare;
mod keep;
mod listing;
mod write;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tributary_sdk::Error;
use tributary_tasks::Clock;

use crate::account::Account;
use crate::bodies::Bodies;
use crate::checkpoints::{Checkpoints, Mark, Place};
use crate::control::Brake;
use crate::encode::Style;
use crate::ledger::Ledger;
use crate::lookup::{Looked, look_up};
use crate::order::Order;
use crate::outbox::Outbox;
use crate::port::IndexPort;
use crate::prepare::{Key, Prepared};
use crate::progress::Progress;
use crate::report::Plan;
use crate::spec::{Checkpoint, Limits, Mode, SyncSpec};
use crate::spool::SeenSpool;

/// A change on its way through the stages.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) place: Place,
    /// Bytes it takes in the ledger.
    pub(crate) weight: usize,
    /// Whether an earlier change of the same document was made by this very sync.
    pub(crate) again: bool,
    pub(crate) change: Change,
}

/// What is to be done with a document.
#[derive(Debug)]
pub(crate) enum Change {
    Index(Box<Prepared>),
    Delete(String),
}

/// All stages between the source and the index, and what they hold. Decisions are made here, without waiting; the
/// driver waits.
pub(crate) struct Pipeline<'a, I> {
    pub(crate) index: &'a I,
    pub(crate) progress: &'a Progress,
    pub(crate) brake: Brake,
    pub(crate) account: Account<'a>,
    pub(crate) outbox: Outbox<'a, I>,
    pub(crate) bodies: Bodies,
    pub(crate) lookups: FuturesUnordered<BoxFuture<'a, Looked>>,
    pub(crate) seen: Option<SeenSpool>,
    pub(crate) checkpoints: Checkpoints,
    /// What keys are made with.
    pub(crate) seed: u64,
    /// Whether an earlier attempt of the job went before.
    pub(crate) went_on: bool,
    /// The last stored checkpoint.
    pub(crate) stored: Option<Checkpoint>,
    /// The first part of the source that was not listed.
    pub(crate) incomplete: Option<Error>,
    pub(crate) plan: Option<Plan>,
    /// Bulk requests that were given up before they were answered.
    pub(crate) unanswered: usize,
    pub(crate) limits: Limits,
    ledger: Ledger,
    order: Order<Item>,
    chunk: Vec<Item>,
    extracts_attachments: bool,
    with_fingerprint: bool,
    style: Style,
    clock: Arc<dyn Clock>,
    /// The time of the changes of one turn.
    now: Option<DateTime<Utc>>,
    /// Whether the index held nothing at the start, so that nothing needs to be looked up.
    index_was_empty: bool,
    /// Whether the source can go on from a checkpoint of a full listing.
    resumable: bool,
    position: u64,
    candidate: Option<Mark>,
    last_stored: Instant,
}

/// Whether the source is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Goes,
    /// It goes on when the stages hold less.
    Paused,
    Ended,
}

/// What a pipeline starts with.
pub(crate) struct Start {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seen: Option<SeenSpool>,
    pub(crate) max_body_bytes: u64,
    pub(crate) index_was_empty: bool,
    pub(crate) resumable: bool,
    pub(crate) resumed: Option<Checkpoint>,
    pub(crate) style: Style,
}

impl<'a, I: IndexPort> Pipeline<'a, I> {
    pub(crate) fn new(index: &'a I, spec: &SyncSpec, account: Account<'a>, start: Start) -> Self {
        let (limits, brake) = (spec.limits, Brake::new());
        Self {
            index,
            progress: account.progress(),
            account,
            outbox: Outbox::new(index, limits, brake.clone()),
            brake,
            bodies: Bodies::new(limits.concurrent_bodies, start.max_body_bytes, spec.extractor.clone()),
            lookups: FuturesUnordered::new(),
            seen: start.seen,
            seed: 0,
            went_on: start.resumed.is_some(),
            checkpoints: Checkpoints::default(),
            incomplete: None,
            unanswered: 0,
            plan: (spec.mode == Mode::Plan).then(Plan::default),
            limits,
            ledger: Ledger::new(limits.in_flight_bytes),
            order: Order::default(),
            chunk: Vec::new(),
            extracts_attachments: spec.extracts_attachments,
            with_fingerprint: spec.fingerprint,
            style: start.style,
            clock: start.clock,
            now: None,
            index_was_empty: start.index_was_empty,
            resumable: start.resumable,
            position: start.resumed.as_ref().map_or(0, |checkpoint| checkpoint.position),
            stored: start.resumed,
            candidate: None,
            last_stored: Instant::now(),
        }
    }

    /// Keys are made with this seed from now on.
    pub(crate) fn begin(&mut self, seed: u64) {
        self.seed = seed;
        self.account.letters.begin(seed);
    }

    /// Bytes that may be read now; 0 means: do not read.
    pub(crate) fn reading_allowance(&self) -> usize {
        if self.chunk.len() >= self.limits.lookup_chunk || self.outbox.is_backed_up() {
            return 0;
        }
        self.ledger.reading_allowance(!self.bodies.is_empty())
    }

    /// Whether everything that was read is through.
    pub(crate) fn is_idle(&self) -> bool {
        self.chunk.is_empty() && self.lookups.is_empty() && self.bodies.is_empty() && self.outbox.is_empty()
    }

    /// Whether only the source can make it go on: for its listing, where that is read, or for a content.
    pub(crate) fn waits_for_source(&self, reading: Reading) -> bool {
        let asked = reading == Reading::Goes || !self.bodies.is_empty();
        asked && self.lookups.is_empty() && self.outbox.is_empty()
    }

    /// Starts whatever can start. `more_comes` says that the source has more ready now, so that waiting for it pays.
    pub(crate) fn pump(&mut self, more_comes: bool, reading: Reading) {
        self.now = None;
        let full = self.chunk.len() >= self.limits.lookup_chunk;
        // Paused by requests on their way, whose answers let it go on: what is gathered by then fills up.
        let stuck = reading == Reading::Paused && !self.outbox.is_sending();
        let ended = reading == Reading::Ended;
        let worthwhile = full || ended || ((stuck || !more_comes) && self.lookups.is_empty());
        if !self.chunk.is_empty() && worthwhile && self.lookups.len() < self.limits.concurrent_lookups {
            let items = std::mem::take(&mut self.chunk);
            let (index, patience, brake) = (self.index, self.limits.patience, self.brake.clone());
            self.lookups.push(Box::pin(async move { look_up(index, items, patience, &brake).await }));
        }
        self.bodies.start(&mut self.ledger);
        if (stuck || ended) && self.chunk.is_empty() && self.lookups.is_empty() && self.bodies.is_empty() {
            self.outbox.seal();
        }
        self.outbox.launch();
        let now = self.candidate.is_some();
        self.account.letters.launch(now, self.limits.patience, &self.brake);
    }

    /// A document of the index is deleted, with no other change of it on its way.
    pub(crate) fn delete_now(&mut self, key: Key, id: String) {
        let place = Place { epoch: self.checkpoints.enter(), position: u64::MAX };
        let bytes = self.outbox.delete(key, place, id);
        self.ledger.take(bytes);
    }

    /// Drops everything that was not sent; what is on its way makes no further attempt.
    pub(crate) fn stop(&mut self) {
        self.outbox.stop();
        self.bodies.clear();
        self.lookups.clear();
        self.chunk.clear();
    }

    /// Most bytes the stages ever held.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.ledger.peak()
    }

    pub(crate) fn grace(&self, suspended: bool) -> Duration {
        if suspended { self.limits.suspend_grace } else { self.limits.cancel_grace }
    }
}

/// What the stages remember of a document whose change was decided.
#[derive(Debug)]
pub(crate) struct Rest {
    key: Key,
    place: Place,
    weight: usize,
}

/// A document that is to be written.
#[derive(Debug)]
pub(crate) struct Pending {
    rest: Rest,
    /// Its time of change, where the source gives none.
    now: DateTime<Utc>,
}
