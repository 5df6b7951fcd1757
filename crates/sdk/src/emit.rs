//! Ways to write a listing as straight code instead of a hand-made stream.

mod queue;

use futures::Stream;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use tributary_tasks::TaskScope;

use crate::{Error, ErrorKind, Event, Result};
use queue::{Listing, Writer, is_large};

/// Events handed over at once by [`blocking`], so that the two threads meet rarely.
const CHUNK: usize = 64;
/// Chunks that may wait between two threads.
const CHUNKS: usize = 4;

/// Where listing code puts its events.
#[derive(Debug)]
pub struct Emitter(Writer);

/// The reader has gone: the sync was cancelled. Return from the listing code, nothing more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Why a listing stops before its end. Both [`Gone`] and [`Error`] become one, so listing code has a `?` behind
/// everything.
#[derive(Debug)]
pub enum Stop {
    /// Nobody wants the rest.
    Gone,
    /// What remains cannot be listed.
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a listing comes to; a reader that has gone wants no error either.
fn outcome(listed: Result<(), Stop>) -> Result<()> {
    match listed {
        Ok(()) | Err(Stop::Gone) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl Emitter {
    /// Hands over one event; waits while the reader is busy. A few may wait for it: they reach it as soon as the listing
    /// waits for anything, and in the order in which they were handed over.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub async fn send(&self, event: Event) -> Result<(), Gone> {
        self.0.send(event).await
    }
}

/// A stream of what `listing` emits. It runs only while the stream is polled, and is dropped with it; its failure (if
/// any) becomes the last item.
pub fn stream<'a, F, T>(listing: F) -> BoxStream<'a, Result<Event>>
where
    F: FnOnce(Emitter) -> T + Send + 'a,
    T: Future<Output = Result<(), Stop>> + Send + 'a,
{
    flat(emitted(listing))
}

/// The same on a task of its own, which goes on while the reader deals with what came before: for listings that take much of
/// a processor. It starts when the stream is first polled, needs a tokio runtime, and ends with the stream. A panic becomes
/// the last item, as a failure does. A listing that blocks its thread has no place here, since that thread serves others too:
/// see [`blocking`].
pub fn spawned<F, T>(listing: F) -> BoxStream<'static, Result<Event>>
where
    F: FnOnce(Emitter) -> T + Send + 'static,
    T: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let failures = sender.clone();
    let listing = emitted(listing);
    let task = async move {
        let mut scope = TaskScope::new();
        scope.spawn("listing", forward(listing, sender).in_current_span());
        match scope.next().await {
            Some(Err(failure)) => Err(stopped(failure)),
            Some(Ok(())) | None => Ok(()),
        }
    };
    flat(drive(receiver, failures, task))
}

fn emitted<'a, F, T>(listing: F) -> Listing<'a>
where
    F: FnOnce(Emitter) -> T,
    T: Future<Output = Result<(), Stop>> + Send + 'a,
{
    Listing::new(|writer| {
        let listing = listing(Emitter(writer));
        async { outcome(listing.await) }
    })
}

/// What is ready goes over at once. Between two chunks others get their turn: a listing may always have more.
async fn forward(mut listing: Listing<'static>, sender: mpsc::Sender<Result<Vec<Event>>>) {
    while let Some(chunk) = listing.next().await {
        // Large events do not pile up: the next wait until those before them are taken.
        let places = if chunk.as_ref().is_ok_and(|events| is_large(events)) { CHUNKS } else { 1 };
        let Ok(mut room) = sender.reserve_many(places).await else { return };
        if let Some(place) = room.next() {
            place.send(chunk);
        }
        drop(room);
        tokio::task::yield_now().await;
    }
}

fn stopped(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "the listing stopped unexpectedly").because(cause)
}

/// The events of chunks one by one.
fn flat<'a>(chunks: impl Stream<Item = Result<Vec<Event>>> + Send + 'a) -> BoxStream<'a, Result<Event>> {
    let (mut chunks, mut current) = (Box::pin(chunks), Vec::new().into_iter());
    futures::stream::poll_fn(move |cx| {
        loop {
            if let Some(event) = current.next() {
                return std::task::Poll::Ready(Some(Ok(event)));
            }
            match std::task::ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => current = chunk.into_iter(),
                Some(Err(error)) => return std::task::Poll::Ready(Some(Err(error))),
                None => return std::task::Poll::Ready(None),
            }
        }
    })
    .boxed()
}

