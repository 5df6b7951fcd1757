use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::backoff::{Backoff, Waited};
use crate::batch::{Batch, OpKind, OpRef};
use crate::control::{Brake, Hold};
use crate::pace::Pace;
use crate::port::{BulkAck, IndexPort, ItemAck, ItemResult, PortError, PortErrorKind};

/// What became of one operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The index did it.
    Done { result: ItemResult, changed_id: Option<Box<str>> },
    /// A pipeline dropped the document.
    Dropped { id: Box<str> },
    /// The index will not do it.
    Refused(Box<Refused>),
    /// Given up before the index answered for it.
    Abandoned,
}

/// An operation that the index will not do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) id: String,
    pub(crate) op: OpKind,
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) reason: String,
}

impl Outcome {
    fn refused(op: &OpRef, status: u16, kind: String, reason: String) -> Self {
        Self::Refused(Box::new(Refused { id: op.id.clone(), op: op.kind, status, kind, reason }))
    }
}

/// What became of one batch.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// One outcome per operation, in order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Bytes sent in requests that were answered.
    pub(crate) wire_bytes: u64,
    /// Why the rest was abandoned, when that was the index's doing.
    pub(crate) failure: Option<PortError>,
    /// What was sent: its memory can serve again.
    pub(crate) payload: Bytes,
}

/// A part of a batch and where its operations stand in the whole.
struct Piece {
    batch: Batch,
    at: Vec<usize>,
}

impl Piece {
    /// Puts itself to the front, in halves where it is larger than requests are to be by now.
    fn fitted(self, most: usize, pieces: &mut VecDeque<Self>) {
        if self.batch.len() > 1 && self.batch.payload().len() > most {
            self.halved(pieces);
        } else {
            pieces.push_front(self);
        }
    }

    fn halved(self, pieces: &mut VecDeque<Self>) {
        let Self { batch, mut at } = self;
        let (first, second) = batch.halves();
        let rest = at.split_off(first.len());
        pieces.push_front(Self { batch: second, at: rest });
        pieces.push_front(Self { batch: first, at });
    }
}

/// Sends a batch until every operation is settled: operations refused for now are retried alone, too large requests
/// are halved, and times when the index is away are ridden out for `patience` without progress. Every attempt waits
/// for its turn and tells the pace how it went.
pub(crate) async fn deliver<I: IndexPort>(
    index: &I,
    batch: Batch,
    pace: &Pace,
    patience: Duration,
    brake: &Brake,
) -> Delivery {
    let mut delivery = Delivery {
        outcomes: batch.ops().iter().map(|_| Outcome::Abandoned).collect(),
        wire_bytes: 0,
        failure: None,
        payload: batch.payload().clone(),
    };
    let mut backoff = Backoff::new(patience);
    let whole = Piece { at: (0..batch.len()).collect(), batch };
    let mut pieces = VecDeque::from([whole]);
    while let Some(piece) = pieces.pop_front() {
        let turn = pace.turn().await;
        if brake.level() >= Hold::Calls {
            break;
        }
        let bytes = piece.batch.payload().len();
        let again = match index.bulk(&piece.batch).await {
            Ok(ack) if ack.items.len() == piece.batch.len() => {
                let again = delivery.note(piece, ack, &mut backoff);
                match &again {
                    Some((_, error)) if error.kind == PortErrorKind::Throttled => turn.throttled(bytes),
                    _ => turn.answered(bytes),
                }
                let Some(again) = again else { continue };
                again
            }
            Ok(ack) => {
                let (answers, operations) = (ack.items.len(), piece.batch.len());
                let message = format!("the index gave {answers} answers to {operations} operations");
                delivery.failure = Some(PortError::new(PortErrorKind::Rejected, message));
                break;
            }
            Err(error) if error.kind == PortErrorKind::TooLarge => {
                turn.too_large(bytes);
                delivery.split(piece, &error, &mut pieces);
                continue;
            }
            Err(error) if error.is_retryable() => {
                if error.kind == PortErrorKind::Throttled {
                    turn.throttled(bytes);
                }
                (piece, error)
            }
            Err(error) => {
                delivery.failure = Some(error);
                break;
            }
        };
        let (piece, error) = again;
        let taken = pace.taken();
        let waited = backoff.wait(brake, &error).await;
        // An index that took others in the meantime has room again soon.
        if pace.taken() > taken {
            backoff.reset();
        }
        match waited {
            Waited::Again => piece.fitted(pace.batch_bytes(), &mut pieces),
            // Other pieces still get their one try: what was read is written as far as possible.
            Waited::Stopped => {}
            Waited::Enough => {
                delivery.failure = Some(error);
                break;
            }
        }
    }
    delivery
}

