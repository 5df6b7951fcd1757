use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tributary_sdk::{Event, Result};

use crate::prepare::{Preparer, Step};

/// Events handed on at once, so that the other stages get their turn.
const ROUND: usize = 64;

/// Reads a source's listing as far as memory allows.
pub(crate) struct Reader<'a> {
    stream: BoxStream<'a, Result<Event>>,
    preparer: Preparer,
    waiting: bool,
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: BoxStream<'a, Result<Event>>, preparer: Preparer) -> Self {
        Self { stream, preparer, waiting: false, ended: false }
    }

    /// Whether the source has nothing ready at the moment.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The next steps, about `allowance` bytes of them at most; none when the source just ran dry. Waits while the
    /// source has nothing to give. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self, allowance: usize) -> Vec<Step> {
        std::future::poll_fn(|cx| self.poll(cx, allowance)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, allowance: usize) -> Poll<Vec<Step>> {
        let mut steps = Vec::new();
        let mut weight = 0;
        while !self.ended && steps.len() < ROUND && weight < allowance {
            let Poll::Ready(event) = self.stream.poll_next_unpin(cx) else {
                let ran_dry = !std::mem::replace(&mut self.waiting, true);
                return if ran_dry || !steps.is_empty() { Poll::Ready(steps) } else { Poll::Pending };
            };
            self.waiting = false;
            let step = self.preparer.step(event);
            self.ended = matches!(step, Step::End | Step::Broken(_));
            weight += step.weight();
            steps.push(step);
        }
        if steps.is_empty() { Poll::Pending } else { Poll::Ready(steps) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tributary_sdk::{DocId, Document};

    use super::*;
    use crate::spec::SyncSpec;

    fn reader(stream: BoxStream<'_, Result<Event>>) -> Reader<'_> {
        Reader::new(stream, Preparer::new(&SyncSpec::new("job", "spool"), 0, 0))
    }

    fn upsert(n: usize) -> Result<Event> {
        Ok(Event::Upsert(Document::new(DocId::new(n.to_string()).unwrap()).field("a", "x".repeat(1000))))
    }

    #[tokio::test]
    async fn reading_is_bounded_in_bytes_and_in_turns() {
        let mut reader = reader(futures::stream::iter((0..1000).map(upsert)).boxed());
        assert_eq!(reader.next(1).await.len(), 1);
        assert!((2..10).contains(&reader.next(8_000).await.len()));
        assert_eq!(reader.next(usize::MAX).await.len(), ROUND);
    }

    #[tokio::test]
    async fn a_source_that_runs_dry_is_told_once() {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let stream = futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        });
        let mut reader = reader(stream.boxed());
        assert!(reader.next(1000).now_or_never().unwrap().is_empty());
        assert!(reader.is_waiting() && reader.next(1000).now_or_never().is_none());
        sender.send(upsert(1)).await.unwrap();
        assert_eq!(reader.next(10_000).now_or_never().unwrap().len(), 1);
        drop(sender);
        assert!(matches!(reader.next(1000).await[..], [Step::End]));
    }
}