/// Polls `work` and the queue that is filled meanwhile together. A failure goes through the queue too, so that it comes after
/// everything emitted before it.
fn drive<'a, T: Send + 'a>(
    receiver: mpsc::Receiver<Result<T>>,
    failures: mpsc::Sender<Result<T>>,
    work: impl Future<Output = Result<()>> + Send + 'a,
) -> BoxStream<'a, Result<T>> {
    let items = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    });
    let work = futures::stream::once(async move {
        if let Err(error) = work.await {
            // Nobody reads any more: then nobody misses the error either.
            let _gone = failures.send(Err(error)).await;
        }
        None
    })
    .filter_map(std::future::ready);
    futures::stream::select(items, work).boxed()
}

/// Where blocking listing code (a folder walk) puts its events.
#[derive(Debug)]
pub struct BlockingEmitter {
    sender: mpsc::Sender<Result<Vec<Event>>>,
    chunk: Vec<Event>,
}

impl BlockingEmitter {
    /// Hands over one event; blocks while the reader is busy.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub fn send(&mut self, event: Event) -> Result<(), Gone> {
        self.chunk.push(event);
        let reader_waits = self.sender.capacity() == self.sender.max_capacity();
        if self.chunk.len() >= CHUNK || reader_waits { self.flush() } else { self.still_wanted() }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(std::mem::take(&mut self.chunk))).map_err(|_| Gone)
    }

    /// Whether somebody still reads.
    ///
    /// # Errors
    /// [`Gone`] when nobody does.
    pub fn still_wanted(&self) -> Result<(), Gone> {
        if self.sender.is_closed() { Err(Gone) } else { Ok(()) }
    }
}

