use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::checkpoints::Place;
use crate::control::{Brake, Hold};
use crate::encode::{BatchBuilder, Style, Unwritten, Written};
use crate::pace::Pace;
use crate::port::IndexPort;
use crate::prepare::{Key, Prepared};
use crate::sender::{Delivery, deliver};
use crate::spec::Limits;

/// What the stages remember of an operation on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// Its document.
    pub(crate) key: Key,
    /// Where it stands in the listing.
    pub(crate) place: Place,
    /// Its size in the request.
    pub(crate) bytes: usize,
}

/// A batch that came back.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) delivery: Delivery,
}

/// Gathers operations into bulk requests and has several of them on their way.
pub(crate) struct Outbox<'a, I> {
    index: &'a I,
    brake: Brake,
    limits: Limits,
    filling: BatchBuilder,
    tickets: Vec<Ticket>,
    since: Option<Instant>,
    ready: VecDeque<(Batch, Vec<Ticket>)>,
    flying: FuturesUnordered<BoxFuture<'a, Delivered>>,
    pace: Pace,
}

impl<'a, I: IndexPort> Outbox<'a, I> {
    pub(crate) fn new(index: &'a I, limits: Limits, brake: Brake) -> Self {
        Self {
            index,
            brake,
            limits,
            filling: BatchBuilder::default(),
            tickets: Vec::new(),
            since: None,
            ready: VecDeque::new(),
            flying: FuturesUnordered::new(),
            pace: Pace::new(&limits),
        }
    }

    /// Takes a document in; returns its size in the request.
    ///
    /// # Errors
    /// Its id, and why it cannot be written.
    pub(crate) fn index(
        &mut self,
        key: Key,
        place: Place,
        document: Prepared,
        content: Written,
        now: Option<&DateTime<Utc>>,
        style: Style,
    ) -> Result<usize, (String, Unwritten)> {
        let bytes = self.filling.index(document, content, now, style)?;
        self.added(Ticket { key, place, bytes });
        Ok(bytes)
    }

    /// Takes a delete in; returns its size in the request.
    pub(crate) fn delete(&mut self, key: Key, place: Place, id: String) -> usize {
        let bytes = self.filling.delete(id);
        self.added(Ticket { key, place, bytes });
        bytes
    }

    fn added(&mut self, ticket: Ticket) {
        let most = self.pace.batch_bytes();
        if self.filling.bytes() > most
            && self.filling.len() > 1
            && let Some(last) = self.filling.split_last()
        {
            self.seal();
            self.filling = last;
        }
        self.tickets.push(ticket);
        self.since.get_or_insert_with(Instant::now);
        if self.filling.bytes() >= most || self.filling.len() >= self.limits.batch_items {
            self.seal();
        }
    }

    /// Closes the batch that is being filled.
    pub(crate) fn seal(&mut self) {
        self.since = None;
        if !self.filling.is_empty() {
            self.ready.push_back((self.filling.seal(), std::mem::take(&mut self.tickets)));
        }
    }

    /// When the batch that is being filled has waited long enough.
    pub(crate) fn linger_ends(&self) -> Option<Instant> {
        self.since.map(|since| since + self.limits.linger)
    }

    /// Sends what is ready, as far as the index's pace allows.
    pub(crate) fn launch(&mut self) {
        while self.flying.len() < self.pace.limit()
            && let Some((batch, tickets)) = self.ready.pop_front()
        {
            let (index, patience, brake) = (self.index, self.limits.patience, self.brake.clone());
            let pace = self.pace.clone();
            self.flying.push(Box::pin(async move {
                let delivery = deliver(index, batch, &pace, patience, &brake).await;
                Delivered { tickets, delivery }
            }));
        }
    }

    /// The next batch that came back; `None` when none is on its way. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Delivered> {
        let mut delivered = self.flying.next().await?;
        self.filling.recycle(std::mem::take(&mut delivered.delivery.payload));
        Some(delivered)
    }

    /// Whether nothing is gathered or on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.filling.is_empty() && !self.is_sending()
    }

    /// Whether requests are on their way, or will be.
    pub(crate) fn is_sending(&self) -> bool {
        !self.ready.is_empty() || !self.flying.is_empty()
    }

    /// Requests that are gathered and wait for their turn.
    pub(crate) fn is_backed_up(&self) -> bool {
        // What is ready waits only while requests are on their way: whose answers let it go.
        let operations: usize = self.ready.iter().map(|(batch, _)| batch.len()).sum();
        self.ready.len() >= self.limits.concurrent_bulks || operations >= self.limits.queued_items
    }

    /// Drops what was not sent yet; what is on its way makes no further attempt.
    pub(crate) fn stop(&mut self) {
        self.brake.hold(Hold::Calls);
        self.filling = BatchBuilder::default();
        self.tickets.clear();
        self.since = None;
        self.ready.clear();
    }

    /// Drops what is on its way without waiting for the answers; returns how many requests that were.
    pub(crate) fn abandon(&mut self) -> usize {
        let requests = self.flying.len();
        self.flying.clear();
        requests
    }

    /// The next batch that came back by `deadline`.
    pub(crate) async fn next_until(&mut self, deadline: Instant) -> Option<Delivered> {
        tokio::time::timeout_at(deadline, self.next()).await.ok().flatten()
    }
}
