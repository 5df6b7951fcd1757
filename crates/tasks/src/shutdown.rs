use std::time::Duration;

use tokio::sync::watch;

/// How far a shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownPhase {
    /// Nothing was asked.
    Running,
    /// Take no new work, finish or suspend what runs, within the grace time.
    Graceful,
    /// Drop everything now.
    Immediate,
}

/// A two-step request to stop, shared by everybody who must hear it. Cheap to clone.
///
/// The first signal asks for a graceful end, the second for an immediate one. A phase never goes back.
#[derive(Clone, Debug)]
pub struct Shutdown {
    sender: watch::Sender<ShutdownPhase>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: watch::Sender::new(ShutdownPhase::Running) }
    }

    /// The phase at this moment.
    #[must_use]
    pub fn phase(&self) -> ShutdownPhase {
        *self.sender.borrow()
    }

    /// Whether any stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.phase() > ShutdownPhase::Running
    }

    /// Asks for a graceful end.
    pub fn stop(&self) {
        self.raise(ShutdownPhase::Graceful);
    }

    /// Asks for an end at once.
    pub fn stop_now(&self) {
        self.raise(ShutdownPhase::Immediate);
    }

    /// What a signal does: the first asks for a graceful end, the next for an immediate one.
    pub fn signal(&self) {
        if self.is_stopping() { self.stop_now() } else { self.stop() }
    }

    fn raise(&self, to: ShutdownPhase) {
        self.sender.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
    }

    /// Returns once any stop was asked for.
    pub async fn stopping(&self) {
        self.reached(ShutdownPhase::Graceful).await;
    }

    /// Returns once an immediate stop was asked for.
    pub async fn stopping_now(&self) {
        self.reached(ShutdownPhase::Immediate).await;
    }

    async fn reached(&self, at_least: ShutdownPhase) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so waiting can only end by the phase being reached.
        let _reached = receiver.wait_for(|phase| *phase >= at_least).await;
    }

    /// Sleeps for `duration`, or less when a stop is asked for. Returns whether the whole time passed.
    pub async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            () = self.stopping() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_signal_asks_for_an_immediate_end() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.phase(), ShutdownPhase::Running);
        shutdown.signal();
        assert_eq!(shutdown.phase(), ShutdownPhase::Graceful);
        shutdown.stopping().await;
        shutdown.signal();
        shutdown.stopping_now().await;
        shutdown.stop();
        assert_eq!(shutdown.phase(), ShutdownPhase::Immediate, "a phase never goes back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_cuts_a_sleep_short() {
        let shutdown = Shutdown::new();
        assert!(shutdown.sleep(Duration::from_secs(5)).await);
        shutdown.clone().stop();
        assert!(!shutdown.sleep(Duration::from_secs(5)).await);
    }
}
