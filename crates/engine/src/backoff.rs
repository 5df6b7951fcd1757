use std::time::Duration;

use tokio::time::Instant;

use crate::control::{Brake, Hold};
use crate::port::{PortError, PortErrorKind};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits between calls that failed for now: twice as long each time, until the patience without any progress is
/// used up.
#[derive(Debug)]
pub(crate) struct Backoff {
    patience: Duration,
    next: Duration,
    since: Option<Instant>,
    turns: u32,
}

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Try again.
    Again,
    /// Patience is used up.
    Enough,
    /// Waiting is no longer wanted.
    Stopped,
}

impl Backoff {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, next: FIRST, since: None, turns: 0 }
    }

    /// Something went well: patience starts anew.
    pub(crate) fn reset(&mut self) {
        *self = Self { turns: self.turns, ..Self::new(self.patience) };
    }

    /// Waits for the next turn after `error`, at least as long as the index asked for. An index that is there and only
    /// wants less at once is waited for a fifth of the time.
    pub(crate) async fn wait(&mut self, brake: &Brake, error: &PortError) -> Waited {
        if brake.level() >= Hold::Retries {
            return Waited::Stopped;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = self.patience.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Waited::Enough;
        }
        let next = if error.kind == PortErrorKind::Throttled { self.next / 5 } else { self.next };
        let pause = self.spread(next).max(error.retry_after.unwrap_or_default()).min(left);
        self.next = (self.next * 2).min(LONGEST);
        tokio::select! {
            () = tokio::time::sleep(pause) => Waited::Again,
            () = brake.no_more_waiting() => Waited::Stopped,
        }
    }

    /// Between three and five quarters, so that calls that failed together do not come back together.
    fn spread(&mut self, pause: Duration) -> Duration {
        self.turns = self.turns.wrapping_add(1);
        let seed = xxhash_rust::xxh3::xxh3_64_with_seed(
            &self.turns.to_le_bytes(),
            std::ptr::from_ref(self).addr() as u64,
        );
        pause * (75 + u32::try_from(seed % 51).unwrap_or_default()) / 100
    }
}

/// Calls the index until it answers, riding out times when it cannot. `None`: waiting was stopped.
pub(crate) async fn ride_out<T, F>(
    patience: Duration,
    brake: &Brake,
    mut call: impl FnMut() -> F,
) -> Option<Result<T, PortError>>
where
    F: Future<Output = Result<T, PortError>>,
{
    let mut backoff = Backoff::new(patience);
    loop {
        if brake.level() >= Hold::Calls {
            return None;
        }
        let error = match call().await {
            Ok(answer) => return Some(Ok(answer)),
            Err(error) if !error.is_retryable() => return Some(Err(error)),
            Err(error) => error,
        };
        tracing::debug!(%error, "the index is away or overloaded; trying again");
        match backoff.wait(brake, &error).await {
            Waited::Again => {}
            Waited::Enough => return Some(Err(error)),
            Waited::Stopped => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    fn away() -> PortError {
        PortError::new(PortErrorKind::Unavailable, "away")
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_that_comes_back_within_patience_is_ridden_out() {
        let (calls, start) = (Cell::new(0), Instant::now());
        let answer = ride_out(Duration::from_secs(600), &Brake::new(), || {
            calls.set(calls.get() + 1);
            std::future::ready(if start.elapsed() < Duration::from_secs(300) { Err(away()) } else { Ok(7) })
        })
        .await;
        assert_eq!(answer, Some(Ok(7)));
        assert!(calls.get() < 30, "{} calls in five minutes", calls.get());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let start = Instant::now();
        let call = || std::future::ready(Err::<(), _>(away()));
        assert_eq!(ride_out(Duration::from_secs(600), &Brake::new(), call).await, Some(Err(away())));
        assert!(start.elapsed() >= Duration::from_secs(600) && start.elapsed() < Duration::from_secs(660));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_waiting_at_once() {
        let brake = Brake::new();
        let start = Instant::now();
        let stop = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            brake.hold(Hold::Retries);
        };
        let call = || std::future::ready(Err::<(), _>(away()));
        let (answer, ()) = tokio::join!(ride_out(Duration::from_secs(600), &brake, call), stop);
        assert_eq!((answer, start.elapsed()), (None, Duration::from_secs(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_index_may_ask_for_longer_pauses() {
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(600));
        let asks = PortError { retry_after: Some(Duration::from_secs(90)), ..away() };
        assert_eq!(backoff.wait(&Brake::new(), &asks).await, Waited::Again);
        assert_eq!(start.elapsed(), Duration::from_secs(90));
        let mut backoff = Backoff::new(Duration::from_secs(600));
        let throttled = PortError::new(PortErrorKind::Throttled, "busy");
        assert_eq!(backoff.wait(&Brake::new(), &throttled).await, Waited::Again);
        assert!(start.elapsed() < Duration::from_secs(90) + FIRST / 2, "busy is not away");
    }
}
