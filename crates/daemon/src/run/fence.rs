use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tributary_engine::{PortError, PortErrorKind};

/// Keeps a sync from writing when its job is not ours, or perhaps not. Cheap to clone; all clones are one fence.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Until(Instant),
    Lost,
}

/// Whether a write may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Yes.
    Open,
    /// Not before the lease is renewed: it has run out, and somebody may have taken the job over.
    Closed,
    /// Never again.
    Lost,
}

impl Fence {
    pub(crate) fn until(end: Instant) -> Self {
        Self(Arc::new(watch::Sender::new(State::Until(end))))
    }

    /// The lease was renewed.
    pub(crate) fn extend(&self, end: Instant) {
        self.0.send_if_modified(|state| {
            let holds = *state != State::Lost;
            if holds {
                *state = State::Until(end);
            }
            holds
        });
    }

    /// The job is somebody else's.
    pub(crate) fn lose(&self) {
        self.0.send_replace(State::Lost);
    }

    pub(crate) fn passage(&self, now: Instant) -> Passage {
        match *self.0.borrow() {
            State::Lost => Passage::Lost,
            State::Until(end) if now < end => Passage::Open,
            State::Until(_) => Passage::Closed,
        }
    }

    /// Whether a write may be begun at this moment.
    ///
    /// # Errors
    /// Why not, as the engine is told.
    pub(crate) fn pass(&self) -> Result<(), PortError> {
        let (kind, why) = match self.passage(Instant::now()) {
            Passage::Open => return Ok(()),
            Passage::Closed => {
                (PortErrorKind::Unavailable, "the job's lease has run out and could not be renewed yet")
            }
            Passage::Lost => (PortErrorKind::Rejected, "the job belongs to another worker now"),
        };
        Err(PortError::new(kind, why))
    }

    /// Does a write that may take long, with all its attempts, as long as the job is ours. One that is dropped may have
    /// been carried out.
    ///
    /// # Errors
    /// As [`Fence::pass`], at the beginning or in between.
    pub(crate) async fn guard<T>(&self, write: impl Future<Output = T>) -> Result<T, PortError> {
        self.pass()?;
        tokio::select! {
            // A process that stood still sees the end of its lease first.
            biased;
            () = self.closed() => {}
            done = write => return Ok(done),
        }
        self.pass()?;
        // It was renewed at this very moment; the write is begun anew by whoever asked for it.
        Err(PortError::new(PortErrorKind::Unavailable, "the job's lease had run out for a moment"))
    }

    /// Returns once no write may be begun any more.
    async fn closed(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let State::Until(end) = state else { return };
            if Instant::now() >= end {
                return;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                // We hold the sender.
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_expired_fence_opens_again_when_renewed_but_a_lost_one_never() {
        let now = Instant::now();
        let later = now + Duration::from_secs(10);
        let fence = Fence::until(now);
        assert_eq!(fence.passage(now), Passage::Closed);
        fence.extend(later);
        assert_eq!(fence.clone().passage(now), Passage::Open);
        fence.lose();
        fence.extend(later);
        assert_eq!(fence.passage(now), Passage::Lost);
    }

    #[tokio::test]
    async fn a_long_write_goes_on_while_the_lease_is_renewed_and_is_dropped_when_it_is_not() {
        let second = Duration::from_millis(100);
        let fence = Fence::until(Instant::now() + second * 8);
        let renewing = async {
            for _ in 0..4 {
                tokio::time::sleep(second * 5).await;
                fence.extend(Instant::now() + second * 8);
            }
        };
        let (done, ()) = tokio::join!(fence.guard(tokio::time::sleep(second * 20)), renewing);
        assert!(done.is_ok());
        let begun = Instant::now();
        let stopped = fence.guard(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(stopped.kind, PortErrorKind::Unavailable);
        assert!(begun.elapsed() >= second * 5, "{:?}", begun.elapsed());

        fence.extend(Instant::now() + second * 8);
        let losing = async {
            tokio::time::sleep(second).await;
            fence.lose();
        };
        let (stopped, ()) = tokio::join!(fence.guard(std::future::pending::<()>()), losing);
        assert_eq!(stopped.unwrap_err().kind, PortErrorKind::Rejected);
    }
}
