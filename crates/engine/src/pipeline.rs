use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use tributary_sdk::{Cursor, Error};
use tributary_tasks::Clock;

use crate::account::{Account, Noted};
use crate::bodies::{Bodies, Fetched, written};
use crate::checkpoints::{Checkpoints, Mark, Place};
use crate::control::Brake;
use crate::encode::{BatchBuilder, Style, Unwritten, Written};
use crate::ledger::Ledger;
use crate::lookup::{Looked, look_up};
use crate::order::{Entered, Order};
use crate::outbox::{Delivered, Outbox};
use crate::port::{IndexPort, Known};
use crate::prepare::{Key, Prepared, Step};
use crate::progress::Progress;
use crate::report::{Plan, Refusal, SyncError};
use crate::spec::{Checkpoint, Limits, Mode, SyncSpec};
use crate::spool::SeenSpool;

/// Time for keeping the dead letters of a sync that ends early.
const LAST_WORDS: Duration = Duration::from_millis(500);

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

    /// Starts whatever can start. `more_comes` says that the source has more ready now, so that waiting for it pays.
    pub(crate) fn pump(&mut self, more_comes: bool, reads: bool) {
        self.now = None;
        let full = self.chunk.len() >= self.limits.lookup_chunk;
        let worthwhile = full || !reads || (!more_comes && self.lookups.is_empty());
        if !self.chunk.is_empty() && worthwhile && self.lookups.len() < self.limits.concurrent_lookups {
            let items = std::mem::take(&mut self.chunk);
            let (index, patience, brake) = (self.index, self.limits.patience, self.brake.clone());
            self.lookups.push(Box::pin(async move { look_up(index, items, patience, &brake).await }));
        }
        self.bodies.start(&mut self.ledger);
        if !reads && self.chunk.is_empty() && self.lookups.is_empty() && self.bodies.is_empty() {
            self.outbox.seal();
        }
        self.outbox.launch();
        let now = self.candidate.is_some();
        self.account.letters.launch(now, self.limits.patience, &self.brake);
    }

    /// Takes a step of the source in. Returns whether the listing goes on.
    ///
    /// # Errors
    /// When the source broke off.
    pub(crate) fn take(&mut self, step: Step) -> Result<bool, SyncError> {
        match step {
            Step::End => return Ok(false),
            Step::Broken(error) => return Err(SyncError::source(&error)),
            Step::Incomplete(error) => {
                tracing::warn!(error = error.report(), "a part of the source could not be listed");
                self.checkpoints.freeze();
                self.incomplete.get_or_insert(error);
            }
            Step::Checkpoint(cursor) => self.pass(cursor),
            Step::Passed => {}
            Step::Document { key, weight, document } => {
                self.listed(key, true);
                self.enter(key, weight, Change::Index(document));
            }
            Step::Filtered { key, id } => {
                self.progress.filtered(1);
                self.gone(key, id);
            }
            Step::Gone { key, id } => self.gone(key, id),
            Step::Refused { key, refusal } => {
                self.listed(key, true);
                self.account.failed(refusal, self.position);
            }
            Step::Skipped { key, refusal } => {
                self.listed(key, true);
                self.account.skipped(refusal, self.position);
            }
        }
        Ok(true)
    }

    fn listed(&mut self, key: Key, present: bool) {
        self.progress.listed(1);
        self.position += 1;
        if let Some(seen) = &mut self.seen {
            seen.push(key, present);
        }
    }

    /// A full listing deletes what it does not tell of at its end; a listing of changes deletes at once.
    fn gone(&mut self, key: Key, id: String) {
        self.listed(key, false);
        self.account.letters.settled(key, self.position);
        if self.seen.is_none() {
            let weight = id.len() + size_of::<Item>();
            self.enter(key, weight, Change::Delete(id));
        }
    }

    fn pass(&mut self, cursor: Cursor) {
        let records = self.seen.as_mut().map_or(0, SeenSpool::mark);
        let mark = Mark { cursor, position: self.position, records };
        let due = self.resumable && self.last_stored.elapsed() >= self.limits.checkpoint_interval;
        let candidate = (due && self.candidate.is_none()).then(|| mark.clone());
        if self.checkpoints.pass(mark) && candidate.is_some() {
            self.candidate = candidate;
        }
    }

    fn enter(&mut self, key: Key, weight: usize, change: Change) {
        let place = Place { epoch: self.checkpoints.enter(), position: self.position };
        self.ledger.take(weight);
        match self.order.enter(key, Item { key, place, weight, again: false, change }) {
            Entered::Now(item) => self.feed(item),
            Entered::Waits => self.progress.duplicates(1),
            Entered::Replaces(older) => {
                self.progress.duplicates(1);
                self.ledger.give_back(older.weight);
                self.checkpoints.settle(older.place.epoch);
            }
        }
    }

    fn feed(&mut self, item: Item) {
        if self.needs_lookup(&item) { self.chunk.push(item) } else { self.compared(item, None) }
    }

    fn needs_lookup(&self, item: &Item) -> bool {
        if self.index_was_empty && !item.again {
            return false;
        }
        match &item.change {
            Change::Delete(_) => self.plan.is_some(),
            Change::Index(document) => {
                self.with_fingerprint || document.timestamp.is_none() || self.plan.is_some()
            }
        }
    }

    /// A lookup came back.
    ///
    /// # Errors
    /// When the index did not take part.
    pub(crate) fn looked(&mut self, looked: Looked) -> Result<(), SyncError> {
        // Stopped: what was read stays unsettled.
        let Some(known) = looked.known else { return Ok(()) };
        for (item, known) in looked.items.into_iter().zip(known?) {
            self.compared(item, known);
        }
        Ok(())
    }

    fn compared(&mut self, item: Item, known: Option<Known>) {
        let Item { key, place, weight, change, .. } = item;
        let rest = Rest { key, place, weight };
        match change {
            Change::Delete(id) => self.delete(&rest, id, known),
            Change::Index(document) => {
                let held = known.and_then(|known| known.fingerprint);
                if document.comparable && held.is_some() && held == document.fingerprint {
                    self.progress.unchanged(1);
                    self.account.letters.unchanged(key, place.position);
                    self.settle(key, place, weight);
                } else if self.plan.is_some() {
                    self.plan_write(&rest, *document, known.is_some());
                } else {
                    // A listing of changes dates everything (sync-runtime 6.4), a full one what is new.
                    let dated = known.is_none() || self.seen.is_none();
                    let now = dated.then(|| *self.now.get_or_insert_with(|| self.clock.now()));
                    self.fetch_or_write(rest, document, now);
                }
            }
        }
    }

    fn fetch_or_write(&mut self, rest: Rest, mut document: Box<Prepared>, now: Option<DateTime<Utc>>) {
        match document.body.take() {
            Some(body) => self.bodies.push(Pending { rest, now }, document, body),
            None => self.write(&Pending { rest, now }, *document, Written::Nothing),
        }
    }

    fn delete(&mut self, rest: &Rest, id: String, known: Option<Known>) {
        if let Some(plan) = &mut self.plan {
            if known.is_some() {
                self.progress.deleted(1);
                note(&mut plan.deleted, &id, self.limits.samples);
            }
            self.settle(rest.key, rest.place, rest.weight);
        } else {
            let bytes = self.outbox.delete(rest.key, rest.place, id);
            self.ledger.give_back(rest.weight);
            self.ledger.take(bytes);
        }
    }

    fn plan_write(&mut self, rest: &Rest, document: Prepared, exists: bool) {
        let id = document.id.clone();
        match BatchBuilder::default().index(document, Written::Nothing, None, self.style) {
            Err((id, reason)) => self.unwritten(id, reason, rest.place),
            Ok(_) => {
                let (figure, list): (fn(&Progress, u64), _) = match &mut self.plan {
                    Some(plan) if exists => (Progress::updated, &mut plan.updated),
                    Some(plan) => (Progress::created, &mut plan.created),
                    None => return,
                };
                figure(self.progress, 1);
                note(list, &id, self.limits.samples);
            }
        }
        self.settle(rest.key, rest.place, rest.weight);
    }

    /// A content came back.
    pub(crate) fn fetched(&mut self, fetched: Fetched) {
        let Fetched { pending, document, reserved, content } = fetched;
        self.ledger.release(reserved);
        match content {
            Err(error) => {
                let (id, kind) = (document.id, "body".to_owned());
                let refusal = Refusal { id, kind, reason: error.report(), status: None };
                self.account.skipped(refusal, pending.rest.place.position);
                self.settle(pending.rest.key, pending.rest.place, pending.rest.weight);
            }
            Ok(content) => {
                let content = written(content, self.extracts_attachments).unwrap_or_else(|reason| {
                    self.account.content_left_out(&document.id, reason, pending.rest.place.position);
                    Written::Nothing
                });
                if !matches!(content, Written::Nothing) {
                    self.progress.bodies(1);
                }
                self.write(&pending, *document, content);
            }
        }
    }

    fn write(&mut self, pending: &Pending, document: Prepared, content: Written) {
        let Rest { key, place, weight } = pending.rest;
        match self.outbox.index(key, place, document, content, pending.now.as_ref(), self.style) {
            Ok(bytes) => {
                self.ledger.give_back(weight);
                self.ledger.take(bytes);
            }
            Err((id, reason)) => {
                self.unwritten(id, reason, place);
                self.settle(key, place, weight);
            }
        }
    }

    fn unwritten(&mut self, id: String, reason: Unwritten, place: Place) {
        match reason {
            Unwritten::TooLarge(size) => {
                let limit = self.style.max_text_document_bytes.unwrap_or_default();
                let reason = format!("the document takes {size} bytes; the limit for text is {limit}");
                let refusal = Refusal { id, kind: "too_large".to_owned(), reason, status: None };
                self.account.skipped(refusal, place.position);
            }
            Unwritten::Malformed(reason) => {
                let refusal = Refusal { id, kind: "malformed".to_owned(), reason, status: None };
                self.account.failed(refusal, place.position);
            }
        }
    }

    /// A bulk request came back.
    ///
    /// # Errors
    /// When the index did not take part, or refused too much.
    pub(crate) fn delivered(&mut self, delivered: Delivered) -> Result<(), SyncError> {
        let Delivered { tickets, delivery } = delivered;
        self.progress.wire_bytes(delivery.wire_bytes);
        let mut verdict = Ok(());
        for (ticket, outcome) in tickets.into_iter().zip(delivery.outcomes) {
            let (noted, monitored) = self.account.answered(outcome, ticket.place.position);
            verdict = verdict.and(monitored);
            match noted {
                Noted::Open => continue,
                Noted::Settled => {}
                Noted::SettledAs(id) => {
                    // The spool of a later attempt would not know this id: checkpoints stored so far hold, since all
                    // before them was settled already, but there can be no more.
                    self.resumable = false;
                    self.candidate = None;
                    if let Some(seen) = &mut self.seen {
                        seen.push(Key::of(&id, seen.seed()), true);
                    }
                }
            }
            self.settle(ticket.key, ticket.place, ticket.bytes);
        }
        verdict.and(delivery.failure.map_or(Ok(()), |error| Err(error.into())))
    }

    fn settle(&mut self, key: Key, place: Place, bytes: usize) {
        self.ledger.give_back(bytes);
        self.checkpoints.settle(place.epoch);
        self.account.letters.settled(key, place.position);
        if let Some(next) = self.order.settle(key) {
            self.feed(Item { again: true, ..next });
        }
    }

    /// Keeps the dead letters that are not kept yet: of a sync that goes on, as long as it takes, else as far as the
    /// moment allows that is left to it.
    pub(crate) async fn keep_letters(&mut self, goes_on: bool) {
        let limit = if goes_on { self.limits.patience } else { LAST_WORDS };
        self.account.letters.finish(limit, self.limits.patience).await;
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

    /// Writes full buffers of the spool to disk and stores a checkpoint that is due.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) async fn keep_spool(&mut self) -> std::io::Result<()> {
        let Some(seen) = &mut self.seen else { return Ok(()) };
        if let Some(candidate) = &self.candidate {
            seen.cut_at(candidate.records).await?;
        }
        if seen.is_full() {
            seen.flush().await?;
        }
        let stable = self.checkpoints.stable().map_or(0, |mark| mark.records);
        // What is behind a checkpoint is never listed again, so it must be noted by then.
        let reached = self.account.letters.is_clear()
            && self.checkpoints.stable().is_some()
            && self.candidate.as_ref().is_some_and(|candidate| candidate.records <= stable);
        if reached && let Some(mark) = self.candidate.take() {
            self.store(&mark).await?;
        }
        Ok(())
    }

    /// Stores the last stable checkpoint, if it can be gone on from.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) async fn store_last(&mut self) -> std::io::Result<()> {
        if !self.resumable || !self.account.letters.is_clear() {
            return Ok(());
        }
        match self.checkpoints.stable().cloned() {
            Some(mark) => self.store(&mark).await,
            None => Ok(()),
        }
    }

    async fn store(&mut self, mark: &Mark) -> std::io::Result<()> {
        let (figures, refused) = (self.progress.snapshot(), self.account.refusals().counts.clone());
        let Some(seen) = &mut self.seen else {
            let cursor = mark.cursor.clone();
            self.stored = Some(Checkpoint { cursor, position: mark.position, figures, refused, spool: None });
            return Ok(());
        };
        if let Some(checkpoint) = seen.store(mark, figures, refused).await? {
            self.stored = Some(checkpoint);
        }
        self.last_stored = Instant::now();
        Ok(())
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
    now: Option<DateTime<Utc>>,
}

fn note(list: &mut Vec<String>, id: &str, most: usize) {
    if list.len() < most {
        list.push(id.to_owned());
    }
}