/// A stream of what `listing` emits on a thread for blocking work. Its failure (if any) becomes the last item, and so
/// does a panic: a listing never ends cleanly unless `listing` returned `Ok`.
pub fn blocking<F>(listing: F) -> BoxStream<'static, Result<Event>>
where
    F: FnOnce(&mut BlockingEmitter) -> Result<(), Stop> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let failures = sender.clone();
    let thread = async move {
        let outcome = tokio::task::spawn_blocking(move || {
            let mut emitter = BlockingEmitter { sender, chunk: Vec::new() };
            let listed = listing(&mut emitter);
            // What was found before a failure is still worth indexing; a reader that has gone wants nothing.
            let _gone = emitter.flush();
            outcome(listed)
        })
        .await;
        match outcome {
            Ok(outcome) => outcome,
            Err(panic) => Err(stopped(panic)),
        }
    };
    flat(drive(receiver, failures, thread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DocId, Document};

    fn upsert(n: usize) -> Event {
        Event::Upsert(Document::new(DocId::new(n.to_string()).unwrap()))
    }

    fn ids(events: &[Result<Event>]) -> Vec<String> {
        events
            .iter()
            .map(|event| match event {
                Ok(Event::Upsert(document)) => document.id.to_string(),
                Ok(other) => format!("{other:?}"),
                Err(error) => format!("error: {error}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn a_streams_failure_comes_after_everything_emitted_before_it() {
        let events: Vec<_> = stream(|emit| async move {
            for n in 0..3 {
                emit.send(upsert(n)).await?;
            }
            Err(Error::new(ErrorKind::Unavailable, "page 2").into())
        })
        .collect()
        .await;
        assert_eq!(ids(&events), ["0", "1", "2", "error: page 2"]);
    }

    #[tokio::test]
    async fn a_blocking_listing_keeps_order_and_its_failure_comes_last() {
        let events: Vec<_> = blocking(|emit| {
            for n in 0..1000 {
                emit.send(upsert(n))?;
            }
            Err(Error::new(ErrorKind::Unavailable, "disk").into())
        })
        .collect()
        .await;
        let mut expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        expected.push("error: disk".to_owned());
        assert_eq!(ids(&events), expected);
    }

    #[tokio::test]
    async fn a_panic_in_a_blocking_listing_never_looks_like_a_clean_end() {
        let events: Vec<_> = blocking(|emit| {
            let _ = emit.send(upsert(1));
            panic!("bug")
        })
        .collect()
        .await;
        assert_eq!(ids(&events), ["1", "error: the listing stopped unexpectedly"]);
    }

    #[tokio::test]
    async fn dropping_the_stream_ends_a_blocking_listing() {
        let (done, ended) = std::sync::mpsc::channel();
        let mut events = blocking(move |emit| {
            let mut n = 0;
            while emit.send(upsert(n)).is_ok() {
                n += 1;
            }
            let _ = done.send(n);
            Ok(())
        });
        assert!(events.next().await.is_some());
        drop(events);
        assert!(ended.recv_timeout(std::time::Duration::from_secs(5)).is_ok());
    }

    fn numbers(all: std::ops::Range<usize>) -> Vec<String> {
        all.map(|n| n.to_string()).collect()
    }

    #[tokio::test]
    async fn a_listing_that_waits_holds_nothing_back() {
        for spawns in [false, true] {
            let listing = |emit: Emitter| async move {
                for n in 0..3 {
                    emit.send(upsert(n)).await?;
                }
                std::future::pending::<Result<(), Stop>>().await
            };
            let mut events = if spawns { spawned(listing) } else { stream(listing) };
            let first: Vec<_> = events.by_ref().take(3).collect().await;
            assert_eq!(ids(&first), numbers(0..3));
            assert!(tokio::time::timeout(std::time::Duration::from_millis(20), events.next()).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_listing_is_ahead_by_a_bounded_number_of_events_and_bytes() {
        let large = || {
            let text = "x".repeat(100 << 10);
            Event::Upsert(Document::new(DocId::new("a").unwrap()).field("a", vec![text]))
        };
        for (most, event) in [(64, (|| upsert(1)) as fn() -> Event), (3, large)] {
            let emitted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let count = std::sync::Arc::clone(&emitted);
            let mut events = stream(move |emit| async move {
                loop {
                    emit.send(event()).await?;
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
            for taken in 1..=most * 2 {
                assert!(events.next().await.is_some());
                let ahead = emitted.load(std::sync::atomic::Ordering::SeqCst) + 1 - taken;
                assert!((1..=most).contains(&ahead), "{taken}: {ahead} of {most}");
            }
        }
    }

    #[tokio::test]
    async fn several_parts_of_a_listing_may_emit_at_once() {
        let part = async |emit: &Emitter, first: usize| {
            for n in first..first + 500 {
                emit.send(upsert(n)).await?;
            }
            Ok::<(), Gone>(())
        };
        let events: Vec<_> = stream(|emit| async move {
            let (first, second) = tokio::join!(part(&emit, 0), part(&emit, 500));
            first.and(second)?;
            Ok(())
        })
        .collect()
        .await;
        let (mut seen, mut all) = (ids(&events), numbers(0..1000));
        seen.sort();
        all.sort();
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn a_task_that_a_listing_gave_its_emitter_is_heard_to_its_end() {
        let events: Vec<_> = stream(|emit| async move {
            let mut tasks = TaskScope::new();
            tasks.spawn("part", async move {
                for n in 0..500 {
                    tokio::task::yield_now().await;
                    emit.send(upsert(n)).await.unwrap();
                }
            });
            assert!(tasks.join().await.is_empty());
            Err(Error::new(ErrorKind::Unavailable, "page 2").into())
        })
        .collect()
        .await;
        let mut expected = numbers(0..500);
        expected.push("error: page 2".to_owned());
        assert_eq!(ids(&events), expected);
    }

    #[tokio::test]
    async fn a_spawned_listing_keeps_order_and_its_failure_comes_last() {
        let events: Vec<_> = spawned(|emit| async move {
            for n in 0..1000 {
                emit.send(upsert(n)).await?;
            }
            Err(Error::new(ErrorKind::Unavailable, "page 2").into())
        })
        .collect()
        .await;
        let mut expected = numbers(0..1000);
        expected.push("error: page 2".to_owned());
        assert_eq!(ids(&events), expected);
    }

    #[tokio::test]
    async fn a_spawned_listing_is_ahead_by_few_large_events() {
        let emitted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&emitted);
        let mut events = spawned(move |emit| async move {
            loop {
                let document = Document::new(DocId::new("a").unwrap()).field("a", "x".repeat(100 << 10));
                emit.send(Event::Upsert(document)).await?;
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        assert!(events.next().await.is_some());
        // Three at once: with the reader, on the way, and about to go on it.
        let ahead = || emitted.load(std::sync::atomic::Ordering::SeqCst);
        while ahead() < 6 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(ahead() <= 9, "{}", ahead());
    }

    #[tokio::test]
    async fn a_panic_in_a_spawned_listing_never_looks_like_a_clean_end() {
        let events: Vec<_> = spawned(|emit| async move {
            emit.send(upsert(1)).await?;
            tokio::task::yield_now().await;
            panic!("bug")
        })
        .collect()
        .await;
        assert_eq!(ids(&events), ["1", "error: the listing stopped unexpectedly"]);
    }

    #[tokio::test]
    async fn a_spawned_listing_starts_with_the_first_poll_and_ends_with_the_stream() {
        let (started, ended) = (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::Arc::new(()));
        let (tells, held) = (std::sync::Arc::clone(&started), std::sync::Arc::clone(&ended));
        let mut events = spawned(move |emit| async move {
            tells.notify_one();
            let _held = held;
            loop {
                emit.send(upsert(1)).await?;
            }
        });
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, started.notified()).await.is_err());
        assert!(events.next().await.is_some());
        started.notified().await;
        drop(events);
        while std::sync::Arc::strong_count(&ended) > 1 {
            tokio::time::sleep(soon).await;
        }
    }
}
