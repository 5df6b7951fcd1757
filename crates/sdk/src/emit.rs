//! Ways to write a listing as straight code instead of a hand-made stream.

use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::{Error, ErrorKind, Event, Result};

/// Events handed over at once by [`blocking`], so that the two threads meet rarely.
const CHUNK: usize = 64;
/// Chunks that may wait between the two threads.
const CHUNKS: usize = 4;

/// Where listing code puts its events.
#[derive(Debug)]
pub struct Emitter {
    sender: mpsc::Sender<Result<Event>>,
}

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
    /// Hands over one event; waits while the reader is busy.
    ///
    /// # Errors
    /// [`Gone`] when nobody reads any more.
    pub async fn send(&self, event: Event) -> Result<(), Gone> {
        self.sender.send(Ok(event)).await.map_err(|_| Gone)
    }
}

/// A stream of what `listing` emits. It runs only while the stream is polled, and is dropped with it; its failure (if
/// any) becomes the last item.
pub fn stream<'a, F, T>(listing: F) -> BoxStream<'a, Result<Event>>
where
    F: FnOnce(Emitter) -> T + Send + 'a,
    T: Future<Output = Result<(), Stop>> + Send + 'a,
{
    let (sender, receiver) = mpsc::channel(1);
    let failures = sender.clone();
    let listing = listing(Emitter { sender });
    drive(receiver, failures, async { outcome(listing.await) })
}

/// Polls `listing` and the queue it fills together. A failure goes through the queue too, so that it comes after
/// everything emitted before it.
fn drive<'a, T: Send + 'a>(
    receiver: mpsc::Receiver<Result<T>>,
    failures: mpsc::Sender<Result<T>>,
    listing: impl Future<Output = Result<()>> + Send + 'a,
) -> BoxStream<'a, Result<T>> {
    let items = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    });
    let work = futures::stream::once(async move {
        if let Err(error) = listing.await {
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
            Err(panic) => {
                Err(Error::new(ErrorKind::Internal, "the listing stopped unexpectedly").because(panic))
            }
        }
    };
    drive(receiver, failures, thread)
        .flat_map(|chunk| match chunk {
            Ok(events) => futures::stream::iter(events.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => futures::stream::iter(vec![Err(error)]),
        })
        .boxed()
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
}
