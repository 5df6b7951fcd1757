use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use tributary_sdk::{Error, ErrorKind, Event, Result};

use crate::prepare::{Preparer, Step};

/// Events handed on at once, so that the other stages get their turn. Handing on costs a switch between threads, which
/// shows with fewer.
const ROUND: usize = 1024;
/// Bytes of documents handed on at once, about.
const ROUND_BYTES: usize = 1 << 20;
/// Rounds that wait for the other stages. With the one that is being read, they are all that is held of the source
/// beside what the ledger counts.
const AHEAD: usize = 2;
/// Reads a source's listing in rounds, beside the other stages.
pub(crate) struct Reader {
    rounds: mpsc::Receiver<Round>,
    /// Not a task of its own: a source that blocks its thread must block no other than its sync's.
    reads: Option<BoxFuture<'static, std::thread::Result<()>>>,
    waiting: bool,
    panicked: Option<Box<dyn Any + Send>>,
}

/// Steps in a row, and whether the source had nothing more ready after them.
struct Round {
    steps: Vec<Step>,
    ran_dry: bool,
}

impl Reader {
    /// Starts `read`, which is to give the source's listing to [`Rounds::read`]. A round is to take about `budget`
    /// bytes at most.
    pub(crate) fn start<F>(preparer: Preparer, budget: usize, read: impl FnOnce(Rounds) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, rounds) = mpsc::channel(AHEAD);
        let reads = read(Rounds { sender, preparer, bytes: budget.min(ROUND_BYTES) });
        let reads = AssertUnwindSafe(reads.in_current_span()).catch_unwind().boxed();
        Self { rounds, reads: Some(reads), waiting: false, panicked: None }
    }

    /// Whether the source has nothing ready at the moment.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The next steps; none when the source just ran dry. Waits while the source has nothing to give. Nothing is lost
    /// when the future is dropped.
    pub(crate) async fn next(&mut self) -> Vec<Step> {
        let mut ended = Ok(());
        let round = loop {
            let Some(reads) = &mut self.reads else { break self.rounds.recv().await };
            tokio::select! {
                biased;
                round = self.rounds.recv() => break round,
                outcome = reads => (ended, self.reads) = (outcome, None),
            }
        };
        if let Some(Round { steps, ran_dry }) = round {
            self.waiting = ran_dry && self.rounds.is_empty();
            self.panicked = self.panicked.take().or(ended.err());
            return steps;
        }
        let message = match self.panicked.take().or(ended.err()) {
            Some(payload) => format!("the source panicked: {}", words(payload.as_ref())),
            None => "the source's listing ended without a word".to_owned(),
        };
        vec![Step::Broken(Error::new(ErrorKind::Internal, message))]
    }

    /// Ends the listing; the source lets go of what it holds.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Where a listing goes.
pub(crate) struct Rounds {
    sender: mpsc::Sender<Round>,
    preparer: Preparer,
    bytes: usize,
}

impl Rounds {
    /// Hands the listing on, as fast as it is taken.
    pub(crate) async fn read(mut self, mut events: BoxStream<'_, Result<Event>>) {
        let mut waiting = false;
        loop {
            let round = self.round(&mut events, &mut waiting).await;
            let last = is_last(&round.steps);
            if last {
                // It is over before anybody hears of it: whoever does may want to list the source again.
                drop(events);
                let _nobody_reads = self.sender.send(round).await;
                return;
            }
            if self.sender.send(round).await.is_err() {
                return;
            }
        }
    }

    /// The next round: a full one, or what there was until the source ran dry.
    async fn round(&mut self, events: &mut BoxStream<'_, Result<Event>>, waiting: &mut bool) -> Round {
        let (mut steps, mut weight) = (Vec::with_capacity(ROUND), 0);
        loop {
            let before = steps.len();
            let first = *waiting && steps.is_empty();
            let gathered = std::future::poll_fn(|cx| {
                let done = self.gather(cx, events, &mut steps, &mut weight);
                // Told that the source has nothing, the others wait for the first step.
                if done.is_pending() && !(first && steps.is_empty()) {
                    Poll::Ready(false)
                } else {
                    done.map(|()| true)
                }
            });
            if gathered.await {
                *waiting = false;
                return Round { steps, ran_dry: false };
            }
            if steps.len() == before {
                *waiting = true;
                return Round { steps, ran_dry: true };
            }
            // Many a stream rests after every few events and is ready again the next moment.
            tokio::task::yield_now().await;
        }
    }

