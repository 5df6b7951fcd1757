//! What the source lists enters the stages.

use tributary_sdk::Cursor;

use super::{Change, Item, Pipeline};
use crate::checkpoints::{Mark, Place};
use crate::order::Entered;
use crate::port::IndexPort;
use crate::prepare::{Key, Step};
use crate::report::SyncError;
use crate::spool::SeenSpool;

impl<I: IndexPort> Pipeline<'_, I> {
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
}