impl Delivery {
    /// Notes the answers; returns what has to be sent again, and why.
    fn note(&mut self, piece: Piece, ack: BulkAck, backoff: &mut Backoff) -> Option<(Piece, PortError)> {
        self.wire_bytes += ack.wire_bytes;
        let mut later: Vec<usize> = Vec::new();
        let mut reason = None;
        for (at, item) in ack.items.into_iter().enumerate() {
            if is_temporary(&item) {
                reason.get_or_insert_with(|| temporary(&item));
                later.push(at);
            } else {
                self.outcomes[piece.at[at]] = outcome(item, &piece.batch.ops()[at]);
            }
        }
        let error = reason?;
        if later.len() < piece.batch.len() {
            backoff.reset();
        }
        let at = later.iter().map(|at| piece.at[*at]).collect();
        Some((Piece { batch: piece.batch.only(|at| later.binary_search(&at).is_ok()), at }, error))
    }

    fn split(&mut self, piece: Piece, error: &PortError, pieces: &mut VecDeque<Piece>) {
        let size = piece.batch.payload().len();
        if let ([op], [position]) = (piece.batch.ops(), piece.at.as_slice()) {
            let reason = format!("the index does not take a request of {size} bytes: {}", error.message);
            self.outcomes[*position] = Outcome::refused(op, 413, "too_large".to_owned(), reason);
            return;
        }
        piece.halved(pieces);
    }
}

fn outcome(item: ItemAck, op: &OpRef) -> Outcome {
    match (item.result, item.error) {
        (Some(ItemResult::Noop), None) if op.kind == OpKind::Index => {
            Outcome::Dropped { id: op.id.as_str().into() }
        }
        (Some(result), None) => Outcome::Done { result, changed_id: item.changed_id },
        (_, Some(error)) => Outcome::refused(op, item.status, error.kind, error.reason),
        (None, None) => {
            let reason = format!("the index answered {} without a result or an error", item.status);
            Outcome::refused(op, item.status, "unknown_answer".to_owned(), reason)
        }
    }
}

/// Whether the same operation may work later (the index is busy or a shard is away).
fn is_temporary(item: &ItemAck) -> bool {
    let Some(error) = &item.error else { return false };
    matches!(item.status, 429 | 502 | 503 | 504) || error.kind == "es_rejected_execution_exception"
}

