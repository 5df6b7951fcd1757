//! What is listed is compared with what the index holds, and goes on, or not.

use chrono::{DateTime, Utc};

use super::{Change, Item, Pending, Pipeline, Rest};
use crate::encode::{BatchBuilder, Written};
use crate::lookup::Looked;
use crate::port::{IndexPort, Known};
use crate::prepare::Prepared;
use crate::progress::Progress;
use crate::report::SyncError;

impl<I: IndexPort> Pipeline<'_, I> {
    pub(super) fn feed(&mut self, item: Item) {
        if self.needs_lookup(&item) { self.chunk.push(item) } else { self.compared(item, None) }
    }

    fn needs_lookup(&self, item: &Item) -> bool {
        if self.index_was_empty && !item.again {
            return false;
        }
        match &item.change {
            Change::Delete(_) => self.plan.is_some(),
            Change::Index(_) => self.with_fingerprint || self.plan.is_some(),
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
                    // What is replaced as well: most databases give their rows no time, and the other service's
                    // sources write now themselves, so that every document has one.
                    let now = *self.now.get_or_insert_with(|| self.clock.now());
                    self.fetch_or_write(rest, document, now);
                }
            }
        }
    }

    fn fetch_or_write(&mut self, rest: Rest, mut document: Box<Prepared>, now: DateTime<Utc>) {
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
}

fn note(list: &mut Vec<String>, id: &str, most: usize) {
    if list.len() < most {
        list.push(id.to_owned());
    }
}
