use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use tributary_engine::{PortError, PortErrorKind};

/// Keeps a sync from writing when its job is not ours, or perhaps not. Cheap to clone; all clones are one fence.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Arc<Mutex<State>>);

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
        Self(Arc::new(Mutex::new(State::Until(end))))
    }

    /// The lease was renewed.
    pub(crate) fn extend(&self, end: Instant) {
        self.with(|state| {
            if *state != State::Lost {
                *state = State::Until(end);
            }
        });
    }

    /// The job is somebody else's.
    pub(crate) fn lose(&self) {
        self.with(|state| *state = State::Lost);
    }

    pub(crate) fn passage(&self, now: Instant) -> Passage {
        self.with(|state| match state {
            State::Lost => Passage::Lost,
            State::Until(end) if now < *end => Passage::Open,
            State::Until(_) => Passage::Closed,
        })
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

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
}
