use tokio::sync::watch;

/// How a running sync is asked to stop. Cheap to clone; all clones speak to the same sync.
///
/// A request never goes back: cancelling after suspending cancels, suspending after cancelling changes nothing.
#[derive(Clone, Debug)]
pub struct Control {
    sender: watch::Sender<Request>,
}

/// What was asked of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// Nothing: run to the end.
    #[default]
    Run,
    /// Stop reading, write what was read, and say where to go on.
    Suspend,
    /// Stop. What is on its way to the index is awaited for a moment, nothing is deleted.
    Cancel,
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl Control {
    /// A control that has asked for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: watch::Sender::new(Request::Run) }
    }

    /// Asks the sync to stop at a point it can go on from.
    pub fn suspend(&self) {
        self.raise(Request::Suspend);
    }

    /// Asks the sync to stop for good.
    pub fn cancel(&self) {
        self.raise(Request::Cancel);
    }

    /// What was asked so far.
    #[must_use]
    pub fn request(&self) -> Request {
        *self.sender.borrow()
    }

    fn raise(&self, to: Request) {
        self.sender.send_if_modified(|request| {
            let more = to > *request;
            if more {
                *request = to;
            }
            more
        });
    }

    /// Returns once at least `level` was asked for.
    pub(crate) async fn at_least(&self, level: Request) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so waiting can only end by the level being reached.
        let _reached = receiver.wait_for(|request| *request >= level).await;
    }
}

/// How far the calls to the index must hold back; set by the engine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    /// Retry as long as patience lasts.
    No,
    /// Every call once more, no waiting for better times.
    Retries,
    /// No new calls.
    Calls,
}

/// Tells calls that wait for better times to give up.
#[derive(Clone, Debug)]
pub(crate) struct Brake {
    sender: watch::Sender<Hold>,
}

impl Brake {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(Hold::No) }
    }

    pub(crate) fn hold(&self, to: Hold) {
        self.sender.send_if_modified(|hold| {
            let more = to > *hold;
            if more {
                *hold = to;
            }
            more
        });
    }

    pub(crate) fn level(&self) -> Hold {
        *self.sender.borrow()
    }

    /// Returns once waiting is no longer wanted.
    pub(crate) async fn no_more_waiting(&self) {
        let mut receiver = self.sender.subscribe();
        let _reached = receiver.wait_for(|hold| *hold >= Hold::Retries).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_never_goes_back() {
        let control = Control::new();
        control.clone().cancel();
        control.suspend();
        control.at_least(Request::Suspend).await;
        assert_eq!(control.request(), Request::Cancel);
    }
}
