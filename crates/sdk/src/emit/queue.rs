//! What stands between a listing and its reader: events wait here, a few at most, so that the two take turns rarely.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::emit::Gone;
use crate::{Document, Error, Event, Result};

/// Events that may wait.
const MOST_EVENTS: usize = 64;
/// Bytes of waiting events, about, from which on no other joins them.
const MOST_BYTES: usize = 256 << 10;
/// What an event costs in memory beside its texts, about.
const EVENT_BYTES: usize = 256;

/// Events that wait, and who waits for them or for room.
#[derive(Debug)]
struct Waiting {
    events: Vec<Event>,
    bytes: usize,
    reader: Option<Waker>,
    writers: Vec<Waker>,
    is_read: bool,
    is_written: bool,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.events.len() < MOST_EVENTS && self.bytes < MOST_BYTES
    }
}

#[derive(Debug)]
struct Shared(Mutex<Waiting>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listing's end.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

impl Writer {
    pub(super) async fn send(&self, event: Event) -> Result<(), Gone> {
        let mut event = Some(event);
        std::future::poll_fn(|cx| self.poll_send(cx, &mut event)).await
    }

    /// Puts the event in as soon as there is room.
    fn poll_send(&self, cx: &Context<'_>, event: &mut Option<Event>) -> Poll<Result<(), Gone>> {
        let mut waiting = self.0.lock();
        if !waiting.is_read {
            return Poll::Ready(Err(Gone));
        }
        if !waiting.has_room() {
            if !waiting.writers.iter().any(|writer| writer.will_wake(cx.waker())) {
                waiting.writers.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let Some(event) = event.take() else { return Poll::Ready(Ok(())) };
        waiting.bytes += weight(&event);
        waiting.events.push(event);
        let reader = waiting.reader.take();
        drop(waiting);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_written = false;
        let reader = waiting.reader.take();
        drop(waiting);
        reader.into_iter().for_each(Waker::wake);
    }
}

/// The reader's end.
#[derive(Debug)]
struct Reader(Arc<Shared>);

impl Reader {
    /// All that waits, `Ready(None)` when nothing ever will. With `cx` the reader is woken when that changes.
    fn poll_take(&self, cx: Option<&Context<'_>>) -> Poll<Option<Vec<Event>>> {
        let mut waiting = self.0.lock();
        if waiting.events.is_empty() {
            if !waiting.is_written {
                return Poll::Ready(None);
            }
            waiting.reader = cx.map(|cx| cx.waker().clone());
            return Poll::Pending;
        }
        // The next are likely to be as many.
        let next = Vec::with_capacity(waiting.events.len());
        let events = std::mem::replace(&mut waiting.events, next);
        waiting.bytes = 0;
        let writers = std::mem::take(&mut waiting.writers);
        drop(waiting);
        writers.into_iter().for_each(Waker::wake);
        Poll::Ready(Some(events))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_read = false;
        let writers = std::mem::take(&mut waiting.writers);
        drop(waiting);
        writers.into_iter().for_each(Waker::wake);
    }
}

/// A listing and what it has emitted: events that were emitted without a wait between them come together. It runs only
/// while it is polled, and only when everything it emitted was taken. A failure comes after everything emitted before it.
pub(super) struct Listing<'a> {
    reader: Reader,
    work: Option<BoxFuture<'a, Result<()>>>,
    failure: Option<Error>,
}

impl<'a> Listing<'a> {
    pub(super) fn new<T>(listing: impl FnOnce(Writer) -> T) -> Self
    where
        T: Future<Output = Result<()>> + Send + 'a,
    {
        let shared = Arc::new(Shared(Mutex::new(Waiting {
            events: Vec::new(),
            bytes: 0,
            reader: None,
            writers: Vec::new(),
            is_read: true,
            is_written: true,
        })));
        let reader = Reader(Arc::clone(&shared));
        Self { reader, work: Some(Box::pin(listing(Writer(shared)))), failure: None }
    }
}

impl Stream for Listing<'_> {
    type Item = Result<Vec<Event>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(events)) = self.reader.poll_take(None) {
            return Poll::Ready(Some(Ok(events)));
        }
        if let Some(work) = &mut self.work
            && let Poll::Ready(outcome) = work.as_mut().poll(cx)
        {
            self.work = None;
            self.failure = outcome.err();
        }
        match self.reader.poll_take(Some(cx)) {
            Poll::Ready(Some(events)) => Poll::Ready(Some(Ok(events))),
            _ if self.work.is_some() => Poll::Pending,
            _ if self.failure.is_some() => Poll::Ready(self.failure.take().map(Err)),
            Poll::Ready(None) => Poll::Ready(None),
            // Somebody else still has the emitter.
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Whether these events are as many bytes as may wait.
pub(super) fn is_large(events: &[Event]) -> bool {
    events.iter().map(weight).sum::<usize>() >= MOST_BYTES
}

/// About how many bytes an event takes.
fn weight(event: &Event) -> usize {
    match event {
        Event::Upsert(document) => EVENT_BYTES + document_weight(document),
        _ => EVENT_BYTES,
    }
}

fn document_weight(document: &Document) -> usize {
    let held =
        document.body.as_ref().map_or(0, |body| usize::try_from(body.held_bytes()).unwrap_or(usize::MAX));
    let fields = document.fields.iter().map(|(name, value)| name.len() + value_weight(value));
    held.saturating_add(fields.sum())
}

fn value_weight(value: &Value) -> usize {
    let own = size_of::<Value>();
    match value {
        Value::String(text) => own + text.len(),
        Value::Array(items) => own + items.iter().map(value_weight).sum::<usize>(),
        Value::Object(fields) => {
            own + fields.iter().map(|(name, value)| name.len() + value_weight(value)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => own,
    }
}
