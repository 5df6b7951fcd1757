//! Which connections are idle, so that one of them can make room for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The idle connections, in the order in which they became idle.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Idle>);

#[derive(Debug, Default)]
struct Idle {
    next: u64,
    by_age: BTreeMap<u64, Arc<Notify>>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection. It is idle until its first request has come.
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        let seat = Seat { seats: Arc::clone(self), ticket: Mutex::default(), asked_to_go: Arc::default() };
        seat.rest();
        seat
    }

    /// Asks the connection that has been idle for the longest time to go; `false` when all are busy.
    pub(super) fn make_room(&self) -> bool {
        let oldest = self.lock().by_age.pop_first();
        if let Some((_, oldest)) = &oldest {
            oldest.notify_one();
        }
        oldest.is_some()
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    ticket: Mutex<u64>,
    asked_to_go: Arc<Notify>,
}

impl Seat {
    fn ticket(&self) -> MutexGuard<'_, u64> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come. `false`: the connection was asked to go, and the request must not be served.
    pub(super) fn work(&self) -> bool {
        self.seats.lock().by_age.remove(&*self.ticket()).is_some()
    }

    /// The request was answered.
    pub(super) fn rest(&self) {
        let mut ticket = self.ticket();
        let mut idle = self.seats.lock();
        *ticket = idle.next;
        idle.next += 1;
        idle.by_age.insert(*ticket, Arc::clone(&self.asked_to_go));
    }

    /// Waits until the connection is asked to go.
    pub(super) async fn asked_to_go(&self) {
        self.asked_to_go.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_longest_idle_connection_goes_and_a_busy_one_never() {
        let seats = Arc::new(Seats::default());
        let (first, second, third) = (seats.take(), seats.take(), seats.take());
        assert!(first.work());
        assert!(seats.make_room());
        assert!(second.asked_to_go().now_or_never().is_some());
        assert!(!second.work(), "a request that comes too late is not served");
        first.rest();
        drop(third);
        assert!(seats.make_room());
        assert!(first.asked_to_go().now_or_never().is_some());
        assert!(!seats.make_room());
    }
}
