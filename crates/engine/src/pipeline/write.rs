//! Documents, with their contents where they have some, are written into requests.

use super::{Pending, Pipeline, Rest};
use crate::bodies::{Fetched, written};
use crate::checkpoints::Place;
use crate::encode::{Unwritten, Written};
use crate::port::IndexPort;
use crate::prepare::Prepared;
use crate::report::Refusal;

impl<I: IndexPort> Pipeline<'_, I> {
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

    pub(super) fn write(&mut self, pending: &Pending, document: Prepared, content: Written) {
        let Rest { key, place, weight } = pending.rest;
        match self.outbox.index(key, place, document, content, Some(&pending.now), self.style) {
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

    pub(super) fn unwritten(&mut self, id: String, reason: Unwritten, place: Place) {
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
}
