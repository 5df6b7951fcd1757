//! Every operation is settled by its own answer.

use std::time::Duration;

use super::{Item, Pipeline};
use crate::account::Noted;
use crate::checkpoints::Place;
use crate::outbox::Delivered;
use crate::port::IndexPort;
use crate::prepare::Key;
use crate::report::SyncError;

/// Time for keeping the dead letters of a sync that ends early.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl<I: IndexPort> Pipeline<'_, I> {
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

    pub(super) fn settle(&mut self, key: Key, place: Place, bytes: usize) {
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
}
