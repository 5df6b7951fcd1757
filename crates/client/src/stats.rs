use std::sync::atomic::{AtomicU64, Ordering};

use crate::ErrorKind;

/// Counts the attempts of clients. Shared by all clients that are given the same one.
#[derive(Debug, Default)]
pub struct ClientStats {
    attempts: AtomicU64,
    retries: AtomicU64,
    throttled: AtomicU64,
    unreachable: AtomicU64,
    timeouts: AtomicU64,
    refused: AtomicU64,
}

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientFigures {
    /// Requests sent, each attempt for itself.
    pub attempts: u64,
    /// Attempts that were not the first of their request.
    pub retries: u64,
    /// Attempts answered with 429.
    pub throttled: u64,
    /// Attempts that found nobody, or a cluster that could not serve (connection errors, 502, 503, 504).
    pub unreachable: u64,
    /// Attempts that took too long.
    pub timeouts: u64,
    /// Attempts that failed otherwise: refused, or answered wrongly.
    pub refused: u64,
}

impl ClientStats {
    /// What was counted so far.
    #[must_use]
    pub fn figures(&self) -> ClientFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClientFigures {
            attempts: read(&self.attempts),
            retries: read(&self.retries),
            throttled: read(&self.throttled),
            unreachable: read(&self.unreachable),
            timeouts: read(&self.timeouts),
            refused: read(&self.refused),
        }
    }

    pub(crate) fn sent(&self, again: bool) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(again), Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, kind: ErrorKind) {
        let counter = match kind {
            ErrorKind::Throttled => &self.throttled,
            ErrorKind::Unreachable | ErrorKind::Unavailable => &self.unreachable,
            ErrorKind::Timeout => &self.timeouts,
            _ => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