    /// Takes what the source has ready. Pending: it ran dry before the round was full.
    fn gather(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut BoxStream<'_, Result<Event>>,
        steps: &mut Vec<Step>,
        weight: &mut usize,
    ) -> Poll<()> {
        while steps.len() < ROUND && *weight < self.bytes {
            let step = self.preparer.step(std::task::ready!(events.poll_next_unpin(cx)));
            *weight += step.weight();
            steps.push(step);
            if is_last(steps) {
                break;
            }
        }
        Poll::Ready(())
    }
}

fn is_last(steps: &[Step]) -> bool {
    matches!(steps.last(), Some(Step::End | Step::Broken(_)))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tributary_sdk::{DocId, Document};

    use super::*;
    use crate::spec::SyncSpec;

    fn reader(events: BoxStream<'static, Result<Event>>, budget: usize) -> Reader {
        let preparer = Preparer::new(&SyncSpec::new("job", "spool"), 0, 0);
        Reader::start(preparer, budget, |rounds| rounds.read(events))
    }

    fn upsert(n: usize) -> Result<Event> {
        Ok(Event::Upsert(Document::new(DocId::new(n.to_string()).unwrap()).field("a", "x".repeat(100))))
    }

    #[tokio::test]
    async fn reading_is_bounded_in_bytes_and_in_turns() {
        let documents = || futures::stream::iter((0..2000).map(upsert)).boxed();
        assert_eq!(reader(documents(), 1).next().await.len(), 1);
        assert!((10..100).contains(&reader(documents(), 8_000).next().await.len()));
        assert_eq!(reader(documents(), usize::MAX).next().await.len(), ROUND);
    }

    #[tokio::test]
    async fn a_source_that_runs_dry_is_told_once() {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let stream = futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        });
        let mut reader = reader(stream.boxed(), usize::MAX);
        assert!(reader.next().await.is_empty());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(reader.is_waiting() && reader.next().now_or_never().is_none());
        sender.send(upsert(1)).await.unwrap();
        assert_eq!(reader.next().await.len(), 1);
        drop(sender);
        assert!(matches!(reader.next().await[..], [Step::End]));
    }

    #[tokio::test]
    async fn a_stream_that_rests_after_every_event_still_fills_rounds() {
        let events = futures::stream::iter(0..2000).then(|n| async move {
            tokio::task::yield_now().await;
            upsert(n)
        });
        let mut reader = reader(events.boxed(), usize::MAX);
        assert!(reader.next().await.is_empty(), "it rests before the first");
        assert_eq!(reader.next().await.len(), ROUND);
    }

    #[tokio::test]
    async fn a_panic_of_the_source_breaks_the_listing_off() {
        let events =
            futures::stream::iter((0..2000).map(|n| if n < 1500 { upsert(n) } else { panic!("boom") }));
        let mut reader = reader(events.boxed(), usize::MAX);
        assert_eq!(reader.next().await.len(), ROUND);
        let last = reader.next().await;
        let [Step::Broken(error)] = &last[..] else { panic!("{last:?}") };
        assert_eq!(error.to_string(), "the source panicked: boom");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_stopped_lets_go_of_what_it_holds() {
        let held = std::sync::Arc::new(());
        let holds = std::sync::Arc::clone(&held);
        let events = futures::stream::pending().map(move |event| {
            let _held = &holds;
            event
        });
        let reader = reader(events.boxed(), 1);
        tokio::task::yield_now().await;
        assert_eq!(std::sync::Arc::strong_count(&held), 2);
        reader.stop();
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
    }
}