fn temporary(item: &ItemAck) -> PortError {
    let kind = if item.status == 429 { PortErrorKind::Throttled } else { PortErrorKind::Unavailable };
    let (what, why) = item.error.as_ref().map_or(("", ""), |error| (&error.kind, &error.reason));
    PortError::new(kind, format!("the index keeps refusing operations for now: {what}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::stream::BoxStream;
    use tokio::time::Instant;

    use super::*;
    use crate::port::{ItemError, Known};
    use crate::spec::Limits;

    type Answer = Box<dyn FnMut(&[String], u32) -> Result<BulkAck, PortError> + Send>;

    /// Answers each request by a function of the ids and the number of the request.
    struct Script {
        answer: Mutex<(u32, Answer)>,
        requests: Mutex<Vec<String>>,
    }

    impl Script {
        fn new(answer: impl FnMut(&[String], u32) -> Result<BulkAck, PortError> + Send + 'static) -> Self {
            Self { answer: Mutex::new((0, Box::new(answer))), requests: Mutex::default() }
        }

        fn requests(&self) -> Vec<String> {
            self.requests.lock().unwrap().clone()
        }
    }

    impl IndexPort for Script {
        async fn lookup(&self, _: &[String]) -> Result<Vec<Option<Known>>, PortError> {
            unreachable!("not used here")
        }

        async fn bulk(&self, batch: &Batch) -> Result<BulkAck, PortError> {
            let ids: Vec<String> = batch.ops().iter().map(|op| op.id.clone()).collect();
            for op in batch.ops() {
                assert_eq!(batch.lines(op), format!("{}\n", op.id), "each operation keeps its own lines");
            }
            self.requests.lock().unwrap().push(ids.join(""));
            let mut answer = self.answer.lock().unwrap();
            answer.0 += 1;
            let turn = answer.0;
            (answer.1)(&ids, turn)
        }

        fn scan_ids(&self) -> BoxStream<'_, Result<String, PortError>> {
            unreachable!("not used here")
        }

        async fn refresh(&self) -> Result<(), PortError> {
            unreachable!("not used here")
        }

        async fn count(&self) -> Result<u64, PortError> {
            unreachable!("not used here")
        }
    }

    fn batch(ids: &str) -> Batch {
        let mut payload = Vec::new();
        let ops = ids
            .chars()
            .map(|id| {
                let start = payload.len();
                payload.extend_from_slice(format!("{id}\n").as_bytes());
                OpRef { id: id.to_string(), kind: OpKind::Index, range: start..payload.len() }
            })
            .collect();
        Batch::new(Bytes::from(payload), ops)
    }

    fn created() -> ItemAck {
        ItemAck { status: 201, result: Some(ItemResult::Created), ..ItemAck::default() }
    }

    fn failed(status: u16, kind: &str) -> ItemAck {
        let error = Some(Box::new(ItemError { kind: kind.to_owned(), reason: "because".to_owned() }));
        ItemAck { status, error, ..ItemAck::default() }
    }

    fn acks(ids: &[String], item: impl Fn(&str) -> ItemAck) -> Result<BulkAck, PortError> {
        Ok(BulkAck { items: ids.iter().map(|id| item(id)).collect(), wire_bytes: 10 })
    }

    fn letters(delivery: &Delivery) -> String {
        let letter = |outcome: &Outcome| match outcome {
            Outcome::Done { .. } => 'd',
            Outcome::Refused(_) | Outcome::Dropped { .. } => 'r',
            Outcome::Abandoned => 'a',
        };
        delivery.outcomes.iter().map(letter).collect()
    }

    fn pace() -> Pace {
        Pace::new(&Limits::default())
    }

    const PATIENCE: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn operations_refused_for_now_are_retried_alone() {
        let index = Script::new(|ids, turn| {
            acks(ids, |id| match (id, turn) {
                ("b" | "d", 1) => failed(429, "es_rejected_execution_exception"),
                ("d", 2) => failed(503, "unavailable_shards_exception"),
                ("c", _) => failed(400, "document_parsing_exception"),
                _ => created(),
            })
        });
        let pace = pace();
        let delivery = deliver(&index, batch("abcd"), &pace, PATIENCE, &Brake::new()).await;
        assert_eq!(pace.limit(), 3, "few, and not one alone");
        assert_eq!(index.requests(), ["abcd", "bd", "d"]);
        assert_eq!(letters(&delivery), "ddrd");
        assert_eq!(delivery.failure, None);
        assert_eq!(delivery.wire_bytes, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_too_large_request_is_halved_down_to_the_one_that_is_too_large() {
        let index = Script::new(|ids, _| {
            if ids.len() > 2 || ids.contains(&"c".to_owned()) {
                return Err(PortError::new(PortErrorKind::TooLarge, "413"));
            }
            acks(ids, |_| created())
        });
        let delivery = deliver(&index, batch("abcde"), &pace(), PATIENCE, &Brake::new()).await;
        assert_eq!(index.requests(), ["abcde", "abc", "ab", "c", "de"]);
        assert_eq!(letters(&delivery), "ddrdd");
        let refused = &delivery.outcomes[2];
        assert!(matches!(refused, Outcome::Refused(refused) if refused.id == "c" && refused.status == 413));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_ridden_out_and_a_longer_one_fails_with_the_last_error() {
        let start = Instant::now();
        let index = Script::new(move |ids, _| {
            if start.elapsed() < Duration::from_secs(500) {
                return Err(PortError::new(PortErrorKind::Unavailable, "away"));
            }
            acks(ids, |_| created())
        });
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &Brake::new()).await;
        assert_eq!((letters(&delivery).as_str(), delivery.failure), ("dd", None));
        let index = Script::new(|_, _| Err(PortError::new(PortErrorKind::Unavailable, "away")));
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &Brake::new()).await;
        assert_eq!((letters(&delivery).as_str(), delivery.failure.unwrap().message.as_str()), ("aa", "away"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_request_is_not_sent_again() {
        let index = Script::new(|_, _| Err(PortError::new(PortErrorKind::Denied, "no")));
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &Brake::new()).await;
        assert_eq!((index.requests().len(), delivery.failure.unwrap().kind), (1, PortErrorKind::Denied));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_answer_is_not_taken_for_success() {
        let index = Script::new(|ids, _| acks(&ids[1..], |_| created()));
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &Brake::new()).await;
        assert_eq!(letters(&delivery), "aa");
        assert!(delivery.failure.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_brake_stops_retries_but_keeps_answers() {
        let brake = Brake::new();
        brake.hold(Hold::Retries);
        let index =
            Script::new(|ids, _| acks(ids, |id| if id == "a" { created() } else { failed(429, "busy") }));
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &brake).await;
        assert_eq!((letters(&delivery).as_str(), delivery.failure), ("da", None));
        brake.hold(Hold::Calls);
        let delivery = deliver(&index, batch("ab"), &pace(), PATIENCE, &brake).await;
        assert_eq!((letters(&delivery).as_str(), index.requests().len()), ("aa", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_that_takes_other_requests_is_asked_again_soon() {
        let refuses = |ids: &[String], turn| {
            if turn <= 10 {
                return Err(PortError::new(PortErrorKind::Throttled, "429"));
            }
            acks(ids, |_| created())
        };
        let (pace, start) = (pace(), Instant::now());
        let others = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                pace.turn().await.answered(1000);
            }
        };
        let (index, brake) = (Script::new(refuses), Brake::new());
        tokio::select! {
            delivery = deliver(&index, batch("a"), &pace, PATIENCE, &brake) => assert_eq!(letters(&delivery), "d"),
            () = others => {}
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        let (index, start) = (Script::new(refuses), Instant::now());
        deliver(&index, batch("a"), &pace, PATIENCE, &brake).await;
        assert!(start.elapsed() > Duration::from_secs(10), "nothing else is taken: the pauses grow");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_the_index_has_no_room_for_is_sent_in_parts_that_fit() {
        let index = Script::new(|ids, _| {
            if ids.iter().map(String::len).sum::<usize>() > 100 << 10 {
                return Err(PortError::new(PortErrorKind::Throttled, "429"));
            }
            acks(ids, |_| created())
        });
        let ids: Vec<String> = (0..40).map(|n| format!("{n:010240}")).collect();
        let mut payload = Vec::new();
        let ops = ids
            .iter()
            .map(|id| {
                let start = payload.len();
                payload.extend_from_slice(format!("{id}\n").as_bytes());
                OpRef { id: id.clone(), kind: OpKind::Index, range: start..payload.len() }
            })
            .collect();
        let (pace, start) = (pace(), Instant::now());
        let delivery = deliver(&index, Batch::new(payload.into(), ops), &pace, PATIENCE, &Brake::new()).await;
        assert_eq!(letters(&delivery), "d".repeat(40));
        assert!(pace.batch_bytes() < 200 << 10 && start.elapsed() < Duration::from_secs(5));
        assert!(index.requests().len() < 12, "{} requests", index.requests().len());
    }
}
